//! The exchange: places orders, asks Holdfast, and keeps asking until it knows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdfast_authn::RequestError;
use holdfast_values::{AccountId, Amount, AssetSymbol, Network};

use crate::book::{Book, Order, Placed, Refused, Stage, Withdrawal};
use crate::clock;
use crate::config::{Asset, AssetNetwork, Config};
use crate::holdfast::{Answer, Evidence, Holdfast, Problem, Verdict, withdrawal_body};

/// How many open withdrawals are looked up at once.
const LOOKUPS_AT_ONCE: usize = 32;
/// Holdfast remembers an idempotency key for 24 hours. Past half of that a person must look instead.
const ASK_AGAIN_MS_MAX: u64 = 12 * 3_600 * 1_000;

/// Why a withdrawal does not go, or cannot be asked for.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The customer's request does not read, or its signature does not fit.
    Request(RequestError),
    /// Nobody is signed in, or the key is not one.
    NotAuthorised,
    /// The request was signed outside its window.
    OutsideWindow,
    /// A code that is wrong, old, or was used.
    WrongCode,
    UnknownAsset,
    UnknownNetwork,
    BadAmount(String),
    BelowMinimum(String),
    Book(Refused),
    /// Holdfast refused the request as such.
    Refused(Problem),
    /// Holdfast denies it. The first reason's code, and a sentence.
    Denied(String, String),
    NoSuchWithdrawal,
    /// Holdfast does not answer.
    Unavailable,
}

/// Everything a handler can reach.
pub(crate) struct Exchange {
    pub(crate) config: Config,
    pub(crate) holdfast: Holdfast,
    book: Mutex<Book>,
    /// Bodies that Holdfast has not answered yet, by withdrawal.
    unanswered: Mutex<BTreeMap<String, String>>,
}

impl Exchange {
    pub(crate) fn new(config: Config) -> Arc<Self> {
        let holdfast = Holdfast::new(&config.holdfast_url, &config.holdfast_token, config.timeout);
        let (book, unanswered) = (Mutex::default(), Mutex::default());
        Arc::new(Self { config, holdfast, book, unanswered })
    }

    /// The book, for a moment: never across an await.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unanswered(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The asset, and the way out that was named or is the default.
    pub(crate) fn route(
        &self,
        asset: &AssetSymbol,
        network: Option<Network>,
    ) -> Result<(&Asset, AssetNetwork), Failure> {
        let asset = self.config.assets.get(asset).ok_or(Failure::UnknownAsset)?;
        let route = asset.networks.iter().find(|row| network.is_none_or(|network| row.network == network));
        Ok((asset, *route.ok_or(Failure::UnknownNetwork)?))
    }

    /// Places an order and asks Holdfast once. `Ok` says where it stands, which may be "not known yet".
    pub(crate) async fn withdraw(
        self: &Arc<Self>,
        ask: Ask<'_>,
        evidence: Evidence,
    ) -> Result<(String, Withdrawal), Failure> {
        let (asset, route) = self.route(ask.asset, ask.network)?;
        let bad = |error: holdfast_values::AmountError| Failure::BadAmount(error.to_string());
        let amount = Amount::parse(ask.amount, asset.decimals).map_err(bad)?;
        if amount < route.min || amount.is_zero() {
            return Err(Failure::BelowMinimum(route.min.to_short(asset.decimals)));
        }
        let order = Order {
            account: ask.account.clone(),
            asset: ask.asset.clone(),
            network: route.network,
            address: ask.address.to_owned(),
            memo: ask.memo.map(ToOwned::to_owned),
            amount,
            fee: route.fee,
        };
        let id = clock::random_id().map_err(|_| Failure::Unavailable)?;
        let body = withdrawal_body(&order, asset.decimals, &evidence);
        let own_id = ask.client_order_id.map(ToOwned::to_owned);
        let placed = self.book().place(id, order, own_id, clock::system_ms()).map_err(Failure::Book)?;
        let id = match placed {
            Placed::Again(id) => id,
            Placed::New(id) => {
                self.unanswered().insert(id.clone(), body);
                // On a task of its own: the answer counts even if the customer hangs up.
                let (exchange, asked) = (Arc::clone(self), id.clone());
                let answer = tokio::spawn(async move { exchange.ask(&asked).await }).await;
                answer.unwrap_or(Err(Failure::Unavailable))?;
                id
            }
        };
        self.withdrawal(ask.account, &id).map(|withdrawal| (id, withdrawal))
    }

