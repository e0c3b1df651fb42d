//! 16 July 2025: 27 million dollars; the servers that judged risk had been rewritten, and the keys were never touched. Here
//! Holdfast itself lies, with its own release key in hand, and what is left is the signer.

use super::super::cast::Caster;
use super::super::reach::Attacker;
use super::super::vault::{self, Nobody};

pub(in super::super) fn cast(caster: &mut Caster<'_>) -> Box<dyn Attacker> {
    let at = caster.full_day(2, 6, 0, 0);
    caster.beside(at, vault::lying);
    Box::new(Nobody)
}
