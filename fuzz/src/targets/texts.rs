//! Texts that people and keys sign, conflict keys, and addresses.

use core::fmt;

use holdfast_values::address::examine_bytes;
use holdfast_values::texts::{Destinations, MANDATE_TIME_MAX, SignedText};
use holdfast_values::{
    ChangeText, ConflictKey, Destination, MandateText, Network, OperatorText, TextDigest, TextError,
    TransferText, WithdrawalText,
};

pub(super) fn withdrawal(bytes: &[u8]) -> bool {
    text(bytes, WithdrawalText::parse, SignedText::Withdrawal)
}

pub(super) fn transfer(bytes: &[u8]) -> bool {
    text(bytes, TransferText::parse, SignedText::Transfer)
}

pub(super) fn operator(bytes: &[u8]) -> bool {
    text(bytes, OperatorText::parse, SignedText::Operator)
}

pub(super) fn change(bytes: &[u8]) -> bool {
    text(bytes, ChangeText::parse, SignedText::Change)
}

pub(super) fn mandate(bytes: &[u8]) -> bool {
    if let Ok(mandate) = MandateText::parse(bytes) {
        let destinations = Destinations::new(mandate.destinations.to_vec());
        assert_eq!(destinations.as_ref(), Ok(&mandate.destinations), "its destinations have one order");
        assert!(
            mandate.day_max >= mandate.amount_max && !mandate.amount_max.is_zero(),
            "it is for something"
        );
        let time = mandate.window.not_after().timestamp().since(mandate.window.not_before().timestamp());
        assert!(time <= MANDATE_TIME_MAX, "it ends");
    }
    text(bytes, MandateText::parse, SignedText::Mandate)
}

/// A text parses alone as it parses among all, and prints as it was read.
fn text<T: fmt::Display>(
    bytes: &[u8],
    parse: fn(&[u8]) -> Result<T, TextError>,
    wrap: fn(T) -> SignedText,
) -> bool {
    let any = SignedText::parse(bytes);
    let Ok(parsed) = parse(bytes) else {
        if let Ok(other) = any {
            assert_eq!(other.to_string().as_bytes(), bytes, "another kind of text prints as it was read");
        }
        return false;
    };
    assert_eq!(parsed.to_string().as_bytes(), bytes, "prints as it was read");
    let wrapped = wrap(parsed);
    assert_eq!(any.as_ref(), Ok(&wrapped), "is the same text among all kinds");
    assert_eq!(wrapped.digest(), TextDigest::of(bytes), "the digest is of what was read");
    let lines = wrapped.fields().len().checked_add(1);
    assert_eq!(lines, Some(wrapped.to_string().lines().count()), "no value breaks its line");
    true
}

pub(super) fn conflict_key(bytes: &[u8]) -> bool {
    if let Ok(key) = minicbor::decode::<ConflictKey>(bytes) {
        same_everywhere(key);
    }
    let Ok(text) = core::str::from_utf8(bytes) else { return false };
    let Ok(key) = text.parse::<ConflictKey>() else { return false };
    assert_eq!(key.to_string(), text, "has one spelling");
    same_everywhere(key);
    true
}

fn same_everywhere(key: ConflictKey) {
    assert_eq!(key.to_string().parse(), Ok(key), "prints as what reads as itself");
    let encoded = minicbor::to_vec(key).unwrap_or_default();
    assert_eq!(minicbor::decode(&encoded).ok(), Some(key), "is recorded as itself");
}

/// The first byte chooses the network; a line feed separates the address from a memo.
pub(super) fn address(bytes: &[u8]) -> bool {
    let Some((&which, rest)) = bytes.split_first() else { return false };
    let Some(network) = Network::ALL.get(usize::from(which) % Network::ALL.len()).copied() else {
        return false;
    };
    let mut parts = rest.splitn(2, |byte| *byte == b'\n');
    let address = parts.next().unwrap_or_default();
    let Ok(memo) = parts.next().map(core::str::from_utf8).transpose() else { return false };
    let examined = examine_bytes(network, address, memo);
    let Ok(text) = core::str::from_utf8(address) else {
        assert!(examined.is_err(), "an address is text");
        return false;
    };
    let Ok(destination) = Destination::parse(network, text, memo) else { return false };
    assert_eq!(examined.map(|examined| examined.destination).as_ref(), Ok(&destination));
    let again = Destination::parse(network, destination.address(), destination.memo());
    assert_eq!(again.as_ref(), Ok(&destination), "the canonical spelling reads as itself");
    assert_eq!(destination.network(), network);
    assert!(destination.address().bytes().all(|byte| byte.is_ascii_graphic()), "fits a line");
    assert!(destination.memo().is_none_or(|memo| !memo.chars().any(char::is_control)), "fits a line");
    true
}
