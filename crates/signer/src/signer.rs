//! The signer: a pinned file, a store and a key; and everything that can be asked of them.
//!
//! Each answer is given after what it says is durable. Once the store has failed, nothing more is answered until the
//! signer is opened again: what a failed disk has kept is only known after recovery.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use holdfast_authn::release::{
    self, Enrolment, Kind, Outcome, PolicyStep, Removal, SignedAct, SigningKey, Spends,
};
use holdfast_transactions::Sighash;
use holdfast_values::texts::ExchangeName;
use holdfast_values::{AccountId, Amount, Name, Network, Timestamp, WithdrawalId};

use crate::acts::{self, SignerAct};
use crate::examine::{Examined, examine};
use crate::files::FileError;
use crate::key::{self, KeyFileError};
use crate::pins::{Pins, PinsError};
use crate::policy::{self, Introduced, PolicyStatus};
use crate::refused::{BucketName, Refused};
use crate::registry::{self, Enrolled};
use crate::spend::{Spender, begin_epoch, use_text};
use crate::store::records::{Records, Standing};
use crate::store::registry::{Credential, CredentialCounts, CredentialStatus};
use crate::store::{Place, Store, StoreError};
use holdfast_values::bucket::{BucketSpec, Level};

/// The epoch of a store that no operators have moved on.
pub const FIRST_EPOCH: u64 = 1;

/// Where time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

fn check_exchange(pins: &Pins, exchange: &ExchangeName) -> Result<(), Refused> {
    if *exchange == pins.exchange { Ok(()) } else { Err(Refused::ExchangeDiffers) }
}

/// The system's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    })
}

/// Why a signer cannot be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The pinned file.
    #[error(transparent)]
    Pins(#[from] PinsError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The signer's key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// No random bytes.
    #[error(transparent)]
    File(#[from] FileError),
    /// A number that no epoch has.
    #[error("an epoch is a number from {FIRST_EPOCH} on")]
    Epoch,
}

impl OpenError {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Pins(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::File(error) => error.code(),
            Self::Epoch => "epoch_range",
        }
    }
}

/// What `init` made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// To be pinned as `store`.
    pub store: [u8; 16],
    /// What Holdfast needs to know this signer's receipts.
    pub receipt_key: [u8; 32],
}

/// What a wallet may sign. Only this crate makes one, and only of what was authorised and recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighashes {
    pub(crate) wallet: Name,
    pub(crate) network: Network,
    pub(crate) digest: [u8; 32],
    pub(crate) each: Vec<Sighash>,
}

impl Sighashes {
    /// The wallet whose keys sign.
    pub const fn wallet(&self) -> &Name {
        &self.wallet
    }

    /// Where.
    pub const fn network(&self) -> Network {
        self.network
    }

    /// The digest of the transaction.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The messages, in the order of the inputs.
    pub fn each(&self) -> &[Sighash] {
        &self.each
    }
}

/// Yes, and what to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorised {
    /// What to sign.
    pub sighashes: Sighashes,
    /// The signed receipt, for Holdfast.
    pub receipt: Vec<u8>,
    /// This answer was given before.
    pub repeated: bool,
}

/// How a signer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its name.
    pub name: Name,
    /// Its exchange.
    pub exchange: String,
    /// The public half of its key.
    pub receipt_key: [u8; 32],
    /// Its store.
    pub store: [u8; 16],
    /// Receipts given.
    pub counter: u64,
    /// The epoch.
    pub epoch: u64,
    /// Highest sequence in it, with the head there.
    pub seen: Option<(u64, [u8; 32])>,
    /// Highest time seen.
    pub highest: Timestamp,
    /// It signs nothing.
    pub halted: bool,
    /// Its time is what releases say.
    pub simulated: bool,
    /// What each bucket holds.
    pub buckets: Vec<BucketStatus>,
    /// Customers' credentials.
    pub credentials: CredentialCounts,
    /// The policy that counts; none before the store first ran.
    pub policy: Option<[u8; 32]>,
}

/// How a bucket stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketStatus {
    /// Which.
    pub bucket: BucketName,
    /// Decimals of its amounts.
    pub decimals: u8,
    /// The most that it holds.
    pub size: Amount,
    /// What it holds now.
    pub available: Amount,
}

/// A signer with its store, which this process alone holds.
pub struct Signer {
    pins: Pins,
    key: SigningKey,
    store: Store,
    clock: Clock,
    moved: bool,
    failed: Option<String>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("name", &self.pins.name).finish_non_exhaustive()
    }
}

