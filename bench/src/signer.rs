//! What the signer costs: verifying a release against the final bytes and spending it durably, and where that time goes.
//!
//! The same question is asked piece by piece: the envelope, the texts, the transaction, all that is pure together, all but
//! the commit, and then for real; differences of the medians are what lies between. Pieces are counted in time on a CPU,
//! which other programs do not lengthen. Beside it, by turns, a bare file to which as many bytes are appended and synced as
//! often as the store did.

use std::fs::File;
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use holdfast_authn::release::{self, Kind as Envelope, Payment, Release, SigningKey, verify_act};
use holdfast_signer::examine::examine;
use holdfast_signer::{Client, Pins, Signer, system_clock};
use holdfast_transactions::decode;
use holdfast_values::{ReleaseId, WithdrawalText, time};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::house::{EXCHANGE, House, Kind, SIGNER};
use crate::report::{Report, busy, grouped, median, per_second, percent, permille, tenths};
use crate::server::{PINS, STORE, SignerProcess, make_signer};
use crate::{Failure, Options, cpu, progress};

/// Rounds, and in a quick run.
const ROUNDS: [u64; 2] = [200, 12];
/// The first rounds are not counted: nothing is in any cache.
const WARM: u64 = 3;

/// What is asked.
#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    key: &'static str,
    kind: Kind,
    coins: usize,
    outputs: u64,
    vouched: bool,
    socket: bool,
}

const fn case(name: &'static str, key: &'static str, kind: Kind, coins: usize, outputs: u64) -> Case {
    Case { name, key, kind, coins, outputs, vouched: false, socket: false }
}

const CASES: [Case; 10] = [
    case("wpkh, 1 output, 1 input", "wpkh_1", Kind::Wpkh, 1, 1),
    case("wpkh, 50 outputs, 5 inputs", "wpkh_50", Kind::Wpkh, 5, 50),
    case("wpkh, 200 outputs, 20 inputs", "wpkh_200", Kind::Wpkh, 20, 200),
    case("wpkh, 200 outputs, 200 inputs", "wpkh_200_200", Kind::Wpkh, 200, 200),
    Case {
        vouched: true,
        ..case("wpkh, 200 outputs, 20 inputs, all vouched for", "wpkh_200_vouched", Kind::Wpkh, 20, 200)
    },
    case("taproot, 1 output, 1 input", "taproot_1", Kind::Taproot, 1, 1),
    case("taproot, 50 outputs, 5 inputs", "taproot_50", Kind::Taproot, 5, 50),
    case("taproot, 200 outputs, 20 inputs", "taproot_200", Kind::Taproot, 20, 200),
    case("ERC-20 transfer", "token_1", Kind::Token, 0, 1),
    Case {
        socket: true,
        ..case("wpkh, 200 outputs, 20 inputs, over its socket", "wpkh_200_socket", Kind::Wpkh, 20, 200)
    },
];

/// Times in nanoseconds, one for each round.
#[derive(Debug, Default)]
struct Times {
    /// The release's signature, alone.
    opened: Vec<u64>,
    /// The receipt's envelope.
    sealed: Vec<u64>,
    secp256k1: Vec<u64>,
    envelope: Vec<u64>,
    texts: Vec<u64>,
    decode: Vec<u64>,
    examine: Vec<u64>,
    vouchers: Vec<u64>,
    uncommitted: Vec<u64>,
    authorise: Vec<u64>,
    /// Wall time; all others but `bare` are a CPU's.
    whole: Vec<u64>,
    bare: Vec<u64>,
    bytes: Vec<u64>,
    release: usize,
    transaction: usize,
}

