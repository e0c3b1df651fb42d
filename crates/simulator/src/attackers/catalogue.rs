//! Every attack by name: eight kinds of attacker (T1 to T8), and eight incidents that happened.

use super::reach::Budget;

/// One attack that can be drilled.
#[derive(Debug, PartialEq, Eq)]
pub struct Attack {
    /// As on the command line.
    pub name: &'static str,
    /// In a table.
    pub title: &'static str,
    /// Which kind.
    pub kind: Kind,
    /// What he has.
    pub budget: Budget,
    /// How many days before the evaluated days he begins, if the run has them.
    pub days_before: u32,
    /// The evaluated days must hold a run on the exchange.
    pub wants_run: bool,
}

/// Which kind of attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// T1: passwords from elsewhere.
    Stuffing,
    /// T2: a page that relays what its visitors type.
    Relay,
    /// T3: patient and coordinated.
    Patient(Shared),
    /// T4: victims' accounts trade to his own.
    Mules,
    /// T5: someone inside.
    Insider(Inside),
    /// T6: API keys leaked.
    KeyLeak,
    /// T7: amounts just under the limits.
    JustUnder,
    /// T8: he knows the rules and copies his victims' habits.
    Mimicry,
    /// It happened.
    Incident(Incident),
}

/// What the accounts of a patient attacker have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// Networks, devices, destinations and hours.
    Everything,
    /// Networks; each has its own device and destination.
    Partly,
    /// Nothing.
    Nothing,
}

/// Who is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// An analyst who is bribed.
    Analyst,
    /// An operator whose workplace is hijacked.
    Operator,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incident {
    /// 7 May 2019.
    Binance2019,
    /// 7 March 2018.
    Binance2018,
    /// 17 January 2022.
    CryptoCom2022,
    /// 2 August 2016.
    Bitfinex2016,
    /// October to December 2022.
    ThreeCommas2022,
    /// 21 February 2025.
    Bybit2025,
    /// 16 July 2025.
    BigOne2025,
    /// 3 May 2024.
    Poisoning2024,
}

const fn attack(
    name: &'static str,
    title: &'static str,
    kind: Kind,
    days_before: u32,
    (accounts, mules, requests): (u32, u32, u32),
) -> Attack {
    let looks = requests.saturating_mul(20);
    let budget = Budget { accounts, mules, requests, looks, days: days_before.saturating_add(7) };
    Attack {
        name,
        title,
        kind,
        budget,
        days_before,
        wants_run: matches!(kind, Kind::Incident(Incident::Bybit2025)),
    }
}

static ALL: [Attack; 19] = [
    attack("stuffing", "T1 passwords from elsewhere", Kind::Stuffing, 2, (60, 0, 3_000)),
    attack("relay", "T2 phishing with a relay", Kind::Relay, 5, (40, 0, 4_000)),
    attack(
        "patient-shared",
        "T3 patient, everything shared",
        Kind::Patient(Shared::Everything),
        110,
        (50, 0, 6_000),
    ),
    attack("patient-partly", "T3 patient, partly shared", Kind::Patient(Shared::Partly), 110, (50, 0, 6_000)),
    attack(
        "patient-unshared",
        "T3 patient, nothing shared",
        Kind::Patient(Shared::Nothing),
        110,
        (50, 0, 6_000),
    ),
    attack("mules", "T4 trade to mules", Kind::Mules, 40, (40, 12, 5_000)),
    attack("insider-analyst", "T5 a bribed analyst", Kind::Insider(Inside::Analyst), 5, (20, 0, 3_000)),
    attack("insider-operator", "T5 a hijacked operator", Kind::Insider(Inside::Operator), 5, (20, 0, 3_000)),
    attack("key-leak", "T6 API keys leaked", Kind::KeyLeak, 10, (120, 0, 6_000)),
    attack("just-under", "T7 just under the limits", Kind::JustUnder, 10, (30, 0, 6_000)),
    attack("mimicry", "T8 mimicry", Kind::Mimicry, 30, (40, 0, 6_000)),
    attack("binance-2019", "Binance, 7 May 2019", Kind::Incident(Incident::Binance2019), 75, (21, 0, 8_000)),
    attack(
        "binance-2018",
        "Binance, 7 March 2018",
        Kind::Incident(Incident::Binance2018),
        60,
        (120, 31, 6_000),
    ),
    attack(
        "cryptocom-2022",
        "Crypto.com, 17 January 2022",
        Kind::Incident(Incident::CryptoCom2022),
        30,
        (483, 0, 20_000),
    ),
    attack(
        "bitfinex-2016",
        "Bitfinex, 2 August 2016",
        Kind::Incident(Incident::Bitfinex2016),
        30,
        (2_000, 0, 40_000),
    ),
    attack(
        "3commas-2022",
        "3Commas, October 2022",
        Kind::Incident(Incident::ThreeCommas2022),
        40,
        (200, 8, 12_000),
    ),
    attack("bybit-2025", "Bybit, 21 February 2025", Kind::Incident(Incident::Bybit2025), 0, (0, 0, 10)),
    attack("bigone-2025", "BigONE, 16 July 2025", Kind::Incident(Incident::BigOne2025), 0, (0, 0, 200)),
    attack(
        "poisoning-2024",
        "Address poisoning, 3 May 2024",
        Kind::Incident(Incident::Poisoning2024),
        20,
        (40, 0, 2_000),
    ),
];

/// All attacks, in the order of tables.
pub fn all() -> &'static [Attack] {
    &ALL
}

/// The attack of a name.
pub fn named(name: &str) -> Option<&'static Attack> {
    ALL.iter().find(|attack| attack.name == name)
}

impl Attack {
    /// Its page in `docs/drills/`.
    pub const fn page(&self) -> &'static str {
        match self.kind {
            Kind::Stuffing => "stuffing.md",
            Kind::Relay => "relay.md",
            Kind::Patient(_) => "patient.md",
            Kind::Mules => "mules.md",
            Kind::Insider(_) => "insider.md",
            Kind::KeyLeak => "key-leak.md",
            Kind::JustUnder => "just-under.md",
            Kind::Mimicry => "mimicry.md",
            Kind::Incident(incident) => match incident {
                Incident::Binance2019 => "binance-2019.md",
                Incident::Binance2018 => "binance-2018.md",
                Incident::CryptoCom2022 => "cryptocom-2022.md",
                Incident::Bitfinex2016 => "bitfinex-2016.md",
                Incident::ThreeCommas2022 => "3commas-2022.md",
                Incident::Bybit2025 => "bybit-2025.md",
                Incident::BigOne2025 => "bigone-2025.md",
                Incident::Poisoning2024 => "poisoning-2024.md",
            },
        }
    }

    /// T1 to T8, or the incident's own name.
    pub const fn group(&self) -> &'static str {
        match self.kind {
            Kind::Stuffing => "T1",
            Kind::Relay => "T2",
            Kind::Patient(_) => "T3",
            Kind::Mules => "T4",
            Kind::Insider(_) => "T5",
            Kind::KeyLeak => "T6",
            Kind::JustUnder => "T7",
            Kind::Mimicry => "T8",
            Kind::Incident(_) => self.name,
        }
    }
}