impl Signer {
    /// Makes the store, and the signer's key unless its file is there. Once: never over another store.
    pub fn init(pins: &Path, store: &Path, epoch: u64) -> Result<Made, OpenError> {
        let pins = Pins::load(pins)?;
        let first = i64::try_from(epoch).ok().filter(|_| epoch >= FIRST_EPOCH).ok_or(OpenError::Epoch)?;
        let id = key::random()?;
        let key = key::load_or_make(&pins.receipt_key_file)?;
        Store::init(store, &pins, id, first)?;
        Ok(Made { store: id, receipt_key: key.public_key() })
    }

    /// Opens a signer that may sign.
    pub fn open(pins: Pins, store: &Path, clock: Clock) -> Result<Self, OpenError> {
        let signer = Self::open_for_acts(pins, store, clock)?;
        if signer.moved { Err(StoreError::Moved.into()) } else { Ok(signer) }
    }

    /// Records the pinned policy, and that the store runs from now on, where that is not known yet. Whoever serves says so
    /// at once: the time in which policies need no delay is then over when nobody expects it. Otherwise the first release
    /// or step says so.
    pub fn begin(&mut self) -> Result<(), Refused> {
        if self.pins.simulated_clock {
            return Ok(());
        }
        self.within(true, |spender, records, clock| {
            let now = records.standing()?.time(spender.pins, clock);
            policy::begin(spender.pins, records, now).map(drop)
        })
    }

    /// Opens a signer whose store may be a copy: such a one takes `adopt_store` and tells its status, nothing else.
    pub fn open_for_acts(pins: Pins, store: &Path, clock: Clock) -> Result<Self, OpenError> {
        let key = key::load(&pins.receipt_key_file)?;
        let (store, place) = Store::open(store, &pins)?;
        Ok(Self { pins, key, store, clock, moved: place == Place::Moved, failed: None })
    }

    /// What is pinned.
    pub const fn pins(&self) -> &Pins {
        &self.pins
    }

    /// What was pinned, the store closed.
    pub fn into_pins(self) -> Pins {
        self.pins
    }

    /// Why the store failed, if it did: the signer must be opened again.
    pub fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Checks a release and the final bytes, spends what they spend, records it, and returns what to sign. The same
    /// transaction for the same withdrawals gets the same answer again, without spending again.
    pub fn authorise(&mut self, release: &[u8], transaction: &[u8]) -> Result<Authorised, Refused> {
        self.decide(release, transaction, true).map(|(authorised, _)| authorised)
    }

    /// What [`authorise`](Self::authorise) would answer now. Nothing is recorded; the receipt is left out.
    pub fn would_authorise(
        &mut self,
        release: &[u8],
        transaction: &[u8],
    ) -> Result<(bool, Examined), Refused> {
        self.decide(release, transaction, false).map(|(authorised, examined)| (authorised.repeated, examined))
    }

    fn decide(
        &mut self,
        release: &[u8],
        transaction: &[u8],
        record: bool,
    ) -> Result<(Authorised, Examined), Refused> {
        self.within(record, |spender, records, clock| {
            if records.standing()?.halted {
                return Err(Refused::Halted { threshold: spender.pins.threshold });
            }
            let mut examined = examine(spender.pins, release, transaction)?;
            let granted = spender.spend(records, &examined, clock)?;
            let sighashes = Sighashes {
                wallet: examined.release.wallet.clone(),
                network: examined.decoded.network,
                digest: examined.decoded.digest,
                each: std::mem::take(&mut examined.decoded.sighashes),
            };
            let receipt = if record { granted.receipt } else { Vec::new() };
            Ok((Authorised { sighashes, receipt, repeated: granted.repeated }, examined))
        })
    }

    /// Makes sure that a withdrawal is never paid, and returns the signed receipt for that: the same one each time.
    pub fn void(&mut self, withdrawal: WithdrawalId) -> Result<Vec<u8>, Refused> {
        self.within(true, |spender, records, clock| {
            if let Some(receipt) = records.voided(withdrawal)? {
                return Ok(receipt);
            }
            if records.intent(withdrawal)?.is_some() {
                return Err(Refused::Spent { withdrawal });
            }
            let mut standing = records.standing()?;
            standing.counter = standing.counter.saturating_add(1);
            let at = standing.time(spender.pins, clock);
            let receipt = spender.receipt(&standing, at, Outcome::Voided { withdrawal });
            records.add_voided(withdrawal, standing.counter, &receipt)?;
            records.set_standing(&standing)?;
            Ok(receipt)
        })
    }