impl Times {
    /// Where the CPU's time of one authorisation goes, by name.
    fn parts(&self) -> [(&'static str, u64); 7] {
        let [opened, sealed] = [&self.opened, &self.sealed].map(|times| median(times.clone()));
        let [envelope, texts, decode] =
            [&self.envelope, &self.texts, &self.decode].map(|times| median(times.clone()));
        let [secp256k1, vouchers] = [&self.secp256k1, &self.vouchers].map(|times| median(times.clone()));
        let [examine, uncommitted, authorise] =
            [&self.examine, &self.uncommitted, &self.authorise].map(|times| median(times.clone()));
        let pure = envelope.saturating_add(texts).saturating_add(decode);
        let signatures = vouchers.saturating_add(sealed);
        [
            ("ed25519", opened.saturating_add(signatures)),
            ("secp256k1", secp256k1),
            ("release", envelope.saturating_sub(opened).saturating_add(texts)),
            ("transaction", decode.saturating_sub(secp256k1)),
            ("comparing", examine.saturating_sub(pure)),
            ("store", uncommitted.saturating_sub(examine).saturating_sub(signatures)),
            ("commit", authorise.saturating_sub(uncommitted)),
        ]
    }
}

/// A signer in this process, a served one, and what asks them.
struct Stand {
    house: House,
    release_key: SigningKey,
    receipt_key: SigningKey,
    pair: Ed25519KeyPair,
    signer: Signer,
    client: Client,
    bare: File,
    sequence: u64,
}

/// A release and the bytes that it permits.
struct Question {
    release: Vec<u8>,
    transaction: Vec<u8>,
}

pub(crate) fn run(options: &Options) -> Result<Report, Failure> {
    let [full, quick] = ROUNDS;
    let rounds = if options.quick { quick } else { full };
    let dir = options.directory("signer")?;
    let house = House::new()?;
    let release_key = SigningKey::from_seed(&[1; 32]);
    let pins = house.pins(&holdfast_authn::print_operator_key(&release_key.public_key()));
    let (here, served) = (dir.join("here"), dir.join("served"));
    make_signer(&here, &pins)?;
    make_signer(&served, &pins)?;
    let process = SignerProcess::start(&served)?;
    let mut stand = Stand {
        house,
        release_key,
        receipt_key: SigningKey::from_seed(&[9; 32]),
        pair: Ed25519KeyPair::from_seed_unchecked(&[3; 32]).map_err(|error| error.to_string())?,
        signer: Signer::open(Pins::load(&here.join(PINS))?, &here.join(STORE), system_clock())?,
        client: process.client()?,
        bare: File::options().append(true).create(true).open(dir.join("bare"))?,
        sequence: 0,
    };
    let mut all: Vec<Times> = CASES.iter().map(|_| Times::default()).collect();
    for round in 0..rounds.saturating_add(WARM) {
        if round % 20 == 0 {
            progress(&format!("signer: round {round} of {rounds}"));
        }
        let mut bytes = 0;
        for (case, times) in CASES.iter().zip(&mut all) {
            let mut warm = Times::default();
            stand.measure(*case, if round < WARM { &mut warm } else { times }, &mut bytes)?;
        }
    }
    drop(stand);
    drop(process);
    let report = report(&all, rounds, &here)?;
    std::fs::remove_dir_all(&dir)?;
    Ok(report)
}

impl Stand {
    fn question(&mut self, case: Case) -> Result<Question, Failure> {
        let now = system_clock()();
        let payments: Vec<u64> = (0..case.outputs).map(|_| self.house.number()).collect();
        let transaction = self.house.transaction(case.kind, case.coins, &payments)?;
        let (network, wallet) = (case.kind.network(), case.kind.wallet().parse()?);
        let payer = self.signer.pins().payer(network, &wallet).ok_or("the wallet is not pinned")?;
        let digest = decode(&transaction, payer.index, payer.known)?.digest;
        self.sequence = self.sequence.saturating_add(1);
        let payment = |number: &u64| -> Result<Payment, Failure> {
            let intent = self.house.intent(case.kind, *number, now)?;
            let approvals = if case.vouched { vec![self.house.approval(&intent, now)?] } else { Vec::new() };
            Ok(Payment { intent: intent.to_string(), approvals, assertion: None, mandate: None })
        };
        let release = Release {
            id: ReleaseId(u128::from(self.sequence)),
            exchange: EXCHANGE.parse()?,
            audience: SIGNER.parse()?,
            epoch: 1,
            sequence: self.sequence,
            head: [7; 32],
            policy: [9; 32],
            simulated: false,
            not_before: now,
            expires: now.plus(time::MINUTE),
            network,
            wallet,
            transaction: digest,
            receipts_seen: 0,
            payments: payments.iter().map(payment).collect::<Result<_, _>>()?,
            transfer: None,
            epochs: Vec::new(),
        };
        let release = release::seal(Envelope::Release, &release.to_bytes(), &self.release_key);
        Ok(Question { release, transaction })
    }

