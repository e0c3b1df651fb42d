//! What it costs to check a one-time code with the step before and after it. Beside it, by turns, the HMACs that such a
//! check needs at least, bare, and `pyotp` on the same codes. All in time on a CPU.

use std::hint::black_box;

use holdfast_server::codes::{Algorithm, TotpKey, TotpSettings};
use holdfast_values::{Timestamp, time};
use ring::hmac;
use serde_json::{Value, json};

use crate::peers::Peer;
use crate::report::{Report, busy, grouped, median, per_second, percent, permille, tenths};
use crate::{Failure, Options, cpu, progress};

const RUNS: usize = 7;
/// Different codes, a third of them of the step before, of the step itself and of the step after.
const CODES: u64 = 300;
/// How often each is checked in a run, here and by pyotp; and in a quick run.
const ROUNDS: [u64; 2] = [400, 60];
const PEER_ROUNDS: [u64; 2] = [40, 6];
/// Steps before and after that count.
const DRIFT: u64 = 1;
const DIGITS: u8 = 6;
const PERIOD: u16 = 30;
/// 2026-11-22T12:00:00Z, in seconds: the start of a step.
const NOON: u64 = 1_795_348_800;

/// One hash.
struct Subject {
    name: &'static str,
    /// As Python calls it, and the peers' group.
    key: &'static str,
    hash: hmac::Algorithm,
    secret: Vec<u8>,
    totp: TotpKey,
    /// When, in seconds, and which code.
    codes: Vec<(u64, String)>,
}

impl Subject {
    fn new(
        name: &'static str,
        key: &'static str,
        algorithm: Algorithm,
        hash: hmac::Algorithm,
        bytes: usize,
    ) -> Result<Self, Failure> {
        let secret = vec![0x5a; bytes];
        let totp = TotpKey::from_bytes(&secret, TotpSettings::new(algorithm, DIGITS, PERIOD)?)?;
        let codes = (0..CODES).map(|number| {
            let at = NOON + number * u64::from(PERIOD) + number % u64::from(PERIOD);
            let step = totp.step(seconds(at)) + number % 3 - 1;
            (at, totp.code_at(step).as_str().to_owned())
        });
        let codes = codes.collect();
        Ok(Self { name, key, hash, secret, totp, codes })
    }

    fn json(&self) -> Result<Value, Failure> {
        let case = |(at, code): &(u64, String)| json!({ "at": at, "code": code });
        let cases: Vec<Value> = self.codes.iter().map(case).collect();
        let (at, code) = self.codes.first().ok_or("there is no code")?;
        // A day later the code is another one.
        let forged = (at + 86_400, code.clone());
        if self.totp.matching_step(seconds(forged.0), code, DRIFT).is_some() {
            return Err("a code is good a day later".into());
        }
        Ok(json!({
            "secret": self.totp.to_base32().as_str(), "digits": DIGITS, "period": PERIOD, "drift": DRIFT,
            "cases": cases, "forged": case(&forged),
        }))
    }

    fn checked(&self, rounds: u64) -> Result<u64, Failure> {
        cpu::timed(|| {
            for (at, code) in (0..rounds).flat_map(|_| &self.codes) {
                if black_box(self.totp.matching_step(seconds(*at), black_box(code), DRIFT)).is_none() {
                    return Err("a good code was refused".into());
                }
            }
            Ok(())
        })
    }

    /// A key and three HMACs for each code.
    fn bare(&self, rounds: u64) -> Result<u64, Failure> {
        cpu::timed(|| {
            for (at, _) in (0..rounds).flat_map(|_| &self.codes) {
                let key = hmac::Key::new(self.hash, black_box(&self.secret));
                let step = at / u64::from(PERIOD);
                for step in step - DRIFT..=step + DRIFT {
                    black_box(hmac::sign(&key, &step.to_be_bytes()));
                }
            }
            Ok(())
        })
    }
}

const fn seconds(at: u64) -> Timestamp {
    Timestamp(at * time::SECOND)
}

pub(crate) fn run(options: &Options) -> Result<Report, Failure> {
    let mut report = Report::new("codes");
    let subjects = [
        Subject::new("SHA-1", "sha1", Algorithm::Sha1, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, 20)?,
        Subject::new("SHA-256", "sha256", Algorithm::Sha256, hmac::HMAC_SHA256, 32)?,
        Subject::new("SHA-512", "sha512", Algorithm::Sha512, hmac::HMAC_SHA512, 64)?,
    ];
    let groups = subjects.iter().map(|subject| Ok((subject.key.to_owned(), subject.json()?)));
    let groups = Value::Object(groups.collect::<Result<_, Failure>>()?);
    let peer = Peer::python(options, "pyotp", "pyotp", "pyotp_rate.py");
    let [rounds, peer_rounds] =
        [ROUNDS, PEER_ROUNDS].map(|[full, quick]| if options.quick { quick } else { full });
    let mut rates: [[Vec<u64>; 3]; 3] = Default::default();
    for number in 0..RUNS {
        progress(&format!("codes: run {} of {RUNS}", number + 1));
        let theirs = peer.as_ref().ok().map(|peer| peer.rates(peer_rounds, &groups)).transpose()?;
        for (subject, [checked, bare, peer]) in subjects.iter().zip(&mut rates) {
            let count = rounds.saturating_mul(CODES);
            checked.push(per_second(count, subject.checked(rounds)?));
            bare.push(per_second(count, subject.bare(rounds)?));
            peer.extend(theirs.as_ref().and_then(|theirs| theirs.get(subject.key)));
        }
    }
    report.table(&[
        "codes checked",
        "a second of CPU",
        "us each",
        "bare HMACs",
        "of bare",
        "pyotp",
        "times pyotp",
    ]);
    for (subject, [checked, bare, peer]) in subjects.iter().zip(rates) {
        let (checked, bare) = (median(checked), median(bare));
        let peer = (!peer.is_empty()).then(|| median(peer));
        report.row(&[
            subject.name,
            &grouped(checked),
            &tenths(per_second(1, checked)),
            &grouped(bare),
            &percent(permille(checked, bare)),
            &peer.map_or_else(|| "-".to_owned(), grouped),
            &peer.map_or_else(|| "-".to_owned(), |peer| tenths(permille(checked, peer))),
        ]);
        report.value(format!("{}_checks_per_cpu_second", subject.key), checked);
        report.value(format!("{}_bare_per_cpu_second", subject.key), bare);
        if let Some(peer) = peer {
            report.value(format!("{}_pyotp_per_cpu_second", subject.key), peer);
        }
    }
    if let Err(missing) = &peer {
        report.note(missing.clone());
    }
    report.note(format!(
        "Median of {RUNS} interleaved runs; {CODES} codes, a third of them of the step before and a third of the step \
         after, each checked {rounds} times a run, and {peer_rounds} times by pyotp. Six digits, 30 seconds, one step of drift.",
    ));
    report.note(busy()?);
    Ok(report)
}
