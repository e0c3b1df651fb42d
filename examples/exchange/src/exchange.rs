//! The exchange: places orders, asks Holdfast, and keeps asking until it knows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use holdfast_authn::RequestError;
use holdfast_values::{AccountId, Amount, AssetSymbol, Network};

use crate::book::{Book, Order, Placed, Refused, Stage, Withdrawal};
use crate::clock::{self, Clock};
use crate::config::{Asset, AssetNetwork, Config};
use crate::holdfast::{Answer, Evidence, Holdfast, Problem, Verdict, withdrawal_body};

/// How many open withdrawals are looked up at once.
const LOOKUPS_AT_ONCE: usize = 32;
/// Approved withdrawals are looked up every so many rounds.
const APPROVED_EVERY: u64 = 60;
/// Holdfast remembers an idempotency key for 24 hours. Past half of that a person must look instead.
const ASK_AGAIN_SECONDS_MAX: u64 = 12 * 3_600;

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
    /// Bodies that Holdfast has not answered yet, by withdrawal, and since when.
    unanswered: Mutex<BTreeMap<String, (String, Instant)>>,
    pub(crate) clock: Clock,
}

impl Exchange {
    pub(crate) fn new(config: Config) -> Arc<Self> {
        let holdfast = Holdfast::new(&config.holdfast_url, &config.holdfast_token, config.timeout);
        let clock = Clock::new(u64::from(config.clock_rate));
        Arc::new(Self { config, holdfast, book: Mutex::default(), unanswered: Mutex::default(), clock })
    }

