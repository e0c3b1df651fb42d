//! What operators sign: acts that loosen, and the history that they vouch for. Signatures are verified here; whether
//! they suffice is the core's to judge.

use std::collections::BTreeMap;

use axum::extract::State;
use holdfast_authn::encoding;
use holdfast_authn::operator::{OperatorError, Operators, parse_operator_signature, verify_operator};
use holdfast_decision::acts::{
    Act, Digest, PolicyProposal, PolicyTightening, REASON_BYTES_MAX, REPORT_BYTES_MAX, parse_from,
};
use holdfast_decision::command::{
    Command, ImportedAccount, ImportedAddress, ImportedApiKey, ImportedWithdrawal, OperatorAct, OperatorKey,
    OperatorSignature, Scopes,
};
use holdfast_decision::reason::Refusal;
use holdfast_values::texts::OperatorText;
use holdfast_values::{Amount, Name, OperatorProof, PasskeyAssertion, TextDigest, Timestamp, UsdCents};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::exchange;
use crate::fingerprint::Fingerprinter;
use crate::problem::Problem;
use crate::record::unhex;

use super::Shared;
use super::body::{self, LargeJson, Raw};
use super::compiled::CompiledPacks;
use super::governance;
use super::reply::{At, Recorded};

/// The most signatures under one act.
const SIGNATURES_MAX: usize = 16;
/// The most parts that one manifest lists.
const PARTS_MAX: usize = 10_000;

/// An act of the exchange's staff.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ActBody {
    /// The signed text, holdfast-operator/v1, byte for byte.
    text: String,
    /// Who signed it.
    signatures: Vec<SignatureBody>,
    /// The document whose SHA-256 the text carries: the configuration (TOML), the policy pack (a JSON object of file
    /// names and texts), a proposal (`{"files": {...}, "reason": "...", "report": {...}}`) or the manifest of an import (SHA-256 digests in hex, one a line).
    #[serde(default)]
    payload: Option<String>,
}

/// One operator's signature over the SHA-256 of the text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignatureBody {
    /// The operator's name.
    operator: String,
    /// Ed25519, base64url without padding; of an operator with an Ed25519 key.
    #[serde(default)]
    signature: Option<String>,
    /// The assertion; of an operator with a passkey.
    #[serde(default)]
    passkey: Option<PasskeyBody>,
}

/// A passkey's assertion, whose challenge is the SHA-256 of the text. Each part in base64url without padding.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasskeyBody {
    /// The passkey's public key, a COSE_Key. Its SHA-256 is what is enrolled.
    public_key: String,
    /// `response.clientDataJSON`.
    client_data_json: String,
    /// `response.authenticatorData`.
    authenticator_data: String,
    /// `response.signature`.
    signature: String,
}

impl SignatureBody {
    fn proof(&self) -> Result<OperatorProof, OperatorError> {
        let part = |text: &str| encoding::base64url(text.as_bytes()).ok_or(OperatorError::PasskeyFormat);
        match (&self.signature, &self.passkey) {
            (Some(signature), None) => parse_operator_signature(signature).map(OperatorProof::Ed25519),
            (None, Some(by)) => Ok(OperatorProof::Passkey(Box::new(PasskeyAssertion {
                public_key: part(&by.public_key)?,
                client_data_json: part(&by.client_data_json)?,
                authenticator_data: part(&by.authenticator_data)?,
                signature: part(&by.signature)?,
            }))),
            _ => Err(OperatorError::SignatureFormat),
        }
    }
}

