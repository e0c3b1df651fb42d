//! `verify`: checks a release and a transaction without a signer, and prints what is paid to whom.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use holdfast_authn::encoding;
use holdfast_values::{Amount, Name, Timestamp};

use super::arguments::{Given, Takes, Usage};
use super::{Command, Failure, Report, Value};
use crate::acts;
use crate::approve::Word;
use crate::examine::{Examined, check_window, examine};
use crate::files::FileError;
use crate::pins::Pins;
use crate::signer::{Clock, Signer, system_clock};
use crate::store::hex;
use crate::wire::REQUEST_BYTES_MAX;

pub(super) const VERIFY: Command = Command {
    name: "verify",
    takes: Takes {
        positional: &["RELEASE", "TRANSACTION"],
        valued: &["pins", "store", "now"],
        repeated: &[],
    },
    help: "\
Check a release and the transaction that it is for, and print what is paid to whom. Nothing is recorded.

Usage: holdfast-signer verify RELEASE TRANSACTION --pins FILE [--store FILE] [--now TIME] [--json]

  RELEASE      the COSE_Sign1, as bytes or base64
  TRANSACTION  the PSBT as bytes or base64, or the unsigned EIP-1559 transaction as bytes, hex or base64
  --pins FILE  the pinned file
  --store FILE also check what depends on the signer's store and clock: would it be signed now?
  --now TIME   also check that the release is valid at this time, such as 2026-11-29T12:00:00Z

Without --store and --now it is left open whether the release is fresh and not yet spent.
",
    run,
};

fn run(takes: &Takes, given: &Given) -> Result<Report, Failure> {
    let release = release_bytes(&read(Path::new(given.need(takes, 0)?))?)?;
    let transaction = transaction_bytes(&read(Path::new(given.need(takes, 1)?))?)?;
    let pins = Pins::load(&given.need_path("pins")?)?;
    let now = match given.option("now") {
        None => None,
        Some(text) => Some(Timestamp::parse(text).map_err(|error| Usage(format!("--now: {error}")))?),
    };
    let (fresh, repeated, examined, pins) = match given.path("store") {
        Some(store) => {
            let clock: Clock = match now {
                Some(now) => std::sync::Arc::new(move || now),
                None => system_clock(),
            };
            let mut signer = Signer::open(pins, &store, clock)?;
            let (repeated, examined) = signer.would_authorise(&release, &transaction)?;
            (Value::Bool(true), Value::Bool(repeated), examined, signer.into_pins())
        }
        None => {
            let examined = examine(&pins, &release, &transaction)?;
            let fresh = match now {
                Some(now) => check_window(&pins, &examined.release, now).map(|()| Value::Bool(true))?,
                None => Value::Nothing,
            };
            (fresh, Value::Nothing, examined, pins)
        }
    };
    let mut report = vec![("ok", true.into()), ("fresh", fresh), ("authorised_before", repeated)];
    report.extend(describe(&pins, &examined, given.path("store").is_some()));
    Ok(report)
}

