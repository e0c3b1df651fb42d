//! `holdfast policy propose|approve|tighten|restore`: the text that operators sign to change the live policy, with its
//! payload. Nothing is signed or sent here: `holdfast operator sign` and `send` do that.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use holdfast_cedar::CompiledPack;
use holdfast_cedar::prove::{Change, diff, prove_dir};
use holdfast_decision::acts::{ActLines, REASON_BYTES_MAX, REPORT_BYTES_MAX};
use holdfast_journal::LocalReader;
use holdfast_values::{Name, Timestamp, tightening};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::backtest::{Range, backtest};
use crate::cli::client::ServerArgs;
use crate::cli::operator::write_text_of;
use crate::cli::progress::{Bar, interrupted};
use crate::cli::proving::{Asking, ask};
use crate::cli::{Failure, finish};
use crate::clock;
use crate::intake::recover_state;
use crate::record::{hex, unhex};

/// Where the live policy is read, and where the text goes.
#[derive(clap::Args, Debug)]
struct Common {
    /// Read the live policy from this data directory. Without it the server is asked.
    #[arg(long)]
    data: Option<PathBuf>,
    /// For how long the signatures may be used: 90s, 10m, 24h, 7d.
    #[arg(long, default_value = "24h")]
    valid: String,
    /// Where to write the text to be signed.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
}

/// Put a policy before the other operators: writes the proposal and the text that its author signs.
///
/// The report holds what is asked for: --prove the proofs of its invariants and how it differs from the live one, --backtest
/// what it would have decided. A proof that fails is in the report too, and ends the command with 1: nothing is hidden from those who approve.
#[derive(clap::Args, Debug)]
pub(super) struct ProposeArgs {
    /// The directory of the new pack.
    dir: PathBuf,
    /// Why, for those who approve and for the history.
    #[arg(long)]
    reason: String,
    /// Prove the pack's invariants and, with --data, what it allows and asks that the live one does not. Needs cvc5.
    #[arg(long)]
    prove: bool,
    /// Test it over the whole journal in --data.
    #[arg(long, requires = "data")]
    backtest: bool,
    /// Where to write the proposal: the payload to be sent with the text.
    #[arg(long)]
    payload_out: PathBuf,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    common: Common,
}

/// Approve a proposed policy: writes the text that operators other than its author sign.
#[derive(clap::Args, Debug)]
pub(super) struct ApproveArgs {
    /// The pack's hash.
    hash: String,
    /// Who proposed it.
    #[arg(long)]
    author: String,
    #[command(flatten)]
    common: Common,
}

/// Make the live policy tighter, at once, on one operator's word: writes the whole new pack and the text to sign.
///
/// Tighter by syntax alone: further files of forbids, and numbers moved in the direction that their policy declares
/// (docs/policy.md). With --data that is checked here; the server checks it in any case.
#[derive(clap::Args, Debug)]
pub(super) struct TightenArgs {
    /// The directory of the new pack.
    dir: PathBuf,
    /// Where to write the pack: the payload to be sent with the text.
    #[arg(long)]
    payload_out: PathBuf,
    #[command(flatten)]
    common: Common,
}

/// Go back to a policy that was approved and left at most 72 hours ago: writes the text that two operators sign.
#[derive(clap::Args, Debug)]
pub(super) struct RestoreArgs {
    /// The pack's hash.
    hash: String,
    #[command(flatten)]
    common: Common,
}

/// What decides now, and where.
struct Live {
    exchange: String,
    now: Timestamp,
    hash: String,
    /// Known only from a data directory.
    files: Option<Vec<(String, String)>>,
}

impl Common {
    fn live(&self) -> Result<Live, Failure> {
        if let Some(data) = &self.data {
            let journal = |error: holdfast_journal::JournalError| Failure::new(error.code(), error);
            let reader = LocalReader::open(data).map_err(journal)?;
            let head = reader.head().map_err(journal)?;
            let recovered = recover_state(data, reader, head);
            let (state, _) = recovered.map_err(|error| Failure::new(error.code(), error))?;
            let now = if state.is_simulated() { state.time() } else { clock::wall_now() };
            return Ok(Live {
                exchange: state.exchange().to_owned(),
                now,
                hash: hex(&state.policy_hash()),
                files: Some(state.policy().files.clone()),
            });
        }
        let (exchange, time) = self.server.health()?;
        let now = Timestamp::parse(&time).map_err(|error| Failure::new("unreachable", error))?;
        let body = self.server.call("GET", "/v1/policy", "application/json", Vec::new())?.accepted()?;
        let hash = body.get("hash").and_then(Value::as_str);
        let hash = hash.ok_or(Failure::new("unreachable", "the server names no policy"))?.to_owned();
        Ok(Live { exchange, now, hash, files: None })
    }

