//! An exchange to measure on: its configuration, its accounts, and the withdrawals that they ask for. Everything is drawn
//! from a seed, so that every run decides the same commands.

use std::path::Path;

use holdfast_decision::acts::{Act, Digest};
use holdfast_decision::command::{
    ApiEvidence, Command, Evidence, Idempotency, ImportedAccount, ImportedAddress, ImportedApiKey,
    ImportedWithdrawal, Initialise, OperatorAct, OperatorKey, OperatorSignature, PolicySource, Price,
    RequestWithdrawal, Scopes, TokenScopes, TokenSpec,
};
use holdfast_decision::configuration::{
    AssetConfiguration, BucketSpec, BucketSpecs, Configuration, Parameters, TierConfiguration,
    WalletConfiguration,
};
use holdfast_decision::event::{Event, Events};
use holdfast_decision::{State, decide, fold, next_deadline};
use holdfast_journal::Draft;
use holdfast_values::texts::Nonce;
use holdfast_values::{
    AccountId, Amount, AssetNetwork, AssetSpec, Destination, Fingerprint, Network, OperatorProof,
    OperatorPublicKey, Timestamp, UsdCents, WithdrawalId, time,
};

use crate::Failure;

/// 12:00 on some day.
pub(crate) const START: Timestamp = Timestamp(1_795_348_800 * time::SECOND);
/// Time between two requests: a thousand a second, so that dwells end and ticks come as they would.
pub(crate) const STEP: u64 = 1_000;
/// Addresses in the book of each account.
pub(crate) const ADDRESSES: u64 = 3;
/// Withdrawals of the last 30 days of each account.
pub(crate) const WITHDRAWALS: u64 = 8;
const EXCHANGE: &str = "harbor.example";
const SIGNERS: [&str; 3] = ["alice", "bob", "carol"];
/// Bytes of a sealed API request.
const SEALED_BYTES: usize = 320;

/// SplitMix64: small, seeded, the same everywhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `limit`, which is not zero.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next().checked_rem(limit).unwrap_or(0)
    }
}

/// A pack of the repository, compiled; `None` is the empty pack.
pub(crate) fn policy(pack: Option<&Path>) -> Result<PolicySource, Failure> {
    let Some(path) = pack else {
        let program = holdfast_policy::Program::permit_all();
        return Ok(PolicySource {
            hash: program.hash(),
            files: Vec::new(),
            program: program.to_bytes(),
            compiler: None,
        });
    };
    let pack = holdfast_cedar::load_dir(path).map_err(|error| Failure::from(error.to_string()))?;
    Ok(PolicySource {
        hash: pack.hash,
        files: pack.files.clone(),
        program: pack.program.to_bytes(),
        compiler: None,
    })
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, Failure>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(Failure::from)
}

/// Buckets so large that none is ever spent: what is measured is deciding, not waiting.
fn buckets(size: u128) -> BucketSpecs {
    let size = Amount::from_base_units(size);
    let spec = BucketSpec { size, refill_per_hour: size };
    BucketSpecs { bound: spec, aged: spec, unvouched: spec }
}

fn configuration() -> Result<Configuration, Failure> {
    let asset = |symbol: &str, decimals, network, wallet: &str, size| {
        let on = AssetNetwork { network, decimals, contract: None };
        Ok::<_, Failure>(AssetConfiguration {
            wallets: vec![(network, parsed(wallet)?)],
            spec: AssetSpec::new(parsed(symbol)?, decimals, vec![on])?,
            buckets: buckets(size),
        })
    };
    let tier = |text: &str, day: u64| {
        Ok::<_, Failure>(TierConfiguration {
            name: parsed(text)?,
            usd_cents_24h: UsdCents(day * 100),
            usd_cents_30d: UsdCents(day * 1_000),
        })
    };
    let dollars = 1_000_000_000_000_000_000;
    Ok(Configuration {
        assets: vec![
            asset("BTC", 8, Network::Bitcoin, "hot-btc", 10u128.pow(18))?,
            asset("ETH", 18, Network::Ethereum, "hot-eth", 10u128.pow(28))?,
        ],
        wallets: vec![
            WalletConfiguration { name: parsed("hot-btc")?, buckets: buckets(dollars), chains: None },
            WalletConfiguration { name: parsed("hot-eth")?, buckets: buckets(dollars), chains: None },
        ],
        tiers: vec![tier("basic", 10_000)?, tier("full", 1_000_000)?],
        overall: buckets(dollars),
        parameters: Parameters::default(),
        signers: None,
        parties: None,
        operate: None,
    })
}

