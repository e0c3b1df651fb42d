//! The release: Holdfast's word that one transaction may be signed now, with everything that the signer needs to check
//! it. Nothing here judges time, order or what the texts ask for.

use holdfast_values::texts::{ExchangeName, TEXT_BYTES_MAX};
use holdfast_values::{Name, Network, ReleaseId, Timestamp};

use super::acts::{SignedAct, SignedTransfer};
use super::envelope::Kind;
use super::evidence::{BoundAssertion, MandateUse};
use super::wire::{self, Fault, PayloadError, Reader, Wire, Writer};

/// Most withdrawals in one release.
pub const PAYMENTS_MAX: usize = 1_000;
/// Most operators' acts for one withdrawal.
pub const APPROVALS_MAX: usize = 16;
/// Most acts that begin epochs in one release.
pub const EPOCHS_MAX: usize = 64;

/// A permission to sign one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Names this release.
    pub id: ReleaseId,
    /// The exchange.
    pub exchange: ExchangeName,
    /// The signer it is for.
    pub audience: Name,
    /// The journal's epoch.
    pub epoch: u64,
    /// The journal's last record when this was decided.
    pub sequence: u64,
    /// That record's hash.
    pub head: [u8; 32],
    /// Hash of the policy that decided.
    pub policy: [u8; 32],
    /// Whether time is simulated.
    pub simulated: bool,
    /// Before this it permits nothing.
    pub not_before: Timestamp,
    /// From this on it permits nothing.
    pub expires: Timestamp,
    /// The network of the transaction.
    pub network: Network,
    /// The wallet that pays.
    pub wallet: Name,
    /// The transaction's digest, as `docs/release.md` defines it.
    pub transaction: [u8; 32],
    /// The counter of the last receipt of this signer that Holdfast has; 0 for none.
    pub receipts_seen: u64,
    /// The withdrawals that the transaction pays.
    pub payments: Vec<Payment>,
    /// What an internal transaction is for.
    pub transfer: Option<SignedTransfer>,
    /// The acts that began the epochs since the signer's last.
    pub epochs: Vec<SignedAct>,
}

/// One withdrawal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Its `holdfast-withdrawal/v1` text, to the letter.
    pub intent: String,
    /// Operators' acts that approve it.
    pub approvals: Vec<SignedAct>,
    /// Its owner's assertion over the text.
    pub assertion: Option<BoundAssertion>,
    /// The mandate under which its owner's program asked for it.
    pub mandate: Option<MandateUse>,
}

impl Release {
    /// The payload. What is over a limit is written too, and then refused by [`parse`](Self::parse).
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::to_bytes(self)
    }

    /// Exactly what [`to_bytes`](Self::to_bytes) gives, within the limits of the format. Texts are not parsed.
    pub fn parse(bytes: &[u8]) -> Result<Self, PayloadError> {
        wire::parse(Kind::Release, bytes)
    }
}

impl Wire for Release {
    fn write(&self, w: &mut Writer) {
        w.map(17);
        w.key(1).printed(self.id);
        w.key(2).printed(&self.exchange);
        w.key(3).text(self.audience.as_str());
        w.key(4).uint(self.epoch);
        w.key(5).uint(self.sequence);
        w.key(6).bytes(&self.head);
        w.key(7).bytes(&self.policy);
        w.key(8).bool(self.simulated);
        w.key(9).uint(self.not_before.0);
        w.key(10).uint(self.expires.0);
        w.key(11).text(self.network.name());
        w.key(12).text(self.wallet.as_str());
        w.key(13).bytes(&self.transaction);
        w.key(14).uint(self.receipts_seen);
        w.key(15).list(&self.payments, |w, payment| payment.write(w));
        w.key(16).option(self.transfer.as_ref(), |w, transfer| transfer.write(w));
        w.key(17).list(&self.epochs, |w, act| act.write(w));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.map(17)?;
        Ok(Self {
            id: r.key(1, "id")?.parsed()?,
            exchange: r.key(2, "exchange")?.parsed()?,
            audience: r.key(3, "audience")?.parsed()?,
            epoch: r.key(4, "epoch")?.uint()?,
            sequence: r.key(5, "sequence")?.uint()?,
            head: r.key(6, "head")?.bytes()?,
            policy: r.key(7, "policy")?.bytes()?,
            simulated: r.key(8, "simulated")?.bool()?,
            not_before: Timestamp(r.key(9, "not before")?.uint()?),
            expires: Timestamp(r.key(10, "expires")?.uint()?),
            network: r.key(11, "network")?.parsed()?,
            wallet: r.key(12, "wallet")?.parsed()?,
            transaction: r.key(13, "transaction")?.bytes()?,
            receipts_seen: r.key(14, "receipts seen")?.uint()?,
            payments: r.key(15, "payments")?.list(PAYMENTS_MAX, Payment::read)?,
            transfer: r.key(16, "transfer")?.option(SignedAct::read)?,
            epochs: r.key(17, "epochs")?.list(EPOCHS_MAX, SignedAct::read)?,
        })
    }
}

impl Wire for Payment {
    fn write(&self, w: &mut Writer) {
        w.map(4);
        w.key(1).text(&self.intent);
        w.key(2).list(&self.approvals, |w, act| act.write(w));
        w.key(3).option(self.assertion.as_ref(), |w, assertion| assertion.write(w));
        w.key(4).option(self.mandate.as_ref(), |w, mandate| mandate.write(w));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.map(4)?;
        Ok(Self {
            intent: r.key(1, "intent")?.text(TEXT_BYTES_MAX)?.to_owned(),
            approvals: r.key(2, "approvals")?.list(APPROVALS_MAX, SignedAct::read)?,
            assertion: r.key(3, "assertion")?.option(BoundAssertion::read)?,
            mandate: r.key(4, "mandate")?.option(MandateUse::read)?,
        })
    }
}
