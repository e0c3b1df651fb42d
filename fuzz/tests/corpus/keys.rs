//! Seeds of security keys: what a browser and a key give, signed by the house's key or for it.

use holdfast_authn::encoding::to_base64url;
use holdfast_fuzz::house::{APP_ID, APPROVE_CHALLENGE, APPROVE_ORIGIN, APPROVE_RP_ID, KEY_SEED};
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::seeds::{Seed, bad, good};

const UP: u8 = 0x01;
const UV: u8 = 0x04;
const BE: u8 = 0x08;
const BS: u8 = 0x10;
const AT: u8 = 0x40;
const ED: u8 = 0x80;
const CREDENTIAL_ID: &[u8; 20] = b"a credential's name.";
const AAGUID: &[u8; 16] = b"a model of a key";

// A U2F key, its maker's key, and the maker's signature over what `registrations` gives: ECDSA signs otherwise each time.
const U2F_POINT: &str = "04ae2f585e24b77570e31c91082e3c73f4035f1fe4b297444b1a1b94699668e90f\
                         3622840fa69e725d3a2be6168a6779ae834b3cf92f866370f0753060418801ad";
const MAKER_POINT: &str = "0413b2b8c3ae26e7548746c94fae32e32f9dcb327a5000df215f7c077a6b16383b\
                           dc728476682ae3a4dc1e64ad2889a3b6c85313cfa8426f83301364d410f8e247";
const MAKER_SIGNATURE: &str = "304402204fce575541c94674f02e6dc3150112e1fbfc9def3899a5e20868d6ea7e517eaf\
                               022001a9e3795e19cb46284c6ea8f03ef4c316fd5cb14add9e26d4a9d71faf327696";

const P256: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&KEY_SEED).unwrap()
}

