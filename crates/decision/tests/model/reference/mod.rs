//! A model of the core, simple enough to be obviously right: everything that ever happened stays in plain lists, and
//! every level, window and age is counted again from the beginning whenever it is asked for.
//!
//! It shares no code with the core: only the vocabulary of commands. Two things it is told rather than knows, and checks
//! for being possible: when the core looks at a waiting line again, and what windows say once they are no longer exact.
//! What was released stands in one list of transactions; whom it pays, what conflicts and what is over is looked for there.

mod acts;
mod chain;
mod governed;
mod line;
mod policy;
mod release;
mod rules;
mod shown;
mod waiting;
mod word;

use std::collections::{BTreeMap, BTreeSet};

use holdfast_decision::acts::Digest;
use holdfast_decision::command::{Command, Evidence, ImportedAccount, RequestWithdrawal, Scope};
use holdfast_decision::event::Lane;
use holdfast_decision::{Class, Configuration};
use holdfast_values::{
    AccountId, AssetSymbol, Fingerprint, MandateId, Name, Network, OperatorPublicKey, Timestamp, WithdrawalId,
};

pub(crate) use chain::{ModelTransaction, Stage};
pub(crate) use policy::{Counts, Row};
pub(crate) use rules::Whose;
pub(crate) use word::Shown;
use word::{Fenced, Word};

/// What a command led to, as far as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Refused(String),
    Repeated(u64),
    /// What was decided about withdrawals, in order; empty for commands that are about something else.
    Done(Vec<Outcome>),
}

/// What was decided about one withdrawal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) id: WithdrawalId,
    pub(crate) status: &'static str,
    pub(crate) class: Class,
    pub(crate) dwell_until: Timestamp,
    /// Asked for and not shown: one-time code, passkey.
    pub(crate) factors: (bool, bool),
    pub(crate) usd_cents: Option<u64>,
    pub(crate) reasons: Vec<String>,
}

/// Where one open withdrawal stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) id: WithdrawalId,
    pub(crate) status: &'static str,
    pub(crate) reserved: Option<Class>,
    pub(crate) queued: Option<(Lane, u32)>,
    pub(crate) next_check: Timestamp,
    pub(crate) usd_cents: Option<u64>,
    pub(crate) operators: u8,
}

/// What the core says of windows, asked before it decides.
pub(crate) trait Told {
    fn of_request(&self, request: &RequestWithdrawal) -> Option<Counts>;
    fn of_open(&self, id: WithdrawalId) -> Option<Counts>;
}

#[derive(Clone, Debug)]
pub(crate) struct ModelAccount {
    id: AccountId,
    opened_at: Timestamp,
    tier: usize,
    is_frozen: bool,
    limits: (Option<u64>, Option<u64>),
    security_change: Option<Timestamp>,
    keys: Vec<ModelKey>,
    /// Destination, first record, notice.
    book: Vec<(Fingerprint, Timestamp, Option<Timestamp>)>,
    /// Imported history.
    history: Vec<(Timestamp, u64)>,
    /// More than 64 entries were in its window at once: from then on it may over-count.
    is_inexact: bool,
    word: Word,
}

#[derive(Clone, Debug)]
struct ModelKey {
    key: Fingerprint,
    revision: u32,
    put_at: Timestamp,
    scopes: u8,
    may_withdraw: bool,
    is_revoked: bool,
    ips: Vec<Fingerprint>,
    /// What else bounds it, and what is known of its use, if anything is.
    fenced: Option<Fenced>,
}

/// A withdrawal, open or long closed.
#[derive(Clone, Debug)]
pub(crate) struct ModelWithdrawal {
    id: WithdrawalId,
    account: usize,
    asset: usize,
    wallet: usize,
    place: Fingerprint,
    units: u128,
    usd_cents: Option<u64>,
    evidence: Evidence,
    requested_at: Timestamp,
    not_after: Timestamp,
    status: &'static str,
    code_shown: bool,
    asked: (bool, bool),
    operators: u8,
    reserved: Option<Class>,
    queued: Option<ModelTurn>,
    next_check: Timestamp,
    /// What was asked, to the letter.
    request: RequestWithdrawal,
    /// What may pay it, once something was released.
    paying: Option<Paying>,
    /// The credential that approved its text.
    bound: Option<Fingerprint>,
    mandate: Option<MandateId>,
    /// How often its text's time has passed, and whether it waits for another.
    lapses: u8,
    is_lapsed: bool,
}