    fn write(
        &self,
        live: &Live,
        (act, target): (&'static str, &str),
        more: &str,
        payload: Option<&str>,
    ) -> Result<(), Failure> {
        let (target, detail) = (target.to_owned(), format!("from={}{more}", live.hash));
        let lines = ActLines { act, target, detail, payload: payload.is_some() };
        let digest = payload.map(|payload| Sha256::digest(payload.as_bytes()).into());
        write_text_of(&lines, digest, (&live.exchange, live.now, &self.valid), Some(&self.out)).map(drop)
    }

    fn next_steps(&self, signers: &str, payload: Option<&Path>) -> String {
        let text = self.out.display();
        let payload = payload.map(|path| format!(" --payload {}", path.display())).unwrap_or_default();
        format!(
            "{signers}: holdfast operator sign --key KEY {text}\nthen: holdfast operator send {text} --signature \
             NAME=SIGNATURE{payload}\n"
        )
    }
}

fn load(dir: &Path) -> Result<CompiledPack, Failure> {
    holdfast_cedar::load_dir(dir).map_err(|error| Failure::new("policy_invalid", error))
}

fn files_json(pack: &CompiledPack) -> Value {
    let files = pack.files.iter().map(|(name, text)| (name.clone(), Value::String(text.clone())));
    Value::Object(files.collect::<Map<_, _>>())
}

fn write_payload(path: &Path, payload: &str) -> Result<(), Failure> {
    super::backtest::write_private(path, payload.as_bytes())
        .map_err(|error| Failure::new("file", format!("cannot write {}: {error}", path.display())))
}

fn check_hash(hash: &str) -> Result<(), Failure> {
    let message = "a pack's hash has 64 hexadecimal digits: see holdfast policy log";
    unhex::<32>(hash).map(drop).ok_or(Failure::new("hash_invalid", message))
}

fn differs(pack: &CompiledPack, live: &Live) -> Result<(), Failure> {
    let is_live = hex(&pack.hash) == live.hash;
    let error = || Failure::new("nothing_to_change", "this very pack is the live one");
    if is_live { Err(error()) } else { Ok(()) }
}

/// Proposes: 0 if the payload is written, 1 if a proof in it failed.
pub(super) fn propose(args: &ProposeArgs) -> ExitCode {
    match proposed(args) {
        Ok((text, true)) => finish(Ok(text)),
        Ok((text, false)) => {
            let _shown = finish(Ok(text));
            let _unseen = writeln!(std::io::stderr(), "not everything was proved: the report says what");
            ExitCode::FAILURE
        }
        Err(failure) => finish(Err(failure)),
    }
}

fn proposed(args: &ProposeArgs) -> Result<(String, bool), Failure> {
    if !(1..=REASON_BYTES_MAX).contains(&args.reason.len()) {
        let message = format!("--reason has 1 to {REASON_BYTES_MAX} bytes");
        return Err(Failure::new("reason_invalid", message));
    }
    let live = args.common.live()?;
    let pack = load(&args.dir)?;
    differs(&pack, &live)?;
    let mut report = Map::new();
    let mut is_proved = true;
    if args.prove {
        let proofs = ask(&args.asking, |solver, watch| prove_dir(&args.dir, solver, watch));
        is_proved = proofs.ok;
        report.insert("proofs".to_owned(), proofs.json);
        if let Some(files) = &live.files {
            let invalid = |error: holdfast_cedar::PackError| Failure::new("policy_invalid", error);
            let old = holdfast_cedar::compile_pack(files).map_err(invalid)?;
            let found =
                ask(&args.asking, |solver, watch| diff(&old, &pack, solver, watch)).map_err(invalid)?;
            is_proved = is_proved && found.change() != Change::NotProved;
            report.insert("diff".to_owned(), found.json());
        }
    }
    if let (true, Some(data)) = (args.backtest, &args.common.data) {
        report.insert("backtest".to_owned(), tested(&pack, data)?);
    }
    let report = fitted(report)?;
    let payload = json!({ "files": files_json(&pack), "reason": args.reason, "report": report }).to_string();
    write_payload(&args.payload_out, &payload)?;
    let hash = hex(&pack.hash);
    args.common.write(&live, ("propose_policy", &hash), "", Some(&payload))?;
    let steps = args.common.next_steps("its author signs", Some(&args.payload_out));
    Ok((format!("{hash}\n{steps}"), is_proved))
}

fn tested(pack: &CompiledPack, data: &Path) -> Result<Value, Failure> {
    let reader = LocalReader::open(data).map_err(|error| Failure::new(error.code(), error))?;
    let stop = interrupted();
    let mut bar = Bar::new("backtest");
    let found = backtest(&reader, pack.program.clone(), Range::default(), &mut |at, end| {
        bar.show(at, end);
        !stop.load(Ordering::Relaxed)
    });
    bar.clear();
    let found = found.map_err(|error| Failure::new(error.code(), error))?;
    if !found.is_reproduced() {
        let message = "decisions of this very policy do not come out as recorded: run holdfast replay";
        return Err(Failure::new("replay_differs", message));
    }
    Ok(found.json())
}

/// The report within its limit: of a long back-test the customers' list goes first, then the details of its cases.
fn fitted(mut report: Map<String, Value>) -> Result<Value, Failure> {
    let is_small = |report: &Map<String, Value>| json!(report).to_string().len() <= REPORT_BYTES_MAX;
    for shorten in [shorten_customers, shorten_cases] {
        if is_small(&report) {
            break;
        }
        if let Some(test) = report.get_mut("backtest") {
            shorten(test);
        }
    }
    if is_small(&report) {
        Ok(Value::Object(report))
    } else {
        let message =
            format!("the report has more than {REPORT_BYTES_MAX} bytes: leave --prove or --backtest out");
        Err(Failure::new("report_too_large", message))
    }
}

fn shorten_customers(test: &mut Value) {
    if let Some(Value::Object(customers)) = test.get_mut("customers") {
        customers.remove("listed");
    }
}

fn shorten_cases(test: &mut Value) {
    for way in ["tighter", "looser"] {
        let cases = test.get_mut("worst").and_then(|worst| worst.get_mut(way)).and_then(Value::as_array_mut);
        for outcome in cases.into_iter().flatten().flat_map(|case| {
            case.as_object_mut().into_iter().flatten().filter(|(key, _)| *key == "old" || *key == "new")
        }) {
            for reason in outcome.1.get_mut("reasons").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Value::Object(reason) = reason {
                    reason.remove("observed");
                }
            }
        }
    }
}

