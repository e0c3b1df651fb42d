//! Every way in which a request can be refused, as one table: stable code, HTTP status, title. `docs/problems.md` is
//! printed from it. On the wire they are RFC 9457 problem details.
//!
//! No problem repeats a secret; what it repeats of the request is what its sender wrote.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use holdfast_decision::reason::Refusal;
use serde::Serialize;

/// One row: code, status, title.
type Row = (&'static str, u16, &'static str);

/// What the edge refuses. The core's refusals are in [`Refusal`]; [`refusal_status`] gives their status.
const TABLE: &[Row] = &[
    // The request as such.
    ("malformed_json", 400, "The body is not JSON."),
    ("body_invalid", 422, "The body is JSON, but not of the form that this operation takes."),
    ("body_too_large", 413, "The body is larger than this operation takes."),
    ("unsupported_media_type", 415, "Send the body as application/json."),
    ("request_timeout", 408, "The request did not arrive in time."),
    ("query_invalid", 400, "The query does not read as this operation's parameters."),
    ("path_invalid", 404, "There is nothing at this path: part of it is not an id of the right kind."),
    ("not_found", 404, "There is nothing at this path."),
    ("method_not_allowed", 405, "The path exists, but not for this method."),
    ("cursor_invalid", 400, "The cursor is none that a list of this kind gave."),
    ("idempotency_key_missing", 400, "Send an Idempotency-Key header: 1 to 128 visible ASCII characters."),
    ("idempotency_key_invalid", 400, "An idempotency key has 1 to 128 visible ASCII characters."),
    // Whose word it is.
    ("token_missing", 401, "Send a token: `Authorization: Bearer hf_...`."),
    ("token_unknown_or_revoked", 401, "The token is not one that is in use."),
    ("scope_missing", 403, "The token does not have the scope that this operation needs."),
    // Fields.
    ("id_invalid", 422, "The text is not an id of this kind."),
    ("asset_invalid", 422, "An asset symbol has 1 to 16 capital letters and digits."),
    ("network_unknown", 422, "The network is none that Holdfast knows."),
    ("amount_malformed", 422, "The amount is not a plain decimal number of this asset."),
    ("amount_too_precise", 422, "The amount has more decimals than the asset."),
    ("amount_too_large", 422, "The amount does not fit 128 bits of base units."),
    ("price_malformed", 422, "A price is a plain decimal number of US dollars with at most six decimals."),
    ("scope_invalid", 422, "A halt's scope is `overall`, `asset:SYMBOL`, `wallet:NAME` or `account:ID`."),
    ("ip_invalid", 422, "The text is not an IP address."),
    ("base64url_invalid", 422, "The text is not base64url without padding in its one spelling."),
    ("base64_invalid", 422, "The text is not base64 in its one spelling."),
    ("too_many_items", 422, "The list has more items than one request may carry."),
    ("withdrawal_not_named", 422, "The list names a withdrawal that is not one of the transaction's."),
    ("gate_not_configured", 404, "This server has no gate: name its routes in the configuration."),
    ("dialect_unknown", 422, "Signed API requests of this dialect cannot be verified."),
    // Destinations.
    ("address_empty", 422, "The address is empty."),
    ("address_length", 422, "The address has the wrong length."),
    (
        "address_encoding",
        422,
        "The address holds characters, or lacks a prefix, that this network's addresses have.",
    ),
    ("address_mixed_case", 422, "The address mixes upper and lower case."),
    ("address_checksum", 422, "The checksum of the address does not fit."),
    ("address_padding", 422, "The address ends in bits that no address has."),
    ("address_network", 422, "The address belongs to another network."),
    ("address_version", 422, "The text is no payable address on this network."),
    ("address_private_key", 422, "This is a private key, not an address."),
    ("address_not_payable", 422, "Coins sent to this address are lost."),
    ("memo_invalid", 422, "The memo or tag is malformed."),
    ("memo_not_supported", 422, "This kind of address takes no memo or tag."),
    ("memo_conflict", 422, "The address carries a tag that differs from the one given."),
    // The customer's signed API request.
    ("request_too_large", 422, "A part of the signed request is longer than any real one."),
    ("too_many_headers", 422, "The signed request has too many headers."),
    ("too_many_parameters", 422, "The signed request has too many parameters."),
    ("wrong_endpoint", 422, "The signed request is not one that withdraws."),
    ("api_key_missing", 422, "The signed request carries no API key."),
    ("api_key_repeated", 422, "The signed request carries its API key more than once."),
    ("api_key_malformed", 422, "The API key is not the name of one."),
    ("malformed_parameter", 422, "A parameter of the signed request cannot be read in exactly one way."),
    ("unknown_parameter", 422, "A parameter of the signed request is none that the endpoint takes."),
    ("duplicate_parameter", 422, "A parameter of the signed request is repeated."),
    ("parameter_missing", 422, "A parameter of the signed request is missing."),
    ("parameter_invalid", 422, "A parameter of the signed request is not of its kind."),
    ("parameters_split", 422, "The signed request splits its parameters between query and body."),
    ("signature_missing", 422, "The API request is not signed."),
    ("signature_not_last", 422, "The signature must be the last parameter of the signed request."),
    ("signature_invalid", 422, "The signature does not fit the API request and the key."),
    ("timestamp_missing", 422, "The signed request has no timestamp."),
    ("timestamp_invalid", 422, "The timestamp of the signed request is none."),
    ("window_invalid", 422, "The signed request wants to be valid for too long."),
    ("network_missing", 422, "The signed request names no network, and the asset lives on several."),
    ("api_key_not_stored", 422, "Holdfast holds no key material for this API key."),
    ("method_unsupported", 422, "The signed request has a method that its dialect does not use."),
    ("path_malformed", 422, "The path of the signed request does not read as one."),
    ("query_malformed", 422, "The query of the signed request does not read as one."),
    ("query_unsigned", 422, "The signature does not cover the query of the signed request."),
    ("body_malformed", 422, "The body of the signed request does not read as its dialect writes it."),
    ("body_unexpected", 422, "The signed request has a body where its dialect takes none."),
    ("header_missing", 422, "The signed request lacks a header that its dialect needs."),
    ("header_repeated", 422, "A header of the signed request is repeated."),
    ("header_malformed", 422, "A header of the signed request does not read as its dialect writes it."),
    (
        "bearer_token_refused",
        422,
        "The request carries a bearer token, which proves nothing about what it asks: sign it.",
    ),
    ("key_version_unsupported", 422, "The signed request names a version of keys that cannot be verified."),
    ("nonce_missing", 422, "The signed request has no nonce."),
    ("nonce_invalid", 422, "The nonce of the signed request is none."),
    ("passphrase_invalid", 422, "The passphrase does not fit the API key."),
    ("component_missing", 422, "The signature does not cover a component of the request that it must."),
    ("component_unsupported", 422, "The signature covers a component that cannot be verified."),
    ("content_digest_mismatch", 422, "The body is not the one whose digest was signed."),
    // Security keys, codes and mandates.
    (
        "parties_not_configured",
        409,
        "The exchange's configuration names no relying party for such credentials.",
    ),
    ("app_id_not_configured", 409, "Keys of legacy U2F need an `app_id` in the exchange's configuration."),
    ("too_many_challenges", 503, "Too many challenges wait for their answer: try again soon."),
    ("challenge_unknown", 422, "No challenge waits for this answer: ask for another."),
    ("registration_invalid", 422, "The registration does not verify."),
    ("assertion_invalid", 422, "The assertion does not verify over this text or challenge."),
    ("credential_not_stored", 409, "Holdfast holds no public key of this credential."),
    (
        "credential_differs",
        409,
        "The vault holds another public key than the journal: nothing it signs counts.",
    ),
    ("change_text_malformed", 422, "The text is not in the form of holdfast-change/v1."),
    ("change_text_differs", 422, "The approved text says something else than this change."),
    ("mandate_text_malformed", 422, "The text is not in the form of holdfast-mandate/v1."),
    ("mandate_invalid", 422, "No mandate can say this."),
    ("mandate_key_differs", 422, "The mandate names another public key than the API key has now."),
    (
        "mandate_needs_public_key",
        422,
        "Only an Ed25519 or RSA key can have a mandate: others know a shared secret too.",
    ),
    ("codes_not_begun", 409, "No new generator of one-time codes waits for its first code."),
    ("code_wrong", 422, "The code is wrong."),
    ("panic_link_unknown", 404, "This link is none that is in use."),
    ("key_hmac_base64", 422, "Secrets of this dialect are in base64, with its padding."),
    ("key_passphrase_length", 422, "A passphrase has 1 to 128 bytes."),
    (
        "key_passphrase_unexpected",
        422,
        "okx and kucoin want a passphrase, coinbase takes one, the other dialects have none.",
    ),
    // Key material.
    ("key_pem_invalid", 422, "Give the public key as PEM (SubjectPublicKeyInfo)."),
    ("key_is_private", 422, "This is a private key: give its public half."),
    ("key_algorithm_unsupported", 422, "Keys of this algorithm cannot be used."),
    ("key_rsa_size", 422, "RSA keys must have 2048 to 4096 bits."),
    ("key_ed25519_weak", 422, "This is not a usable Ed25519 public key."),
    ("key_hmac_length", 422, "An HMAC secret has 16 to 256 bytes."),
    ("key_algorithm_mismatch", 422, "The key is not of the algorithm that was named."),
    // Operators.
    ("operator_text_malformed", 422, "The text is not in the form of holdfast-operator/v1."),
    ("operator_act_unknown", 422, "The text names no act that exists, or not in its one spelling."),
    ("operator_payload_missing", 422, "The act needs its payload."),
    ("operator_payload_unexpected", 422, "The act takes no payload."),
    ("operator_payload_invalid", 422, "The payload is not what the act takes."),
    ("operator_payload_differs", 422, "The payload is not the one whose digest was signed."),
    ("operator_key_malformed", 422, "The public key is not 32 bytes in base64url."),
    (
        "operator_signature_malformed",
        422,
        "Neither an Ed25519 signature nor a passkey's assertion in base64url.",
    ),
    ("operator_signature_invalid", 422, "The signature is not this operator's over this text."),
    ("operator_signature_kind", 422, "The operator's key is of the other kind: Ed25519 or passkey."),
    ("operator_passkey_differs", 422, "The passkey is not the one that is enrolled for this operator."),
    ("operator_party_missing", 422, "The configuration names no relying party for operators' passkeys."),
    ("operator_user_not_verified", 422, "The passkey did not verify its owner, as operators' passkeys must."),
    ("operator_signature_repeated", 422, "The same operator signed twice: each counts once."),
    ("import_chunk_invalid", 422, "The part of the import does not read as one."),
    // Transactions.
    ("transfer_text_malformed", 422, "The text is not in the form of holdfast-transfer/v1."),
    ("receipt_invalid", 422, "The receipt is not one that a configured signer signed."),
    ("observation_invalid", 422, "The observation does not read as one."),
    ("transaction_not_found", 404, "No released transaction of this digest is remembered."),
    ("policy_pack_invalid", 422, "The pack does not compile: see the detail, or run holdfast policy check."),
    ("shadow_not_running", 404, "No candidate policy is compared: PUT one."),
    (
        "shadow_not_kept",
        500,
        "The candidate cannot be written into the data directory: see the server's log.",
    ),
    (
        "policy_disagreement",
        500,
        "The policy's evaluator and Cedar itself disagree about this batch: nothing is signed, and everything is halted.",
    ),
    (
        "release_key_missing",
        503,
        "This data directory has no release key: make one with `holdfast release-key` and pin it at the signer.",
    ),
    (
        "release_key_unavailable",
        503,
        "The token that holds the release key refused or failed: ask again, and look at the log and at the token.",
    ),
    // What the bytes of a transaction do.
    ("payer_unknown", 422, "The paying wallet is not among the known wallets."),
    (
        "transaction_too_long",
        422,
        "The transaction is too long: a PSBT has at most 4194304 bytes, an EVM transaction 4096.",
    ),
    ("trailing_bytes", 422, "Bytes follow the end of the transaction: send exactly its bytes."),
    (
        "psbt_malformed",
        422,
        "The bytes are no partially signed Bitcoin transaction (BIP-174), raw, not in base64.",
    ),
    ("psbt_version", 422, "Only version 0 of PSBT is understood (BIP-174): convert it first."),
    ("transaction_version", 422, "The transaction must have version 1 or 2."),
    ("no_inputs", 422, "The transaction spends nothing."),
    ("no_outputs", 422, "The transaction pays nothing but a fee."),
    ("too_many_inputs", 422, "The transaction has more than 1000 inputs: split it."),
    ("too_many_outputs", 422, "The transaction has more than 1000 outputs: split it."),
    (
        "too_many_hints",
        422,
        "An input or output names more derivations than a wallet with single keys has: leave the foreign ones out.",
    ),
    ("too_many_fields", 422, "The PSBT has too many fields: leave out what signing does not need."),
    ("input_duplicate", 422, "An input spends the same output as one before it."),
    ("input_signed", 422, "An input carries a signature already: send the PSBT as it was before signing."),
    (
        "previous_transaction_missing",
        422,
        "An input needs its whole previous transaction (non_witness_utxo): without it the amount is only a claim.",
    ),
    (
        "previous_transaction_txid",
        422,
        "The previous transaction of an input has another id than the one that the input spends.",
    ),
    (
        "previous_transaction_output",
        422,
        "The previous transaction of an input has no output of that number.",
    ),
    (
        "utxo_missing",
        422,
        "An input needs the output that it spends (witness_utxo for taproot, otherwise non_witness_utxo).",
    ),
    (
        "witness_utxo_differs",
        422,
        "The witness_utxo of an input differs from the output in its previous transaction.",
    ),
    (
        "input_foreign",
        422,
        "An input is not derived from the descriptors of the paying wallet at the index that its derivation names.",
    ),
    ("sighash_type", 422, "An input asks for another sighash type than ALL (or DEFAULT, for taproot)."),
    ("amount_range", 422, "An input or output has more than 21 million bitcoin."),
    ("outputs_exceed_inputs", 422, "The outputs are worth more than the inputs."),
    (
        "output_script",
        422,
        "An output pays no address that can be paid (OP_RETURN, bare script, unknown witness version).",
    ),
    ("evm_type", 422, "The first byte must be 0x02: only EIP-1559 transactions are understood."),
    ("evm_malformed", 422, "The bytes are no unsigned EIP-1559 transaction in canonical RLP."),
    ("chain_id", 422, "The chain id is not that of the paying wallet's network."),
    ("contract_creation", 422, "The transaction creates a contract, which is never released."),
    ("access_list", 422, "The access list must be empty."),
    ("fee_order", 422, "The priority fee per gas is more than the maximum fee per gas."),
    ("gas_limit", 422, "The gas limit must lie between 21,000 and 30,000,000."),
    ("nonce_range", 422, "The nonce is over the largest that an account can use (EIP-2681)."),
    ("fee_range", 422, "The fee does not fit 128 bits."),
    ("value_range", 422, "The value or token amount does not fit 128 bits."),
    ("value_zero", 422, "A payment of nothing may only go to the paying address itself, to cancel a nonce."),
    ("value_with_calldata", 422, "A token payment must have the value 0."),
    (
        "calldata_unknown",
        422,
        "The calldata is not exactly transfer(address,uint256): nothing else is understood.",
    ),
    ("destination_invalid", 422, "The recipient or the token contract is no address that can be paid."),
    // What there is.
    ("withdrawal_not_found", 404, "There is no withdrawal of this id."),
    ("account_not_found", 404, "There is no account of this id."),
    // Bad days.
    ("overloaded", 503, "Too many requests are waiting: try again after the time in Retry-After."),
    (
        "journal_unavailable",
        503,
        "The journal cannot be written: nothing is decided until it can. Lists are still answered.",
    ),
    ("shutting_down", 503, "The server is stopping: try again after the time in Retry-After."),
    ("views_behind", 503, "The lists have not reached that sequence yet: try again."),
    ("views_unavailable", 503, "The lists cannot be read at the moment."),
    ("vault_unavailable", 503, "Secrets cannot be read or written at the moment."),
    ("outcome_unknown", 504, "No answer came in time. Ask again with the same idempotency key."),
    ("internal", 500, "Holdfast failed to answer. The log has the request's id."),
];

