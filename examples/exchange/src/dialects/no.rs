//! What a "no" means, in words that every dialect can be told in.

use holdfast_authn::RequestError;
use holdfast_authn::dialect::GateRefusal;

use crate::book::Refused;
use crate::exchange::Failure;
use crate::holdfast::Problem;

/// Why a request that is genuine is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum No {
    Funds,
    Asset,
    Network,
    Amount,
    Address,
    /// The customer's own id names another withdrawal.
    OrderId,
    /// Holdfast does not let it go.
    Denied,
}

/// A "no": of a kind that every exchange has a code for, or of one about withdrawals.
#[derive(Debug)]
pub(super) enum Told {
    /// The dialect's own error body says it.
    Gate(GateRefusal, String),
    No(No, String),
}

impl From<Failure> for Told {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Request(error @ (RequestError::NetworkUnknown | RequestError::NetworkMissing)) => {
                Self::No(No::Network, format!("{error}."))
            }
            Failure::Request(error) => Self::Gate(error.refusal(), format!("{error}.")),
            Failure::NotAuthorised | Failure::Book(Refused::UnknownCustomer) => gate(GateRefusal::KeyUnknown),
            Failure::OutsideWindow => gate(GateRefusal::Timestamp),
            Failure::UnknownAsset => Self::No(No::Asset, "Harbor does not hold this asset.".into()),
            Failure::UnknownNetwork => Self::No(No::Network, "Not on this network.".into()),
            Failure::BadAmount(why) => Self::No(No::Amount, format!("Amount: {why}.")),
            Failure::BelowMinimum(min) => Self::No(No::Amount, format!("Withdraw at least {min}.")),
            Failure::Book(Refused::InsufficientBalance) => {
                Self::No(No::Funds, "You have insufficient balance.".into())
            }
            Failure::Book(Refused::OrderIdTaken) => {
                Self::No(No::OrderId, "Your own id names another withdrawal.".into())
            }
            Failure::Book(Refused::Overflow) => Self::No(No::Amount, "Amount: too large.".into()),
            Failure::Refused(problem) => refused(&problem),
            Failure::Denied(code, info) => denied(&code, info),
            Failure::WrongCode | Failure::NoSuchWithdrawal => Self::No(No::Denied, "Not possible.".into()),
            Failure::Unavailable => gate(GateRefusal::Unavailable),
        }
    }
}

const fn gate(refusal: GateRefusal) -> Told {
    Told::Gate(refusal, String::new())
}

/// Holdfast refused the request as such.
fn refused(problem: &Problem) -> Told {
    let detail = problem.detail.as_deref().unwrap_or_default();
    let text = format!("{} {detail} [{}]", problem.title, problem.code);
    match problem.code.as_str() {
        "signature_invalid" => Told::Gate(GateRefusal::Signature, text),
        "passphrase_invalid" => Told::Gate(GateRefusal::Passphrase, text),
        "api_key_unknown" | "api_key_foreign" | "api_key_not_stored" => {
            Told::Gate(GateRefusal::KeyUnknown, text)
        }
        "asset_unknown" | "asset_invalid" => Told::No(No::Asset, text),
        code if code.starts_with("network_") => Told::No(No::Network, text),
        code if code.starts_with("amount_") => Told::No(No::Amount, text),
        code if code.starts_with("address_") || code.starts_with("memo_") => Told::No(No::Address, text),
        _ => Told::No(No::Denied, text),
    }
}

/// Holdfast decided that it does not go: for the key's or request's sake, or for the withdrawal's.
fn denied(code: &str, info: String) -> Told {
    let refusal = match code {
        "api_key_unknown" => GateRefusal::KeyUnknown,
        "api_key_revoked" | "api_key_revision" => GateRefusal::KeyRevoked,
        "api_key_expired" | "api_key_idle" => GateRefusal::KeyExpired,
        "api_key_scope" => GateRefusal::Scope,
        "api_ip_not_allowed" => GateRefusal::Ip,
        "api_timestamp" => GateRefusal::Timestamp,
        "api_replayed" => GateRefusal::Replay,
        "account_frozen" => GateRefusal::Frozen,
        _ => return Told::No(No::Denied, info),
    };
    Told::Gate(refusal, info)
}
