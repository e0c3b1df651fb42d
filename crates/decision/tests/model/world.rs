//! The exchange that the tests here play with: small enough that its buckets run dry, with policies for every degree.
//!
//! Sizes and refills are such that shares come out whole: what the model computes with fractions, the core must meet to
//! the unit.

use holdfast_decision::RULES_LATEST;
use holdfast_decision::acts::Act;
use holdfast_decision::command::{
    Command, Evidence, Idempotency, ImportedAccount, ImportedAddress, ImportedApiKey, ImportedWithdrawal,
    Initialise, OperatorAct, OperatorKey, OperatorSignature, PolicySource, Price, RequestWithdrawal, Scopes,
    TokenScopes, TokenSpec,
};
use holdfast_decision::configuration::{
    AssetConfiguration, BucketSpec, BucketSpecs, Configuration, Parameters, Parties, Party,
    SignerConfiguration, TierConfiguration, WalletChain, WalletConfiguration, WalletSource,
};
use holdfast_policy::expr::{Arithmetic, Comparison, Expr};
use holdfast_policy::facts::{Action, Enumeration, Fact};
use holdfast_policy::outcome::{Degree, Factor};
use holdfast_policy::program::{Effect, Policy, PolicyMeta, Program};
use holdfast_values::{
    AccountId, Amount, AssetNetwork, AssetSpec, AssetSymbol, Destination, Fingerprint, Name, Network,
    OperatorProof, OperatorPublicKey, PasskeyAssertion, Timestamp, UsdCents, WithdrawalId, time,
};

pub(crate) const EXCHANGE: &str = "harbor.example";
/// Noon of some day: a whole second, as all times of the model's runs are.
pub(crate) const START: Timestamp = Timestamp(1_795_348_800 * time::SECOND);
pub(crate) const OPERATORS: [&str; 3] = ["alice", "bob", "carol"];
pub(crate) const SYMBOLS: [&str; 3] = ["BTC", "ETH", "USDX"];
pub(crate) const SIGNERS: [&str; 2] = ["signer-one", "signer-two"];
/// The contract of USDX, wherever it is.
const CONTRACT: &str = "0xdac17f958d2ee523a2206206994597c13d831ec7";
pub(crate) const TIERS: [&str; 3] = ["basic", "full", "closed"];

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn account(number: usize) -> AccountId {
    format!("ac_{number}").parse().unwrap()
}

pub(crate) fn symbol(text: &str) -> AssetSymbol {
    text.parse().unwrap()
}

pub(crate) fn fingerprint(kind: &str, number: u64) -> Fingerprint {
    let hash = blake3::hash(format!("{kind}/{number}").as_bytes());
    Fingerprint(hash.as_bytes()[..16].try_into().unwrap())
}

/// A valid address for every number; its fingerprint is that of [`place`].
pub(crate) fn destination(network: Network, number: u64) -> Destination {
    let hash = blake3::hash(&number.to_be_bytes());
    let program = &hash.as_bytes()[..20];
    let address = match network {
        Network::Bitcoin => bech32::segwit::encode_v0(bech32::hrp::BC, program).unwrap(),
        Network::Litecoin => "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9".to_owned(),
        _ => program.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}")),
    };
    Destination::parse(network, &address, None).unwrap()
}

pub(crate) fn place(network: Network, number: u64) -> Fingerprint {
    fingerprint(network.name(), number)
}

fn specs(size: u128, refill: u128) -> BucketSpecs {
    let spec = |times: u128| BucketSpec {
        size: Amount::from_base_units(size * times),
        refill_per_hour: Amount::from_base_units(refill * times),
    };
    BucketSpecs { bound: spec(10), aged: spec(3), unvouched: spec(1) }
}

