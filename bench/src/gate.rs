//! What one check of the gate costs, in process and on one core: a signed order from bytes to verdict, key, address,
//! time, replay and budget included. Beside it the bare signature check of the same library over the same bytes.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Instant;

use holdfast_authn::encoding::to_base64;
use holdfast_authn::{Dialect, KeyMaterial};
use holdfast_gate::{CheckRequest, Gate, KeyEntry, Routes, Verdict};
use holdfast_values::{Timestamp, time};
use ring::hmac;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::report::{Report, busy, grouped, median, per_second, percent, permille, reached, tenths};
use crate::{Failure, Options, progress};

const RUNS: usize = 5;
/// Keys that take turns.
const KEYS: u64 = 1_000;
/// Routes beside the one that is asked for, as an exchange has them.
const OTHER_ROUTES: usize = 300;
/// The aim for HMAC.
const AIM: u64 = 50_000;
/// What is asked for, and what is public around it.
pub(crate) const ROUTES: &str = "[[route]]\nprefix = '/api/v3/'\nscope = 'public'\n\
                                 [[route]]\nmethod = 'POST'\nexact = '/api/v3/order'\nscope = 'trade'\n";
/// 2026-11-22T12:00:00Z.
const NOON: Timestamp = Timestamp(1_795_348_800 * time::SECOND);

/// What a request is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Hmac,
    Ed25519,
}

/// A signed order: what is sent, and what was signed of it.
struct Order {
    key: String,
    query: String,
    signed: usize,
    signature: Vec<u8>,
}

fn secret(key: u64) -> [u8; 32] {
    let mut secret = [7; 32];
    for (to, from) in secret.iter_mut().zip(key.to_be_bytes()) {
        *to = from;
    }
    secret
}

