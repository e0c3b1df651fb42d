//! `holdfast operator`: keys, texts of acts, signatures, sending. The key stays where it was made.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use holdfast_authn::encoding::to_base64url;
use holdfast_authn::operator::{
    OperatorError, PROOF_TEXT_BYTES_MAX, parse_operator_proof, parse_operator_signature, print_operator_key,
};
use holdfast_decision::acts::{ACTS, Act, ActLines};
use holdfast_values::texts::{Nonce, OperatorText, Seconds, Window};
use holdfast_values::{OperatorProof, SignedText, Timestamp, WithdrawalText};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::client::ServerArgs;
use super::{Failure, finish, pretty};
use crate::record::hex;
use crate::{clock, data, exchange};

/// Keys and signed acts of the exchange's operators.
#[derive(Debug, clap::Args)]
pub struct OperatorArgs {
    #[command(subcommand)]
    command: OperatorCommand,
}

#[derive(Debug, clap::Subcommand)]
enum OperatorCommand {
    /// Make a key: FILE (keep it) and FILE.pub (give it to `init` or to an `enrol_operator` act).
    Keygen(KeygenArgs),
    /// Write the text of an act. `holdfast operator acts` lists them.
    Text(TextArgs),
    /// Print the acts that there are, and what their target and detail are.
    Acts,
    /// Sign a text: prints it, then the signature.
    Sign(SignArgs),
    /// Send a signed text to the server.
    Send(SendArgs),
    /// Stop an act that waits for its time, or take a proposal back. Needs a token, and no signature.
    Stop(StopArgs),
}

