//! The envelope: COSE_Sign1 (RFC 9052) with Ed25519, in exactly one spelling. Who signed a payload and as what, nothing
//! about what it says.
//!
//! `coset` reads and writes COSE, but takes duplicate keys, indefinite lengths and unsorted headers. So the shape is
//! checked first, which also bounds what `coset` can be made to allocate, and then the envelope is written again from
//! what was read and must come out the same.

use core::convert::Infallible;
use core::fmt;

use coset::iana::Algorithm;
use coset::{
    CoseSign1, CoseSign1Builder, Header, HeaderBuilder, SignatureContext, TaggedCborSerializable as _,
    sig_structure_data,
};
use minicbor::data::{Tag, Type};
use minicbor::{Decoder, decode};
use ring::digest;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use zeroize::Zeroizing;

use crate::key::verify_ed25519;

/// CBOR tag of a COSE_Sign1.
const TAG: u64 = 18;
/// A protected header of ours has 13 bytes; longer ones are refused unread.
const PROTECTED_BYTES_MAX: usize = 64;
/// How much larger than its payload an envelope can be.
const ENVELOPE_BYTES_MAX: usize = 256;

/// What an envelope holds. A signature over one kind is never one over another: the kind is signed with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Holdfast to signer: [`Release`](super::Release).
    Release,
    /// Signer to Holdfast: [`Receipt`](super::Receipt).
    Receipt,
    /// Signer to Holdfast: [`Spends`](super::Spends).
    Spends,
    /// Holdfast to signers: [`Enrolment`](super::Enrolment).
    Enrolment,
    /// Holdfast to signers: [`Removal`](super::Removal).
    Removal,
    /// Holdfast to signers: [`PolicyStep`](super::PolicyStep).
    Policy,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Release, Self::Receipt, Self::Spends, Self::Enrolment, Self::Removal, Self::Policy];

    /// The `external_aad` of this kind's signatures.
    pub const fn aad(self) -> &'static str {
        match self {
            Self::Release => "holdfast/release/v1",
            Self::Receipt => "holdfast/receipt/v1",
            Self::Spends => "holdfast/spends/v1",
            Self::Enrolment => "holdfast/enrolment/v1",
            Self::Removal => "holdfast/removal/v1",
            Self::Policy => "holdfast/policy/v1",
        }
    }

    /// The largest payload of this kind, in bytes. A statement carries every spend that a signer remembers.
    pub const fn payload_bytes_max(self) -> usize {
        match self {
            Self::Release | Self::Receipt | Self::Policy => 8 << 20,
            Self::Spends => 256 << 20,
            Self::Enrolment | Self::Removal => 64 << 10,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Release => "release",
            Self::Receipt => "receipt",
            Self::Spends => "statement of spends",
            Self::Enrolment => "enrolment",
            Self::Removal => "removal",
            Self::Policy => "policy step",
        })
    }
}

/// Why an envelope is refused. Each has a stable [`code`](Self::code).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Over [`Kind::payload_bytes_max`] and the envelope around it.
    #[error("more bytes than a {0} may have")]
    TooLarge(Kind),
    /// No COSE_Sign1.
    #[error("not a COSE_Sign1 of protected header, empty map, payload and 64 bytes of signature")]
    Malformed,
    /// The tag is missing, or another.
    #[error("a COSE_Sign1 starts with CBOR tag 18")]
    Untagged,
    /// Something stands in the unprotected header, where no signature covers it.
    #[error("the unprotected header must be empty")]
    Unprotected,
    /// An algorithm other than EdDSA, or none.
    #[error("the protected header must name the algorithm EdDSA (-8)")]
    Algorithm,
    /// Another spelling of CBOR or of the header than the one that writing gives.
    #[error(
        "the envelope has another spelling than deterministic CBOR with the protected header {{1: -8, 4: kid}}"
    )]
    NotCanonical,
    /// None of the keys has this key id.
    #[error("none of the keys that are known here signed this {0}: check which public keys are pinned")]
    KeyUnknown(Kind),
    /// No key with this key id made this signature, or made it over another payload or another kind.
    #[error("the signature is not one over this {0}")]
    Signature(Kind),
}