/// What may pay a withdrawal, and the class that gets its value back if nothing does.
#[derive(Clone, Debug)]
struct Paying {
    class: Option<Class>,
    digests: Vec<Digest>,
}

/// A payment that a signer remembers and this journal does not.
#[derive(Clone, Debug)]
struct LostPayment {
    id: WithdrawalId,
    account: AccountId,
    symbol: AssetSymbol,
    place: Fingerprint,
    units: u128,
    since: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct ModelTurn {
    lane: Lane,
    turn: u32,
    since: Timestamp,
    order: u64,
}

/// What happened to buckets, on the clock that refills run on.
#[derive(Clone, Debug)]
enum Spent {
    Taken {
        class: Class,
        withdrawal: usize,
    },
    Returned {
        class: Class,
        withdrawal: usize,
    },
    Configured(Box<Configuration>),
    /// Out of a wallet's fee bucket on a network.
    Fee {
        wallet: usize,
        network: Network,
        units: u128,
    },
    /// Taken whether it was there or not.
    Forced {
        class: Class,
        asset: usize,
        wallet: usize,
        units: u128,
        usd_cents: u64,
    },
}

/// An operator: name, key, since when, one of the first.
type ModelOperator = (Name, OperatorPublicKey, Timestamp, bool);

#[derive(Debug)]
pub(crate) struct Model {
    exchange: String,
    configuration: Configuration,
    operators: Vec<ModelOperator>,
    tokens: Vec<(Name, [u8; 32])>,
    /// Nonces of used texts, until when they are valid.
    used_nonces: Vec<(String, Timestamp)>,
    imports: Vec<[u8; 32]>,
    accounts: Vec<ModelAccount>,
    withdrawals: Vec<ModelWithdrawal>,
    /// Asset, when, micro-USD.
    prices: Vec<(usize, Timestamp, u64)>,
    pub(crate) halts: BTreeSet<Scope>,
    /// Spans in which nobody could have objected; spans under suspicion are in `suspected` too.
    lost: Vec<(Timestamp, Timestamp)>,
    suspected: Vec<(Timestamp, Timestamp)>,
    pub(crate) suspect_since: Option<Timestamp>,
    /// Request, until when it is remembered.
    requests: Vec<(Fingerprint, Timestamp)>,
    /// Key, body, when, record.
    idempotency: Vec<(Fingerprint, Fingerprint, Timestamp, u64)>,
    spent: Vec<(Timestamp, Spent)>,
    wakes: Vec<(Lane, Timestamp)>,
    time: Timestamp,
    pub(crate) epoch: u64,
    /// The highest counter of each signer's receipts.
    pub(crate) counters: BTreeMap<Name, u64>,
    /// Which signers have told what they remember, and in which epoch.
    told_in: BTreeMap<Name, u64>,
    pub(crate) transactions: Vec<ModelTransaction>,
    /// Whose coins a transaction that nobody released spent, where, and its id.
    strangers: BTreeSet<(usize, Network, [u8; 32])>,
    lost_payments: Vec<LostPayment>,
    rules: u32,
    /// When the journal began, if it began by the rules that let acts wait.
    began: Option<Timestamp>,
    waiting: Vec<waiting::Waiting>,
    /// The record of the last configuration.
    configured: u64,
    packs: governed::Packs,
    /// Every policy that ever decided.
    packs_ever: Vec<governed::Pack>,
}

const DAY: u64 = 24 * 3_600 * 1_000_000;
const OPEN: [&str; 4] = ["awaiting_approval", "dwelling", "held", "approved"];
const RELEASED: [&str; 3] = ["released", "broadcast", "confirmed"];

impl ModelWithdrawal {
    fn is_released(&self) -> bool {
        RELEASED.contains(&self.status)
    }

