//! The gate: whatever a proxy shows it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;

use holdfast_authn::{Dialect, KeyMaterial};
use holdfast_gate::{CheckRequest, Gate, IpNet, KeyEntry, Routes, Verdict};
use holdfast_values::{Timestamp, time};
use ring::hmac;

use crate::house;

/// When the requests come: 2026-11-22T12:00:00Z.
const NOON: Timestamp = Timestamp(1_795_348_800 * time::SECOND);
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
const AWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9));
const ROUTES: &str = "
dialect = 'binance'
[limits]
key_weight_per_minute = 1000000000
address_weight_per_minute = 1000000000
[[route]]
prefix = '/api/'
scope = 'public'
[[route]]
exact = '/api/v3/order'
scope = 'trade'
[[route]]
method = 'POST'
exact = '/sapi/v1/capital/withdraw/apply'
scope = 'withdraw'
[[route]]
prefix = '/0/private/'
dialect = 'kraken'
scope = 'read'
[[route]]
prefix = '/api/v5/'
dialect = 'okx'
scope = 'trade'
[[route]]
prefix = '/v2/'
dialect = 'coinbase'
scope = 'trade'
[[route]]
prefix = '/modern/'
dialect = 'rfc9421'
scope = 'trade'
";

fn gate(started: Timestamp) -> Option<Gate> {
    let gate = Gate::new(Routes::parse(ROUTES).ok()?, started);
    gate.put_key(KeyEntry {
        account: "ac_1".parse().ok()?,
        key: "key-1".parse().ok()?,
        revision: 1,
        material: KeyMaterial::hmac_sha256(house::API_SECRET).ok()?,
        dialect: Some(Dialect::Binance),
        scopes: 15,
        allow: vec![IpNet::single(HOME)],
        expires_at: None,
        revoked: false,
    })
    .ok()?;
    Some(gate)
}

/// Method, path, query, header name, header value and body, separated by bytes 0xff; as text, also a document of routes
/// and a network. The query is signed here when it ends in `&signature=`.
pub(super) fn gate_check(bytes: &[u8]) -> bool {
    if let Ok(text) = core::str::from_utf8(bytes) {
        if let Ok(net) = text.parse::<IpNet>() {
            assert_eq!(net.to_string().parse(), Ok(net), "a network comes back");
            assert!(net.contains(net.address()));
        }
        if Routes::parse(text).is_ok() {
            return true;
        }
    }
    let mut parts = bytes.splitn(6, |byte| *byte == 0xff);
    let [method, path, query, name, value, body] = core::array::from_fn(|_| parts.next().unwrap_or_default());
    let [Ok(method), Ok(path), Ok(name), Ok(value)] = [method, path, name, value].map(core::str::from_utf8)
    else {
        return false;
    };
    let mut query = query.to_vec();
    if let Some(payload) = query.strip_suffix(b"&signature=") {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, house::API_SECRET), payload);
        let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        query.extend_from_slice(tag.as_bytes());
    }
    // A gate is used again for as long as it has let nothing through that it remembers.
    static GATE: Mutex<Option<Gate>> = Mutex::new(None);
    let kept = GATE.lock().ok().and_then(|mut gate| gate.take());
    let Some(gate) = kept.or_else(|| gate(NOON.minus(time::MINUTE))) else { return false };
    let headers = [("x-mbx-apikey", "key-1"), (name, value)];
    let request =
        |ip| CheckRequest { method, path, query: &query, headers: &headers, body, ip, body_truncated: false };

    // What is not public is for its owner, from his own address, once.
    let away = gate.check(NOON, &request(AWAY));
    if let Verdict::Allow(allowed) = &away {
        assert_eq!(allowed.signer, None, "from elsewhere");
    }
    let first = gate.check(NOON, &request(HOME));
    let keep = |gate| {
        if let Ok(mut kept) = GATE.lock() {
            *kept = Some(gate);
        }
    };
    let Verdict::Allow(allowed) = &first else {
        keep(gate);
        return false;
    };
    // What goes on has one reading.
    assert!(path.starts_with('/') && !path.contains("//") && !path.contains(';') && !path.contains('\\'));
    assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
    assert!(
        !["%2e", "%2f", "%5c", "%00", "%25", "%3b"].iter().any(|bad| path.to_ascii_lowercase().contains(bad))
    );
    assert!(!name.to_ascii_lowercase().starts_with("x-holdfast-"));
    assert!(!query.contains(&b'#') && !query.contains(&b' '));
    let Some(signer) = &allowed.signer else {
        keep(gate);
        return true;
    };
    assert_eq!(signer.account.as_str(), "ac_1");
    assert!(["/api/v3/order", "/sapi/v1/capital/withdraw/apply"].contains(&path), "{path}");
    assert!(matches!(gate.check(NOON, &request(HOME)), Verdict::Deny(_)), "a second time");
    // Nor by the gate after this one.
    let next = self::gate(NOON).map(|gate| gate.check(NOON, &request(HOME)));
    assert!(matches!(next, Some(Verdict::Deny(_))), "after a restart");
    true
}