#[derive(Debug, clap::Args)]
struct KeygenArgs {
    /// Where to write the key; must not exist.
    #[arg(long)]
    out: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct TextArgs {
    /// The act.
    act: String,
    /// What it is about.
    #[arg(default_value = "-")]
    target: String,
    /// Its parameters.
    #[arg(long, default_value = "-")]
    detail: String,
    /// The document that belongs to it.
    #[arg(long, conflicts_with = "pack")]
    payload: Option<PathBuf>,
    /// For approve_withdrawal: the file with the withdrawal's text, as `GET /v1/withdrawals/{id}/text` gives it. Its
    /// SHA-256 becomes the detail, and it is shown: it is what the signature approves.
    #[arg(long, conflicts_with = "detail")]
    withdrawal_text: Option<PathBuf>,
    /// For tighten_policy (and activate_policy): the directory of the pack. Its target is filled in.
    #[arg(long, requires = "payload_out")]
    pack: Option<PathBuf>,
    /// Where to write the pack as a payload.
    #[arg(long)]
    payload_out: Option<PathBuf>,
    /// Where to write the text; standard output if absent.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    validity: Validity,
}

/// For which exchange, and when a signature may be used.
#[derive(Debug, clap::Args)]
pub(super) struct Validity {
    /// Ask this server for its exchange and its time.
    #[arg(long, env = "HOLDFAST_URL", conflicts_with = "exchange")]
    url: Option<String>,
    /// The exchange's DNS name, if no server is asked.
    #[arg(long, required_unless_present = "url")]
    exchange: Option<String>,
    /// For how long the signatures may be used: 90s, 10m, 24h, 7d.
    #[arg(long, default_value = "1h")]
    valid: String,
}

#[derive(Debug, clap::Args)]
struct SignArgs {
    /// The operator's key.
    #[arg(long)]
    key: PathBuf,
    /// The text.
    text: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct SendArgs {
    /// The text.
    text: PathBuf,
    /// Who signed it, once for each: NAME=SIGNATURE as `sign` prints it, or NAME=FILE with what the operators' page gave.
    #[arg(long = "signature", value_name = "NAME=SIGNATURE|FILE", required = true)]
    signatures: Vec<String>,
    /// The document that belongs to it.
    #[arg(long)]
    payload: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
struct StopArgs {
    /// The nonce of its text, as `send` and `holdfast policy log` print it.
    nonce: String,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub fn run(args: OperatorArgs) -> ExitCode {
    finish(match args.command {
        OperatorCommand::Keygen(args) => keygen(&args),
        OperatorCommand::Text(args) => text(&args),
        OperatorCommand::Acts => Ok(acts()),
        OperatorCommand::Sign(args) => sign(&args),
        OperatorCommand::Send(args) => send(&args),
        OperatorCommand::Stop(args) => stop(&args),
    })
}

fn acts() -> String {
    let text = ACTS.iter().fold(String::new(), |text, row| {
        let (name, signatures, what) = (row.name, row.required.name(), row.what);
        format!("{text}{name:18} {signatures:8} {what}\n")
    });
    SIGNER_ACTS
        .iter()
        .fold(format!("{text}\nFor a signer (see docs/signer.md):\n"), |text, (name, target, detail)| {
            format!("{text}{name:18} target `{target}`, detail `{detail}`\n")
        })
}

/// The largest payload that is read: a pack of the largest size, escaped, with its report.
const PAYLOAD_BYTES_MAX: u64 = 6 << 20;

fn file(error: impl core::fmt::Display) -> Failure {
    Failure::new("file", error)
}

fn keygen(args: &KeygenArgs) -> Result<String, Failure> {
    let seed = Zeroizing::new(data::random::<32>().map_err(|e| Failure::new("randomness_unavailable", e))?);
    let pair = pair(&*seed)?;
    let public = public_key(&pair)?;
    let text = Zeroizing::new(format!("{}\n", hex(&*seed)));
    data::write_secret(&args.out, text.as_bytes()).map_err(file)?;
    let mut public_path = args.out.clone().into_os_string();
    public_path.push(".pub");
    let public_path = PathBuf::from(public_path);
    std::fs::write(&public_path, format!("{public}\n")).map_err(file)?;
    if args.json {
        return Ok(pretty(
            &json!({ "public_key": public, "key_file": args.out, "public_key_file": public_path }),
        ));
    }
    Ok(format!("{public}\n"))
}

fn pair(seed: &[u8]) -> Result<Ed25519KeyPair, Failure> {
    Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Failure::new("key_invalid", "not an Ed25519 seed"))
}

fn public_key(pair: &Ed25519KeyPair) -> Result<String, Failure> {
    let bytes: [u8; 32] =
        pair.public_key().as_ref().try_into().map_err(|_| Failure::new("key_invalid", "not 32 bytes"))?;
    Ok(print_operator_key(&bytes))
}

/// Acts that a signer carries out and Holdfast does not: name, target, detail.
const SIGNER_ACTS: &[(&str, &str, &str)] = &[
    ("halt", "signer:NAME", "-"),
    ("resume_signer", "signer:NAME", "-"),
    ("adopt_store", "signer:NAME", "store=HEX counter=N"),
];

/// Reads a key that [`keygen`] wrote.
pub(super) fn read_key(path: &Path) -> Result<Ed25519KeyPair, Failure> {
    let bytes = Zeroizing::new(data::read_limited(path, 256).map_err(file)?);
    let invalid =
        || Failure::new("key_invalid", format!("{}: expected 64 hexadecimal digits", path.display()));
    let digits = core::str::from_utf8(&bytes).map_err(|_| invalid())?;
    let seed =
        Zeroizing::new(holdfast_authn::encoding::hex::<32>(digits.trim().as_bytes()).ok_or_else(invalid)?);
    pair(&*seed)
}

/// SHA-256, in hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The body that brings an act: its text, signed by these.
pub(super) fn signed(text: &str, by: &[(&str, &Ed25519KeyPair)]) -> Result<Value, Failure> {
    let read = SignedText::parse(text.as_bytes()).map_err(|error| Failure::new("text_invalid", error))?;
    let signatures: Vec<Value> = by
        .iter()
        .map(|(name, key)| {
            json!({ "operator": name, "signature": to_base64url(key.sign(&read.digest().0).as_ref()) })
        })
        .collect();
    Ok(json!({ "text": text, "signatures": signatures }))
}

/// Makes the text of an act, and writes it if a file is named.
pub(super) fn write_text(
    lines: &ActLines,
    payload: Option<[u8; 32]>,
    validity: &Validity,
    out: Option<&Path>,
) -> Result<String, Failure> {
    let (exchange, now) = match (&validity.url, &validity.exchange) {
        (Some(url), _) => {
            let server = ServerArgs { url: url.clone(), token: None, ca: None };
            let (exchange, time) = server.health()?;
            let now = Timestamp::parse(&time).map_err(|error| Failure::new("text_invalid", error))?;
            (exchange, now)
        }
        (None, exchange) => (exchange.clone().unwrap_or_default(), clock::wall_now()),
    };
    write_text_of(lines, payload, (&exchange, now, &validity.valid), out)
}

/// The same for an exchange, from a time on, for a span.
pub(super) fn write_text_of(
    lines: &ActLines,
    payload: Option<[u8; 32]>,
    (exchange, now, valid): (&str, Timestamp, &str),
    out: Option<&Path>,
) -> Result<String, Failure> {
    let invalid = |error: &dyn core::fmt::Display| Failure::new("text_invalid", error);
    let span = exchange::duration(valid).ok_or(invalid(&"--valid: write 90s, 10m, 24h or 7d"))?;
    let from = Seconds::floor(now);
    let nonce = data::random().map_err(|error| Failure::new("randomness_unavailable", error))?;
    let text = OperatorText {
        exchange: exchange.parse().map_err(|error| invalid(&error))?,
        act: lines.act.parse().map_err(|error| invalid(&error))?,
        target: lines.target.parse().map_err(|error| invalid(&error))?,
        detail: lines.detail.parse().map_err(|error| invalid(&error))?,
        payload,
        window: Window::new(from, Seconds::floor(from.timestamp().plus(span)))
            .map_err(|error| invalid(&error))?,
        nonce: Nonce(nonce),
    };
    let text = text.to_string();
    if let Some(out) = out {
        std::fs::write(out, &text).map_err(file)?;
    }
    Ok(text)
}

fn text(args: &TextArgs) -> Result<String, Failure> {
    let unknown =
        || Failure::new("act_unknown", format!("{} is no act: see `holdfast operator acts`", args.act));
    let known = ACTS.iter().map(|row| row.name).chain(SIGNER_ACTS.iter().map(|row| row.0));
    let act = known.into_iter().find(|name| *name == args.act).ok_or_else(unknown)?;
    let mut detail = args.detail.clone();
    if let Some(path) = &args.withdrawal_text {
        detail = withdrawal_detail(path, &args.target)?;
    }
    let mut target = args.target.clone();
    let mut payload = args
        .payload
        .as_deref()
        .map(|path| data::read_limited(path, PAYLOAD_BYTES_MAX))
        .transpose()
        .map_err(file)?;
    if let (Some(dir), Some(out)) = (&args.pack, &args.payload_out) {
        let pack = holdfast_cedar::load_dir(dir).map_err(|error| Failure::new("policy_invalid", error))?;
        let files: serde_json::Map<String, Value> =
            pack.files.into_iter().map(|(name, text)| (name, Value::String(text))).collect();
        let bytes = Value::Object(files).to_string().into_bytes();
        std::fs::write(out, &bytes).map_err(file)?;
        (target, payload) = (hex(&pack.hash), Some(bytes));
    }
    let lines = match &payload {
        Some(_) => ActLines { act, target, detail, payload: true },
        // These are read by a signer, or by `holdfast recover`; their form is in docs/signer.md.
        None if act == "begin_epoch" || SIGNER_ACTS.iter().any(|row| row.0 == act) => {
            ActLines { act, target, detail, payload: false }
        }
        None => {
            let wrong = || {
                let message = "target or detail is not of this act, or it needs a payload: see `holdfast operator acts`";
                Failure::new("act_invalid", message)
            };
            Act::parse(act, &target, &detail).ok_or_else(wrong)?.lines()
        }
    };
    let digest = payload.map(|bytes| Sha256::digest(&bytes).into());
    let text = write_text(&lines, digest, &args.validity, args.out.as_deref())?;
    Ok(if args.out.is_some() { String::new() } else { text })
}

/// The detail of `approve_withdrawal`; shows what is approved.
fn withdrawal_detail(path: &Path, target: &str) -> Result<String, Failure> {
    let bytes = data::read_limited(path, 8 << 10).map_err(file)?;
    let text = WithdrawalText::parse(&bytes).map_err(|error| Failure::new("text_invalid", error))?;
    if text.withdrawal.to_string() != target {
        let message = format!("{} is about {}, not about {target}", path.display(), text.withdrawal);
        return Err(Failure::new("text_invalid", message));
    }
    use std::io::Write as _;
    let _unseen = write!(std::io::stderr(), "{text}");
    Ok(format!("text={}", hex(&text.digest().0)))
}

fn sign(args: &SignArgs) -> Result<String, Failure> {
    let bytes = data::read_limited(&args.text, 8 << 10).map_err(file)?;
    let text = SignedText::parse(&bytes).map_err(|error| Failure::new("text_invalid", error))?;
    if matches!(text, SignedText::Withdrawal(_) | SignedText::Change(_) | SignedText::Mandate(_)) {
        let message =
            "this text is approved by a customer's key; operators sign acts, such as approve_withdrawal";
        return Err(Failure::new("text_invalid", message));
    }
    let pair = read_key(&args.key)?;
    let signature = to_base64url(pair.sign(&text.digest().0).as_ref());
    if args.json {
        let public = public_key(&pair)?;
        return Ok(pretty(
            &json!({ "signature": signature, "public_key": public, "text": text.to_string() }),
        ));
    }
    // Whoever signs sees what; the signature alone goes to standard output.
    use std::io::Write as _;
    let _unseen = write!(std::io::stderr(), "{text}");
    Ok(format!("{signature}\n"))
}

fn send(args: &SendArgs) -> Result<String, Failure> {
    let utf8 = |path: &Path| {
        let bytes = data::read_limited(path, PAYLOAD_BYTES_MAX).map_err(file)?;
        String::from_utf8(bytes).map_err(|_| file(format!("{} is not UTF-8", path.display())))
    };
    let mut body = json!({ "text": utf8(&args.text)? });
    let mut signatures = Vec::new();
    for signature in &args.signatures {
        let (name, signature) = signature
            .split_once('=')
            .ok_or(Failure::new("signature_invalid", "write --signature NAME=SIGNATURE or NAME=FILE"))?;
        signatures.push(match proof(signature)? {
            OperatorProof::Ed25519(signature) => {
                json!({ "operator": name, "signature": to_base64url(&signature) })
            }
            OperatorProof::Passkey(by) => json!({ "operator": name, "passkey": {
                "public_key": to_base64url(&by.public_key),
                "client_data_json": to_base64url(&by.client_data_json),
                "authenticator_data": to_base64url(&by.authenticator_data),
                "signature": to_base64url(&by.signature),
            } }),
        });
    }
    if let Value::Object(fields) = &mut body {
        fields.insert("signatures".into(), Value::Array(signatures));
        if let Some(path) = &args.payload {
            fields.insert("payload".into(), Value::String(utf8(path)?));
        }
    }
    let answer =
        args.server.call("POST", "/v1/operator-acts", "application/json", body.to_string().into_bytes())?;
    let answer = answer.accepted()?;
    if let Some(said) = said(&answer) {
        use std::io::Write as _;
        let _unseen = writeln!(std::io::stderr(), "{said}");
    }
    Ok(pretty(&answer))
}

/// An operator's signature as the command line names it: an Ed25519 signature itself, or the file that holds one of
/// either kind.
pub(super) fn proof(given: &str) -> Result<OperatorProof, Failure> {
    let refused = |error: OperatorError| Failure::new(error.code(), error);
    if let Ok(signature) = parse_operator_signature(given) {
        return Ok(OperatorProof::Ed25519(signature));
    }
    let limit = u64::try_from(PROOF_TEXT_BYTES_MAX).unwrap_or(u64::MAX);
    let bytes = data::read_limited(given.as_ref(), limit).map_err(|error| {
        Failure::new(
            "signature_invalid",
            format!("{given}: neither an Ed25519 signature nor a file: {error}"),
        )
    })?;
    let text = core::str::from_utf8(&bytes).map_err(|_| refused(OperatorError::PasskeyFormat))?;
    parse_operator_proof(text).map_err(refused)
}

/// Whether an act is in effect, or else when, and how to stop it: for people.
fn said(answer: &Value) -> Option<String> {
    let field = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or("-");
    if answer.get("in_effect")?.as_bool()? {
        return Some(format!("in effect: {}", field("why")));
    }
    Some(format!(
        "not in effect yet: {}; due {}. To stop it: holdfast operator stop {} (a token of scope service or halt), or the act \
         stop_act act:{}",
        field("why"),
        field("due"),
        field("nonce"),
        field("nonce")
    ))
}

fn stop(args: &StopArgs) -> Result<String, Failure> {
    let nonce = args.nonce.strip_prefix("act:").unwrap_or(&args.nonce);
    if crate::record::unhex::<32>(nonce).is_none() {
        return Err(Failure::new("nonce_invalid", "the nonce of the act's text: 64 hexadecimal digits"));
    }
    let path = format!("/v1/operator-acts/{nonce}/stop");
    Ok(pretty(&args.server.call("POST", &path, "application/json", Vec::new())?.accepted()?))
}
