//! Seeds of requests as a proxy shows them to the gate.

use crate::seeds::{Seed, bad, good};

const ORDER: &str = "symbol=BTCUSDT&side=BUY&quantity=1&timestamp=1795348800000&signature=";

fn sent(method: &str, path: &str, query: &str, header: (&str, &str), body: &str) -> Vec<u8> {
    [method, path, query, header.0, header.1, body].map(str::as_bytes).join(&[0xff][..])
}

pub(crate) fn gate() -> Vec<Seed> {
    const PLAIN: (&str, &str) = ("accept", "*/*");
    let order = |path: &str, header| sent("POST", path, ORDER, header, "");
    vec![
        good("public", sent("GET", "/api/v3/time", "", PLAIN, "")),
        good("order", order("/api/v3/order", PLAIN)),
        good("withdrawal", order("/sapi/v1/capital/withdraw/apply", PLAIN)),
        good("escaped", sent("GET", "/api/caf%C3%A9", "a=%2F", PLAIN, "")),
        good(
            "routes",
            "dialect = 'kraken'\n[[route]]\nmethod = 'GET'\nprefix = '/0/'\nscope = 'read'\nweight = 2\n",
        ),
        bad("dots", order("/api/v3/../v3/order", PLAIN)),
        bad("case", order("/api/v3/Order", PLAIN)),
        bad("unknown", order("/api2", PLAIN)),
        bad("own-header", order("/api/v3/order", ("x-holdfast-account", "ac_1"))),
        bad("two-keys", order("/api/v3/order", ("X-MBX-APIKEY", "key-1"))),
        bad("kraken", sent("POST", "/0/private/Balance", "", ("api-sign", "AAAA"), "nonce=1795348800000")),
        bad("okx", sent("GET", "/api/v5/order", "", ("ok-access-sign", "AAAA"), "")),
        bad("network", "2001:db8::/32"),
    ]
}
