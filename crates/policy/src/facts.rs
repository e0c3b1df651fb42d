//! The one table of facts: what a policy may ask about a withdrawal. Cedar's schema, the evaluator's slots and
//! `docs/facts.md` are all generated from it.
//!
//! A fact's number is part of the record format of compiled programs: rows are appended, never renumbered or reused.

use core::fmt;

/// What is being decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A withdrawal.
    Withdraw,
}

impl Action {
    /// Every action, at the place of its bit in a policy's scope.
    pub const ALL: [Self; 1] = [Self::Withdraw];

    /// The name in policies: `Action::"withdraw"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Withdraw => "withdraw",
        }
    }

    /// The action of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// The action's bit in the scope of a policy.
    pub const fn bit(self) -> u64 {
        match self {
            Self::Withdraw => 1,
        }
    }
}

/// A closed set of words. In Cedar it is an enumerated entity type, so that a misspelt member fails validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Enumeration {
    /// The class of bucket that a withdrawal spends.
    Class,
    /// The way by which a withdrawal was asked for.
    Channel,
}

impl Enumeration {
    /// Every enumeration, at the place of its number in compiled programs.
    pub const ALL: [Self; 2] = [Self::Class, Self::Channel];

    /// The name of the type in policies: `Class::"bound"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Class => "Class",
            Self::Channel => "Channel",
        }
    }

    /// The words.
    pub const fn members(self) -> &'static [&'static str] {
        match self {
            Self::Class => &["bound", "aged", "unvouched"],
            Self::Channel => &["session", "api"],
        }
    }

    /// The enumeration of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|enumeration| enumeration.name() == name)
    }
}

/// The type of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactType {
    /// True or false.
    Bool,
    /// A signed 64-bit integer.
    Long,
    /// Any text.
    Text,
    /// One word of a closed set.
    Enum(Enumeration),
}

impl FactType {
    /// The type's name in Cedar.
    pub const fn cedar_name(self) -> &'static str {
        match self {
            Self::Bool => "Bool",
            Self::Long => "Long",
            Self::Text => "String",
            Self::Enum(enumeration) => enumeration.name(),
        }
    }
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Not a quantity.
    None,
    /// Cents of a US dollar, rounded up and saturating.
    UsdCents,
    /// Whole hours, rounded down.
    Hours,
    /// A number of withdrawals.
    Withdrawals,
    /// A number of operators.
    Operators,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "",
            Self::UsdCents => "US cents",
            Self::Hours => "hours",
            Self::Withdrawals => "withdrawals",
            Self::Operators => "operators",
        })
    }
}

/// The span of time that a fact sums over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// As of the decision.
    Now,
    /// The hour before the decision.
    Hour,
    /// The 24 hours before the decision.
    Day,
    /// The 30 days before the decision.
    Month,
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Now => "",
            Self::Hour => "1 h",
            Self::Day => "24 h",
            Self::Month => "30 d",
        })
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactSpec {
    /// The fact.
    pub fact: Fact,
    /// Its path under `context`: `account.usd_cents_24h`.
    pub path: &'static str,
    /// Its type.
    pub ty: FactType,
    /// What the number counts.
    pub unit: Unit,
    /// The window that it sums over.
    pub window: Window,
    /// Whether the sum includes this withdrawal and every live reservation.
    pub included: bool,
    /// What it says, in a sentence.
    pub doc: &'static str,
}

macro_rules! facts {
    ($($code:literal $name:ident $path:literal $ty:expr, $unit:ident, $window:ident, $included:literal, $doc:literal;)*) => {
        /// A thing that a policy may ask about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Fact { $(#[doc = $doc] $name = $code,)* }

        /// The table of facts, each at the place of its number.
        pub const FACTS: [FactSpec; FACT_COUNT] = [$(FactSpec {
            fact: Fact::$name,
            path: $path,
            ty: $ty,
            unit: Unit::$unit,
            window: Window::$window,
            included: $included,
            doc: $doc,
        },)*];

        /// How many facts there are.
        pub const FACT_COUNT: usize = [$(Fact::$name,)*].len();

        impl Fact {
            /// The fact's type.
            pub const fn ty(self) -> FactType {
                match self { $(Self::$name => $ty,)* }
            }

            /// The fact's path under `context`.
            pub const fn path(self) -> &'static str {
                match self { $(Self::$name => $path,)* }
            }
        }
    };
}