fn act(text: &OperatorText, payload: Option<&str>, packs: &CompiledPacks) -> Result<Act, Problem> {
    let (name, target, detail) = (text.act.as_str(), text.target.as_str(), text.detail.as_str());
    let unknown = || Problem::new("operator_act_unknown").field("text");
    let invalid = |error: String| Problem::new("operator_payload_invalid").field("payload").detail(error);
    let act = match (text.payload, payload) {
        (None, None) => Act::parse(name, target, detail).ok_or_else(unknown)?,
        (None, Some(_)) => return Err(Problem::new("operator_payload_unexpected").field("payload")),
        (Some(_), None) => return Err(Problem::new("operator_payload_missing").field("payload")),
        (Some(digest), Some(payload)) => {
            if <[u8; 32]>::from(Sha256::digest(payload.as_bytes())) != digest {
                return Err(Problem::new("operator_payload_differs").field("payload"));
            }
            match name {
                "configure" => {
                    let configuration =
                        exchange::parse(payload).map_err(|error| invalid(error.to_string()))?;
                    Act::Configure(Box::new(configuration))
                }
                "activate_policy" => {
                    let source = packs.source(&pack_files(payload).map_err(invalid)?).map_err(invalid)?;
                    Act::ActivatePolicy(Box::new(source))
                }
                "propose_policy" => {
                    let proposed = proposal(payload).map_err(invalid)?;
                    let source = packs.source(&proposed.files).map_err(invalid)?;
                    let from = parse_from(detail).ok_or_else(unknown)?;
                    let (reason, report) = (proposed.reason, proposed.report.to_string());
                    Act::ProposePolicy(Box::new(PolicyProposal { source, from, reason, report }))
                }
                "tighten_policy" => {
                    let source = packs.source(&pack_files(payload).map_err(invalid)?).map_err(invalid)?;
                    let from = parse_from(detail).ok_or_else(unknown)?;
                    Act::TightenPolicy(Box::new(PolicyTightening { source, from }))
                }
                "import" => Act::Import(manifest(payload).map_err(invalid)?),
                _ => return Err(unknown()),
            }
        }
    };
    let lines = act.lines();
    if lines.act == name && lines.target == target && lines.detail == detail {
        Ok(act)
    } else {
        Err(unknown()
            .detail(format!("this act reads `target: {}` and `detail: {}`", lines.target, lines.detail)))
    }
}

/// A pack as a payload: `{"name.cedar": "text", ...}`. A name that stands twice is refused: of two readers one would take the
/// first text and the other the last.
struct Files(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = BTreeMap<String, String>;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("an object of file names and texts")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut files = BTreeMap::new();
                while let Some((name, text)) = map.next_entry::<String, String>()? {
                    if files.insert(name, text).is_some() {
                        return Err(serde::de::Error::custom("two files have one name"));
                    }
                }
                Ok(files)
            }
        }
        let files = deserializer.deserialize_map(Visitor)?;
        Ok(Self(files.into_iter().collect()))
    }
}

fn pack_files(payload: &str) -> Result<Vec<(String, String)>, String> {
    serde_json::from_str::<Files>(payload).map(|files| files.0).map_err(|error| error.to_string())
}

/// A proposal as a payload.
struct Proposal {
    files: Vec<(String, String)>,
    reason: String,
    report: Value,
}

fn proposal(payload: &str) -> Result<Proposal, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Document {
        files: Files,
        reason: String,
        #[serde(default = "empty_object")]
        report: Value,
    }
    let document: Document = serde_json::from_str(payload).map_err(|error| error.to_string())?;
    let Document { files, reason, report } = document;
    let is_plain = !reason.chars().any(|character| character.is_control() && character != '\n');
    if !(1..=REASON_BYTES_MAX).contains(&reason.len()) || !is_plain {
        return Err(format!("`reason` has 1 to {REASON_BYTES_MAX} bytes, and no control characters"));
    }
    if !report.is_object() || report.to_string().len() > REPORT_BYTES_MAX {
        return Err(format!("`report` is a JSON object of at most {REPORT_BYTES_MAX} bytes"));
    }
    Ok(Proposal { files: files.0, reason, report })
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}

fn manifest(payload: &str) -> Result<Vec<Digest>, String> {
    let digests: Option<Vec<Digest>> = payload.lines().map(|line| unhex(line).map(Digest)).collect();
    let digests = digests.ok_or("a manifest has SHA-256 digests in hex, one a line")?;
    if digests.is_empty() || digests.len() > PARTS_MAX {
        return Err(format!("a manifest lists 1 to {PARTS_MAX} parts"));
    }
    Ok(digests)
}