    /// The book, for a moment: never across an await.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unanswered(&self) -> MutexGuard<'_, BTreeMap<String, (String, Instant)>> {
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
        let placed = self.book().place(id, order, own_id, self.clock.now_ms()).map_err(Failure::Book)?;
        let id = match placed {
            Placed::Again(id) => id,
            Placed::New(id) => {
                self.unanswered().insert(id.clone(), (body, Instant::now()));
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
        let Some((body, _)) = self.unanswered().get(id).cloned() else { return Ok(()) };
        match self.holdfast.request_withdrawal(id, body).await {
            Answer::Done(verdict) => {
                self.take_in(id, &verdict);
                self.unanswered().remove(id);
                let (stage, info) = verdict.stage();
                if stage != Stage::Denied {
                    return Ok(());
                }
                Err(Failure::Denied(verdict.denied_because().to_owned(), info))
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
        for round in 0u64.. {
            if self.clock.is_simulated() {
                self.follow_clock().await;
            }
            let open: Vec<(String, Option<String>)> = self
                .book()
                .open()
                // Approved ones can only expire: they are looked up less often.
                .filter(|(_, withdrawal)| {
                    withdrawal.stage != Stage::Approved || round.is_multiple_of(APPROVED_EVERY)
                })
                .map(|(id, withdrawal)| (id.to_owned(), withdrawal.holdfast_id.clone()))
                .collect();
            for group in open.chunks(LOOKUPS_AT_ONCE) {
                let mut lookups = tokio::task::JoinSet::new();
                for (id, holdfast_id) in group.iter().cloned() {
                    let exchange = Arc::clone(&self);
                    lookups.spawn(async move { exchange.look_up(&id, holdfast_id).await });
                }
                while lookups.join_next().await.is_some() {}
            }
            tokio::time::sleep(self.config.poll).await;
        }
    }

    /// Looks at Holdfast's clock.
    pub(crate) async fn follow_clock(&self) {
        let asked = Instant::now();
        if let Some(ms) = self.holdfast.time_ms().await {
            // Said about half way between question and answer.
            self.clock.set(asked + asked.elapsed() / 2, ms);
        }
    }

    async fn look_up(&self, id: &str, holdfast_id: Option<String>) {
        let Some(holdfast_id) = holdfast_id else {
            let since = self.unanswered().get(id).map(|(_, since)| since.elapsed());
            let seconds = since.unwrap_or_default().as_secs().saturating_mul(self.clock.rate());
            if seconds > ASK_AGAIN_SECONDS_MAX {
                let info = "Please contact support: this withdrawal needs a person.".to_owned();
                self.book().progress(id, Stage::Checking, info, None);
            } else if since.is_some_and(|since| since > self.config.timeout) {
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::extract::State;
    use axum::http::{HeaderMap, StatusCode};
    use axum::response::IntoResponse as _;
    use axum::routing::{get, post};

    use super::*;
    use crate::book::Customer;
    use crate::config::Asset;

    /// A Holdfast that answers with these statuses and bodies, one after the other, then with the last.
    struct Script {
        answers: Vec<(u16, String)>,
        next: AtomicUsize,
        asked: Mutex<Vec<(String, String)>>,
    }

    fn verdict(status: &str) -> String {
        format!(
            r#"{{"id":"wd_1","status":"{status}","outcome":{{"severity":"x"}},"reasons":[{{"code":"why"}}]}}"#
        )
    }

    async fn answer(
        State(script): State<Arc<Script>>,
        headers: HeaderMap,
        body: String,
    ) -> axum::response::Response {
        let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
        script.asked.lock().unwrap().push((key.to_owned(), body));
        let at = script.next.fetch_add(1, Ordering::SeqCst).min(script.answers.len() - 1);
        let (status, body) = script.answers[at].clone();
        (StatusCode::from_u16(status).unwrap(), body).into_response()
    }

    async fn exchange(answers: Vec<(u16, String)>, later: &'static str) -> (Arc<Exchange>, Arc<Script>) {
        let script = Arc::new(Script { answers, next: AtomicUsize::new(0), asked: Mutex::default() });
        let router = Router::new()
            .route("/v1/withdrawals", post(answer))
            .route("/v1/withdrawals/{id}", get(async move || verdict(later)))
            .with_state(Arc::clone(&script));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });

        let units = Amount::from_base_units;
        let network =
            AssetNetwork { network: Network::Bitcoin, binance: "BTC", fee: units(1), min: units(10) };
        let asset = Asset { name: "Bitcoin".to_owned(), decimals: 8, networks: vec![network] };
        let any = "127.0.0.1:0".parse().unwrap();
        let exchange = Exchange::new(Config {
            listen: any,
            admin_listen: any,
            admin_token: "a".to_owned(),
            holdfast_url: url,
            holdfast_token: "t".to_owned(),
            poll: std::time::Duration::from_millis(20),
            timeout: std::time::Duration::from_millis(200),
            clock_rate: 1,
            client_ip_header: None,
            web: None,
            assets: BTreeMap::from([("BTC".parse().unwrap(), asset)]),
        });
        let account: AccountId = "a".parse().unwrap();
        exchange.book().customers.insert(account.clone(), Customer::default());
        exchange.book().deposit(&account, &"BTC".parse().unwrap(), units(100)).unwrap();
        (exchange, script)
    }

    async fn withdraw(exchange: &Arc<Exchange>, amount: &str) -> Result<(String, Withdrawal), Failure> {
        let ask = Ask {
            account: &"a".parse().unwrap(),
            asset: &"BTC".parse().unwrap(),
            network: None,
            address: "bc1q",
            memo: None,
            amount,
            client_order_id: Some("o-1"),
        };
        exchange.withdraw(ask, Evidence::Session { one_time_code: false }).await
    }

    fn locked(exchange: &Exchange) -> u128 {
        let (account, asset): (AccountId, AssetSymbol) = ("a".parse().unwrap(), "BTC".parse().unwrap());
        exchange.book().customers[&account].balances[&asset].locked.base_units()
    }

    async fn until(exchange: &Exchange, id: &str, stage: Stage) {
        for _ in 0..500 {
            if exchange.book().withdrawal(id).unwrap().stage == stage {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("never {stage:?}");
    }

    #[tokio::test]
    async fn no_answer_is_not_a_no() {
        let failures = [(503, "{}"), (500, "x"), (401, "{}"), (201, "not what was expected")];
        let mut answers: Vec<_> =
            failures.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        answers.push((201, verdict("approved")));
        let (exchange, script) = exchange(answers, "approved").await;
        tokio::spawn(Arc::clone(&exchange).follow());
        let (id, withdrawal) = withdraw(&exchange, "0.00000050").await.unwrap();
        assert_eq!((withdrawal.stage, locked(&exchange)), (Stage::Checking, 51));
        let (again, _) = withdraw(&exchange, "0.00000050").await.unwrap();
        assert_eq!(again, id, "the customer's own id makes asking Harbor again safe, too");
        until(&exchange, &id, Stage::Approved).await;
        let asked = script.asked.lock().unwrap().clone();
        assert_eq!(asked.len(), 5);
        assert!(asked.iter().all(|one| *one == asked[0]), "the same bytes under the same key: {asked:?}");
        assert_eq!((asked[0].0.as_str(), locked(&exchange)), (id.as_str(), 51));
    }

    #[tokio::test]
    async fn a_no_gives_the_money_back_and_says_why() {
        let (denying, _) = exchange(vec![(201, verdict("denied"))], "denied").await;
        let failure = withdraw(&denying, "0.00000050").await.unwrap_err();
        assert!(matches!(failure, Failure::Denied(code, _) if code == "why"));
        assert_eq!(locked(&denying), 0);
        let problem = r#"{"code":"address_checksum","title":"T"}"#.to_owned();
        let (refusing, _) = exchange(vec![(422, problem)], "denied").await;
        let failure = withdraw(&refusing, "0.00000050").await.unwrap_err();
        assert!(matches!(failure, Failure::Refused(problem) if problem.code == "address_checksum"));
        assert_eq!(locked(&refusing), 0);
    }

    #[tokio::test]
    async fn what_waits_is_followed_to_its_end() {
        let (exchange, _) = exchange(vec![(201, verdict("held"))], "denied").await;
        let (id, withdrawal) = withdraw(&exchange, "0.00000050").await.unwrap();
        assert_eq!((withdrawal.stage, locked(&exchange)), (Stage::Held, 51));
        tokio::spawn(Arc::clone(&exchange).follow());
        until(&exchange, &id, Stage::Denied).await;
        assert_eq!(locked(&exchange), 0);
    }

    #[tokio::test]
    async fn amounts_are_exact_and_bounded() {
        let (exchange, script) = exchange(vec![(201, verdict("approved"))], "approved").await;
        for amount in ["0.000000501", "-1", "1e-7", "", "0x1", "340282366920938463463374607431768211456"] {
            assert!(matches!(withdraw(&exchange, amount).await, Err(Failure::BadAmount(_))), "{amount}");
        }
        for amount in ["0", "0.00000009"] {
            assert!(matches!(withdraw(&exchange, amount).await, Err(Failure::BelowMinimum(_))), "{amount}");
        }
        assert!(matches!(
            withdraw(&exchange, "0.000001").await,
            Err(Failure::Book(Refused::InsufficientBalance))
        ));
        assert!(script.asked.lock().unwrap().is_empty());
    }
}
