//! Keys and operators' signatures: RFC 8032's vectors, weak keys, PEM forms.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail")]

use holdfast_authn::operator::parse_operator_signature;
use holdfast_authn::{
    HmacSecret, KeyError, KeyKind, KeyMaterial, OperatorError, RsaPublicKey, parse_operator_key,
    parse_operator_public_key, print_operator_key, print_operator_public_key, verify_operator,
};
use holdfast_values::{OperatorProof, OperatorPublicKey};
use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    holdfast_authn::encoding::hex(hex.as_bytes()).unwrap()
}

fn recorded_pem(starts: &str) -> String {
    let file: serde_json::Value = serde_json::from_str(include_str!("ccxt/requests.json")).unwrap();
    let requests = file["requests"].as_array().unwrap();
    let found =
        requests.iter().find(|request| request["name"].as_str().unwrap().starts_with(starts)).unwrap();
    found["key"].as_str().unwrap().to_owned()
}

fn verify_ed25519(key: [u8; 32], digest: &[u8; 32], signature: &[u8; 64]) -> Result<(), OperatorError> {
    let (key, proof) = (OperatorPublicKey::Ed25519(key), OperatorProof::Ed25519(*signature));
    verify_operator(&key, None, digest, &proof)
}

#[test]
fn operator_signatures_agree_with_rfc_8032() {
    // Section 7.1, TEST 1. Its other messages have not 32 bytes: they are beside the verifier itself.
    let seed = bytes::<32>("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let public = bytes::<32>("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &public).unwrap();
    let empty = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
                 d25bf5f0595bbe24655141438e7a100b";
    assert_eq!(pair.sign(b"").as_ref(), bytes::<64>(empty));

    let digest = [0x5a; 32];
    let signature: [u8; 64] = pair.sign(&digest).as_ref().try_into().unwrap();
    assert_eq!(verify_ed25519(public, &digest, &signature), Ok(()));
    assert_eq!(verify_ed25519(public, &[0x5b; 32], &signature), Err(OperatorError::SignatureInvalid));
    let other = bytes::<32>("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    assert_eq!(verify_ed25519(other, &digest, &signature), Err(OperatorError::SignatureInvalid));
}

#[test]
fn a_signature_cannot_be_turned_into_another() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    let public: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
    let digest = [3; 32];
    let mut signature: [u8; 64] = pair.sign(&digest).as_ref().try_into().unwrap();
    // s + L, where L is the order of the base point: the same equation, another spelling.
    let order: [u8; 32] = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0u16;
    for (byte, add) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(verify_ed25519(public, &digest, &signature), Err(OperatorError::SignatureInvalid));
}

#[test]
fn keys_of_small_order_and_second_spellings_are_refused() {
    let p_minus_1 = "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
    for key in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        p_minus_1,
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        // p, p + 1, 2^255 - 1: 0, 1 and 18 spelled a second time.
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ] {
        assert_eq!(KeyMaterial::ed25519(bytes(key)).unwrap_err(), KeyError::WeakEd25519, "{key}");
        // Under the identity, R = identity and s = 0 would fit every message.
        let mut signature = [0; 64];
        signature[0] = 1;
        let result = verify_ed25519(bytes(key), &[0; 32], &signature);
        assert_eq!(result, Err(OperatorError::Key(KeyError::WeakEd25519)), "{key}");
    }
}