impl EnvelopeError {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "envelope_too_large",
            Self::Malformed => "envelope_malformed",
            Self::Untagged => "envelope_untagged",
            Self::Unprotected => "envelope_unprotected_header",
            Self::Algorithm => "envelope_algorithm",
            Self::NotCanonical => "envelope_not_canonical",
            Self::KeyUnknown(Kind::Release) => "release_key_unknown",
            Self::KeyUnknown(Kind::Receipt) => "receipt_key_unknown",
            Self::KeyUnknown(Kind::Spends) => "spends_key_unknown",
            Self::KeyUnknown(Kind::Enrolment) => "enrolment_key_unknown",
            Self::KeyUnknown(Kind::Removal) => "removal_key_unknown",
            Self::KeyUnknown(Kind::Policy) => "policy_step_key_unknown",
            Self::Signature(Kind::Release) => "release_signature",
            Self::Signature(Kind::Receipt) => "receipt_signature",
            Self::Signature(Kind::Spends) => "spends_signature",
            Self::Signature(Kind::Enrolment) => "enrolment_signature",
            Self::Signature(Kind::Removal) => "removal_signature",
            Self::Signature(Kind::Policy) => "policy_step_signature",
        }
    }
}

/// An Ed25519 key that signs releases or receipts. It never prints.
///
/// The seed lies in memory that is wiped on drop. `ring` expands it anew for each signature, on the stack, and does not
/// wipe what it expands: memory of this process stays worth protecting.
#[derive(Clone)]
pub struct SigningKey {
    seed: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl SigningKey {
    /// From the 32 bytes of seed that RFC 8032 calls the private key. The caller wipes its own copy.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let mut key = Self { seed: Zeroizing::new(*seed), public: [0; 32] };
        if let Some(public) = key.pair().and_then(|pair| pair.public_key().as_ref().try_into().ok()) {
            key.public = public;
        }
        key
    }

    /// The public half.
    pub const fn public_key(&self) -> [u8; 32] {
        self.public
    }

    /// `ring` refuses seeds of another length only, so this is always there.
    fn pair(&self) -> Option<Ed25519KeyPair> {
        Ed25519KeyPair::from_seed_unchecked(self.seed.as_slice()).ok()
    }

