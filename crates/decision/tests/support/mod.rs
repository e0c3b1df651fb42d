//! A world for tests of the core: an exchange with operators, customers and destinations, all of it deterministic.

#![expect(dead_code, reason = "each test binary uses another part of it")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot be set up fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use holdfast_decision::acts::Act;
use holdfast_decision::command::{
    ApiEvidence, Command, Evidence, Idempotency, ImportedAccount, ImportedAddress, ImportedApiKey,
    Initialise, OperatorAct, OperatorKey, OperatorSignature, PolicySource, Price, RequestWithdrawal, Scopes,
    TokenScopes, TokenSpec,
};
use holdfast_decision::configuration::{
    AssetConfiguration, BucketSpec, BucketSpecs, Configuration, Parameters, Parties, Party,
    TierConfiguration, WalletConfiguration,
};
use holdfast_decision::event::{Event, Events};
use holdfast_decision::{RULES_LATEST, State, decide, fold, next_deadline};
use holdfast_values::{
    AccountId, Amount, AssetNetwork, AssetSpec, Destination, Fingerprint, Name, Network, OperatorProof,
    OperatorPublicKey, PasskeyAssertion, Timestamp, UsdCents, WithdrawalId, time,
};

/// 12:00 on some day.
pub(crate) const START: Timestamp = Timestamp(1_795_348_800 * time::SECOND);
pub(crate) const EXCHANGE: &str = "harbor.example";

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn account(text: &str) -> AccountId {
    text.parse().unwrap()
}

pub(crate) fn fingerprint(kind: &str, text: &str) -> Fingerprint {
    let hash = blake3::hash(format!("{kind}/{text}").as_bytes());
    Fingerprint(hash.as_bytes()[..16].try_into().unwrap())
}

/// A valid address of its own for every word.
pub(crate) fn destination(network: Network, word: &str) -> Destination {
    let hash = blake3::hash(word.as_bytes());
    let program = &hash.as_bytes()[..20];
    let address = match network {
        Network::Bitcoin => bech32::segwit::encode_v0(bech32::hrp::BC, program).unwrap(),
        _ => program.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}")),
    };
    Destination::parse(network, &address, None).unwrap()
}

pub(crate) fn destination_key(destination: &Destination) -> Fingerprint {
    let hash = blake3::hash(&destination.canonical_bytes());
    Fingerprint(hash.as_bytes()[..16].try_into().unwrap())
}

fn buckets(hot_wallet: u128) -> BucketSpecs {
    let share = |permille: u128| {
        let size = Amount::from_base_units(hot_wallet * permille / 1_000);
        BucketSpec { size, refill_per_hour: size }
    };
    BucketSpecs { bound: share(200), aged: share(30), unvouched: share(10) }
}