    /// One question, piece by piece and then for real; `bytes` is what the store wrote for one like it.
    fn measure(&mut self, case: Case, times: &mut Times, bytes: &mut u64) -> Result<(), Failure> {
        let question = self.question(case)?;
        let Question { release, transaction } = &question;
        if case.socket {
            let took = timed(&mut times.whole, || self.client.authorise(release, transaction))?;
            black_box(took);
        } else {
            self.pieces(case, times, &question)?;
            let before = written()?;
            let (cpu, whole) = (&mut times.authorise, &mut times.whole);
            black_box(timed(whole, || worked(cpu, || self.signer.authorise(release, transaction)))?);
            let wrote = written()?.saturating_sub(before);
            // What the served one writes cannot be seen from here: it is the same question's.
            if case.key == "wpkh_200" {
                *bytes = wrote;
            }
            times.bytes.push(wrote);
        }
        if case.socket {
            times.bytes.push(*bytes);
        }
        let noise = vec![7; usize::try_from(times.bytes.last().copied().unwrap_or(0))?];
        let bare = &mut self.bare;
        timed(&mut times.bare, || bare.write_all(&noise).and_then(|()| bare.sync_data()))?;
        (times.release, times.transaction) = (release.len(), transaction.len());
        Ok(())
    }

    fn pieces(&mut self, case: Case, times: &mut Times, question: &Question) -> Result<(), Failure> {
        let Question { release, transaction } = question;
        let pins = self.signer.pins();
        let keys = &pins.release_keys;
        let (payload, _) = worked(&mut times.envelope, || release::open(Envelope::Release, release, keys))?;
        let parsed = worked(&mut times.texts, || -> Result<_, Failure> {
            let parsed = Release::parse(&payload)?;
            for payment in &parsed.payments {
                black_box(WithdrawalText::parse(payment.intent.as_bytes())?);
            }
            Ok(parsed)
        })?;
        let payer = pins.payer(parsed.network, &parsed.wallet).ok_or("the wallet is not pinned")?;
        let decoded = worked(&mut times.decode, || decode(transaction, payer.index, payer.known))?;
        black_box(worked(&mut times.examine, || examine(pins, release, transaction))?);
        // The envelope's signature, over as many bytes, and the receipt's.
        let signature = self.pair.sign(&payload);
        let key = UnparsedPublicKey::new(&ED25519, self.pair.public_key().as_ref());
        let receipt = vec![7; decoded.conflict_keys.len().saturating_mul(40).saturating_add(500)];
        let verified = || key.verify(&payload, signature.as_ref()).map_err(|error| error.to_string());
        worked(&mut times.opened, verified)?;
        let seal = || Ok::<_, Failure>(release::seal(Envelope::Receipt, &receipt, &self.receipt_key));
        black_box(worked(&mut times.sealed, seal)?);
        worked(&mut times.vouchers, || -> Result<_, Failure> {
            for approval in parsed.payments.iter().flat_map(|payment| &payment.approvals) {
                black_box(verify_act(approval, &pins.operators));
            }
            Ok(())
        })?;
        // One derivation for each coin and one for the change; the first coin and the change try another descriptor first.
        let derivations = if case.coins == 0 { 0 } else { u32::try_from(case.coins)?.saturating_add(3) };
        worked(&mut times.secp256k1, || -> Result<_, Failure> {
            for index in 0..derivations {
                black_box(self.house.derive(case.kind, index)?);
            }
            Ok(())
        })?;
        black_box(worked(&mut times.uncommitted, || self.signer.would_authorise(release, transaction))?);
        Ok(())
    }
}

/// Does it, and how long that took.
fn timed<T, E>(times: &mut Vec<u64>, work: impl FnOnce() -> Result<T, E>) -> Result<T, Failure>
where
    Failure: From<E>,
{
    let began = Instant::now();
    let done = work()?;
    times.push(u64::try_from(began.elapsed().as_nanos())?);
    Ok(done)
}

/// Does it, and how long this thread was on a CPU for it.
fn worked<T, E>(times: &mut Vec<u64>, work: impl FnOnce() -> Result<T, E>) -> Result<T, Failure>
where
    Failure: From<E>,
{
    let began = cpu::nanos()?;
    let done = work()?;
    times.push(cpu::nanos()?.saturating_sub(began));
    Ok(done)
}

/// Bytes that this process has written so far.
fn written() -> Result<u64, Failure> {
    let text = std::fs::read_to_string("/proc/self/io")?;
    let line = text.lines().find_map(|line| line.strip_prefix("wchar:"));
    Ok(line.ok_or("/proc/self/io does not say what was written")?.trim().parse()?)
}

/// The value that so many in 1,000 are not above.
pub(crate) fn quantile(times: &[u64], permille: usize) -> u64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    let place = times.len().saturating_mul(permille).div_ceil(1_000).saturating_sub(1);
    times.get(place).copied().unwrap_or(0)
}

