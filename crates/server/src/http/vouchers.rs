//! What a customer's own word is in a release: the assertion over a withdrawal's text, or a mandate with the request that
//! was made under it. Both lie sealed in the journal; they are opened when a release is signed.

use holdfast_authn::release::{MandateUse, Payment};
use holdfast_decision::State as Core;
use holdfast_decision::command::{Command, Evidence};
use holdfast_decision::configuration::Class;
use holdfast_decision::protection::{BoundApproval, Change, CredentialUse};
use holdfast_values::{AccountId, MandateId, Timestamp, WithdrawalId};

use crate::problem::Problem;
use crate::record;

use super::{Shared, assertion, evidence};

/// Where the customer's word for a payment lies.
pub(super) enum Voucher {
    /// Nowhere: aged or unvouched, operators' signatures stand for it, or it is not wanted.
    None,
    /// The assertion, sealed.
    Assertion { account: AccountId, sealed: Vec<u8> },
    /// In the records that granted the mandate and asked for the withdrawal.
    Mandate { account: AccountId, mandate: MandateId, granted: u64, requested: u64 },
}

impl Voucher {
    /// Where it lies for a released withdrawal.
    pub(super) fn of(core: &Core, at: Timestamp, id: WithdrawalId) -> Option<Self> {
        let withdrawal = core.withdrawal(id)?;
        // What no longer counts here would be refused by the signer: it is not sent.
        if withdrawal.decision.class != Class::Bound || withdrawal.approval.is_some() {
            return Some(Self::None);
        }
        let account = core.account_at(withdrawal.request.account)?;
        let counts = |bound: &&BoundApproval| {
            let credential = account.credential(&bound.credential);
            credential.is_some_and(|known| core.credential_counts(at, known, CredentialUse::Approve))
        };
        // Of an approval and a mandate either is enough; the approval's key may have gone since.
        if let Some(bound) = withdrawal.bound.as_deref().filter(counts) {
            return Some(Self::Assertion { account: account.id.clone(), sealed: bound.sealed.clone() });
        }
        let Some(mandate) = withdrawal.mandate else { return Some(Self::None) };
        let granted = account.mandate(mandate)?.sequence;
        Some(Self::Mandate { account: account.id.clone(), mandate, granted, requested: withdrawal.sequence })
    }

    /// Opens it into a payment. Blocks.
    pub(super) fn open(self, app: &Shared, payment: &mut Payment) -> Result<(), Problem> {
        match self {
            Self::None => {}
            Self::Assertion { account, sealed } => {
                payment.assertion = Some(assertion::unseal(app, &account, &sealed)?);
            }
            Self::Mandate { account, mandate, granted, requested } => {
                payment.mandate = Some(mandate_use(app, &account, mandate, granted, requested)?);
            }
        }
        Ok(())
    }
}

fn command(app: &Shared, sequence: u64) -> Result<Command, Problem> {
    let read = app.read_record(sequence)?;
    record::decode(&read).map(|read| read.command).map_err(|_| Problem::new("internal"))
}

fn mandate_use(
    app: &Shared,
    account: &AccountId,
    mandate: MandateId,
    granted: u64,
    requested: u64,
) -> Result<MandateUse, Problem> {
    let lost = || Problem::new("internal").detail("the journal does not hold the mandate or its request");
    let Command::ChangeProtection(asked) = command(app, granted)? else { return Err(lost()) };
    let approval = match &asked.change {
        Change::GrantMandate(new) if new.mandate == mandate => asked.approval.as_deref().ok_or_else(lost)?,
        _ => return Err(lost()),
    };
    let Command::RequestWithdrawal(request) = command(app, requested)? else { return Err(lost()) };
    let Evidence::ApiRequest(api) = &request.evidence else { return Err(lost()) };
    let (request, key) = evidence::unseal(app, account, api)?;
    Ok(MandateUse {
        text: approval.text.clone(),
        assertion: assertion::unseal(app, account, &approval.by.sealed)?,
        key,
        request,
    })
}
