//! Sealing under a key: AES-256-GCM-SIV (RFC 8452) with a random nonce and associated data.
//!
//! GCM-SIV, because a nonce that repeats (a cloned virtual machine, a restored snapshot of the random generator)
//! then shows only that two plaintexts were equal, instead of giving the key away.

use aes_gcm_siv::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use super::VaultError;

/// The size of every key here.
pub(super) const KEY_BYTES: usize = 32;
pub(super) const NONCE_BYTES: usize = 12;

/// A key, wiped when dropped. It has no `Debug` and no comparison.
#[derive(Clone)]
pub(super) struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl Key {
    pub(super) fn zero() -> Self {
        Self(Zeroizing::new([0; KEY_BYTES]))
    }

    pub(super) fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Self::zero();
        if bytes.len() != KEY_BYTES {
            return None;
        }
        key.0.copy_from_slice(bytes);
        Some(key)
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl AsMut<[u8]> for Key {
    fn as_mut(&mut self) -> &mut [u8] {
        self.0.as_mut_slice()
    }
}

/// Nonce, ciphertext and tag of `plaintext`, bound to `context`.
pub(super) fn seal(
    random: &SystemRandom,
    key: &Key,
    context: &[&[u8]],
    plaintext: &[u8],
) -> Result<Vec<u8>, VaultError> {
    let mut nonce = [0u8; NONCE_BYTES];
    random.fill(&mut nonce).map_err(|_| VaultError::Randomness)?;
    let aad = associated_data(context);
    let sealed = cipher(key)
        .encrypt(&Nonce::from(nonce), Payload { msg: plaintext, aad: &aad })
        .map_err(|_| VaultError::NotAuthentic)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// What [`seal`] sealed under the same key and context.
pub(super) fn open(key: &Key, context: &[&[u8]], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(VaultError::NotAuthentic)?;
    let aad = associated_data(context);
    cipher(key)
        .decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad: &aad })
        .map(Zeroizing::new)
        .map_err(|_| VaultError::NotAuthentic)
}

fn cipher(key: &Key) -> Aes256GcmSiv {
    Aes256GcmSiv::new((&*key.0).into())
}

/// Each part behind its length, so that no two contexts are alike.
pub(super) fn associated_data(context: &[&[u8]]) -> Vec<u8> {
    let mut out = b"holdfast/vault/v1".to_vec();
    for part in context {
        out.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}