/// The status of a refusal of the core.
#[must_use]
pub const fn refusal_status(refusal: Refusal) -> u16 {
    match refusal {
        Refusal::AccountUnknown
        | Refusal::WithdrawalUnknown
        | Refusal::ApiKeyUnknown
        | Refusal::AddressUnknown
        | Refusal::CaseUnknown
        | Refusal::TokenUnknown
        | Refusal::CredentialUnknown
        | Refusal::MandateUnknown
        | Refusal::ProposalUnknown
        | Refusal::BaseUnknown
        | Refusal::ActUnknown => 404,
        Refusal::AccountExists
        | Refusal::WithdrawalExists
        | Refusal::NotAwaitingFactor
        | Refusal::ApiKeyForeign
        | Refusal::OperatorExists
        | Refusal::NotHalted
        | Refusal::NotFrozen
        | Refusal::TokenExists
        | Refusal::TextUsed
        | Refusal::ClockNotSuspect
        | Refusal::AlreadyReleased
        | Refusal::NotConflicting
        | Refusal::HaltedNow
        | Refusal::EpochInvalid
        | Refusal::FeeBucketSpent
        | Refusal::SignerNotRecovered
        | Refusal::AlreadyInitialised
        | Refusal::NotInitialised
        | Refusal::TextLapsed
        | Refusal::TextNotLapsed
        | Refusal::SettingsLocked
        | Refusal::NothingToChange
        | Refusal::AccountFrozen
        | Refusal::ActReplaced
        | Refusal::PolicySuperseded
        | Refusal::ProposalExists
        | Refusal::ConfigurationSuperseded
        | Refusal::LimitsSuperseded
        | Refusal::RulesTooOld
        | Refusal::RulesOlder
        | Refusal::CredentialExists
        | Refusal::PartyMissing
        | Refusal::RecoveryUnderWay
        | Refusal::RecoveryNotBegun
        | Refusal::RecoveryWaits
        | Refusal::CodeUsed
        | Refusal::CodesUnknown => 409,
        Refusal::WithdrawalForeign
        | Refusal::NotTighter
        | Refusal::SignaturesInsufficient
        | Refusal::ApprovalNeeded
        | Refusal::CredentialNotCounting
        | Refusal::CounterWentBack
        | Refusal::CodeNeeded
        | Refusal::CodeLocked => 403,
        _ => 422,
    }
}