    /// Takes a credential of a customer, or says from when on a known one counts: the same for the same enrolment each time.
    pub fn enrol(&mut self, enrolment: &[u8]) -> Result<Enrolled, Refused> {
        self.within(true, |spender, records, clock| {
            let pins = spender.pins;
            let mut standing = records.standing()?;
            if standing.halted {
                return Err(Refused::Halted { threshold: pins.threshold });
            }
            let (payload, _) = release::open(Kind::Enrolment, enrolment, &pins.release_keys)?;
            let enrolment = Enrolment::parse(&payload)?;
            check_exchange(pins, &enrolment.exchange)?;
            let now = if pins.simulated_clock { standing.highest.max(enrolment.at) } else { clock };
            if now < standing.highest {
                return Err(Refused::ClockBehind { now, highest: standing.highest });
            }
            let enrolled = registry::enrol(pins, records, &enrolment, &payload, now)?;
            standing.highest = now;
            records.set_standing(&standing)?;
            Ok(enrolled)
        })
    }

    /// Never lets a credential count again. Also while halted: it tightens.
    pub fn remove(&mut self, removal: &[u8]) -> Result<(), Refused> {
        self.within(true, |spender, records, clock| {
            let pins = spender.pins;
            let (payload, _) = release::open(Kind::Removal, removal, &pins.release_keys)?;
            let removal = Removal::parse(&payload)?;
            check_exchange(pins, &removal.exchange)?;
            registry::remove(records, &removal, records.standing()?.time(pins, clock))
        })
    }

    /// Every credential that an account ever had here.
    pub fn credentials(&mut self, account: &AccountId) -> Result<Vec<CredentialStatus>, Refused> {
        self.within_any(false, |spender, records, _| {
            let status = |credential: Credential| {
                Ok(CredentialStatus {
                    counts_from: credential.counts_from(spender.pins),
                    counter: records.highest_counter(&credential.id)?,
                    credential,
                })
            };
            records.credentials(account)?.into_iter().map(status).collect()
        })
    }

    /// Takes a step of the policy in, or says from when on a known one counts: the same for the same step each time. Also
    /// while halted: it signs nothing.
    pub fn introduce_policy(&mut self, step: &[u8]) -> Result<Introduced, Refused> {
        self.within(true, |spender, records, clock| {
            let pins = spender.pins;
            let (payload, _) = release::open(Kind::Policy, step, &pins.release_keys)?;
            let step = PolicyStep::parse(&payload)?;
            check_exchange(pins, &step.exchange)?;
            let mut standing = records.standing()?;
            let now = if pins.simulated_clock { standing.highest.max(step.at) } else { clock };
            if now < standing.highest {
                return Err(Refused::ClockBehind { now, highest: standing.highest });
            }
            let introduced = policy::introduce(pins, records, &step, now)?;
            standing.highest = now;
            records.set_standing(&standing)?;
            Ok(introduced)
        })
    }

    /// Never follows a step, by the nonce of its text. Needs no signature: whoever can ask may stop it.
    pub fn stop_policy(&mut self, nonce: &[u8; 32]) -> Result<(), Refused> {
        self.within(true, |spender, records, clock| {
            policy::stop(records, nonce, records.standing()?.time(spender.pins, clock))
        })
    }

    /// Which policies were followed, and which steps lead on.
    pub fn policy(&mut self) -> Result<PolicyStatus, Refused> {
        self.within_any(false, |_, records, _| policy::status(records))
    }

    /// Signs nothing any more until operators resume. Needs no signature: whoever can ask may halt.
    pub fn halt(&mut self) -> Result<(), Refused> {
        self.within(true, |_, records, _| {
            let standing = records.standing()?;
            Ok(records.set_standing(&Standing { halted: true, ..standing })?)
        })
    }