#[utoipa::path(
    post, path = "/v1/operator-acts", tag = "controls", summary = "Carry out what operators signed",
    request_body = ActBody,
    responses(
        (status = 200, body = governance::ActReply), (status = "4XX", description = "Refused: nothing changed"),
    ),
)]
pub(super) async fn operator_act(
    State(app): State<Shared>,
    LargeJson(body): LargeJson<ActBody>,
) -> Result<At<governance::ActReply>, Problem> {
    // Without anybody's signature it is no attempt to be recorded, and no pack to be compiled: any token could send it.
    if body.signatures.is_empty() {
        return Err(Problem::refused(Refusal::SignaturesInsufficient, "nobody signed it").field("signatures"));
    }
    let (published, asked) = (app.intake.published(), std::sync::Arc::clone(&app));
    // Compiling a pack takes a while: not on a thread that answers requests.
    let prepare = move || {
        let text = OperatorText::parse(body.text.as_bytes())
            .map_err(|error| Problem::new("operator_text_malformed").field("text").detail(error))?;
        let signatures = verify(&published.operators, &text.digest(), &body.signatures)?;
        let act = act(&text, body.payload.as_deref(), &asked.compiled_packs)?;
        Ok::<_, Problem>(Command::OperatorAct(Box::new(OperatorAct {
            text: text.to_string(),
            signatures,
            act,
        })))
    };
    let command = tokio::task::spawn_blocking(prepare).await.map_err(|_| Problem::new("internal"))??;
    governance::record(&app, command).await
}

/// The signatures, each by a different enrolled operator over this digest.
pub(super) fn verify(
    operators: &Operators,
    digest: &TextDigest,
    given: &[SignatureBody],
) -> Result<Vec<OperatorSignature>, Problem> {
    if given.len() > SIGNATURES_MAX {
        return Err(Problem::new("too_many_items").field("signatures"));
    }
    let mut signatures: Vec<OperatorSignature> = Vec::with_capacity(given.len());
    for signature in given {
        let field = || format!("signatures.{}", signature.operator);
        let name: Name = body::id("signatures.operator", &signature.operator)?;
        let public_key = *operators
            .keys
            .get(&name)
            .ok_or_else(|| Problem::refused(Refusal::OperatorUnknown, "").field(field()))?;
        let refused = |error: OperatorError| Problem::new(error.code()).field(field()).detail(error);
        let proof = signature.proof().map_err(refused)?;
        verify_operator(&public_key, operators.party.as_ref(), &digest.0, &proof).map_err(refused)?;
        if signatures
            .iter()
            .any(|other| other.operator.name == name || other.operator.public_key == public_key)
        {
            return Err(Problem::new("operator_signature_repeated").field(field()));
        }
        signatures.push(OperatorSignature { operator: OperatorKey { name, public_key }, signature: proof });
    }
    Ok(signatures)
}