const BOOL: FactType = FactType::Bool;
const LONG: FactType = FactType::Long;
const TEXT: FactType = FactType::Text;
const CLASS: FactType = FactType::Enum(Enumeration::Class);
const CHANNEL: FactType = FactType::Enum(Enumeration::Channel);

facts! {
    0 Asset "asset" TEXT, None, Now, false, "Symbol of the asset that leaves.";
    1 Network "network" TEXT, None, Now, false, "Network that it leaves by.";
    2 Tier "tier" TEXT, None, Now, false, "Tier of the account, from the exchange's configuration.";
    3 Class "class" CLASS, None, Now, false, "Bucket class of the withdrawal: bound (approval of this very text by an aged credential, a mandate or operators), aged (aged destination whose notice was delivered and not vetoed) or unvouched (the rest).";
    4 Channel "channel" CHANNEL, None, Now, false, "Way by which it was asked for: session (a customer's session) or api (a signed API request).";
    5 AmountUsdCents "amount_usd_cents" LONG, UsdCents, Now, true, "Value of this withdrawal at the asset's 24 h high.";
    6 AccountAgeHours "account.age_hours" LONG, Hours, Now, false, "Time since Holdfast first recorded the account.";
    7 AccountHoursSinceSecurityChange "account.hours_since_security_change" LONG, Hours, Now, false, "Time since the account's last change of password, second factor, contact or recovery; 1,000,000 if there was none.";
    8 AccountWithdrawals1h "account.withdrawals_1h" LONG, Withdrawals, Hour, true, "Withdrawals of the account.";
    9 AccountWithdrawals24h "account.withdrawals_24h" LONG, Withdrawals, Day, true, "Withdrawals of the account.";
    10 AccountWithdrawals30d "account.withdrawals_30d" LONG, Withdrawals, Month, true, "Withdrawals of the account.";
    11 AccountUsdCents1h "account.usd_cents_1h" LONG, UsdCents, Hour, true, "Value of the account's withdrawals.";
    12 AccountUsdCents24h "account.usd_cents_24h" LONG, UsdCents, Day, true, "Value of the account's withdrawals.";
    13 AccountUsdCents30d "account.usd_cents_30d" LONG, UsdCents, Month, true, "Value of the account's withdrawals.";
    14 AccountLimitUsdCents24h "account.limit_usd_cents_24h" LONG, UsdCents, Now, false, "The account's daily limit, from its tier or its own setting.";
    15 AccountLimitUsdCents30d "account.limit_usd_cents_30d" LONG, UsdCents, Now, false, "The account's monthly limit, from its tier or its own setting.";
    16 AccountOverLimit24h "account.over_limit_24h" BOOL, None, Day, true, "Whether the account would go over its daily limit, compared in exact amounts.";
    17 AccountOverLimit30d "account.over_limit_30d" BOOL, None, Month, true, "Whether the account would go over its monthly limit, compared in exact amounts.";
    18 AccountCoolingOff "account.cooling_off" BOOL, None, Now, false, "Whether the account is cooling off after a security change.";
    19 DestinationKnown "destination.known" BOOL, None, Now, false, "Whether the destination is in the account's address book or was paid by the account before.";
    20 DestinationAged "destination.aged" BOOL, None, Now, false, "Whether the destination has passed its ageing in the account's address book.";
    21 DestinationAgeHours "destination.age_hours" LONG, Hours, Now, false, "Time since Holdfast first recorded the destination for this account; 0 if it never did.";
    22 DestinationWithdrawals1h "destination.withdrawals_1h" LONG, Withdrawals, Hour, true, "Withdrawals to the destination, by any account.";
    23 DestinationWithdrawals24h "destination.withdrawals_24h" LONG, Withdrawals, Day, true, "Withdrawals to the destination, by any account.";
    24 DestinationWithdrawals30d "destination.withdrawals_30d" LONG, Withdrawals, Month, true, "Withdrawals to the destination, by any account.";
    25 DestinationUsdCents1h "destination.usd_cents_1h" LONG, UsdCents, Hour, true, "Value of withdrawals to the destination, by any account.";
    26 DestinationUsdCents24h "destination.usd_cents_24h" LONG, UsdCents, Day, true, "Value of withdrawals to the destination, by any account.";
    27 DestinationUsdCents30d "destination.usd_cents_30d" LONG, UsdCents, Month, true, "Value of withdrawals to the destination, by any account.";
    28 AssetTotalWithdrawals1h "asset_total.withdrawals_1h" LONG, Withdrawals, Hour, true, "Withdrawals of the asset, by all accounts.";
    29 AssetTotalWithdrawals24h "asset_total.withdrawals_24h" LONG, Withdrawals, Day, true, "Withdrawals of the asset, by all accounts.";
    30 AssetTotalWithdrawals30d "asset_total.withdrawals_30d" LONG, Withdrawals, Month, true, "Withdrawals of the asset, by all accounts.";
    31 AssetTotalUsdCents1h "asset_total.usd_cents_1h" LONG, UsdCents, Hour, true, "Value of withdrawals of the asset, by all accounts.";
    32 AssetTotalUsdCents24h "asset_total.usd_cents_24h" LONG, UsdCents, Day, true, "Value of withdrawals of the asset, by all accounts.";
    33 AssetTotalUsdCents30d "asset_total.usd_cents_30d" LONG, UsdCents, Month, true, "Value of withdrawals of the asset, by all accounts.";
    34 OverallWithdrawals1h "overall.withdrawals_1h" LONG, Withdrawals, Hour, true, "Withdrawals of all assets, by all accounts.";
    35 OverallWithdrawals24h "overall.withdrawals_24h" LONG, Withdrawals, Day, true, "Withdrawals of all assets, by all accounts.";
    36 OverallWithdrawals30d "overall.withdrawals_30d" LONG, Withdrawals, Month, true, "Withdrawals of all assets, by all accounts.";
    37 OverallUsdCents1h "overall.usd_cents_1h" LONG, UsdCents, Hour, true, "Value of withdrawals of all assets, by all accounts.";
    38 OverallUsdCents24h "overall.usd_cents_24h" LONG, UsdCents, Day, true, "Value of withdrawals of all assets, by all accounts.";
    39 OverallUsdCents30d "overall.usd_cents_30d" LONG, UsdCents, Month, true, "Value of withdrawals of all assets, by all accounts.";
    40 ApiKeyPresent "api_key.present" BOOL, None, Now, false, "Whether an API key of the account signed the request.";
    41 ApiKeyAgeHours "api_key.age_hours" LONG, Hours, Now, false, "Time since Holdfast first recorded that API key; 1,000,000 if there is none.";
    42 ApprovalBound "approval.bound" BOOL, None, Now, false, "Whether a credential past its ageing approved this very text, or a mandate that is in force covers it.";
    43 ApprovalOneTimeCode "approval.one_time_code" BOOL, None, Now, false, "Whether a one-time code came with it.";
    44 ApprovalOperators "approval.operators" LONG, Operators, Now, false, "Operators who approved this very text.";
    45 PriceStale "price.stale" BOOL, None, Now, false, "Whether the asset's price is too old to value the withdrawal by.";
    46 PriceMoved "price.moved" BOOL, None, Now, false, "Whether the asset's price moved too far to value the withdrawal by.";
    47 ApprovalUserVerified "approval.user_verified" BOOL, None, Now, false, "Whether the authenticator that approved this very text verified its user, by PIN or by body; false under a mandate, and for most U2F keys.";
    48 ApprovalMandate "approval.mandate" BOOL, None, Now, false, "Whether it was asked for under a mandate that is in force; such a withdrawal is bound too.";
    49 AccountHasCredential "account.has_credential" BOOL, None, Now, false, "Whether the account has a passkey or security key, past its ageing, that may approve withdrawals.";
    50 AccountSettingsLocked "account.settings_locked" BOOL, None, Now, false, "Whether the account's Settings Lock is on.";
    51 SessionDeviceAgeHours "session.device_age_hours" LONG, Hours, Now, false, "Time from the account's first session on the device to this request; 0 if it had none or the device is unknown; 1,000,000 if the channel is api or the exchange reports no devices.";
    52 SessionNewPlace "session.new_place" BOOL, None, Now, false, "Whether country and autonomous system of the session were new to the account in the 24 hours before this request; false if the channel is api or they are not reported.";
    53 ApiKeyAsymmetric "api_key.asymmetric" BOOL, None, Now, false, "Whether only the customer has the private half of the API key (Ed25519 or RSA); false if there is no key or its secret is shared (HMAC).";
}