/// Every code that an answer can carry, sorted: code, status, title.
#[must_use]
pub fn all() -> Vec<(&'static str, u16, &'static str)> {
    let refusals = Refusal::ALL.iter().map(|r| (r.code(), refusal_status(*r), r.sentence()));
    let mut rows: Vec<_> = TABLE.iter().copied().chain(refusals).collect();
    rows.sort_unstable();
    rows
}

/// `docs/problems.md`.
#[must_use]
pub fn document() -> String {
    let mut text = String::from(
        "# Problems\n\nWhat Holdfast refuses, it refuses with an `application/problem+json` body (RFC 9457): `type` is \
         `urn:holdfast:problem:CODE`,\n`code` is stable, `title` is the sentence below, `detail` says what exactly, \
         `field` names the part of the request.\nA withdrawal that is denied or held is not a problem: it is an answer \
         with its reasons.\nThe `detail` of `registration_invalid` and `assertion_invalid` begins with a code of \
         [webauthn.md](webauthn.md).\n\nThis page is printed from the code; `cargo test -p holdfast-server` compares it.\n\n\
         | code | status | meaning |\n|---|---|---|\n",
    );
    for (code, status, title) in all() {
        let _infallible = writeln!(text, "| `{code}` | {status} | {title} |");
    }
    text
}

