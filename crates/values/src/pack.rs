//! The hash that names a pack of policy files.

/// The domain of the hash.
const DOMAIN: &str = "holdfast-policy-pack/v1";

/// BLAKE3 over the files of a pack: each name and each text length-prefixed (64 bits, big endian), sorted by name.
///
/// The names are part of the pack, the directory and the order of reading are not.
pub fn pack_hash<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> [u8; 32] {
    let mut sorted: Vec<(&str, &str)> = files.into_iter().collect();
    sorted.sort_unstable();
    let mut hasher = blake3::Hasher::new_derive_key(DOMAIN);
    hasher.update(&(sorted.len() as u64).to_be_bytes());
    for part in sorted.into_iter().flat_map(|(name, text)| [name, text]) {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_texts_and_their_borders_all_count() {
        let hash = pack_hash([("a", "bc"), ("d", "")]);
        assert_eq!(hash, pack_hash([("d", ""), ("a", "bc")]));
        for other in [vec![("ab", "c"), ("d", "")], vec![("a", "bc")], vec![("a", "bcd"), ("", "")], vec![]] {
            assert_ne!(hash, pack_hash(other));
        }
    }
}