/// The exchange of every drill: 7,074 BTC in the hot wallet; unvouched 1 %, aged 3 %, bound 20 %, each an hour.
pub(crate) fn configuration() -> Configuration {
    let network = |network, decimals| AssetNetwork { network, decimals, contract: None };
    let asset = |symbol: &str, decimals, on: AssetNetwork, wallet: &str, hot: u128| AssetConfiguration {
        wallets: vec![(on.network, name(wallet))],
        spec: AssetSpec::new(symbol.parse().unwrap(), decimals, vec![on]).unwrap(),
        buckets: buckets(hot),
    };
    let tier = |text: &str, day: u64| TierConfiguration {
        name: name(text),
        usd_cents_24h: UsdCents(day * 100),
        usd_cents_30d: UsdCents(day * 1_000),
    };
    Configuration {
        assets: vec![
            asset("BTC", 8, network(Network::Bitcoin, 8), "hot-btc", 707_400_000_000),
            asset("ETH", 18, network(Network::Ethereum, 18), "hot-eth", 100_000 * 10u128.pow(18)),
        ],
        wallets: vec![
            WalletConfiguration { name: name("hot-btc"), buckets: buckets(4_173_660_000), chains: None },
            WalletConfiguration { name: name("hot-eth"), buckets: buckets(1_800_000_000), chains: None },
        ],
        tiers: vec![tier("basic", 10_000), tier("full", 1_000_000), tier("vip400", 2_360_000)],
        overall: buckets(6_000_000_000),
        parameters: Parameters::default(),
        signers: None,
        parties: Some(Box::new(parties())),
        operate: Some(Box::new(Party {
            rp_id: "operate.harbor.example".to_owned(),
            origins: vec!["https://operate.harbor.example".to_owned()],
            app_id: None,
        })),
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

pub(crate) fn operators() -> Vec<OperatorKey> {
    ["alice", "bob", "carol"].into_iter().map(operator).collect()
}

pub(crate) fn operator(text: &str) -> OperatorKey {
    let key = *blake3::hash(text.as_bytes()).as_bytes();
    let is_passkey = text == "carol";
    let public_key =
        if is_passkey { OperatorPublicKey::Passkey(key) } else { OperatorPublicKey::Ed25519(key) };
    OperatorKey { name: name(text), public_key }
}

/// An operator's signature, which nobody verifies here.
pub(crate) fn signature(operator: &OperatorKey) -> OperatorSignature {
    let signature = match operator.public_key {
        OperatorPublicKey::Ed25519(_) => OperatorProof::Ed25519([5; 64]),
        OperatorPublicKey::Passkey(_) => OperatorProof::Passkey(Box::new(PasskeyAssertion {
            public_key: vec![2; 77],
            client_data_json: b"{}".to_vec(),
            authenticator_data: vec![3; 37],
            signature: vec![4; 70],
        })),
    };
    OperatorSignature { operator: operator.clone(), signature }
}

pub(crate) fn pack(directory: &str) -> PolicySource {
    let compiled = holdfast_cedar::load_dir(root().join("policies").join(directory)).unwrap();
    PolicySource {
        hash: compiled.hash,
        files: compiled.files.clone(),
        program: compiled.program.to_bytes(),
        compiler: None,
    }
}

pub(crate) fn permit_all() -> PolicySource {
    let program = holdfast_policy::Program::permit_all();
    PolicySource { hash: program.hash(), files: Vec::new(), program: program.to_bytes(), compiler: None }
}

pub(crate) fn initialise(policy: PolicySource) -> Command {
    Command::Initialise(Box::new(Initialise {
        exchange: EXCHANGE.to_owned(),
        simulated_clock: false,
        operators: operators(),
        configuration: configuration(),
        policy,
        token: TokenSpec {
            client: name("first"),
            token_hash: [7; 32],
            scopes: TokenScopes::READ.with(TokenScopes::HALT),
        },
        rules: Some(RULES_LATEST),
    }))
}

/// The text of an act, as an operator would be shown it.
pub(crate) fn act_text(act: &Act, from: Timestamp, nonce: u64) -> String {
    let lines = act.lines();
    let payload = if lines.payload { "ab".repeat(32) } else { "-".to_owned() };
    let mut bytes = [0u8; 32];
    bytes[..8].copy_from_slice(&nonce.to_be_bytes());
    format!(
        "holdfast-operator/v1\nexchange: {EXCHANGE}\nact: {}\ntarget: {}\ndetail: {}\npayload: {payload}\n\
         not-before: {}\nnot-after: {}\nnonce: {}\n",
        lines.act,
        lines.target,
        lines.detail,
        from.floor_second(),
        from.floor_second().plus(time::HOUR),
        holdfast_values::texts::Nonce(bytes),
    )
}

pub(crate) fn signed(act: Act, text: String, signers: &[&str]) -> Command {
    let signatures = signers.iter().map(|signer| signature(&operator(signer))).collect();
    Command::OperatorAct(Box::new(OperatorAct { text, signatures, act }))
}

/// A core that remembers what it was told, as a journal would.
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) now: Timestamp,
    pub(crate) records: Vec<(Timestamp, Command, Events)>,
    pub(crate) ids: BTreeMap<String, WithdrawalId>,
    counter: u64,
}

impl World {
    pub(crate) fn new(policy: PolicySource) -> Self {
        let mut world =
            Self { state: State::new(), now: START, records: Vec::new(), ids: BTreeMap::new(), counter: 0 };
        world.say(initialise(policy));
        world.say(Command::SetPrices {
            prices: vec![
                Price { asset: "BTC".parse().unwrap(), micro_usd: 5_900_000_000 },
                Price { asset: "ETH".parse().unwrap(), micro_usd: 180_000_000 },
            ],
        });
        world
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Decides and folds one command, as intake does.
    pub(crate) fn say(&mut self, command: Command) -> Events {
        let mut events = Vec::new();
        decide(&self.state, self.now, &command, &mut events);
        let is_journaled = !events.is_empty() && !matches!(events[..], [Event::Repeated { .. }]);
        if is_journaled {
            let sequence = self.state.sequence() + 1;
            fold(&mut self.state, sequence, self.now, &events);
            self.records.push((self.now, command, events.clone()));
        }
        events
    }

    /// Lets time pass, ticking at every deadline.
    pub(crate) fn wait(&mut self, span: u64) -> Vec<(Timestamp, Events)> {
        let end = self.now.plus(span);
        let mut ticks = Vec::new();
        while let Some(due) = next_deadline(&self.state).filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let events = self.say(Command::Tick);
            assert!(!events.is_empty(), "a deadline that a tick does not pass: {due}");
            ticks.push((self.now, events));
            assert!(ticks.len() < 100_000, "deadlines without end");
        }
        self.now = end;
        ticks
    }