    fn is_open(&self) -> bool {
        OPEN.contains(&self.status) || self.is_released()
    }

    /// It is in the windows: what was paid stays there.
    fn counts(&self) -> bool {
        self.is_open() || self.status == "paid"
    }
}

impl Model {
    pub(crate) fn new() -> Self {
        Self {
            exchange: String::new(),
            configuration: Configuration::default(),
            operators: Vec::new(),
            tokens: Vec::new(),
            used_nonces: Vec::new(),
            imports: Vec::new(),
            accounts: Vec::new(),
            withdrawals: Vec::new(),
            prices: Vec::new(),
            halts: BTreeSet::new(),
            lost: Vec::new(),
            suspected: Vec::new(),
            suspect_since: None,
            requests: Vec::new(),
            idempotency: Vec::new(),
            spent: Vec::new(),
            wakes: Vec::new(),
            time: Timestamp::ZERO,
            epoch: 1,
            counters: BTreeMap::new(),
            told_in: BTreeMap::new(),
            transactions: Vec::new(),
            strangers: BTreeSet::new(),
            lost_payments: Vec::new(),
            rules: 1,
            began: None,
            waiting: Vec::new(),
            configured: 0,
            packs: governed::Packs::default(),
            packs_ever: Vec::new(),
        }
    }

    /// What a command leads to. `sequence` is that of its record, if it gets one.
    pub(crate) fn say(&mut self, at: Timestamp, sequence: u64, command: &Command, told: &dyn Told) -> Answer {
        match self.try_say(at, sequence, command, told) {
            Ok(answer) => answer,
            Err(code) => Answer::Refused(code.to_owned()),
        }
    }

    /// There is a record of this time.
    pub(crate) const fn recorded(&mut self, at: Timestamp) {
        self.time = at;
    }

