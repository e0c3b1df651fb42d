//! Everything but `verify`: making a signer, serving, and asking one, through its socket or, while it does not serve,
//! through its files.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::thread;

use holdfast_authn::operator::{
    OperatorError, PROOF_TEXT_BYTES_MAX, parse_operator_proof, parse_operator_signature, print_operator_key,
};
use holdfast_authn::release::{OperatorSignature, SignedAct};
use holdfast_values::{OperatorProof, WithdrawalId, texts};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::arguments::{Given, Takes, Usage};
use super::{Command, Failure, Report, Value, verify};
use crate::client::Client;
use crate::files::FileError;
use crate::pins::Pins;
use crate::serve::{Stop, serve};
use crate::signer::{FIRST_EPOCH, Signer, Status, system_clock};
use crate::store::{hex, sync_folder};

macro_rules! help {
    ($what:literal, $usage:literal $(, $more:literal)*) => {
        concat!($what, "\n\nUsage: holdfast-signer ", $usage, "\n", $($more,)* "
  --socket PATH  ask the signer that serves there
  --pins FILE --store FILE
                 or, while none serves, open its files
")
    };
}

pub(super) use help;

pub(super) const INIT: Command = Command {
    name: "init",
    takes: Takes { positional: &[], valued: &["pins", "store", "epoch"], repeated: &[] },
    help: "\
Make the store, and the signer's key unless its file is there. Once: nothing is ever overwritten.

Usage: holdfast-signer init --pins FILE --store FILE [--epoch N] [--json]

  --pins FILE   the pinned file, still without its line store = \"...\"
  --store FILE  where the store will be
  --epoch N     the epoch of Holdfast's journal, if it was restored before (1)

Prints what to pin: the store's id here, the receipt key at Holdfast.
",
    run: init,
};

pub(super) const SERVE: Command = Command {
    name: "serve",
    takes: Takes { positional: &[], valued: &["pins", "store", "socket"], repeated: &[] },
    help: "\
Answer wallets on a Unix socket (mode 0660) until SIGTERM or SIGINT.

Usage: holdfast-signer serve --pins FILE --store FILE --socket PATH

Ends with an error when the store fails; start it again to go on from what is durable.
",
    run: run_serve,
};

pub(super) const STATUS: Command = Command {
    name: "status",
    takes: Takes { positional: &[], valued: &["pins", "store", "socket"], repeated: &[] },
    help: help!(
        "How the signer stands: counter, epoch, halted, buckets, customers' credentials.",
        "status (--socket PATH | --pins FILE --store FILE) [--json]"
    ),
    run: status,
};

pub(super) const HALT: Command = Command {
    name: "halt",
    takes: Takes { positional: &["TEXT"], valued: &["pins", "store", "socket"], repeated: &["signature"] },
    help: help!(
        "Sign nothing any more, until operators resume. Works without Holdfast, and needs no signature here.",
        "halt [TEXT --signature NAME=SIGNATURE|FILE] (--socket PATH | --pins FILE --store FILE) [--json]",
        "
  TEXT           a file with a signed halt text, to use one operator's halt from elsewhere
"
    ),
    run: halt,
};

pub(super) const RESUME: Command = Command {
    name: "resume",
    takes: Takes { positional: &["TEXT"], valued: &["pins", "store", "socket"], repeated: &["signature"] },
    help: help!(
        "Sign again: a resume_signer text with the pinned threshold of operators' signatures.",
        "resume TEXT --signature NAME=SIGNATURE|FILE ... (--socket PATH | --pins FILE --store FILE) [--json]",
        "
  TEXT           the file with the holdfast-operator/v1 text: act resume_signer, target signer:NAME, detail -
  --signature    an operator's name and Ed25519 signature in base64url, once for each
"
    ),
    run: act,
};

pub(super) const ACT: Command = Command {
    name: "act",
    takes: Takes { positional: &["TEXT"], valued: &["pins", "store", "socket"], repeated: &["signature"] },
    help: help!(
        "Do what operators signed: halt, resume_signer, begin_epoch or adopt_store.",
        "act TEXT --signature NAME=SIGNATURE|FILE ... (--socket PATH | --pins FILE --store FILE) [--json]",
        "
  TEXT           the file with the holdfast-operator/v1 text
  --signature    an operator's name and Ed25519 signature in base64url, once for each
"
    ),
    run: act,
};

pub(super) const VOID: Command = Command {
    name: "void",
    takes: Takes { positional: &["WITHDRAWAL"], valued: &["pins", "store", "socket", "out"], repeated: &[] },
    help: help!(
        "Make sure that a withdrawal is never paid, and write the signed receipt for Holdfast.",
        "void WITHDRAWAL --out FILE (--socket PATH | --pins FILE --store FILE) [--json]",
        "
  WITHDRAWAL     its id, wd_...
  --out FILE     where the receipt goes; nothing is overwritten
"
    ),
    run: void,
};

pub(super) const RECOVER: Command = Command {
    name: "recover",
    takes: Takes { positional: &[], valued: &["pins", "store", "socket", "out"], repeated: &[] },
    help: help!(
        "Export the signed statement of everything that was authorised or voided, for holdfast recover.",
        "recover --out FILE (--socket PATH | --pins FILE --store FILE) [--json]",
        "
  --out FILE     where the statement goes; nothing is overwritten
"
    ),
    run: recover,
};

fn init(_: &Takes, given: &Given) -> Result<Report, Failure> {
    let epoch = match given.option("epoch") {
        None => FIRST_EPOCH,
        Some(text) => text.parse().map_err(|_| Usage("--epoch: write a number".to_owned()))?,
    };
    let made = Signer::init(&given.need_path("pins")?, &given.need_path("store")?, epoch)?;
    Ok(vec![
        ("ok", true.into()),
        ("store", hex(&made.store).into()),
        ("receipt_key", print_operator_key(&made.receipt_key).into()),
        ("pin_here", format!("store = \"{}\"", hex(&made.store)).into()),
        ("pin_at_holdfast", format!("receipt_key = \"{}\"", print_operator_key(&made.receipt_key)).into()),
    ])
}

fn run_serve(_: &Takes, given: &Given) -> Result<Report, Failure> {
    let (store, socket) = (given.need_path("store")?, given.need_path("socket")?);
    let mut signer = Signer::open(Pins::load(&given.need_path("pins")?)?, &store, system_clock())?;
    signer.begin()?;
    let stop = Stop::new(&socket);
    let mut signals =
        Signals::new([SIGTERM, SIGINT]).map_err(|error| FileError::io(Path::new("signals"), error))?;
    let told = stop.clone();
    thread::spawn(move || {
        for _ in signals.forever() {
            told.stop();
        }
    });
    serve(signer, &stop)?;
    Ok(vec![("ok", true.into()), ("ended", "on a signal".into())])
}

/// Who is asked.
pub(super) enum Asked {
    Socket(Client),
    Files(Box<Signer>),
}

pub(super) fn asked(given: &Given) -> Result<Asked, Failure> {
    match (given.path("socket"), given.path("pins"), given.path("store")) {
        (Some(socket), None, None) => Ok(Asked::Socket(Client::connect(&socket)?)),
        (None, Some(pins), Some(store)) => {
            let signer = Signer::open_for_acts(Pins::load(&pins)?, &store, system_clock())?;
            Ok(Asked::Files(Box::new(signer)))
        }
        _ => Err(Usage("give --socket, or --pins and --store".to_owned()).into()),
    }
}

fn signed(takes: &Takes, given: &Given) -> Result<SignedAct, Failure> {
    let path = Path::new(given.need(takes, 0)?);
    let bytes = verify::read(path)?;
    let text = String::from_utf8(bytes).ok().filter(|text| text.len() <= texts::TEXT_BYTES_MAX);
    let text = text.ok_or_else(|| Usage(format!("{}: not a signed text", path.display())))?;
    let mut signatures = Vec::new();
    for given in given.repeated("signature") {
        let wrong = |error: &dyn std::fmt::Display| Usage(format!("--signature: {error}"));
        let (operator, signature) =
            given.split_once('=').ok_or_else(|| wrong(&"write NAME=SIGNATURE or NAME=FILE"))?;
        let operator = operator.parse().map_err(|error| wrong(&error))?;
        let signature = proof(signature).map_err(|error| wrong(&error))?;
        signatures.push(OperatorSignature { operator, signature });
    }
    if signatures.is_empty() {
        return Err(Usage("--signature is missing".to_owned()).into());
    }
    Ok(SignedAct { text, signatures })
}

/// An Ed25519 signature itself, or the file that holds a signature of either kind.
fn proof(given: &str) -> Result<OperatorProof, OperatorError> {
    match (parse_operator_signature(given), verify::read(Path::new(given))) {
        (Ok(signature), _) => Ok(OperatorProof::Ed25519(signature)),
        // Neither a signature nor a file.
        (Err(error), Err(_)) => Err(error),
        (Err(_), Ok(bytes)) => {
            let text = String::from_utf8(bytes).ok().filter(|text| text.len() <= PROOF_TEXT_BYTES_MAX);
            parse_operator_proof(&text.ok_or(OperatorError::PasskeyFormat)?)
        }
    }
}

fn status(_: &Takes, given: &Given) -> Result<Report, Failure> {
    let status = match asked(given)? {
        Asked::Socket(mut client) => client.status()?,
        Asked::Files(mut signer) => signer.status()?,
    };
    Ok(describe(status))
}

fn describe(status: Status) -> Report {
    let buckets = status.buckets.into_iter().map(|bucket| {
        Value::Map(vec![
            ("bucket", bucket.bucket.to_string().into()),
            ("available", bucket.available.to_fixed(bucket.decimals).into()),
            ("size", bucket.size.to_fixed(bucket.decimals).into()),
        ])
    });
    let (sequence, head) = match status.seen {
        Some((sequence, head)) => (Value::Number(sequence), Value::Text(hex(&head))),
        None => (Value::Nothing, Value::Nothing),
    };
    vec![
        ("ok", true.into()),
        ("signer", status.name.as_str().into()),
        ("exchange", status.exchange.into()),
        ("halted", status.halted.into()),
        ("simulated", status.simulated.into()),
        ("store", hex(&status.store).into()),
        ("receipt_key", print_operator_key(&status.receipt_key).into()),
        ("counter", status.counter.into()),
        ("epoch", status.epoch.into()),
        ("sequence", sequence),
        ("head", head),
        ("highest_time", status.highest.to_string().into()),
        ("policy", status.policy.map_or(Value::Nothing, |hash| hex(&hash).into())),
        ("buckets", Value::List(buckets.collect())),
        (
            "credentials",
            Value::Map(vec![
                ("seen", status.credentials.seen.into()),
                ("removed", status.credentials.removed.into()),
                ("first_today", status.credentials.first_today.into()),
            ]),
        ),
    ]
}

fn halt(takes: &Takes, given: &Given) -> Result<Report, Failure> {
    if !given.positional.is_empty() {
        return act(takes, given);
    }
    match asked(given)? {
        Asked::Socket(mut client) => client.halt()?,
        Asked::Files(mut signer) => signer.halt()?,
    }
    Ok(vec![("ok", true.into()), ("done", "halt".into())])
}

fn act(takes: &Takes, given: &Given) -> Result<Report, Failure> {
    let signed = signed(takes, given)?;
    let done = match asked(given)? {
        Asked::Socket(mut client) => client.act(&signed)?,
        Asked::Files(mut signer) => signer.act(&signed)?.name().to_owned(),
    };
    Ok(vec![("ok", true.into()), ("done", done.into())])
}

fn void(takes: &Takes, given: &Given) -> Result<Report, Failure> {
    let withdrawal: WithdrawalId =
        given.need(takes, 0)?.parse().map_err(|error| Usage(format!("WITHDRAWAL: {error}")))?;
    let out = given.need_path("out")?;
    let receipt = match asked(given)? {
        Asked::Socket(mut client) => client.void(withdrawal)?,
        Asked::Files(mut signer) => signer.void(withdrawal)?,
    };
    write_new(&out, &receipt)?;
    Ok(vec![("ok", true.into()), ("voided", withdrawal.to_string().into()), ("receipt", shown(&out))])
}

fn recover(_: &Takes, given: &Given) -> Result<Report, Failure> {
    let out = given.need_path("out")?;
    let statement = match asked(given)? {
        Asked::Socket(mut client) => client.spends()?,
        Asked::Files(mut signer) => signer.spends()?,
    };
    write_new(&out, &statement)?;
    Ok(vec![("ok", true.into()), ("statement", shown(&out))])
}

fn shown(path: &Path) -> Value {
    path.display().to_string().into()
}

/// Customers' withdrawals stand in it: for its owner alone.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|error| FileError::io(path, error))?;
    sync_folder(path)
}