#[test]
fn operator_keys_have_one_spelling() {
    let key = bytes::<32>("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    let text = print_operator_key(&key);
    assert_eq!(text, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    assert_eq!(parse_operator_key(&text), Ok(key));
    for bad in [
        "",
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp",
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        " 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    ] {
        assert_eq!(parse_operator_key(bad), Err(OperatorError::KeyFormat), "{bad}");
    }
    assert_eq!(parse_operator_key(&"A".repeat(43)), Err(OperatorError::Key(KeyError::WeakEd25519)));
    assert_eq!(parse_operator_signature("AAAA"), Err(OperatorError::SignatureFormat));
    assert_eq!(parse_operator_signature(&"A".repeat(86)), Ok([0; 64]));
    let passkey = OperatorPublicKey::Passkey(key);
    for (key, text) in [(OperatorPublicKey::Ed25519(key), text), (passkey, passkey.to_string())] {
        assert_eq!(print_operator_public_key(&key), text);
        assert_eq!(parse_operator_public_key(&text), Ok(key));
    }
    let digits = passkey.to_string().replace("passkey:", "");
    for bad in [digits.clone(), format!("PASSKEY:{digits}"), format!("passkey:{}", digits.to_uppercase())] {
        assert_eq!(parse_operator_public_key(&bad), Err(OperatorError::PublicKeyFormat), "{bad}");
    }
}

#[test]
fn public_keys_come_as_pem() {
    let kind = |pem: &str| KeyMaterial::from_public_key_pem(pem).map(|key| key.kind());
    assert_eq!(kind(&recorded_pem("ed25519")), Ok(KeyKind::Ed25519));
    assert_eq!(kind(&recorded_pem("rsa2048")), Ok(KeyKind::RsaPkcs1Sha256));
    assert_eq!(kind(&recorded_pem("rsa4096")), Ok(KeyKind::RsaPkcs1Sha256));
    assert_eq!(kind(&recorded_pem("rsa2048").replace('\n', "\r\n")), Ok(KeyKind::RsaPkcs1Sha256));
    let pem = recorded_pem("rsa2048");
    assert_eq!(kind(&pem.replace("PUBLIC", "PRIVATE")), Err(KeyError::PrivateKey));
    assert_eq!(kind(&pem.replace("PUBLIC", "RSA PUBLIC")), Err(KeyError::Pem));
    assert_eq!(kind(&format!("{pem}{pem}")), Err(KeyError::Pem));
    assert_eq!(kind(&format!("x{pem}")), Err(KeyError::Pem));
    assert_eq!(kind(""), Err(KeyError::Pem));
    assert_eq!(kind(&" ".repeat(5000)), Err(KeyError::Pem));
    // secp256k1, made with `openssl ecparam -name secp256k1 -genkey | openssl ec -pubout`.
    let other = "-----BEGIN PUBLIC KEY-----\nMFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAE\n-----END PUBLIC KEY-----\n";
    assert_eq!(kind(other), Err(KeyError::Algorithm));
}

#[test]
fn rsa_keys_out_of_range_are_refused() {
    let der = |modulus: &[u8], exponent: &[u8]| {
        let element = |tag: u8, contents: &[u8]| {
            let len = u16::try_from(contents.len()).unwrap().to_be_bytes();
            let len = match (len, contents.len()) {
                (_, 0..=0x7f) => vec![len[1]],
                (_, 0x80..=0xff) => vec![0x81, len[1]],
                _ => vec![0x82, len[0], len[1]],
            };
            [&[tag], len.as_slice(), contents].concat()
        };
        element(0x30, &[element(2, modulus), element(2, exponent)].concat())
    };
    let modulus = |len: usize| [vec![0, 0x80], vec![1; len - 1]].concat();
    let public = [1, 0, 1];
    let parse = |der: Vec<u8>| RsaPublicKey::from_pkcs1_der(&der).map(|_| ());
    for len in [256, 384, 512] {
        assert_eq!(parse(der(&modulus(len), &public)), Ok(()), "{len}");
    }
    for len in [64, 128, 255, 513, 1024] {
        assert_eq!(parse(der(&modulus(len), &public)), Err(KeyError::RsaSize), "{len}");
    }
    for exponent in [&[1][..], &[2], &[4], &[2, 0, 0, 0, 1], &[1; 9]] {
        assert_eq!(parse(der(&modulus(256), exponent)), Err(KeyError::RsaSize), "{exponent:?}");
    }
    // A leading zero too many, a negative number, trailing bytes, a cut.
    assert_eq!(parse(der(&[vec![0], modulus(256)].concat(), &public)), Err(KeyError::Algorithm));
    assert_eq!(parse(der(&modulus(256)[1..], &public)), Err(KeyError::Algorithm));
    assert_eq!(parse([der(&modulus(256), &public), vec![0]].concat()), Err(KeyError::Algorithm));
    assert_eq!(parse(der(&modulus(256), &public)[..200].to_vec()), Err(KeyError::Algorithm));
    assert_eq!(parse(vec![]), Err(KeyError::Algorithm));
}

#[test]
fn secrets_do_not_print() {
    let secret = HmacSecret::new(b"correct horse battery staple").unwrap();
    assert_eq!(format!("{secret:?}"), "HmacSecret(..)");
    assert_eq!(HmacSecret::new(&[0; 15]).unwrap_err(), KeyError::HmacLength);
    assert_eq!(HmacSecret::new(&[0; 257]).unwrap_err(), KeyError::HmacLength);
}

proptest! {
    #[test]
    fn arbitrary_keys_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..700), key in any::<[u8; 32]>()) {
        let _ = RsaPublicKey::from_pkcs1_der(&bytes);
        let _ = KeyMaterial::from_public_key_pem(&String::from_utf8_lossy(&bytes));
        let body = holdfast_authn::encoding::to_base64url(&bytes[..bytes.len() / 3 * 3]);
        let body = body.replace('-', "+").replace('_', "/");
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----");
        let _ = KeyMaterial::from_public_key_pem(&pem);
        prop_assert!(verify_ed25519(key, &[0; 32], &[0; 64]).is_err());
    }
}
