//! Texts with operators' signatures, as releases carry them, and which operators they really are of. What the text asks
//! for, and how many operators that takes, is judged elsewhere.

use std::collections::BTreeSet;

use holdfast_values::operator::{
    PASSKEY_AUTHENTICATOR_DATA_BYTES_MAX, PASSKEY_CLIENT_DATA_BYTES_MAX, PASSKEY_PUBLIC_KEY_BYTES_MAX,
    PASSKEY_SIGNATURE_BYTES_MAX,
};
use holdfast_values::texts::TEXT_BYTES_MAX;
use holdfast_values::{Name, OperatorProof, OperatorPublicKey, PasskeyAssertion, TextDigest};

use super::wire::{Fault, Reader, Wire, Writer};
use crate::operator::{Operators, verify_operator};

/// Most signatures under one text.
pub const SIGNATURES_MAX: usize = 16;

/// A signed text and who signs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAct {
    /// The text, to the letter.
    pub text: String,
    /// Signatures over the text's SHA-256. Nothing is said here about whether they are good: see [`verify_act`].
    pub signatures: Vec<OperatorSignature>,
}

/// A `holdfast-transfer/v1` text, which may have no signatures.
pub type SignedTransfer = SignedAct;

/// One operator's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorSignature {
    /// Whose it is said to be.
    pub operator: Name,
    /// By his Ed25519 key or his passkey.
    pub signature: OperatorProof,
}

/// The distinct operators whose signature over the text's SHA-256 verifies, in order of their names.
///
/// A name that signs twice counts once, and so do two names with the same key (the first in order stands for both).
/// Unknown names, weak keys and wrong signatures count as nothing.
pub fn verify_act(act: &SignedAct, operators: &Operators) -> Vec<Name> {
    let TextDigest(digest) = TextDigest::of(act.text.as_bytes());
    let signers: BTreeSet<(&Name, &OperatorPublicKey)> = act
        .signatures
        .iter()
        .filter_map(|by| {
            let (name, key) = operators.keys.get_key_value(&by.operator)?;
            verify_operator(key, operators.party.as_ref(), &digest, &by.signature).ok()?;
            Some((name, key))
        })
        .collect();
    let mut seen = BTreeSet::new();
    signers.into_iter().filter(|(_, key)| seen.insert(*key)).map(|(name, _)| name.clone()).collect()
}

impl Wire for SignedAct {
    fn write(&self, w: &mut Writer) {
        w.map(2);
        w.key(1).text(&self.text);
        w.key(2).list(&self.signatures, |w, by| by.write(w));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.map(2)?;
        Ok(Self {
            text: r.key(1, "text")?.text(TEXT_BYTES_MAX)?.to_owned(),
            signatures: r.key(2, "signatures")?.list(SIGNATURES_MAX, OperatorSignature::read)?,
        })
    }
}

impl Wire for OperatorSignature {
    fn write(&self, w: &mut Writer) {
        w.map(2);
        w.key(1).text(self.operator.as_str());
        match &self.signature {
            OperatorProof::Ed25519(signature) => w.key(2).bytes(signature),
            OperatorProof::Passkey(assertion) => assertion.write(w.key(2)),
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.map(2)?;
        let operator = r.key(1, "operator")?.parsed()?;
        let r = r.key(2, "signature")?;
        let signature = if r.is_map() {
            OperatorProof::Passkey(Box::new(PasskeyAssertion::read(r)?))
        } else {
            OperatorProof::Ed25519(r.bytes()?)
        };
        Ok(Self { operator, signature })
    }
}

impl Wire for PasskeyAssertion {
    fn write(&self, w: &mut Writer) {
        w.map(4);
        w.key(1).bytes(&self.public_key);
        w.key(2).bytes(&self.client_data_json);
        w.key(3).bytes(&self.authenticator_data);
        w.key(4).bytes(&self.signature);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.map(4)?;
        let mut part =
            |key, field, max| -> Result<Vec<u8>, Fault> { Ok(r.key(key, field)?.some_bytes(max)?.to_vec()) };
        Ok(Self {
            public_key: part(1, "passkey", PASSKEY_PUBLIC_KEY_BYTES_MAX)?,
            client_data_json: part(2, "passkey client data", PASSKEY_CLIENT_DATA_BYTES_MAX)?,
            authenticator_data: part(3, "passkey authenticator data", PASSKEY_AUTHENTICATOR_DATA_BYTES_MAX)?,
            signature: part(4, "passkey signature", PASSKEY_SIGNATURE_BYTES_MAX)?,
        })
    }
}
