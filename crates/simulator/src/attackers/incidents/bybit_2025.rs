//! 21 February 2025: the signers' screen showed one transaction, and they signed another one, which gave 401,347 ETH away. Then
//! 350,000 withdrawals in ten hours, which were honoured. Here the swap meets the signer itself, and the run the exchange.

use super::super::cast::Caster;
use super::super::reach::Attacker;
use super::super::vault::{self, Nobody};

pub(in super::super) fn cast(caster: &mut Caster<'_>) -> Box<dyn Attacker> {
    let at = caster.full_day(1, 14, 13, 35);
    caster.beside(at, vault::swapped);
    Box::new(Nobody)
}
