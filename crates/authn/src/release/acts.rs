//! Texts with operators' signatures, as releases carry them, and which operators they really are of. What the text asks
//! for, and how many operators that takes, is judged elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_values::Name;
use holdfast_values::texts::TEXT_BYTES_MAX;
use ring::digest;

use super::wire::{Fault, Reader, Wire, Writer};
use crate::operator::verify_operator;

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
    /// Ed25519.
    pub signature: [u8; 64],
}

/// The distinct operators among `keys` whose signature over the text's SHA-256 verifies, in order of their names.
///
/// A name that signs twice counts once, and so do two names with the same key (the first in order stands for both).
/// Unknown names, weak keys and wrong signatures count as nothing.
pub fn verify_act(act: &SignedAct, keys: &BTreeMap<Name, [u8; 32]>) -> Vec<Name> {
    let mut digest = [0; 32];
    for (byte, from) in digest.iter_mut().zip(digest::digest(&digest::SHA256, act.text.as_bytes()).as_ref()) {
        *byte = *from;
    }
    let signers: BTreeSet<(&Name, &[u8; 32])> = act
        .signatures
        .iter()
        .filter_map(|by| {
            let (name, key) = keys.get_key_value(&by.operator)?;
            verify_operator(key, &digest, &by.signature).ok()?;
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
        w.key(2).bytes(&self.signature);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.map(2)?;
        Ok(Self { operator: r.key(1, "operator")?.parsed()?, signature: r.key(2, "signature")?.bytes()? })
    }
}
