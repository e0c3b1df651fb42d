//! Refusals, and the checks that more than one kind of command needs.

use holdfast_policy::Program;

use crate::command::Scope;
use crate::reason::Refusal;
use crate::state::State;

/// A refusal, with what exactly for people.
pub(crate) struct Refused(pub(crate) Refusal, pub(crate) String);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal, refusal.sentence().to_owned())
    }
}

/// A command is done, or refused.
pub(crate) type Answer = Result<(), Refused>;

/// Checks that a halt's scope exists.
pub(crate) fn known_scope(state: &State, scope: &Scope) -> Answer {
    let is_known = match scope {
        Scope::Overall => true,
        Scope::Asset(symbol) => state.asset_index(symbol).is_some(),
        Scope::Wallet(name) => state.wallet_index(name).is_some(),
        Scope::Account(id) => state.account_index(id).is_some(),
    };
    if is_known { Ok(()) } else { Err(Refusal::HaltScopeUnknown.into()) }
}

/// A program that loads, and that was compiled from the pack that it says.
pub(crate) fn check_policy(program: &[u8], hash: &[u8; 32]) -> Answer {
    match Program::from_bytes(program) {
        Ok(program) if program.hash() == *hash => Ok(()),
        Ok(_) => {
            Err(Refused(Refusal::PolicyInvalid, "the program was compiled from another pack".to_owned()))
        }
        Err(error) => Err(Refused(Refusal::PolicyInvalid, error.to_string())),
    }
}