pub(crate) fn configuration() -> Configuration {
    let on = |symbol: &str, network, decimals| AssetNetwork {
        network,
        decimals,
        contract: (symbol == "USDX").then(|| CONTRACT.into()),
    };
    let asset = |symbol: &str, decimals, networks: &[(Network, &str)], buckets| AssetConfiguration {
        wallets: networks.iter().map(|(network, wallet)| (*network, name(wallet))).collect(),
        spec: AssetSpec::new(
            symbol.parse().unwrap(),
            decimals,
            networks.iter().map(|(network, _)| on(symbol, *network, decimals)).collect(),
        )
        .unwrap(),
        buckets,
    };
    let wallet = |text: &str, buckets| {
        let chains = match text {
            "hot-btc" => Some(vec![chain(Network::Bitcoin, 3)]),
            "hot-evm" => Some(vec![chain(Network::Ethereum, 4)]),
            _ => None,
        };
        WalletConfiguration { name: name(text), buckets, chains }
    };
    let tier = |text: &str, day: u64, month: u64| TierConfiguration {
        name: name(text),
        usd_cents_24h: UsdCents(day * 100),
        usd_cents_30d: UsdCents(month * 100),
    };
    Configuration {
        assets: vec![
            asset("BTC", 8, &[(Network::Bitcoin, "hot-btc")], specs(200_000_000, 100_000_000)),
            asset(
                "ETH",
                18,
                &[(Network::Ethereum, "hot-evm")],
                specs(40 * 10u128.pow(18), 15 * 10u128.pow(18)),
            ),
            asset(
                "USDX",
                6,
                &[(Network::Ethereum, "hot-evm"), (Network::Polygon, "hot-pol")],
                specs(70_000 * 1_000_000, 90_000 * 1_000_000),
            ),
        ],
        wallets: vec![
            wallet("hot-btc", specs(9_000_000, 5_000_000)),
            wallet("hot-evm", specs(10_000_000, 6_000_000)),
            wallet("hot-pol", BucketSpecs::default()),
        ],
        tiers: vec![
            tier("basic", 20_000, 90_000),
            tier("full", 1_000_000, 5_000_000),
            tier("closed", 1_000_000, 5_000_000),
        ],
        overall: specs(14_000_000, 8_000_000),
        parameters: Parameters {
            loosening_delay: Some(0),
            resume_delay: Some(0),
            veto_window: 12 * time::HOUR,
            cooling_off: 6 * time::HOUR,
            queue_hold_after: 25 * time::MINUTE,
            withdrawal_lifetime: 3 * time::DAY,
            price_stale_after: 2 * time::HOUR,
            account_share_permille: 200,
            small_account_age: 10 * time::DAY,
            credential_ageing: Some(time::HOUR),
            recovery_wait: Some(2 * time::HOUR),
            ..Parameters::default()
        },
        signers: Some(
            SIGNERS
                .into_iter()
                .map(|signer| SignerConfiguration {
                    name: name(signer),
                    receipt_key: *blake3::hash(signer.as_bytes()).as_bytes(),
                })
                .collect(),
        ),
        parties: Some(Box::new(parties())),
        operate: Some(Box::new(operate())),
    }
}

/// Where operators' passkeys sign.
pub(crate) fn operate() -> Party {
    Party {
        rp_id: "operate.harbor.example".to_owned(),
        origins: vec!["https://operate.harbor.example".to_owned()],
        app_id: None,
    }
}

/// Where customers approve, and where they sign in.
pub(crate) fn parties() -> Parties {
    let party = |rp_id: &str, origin: &str| Party {
        rp_id: rp_id.to_owned(),
        origins: vec![origin.to_owned()],
        app_id: None,
    };
    Parties {
        approve: party("approve.harbor.example", "https://approve.harbor.example"),
        login: Some(party("harbor.example", "https://app.harbor.example")),
    }
}

/// What a wallet is on a network: a transaction costs at most 100,000 units, and all of them 10 a second.
fn chain(network: Network, confirmations_final: u32) -> WalletChain {
    let units = Amount::from_base_units;
    WalletChain {
        network,
        source: match network {
            Network::Bitcoin => WalletSource::Descriptors(vec!["wpkh(one)".to_owned()]),
            _ => WalletSource::Address(format!("0x{}", "ab".repeat(20))),
        },
        fee_max: units(100_000),
        fee_bucket: BucketSpec { size: units(150_000), refill_per_hour: units(36_000) },
        confirmations_final,
    }
}

/// The same exchange with other sizes, shares and times.
/// Something that loosens waits there, and nowhere else.
pub(crate) fn other_configuration() -> Configuration {
    let mut other = configuration();
    other.assets[0].buckets = specs(120_000_000, 140_000_000);
    other.assets[1].buckets = specs(60 * 10u128.pow(18), 5 * 10u128.pow(18));
    other.overall = specs(9_000_000, 9_000_000);
    other.parameters.account_share_permille = 500;
    other.parameters.small_reserve_permille = 100;
    other.parameters.address_ageing = 6 * time::HOUR;
    other.parameters.loosening_signatures = 3;
    other.parameters.loosening_delay = Some(2 * time::HOUR);
    other.parameters.resume_delay = Some(20 * time::MINUTE);
    if let Some(chain) = other.wallets[0].chains.iter_mut().flatten().next() {
        chain.fee_max = Amount::from_base_units(60_000);
        chain.fee_bucket.size = Amount::from_base_units(100_000);
        chain.confirmations_final = 2;
    }
    other
}

fn is(comparison: Comparison, left: Expr, right: Expr) -> Expr {
    Expr::Compare(comparison, Box::new([left, right]))
}

fn all(parts: Vec<Expr>) -> Expr {
    Expr::All(parts.into())
}

fn not(fact: Fact) -> Expr {
    Expr::Not(Box::new(Expr::Fact(fact)))
}

