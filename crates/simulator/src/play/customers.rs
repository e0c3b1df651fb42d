//! What customers do who are asked for something, drawn by the run's seed and what it is about: the same in process and
//! over HTTP.

use holdfast_values::{Micros, time};
use rand::Rng as _;

use super::{around, happens};
use crate::draw::draw;

/// Customers with a key who approve what they asked for, of 1000.
const APPROVE_PERMILLE: u32 = 950;
/// The median of the time that it takes them.
const APPROVE_MEDIAN: u64 = 2 * time::MINUTE;
/// Customers who take back what they cannot approve, of 1000; the others let it expire.
const CANCEL_PERMILLE: u32 = 700;
/// When they do.
const CANCEL_AFTER: u64 = time::DAY;
/// A notice arrives within a minute, a code is typed within one.
const SOON: u64 = time::MINUTE;

/// The customers of a run.
#[derive(Clone, Copy, Debug)]
pub struct Customers {
    seed: u64,
}

/// What a customer does who is asked for a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepUp {
    /// Approves, after so long.
    Approves(Micros),
    /// Has none, or will not, and takes the withdrawal back after so long.
    TakesBack(Micros),
    /// Lets it expire.
    Nothing,
}

impl Customers {
    /// Those of a seed.
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// How long a notice (`notice`) or a code (`code`) takes.
    pub fn soon(self, what: &str, about: u64) -> Micros {
        5 * time::SECOND + draw(self.seed, what, &[about]).next_u64() % (SOON - 5 * time::SECOND)
    }

    /// What the owner of a withdrawal does who is asked for a credential.
    pub fn step_up(self, about: u64, has_credential: bool) -> StepUp {
        let mut draw = draw(self.seed, "step-up", &[about]);
        if has_credential && happens(&mut draw, APPROVE_PERMILLE) {
            StepUp::Approves(around(&mut draw, APPROVE_MEDIAN, 0.8))
        } else if happens(&mut draw, CANCEL_PERMILLE) {
            StepUp::TakesBack(CANCEL_AFTER)
        } else {
            StepUp::Nothing
        }
    }
}