fn operator(name: &str) -> Result<OperatorKey, Failure> {
    Ok(OperatorKey {
        name: parsed(name)?,
        public_key: OperatorPublicKey::Ed25519(*blake3::hash(name.as_bytes()).as_bytes()),
    })
}

/// The first record.
pub(crate) fn initialise(policy: PolicySource) -> Result<Command, Failure> {
    Ok(Command::Initialise(Box::new(Initialise {
        exchange: EXCHANGE.to_owned(),
        simulated_clock: false,
        operators: SIGNERS.into_iter().map(operator).collect::<Result<_, _>>()?,
        configuration: configuration()?,
        policy,
        token: TokenSpec {
            client: parsed("first")?,
            token_hash: [7; 32],
            scopes: TokenScopes::READ.with(TokenScopes::HALT),
        },
        rules: Some(holdfast_decision::RULES_LATEST),
    })))
}

/// Fresh prices.
pub(crate) fn prices() -> Result<Command, Failure> {
    Ok(Command::SetPrices {
        prices: vec![
            Price { asset: parsed("BTC")?, micro_usd: 5_900_000_000 },
            Price { asset: parsed("ETH")?, micro_usd: 180_000_000 },
        ],
    })
}

/// Two operators accept the parts of an import.
pub(crate) fn authorise_import(parts: Vec<[u8; 32]>, at: Timestamp) -> Result<Command, Failure> {
    let act = Act::Import(parts.into_iter().map(Digest).collect());
    let lines = act.lines();
    let text = format!(
        "holdfast-operator/v1\nexchange: {EXCHANGE}\nact: {}\ntarget: {}\ndetail: {}\npayload: {}\n\
         not-before: {}\nnot-after: {}\nnonce: {}\n",
        lines.act,
        lines.target,
        lines.detail,
        "ab".repeat(32),
        at.floor_second(),
        at.floor_second().plus(time::HOUR),
        Nonce([1; 32]),
    );
    let signatures = SIGNERS.into_iter().take(2).map(|name| {
        Ok::<_, Failure>(OperatorSignature {
            operator: operator(name)?,
            signature: OperatorProof::Ed25519([1; 64]),
        })
    });
    let signatures = signatures.collect::<Result<_, _>>()?;
    Ok(Command::OperatorAct(Box::new(OperatorAct { text, signatures, act })))
}

/// The id of an account's number.
pub(crate) fn account_id(number: u64) -> Result<AccountId, Failure> {
    parsed(&format!("ac_{number:08}"))
}

/// A keyed fingerprint, as intake makes them.
pub(crate) fn fingerprint(kind: &str, bytes: &[u8]) -> Fingerprint {
    let mut hasher = blake3::Hasher::new_keyed(&[9; 32]);
    hasher.update(kind.as_bytes()).update(bytes);
    let mut short = [0; 16];
    hasher.finalize_xof().fill(&mut short);
    Fingerprint(short)
}

/// One of the destinations of an account: those below [`ADDRESSES`] are in its book from the beginning.
fn destination(account: u64, place: u64) -> Result<Destination, Failure> {
    let seed = [account.to_be_bytes(), place.to_be_bytes()].concat();
    let hash = blake3::hash(&seed);
    let program = hash.as_bytes().get(..20).unwrap_or_default();
    if is_bitcoin(place) {
        let address = bech32::segwit::encode_v0(bech32::hrp::BC, program)
            .map_err(|error| Failure::from(error.to_string()))?;
        return Ok(Destination::parse(Network::Bitcoin, &address, None)?);
    }
    let mut address = "0x".to_owned();
    for byte in program {
        address.push_str(&format!("{byte:02x}"));
    }
    Ok(Destination::parse(Network::Ethereum, &address, None)?)
}