/// A refusal on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    code: &'static str,
    status: u16,
    title: &'static str,
    detail: Option<String>,
    field: Option<String>,
    retry_after: Option<u32>,
    sequence: Option<u64>,
    /// What a client needs to go on, as an extension member (RFC 9457 section 3.2).
    more: Option<Box<(&'static str, serde_json::Value)>>,
}

#[derive(Serialize)]
struct Wire<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(flatten)]
    more: Option<BTreeMap<&'static str, &'a serde_json::Value>>,
}

impl Problem {
    /// The problem of that code.
    #[must_use]
    pub fn new(code: &'static str) -> Self {
        let (status, title) = TABLE
            .iter()
            .find(|row| row.0 == code)
            .map_or((422, "The request cannot be carried out."), |row| (row.1, row.2));
        let retry_after = (status == 503).then_some(1);
        Self { code, status, title, detail: None, field: None, retry_after, sequence: None, more: None }
    }

    /// A refusal of the core.
    #[must_use]
    pub fn refused(refusal: Refusal, detail: &str) -> Self {
        Self {
            code: refusal.code(),
            status: refusal_status(refusal),
            title: refusal.sentence(),
            detail: (!detail.is_empty() && detail != refusal.sentence()).then(|| detail.to_owned()),
            field: None,
            retry_after: None,
            sequence: None,
            more: None,
        }
    }

