//! Assertions: every algorithm, and every way to be wrong.

use holdfast_authn::webauthn::{
    Accepted, Algorithm, Assertion, RelyingParty, WebAuthnError, counter_is_plausible, verify_assertion,
};

use crate::authenticator::{
    APP_ID, AT, BE, BS, CHALLENGE, CREDENTIAL_ID, ED, Key, ORIGIN, RP_ID, Signed, UP, UV, attested,
    authenticator_data, cbor_bytes, cbor_int, cbor_map, cbor_text, client_data, party,
};

/// What is signed over other client data than the good one.
fn with_client_data(key: &Key, client_data: impl Into<Vec<u8>>) -> Result<Accepted, WebAuthnError> {
    Signed::by(key, client_data.into(), authenticator_data(RP_ID, UP | UV, 7, &[])).verify(key)
}

/// What is signed over other authenticator data than the good one.
fn with_data(key: &Key, data: Vec<u8>) -> Result<Accepted, WebAuthnError> {
    Signed::by(key, client_data("webauthn.get", &CHALLENGE, ORIGIN, ""), data).verify(key)
}

fn get(more: &str) -> Vec<u8> {
    client_data("webauthn.get", &CHALLENGE, ORIGIN, more)
}

#[test]
fn assertions_of_every_algorithm_are_accepted_and_say_what_the_key_said() {
    for algorithm in Algorithm::ALL {
        let key = Key::new(algorithm);
        let accepted = Accepted {
            user_verified: true,
            backup_eligible: false,
            backed_up: false,
            counter: 7,
            by_app_id: false,
        };
        assert_eq!(Signed::good(&key).verify(&key), Ok(accepted));
        let data = authenticator_data(RP_ID, UP | BE | BS, u32::MAX, &[]);
        let synced = Accepted {
            user_verified: false,
            backup_eligible: true,
            backed_up: true,
            counter: u32::MAX,
            by_app_id: false,
        };
        assert_eq!(with_data(&key, data), Ok(synced));
    }
}

#[test]
fn another_key_is_refused() {
    for algorithm in Algorithm::ALL {
        let signed = Signed::good(&Key::new(algorithm));
        for other in [Algorithm::Es256, Algorithm::EdDsa] {
            assert_eq!(signed.verify(&Key::new(other)), Err(WebAuthnError::SignatureInvalid));
        }
    }
}

#[test]
fn another_challenge_is_refused() {
    let key = Key::new(Algorithm::Es256);
    let mut other = CHALLENGE;
    other[31] ^= 1;
    for challenge in [&other[..], &CHALLENGE[..31], &[&CHALLENGE[..], b"."].concat(), &[]] {
        let data = client_data("webauthn.get", challenge, ORIGIN, "");
        assert_eq!(with_client_data(&key, data), Err(WebAuthnError::ChallengeMismatch));
    }
    let good = String::from_utf8(get("")).unwrap();
    let spelled = holdfast_authn::encoding::to_base64url(&CHALLENGE);
    assert!(spelled.contains('-') || spelled.contains('Q'));
    for other in [format!("{spelled}="), spelled.to_lowercase(), format!(" {spelled}"), format!("{spelled}A")]
    {
        let data = good.replace(&spelled, &other);
        assert_eq!(with_client_data(&key, data), Err(WebAuthnError::ChallengeMismatch), "{other}");
    }
}

#[test]
fn challenges_that_cannot_be_unique_are_refused() {
    let key = Key::new(Algorithm::EdDsa);
    for (length, refused) in [(0, true), (15, true), (16, false), (1_024, false), (1_025, true)] {
        let challenge = vec![5; length];
        let signed = Signed::by(
            &key,
            client_data("webauthn.get", &challenge, ORIGIN, ""),
            authenticator_data(RP_ID, UP, 0, &[]),
        );
        let assertion = Assertion {
            client_data_json: &signed.client_data,
            authenticator_data: &signed.authenticator_data,
            signature: &signed.signature,
        };
        let verdict = verify_assertion(&party(), &key.public_key(), &challenge, &assertion);
        assert_eq!(verdict.err(), refused.then_some(WebAuthnError::ChallengeLength), "{length}");
    }
}

#[test]
fn another_origin_is_refused() {
    let key = Key::new(Algorithm::Es256);
    for origin in [
        "https://harbor.example",
        "https://approve.harbor.example/",
        "https://approve.harbor.example:443",
        "http://approve.harbor.example",
        "https://APPROVE.harbor.example",
        "https://approve.harbor.example.",
        "https://approve.harbor.example.evil.example",
        "https://approve-harbor.example",
        "null",
        "",
    ] {
        let data = client_data("webauthn.get", &CHALLENGE, origin, "");
        assert_eq!(with_client_data(&key, data), Err(WebAuthnError::OriginMismatch), "{origin}");
    }
    let two = RelyingParty { origins: vec!["https://other.example".into(), ORIGIN.into()], ..party() };
    assert!(Signed::good(&key).verify_for(&two, &key).is_ok());
    let none = RelyingParty { origins: vec![], ..party() };
    assert_eq!(Signed::good(&key).verify_for(&none, &key), Err(WebAuthnError::OriginMismatch));
}