fn eddsa() -> Vec<u8> {
    [&b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20"[..], pair().public_key().as_ref()].concat()
}

fn es256() -> Vec<u8> {
    let point = hex(U2F_POINT);
    let (x, y) = point[1..].split_at(32);
    [&b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20"[..], x, b"\x22\x58\x20", y].concat()
}

fn rs256() -> Vec<u8> {
    [&b"\xa4\x01\x03\x03\x39\x01\x00\x20\x59\x01\x00"[..], &[0xb5; 256], b"\x21\x43\x01\x00\x01"].concat()
}

fn client_data(kind: &str, more: &str) -> Vec<u8> {
    let challenge = to_base64url(APPROVE_CHALLENGE);
    format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{APPROVE_ORIGIN}"{more}}}"#).into_bytes()
}

fn data(id: &str, flags: u8, more: &[u8]) -> Vec<u8> {
    [&sha256(id.as_bytes()), &[flags, 0, 0, 0, 7][..], more].concat()
}

fn input(client_data: &[u8], rest: &[u8]) -> Vec<u8> {
    [&u16::try_from(client_data.len()).unwrap().to_be_bytes(), client_data, rest].concat()
}

fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    der(0x30, &[der(0x30, algorithm), der(0x03, &[&[0], key].concat())].concat())
}

pub(crate) fn assertions() -> Vec<Seed> {
    let plain = client_data("webauthn.get", r#","crossOrigin":false"#);
    let with = |more: &str| input(&client_data("webauthn.get", more), &data(APPROVE_RP_ID, UP | UV, &[]));
    let extensions = b"\xa2\x65appid\xf5\x69credProps\xa1\x62rk\xf4";
    vec![
        good("plain", input(&plain, &data(APPROVE_RP_ID, UP | UV, &[]))),
        good("synced", input(&plain, &data(APPROVE_RP_ID, UP | BE | BS, &[]))),
        good("app-id", input(&plain, &data(APP_ID, UP, &[]))),
        good("extensions", input(&plain, &data(APPROVE_RP_ID, UP | ED, extensions))),
        good("more-members", with(r#","x":[1,-2.5e3,{"y":"\u00e9\ud83d\ude00"}],"z":null"#)),
        good("token-binding", with(r#","tokenBinding":{"status":"supported"}"#)),
        bad("framed", with(r#","crossOrigin":true"#)),
        bad("twice", with(r#","crossOrigin":false,"cross\u004frigin":false"#)),
        bad("registration", input(&client_data("webauthn.create", ""), &data(APPROVE_RP_ID, UP, &[]))),
        bad("nobody", input(&plain, &data(APPROVE_RP_ID, UV, &[]))),
        bad("indefinite", input(&plain, &data(APPROVE_RP_ID, UP | ED, b"\xbf\xff"))),
        good("key-es256", es256()),
        good("key-eddsa", eddsa()),
        good("key-rs256", rs256()),
        good("key-sec1", hex(U2F_POINT)),
        good("key-spki", spki(P256, &hex(U2F_POINT))),
        bad("key-weak", [&eddsa()[..10], &[0; 32]].concat()),
    ]
}

fn attested(aaguid: &[u8; 16], cose: &[u8]) -> Vec<u8> {
    [&aaguid[..], &[0, 20], CREDENTIAL_ID, cose].concat()
}

fn object(format: &str, statement: &[u8], data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len()).unwrap();
    let name = [&[0x60 | u8::try_from(format.len()).unwrap()], format.as_bytes()].concat();
    [b"\xa3\x63fmt", &name[..], b"\x67attStmt", statement, b"\x68authData\x58", &[length], data].concat()
}

fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len();
    let head = match length {
        0..=0x7f => vec![tag, length as u8],
        0x80..=0xff => vec![tag, 0x81, length as u8],
        _ => [&[tag, 0x82][..], &(length as u16).to_be_bytes()].concat(),
    };
    [&head[..], contents].concat()
}

/// A certificate for this key. Nobody looks at its signature.
fn certificate(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let subject: Vec<Vec<u8>> =
        [(6, "SE"), (10, "Harbor"), (11, "Authenticator Attestation"), (3, "Harbor Security Key")]
            .iter()
            .map(|(kind, text)| {
                let attribute = [der(0x06, &[0x55, 0x04, *kind]), der(0x0c, text.as_bytes())].concat();
                der(0x31, &der(0x30, &attribute))
            })
            .collect();
    let no_ca = [der(0x06, b"\x55\x1d\x13"), der(0x01, b"\xff"), der(0x04, &der(0x30, b""))].concat();
    let model =
        [der(0x06, b"\x2b\x06\x01\x04\x01\x82\xe5\x1c\x01\x01\x04"), der(0x04, &der(0x04, AAGUID))].concat();
    let to_be_signed = [
        der(0xa0, &der(0x02, &[2])),
        der(0x02, &[1]),
        der(0x30, ED25519),
        der(0x30, b""),
        der(0x30, &[der(0x17, b"240101000000Z"), der(0x17, b"490101000000Z")].concat()),
        der(0x30, &subject.concat()),
        spki(algorithm, key),
        der(0xa3, &der(0x30, &[der(0x30, &no_ca), der(0x30, &model)].concat())),
    ];
    let parts = [der(0x30, &to_be_signed.concat()), der(0x30, ED25519), der(0x03, &[0; 5])];
    der(0x30, &parts.concat())
}

fn bytes(bytes: &[u8]) -> Vec<u8> {
    [&[0x59][..], &u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

pub(crate) fn registrations() -> Vec<Seed> {
    let plain = client_data("webauthn.create", r#","crossOrigin":false"#);
    let own = data(APPROVE_RP_ID, UP | UV | AT, &attested(AAGUID, &eddsa()));
    let signature = pair().sign(&[&own[..], &sha256(&plain)].concat());
    let signed = [&b"\x63alg\x27\x63sig\x58\x40"[..], signature.as_ref()].concat();
    let by_itself = [&[0xa2][..], &signed].concat();
    let leaf = certificate(ED25519, pair().public_key().as_ref());
    let by_leaf = [&[0xa3][..], &signed, b"\x63x5c\x81", &bytes(&leaf)].concat();
    let signature = hex(MAKER_SIGNATURE);
    let by_maker = [
        &b"\xa2\x63sig\x58"[..],
        &[u8::try_from(signature.len()).unwrap()],
        &signature,
        b"\x63x5c\x81",
        &bytes(&certificate(P256, &hex(MAKER_POINT))),
    ]
    .concat();
    let u2f = data(APPROVE_RP_ID, UP | AT, &attested(&[0; 16], &es256()));
    let extended = [&attested(AAGUID, &es256())[..], b"\xa1\x6bcredProtect\x02"].concat();
    let mut forged = by_itself.clone();
    *forged.last_mut().unwrap() ^= 1;
    let with = |format: &str, statement: &[u8], data: &[u8]| input(&plain, &object(format, statement, data));
    vec![
        good("none", with("none", b"\xa0", &own)),
        good("packed-self", with("packed", &by_itself, &own)),
        good("packed", with("packed", &by_leaf, &own)),
        good("fido-u2f", with("fido-u2f", &by_maker, &u2f)),
        good("data-eddsa", input(&plain, &own)),
        good("data-rs256", input(&plain, &data(APPROVE_RP_ID, UP | BE | AT, &attested(AAGUID, &rs256())))),
        good("data-extended", input(&plain, &data(APPROVE_RP_ID, UP | AT | ED, &extended))),
        bad("forged", with("packed", &forged, &own)),
        bad("tpm", with("tpm", b"\xa0", &own)),
        bad("no-credential", input(&plain, &data(APPROVE_RP_ID, UP, b""))),
        bad("app-id", input(&plain, &data(APP_ID, UP | AT, &attested(AAGUID, &eddsa())))),
    ]
}
