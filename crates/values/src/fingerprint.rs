//! Keyed fingerprints: what stands in State for a key that an attacker may choose.

use core::fmt;

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

/// 128 bits of a keyed hash, made at intake with a key that only this installation has.
///
/// Inside the core it is an opaque name: equal inputs have equal fingerprints, and nobody outside can find two inputs
/// that collide or predict where one sorts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fingerprint(pub [u8; 16]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl<C> Encode<C> for Fingerprint {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Fingerprint {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let bytes = d.bytes()?.try_into().map_err(|_| decode::Error::message("fingerprint: 16 bytes"))?;
        Ok(Self(bytes))
    }
}
