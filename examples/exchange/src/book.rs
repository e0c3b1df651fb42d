//! The book: customers, what they own, and what of it is on its way out. Pure: no clock, no IO.
//!
//! A withdrawal takes its amount and fee out of `free` into `locked` before anybody is asked whether it may go; it
//! comes back once, when the answer is final and negative.

use std::collections::BTreeMap;

use holdfast_authn::{Dialect, KeyMaterial};
use holdfast_values::{AccountId, Amount, AssetSymbol, Network};

/// What a customer owns of one asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    pub(crate) free: Amount,
    pub(crate) locked: Amount,
}

/// A customer.
#[derive(Default)]
pub(crate) struct Customer {
    pub(crate) balances: BTreeMap<AssetSymbol, Balance>,
    /// What signing in on the web page takes, beside a code.
    pub(crate) password: Option<Password>,
    /// The secret of the one-time codes on the customer's phone.
    pub(crate) code_secret: [u8; 20],
    /// The last time step whose code was used: each works once.
    pub(crate) code_step: u64,
}

/// A password, as far as it is kept.
pub(crate) struct Password {
    pub(crate) salt: [u8; 16],
    pub(crate) hash: [u8; 32],
}

/// An API key.
#[derive(Clone)]
pub(crate) struct ApiKey {
    pub(crate) account: AccountId,
    /// The one dialect that it signs in.
    pub(crate) dialect: Dialect,
    pub(crate) material: KeyMaterial,
    /// The last nonce that it used, where its dialect has one.
    pub(crate) nonce: u64,
}

/// Where a withdrawal stands, as far as Harbor knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Holdfast has not answered yet; it is asked again.
    Checking,
    /// The customer must confirm.
    AwaitingApproval,
    /// It waits for its time.
    Waiting,
    /// A person looks at it.
    Held,
    /// It may go; the wallet sends it.
    Approved,
    /// It does not go.
    Denied,
    /// The customer took it back, or it expired.
    Cancelled,
}

impl Stage {
    /// True if nothing can follow, and the money is the customer's again.
    pub(crate) const fn is_void(self) -> bool {
        matches!(self, Self::Denied | Self::Cancelled)
    }

    /// In one word.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Checking => "checking",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
        }
    }

    /// The number that Binance's history gives.
    pub(crate) const fn binance(self) -> u8 {
        match self {
            Self::AwaitingApproval => 0,
            Self::Cancelled => 1,
            Self::Checking | Self::Held => 2,
            Self::Denied => 3,
            Self::Waiting | Self::Approved => 4,
        }
    }
}

/// What a customer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) account: AccountId,
    pub(crate) asset: AssetSymbol,
    pub(crate) network: Network,
    pub(crate) address: String,
    pub(crate) memo: Option<String>,
    /// Arrives on chain.
    pub(crate) amount: Amount,
    /// Charged on top.
    pub(crate) fee: Amount,
}

/// A withdrawal.
#[derive(Clone, Debug)]
pub(crate) struct Withdrawal {
    pub(crate) order: Order,
    /// The customer's own id for it.
    pub(crate) client_order_id: Option<String>,
    pub(crate) applied_ms: u64,
    pub(crate) stage: Stage,
    /// In words, for the customer.
    pub(crate) info: String,
    /// Holdfast's id, once it has answered.
    pub(crate) holdfast_id: Option<String>,
}

/// Why the book does not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    UnknownCustomer,
    InsufficientBalance,
    /// The client order id was used for something else.
    OrderIdTaken,
    Overflow,
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It is new, under this id.
    New(String),
    /// The same order was placed before, under this id.
    Again(String),
}

/// Everything Harbor knows. Lost when it stops: it is an example.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) customers: BTreeMap<AccountId, Customer>,
    pub(crate) api_keys: BTreeMap<String, ApiKey>,
    pub(crate) sessions: BTreeMap<String, AccountId>,
    withdrawals: BTreeMap<String, Withdrawal>,
    order_ids: BTreeMap<(AccountId, String), String>,
    by_account: BTreeMap<AccountId, Vec<String>>,
    open: std::collections::BTreeSet<String>,
}

impl Book {
    /// Adds to what the customer may use.
    pub(crate) fn deposit(
        &mut self,
        account: &AccountId,
        asset: &AssetSymbol,
        amount: Amount,
    ) -> Result<Balance, Refused> {
        let customer = self.customers.get_mut(account).ok_or(Refused::UnknownCustomer)?;
        let balance = customer.balances.entry(asset.clone()).or_default();
        balance.free = balance.free.checked_add(amount).ok_or(Refused::Overflow)?;
        Ok(*balance)
    }