/// Milliseconds with two decimals, of nanoseconds.
pub(crate) fn millis(nanos: u64) -> String {
    let hundredths = nanos.saturating_add(5_000) / 10_000;
    format!("{}.{:02} ms", grouped(hundredths / 100), hundredths % 100)
}

/// Microseconds, of nanoseconds.
fn micros(nanos: u64) -> String {
    format!("{} us", grouped(nanos.saturating_add(500) / 1_000))
}

fn report(all: &[Times], rounds: u64, dir: &Path) -> Result<Report, Failure> {
    let mut report = Report::new("signer");
    report.table(&[
        "transaction",
        "p50",
        "p99",
        "a second",
        "outputs a second",
        "bare append and sync",
        "of the time",
    ]);
    for (case, times) in CASES.iter().zip(all) {
        let (took, bare) = (median(times.whole.clone()), median(times.bare.clone()));
        let rate = per_second(times.whole.len().try_into()?, times.whole.iter().sum());
        let share = permille(bare, took);
        report.row(&[
            case.name,
            &millis(took),
            &millis(quantile(&times.whole, 990)),
            &grouped(rate),
            &grouped(rate.saturating_mul(case.outputs)),
            &millis(bare),
            &percent(share),
        ]);
        report.value(format!("{}_micros", case.key), took / 1_000);
        report.value(format!("{}_p99_micros", case.key), quantile(&times.whole, 990) / 1_000);
        report.value(format!("{}_per_second", case.key), rate);
        report.value(format!("{}_permille_bare_sync", case.key), share);
    }
    report.table(&[
        "CPU of one authorisation",
        "all",
        "Ed25519",
        "secp256k1",
        "release",
        "transaction",
        "comparing",
        "store",
        "commit",
    ]);
    for (case, times) in CASES.iter().zip(all).filter(|(case, _)| !case.socket) {
        let total = median(times.authorise.clone());
        let parts = times.parts();
        let mut row = vec![micros(total)];
        row.extend(parts.iter().map(|(_, part)| percent(permille(*part, total))));
        let mut cells = vec![case.name];
        cells.extend(row.iter().map(String::as_str));
        report.row(&cells);
        report.value(format!("{}_cpu_micros", case.key), total / 1_000);
        for (name, part) in parts {
            report.value(format!("{}_cpu_permille_{name}", case.key), permille(part, total));
        }
    }
    for (_, times) in CASES.iter().zip(all).filter(|(case, _)| case.key == "wpkh_200") {
        report.note(format!(
            "A release of 200 withdrawals has {} bytes, its transaction with 20 inputs {}; the store writes {} KB for it.",
            grouped(times.release.try_into()?),
            grouped(times.transaction.try_into()?),
            tenths(median(times.bytes.clone())),
        ));
    }
    report.note(busy()?);
    report.note(format!(
        "{} rounds over all rows in turn, each question new, {WARM} rounds before them uncounted; the store had {} MB at the end.",
        grouped(rounds),
        grouped(std::fs::metadata(dir.join(STORE))?.len() / 1_000_000),
    ));
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let times: Vec<u64> = (1..=100).rev().collect();
        assert_eq!((quantile(&times, 990), quantile(&times, 500), quantile(&[], 990)), (99, 50, 0));
        assert_eq!(millis(1_234_567), "1.23 ms");
    }
}