fn pair(key: u64) -> Result<Ed25519KeyPair, Failure> {
    Ed25519KeyPair::from_seed_unchecked(&secret(key)).map_err(|error| error.to_string().into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn escaped(base64: &str) -> String {
    base64.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

impl Order {
    fn new(kind: Kind, number: u64) -> Result<Self, Failure> {
        let key = number % KEYS;
        let at = NOON.0 / 1_000 + number % 1_000;
        let mut query = format!(
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.{number:08}&price=97123.45&\
             newClientOrderId=x-{number:016}&recvWindow=5000&timestamp={at}"
        );
        let signed = query.len();
        let signature = match kind {
            Kind::Hmac => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, &secret(key));
                hmac::sign(&key, query.as_bytes()).as_ref().to_vec()
            }
            Kind::Ed25519 => pair(key)?.sign(query.as_bytes()).as_ref().to_vec(),
        };
        let text = match kind {
            Kind::Hmac => hex(&signature),
            Kind::Ed25519 => escaped(&to_base64(&signature)),
        };
        query.push_str("&signature=");
        query.push_str(&text);
        Ok(Self { key: format!("key-{key:04}"), query, signed, signature })
    }

    fn payload(&self) -> &[u8] {
        self.query.as_bytes().get(..self.signed).unwrap_or_default()
    }
}

fn routes() -> Result<Routes, Failure> {
    let mut text = "dialect = 'binance'\n[limits]\nkey_weight_per_minute = 1000000000\n\
                    remembered_max = 10000000\n"
        .to_owned();
    let other = |n: usize| format!("[[route]]\nexact = '/sapi/v1/asset/query/{n}'\nscope = 'read'\n");
    (0..OTHER_ROUTES).for_each(|n| text.push_str(&other(n)));
    text.push_str(ROUTES);
    Ok(Routes::parse(&text)?)
}

fn gate(kind: Kind) -> Result<Gate, Failure> {
    let gate = Gate::new(routes()?, NOON.minus(time::MINUTE));
    for key in 0..KEYS {
        let material = match kind {
            Kind::Hmac => KeyMaterial::hmac_sha256(&secret(key))?,
            Kind::Ed25519 => KeyMaterial::ed25519(pair(key)?.public_key().as_ref().try_into()?)?,
        };
        gate.put_key(KeyEntry {
            account: format!("ac_{key}").parse()?,
            key: format!("key-{key:04}").parse()?,
            revision: 1,
            material,
            dialect: Some(Dialect::Binance),
            scopes: 3,
            allow: vec!["203.0.113.0/24".parse()?, "198.51.100.7".parse()?],
            expires_at: None,
            revoked: false,
        })?;
    }
    Ok(gate)
}

/// Checks every order once; all of them must pass.
fn checks(gate: &Gate, orders: &[Order]) -> Result<u64, Failure> {
    let ip: IpAddr = "203.0.113.7".parse()?;
    let now = NOON.plus(time::SECOND);
    let mut allowed = 0;
    let started = Instant::now();
    for order in orders {
        let headers = [
            ("host", "api.harbor.example"),
            ("user-agent", "ccxt"),
            ("accept", "*/*"),
            ("x-mbx-apikey", order.key.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let request = CheckRequest {
            method: "POST",
            path: "/api/v3/order",
            query: order.query.as_bytes(),
            headers: &headers,
            body: &[],
            ip,
            body_truncated: false,
        };
        match black_box(gate.check(now, black_box(&request))) {
            Verdict::Allow(_) => allowed += 1,
            Verdict::Deny(denied) => return Err(format!("refused: {}", denied.body).into()),
        }
    }
    let took = u64::try_from(started.elapsed().as_nanos())?;
    if allowed == orders.len() { Ok(took) } else { Err("not all were let through".into()) }
}

/// The signatures alone, with keys that are ready.
fn bare(kind: Kind, orders: &[Order]) -> Result<u64, Failure> {
    let keys: Vec<hmac::Key> = (0..KEYS).map(|key| hmac::Key::new(hmac::HMAC_SHA256, &secret(key))).collect();
    let publics = (0..KEYS).map(|key| Ok(pair(key)?.public_key().as_ref().to_vec()));
    let publics: Vec<Vec<u8>> = publics.collect::<Result<_, Failure>>()?;
    let mut good = 0;
    let started = Instant::now();
    for (order, (key, public)) in orders.iter().zip(keys.iter().zip(&publics).cycle()) {
        let fits = match kind {
            Kind::Hmac => hmac::verify(key, order.payload(), &order.signature).is_ok(),
            Kind::Ed25519 => {
                UnparsedPublicKey::new(&ED25519, public).verify(order.payload(), &order.signature).is_ok()
            }
        };
        good += usize::from(black_box(fits));
    }
    let took = u64::try_from(started.elapsed().as_nanos())?;
    if good == orders.len() { Ok(took) } else { Err("a signature does not fit".into()) }
}

pub(crate) fn run(options: &Options) -> Result<Report, Failure> {
    let mut report = Report::new("gate");
    report.table(&["signed with", "checks/s", "us a check", "bare signature/s", "of bare", "aim", "reached"]);
    for (kind, name, key, full) in
        [(Kind::Hmac, "HMAC-SHA256", "hmac", 200_000), (Kind::Ed25519, "Ed25519", "ed25519", 30_000)]
    {
        let count = if options.quick { full / 10 } else { full };
        progress(&format!("gate: {name}, signing"));
        let orders: Vec<Order> = (0..count).map(|n| Order::new(kind, n)).collect::<Result<_, _>>()?;
        let (mut checked, mut alone) = (Vec::new(), Vec::new());
        for number in 0..RUNS {
            progress(&format!("gate: {name}, run {} of {RUNS}", number + 1));
            // A new gate each time: this one remembers what it let through.
            checked.push(checks(&gate(kind)?, &orders)?);
            alone.push(bare(kind, &orders)?);
        }
        let (checked, alone) = (median(checked), median(alone));
        let (checks, bare) = (per_second(count, checked), per_second(count, alone));
        let aim = (kind == Kind::Hmac).then_some(AIM);
        report.row(&[
            name,
            &grouped(checks),
            &tenths(checked / count),
            &grouped(bare),
            &percent(permille(checks, bare)),
            &aim.map_or("-".to_owned(), grouped),
            aim.map_or("-", |aim| reached(checks >= aim)),
        ]);
        report.value(format!("{key}_checks_per_second"), checks);
        report.value(format!("{key}_bare_per_second"), bare);
    }
    report.note(busy()?);
    Ok(report)
}