    /// With what exactly is wrong.
    #[must_use]
    pub fn detail(mut self, detail: impl ToString) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// With the part of the request that is wrong.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// With what a client needs to go on.
    #[must_use]
    pub fn with(mut self, member: &'static str, value: serde_json::Value) -> Self {
        self.more = Some(Box::new((member, value)));
        self
    }

    /// With the record that says so.
    #[must_use]
    pub const fn at(mut self, sequence: u64) -> Self {
        self.sequence = Some(sequence);
        self
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The sentence and what exactly, for people.
    #[must_use]
    pub fn message(&self) -> String {
        match (&self.field, &self.detail) {
            (Some(field), Some(detail)) => format!("{} {field}: {detail}", self.title),
            (None, Some(detail)) => format!("{} {detail}", self.title),
            _ => self.title.to_owned(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let wire = Wire {
            r#type: format!("urn:holdfast:problem:{}", self.code),
            title: self.title,
            status: self.status,
            code: self.code,
            detail: self.detail.as_deref(),
            field: self.field.as_deref(),
            more: self.more.as_deref().map(|(member, value)| BTreeMap::from([(*member, value)])),
        };
        let body = serde_json::to_vec(&wire).unwrap_or_default();
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(sequence) = self.sequence {
            headers.insert(crate::http::SEQUENCE_HEADER, HeaderValue::from(sequence));
        }
        if self.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(Code(self.code));
        response
    }
}

/// The code of a problem, left on the response for the log line.
#[derive(Clone, Copy, Debug)]
pub struct Code(pub &'static str);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_snake_case() {
        let rows = all();
        for pair in rows.windows(2) {
            assert_ne!(pair[0].0, pair[1].0, "one code, one meaning");
        }
        for (code, status, title) in rows {
            assert!(
                code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{code}"
            );
            assert!((400..600).contains(&status), "{code}");
            assert!(title.ends_with('.'), "{code}");
        }
    }
}