    /// Were the key not usable after all, this would sign nothing: 64 zeros, which nobody accepts.
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pair().and_then(|pair| pair.sign(message).as_ref().try_into().ok()).unwrap_or([0; 64])
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// By what an envelope names its key: the first 8 bytes of the public key's SHA-256.
pub fn key_id(public_key: &[u8; 32]) -> [u8; 8] {
    let mut id = [0; 8];
    for (byte, from) in id.iter_mut().zip(digest::digest(&digest::SHA256, public_key).as_ref()) {
        *byte = *from;
    }
    id
}

fn header(key_id: Vec<u8>) -> Header {
    HeaderBuilder::new().algorithm(Algorithm::EdDSA).key_id(key_id).build()
}

/// Signs a payload as `kind`. The same payload and key give the same bytes.
pub fn seal(kind: Kind, payload: &[u8], key: &SigningKey) -> Vec<u8> {
    let sealed: Result<_, Infallible> =
        seal_with(kind, payload, &key.public, |message| Ok(key.sign(message)));
    sealed.unwrap_or_default()
}

/// Signs a payload as `kind` with a key that lies elsewhere, in a hardware module say: `sign` is given the bytes to be
/// signed and returns the Ed25519 signature over them.
///
/// # Errors
/// That of `sign`.
pub fn seal_with<E>(
    kind: Kind,
    payload: &[u8],
    public_key: &[u8; 32],
    sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>,
) -> Result<Vec<u8>, E> {
    let message = CoseSign1Builder::new()
        .protected(header(key_id(public_key).to_vec()))
        .payload(payload.to_vec())
        .try_create_signature(kind.aad().as_bytes(), |message| sign(message).map(Vec::from))?
        .build();
    // Bytes and integers always encode; were it otherwise, nothing opens an empty envelope.
    Ok(message.to_tagged_vec().unwrap_or_default())
}

/// Returns the payload and which of `keys` signed it as `kind`.
///
/// Weak keys (see [`verify_operator`](crate::verify_operator)) sign nothing. The payload is not parsed.
pub fn open(kind: Kind, bytes: &[u8], keys: &[[u8; 32]]) -> Result<(Vec<u8>, [u8; 32]), EnvelopeError> {
    if bytes.len() > kind.payload_bytes_max().saturating_add(ENVELOPE_BYTES_MAX) {
        return Err(EnvelopeError::TooLarge(kind));
    }
    check_shape(bytes)?;
    let message = CoseSign1::from_tagged_slice(bytes).map_err(|_| EnvelopeError::Malformed)?;
    let named = &message.protected.header;
    if named.alg != header(Vec::new()).alg {
        return Err(EnvelopeError::Algorithm);
    }
    let payload = message.payload.unwrap_or_default();
    let signature: [u8; 64] = message.signature.try_into().map_err(|_| EnvelopeError::Malformed)?;
    let again = CoseSign1Builder::new()
        .protected(header(named.key_id.clone()))
        .payload(payload.clone())
        .signature(signature.to_vec())
        .build()
        .to_tagged_vec();
    if again.as_deref().ok() != Some(bytes) {
        return Err(EnvelopeError::NotCanonical);
    }
    let mut named_keys = keys.iter().filter(|key| key_id(key) == *named.key_id).peekable();
    if named_keys.peek().is_none() {
        return Err(EnvelopeError::KeyUnknown(kind));
    }
    let aad = kind.aad().as_bytes();
    let signed =
        sig_structure_data(SignatureContext::CoseSign1, message.protected.clone(), None, aad, &payload);
    match named_keys.find(|key| verify_ed25519(key, &signed, &signature)) {
        Some(key) => Ok((payload, *key)),
        None => Err(EnvelopeError::Signature(kind)),
    }
}

/// Exactly `18([bytes, {}, bytes, 64 bytes])`, of definite lengths, and nothing behind it.
fn check_shape(bytes: &[u8]) -> Result<(), EnvelopeError> {
    let mut decoder = Decoder::new(bytes);
    match decoder.tag() {
        Ok(tag) if tag == Tag::new(TAG) => {}
        _ => return Err(EnvelopeError::Untagged),
    }
    let malformed = |_: decode::Error| EnvelopeError::Malformed;
    match decoder.array().map_err(malformed)? {
        Some(4) => {}
        Some(_) => return Err(EnvelopeError::Malformed),
        None => return Err(EnvelopeError::NotCanonical),
    }
    if read_bytes(&mut decoder)?.len() > PROTECTED_BYTES_MAX {
        return Err(EnvelopeError::NotCanonical);
    }
    match decoder.map().map_err(malformed)? {
        Some(0) => {}
        Some(_) => return Err(EnvelopeError::Unprotected),
        None => return Err(EnvelopeError::NotCanonical),
    }
    read_bytes(&mut decoder)?;
    let signature = read_bytes(&mut decoder)?;
    if signature.len() != 64 || decoder.position() != bytes.len() {
        return Err(EnvelopeError::Malformed);
    }
    Ok(())
}

fn read_bytes<'b>(decoder: &mut Decoder<'b>) -> Result<&'b [u8], EnvelopeError> {
    match decoder.datatype() {
        Ok(Type::Bytes) => decoder.bytes().map_err(|_| EnvelopeError::Malformed),
        Ok(Type::BytesIndef) => Err(EnvelopeError::NotCanonical),
        _ => Err(EnvelopeError::Malformed),
    }
}