    /// Records an order under `id` and locks its amount and fee; finds it again by the customer's own id.
    pub(crate) fn place(
        &mut self,
        id: String,
        order: Order,
        client_order_id: Option<String>,
        applied_ms: u64,
    ) -> Result<Placed, Refused> {
        let own = client_order_id.clone().map(|own| (order.account.clone(), own));
        if let Some(earlier) = own.as_ref().and_then(|own| self.order_ids.get(own)) {
            let same = self.withdrawals.get(earlier).is_some_and(|withdrawal| withdrawal.order == order);
            return if same { Ok(Placed::Again(earlier.clone())) } else { Err(Refused::OrderIdTaken) };
        }
        let total = order.amount.checked_add(order.fee).ok_or(Refused::Overflow)?;
        let customer = self.customers.get_mut(&order.account).ok_or(Refused::UnknownCustomer)?;
        let balance = customer.balances.get_mut(&order.asset).ok_or(Refused::InsufficientBalance)?;
        let free = balance.free.checked_sub(total).ok_or(Refused::InsufficientBalance)?;
        let locked = balance.locked.checked_add(total).ok_or(Refused::Overflow)?;
        *balance = Balance { free, locked };

        if let Some(own) = own {
            self.order_ids.insert(own, id.clone());
        }
        self.by_account.entry(order.account.clone()).or_default().push(id.clone());
        self.open.insert(id.clone());
        let info = "The withdrawal is being checked.".to_owned();
        let withdrawal = Withdrawal {
            order,
            client_order_id,
            applied_ms,
            stage: Stage::Checking,
            info,
            holdfast_id: None,
        };
        self.withdrawals.insert(id.clone(), withdrawal);
        Ok(Placed::New(id))
    }

    /// Takes in what Holdfast says. A void withdrawal stays void, and gives its money back once.
    pub(crate) fn progress(&mut self, id: &str, stage: Stage, info: String, holdfast_id: Option<&str>) {
        let Some(withdrawal) = self.withdrawals.get_mut(id) else { return };
        if withdrawal.stage.is_void() {
            return;
        }
        withdrawal.stage = stage;
        withdrawal.info = info;
        if let Some(holdfast_id) = holdfast_id {
            withdrawal.holdfast_id = Some(holdfast_id.to_owned());
        }
        if !stage.is_void() {
            return;
        }
        self.open.remove(id);
        let order = &withdrawal.order;
        let customer = self.customers.get_mut(&order.account);
        let balance = customer.and_then(|customer| customer.balances.get_mut(&order.asset));
        if let (Some(balance), Some(total)) = (balance, order.amount.checked_add(order.fee)) {
            // Both hold by construction: what is given back was locked, and was free before.
            if let (Some(free), Some(locked)) =
                (balance.free.checked_add(total), balance.locked.checked_sub(total))
            {
                *balance = Balance { free, locked };
            }
        }
    }

    /// One withdrawal.
    pub(crate) fn withdrawal(&self, id: &str) -> Option<&Withdrawal> {
        self.withdrawals.get(id)
    }

    /// A customer's withdrawals, newest first.
    pub(crate) fn history<'a>(
        &'a self,
        account: &AccountId,
    ) -> impl Iterator<Item = (&'a str, &'a Withdrawal)> {
        let ids = self.by_account.get(account).map(Vec::as_slice).unwrap_or_default();
        ids.iter().rev().filter_map(|id| Some((id.as_str(), self.withdrawals.get(id)?)))
    }

    /// Withdrawals whose end is not known: not void, and not approved before the wallet stands.
    pub(crate) fn open(&self) -> impl Iterator<Item = (&str, &Withdrawal)> {
        self.open.iter().filter_map(|id| Some((id.as_str(), self.withdrawals.get(id)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> (Book, Order) {
        let mut book = Book::default();
        let account: AccountId = "a".parse().unwrap();
        let asset: AssetSymbol = "BTC".parse().unwrap();
        book.customers.insert(account.clone(), Customer::default());
        book.deposit(&account, &asset, Amount::from_base_units(100)).unwrap();
        let order = Order {
            account,
            asset,
            network: Network::Bitcoin,
            address: "x".to_owned(),
            memo: None,
            amount: Amount::from_base_units(60),
            fee: Amount::from_base_units(1),
        };
        (book, order)
    }

    fn balance(book: &Book, order: &Order) -> (u128, u128) {
        let balance = book.customers[&order.account].balances[&order.asset];
        (balance.free.base_units(), balance.locked.base_units())
    }

    #[test]
    fn an_order_locks_its_amount_and_fee_and_gives_them_back_once() {
        let (mut book, order) = book();
        assert_eq!(book.place("1".to_owned(), order.clone(), None, 0), Ok(Placed::New("1".to_owned())));
        assert_eq!(balance(&book, &order), (39, 61));
        assert_eq!(book.place("2".to_owned(), order.clone(), None, 0), Err(Refused::InsufficientBalance));
        book.progress("1", Stage::Held, String::new(), Some("wd_1"));
        assert_eq!((balance(&book, &order), book.open().count()), ((39, 61), 1));
        book.progress("1", Stage::Denied, String::new(), None);
        book.progress("1", Stage::Cancelled, String::new(), None);
        book.progress("1", Stage::Approved, String::new(), None);
        assert_eq!((balance(&book, &order), book.open().count()), ((100, 0), 0));
        assert_eq!(book.withdrawal("1").unwrap().stage, Stage::Denied);
    }

    #[test]
    fn the_customers_own_id_is_used_once() {
        let (mut book, order) = book();
        let own = Some("o-1".to_owned());
        assert_eq!(
            book.place("1".to_owned(), order.clone(), own.clone(), 0),
            Ok(Placed::New("1".to_owned()))
        );
        assert_eq!(
            book.place("2".to_owned(), order.clone(), own.clone(), 9),
            Ok(Placed::Again("1".to_owned()))
        );
        assert_eq!(balance(&book, &order), (39, 61));
        let other = Order { amount: Amount::from_base_units(1), ..order };
        assert_eq!(book.place("3".to_owned(), other.clone(), own, 9), Err(Refused::OrderIdTaken));
        assert_eq!(book.place("3".to_owned(), other, None, 9), Ok(Placed::New("3".to_owned())));
    }
}