    fn try_say(
        &mut self,
        at: Timestamp,
        sequence: u64,
        command: &Command,
        told: &dyn Told,
    ) -> Result<Answer, &'static str> {
        match command {
            Command::Initialise(first) => {
                if !self.exchange.is_empty() {
                    return Err("already_initialised");
                }
                self.exchange.clone_from(&first.exchange);
                self.configuration = first.configuration.clone();
                self.spent.push((at, Spent::Configured(Box::new(first.configuration.clone()))));
                let operators = first.operators.iter();
                self.operators = operators.map(|one| (one.name.clone(), one.public_key, at, true)).collect();
                self.tokens.push((first.token.client.clone(), first.token.token_hash));
                self.rules = first.rules.unwrap_or(1);
                self.began = (self.rules == 3).then_some(at);
                self.packs = governed::Packs::begin(&first.policy);
                self.packs_ever.push(governed::Pack::of(&first.policy));
            }
            Command::StopAct { act, .. } => self.stop(act.0)?,
            Command::Start => self.lost.push((self.time, at)),
            Command::Tick => return Ok(Answer::Done(self.tick(at, sequence, told))),
            Command::SuspectClock { .. } => self.suspect_since = self.suspect_since.or(Some(at)),
            Command::RecordSnapshot { .. } => {}
            Command::OpenAccount { account, tier } => {
                if self.account(account).is_ok() {
                    return Err("account_exists");
                }
                let tier = self.tier(tier)?;
                self.accounts.push(ModelAccount::new(account.clone(), at, tier));
            }
            Command::FreezeAccount { account, by } => {
                let account = self.account(account)?;
                let is_owners = by.as_str() == "panic-link" && self.rules > 1;
                let known = &mut self.accounts[account];
                let is_wish = known.is_frozen && known.word.wished_still.is_some();
                if !known.is_frozen || (is_wish && !is_owners) {
                    known.is_frozen = true;
                    known.word.wished_still = is_owners.then_some(at);
                    self.look_again(at, |withdrawal| withdrawal.account == account);
                }
            }
            Command::LowerLimits { account, usd_cents_24h, usd_cents_30d } => {
                let account = self.account(account)?;
                let (day, month) = self.limits(account);
                if usd_cents_24h.0 > day || usd_cents_30d.0 > month {
                    return Err("not_tighter");
                }
                self.accounts[account].limits = (Some(usd_cents_24h.0), Some(usd_cents_30d.0));
                return Ok(Answer::Done(self.forget_limits(account)));
            }
            Command::RecordSecurityChange { account, .. } => {
                let account = self.account(account)?;
                self.accounts[account].security_change = Some(at);
                self.look_again(at, |withdrawal| withdrawal.account == account);
            }
            Command::PutApiKey { account, key, scopes, ip_allowlist } => {
                self.put_key(at, account, *key, scopes.0, ip_allowlist)?;
            }
            Command::RevokeApiKey { account, key } => {
                let account = self.account(account)?;
                let known = self.accounts[account].keys.iter_mut().find(|known| known.key == *key);
                let known = known.ok_or("api_key_unknown")?;
                if !known.is_revoked {
                    known.is_revoked = true;
                    self.look_again(at, |withdrawal| withdrawal.account == account);
                }
            }
            Command::AddAddress { account, destination } => {
                let account = self.account(account)?;
                let is_known = self.accounts[account].book.iter().any(|entry| entry.0 == *destination);
                if !is_known && self.is_locked(at, account) {
                    return Err("settings_locked");
                }
                self.record(at, account, *destination);
            }
            Command::RemoveAddress { account, destination } => {
                let account = self.account(account)?;
                let book = &mut self.accounts[account].book;
                let place = book.iter().position(|entry| entry.0 == *destination).ok_or("address_unknown")?;
                book.remove(place);
                self.look_again(at, |withdrawal| withdrawal.account == account);
            }
            Command::RecordNoticeDelivered { account, destination } => {
                let account = self.account(account)?;
                let book = &mut self.accounts[account].book;
                let entry = book.iter_mut().find(|entry| entry.0 == *destination).ok_or("address_unknown")?;
                entry.2 = entry.2.or(Some(at));
            }
            Command::SetPrices { prices } => {
                let mut rows = Vec::new();
                for price in prices {
                    let asset = self.asset(&price.asset).ok_or("asset_unknown")?;
                    if price.micro_usd == 0 {
                        return Err("amount_zero");
                    }
                    rows.push((asset, at, price.micro_usd));
                }
                self.prices.extend(rows);
            }
            Command::RequestWithdrawal(request) => return self.request(at, sequence, request, told),
            Command::CancelWithdrawal { account, withdrawal } => {
                let which = self.own(account, *withdrawal)?;
                if self.withdrawals[which].is_released() {
                    return Err("already_released");
                }
                return Ok(Answer::Done(vec![self.close_plainly(at, which, "cancelled")]));
            }
            Command::ReportOneTimeCode { account, withdrawal } => {
                let which = self.own(account, *withdrawal)?;
                let open = &self.withdrawals[which];
                if open.status != "awaiting_approval" || !open.asked.0 {
                    return Err("not_awaiting_factor");
                }
                self.withdrawals[which].code_shown = true;
                return Ok(Answer::Done(vec![self.decide_again(at, sequence, which, told)]));
            }
            Command::Halt { scope, .. } => {
                self.known_scope(scope)?;
                if self.halts.insert(scope.clone()) {
                    self.look_again_in(at, scope);
                }
                self.stop_resumes(scope);
            }
            Command::DenyWithdrawal { withdrawal, .. } => {
                let which = self.open(*withdrawal).ok_or("withdrawal_unknown")?;
                if self.withdrawals[which].is_released() {
                    return Err("already_released");
                }
                self.key_decided(which, true);
                let mut outcome = self.close_plainly(at, which, "denied");
                outcome.reasons = vec!["denied_by_staff".to_owned()];
                return Ok(Answer::Done(vec![outcome]));
            }
            Command::OperatorAct(act) => return self.act(at, sequence, act, told),
            Command::ImportChunk { digest, accounts } => self.import(at, digest, accounts)?,
            Command::RevokeToken { client, .. } => {
                let known = self.tokens.iter().position(|token| token.0 == *client);
                self.tokens.remove(known.ok_or("token_unknown")?);
            }
            Command::ProposeTransaction(proposed) => return self.propose(at, sequence, proposed, told),
            Command::RecordReceipt(receipt) => return self.receipt(at, receipt),
            Command::RecordObservation(seen) => return self.observe(at, seen),
            Command::ApproveIntent { account, withdrawal, approval } => {
                return self.approve_intent(at, sequence, (account, *withdrawal), approval, told);
            }
            Command::RenewIntent { account, withdrawal, nonce } => {
                return self.renew_intent(at, sequence, (account, *withdrawal), *nonce, told);
            }
            Command::ChangeProtection(asked) => return self.change(at, asked),
            Command::PresentCode(shown) => return self.present(at, sequence, shown, told),
            Command::RecordSession(session) => self.session(at, session)?,
            Command::RevokeApiKeys { cohort, .. } => self.revoke_cohort(at, cohort)?,
            Command::RecordKeyUse { keys } => self.key_use(at, keys),
        }
        Ok(Answer::Done(Vec::new()))
    }