    pub(crate) fn act(&mut self, act: Act, signers: &[&str]) -> Events {
        let nonce = self.next();
        let text = act_text(&act, self.now, nonce);
        self.say(signed(act, text, signers))
    }

    /// An account with history, imported under two signatures.
    pub(crate) fn customer(
        &mut self,
        id: &str,
        tier: &str,
        opened_before: u64,
        book: &[&str],
        keys: &[&str],
    ) {
        let past = self.now.minus(opened_before);
        let addresses = book
            .iter()
            .flat_map(|word| [destination(Network::Bitcoin, word), destination(Network::Ethereum, word)])
            .map(|to| ImportedAddress { destination: destination_key(&to), first_recorded_at: past })
            .collect();
        let api_keys = keys
            .iter()
            .map(|key| ImportedApiKey {
                key: fingerprint("key", key),
                scopes: Scopes(7),
                ip_allowlist: vec![fingerprint("ip", "home")],
                created_at: past,
            })
            .collect();
        let imported = ImportedAccount {
            account: account(id),
            tier: name(tier),
            opened_at: past,
            api_keys,
            addresses,
            withdrawals: Vec::new(),
        };
        let digest = *blake3::hash(id.as_bytes()).as_bytes();
        self.act(Act::Import(vec![holdfast_decision::acts::Digest(digest)]), &["alice", "bob"]);
        let events = self.say(Command::ImportChunk { digest, accounts: vec![imported] });
        assert!(!matches!(events[..], [Event::Refused { .. }]), "{events:?}");
    }

    pub(crate) fn request(
        &mut self,
        label: &str,
        from: &str,
        asset: &str,
        amount: &str,
        to: &str,
    ) -> RequestWithdrawal {
        let number = self.next();
        let (network, decimals) =
            if asset == "BTC" { (Network::Bitcoin, 8) } else { (Network::Ethereum, 18) };
        let to = destination(network, to);
        let withdrawal = WithdrawalId(u128::from(self.now.0 / 1_000) << 80 | u128::from(number));
        self.ids.insert(label.to_owned(), withdrawal);
        RequestWithdrawal {
            withdrawal,
            account: account(from),
            asset: asset.parse().unwrap(),
            fingerprint: destination_key(&to),
            destination: to,
            amount: Amount::parse(amount, decimals).unwrap(),
            fee_max: Amount::ZERO,
            nonce: *blake3::hash(label.as_bytes()).as_bytes(),
            evidence: Evidence::Session { one_time_code: false },
            idempotency: Idempotency {
                key: fingerprint("idempotency", &number.to_string()),
                body: fingerprint("body", label),
            },
        }
    }

    pub(crate) fn withdraw(
        &mut self,
        label: &str,
        from: &str,
        asset: &str,
        amount: &str,
        to: &str,
    ) -> Events {
        let request = self.request(label, from, asset, amount, to);
        self.say(Command::RequestWithdrawal(Box::new(request)))
    }

    pub(crate) fn api_evidence(&mut self, key: &str) -> ApiEvidence {
        let number = self.next();
        ApiEvidence {
            key: fingerprint("key", key),
            revision: 1,
            signed_at: self.now,
            window: 5 * time::SECOND,
            request: fingerprint("request", &number.to_string()),
            ip: fingerprint("ip", "home"),
            differs: 0,
            verifier: 1,
            sealed: Vec::new(),
        }
    }

    pub(crate) fn status(&self, label: &str) -> Option<holdfast_decision::Status> {
        self.state.withdrawal(self.ids[label]).map(holdfast_decision::Withdrawal::status)
    }

    pub(crate) fn label(&self, id: WithdrawalId) -> String {
        self.ids
            .iter()
            .find(|(_, known)| **known == id)
            .map_or_else(|| id.to_string(), |(label, _)| label.clone())
    }
}
