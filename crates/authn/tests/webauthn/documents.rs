//! `docs/webauthn.md` says what the code says.

use std::collections::BTreeSet;

use holdfast_authn::webauthn::WebAuthnError;

#[test]
fn the_document_lists_every_refusal() {
    let document = include_str!("../../../../docs/webauthn.md");
    let rows: Vec<(&str, &str)> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `webauthn_")?.strip_suffix(" |")?.split_once("` | "))
        .collect();
    let codes: Vec<(String, String)> =
        WebAuthnError::ALL.iter().map(|error| (error.code().to_owned(), error.to_string())).collect();
    let written: Vec<(String, String)> =
        rows.iter().map(|(code, text)| (format!("webauthn_{code}"), (*text).to_owned())).collect();
    assert_eq!(written, codes);
    assert_eq!(codes.iter().map(|(code, _)| code).collect::<BTreeSet<_>>().len(), codes.len());
}