    /// Asks Holdfast about a withdrawal that it has not answered; `Err` if the answer is no.
    async fn ask(&self, id: &str) -> Result<(), Failure> {
        let Some(body) = self.unanswered().get(id).cloned() else { return Ok(()) };
        match self.holdfast.request_withdrawal(id, body).await {
            Answer::Done(verdict) => {
                self.take_in(id, &verdict);
                self.unanswered().remove(id);
                let (stage, info) = verdict.stage();
                if stage != Stage::Denied {
                    return Ok(());
                }
                let code = verdict.reasons.first().map(|reason| reason.code.clone()).unwrap_or_default();
                Err(Failure::Denied(code, info))
            }
            Answer::Refused(problem) => {
                let info = format!("Refused: {} ({}).", problem.title, problem.code);
                self.book().progress(id, Stage::Denied, info, None);
                self.unanswered().remove(id);
                Err(Failure::Refused(problem))
            }
            Answer::Unknown(error) => {
                tracing::warn!(withdrawal = id, error, "holdfast gave no answer: asking again");
                Ok(())
            }
        }
    }

    fn take_in(&self, id: &str, verdict: &Verdict) {
        let (stage, info) = verdict.stage();
        self.book().progress(id, stage, info, Some(&verdict.id));
    }

    /// One of an account's withdrawals.
    pub(crate) fn withdrawal(&self, account: &AccountId, id: &str) -> Result<Withdrawal, Failure> {
        let book = self.book();
        let withdrawal = book.withdrawal(id).filter(|withdrawal| withdrawal.order.account == *account);
        withdrawal.cloned().ok_or(Failure::NoSuchWithdrawal)
    }

    /// The owner takes a withdrawal back.
    pub(crate) async fn cancel(&self, account: &AccountId, id: &str) -> Result<Withdrawal, Failure> {
        let holdfast_id = self.withdrawal(account, id)?.holdfast_id.ok_or(Failure::Unavailable)?;
        self.settle(id, self.holdfast.cancel(&holdfast_id, account.as_str()).await)?;
        self.withdrawal(account, id)
    }

    /// The owner showed a one-time code for a withdrawal.
    pub(crate) async fn confirm(&self, account: &AccountId, id: &str) -> Result<Withdrawal, Failure> {
        let holdfast_id = self.withdrawal(account, id)?.holdfast_id.ok_or(Failure::Unavailable)?;
        self.settle(id, self.holdfast.one_time_code(&holdfast_id, account.as_str()).await)?;
        self.withdrawal(account, id)
    }

    fn settle(&self, id: &str, answer: Answer<Verdict>) -> Result<(), Failure> {
        match answer {
            Answer::Done(verdict) => {
                self.take_in(id, &verdict);
                Ok(())
            }
            Answer::Refused(problem) => Err(Failure::Refused(problem)),
            Answer::Unknown(error) => {
                tracing::warn!(withdrawal = id, error, "holdfast gave no answer");
                Err(Failure::Unavailable)
            }
        }
    }

    /// Looks after open withdrawals, for ever: asks again, and learns what became of them.
    pub(crate) async fn follow(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.config.poll).await;
            let open: Vec<(String, Option<String>, u64)> = self
                .book()
                .open()
                .map(|(id, withdrawal)| {
                    (id.to_owned(), withdrawal.holdfast_id.clone(), withdrawal.applied_ms)
                })
                .collect();
            for group in open.chunks(LOOKUPS_AT_ONCE) {
                let mut lookups = tokio::task::JoinSet::new();
                for (id, holdfast_id, applied_ms) in group.iter().cloned() {
                    let exchange = Arc::clone(&self);
                    lookups.spawn(async move { exchange.look_up(&id, holdfast_id, applied_ms).await });
                }
                while lookups.join_next().await.is_some() {}
            }
        }
    }

    async fn look_up(&self, id: &str, holdfast_id: Option<String>, applied_ms: u64) {
        let Some(holdfast_id) = holdfast_id else {
            let age_ms = clock::system_ms().saturating_sub(applied_ms);
            if age_ms > ASK_AGAIN_MS_MAX {
                let info = "Please contact support: this withdrawal needs a person.".to_owned();
                self.book().progress(id, Stage::Checking, info, None);
            } else if age_ms > u64::try_from(self.config.timeout.as_millis()).unwrap_or(u64::MAX) {
                // Before that the first question may still be on its way.
                let _ = self.ask(id).await;
            }
            return;
        };
        if let Answer::Done(verdict) = self.holdfast.withdrawal(&holdfast_id).await {
            self.take_in(id, &verdict);
        }
    }
}

/// What a customer asks for, in words.
pub(crate) struct Ask<'a> {
    pub(crate) account: &'a AccountId,
    pub(crate) asset: &'a AssetSymbol,
    /// The default one, if none.
    pub(crate) network: Option<Network>,
    pub(crate) address: &'a str,
    pub(crate) memo: Option<&'a str>,
    pub(crate) amount: &'a str,
    pub(crate) client_order_id: Option<&'a str>,
}