/// The rules of the tests' policy, each with a condition; the model says the same by hand (`reference/policy.rs`).
pub(crate) fn policies() -> Vec<Policy> {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, NotEqual};
    let rule = |id: &str, effect: Effect, condition: Expr| Policy {
        meta: PolicyMeta { id: id.into(), effect, actions: Action::Withdraw.bit() },
        condition,
    };
    let forbid = |id: &str, degree, reason: &str, condition| {
        rule(id, Effect::Forbid { degree, reason: reason.into() }, condition)
    };
    let fact = Expr::Fact;
    let unvouched = || is(Equal, fact(Fact::Class), Expr::Member(Enumeration::Class, "unvouched".into()));
    let amount = || fact(Fact::AmountUsdCents);
    let times = Expr::Arithmetic(Arithmetic::Multiply, Box::new([amount(), Expr::Long(1_500_000_000_000)]));
    let code = Degree::StepUp(Factor::OneTimeCode);
    vec![
        rule("open", Effect::Permit, is(NotEqual, fact(Fact::Tier), Expr::Text("closed".into()))),
        forbid(
            "dwell-large",
            Degree::Dwell(10 * time::MINUTE),
            "unvouched_destination",
            all(vec![unvouched(), is(GreaterOrEqual, amount(), Expr::Long(100_000))]),
        ),
        forbid(
            "dwell-small",
            Degree::Dwell(time::MINUTE),
            "unvouched_destination",
            all(vec![unvouched(), is(Less, amount(), Expr::Long(100_000))]),
        ),
        forbid(
            "code",
            code,
            "new_destination",
            all(vec![not(Fact::DestinationKnown), not(Fact::ApprovalOneTimeCode)]),
        ),
        forbid(
            "key",
            Degree::StepUp(Factor::Passkey),
            "large_amount",
            all(vec![is(Greater, amount(), Expr::Long(3_000_000)), not(Fact::ApprovalBound)]),
        ),
        forbid("cooling", Degree::Hold, "recent_security_change", fact(Fact::AccountCoolingOff)),
        forbid("day", Degree::Deny, "over_daily_limit", fact(Fact::AccountOverLimit24h)),
        forbid("month", Degree::Hold, "over_monthly_limit", fact(Fact::AccountOverLimit30d)),
        forbid("stale", Degree::Hold, "price_stale", fact(Fact::PriceStale)),
        forbid("moved", Degree::Hold, "price_moved", fact(Fact::PriceMoved)),
        forbid("overflow", Degree::Hold, "never", is(Less, times, Expr::Long(0))),
        forbid(
            "busy",
            Degree::Dwell(5 * time::MINUTE),
            "busy_hour",
            is(Greater, fact(Fact::OverallWithdrawals1h), Expr::Long(10)),
        ),
        forbid(
            "crowd",
            Degree::Hold,
            "popular_destination",
            is(Greater, fact(Fact::DestinationWithdrawals24h), Expr::Long(6)),
        ),
        forbid(
            "young-key",
            Degree::Hold,
            "young_api_key",
            all(vec![fact(Fact::ApiKeyPresent), is(Less, fact(Fact::ApiKeyAgeHours), Expr::Long(2))]),
        ),
        forbid(
            "frequent",
            code,
            "many_withdrawals",
            all(vec![
                is(Greater, fact(Fact::AccountWithdrawals1h), Expr::Long(5)),
                not(Fact::ApprovalOneTimeCode),
            ]),
        ),
    ]
}

pub(crate) fn policy() -> PolicySource {
    let program = Program::new([5; 32], policies()).unwrap();
    PolicySource {
        hash: program.hash(),
        files: vec![("test.cedar".to_owned(), "// stands in Rust\n".to_owned())],
        program: program.to_bytes(),
        compiler: None,
    }
}

pub(crate) fn permit_all() -> PolicySource {
    let program = Program::permit_all();
    PolicySource { hash: program.hash(), files: Vec::new(), program: program.to_bytes(), compiler: None }
}

/// Somebody with a key: some have passkeys.
pub(crate) fn operator(text: &str) -> OperatorKey {
    let key = *blake3::hash(text.as_bytes()).as_bytes();
    let public_key = match text {
        "carol" | "dave" => OperatorPublicKey::Passkey(key),
        _ => OperatorPublicKey::Ed25519(key),
    };
    OperatorKey { name: name(text), public_key }
}

/// His signature. The core takes the edge's word for it.
pub(crate) fn signature(operator: &OperatorKey) -> OperatorSignature {
    let signature = match operator.public_key {
        OperatorPublicKey::Ed25519(_) => OperatorProof::Ed25519([1; 64]),
        OperatorPublicKey::Passkey(_) => OperatorProof::Passkey(Box::new(PasskeyAssertion {
            public_key: vec![2; 77],
            client_data_json: b"{}".to_vec(),
            authenticator_data: vec![3; 37],
            signature: vec![4; 70],
        })),
    };
    OperatorSignature { operator: operator.clone(), signature }
}

