//! A reader of RLP that shares nothing with the one under test.

/// An item: a list or not, and its payload.
pub(crate) type Item<'a> = (bool, &'a [u8]);

/// The first item, and what follows it.
fn item(bytes: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let long = |digits: u8| -> Option<(usize, &[u8])> {
        let (length, rest) = rest.split_at_checked(usize::from(digits))?;
        let length = length
            .iter()
            .try_fold(0usize, |sum, digit| sum.checked_mul(256)?.checked_add(usize::from(*digit)))?;
        Some((length, rest))
    };
    let (is_list, (length, rest)) = match *first {
        0..=0x7f => return Some(((false, bytes.get(..1)?), rest)),
        byte @ 0x80..=0xb7 => (false, (usize::from(byte - 0x80), rest)),
        byte @ 0xb8..=0xbf => (false, long(byte - 0xb7)?),
        byte @ 0xc0..=0xf7 => (true, (usize::from(byte - 0xc0), rest)),
        byte @ 0xf8..=0xff => (true, long(byte - 0xf7)?),
    };
    let (payload, rest) = rest.split_at_checked(length)?;
    Some(((is_list, payload), rest))
}

/// The items of the one list that `bytes` are.
pub(crate) fn list(bytes: &[u8]) -> Option<Vec<Item<'_>>> {
    let ((true, mut payload), []) = item(bytes)? else { return None };
    let mut items = Vec::new();
    while !payload.is_empty() {
        let (next, rest) = item(payload)?;
        items.push(next);
        payload = rest;
    }
    Some(items)
}

/// The number that an item is.
pub(crate) fn number((is_list, digits): Item<'_>) -> Option<u128> {
    if is_list || digits.len() > 16 || digits.first() == Some(&0) {
        return None;
    }
    Some(digits.iter().fold(0, |sum, digit| sum << 8 | u128::from(*digit)))
}