const fn is_bitcoin(place: u64) -> bool {
    place.is_multiple_of(2)
}

/// An account with 1 key, 3 addresses and 8 withdrawals in 30 days.
///
/// In its book stand fingerprints of its destinations only if it will ask for withdrawals (`asks`), since making real
/// addresses takes longer than everything else; all others have as many fingerprints, of nothing.
pub(crate) fn imported(number: u64, asks: bool) -> Result<ImportedAccount, Failure> {
    let mut random = Random(number);
    let past = START.minus(400 * time::DAY);
    let addresses = (0..ADDRESSES).map(|place| {
        let destination = if asks {
            fingerprint("destination", &destination(number, place)?.canonical_bytes())
        } else {
            fingerprint("nothing", &[number.to_be_bytes(), place.to_be_bytes()].concat())
        };
        Ok::<_, Failure>(ImportedAddress { destination, first_recorded_at: past })
    });
    let mut withdrawals: Vec<ImportedWithdrawal> = (0..WITHDRAWALS)
        .map(|_| ImportedWithdrawal {
            at: START.minus(random.below(29 * time::DAY)),
            usd_cents: UsdCents(1_000 + random.below(100_000)),
        })
        .collect();
    withdrawals.sort_unstable_by_key(|withdrawal| withdrawal.at);
    Ok(ImportedAccount {
        account: account_id(number)?,
        tier: parsed("full")?,
        opened_at: past,
        api_keys: vec![ImportedApiKey {
            key: fingerprint("key", &number.to_be_bytes()),
            scopes: Scopes(7),
            ip_allowlist: vec![fingerprint("ip", b"office")],
            created_at: past,
        }],
        addresses: addresses.collect::<Result<_, _>>()?,
        withdrawals,
    })
}

/// The time of the request of that number.
pub(crate) const fn time_of(number: u64) -> Timestamp {
    START.plus(number.saturating_mul(STEP))
}

/// The withdrawal of that number, of one of `accounts`: 40 % go to new addresses, a quarter come as API requests, a
/// third of the rest with a one-time code, as small amounts of two assets.
pub(crate) fn request(number: u64, accounts: u64) -> Result<RequestWithdrawal, Failure> {
    let mut random = Random(number ^ 0x5eed);
    let account = random.below(accounts);
    let place = if random.below(10) < 4 { ADDRESSES + number } else { random.below(ADDRESSES) };
    let destination = destination(account, place)?;
    let (asset, amount) = if is_bitcoin(place) {
        ("BTC", u128::from(100_000 + random.below(4_000_000)))
    } else {
        ("ETH", 10u128.pow(16) * u128::from(1 + random.below(100)))
    };
    let at = time_of(number);
    let evidence = if random.below(4) == 0 {
        Evidence::ApiRequest(Box::new(ApiEvidence {
            key: fingerprint("key", &account.to_be_bytes()),
            revision: 1,
            signed_at: at,
            window: 5 * time::SECOND,
            request: fingerprint("request", &number.to_be_bytes()),
            ip: fingerprint("ip", b"office"),
            differs: 0,
            verifier: 1,
            sealed: vec![7; SEALED_BYTES],
        }))
    } else {
        Evidence::Session { one_time_code: random.below(3) == 0 }
    };
    Ok(RequestWithdrawal {
        withdrawal: WithdrawalId(u128::from(at.0 / 1_000) << 80 | u128::from(number)),
        account: account_id(account)?,
        asset: parsed(asset)?,
        fingerprint: fingerprint("destination", &destination.canonical_bytes()),
        destination,
        amount: Amount::from_base_units(amount),
        fee_max: Amount::ZERO,
        nonce: *blake3::hash(&number.to_be_bytes()).as_bytes(),
        evidence,
        idempotency: Idempotency {
            key: fingerprint("idempotency", &number.to_be_bytes()),
            body: fingerprint("body", &number.to_be_bytes()),
        },
    })
}

