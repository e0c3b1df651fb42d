//! The options that a page gives the browser, read by another reader of JSON.

use holdfast_authn::webauthn::{CreationOptions, RelyingParty, RequestOptions, UserVerification};
use serde_json::{Value, json};

use crate::authenticator::{APP_ID, CHALLENGE, RP_ID, party};

const SPELLED: &str = "dGhlIFNIQS0yNTYgb2YgYSB3aXRoZHJhd2FsIHRleHQ";

#[test]
fn creation_options_are_what_browsers_read() {
    let party = RelyingParty { app_id: Some(APP_ID.into()), ..party() };
    let options = CreationOptions {
        party: &party,
        party_name: "Harbor \"</script>\"\n\\",
        user_id: b"account",
        user_name: "älice\u{2028}",
        challenge: &CHALLENGE,
        exclude: &[b"one", b"two"],
        discoverable: false,
        user_verification: UserVerification::Preferred,
        attested: true,
        timeout_milliseconds: 120_000,
    };
    let json = options.to_json();
    assert!(!json.contains('<') && !json.contains('\u{2028}') && !json.contains('\n'));
    let expected = json!({
        "rp": { "id": RP_ID, "name": "Harbor \"</script>\"\n\\" },
        "user": { "id": "YWNjb3VudA", "name": "älice\u{2028}", "displayName": "älice\u{2028}" },
        "challenge": SPELLED,
        "pubKeyCredParams": [
            { "type": "public-key", "alg": -7 },
            { "type": "public-key", "alg": -8 },
            { "type": "public-key", "alg": -257 },
        ],
        "timeout": 120_000,
        "excludeCredentials": [{ "type": "public-key", "id": "b25l" }, { "type": "public-key", "id": "dHdv" }],
        "authenticatorSelection": {
            "residentKey": "discouraged", "requireResidentKey": false, "userVerification": "preferred",
        },
        "attestation": "direct",
        "extensions": { "appidExclude": APP_ID },
    });
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), expected);
}

#[test]
fn request_options_are_what_browsers_read() {
    let with_app_id = RelyingParty { app_id: Some(APP_ID.into()), ..party() };
    for (party, extensions) in [(with_app_id, json!({ "appid": APP_ID })), (party(), json!({}))] {
        let options = RequestOptions {
            party: &party,
            challenge: &CHALLENGE,
            allow: &[b"one"],
            user_verification: UserVerification::Required,
            timeout_milliseconds: 60_000,
        };
        let expected = json!({
            "challenge": SPELLED,
            "timeout": 60_000,
            "rpId": RP_ID,
            "allowCredentials": [{ "type": "public-key", "id": "b25l" }],
            "userVerification": "required",
            "extensions": extensions,
        });
        assert_eq!(serde_json::from_str::<Value>(&options.to_json()).unwrap(), expected);
    }
}
