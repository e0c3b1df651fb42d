//! Seeds of what the server reads by itself: codes, Envoy's questions, references to keys.

use crate::seeds::{Seed, bad, good};

pub(crate) fn codes() -> Vec<Seed> {
    vec![
        good("secret", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"),
        good("small-letters", "jbswy3dpehpk3pxpjbswy3dpehpk3pxp"),
        good("padded", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXPAA======"),
        bad("cut", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXPJ"),
        bad("short", "JBSWY3DPEHPK3PXP"),
        bad("digits", "JBSWY3DPEHPK3PX1JBSWY3DPEHPK3PXP"),
        good("recovery", "0123-4567-89AB-CDEF"),
        good("recovery-typed", "oi23 4567 89ab cdef"),
        bad("other-recovery", "0123-4567-89AB-CDEG"),
        bad("longer-recovery", "0123-4567-89AB-CDEF-0"),
        bad("one-time", "000000"),
    ]
}

pub(crate) fn token_uris() -> Vec<Seed> {
    const REST: &str = "module-path=/usr/lib/softhsm/libsofthsm2.so";
    let uri = |path: &str, pin: &str| format!("pkcs11:{path}?{REST}&pin-source={pin}");
    vec![
        good("file", uri("token=holdfast;object=release", "file:/etc/holdfast/pin")),
        good("environment", uri("object=release;token=holdfast", "env:PIN")),
        good("escaped", uri("token=hold%20fast;object=a%3Bb%25", "file:///etc/holdfast/pin")),
        bad("pin", format!("pkcs11:token=a;object=b?{REST}&pin-value=1234")),
        bad("twice", uri("token=a;token=b;object=c", "env:PIN")),
        bad("unknown", uri("token=a;object=b;serial=1", "env:PIN")),
        bad("relative", "pkcs11:token=a;object=b?module-path=softhsm2.so&pin-source=env:PIN"),
        bad("host", uri("token=a;object=b", "file://elsewhere/pin")),
        bad("slashes", uri("token=a;object=b", "file:////etc/pin")),
    ]
}

/// A field of Protocol Buffers; shorter than 128 bytes, or as long as two bytes say.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len();
    let length = if length < 128 {
        vec![u8::try_from(length).unwrap()]
    } else {
        vec![u8::try_from(length % 128).unwrap() | 0x80, u8::try_from(length / 128).unwrap()]
    };
    [vec![(number << 3) | 2], length, bytes.to_vec()].concat()
}

fn question(address: &str, http: &[Vec<u8>]) -> Vec<u8> {
    let source = field(1, &field(1, &field(2, address.as_bytes())));
    let message = field(1, &[field(1, &source), field(4, &field(2, &http.concat()))].concat());
    let length = u32::try_from(message.len()).unwrap();
    [&[0][..], &length.to_be_bytes(), &message].concat()
}

pub(crate) fn questions() -> Vec<Seed> {
    let text = |number, text: &str| field(number, text.as_bytes());
    let header = |name: &str, value: &str| field(1, &[text(1, name), text(3, value)].concat());
    let order = || vec![text(2, "POST"), text(4, "/api/v3/order?symbol=BTCUSDT&a?b")];
    let raw =
        [header(":path", "/x"), header("x-mbx-apikey", "key-1"), header("a", "b"), header("a", "c")].concat();
    let with = |more: Vec<u8>| question("203.0.113.7", &[order(), vec![more]].concat());
    let good_one = with(field(13, &raw));
    let mut compressed = good_one.clone();
    compressed[0] = 1;
    vec![
        good("order", good_one.clone()),
        good("host", with(text(5, "api.harbor.example"))),
        good("map", with(field(3, &[text(1, "x-mbx-apikey"), text(2, "key-1")].concat()))),
        good("body", with(field(12, b"\xff\0a=b"))),
        good("text-body", with(text(11, "a=b"))),
        good("held-back", with(vec![9 << 3, 200, 1])),
        good("unknown-size", with([&[9 << 3][..], &[0xff; 9], &[1]].concat())),
        good("partial", with(field(13, &header("x-envoy-auth-partial-body", "true")))),
        good("no-text", with(field(13, &field(1, &[text(1, "a"), field(3, b"\xff")].concat())))),
        good("ipv6", question("2001:db8::7", &order())),
        bad("somewhere", question("somewhere", &order())),
        bad("nobody", vec![0, 0, 0, 0, 0]),
        bad("compressed", compressed),
        bad("longer", [&good_one[..], &[0]].concat()),
    ]
}