/// A command with its time.
pub(crate) type Timed = (Timestamp, Command);

/// The requests of those numbers. Between them stand prices, as often as an exchange would report them.
pub(crate) fn requests(numbers: std::ops::Range<u64>, accounts: u64) -> Result<Vec<Timed>, Failure> {
    let mut commands = Vec::with_capacity(usize::try_from(numbers.end - numbers.start)?);
    for number in numbers {
        if number.is_multiple_of(60_000) {
            commands.push((time_of(number), prices()?));
        }
        commands.push((time_of(number), Command::RequestWithdrawal(Box::new(request(number, accounts)?))));
    }
    Ok(commands)
}

/// Decides a command and folds what happened; `false` if it is no record. `see` gets State and events before they are folded in.
fn say(
    state: &mut State,
    at: Timestamp,
    command: &Command,
    events: &mut Events,
    see: impl FnOnce(&State, &[Event]),
) -> bool {
    decide(state, at, command, events);
    if events.is_empty() || matches!(events.as_slice(), [Event::Repeated { .. }]) {
        return false;
    }
    see(state, events);
    fold(state, state.sequence().saturating_add(1), at, events);
    true
}

/// As [`say`], and the record for the journal.
pub(crate) fn record(
    state: &mut State,
    at: Timestamp,
    command: &Command,
    events: &mut Events,
) -> Result<Option<Draft>, Failure> {
    record_seen(state, at, command, events, |_, _| ())
}

/// The same; `see` gets State and events before they are folded in.
pub(crate) fn record_seen(
    state: &mut State,
    at: Timestamp,
    command: &Command,
    events: &mut Events,
    see: impl FnOnce(&State, &[Event]),
) -> Result<Option<Draft>, Failure> {
    let (rules, policy) = (state.rules(), state.policy_hash());
    if !say(state, at, command, events, see) {
        return Ok(None);
    }
    if let [Event::Refused { refusal, detail }] = events.as_slice() {
        return Err(Failure::from(format!("refused: {refusal}: {detail}")));
    }
    let (command, events) = (minicbor::to_vec(command)?, minicbor::to_vec(&*events)?);
    Ok(Some(Draft { time: at.0, rules, policy, command, events }))
}

/// Whether a tick comes before what comes at `at`.
pub(crate) fn is_due(state: &State, at: Timestamp) -> bool {
    next_deadline(state).is_some_and(|due| due <= at)
}

/// State with the first records and `accounts` imported, after `warm` requests.
pub(crate) fn warm_state(policy: PolicySource, accounts: u64, warm: u64) -> Result<State, Failure> {
    let mut state = State::new();
    let mut events = Vec::new();
    let mut put = |state: &mut State, at, command: &Command| record(state, at, command, &mut events);
    put(&mut state, START, &initialise(policy)?)?;
    put(&mut state, START, &prices()?)?;
    let parts = accounts.div_ceil(10_000);
    let digests = (0..parts).map(|part| *blake3::hash(&part.to_be_bytes()).as_bytes()).collect();
    put(&mut state, START, &authorise_import(digests, START)?)?;
    for part in 0..parts {
        let numbers = part * 10_000..((part + 1) * 10_000).min(accounts);
        let accounts = numbers.map(|number| imported(number, true)).collect::<Result<_, _>>()?;
        let digest = *blake3::hash(&part.to_be_bytes()).as_bytes();
        put(&mut state, START, &Command::ImportChunk { digest, accounts })?;
    }
    for (at, command) in requests(0..warm, accounts)? {
        while is_due(&state, at) {
            put(&mut state, at, &Command::Tick)?;
        }
        put(&mut state, at, &command)?;
    }
    Ok(state)
}