/// Approves.
pub(super) fn approve(args: &ApproveArgs) -> ExitCode {
    let write = || {
        check_hash(&args.hash)?;
        let author: Name = args.author.parse().map_err(|error| Failure::new("author_invalid", error))?;
        let live = args.common.live()?;
        args.common.write(&live, ("approve_policy", &args.hash), &format!(" author={author}"), None)?;
        Ok(args.common.next_steps("each operator who approves it signs, its author excepted", None))
    };
    finish(write())
}

/// Tightens.
pub(super) fn tighten(args: &TightenArgs) -> ExitCode {
    let write = || {
        let live = args.common.live()?;
        let pack = load(&args.dir)?;
        differs(&pack, &live)?;
        if let Some(files) = &live.files {
            tightening::check(files, &pack.files).map_err(|loosens| {
                let message = format!(
                    "{loosens}; what is not tighter by its text alone is proposed: holdfast policy propose"
                );
                Failure::new("policy_not_tighter", message)
            })?;
        }
        let payload = files_json(&pack).to_string();
        write_payload(&args.payload_out, &payload)?;
        let hash = hex(&pack.hash);
        args.common.write(&live, ("tighten_policy", &hash), "", Some(&payload))?;
        let steps = args.common.next_steps("one operator signs", Some(&args.payload_out));
        Ok(format!("{hash}\n{steps}"))
    };
    finish(write())
}

/// Restores.
pub(super) fn restore(args: &RestoreArgs) -> ExitCode {
    let write = || {
        check_hash(&args.hash)?;
        let live = args.common.live()?;
        args.common.write(&live, ("restore_policy", &args.hash), "", None)?;
        Ok(args.common.next_steps("two operators sign", None))
    };
    finish(write())
}