    /// The core has forgotten what was valid until then; a text that is past its end is refused for that.
    pub(crate) fn forget(&mut self, until: Timestamp) {
        self.used_nonces.retain(|used| used.1 >= until);
        self.forget_transactions(until);
    }

    fn request(
        &mut self,
        at: Timestamp,
        sequence: u64,
        request: &RequestWithdrawal,
        told: &dyn Told,
    ) -> Result<Answer, &'static str> {
        let key = request.idempotency.key;
        let known = self.idempotency.iter().rev().find(|row| row.0 == key && at < row.2.plus(DAY));
        if let Some((_, body, _, sequence)) = known {
            let same = *body == request.idempotency.body;
            return if same { Ok(Answer::Repeated(*sequence)) } else { Err("idempotency_conflict") };
        }
        if self.open(request.withdrawal).is_some() {
            return Err("withdrawal_exists");
        }
        let account = self.account(&request.account)?;
        let network = request.destination.network();
        if network == Network::Litecoin {
            return Err("network_not_releasable");
        }
        let asset = self.asset(&request.asset).ok_or("asset_unknown")?;
        let paid = self.configuration.assets[asset].wallets.iter().find(|(on, _)| *on == network);
        let (_, wallet) = paid.ok_or("network_not_configured")?;
        let wallet = self.configuration.wallets.iter().position(|known| known.name == *wallet).unwrap();
        let units = request.amount.base_units();
        if units == 0 {
            return Err("amount_zero");
        }
        let usd_cents = self.value(asset, units, at);
        let which = self.withdrawals.len();
        self.withdrawals.push(ModelWithdrawal {
            id: request.withdrawal,
            account,
            asset,
            wallet,
            place: request.fingerprint,
            units,
            usd_cents,
            evidence: request.evidence.clone(),
            requested_at: at,
            not_after: at.plus(self.configuration.parameters.withdrawal_lifetime),
            status: "new",
            code_shown: false,
            asked: (false, false),
            operators: 0,
            reserved: None,
            queued: None,
            next_check: at,
            request: request.clone(),
            paying: None,
            bound: None,
            mandate: None,
            lapses: 0,
            is_lapsed: false,
        });
        let mandate = self.mandate_for(at, account, request);
        self.withdrawals[which].mandate = mandate;
        let verdict = self.judge(at, which, told.of_request(request));
        self.idempotency.push((key, request.idempotency.body, at, sequence));
        if let Evidence::ApiRequest(evidence) = &request.evidence {
            self.requests.push((evidence.request, evidence.signed_at.plus(evidence.window)));
        }
        if usd_cents.is_some() {
            self.entered(at, account);
        }
        self.key_asked(at, which);
        if let Some(mandate) = mandate.filter(|_| !verdict.deny) {
            self.used(at, account, mandate, units);
        }
        let knows = self.accounts[account].book.iter().any(|entry| entry.0 == request.fingerprint);
        if !knows && !verdict.deny {
            self.record(at, account, request.fingerprint);
        }
        Ok(Answer::Done(vec![self.settle(at, sequence, which, verdict, false)]))
    }

    /// Judges an open withdrawal again and says what happens to it.
    fn decide_again(&mut self, at: Timestamp, sequence: u64, which: usize, told: &dyn Told) -> Outcome {
        let verdict = self.judge(at, which, told.of_open(self.withdrawals[which].id));
        self.settle(at, sequence, which, verdict, false)
    }

    fn put_key(
        &mut self,
        at: Timestamp,
        account: &AccountId,
        key: Fingerprint,
        scopes: u8,
        ips: &[Fingerprint],
    ) -> Result<(), &'static str> {
        let account = self.account(account)?;
        let foreign = (0..self.accounts.len())
            .any(|other| other != account && self.accounts[other].keys.iter().any(|known| known.key == key));
        if foreign {
            return Err("api_key_foreign");
        }
        let may_withdraw = scopes & 4 != 0;
        if may_withdraw && ips.is_empty() {
            return Err("ip_allowlist_required");
        }
        if ips.len() > 32 {
            return Err("too_many");
        }
        if self.accounts[account].keys.iter().any(|known| known.key == key && known.is_revoked) {
            return Err("api_key_revoked");
        }
        self.may_put_plainly(at, account, (key, scopes, ips))?;
        let keys = &mut self.accounts[account].keys;
        let new = |revision, fenced| ModelKey {
            key,
            revision,
            put_at: at,
            scopes,
            may_withdraw,
            is_revoked: false,
            ips: ips.to_vec(),
            fenced,
        };
        match keys.iter_mut().find(|known| known.key == key) {
            Some(known) => *known = new(known.revision + 1, known.fenced.clone()),
            None => keys.push(new(1, None)),
        }
        Ok(())
    }

    fn import(
        &mut self,
        at: Timestamp,
        digest: &[u8; 32],
        accounts: &[ImportedAccount],
    ) -> Result<(), &'static str> {
        let part = self.imports.iter().position(|open| open == digest).ok_or("import_unknown")?;
        let mut made: Vec<ModelAccount> = Vec::new();
        for imported in accounts {
            if self.account(&imported.account).is_ok() || made.iter().any(|one| one.id == imported.account) {
                return Err("account_exists");
            }
            let mut account =
                ModelAccount::new(imported.account.clone(), imported.opened_at, self.tier(&imported.tier)?);
            for key in &imported.api_keys {
                let everybody = self.accounts.iter().chain(&made).chain([&account]);
                if everybody.flat_map(|account| &account.keys).any(|known| known.key == key.key) {
                    return Err("api_key_foreign");
                }
                account.keys.push(ModelKey {
                    key: key.key,
                    revision: 1,
                    put_at: key.created_at,
                    scopes: key.scopes.0,
                    fenced: None,
                    may_withdraw: key.scopes.0 & 4 != 0,
                    is_revoked: false,
                    ips: key.ip_allowlist.clone(),
                });
            }
            for address in &imported.addresses {
                let since = address.first_recorded_at;
                account.book.push((address.destination, since, Some(since)));
            }
            account.history = imported.withdrawals.iter().map(|past| (past.at, past.usd_cents.0)).collect();
            let recent = account.history.iter().filter(|past| at.since(past.0) <= 30 * DAY).count();
            account.is_inexact = recent > 64;
            made.push(account);
        }
        self.accounts.extend(made);
        self.imports.remove(part);
        Ok(())
    }

    fn record(&mut self, at: Timestamp, account: usize, destination: Fingerprint) {
        let book = &mut self.accounts[account].book;
        if book.iter().all(|entry| entry.0 != destination) {
            book.push((destination, at, None));
        }
    }

    /// A withdrawal has just entered its account's window.
    fn entered(&mut self, at: Timestamp, account: usize) {
        let own = self.withdrawals.iter().filter(|one| one.account == account && one.usd_cents.is_some());
        let live = own.filter(|one| one.counts() || one.status == "new");
        let entries = live.map(|one| one.requested_at);
        let history = self.accounts[account].history.iter().map(|past| past.0);
        let count = entries.chain(history).filter(|entry| at.since(*entry) <= 30 * DAY).count();
        self.accounts[account].is_inexact |= count > 64;
    }

    fn account(&self, id: &AccountId) -> Result<usize, &'static str> {
        self.accounts.iter().position(|account| account.id == *id).ok_or("account_unknown")
    }

    fn tier(&self, name: &Name) -> Result<usize, &'static str> {
        self.configuration.tiers.iter().position(|tier| tier.name == *name).ok_or("tier_unknown")
    }

    fn asset(&self, symbol: &AssetSymbol) -> Option<usize> {
        self.configuration.assets.iter().position(|asset| asset.spec.symbol == *symbol)
    }

    fn open(&self, id: WithdrawalId) -> Option<usize> {
        self.withdrawals.iter().position(|withdrawal| withdrawal.id == id && withdrawal.is_open())
    }

    fn own(&self, account: &AccountId, id: WithdrawalId) -> Result<usize, &'static str> {
        let account = self.account(account)?;
        let which = self.open(id).ok_or("withdrawal_unknown")?;
        if self.withdrawals[which].account == account { Ok(which) } else { Err("withdrawal_foreign") }
    }

    fn known_scope(&self, scope: &Scope) -> Result<(), &'static str> {
        let known = match scope {
            Scope::Overall => true,
            Scope::Asset(symbol) => self.asset(symbol).is_some(),
            Scope::Wallet(name) => self.configuration.wallets.iter().any(|wallet| wallet.name == *name),
            Scope::Account(id) => self.account(id).is_ok(),
        };
        if known { Ok(()) } else { Err("halt_scope_unknown") }
    }

    /// Whether a scope covers a withdrawal.
    fn covers(&self, scope: &Scope, withdrawal: &ModelWithdrawal) -> bool {
        match scope {
            Scope::Overall => true,
            Scope::Asset(symbol) => self.configuration.assets[withdrawal.asset].spec.symbol == *symbol,
            Scope::Wallet(name) => self.configuration.wallets[withdrawal.wallet].name == *name,
            Scope::Account(id) => self.accounts[withdrawal.account].id == *id,
        }
    }

    /// Those that are open and meant are looked at at once, except those that wait for a person.
    fn look_again(&mut self, at: Timestamp, is_meant: impl Fn(&ModelWithdrawal) -> bool) {
        for withdrawal in &mut self.withdrawals {
            let waits = OPEN.contains(&withdrawal.status)
                && withdrawal.status != "held"
                && !withdrawal.is_lapsed
                && withdrawal.next_check > at;
            if waits && is_meant(withdrawal) {
                withdrawal.next_check = at;
            }
        }
    }

    fn look_again_in(&mut self, at: Timestamp, scope: &Scope) {
        let covered: Vec<_> = self.withdrawals.iter().map(|one| (one.id, self.covers(scope, one))).collect();
        self.look_again(at, |one| covered.contains(&(one.id, true)));
    }

    /// All open withdrawals, by id.
    pub(crate) fn standings(&self) -> Vec<Standing> {
        let mut standings: Vec<_> = self
            .withdrawals
            .iter()
            .filter(|withdrawal| withdrawal.is_open())
            .map(|withdrawal| Standing {
                id: withdrawal.id,
                status: withdrawal.status,
                reserved: withdrawal.reserved,
                queued: withdrawal.queued.map(|turn| (turn.lane, turn.turn)),
                next_check: withdrawal.next_check,
                usd_cents: withdrawal.usd_cents,
                operators: withdrawal.operators,
            })
            .collect();
        standings.sort_by_key(|standing| standing.id);
        standings
    }
}

impl ModelAccount {
    fn new(id: AccountId, opened_at: Timestamp, tier: usize) -> Self {
        Self {
            id,
            opened_at,
            tier,
            is_frozen: false,
            limits: (None, None),
            security_change: None,
            keys: Vec::new(),
            book: Vec::new(),
            history: Vec::new(),
            is_inexact: false,
            word: Word::default(),
        }
    }
}