#[test]
fn another_ceremony_is_refused() {
    let key = Key::new(Algorithm::Es256);
    for kind in
        ["webauthn.create", "payment.get", "webauthn.get ", "WEBAUTHN.GET", "navigator.id.getAssertion", ""]
    {
        let data = client_data(kind, &CHALLENGE, ORIGIN, "");
        assert_eq!(with_client_data(&key, data), Err(WebAuthnError::TypeMismatch), "{kind}");
    }
}

#[test]
fn frames_of_other_origins_are_refused() {
    let key = Key::new(Algorithm::Es256);
    for (more, error) in [
        (r#","crossOrigin":true"#, WebAuthnError::CrossOrigin),
        (r#","cross\u004frigin":true"#, WebAuthnError::CrossOrigin),
        (r#","crossOrigin":true,"topOrigin":"https://harbor.example""#, WebAuthnError::TopOrigin),
        (r#","crossOrigin":false,"topOrigin":"https://approve.harbor.example""#, WebAuthnError::TopOrigin),
        (r#","topOrigin":null"#, WebAuthnError::TopOrigin),
        (r#","crossOrigin":"true""#, WebAuthnError::ClientDataMalformed),
        (r#","crossOrigin":null"#, WebAuthnError::ClientDataMalformed),
        (r#","crossOrigin":1"#, WebAuthnError::ClientDataMalformed),
    ] {
        assert_eq!(with_client_data(&key, get(more)), Err(error), "{more}");
    }
    // Only the member at the top says anything.
    assert!(with_client_data(&key, get(r#","x":{"crossOrigin":true,"topOrigin":"a"}"#)).is_ok());
}

#[test]
fn token_binding_in_use_is_refused() {
    let key = Key::new(Algorithm::Es256);
    for status in ["supported", "not-supported"] {
        let more = format!(r#","tokenBinding":{{"status":"{status}"}}"#);
        assert!(with_client_data(&key, get(&more)).is_ok(), "{status}");
    }
    for (binding, error) in [
        (r#"{"status":"present","id":"AAAA"}"#, WebAuthnError::TokenBinding),
        (r#"{"status":"else"}"#, WebAuthnError::TokenBinding),
        ("{}", WebAuthnError::ClientDataMalformed),
        (r#""supported""#, WebAuthnError::ClientDataMalformed),
        ("null", WebAuthnError::ClientDataMalformed),
    ] {
        let more = format!(r#","tokenBinding":{binding}"#);
        assert_eq!(with_client_data(&key, get(&more)), Err(error), "{binding}");
    }
}

#[test]
fn client_data_may_have_more_members_in_any_order_but_none_twice() {
    let key = Key::new(Algorithm::Es256);
    let challenge = holdfast_authn::encoding::to_base64url(&CHALLENGE);
    let reordered = format!(
        "{{ \"origin\" : \"https:\\/\\/approve.harbor.example\",\n\"new\":[1,2.5e3,{{}}],\"challenge\":\"{challenge}\",\
         \"type\":\"webauthn\\u002eget\"}} "
    );
    assert!(with_client_data(&key, reordered).is_ok());
    for more in [
        format!(r#","origin":"{ORIGIN}""#),
        format!(r#","challenge":"{challenge}""#),
        r#","type":"webauthn.get""#.to_owned(),
        r#","\u0074ype":"webauthn.get""#.to_owned(),
        r#","crossOrigin":false,"crossOrigin":true"#.to_owned(),
        r#","x":{"a":1,"a":2}"#.to_owned(),
    ] {
        assert_eq!(with_client_data(&key, get(&more)), Err(WebAuthnError::ClientDataDuplicate), "{more}");
    }
}

#[test]
fn client_data_that_is_not_the_browsers_is_refused() {
    let key = Key::new(Algorithm::Es256);
    let good = get("");
    let mut not_utf8 = get(r#","x":"?""#);
    *not_utf8.iter_mut().rfind(|byte| **byte == b'?').unwrap() = 0xff;
    for data in [
        b"".to_vec(),
        b"{}".to_vec(),
        b"[]".to_vec(),
        br#""webauthn.get""#.to_vec(),
        [&b"\xef\xbb\xbf"[..], &good].concat(),
        [&good[..], b"{}"].concat(),
        [&good[..], b"\0"].concat(),
        String::from_utf8(good.clone()).unwrap().replace("\"challenge\"", "\"Challenge\"").into_bytes(),
        not_utf8,
    ] {
        assert_eq!(with_client_data(&key, data), Err(WebAuthnError::ClientDataMalformed));
    }
    let filled = |length: usize| {
        let empty = get(r#","x":"""#).len();
        get(&format!(r#","x":"{}""#, "y".repeat(length - empty)))
    };
    assert!(with_client_data(&key, filled(4_096)).is_ok());
    assert_eq!(with_client_data(&key, filled(4_097)), Err(WebAuthnError::ClientDataSize));
}

#[test]
fn every_prefix_of_client_data_is_refused() {
    let key = Key::new(Algorithm::EdDsa);
    let good = get(r#","crossOrigin":false,"x":"é\n""#);
    assert!(with_client_data(&key, good.clone()).is_ok());
    for end in 0..good.len() {
        assert_eq!(with_client_data(&key, &good[..end]), Err(WebAuthnError::ClientDataMalformed), "{end}");
    }
}

#[test]
fn another_relying_party_is_refused() {
    let key = Key::new(Algorithm::Es256);
    for rp_id in ["harbor.example", "approve.harbor.example.", "APPROVE.harbor.example", ORIGIN, APP_ID, ""] {
        let data = authenticator_data(rp_id, UP | UV, 7, &[]);
        assert_eq!(with_data(&key, data), Err(WebAuthnError::RpIdMismatch), "{rp_id}");
    }
}

#[test]
fn a_key_of_legacy_u2f_signs_for_the_app_id_if_there_is_one() {
    let key = Key::new(Algorithm::Es256);
    let legacy = RelyingParty { app_id: Some(APP_ID.into()), ..party() };
    let signed = Signed::by(&key, get(""), authenticator_data(APP_ID, UP, 9, &[]));
    let accepted = signed.verify_for(&legacy, &key).unwrap();
    assert!(accepted.by_app_id && !accepted.user_verified && accepted.counter == 9);
    assert!(!Signed::good(&key).verify_for(&legacy, &key).unwrap().by_app_id);

    assert_eq!(signed.verify(&key), Err(WebAuthnError::RpIdMismatch));
    let other = RelyingParty { app_id: Some("https://harbor.example".into()), ..party() };
    assert_eq!(signed.verify_for(&other, &key), Err(WebAuthnError::RpIdMismatch));
}

#[test]
fn nobody_present_is_refused() {
    let key = Key::new(Algorithm::Es256);
    for flags in [0, UV, BE, UV | BE | BS] {
        let data = authenticator_data(RP_ID, flags, 7, &[]);
        assert_eq!(with_data(&key, data), Err(WebAuthnError::UserNotPresent), "{flags:02x}");
    }
}

#[test]
fn a_backup_of_what_cannot_be_backed_up_is_refused() {
    let key = Key::new(Algorithm::Es256);
    let data = authenticator_data(RP_ID, UP | BS, 7, &[]);
    assert_eq!(with_data(&key, data), Err(WebAuthnError::BackupFlags));
    assert!(with_data(&key, authenticator_data(RP_ID, UP | BE, 7, &[])).is_ok());
}

#[test]
fn a_credential_in_an_assertion_is_refused() {
    let key = Key::new(Algorithm::Es256);
    let credential = attested([0; 16], &CREDENTIAL_ID, &key.cose());
    let data = authenticator_data(RP_ID, UP | AT, 7, &credential);
    assert_eq!(with_data(&key, data), Err(WebAuthnError::CredentialUnexpected));
    let data = authenticator_data(RP_ID, UP, 7, &credential);
    assert_eq!(with_data(&key, data), Err(WebAuthnError::AuthenticatorDataMalformed));
}

#[test]
fn extensions_are_one_well_formed_map() {
    let key = Key::new(Algorithm::Es256);
    let with = |extensions: &[u8]| with_data(&key, authenticator_data(RP_ID, UP | ED, 7, extensions));
    for good in [
        cbor_map(&[]),
        cbor_map(&[(cbor_text("appid"), vec![0xf5])]),
        cbor_map(&[
            (cbor_text("uvm"), vec![0x81, 0x83, 0x02, 0x04, 0x02]),
            (cbor_text("credProps"), vec![0xa0]),
        ]),
    ] {
        assert!(with(&good).is_ok(), "{good:02x?}");
    }
    let (a, b) = (cbor_text("a"), cbor_text("b"));
    for (bad, error) in [
        (vec![], WebAuthnError::CborMalformed),
        (cbor_bytes(b"a"), WebAuthnError::ExtensionsMalformed),
        (vec![0x80], WebAuthnError::ExtensionsMalformed),
        (vec![0xf6], WebAuthnError::ExtensionsMalformed),
        (cbor_map(&[(cbor_int(1), cbor_int(1))]), WebAuthnError::ExtensionsMalformed),
        (cbor_map(&[(a.clone(), cbor_int(1)), (a.clone(), cbor_int(1))]), WebAuthnError::CborDuplicateKey),
        (cbor_map(&[(b, cbor_int(1)), (a, cbor_int(1))]), WebAuthnError::CborNotCanonical),
        (vec![0xbf, 0xff], WebAuthnError::CborNotCanonical),
        (vec![0xbf, 0x61, 0x61, 0x01, 0xff], WebAuthnError::CborNotCanonical),
        (vec![0xa1, 0x61, 0x61, 0x5f, 0x41, 0x01, 0xff], WebAuthnError::CborNotCanonical),
        (vec![0xa1, 0x61, 0x61], WebAuthnError::CborMalformed),
        (vec![0xa0, 0x00], WebAuthnError::AuthenticatorDataMalformed),
        (vec![0xa0, 0xa0], WebAuthnError::AuthenticatorDataMalformed),
    ] {
        assert_eq!(with(&bad), Err(error), "{bad:02x?}");
    }
    // The flag says whether they are there.
    let data = authenticator_data(RP_ID, UP, 7, &[0xa0]);
    assert_eq!(with_data(&key, data), Err(WebAuthnError::AuthenticatorDataMalformed));
}

#[test]
fn every_prefix_of_authenticator_data_is_refused_whoever_signed_it() {
    let key = Key::new(Algorithm::EdDsa);
    let extensions = cbor_map(&[(cbor_text("appid"), vec![0xf5])]);
    let good = authenticator_data(RP_ID, UP | ED, 7, &extensions);
    assert!(with_data(&key, good.clone()).is_ok());
    for end in 0..good.len() {
        assert!(with_data(&key, good[..end].to_vec()).is_err(), "{end}");
    }
    let long = authenticator_data(RP_ID, UP | ED, 7, &cbor_map(&[(cbor_text("a"), cbor_bytes(&[0; 4_051]))]));
    assert_eq!(long.len(), 4_094);
    assert!(with_data(&key, long).is_ok());
    let long = authenticator_data(RP_ID, UP | ED, 7, &cbor_map(&[(cbor_text("a"), cbor_bytes(&[0; 4_054]))]));
    assert_eq!(with_data(&key, long), Err(WebAuthnError::AuthenticatorDataSize));
}

#[test]
fn every_flipped_bit_is_refused() {
    for algorithm in Algorithm::ALL {
        let key = Key::new(algorithm);
        let good = Signed::good(&key);
        for part in 0..3 {
            let length = [&good.client_data, &good.authenticator_data, &good.signature][part].len();
            for bit in 0..length * 8 {
                let mut bad = good.clone();
                let bytes = match part {
                    0 => &mut bad.client_data,
                    1 => &mut bad.authenticator_data,
                    _ => &mut bad.signature,
                };
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(bad.verify(&key).is_err(), "{algorithm:?} part {part} bit {bit}");
            }
        }
    }
}

#[test]
fn every_prefix_of_a_signature_and_bytes_behind_it_are_refused() {
    for algorithm in Algorithm::ALL {
        let key = Key::new(algorithm);
        let good = Signed::good(&key);
        for end in 0..good.signature.len() {
            let bad = Signed { signature: good.signature[..end].to_vec(), ..good.clone() };
            assert_eq!(bad.verify(&key), Err(WebAuthnError::SignatureInvalid));
        }
        let bad = Signed { signature: [&good.signature[..], &[0]].concat(), ..good };
        assert_eq!(bad.verify(&key), Err(WebAuthnError::SignatureInvalid));
    }
}

#[test]
fn an_assertion_for_one_text_approves_no_other() {
    let key = Key::new(Algorithm::Es256);
    let signed = Signed::good(&key);
    let assertion = Assertion {
        client_data_json: &signed.client_data,
        authenticator_data: &signed.authenticator_data,
        signature: &signed.signature,
    };
    let verdict =
        verify_assertion(&party(), &key.public_key(), b"the SHA-256 of another text, 32 b", &assertion);
    assert_eq!(verdict, Err(WebAuthnError::ChallengeMismatch));
}

#[test]
fn a_counter_that_does_not_rise_is_not_plausible_unless_the_key_never_counts() {
    for (stored, presented, plausible) in [
        (0, 0, true),
        (0, 1, true),
        (1, 2, true),
        (7, u32::MAX, true),
        (1, 1, false),
        (2, 1, false),
        (1, 0, false),
        (u32::MAX, 0, false),
        (u32::MAX, u32::MAX, false),
    ] {
        assert_eq!(counter_is_plausible(stored, presented), plausible, "{stored} {presented}");
    }
}