impl Fact {
    /// The number of the fact, and of its slot.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The fact of that number.
    pub fn from_code(code: u16) -> Option<Self> {
        FACTS.get(usize::from(code)).map(|spec| spec.fact)
    }

    /// The fact at that path under `context`.
    pub fn from_path(path: &str) -> Option<Self> {
        FACTS.iter().find(|spec| spec.path == path).map(|spec| spec.fact)
    }

    /// The fact's row.
    pub fn spec(self) -> Option<&'static FactSpec> {
        static TABLE: [FactSpec; FACT_COUNT] = FACTS;
        TABLE.get(usize::from(self.code()))
    }
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Never set, or set to something of another type: whatever reads it is an error.
    Unset,
    /// True or false.
    Bool(bool),
    /// A number.
    Long(i64),
    /// A text, or the word of an enumeration.
    Text(&'a str),
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => f.write_str("unset"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Long(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "{value:?}"),
        }
    }
}

/// The facts of one decision: a slot for each row of the table.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    slots: [Value<'a>; FACT_COUNT],
}

impl Default for Facts<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Facts<'a> {
    /// All slots unset.
    pub const fn new() -> Self {
        Self { slots: [Value::Unset; FACT_COUNT] }
    }

    /// Sets a truth. A fact of another type becomes unset, and so fails closed.
    pub fn set_bool(&mut self, fact: Fact, value: bool) {
        self.put(fact, if fact.ty() == FactType::Bool { Value::Bool(value) } else { Value::Unset });
    }

    /// Sets a number. A fact of another type becomes unset, and so fails closed.
    pub fn set_long(&mut self, fact: Fact, value: i64) {
        self.put(fact, if fact.ty() == FactType::Long { Value::Long(value) } else { Value::Unset });
    }

    /// Sets a text. A fact of another type, or a word that its enumeration lacks, makes it unset, and so fails closed.
    pub fn set_text(&mut self, fact: Fact, value: &'a str) {
        let fits = match fact.ty() {
            FactType::Text => true,
            FactType::Enum(enumeration) => enumeration.members().contains(&value),
            FactType::Bool | FactType::Long => false,
        };
        self.put(fact, if fits { Value::Text(value) } else { Value::Unset });
    }

    /// Forgets a fact.
    pub fn unset(&mut self, fact: Fact) {
        self.put(fact, Value::Unset);
    }

    /// What the slot holds.
    #[inline]
    pub fn get(&self, fact: Fact) -> Value<'a> {
        self.slots.get(usize::from(fact.code())).copied().unwrap_or(Value::Unset)
    }

    fn put(&mut self, fact: Fact, value: Value<'a>) {
        if let Some(slot) = self.slots.get_mut(usize::from(fact.code())) {
            *slot = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_stands_at_its_number_and_has_a_path_of_its_own() {
        for (place, spec) in FACTS.iter().enumerate() {
            assert_eq!(usize::from(spec.fact.code()), place, "{}", spec.path);
            assert_eq!(Fact::from_path(spec.path), Some(spec.fact));
            assert_eq!(Fact::from_code(spec.fact.code()), Some(spec.fact));
            assert!(spec.path.split('.').count() <= 2 && spec.doc.ends_with('.'), "{}", spec.path);
        }
        assert_eq!(Fact::from_code(54), None);
    }

    #[test]
    fn a_value_of_the_wrong_type_leaves_the_fact_unset() {
        let mut facts = Facts::new();
        facts.set_bool(Fact::PriceStale, false);
        facts.set_long(Fact::PriceStale, 0);
        assert_eq!(facts.get(Fact::PriceStale), Value::Unset);
        facts.set_text(Fact::Class, "aged");
        assert_eq!(facts.get(Fact::Class), Value::Text("aged"));
        facts.set_text(Fact::Class, "agde");
        assert_eq!(facts.get(Fact::Class), Value::Unset);
        facts.set_text(Fact::AmountUsdCents, "1");
        assert_eq!(facts.get(Fact::AmountUsdCents), Value::Unset);
    }
}