    /// Does what operators signed: halt, resume, begin an epoch, adopt a store.
    pub fn act(&mut self, signed: &SignedAct) -> Result<SignerAct, Refused> {
        let (moved, here) = (self.moved, self.store.here);
        let done = self.within_any(true, |spender, records, clock| {
            let mut standing = records.standing()?;
            let now = if spender.pins.simulated_clock { standing.highest } else { clock };
            let (act, text) = acts::prove(spender.pins, &spender.store, signed, now)?;
            if moved && !matches!(act, SignerAct::AdoptStore { .. }) {
                return Err(Refused::StoreMoved);
            }
            if now < standing.highest && matches!(act, SignerAct::Resume | SignerAct::BeginEpoch { .. }) {
                return Err(Refused::ClockBehind { now, highest: standing.highest });
            }
            use_text(records, act, &text, now)?;
            match act {
                SignerAct::Halt => standing.halted = true,
                SignerAct::Resume => standing.halted = false,
                SignerAct::BeginEpoch { epoch, counter } => begin_epoch(&mut standing, epoch, counter)?,
                SignerAct::AdoptStore { counter } if counter != standing.counter => {
                    return Err(Refused::CounterDiffers { named: counter, counter: standing.counter });
                }
                SignerAct::AdoptStore { .. } => {
                    records.set_home(&here)?;
                    // Who adopts a store also says that the clock is right now, should it have been ahead once.
                    standing.highest = now;
                    records.pull_levels_back(now)?;
                    records.pull_registry_back(now)?;
                    records.pull_policy_back(now)?;
                }
            }
            records.set_standing(&standing)?;
            Ok(act)
        })?;
        if matches!(done, SignerAct::AdoptStore { .. }) {
            self.moved = false;
        }
        Ok(done)
    }

    /// Everything that was ever authorised or voided, signed: what `holdfast recover` merges into a restored journal.
    pub fn spends(&mut self) -> Result<Vec<u8>, Refused> {
        self.within(false, |spender, records, clock| {
            let standing = records.standing()?;
            let (sequence, head) = standing.seen.unwrap_or_default();
            let spends = Spends {
                signer: spender.pins.name.clone(),
                exchange: spender.pins.exchange.clone(),
                store: spender.store,
                counter: standing.counter,
                at: standing.time(spender.pins, clock),
                epoch: standing.epoch,
                sequence,
                head,
                spends: records.spends()?,
                transfers: records.transfers()?,
                voided: records.all_voided()?,
            };
            Ok(release::seal(Kind::Spends, &spends.to_bytes(), spender.key))
        })
    }

    /// How the signer stands.
    pub fn status(&mut self) -> Result<Status, Refused> {
        self.within_any(false, |spender, records, clock| {
            let (pins, standing) = (spender.pins, records.standing()?);
            let now = standing.time(pins, clock);
            let mut buckets = Vec::new();
            let mut add = |bucket: BucketName, decimals: u8, spec: BucketSpec| -> Result<(), Refused> {
                let level =
                    records.level(&bucket)?.unwrap_or_else(|| Level::full(spec, now)).refilled(spec, now);
                buckets.push(BucketStatus {
                    bucket,
                    decimals,
                    size: spec.size,
                    available: level.available(),
                });
                Ok(())
            };
            for (symbol, network, asset) in pins.assets() {
                add(BucketName::Vouched(symbol.clone(), network), asset.decimals, asset.vouched)?;
                add(BucketName::Unvouched(symbol.clone(), network), asset.decimals, asset.unvouched)?;
            }
            for (name, network, fees) in pins.payers() {
                let decimals = network.native_decimals().unwrap_or_default();
                add(BucketName::Fee(name.clone(), network), decimals, fees.bucket)?;
            }
            Ok(Status {
                name: pins.name.clone(),
                exchange: pins.exchange.to_string(),
                receipt_key: spender.key.public_key(),
                store: spender.store,
                counter: standing.counter,
                epoch: standing.epoch,
                seen: standing.seen,
                highest: standing.highest,
                halted: standing.halted,
                simulated: pins.simulated_clock,
                buckets,
                credentials: records.credential_counts(now)?,
                policy: records.policy()?.map(|followed| followed.hash),
            })
        })
    }

    fn within<T>(
        &mut self,
        record: bool,
        work: impl FnOnce(Spender<'_>, &Records<'_>, Timestamp) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        if self.moved { Err(Refused::StoreMoved) } else { self.within_any(record, work) }
    }

    /// Works in one transaction of the store, which is durable when this returns what it worked out.
    fn within_any<T>(
        &mut self,
        record: bool,
        work: impl FnOnce(Spender<'_>, &Records<'_>, Timestamp) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        if let Some(error) = &self.failed {
            return Err(Refused::StoreFailed(error.clone()));
        }
        let spender = Spender { pins: &self.pins, store: self.store.id, key: &self.key };
        let clock = (self.clock)();
        let result = self.store.begin().map_err(Refused::from).and_then(|records| {
            let done = work(spender, &records, clock)?;
            if record {
                records.commit()?;
            }
            Ok(done)
        });
        if let Err(Refused::StoreFailed(error)) = &result {
            self.failed = Some(error.clone());
        }
        result
    }
}