pub(crate) fn initialise(configuration: Configuration, policy: PolicySource) -> Command {
    Command::Initialise(Box::new(Initialise {
        exchange: EXCHANGE.to_owned(),
        simulated_clock: true,
        operators: OPERATORS.into_iter().map(operator).collect(),
        configuration,
        policy,
        token: TokenSpec { client: name("first"), token_hash: [7; 32], scopes: TokenScopes::READ },
        rules: Some(RULES_LATEST),
    }))
}

pub(crate) fn prices(rows: &[(&str, u64)]) -> Command {
    let prices = rows
        .iter()
        .map(|(asset, micro_usd)| Price { asset: asset.parse().unwrap(), micro_usd: *micro_usd })
        .collect();
    Command::SetPrices { prices }
}

pub(crate) fn usual_prices() -> Command {
    prices(&[("BTC", 50_000_000_000), ("ETH", 2_000_000_000), ("USDX", 1_000_000)])
}

/// How a text is signed: what the tests vary.
#[derive(Clone, Debug)]
pub(crate) struct Signing {
    pub(crate) exchange: &'static str,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) nonce: u64,
    pub(crate) signers: Vec<OperatorKey>,
}

impl Signing {
    pub(crate) fn new(at: Timestamp, nonce: u64, signers: &[&str]) -> Self {
        let from = at.floor_second();
        let signers = signers.iter().map(|signer| operator(signer)).collect();
        Self { exchange: EXCHANGE, from, until: from.plus(time::HOUR), nonce, signers }
    }

    pub(crate) fn text(&self, act: &Act) -> String {
        let lines = act.lines();
        let payload = if lines.payload { "ab".repeat(32) } else { "-".to_owned() };
        let mut bytes = [0u8; 32];
        bytes[..8].copy_from_slice(&self.nonce.to_be_bytes());
        format!(
            "holdfast-operator/v1\nexchange: {}\nact: {}\ntarget: {}\ndetail: {}\npayload: {payload}\n\
             not-before: {}\nnot-after: {}\nnonce: {}\n",
            self.exchange,
            lines.act,
            lines.target,
            lines.detail,
            self.from,
            self.until,
            holdfast_values::texts::Nonce(bytes),
        )
    }

    pub(crate) fn sign(&self, act: Act) -> Command {
        let text = self.text(&act);
        self.sign_text(act, text)
    }

    pub(crate) fn sign_text(&self, act: Act, text: String) -> Command {
        let signatures = self.signers.iter().map(signature).collect();
        Command::OperatorAct(Box::new(OperatorAct { text, signatures, act }))
    }
}

pub(crate) fn id(at: Timestamp, number: u64) -> WithdrawalId {
    WithdrawalId(u128::from(at.0 / 1_000) << 80 | u128::from(number))
}

/// A request by session with a code shown: the least suspicious there is.
pub(crate) fn request(
    at: Timestamp,
    number: u64,
    from: usize,
    (asset, network): (&str, Network),
    units: u128,
    to: u64,
) -> RequestWithdrawal {
    RequestWithdrawal {
        withdrawal: id(at, number),
        account: account(from),
        asset: symbol(asset),
        destination: destination(network, to),
        fingerprint: place(network, to),
        amount: Amount::from_base_units(units),
        fee_max: Amount::ZERO,
        nonce: [3; 32],
        evidence: Evidence::Session { one_time_code: true },
        idempotency: Idempotency {
            key: fingerprint("idempotency", number),
            body: fingerprint("body", number),
        },
    }
}

/// An account with history, as operators vouch for it: book and key older than any ageing.
pub(crate) fn imported(number: usize, tier: &str, opened_at: Timestamp, withdrawals: u64) -> ImportedAccount {
    let networks = [Network::Bitcoin, Network::Ethereum];
    let addresses = networks.into_iter().map(|network| ImportedAddress {
        destination: place(network, number as u64),
        first_recorded_at: opened_at,
    });
    ImportedAccount {
        account: account(number),
        tier: name(tier),
        opened_at,
        api_keys: vec![ImportedApiKey {
            key: fingerprint("key", number as u64),
            scopes: Scopes(7),
            ip_allowlist: vec![fingerprint("ip", 0)],
            created_at: opened_at,
        }],
        addresses: addresses.collect(),
        withdrawals: (0..withdrawals)
            .map(|n| ImportedWithdrawal { at: opened_at.plus(n * time::HOUR), usd_cents: UsdCents(10_000) })
            .collect(),
    }
}