fn describe(pins: &Pins, examined: &Examined, by_store: bool) -> Report {
    let (release, decoded) = (&examined.release, &examined.decoded);
    let native = release.network.native_decimals().unwrap_or_default();
    let mut paid = Vec::new();
    for ((text, payment), word) in examined.payments.iter().zip(&release.payments).zip(&examined.words) {
        // As of the release's own time: nobody said another.
        let at = release.not_before;
        let vouchers = acts::vouchers(pins, text.withdrawal, &payment.intent, &payment.approvals, at);
        let class = match word {
            _ if vouchers.len() >= pins.threshold => "vouched",
            Word::None => "unvouched",
            // The store knows the key, and has said yes.
            _ if by_store => "vouched",
            _ => "vouched_if_its_key_counts",
        };
        let mut line: Report = vec![
            ("withdrawal", text.withdrawal.to_string().into()),
            ("amount", text.amount.to_fixed(text.decimals).into()),
            ("asset", text.asset.to_string().into()),
            ("address", text.destination.address().into()),
            ("account", text.account.to_string().into()),
            ("class", class.into()),
            ("vouched_by", Value::List(vouchers.iter().map(|name: &Name| name.as_str().into()).collect())),
        ];
        match word {
            Word::None => {}
            Word::Asserted(_) => line.push(("by", "its owner's key".into())),
            Word::Mandated(mandated) => line.push(("by", mandated.mandate.mandate.to_string().into())),
        }
        paid.push(Value::Map(line));
    }
    let transfer = examined.transfer.as_ref().map_or(Value::Nothing, |text| {
        let external = text.external.as_ref().map_or(Value::Nothing, |external| {
            Value::Map(vec![
                ("amount", external.amount.to_fixed(external.decimals).into()),
                ("asset", text.asset.to_string().into()),
                ("address", external.destination.address().into()),
            ])
        });
        Value::Map(vec![
            ("transfer", text.transfer.to_string().into()),
            ("purpose", text.purpose.to_string().into()),
            ("external", external),
        ])
    });
    let own = decoded.outputs.iter().filter_map(|output| {
        let name = pins.wallet_name(release.network, output.own?)?;
        Some(Value::Map(vec![
            ("wallet", name.as_str().into()),
            ("base_units", amount(output.amount)),
            ("address", output.destination.address().into()),
        ]))
    });
    vec![
        ("release", release.id.to_string().into()),
        ("exchange", release.exchange.to_string().into()),
        ("signer", release.audience.as_str().into()),
        ("network", release.network.name().into()),
        ("wallet", release.wallet.as_str().into()),
        ("digest", hex(&decoded.digest).into()),
        ("simulated", release.simulated.into()),
        ("not_before", release.not_before.to_string().into()),
        ("expires", release.expires.to_string().into()),
        ("epoch", release.epoch.into()),
        ("sequence", release.sequence.into()),
        ("policy", hex(&release.policy).into()),
        ("fee", decoded.fee.to_fixed(native).into()),
        ("paid", Value::List(paid)),
        ("transfer", transfer),
        ("stays", Value::List(own.collect())),
        (
            "conflict_keys",
            Value::List(decoded.conflict_keys.iter().map(|key| key.to_string().into()).collect()),
        ),
    ]
}

/// Amounts can be more than JSON's readers count exactly.
fn amount(amount: Amount) -> Value {
    amount.base_units().to_string().into()
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let limit = u64::try_from(REQUEST_BYTES_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| FileError::io(path, error))?;
    Ok(bytes)
}

pub(super) fn release_bytes(file: &[u8]) -> Result<Vec<u8>, Usage> {
    // The tag of a COSE_Sign1.
    if file.first() == Some(&0xd2) {
        return Ok(file.to_vec());
    }
    let wrong = || Usage("the file holds neither a COSE_Sign1 nor its base64".to_owned());
    encoding::base64(file.trim_ascii()).ok_or_else(wrong)
}

fn transaction_bytes(file: &[u8]) -> Result<Vec<u8>, Usage> {
    if file.starts_with(b"psbt\xff") || file.first() == Some(&0x02) {
        return Ok(file.to_vec());
    }
    let text = file.trim_ascii();
    let hexadecimal = text.strip_prefix(b"0x").or_else(|| text.starts_with(b"02").then_some(text));
    let bytes = match hexadecimal {
        Some(digits) => {
            digits.as_chunks::<2>().0.iter().map(|pair| encoding::hex::<1>(pair).map(|[byte]| byte)).collect()
        }
        None => encoding::base64(text),
    };
    let even = hexadecimal.is_none_or(|digits| digits.len().is_multiple_of(2));
    let wrong = || Usage("TRANSACTION holds no PSBT and no EIP-1559 transaction".to_owned());
    bytes.filter(|_| even).ok_or_else(wrong)
}