/// One account with its history: a line of a part of an import.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportLine {
    account: String,
    tier: String,
    opened_at: String,
    #[serde(default)]
    api_keys: Vec<ImportKey>,
    #[serde(default)]
    addresses: Vec<ImportAddress>,
    /// What it withdrew in the last 30 days, oldest first.
    #[serde(default)]
    withdrawals: Vec<ImportWithdrawal>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ImportKey {
    id: String,
    scopes: Vec<String>,
    #[serde(default)]
    ip_allowlist: Vec<String>,
    created_at: String,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ImportAddress {
    network: String,
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memo: Option<String>,
    first_recorded_at: String,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ImportWithdrawal {
    at: String,
    usd: String,
}

/// Reads a part of an import: JSON lines, one account each.
///
/// # Errors
/// `import_chunk_invalid`, naming the line.
pub fn chunk_accounts(bytes: &[u8], fingerprints: &Fingerprinter) -> Result<Vec<ImportedAccount>, Problem> {
    let text = core::str::from_utf8(bytes)
        .map_err(|_| Problem::new("import_chunk_invalid").detail("the part is not UTF-8"))?;
    let mut accounts = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = |detail: String| {
            Problem::new("import_chunk_invalid")
                .detail(format!("line {}: {detail}", number.saturating_add(1)))
        };
        let line: ImportLine = serde_json::from_str(line).map_err(|error| place(error.to_string()))?;
        accounts.push(imported(line, fingerprints).map_err(|problem| place(problem.message()))?);
    }
    if accounts.is_empty() || accounts.len() > holdfast_decision::IMPORT_MAX {
        let detail = format!("a part has 1 to {} accounts", holdfast_decision::IMPORT_MAX);
        return Err(Problem::new("import_chunk_invalid").detail(detail));
    }
    Ok(accounts)
}

fn time(field: &str, text: &str) -> Result<Timestamp, Problem> {
    Timestamp::parse(text).map_err(|error| Problem::new("import_chunk_invalid").field(field).detail(error))
}

fn imported(line: ImportLine, fingerprints: &Fingerprinter) -> Result<ImportedAccount, Problem> {
    let key = |key: &ImportKey| {
        let scope = |name: &String| match name.as_str() {
            "read" => Ok(Scopes::READ.0),
            "trade" => Ok(Scopes::TRADE.0),
            "withdraw" => Ok(Scopes::WITHDRAW.0),
            "transfer" => Ok(Scopes::TRANSFER.0),
            _ => Err(Problem::new("import_chunk_invalid").field("api_keys.scopes").detail("no such scope")),
        };
        let scopes = key.scopes.iter().map(scope).try_fold(0, |all, one| one.map(|one| all | one))?;
        let ip = |text: &String| body::ip("api_keys.ip_allowlist", text).map(|ip| fingerprints.ip(ip));
        Ok::<_, Problem>(ImportedApiKey {
            key: fingerprints.api_key(&body::id("api_keys.id", &key.id)?),
            scopes: Scopes(scopes),
            ip_allowlist: key.ip_allowlist.iter().map(ip).collect::<Result<_, _>>()?,
            created_at: time("api_keys.created_at", &key.created_at)?,
        })
    };
    let address = |address: &ImportAddress| {
        let network = body::network("addresses.network", &address.network)?;
        let destination = body::destination(network, &address.address, address.memo.as_deref())?;
        Ok::<_, Problem>(ImportedAddress {
            destination: fingerprints.destination(&destination),
            first_recorded_at: time("addresses.first_recorded_at", &address.first_recorded_at)?,
        })
    };
    let withdrawal = |withdrawal: &ImportWithdrawal| {
        let cents = Amount::parse(&withdrawal.usd, 2)
            .map_err(|error| Problem::new("import_chunk_invalid").field("withdrawals.usd").detail(error))?;
        Ok::<_, Problem>(ImportedWithdrawal {
            at: time("withdrawals.at", &withdrawal.at)?,
            usd_cents: UsdCents(u64::try_from(cents.base_units()).unwrap_or(u64::MAX)),
        })
    };
    Ok(ImportedAccount {
        account: body::id("account", &line.account)?,
        tier: body::id("tier", &line.tier)?,
        opened_at: time("opened_at", &line.opened_at)?,
        api_keys: line.api_keys.iter().map(key).collect::<Result<_, _>>()?,
        addresses: line.addresses.iter().map(address).collect::<Result<_, _>>()?,
        withdrawals: line.withdrawals.iter().map(withdrawal).collect::<Result<_, _>>()?,
    })
}

#[utoipa::path(
    post, path = "/v1/imports", tag = "controls", summary = "One part of an import that operators have signed",
    description = "JSON lines, one account each, byte for byte the part whose SHA-256 the signed manifest lists.",
    request_body(content = String, content_type = "application/x-ndjson"),
    responses((status = 200, body = Recorded), (status = "4XX", description = "Refused: nothing changed")),
)]
pub(super) async fn import(State(app): State<Shared>, Raw(bytes): Raw) -> Result<At<Recorded>, Problem> {
    let reading = std::sync::Arc::clone(&app);
    let read = move || {
        let accounts = chunk_accounts(&bytes, &reading.fingerprints)?;
        let digest = Sha256::digest(&bytes).into();
        Ok::<_, Problem>(Command::ImportChunk { digest, accounts })
    };
    let command = tokio::task::spawn_blocking(read).await.map_err(|_| Problem::new("internal"))??;
    super::accounts::record(&app, command).await
}
