//! What nobody publishes, with the ranges to sweep.

/// The ends and the middle of what is plausible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Range {
    /// The least.
    pub low: u32,
    /// What a run takes if nothing else is said.
    pub mid: u32,
    /// The most.
    pub high: u32,
}

/// Unknown rates. A report says the worst case over [`Sweep::all`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Sweep {
    /// Withdrawals of a user who signs in at all, in 1/1000 a month of 30 days.
    pub withdrawals: u32,
    /// Withdrawals to addresses never paid before, in 1/1000; none: what the exchange says.
    pub new_addresses: Option<u32>,
    /// Changes of passwords, factors and contacts, in 1/1000 of accounts a month.
    pub resets: u32,
    /// Devices replaced, in 1/1000 of devices a month.
    pub device_changes: u32,
}

impl Sweep {
    /// 0.3 to 3 a month.
    pub const WITHDRAWALS: Range = Range { low: 300, mid: 1_000, high: 3_000 };
    /// 10 to 60 %.
    pub const NEW_ADDRESSES: Range = Range { low: 100, mid: 400, high: 600 };
    /// 0.2 to 2 % a month.
    pub const RESETS: Range = Range { low: 2, mid: 7, high: 20 };
    /// 1 to 5 % a month.
    pub const DEVICE_CHANGES: Range = Range { low: 10, mid: 25, high: 50 };

    /// The middle, and each rate at either end with the others in the middle.
    pub fn all() -> Vec<(&'static str, Self)> {
        let mid = Self::default();
        vec![
            ("mid", mid),
            ("withdrawals low", Self { withdrawals: Self::WITHDRAWALS.low, ..mid }),
            ("withdrawals high", Self { withdrawals: Self::WITHDRAWALS.high, ..mid }),
            ("new addresses low", Self { new_addresses: Some(Self::NEW_ADDRESSES.low), ..mid }),
            ("new addresses high", Self { new_addresses: Some(Self::NEW_ADDRESSES.high), ..mid }),
            ("resets low", Self { resets: Self::RESETS.low, ..mid }),
            ("resets high", Self { resets: Self::RESETS.high, ..mid }),
            ("device changes low", Self { device_changes: Self::DEVICE_CHANGES.low, ..mid }),
            ("device changes high", Self { device_changes: Self::DEVICE_CHANGES.high, ..mid }),
        ]
    }
}

impl Default for Sweep {
    fn default() -> Self {
        Self {
            withdrawals: Self::WITHDRAWALS.mid,
            new_addresses: None,
            resets: Self::RESETS.mid,
            device_changes: Self::DEVICE_CHANGES.mid,
        }
    }
}
