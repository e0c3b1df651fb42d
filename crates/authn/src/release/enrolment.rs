//! What Holdfast tells signers about customers' keys: a credential of an account, with what stands behind it; and that
//! one is gone. Whether it counts, and from when on, is the signer's to judge.

use holdfast_values::texts::{ExchangeName, TEXT_BYTES_MAX};
use holdfast_values::{AccountId, Timestamp};

use super::acts::SignedAct;
use super::envelope::Kind;
use super::evidence::{BoundAssertion, CREDENTIAL_ID_BYTES_MAX, PUBLIC_KEY_BYTES_MAX};
use super::wire::{self, Fault, PayloadError, Reader, Wire, Writer};

/// A credential of an account, for every signer of the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// The exchange.
    pub exchange: ExchangeName,
    /// The journal's record that enrolled it.
    pub sequence: u64,
    /// That record's time. A signer goes by its own clock; only one with a simulated clock has no other.
    pub at: Timestamp,
    /// Whose it is.
    pub account: AccountId,
    /// The credential.
    pub credential_id: Vec<u8>,
    /// Its public key, as a COSE_Key in its one spelling.
    pub public_key: Vec<u8>,
    /// Registered under legacy U2F: its assertions may be by the application's id.
    pub legacy_u2f: bool,
    /// A master key: it approves changes of the account, never payments.
    pub master: bool,
    /// What stands behind it.
    pub basis: Basis,
}

/// What stands behind an enrolment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Nothing: the account's first credential.
    First,
    /// The word of a credential that the account has.
    Rotation {
        /// The `holdfast-change/v1` text: change `add_credential`, target `credential:` and the SHA-256 of the credential
        /// id, detail `key=` and the SHA-256 of the public key.
        text: String,
        /// The assertion over it.
        by: BoundAssertion,
    },
    /// The word of operators.
    Recovery {
        /// Act `recover_account`, target the account, detail `credential=` and the SHA-256 of the credential id, ` key=` and
        /// the SHA-256 of the public key.
        act: SignedAct,
    },
}

/// A credential that never counts again, for every signer of the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The exchange.
    pub exchange: ExchangeName,
    /// The journal's record that removed it.
    pub sequence: u64,
    /// Whose it was.
    pub account: AccountId,
    /// The credential.
    pub credential_id: Vec<u8>,
}

impl Enrolment {
    /// The payload. What is over a limit is written too, and then refused by [`parse`](Self::parse).
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::to_bytes(self)
    }

    /// Exactly what [`to_bytes`](Self::to_bytes) gives, within the limits of the format. Key and text are not parsed.
    pub fn parse(bytes: &[u8]) -> Result<Self, PayloadError> {
        wire::parse(Kind::Enrolment, bytes)
    }
}

impl Removal {
    /// The payload. What is over a limit is written too, and then refused by [`parse`](Self::parse).
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::to_bytes(self)
    }

    /// Exactly what [`to_bytes`](Self::to_bytes) gives, within the limits of the format.
    pub fn parse(bytes: &[u8]) -> Result<Self, PayloadError> {
        wire::parse(Kind::Removal, bytes)
    }
}

impl Wire for Enrolment {
    fn write(&self, w: &mut Writer) {
        w.map(9);
        w.key(1).printed(&self.exchange);
        w.key(2).uint(self.sequence);
        w.key(3).uint(self.at.0);
        w.key(4).text(self.account.as_str());
        w.key(5).bytes(&self.credential_id);
        w.key(6).bytes(&self.public_key);
        w.key(7).bool(self.legacy_u2f);
        w.key(8).bool(self.master);
        self.basis.write(w.key(9));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.map(9)?;
        Ok(Self {
            exchange: r.key(1, "exchange")?.parsed()?,
            sequence: r.key(2, "sequence")?.uint()?,
            at: Timestamp(r.key(3, "at")?.uint()?),
            account: r.key(4, "account")?.parsed()?,
            credential_id: r.key(5, "credential id")?.some_bytes(CREDENTIAL_ID_BYTES_MAX)?.to_vec(),
            public_key: r.key(6, "public key")?.some_bytes(PUBLIC_KEY_BYTES_MAX)?.to_vec(),
            legacy_u2f: r.key(7, "legacy U2F")?.bool()?,
            master: r.key(8, "master")?.bool()?,
            basis: Basis::read(r.key(9, "basis")?)?,
        })
    }
}

impl Wire for Basis {
    fn write(&self, w: &mut Writer) {
        w.map(1);
        match self {
            Self::First => w.key(1).null(),
            Self::Rotation { text, by } => {
                w.key(2).map(2);
                w.key(1).text(text);
                by.write(w.key(2));
            }
            Self::Recovery { act } => act.write(w.key(3)),
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.map(1)?;
        match r.any_key()? {
            1 => r.null().map(|()| Self::First),
            2 => {
                r.map(2)?;
                Ok(Self::Rotation {
                    text: r.key(1, "change")?.text(TEXT_BYTES_MAX)?.to_owned(),
                    by: BoundAssertion::read(r.key(2, "assertion")?)?,
                })
            }
            3 => SignedAct::read(r).map(|act| Self::Recovery { act }),
            _ => Err(Fault::Value),
        }
    }
}

impl Wire for Removal {
    fn write(&self, w: &mut Writer) {
        w.map(4);
        w.key(1).printed(&self.exchange);
        w.key(2).uint(self.sequence);
        w.key(3).text(self.account.as_str());
        w.key(4).bytes(&self.credential_id);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.map(4)?;
        Ok(Self {
            exchange: r.key(1, "exchange")?.parsed()?,
            sequence: r.key(2, "sequence")?.uint()?,
            account: r.key(3, "account")?.parsed()?,
            credential_id: r.key(4, "credential id")?.some_bytes(CREDENTIAL_ID_BYTES_MAX)?.to_vec(),
        })
    }
}
