//! Releases, receipts, statements, enrolments, removals and policy steps: their payloads, and the envelope around them.

use holdfast_values::OperatorPublicKey;
use std::collections::BTreeSet;

use holdfast_authn::release::{
    Basis, Enrolment, Kind, PolicyStep, Receipt, Release, Removal, SignedAct, Spends, open, seal, verify_act,
};
use holdfast_values::texts::SignedText;

use crate::house;

pub(super) fn release(bytes: &[u8]) -> bool {
    payload(Kind::Release, bytes, |bytes| {
        let release = Release::parse(bytes).ok()?;
        let approvals = release.payments.iter().flat_map(|payment| &payment.approvals);
        approvals.chain(&release.transfer).chain(&release.epochs).for_each(act);
        release.payments.iter().for_each(|payment| text(&payment.intent));
        let mandates = release.payments.iter().filter_map(|payment| payment.mandate.as_ref());
        mandates.for_each(|mandate| text(&mandate.text));
        Some(release.to_bytes())
    })
}

/// An enrolment, or a removal: never both.
pub(super) fn enrolment(bytes: &[u8]) -> bool {
    let enrolled = payload(Kind::Enrolment, bytes, |bytes| {
        let enrolment = Enrolment::parse(bytes).ok()?;
        match &enrolment.basis {
            Basis::First => {}
            Basis::Rotation { text: change, .. } => text(change),
            Basis::Recovery { act: signed } => act(signed),
        }
        Some(enrolment.to_bytes())
    });
    let removed = payload(Kind::Removal, bytes, |bytes| Some(Removal::parse(bytes).ok()?.to_bytes()));
    assert!(!(enrolled && removed), "one of them");
    enrolled || removed
}

pub(super) fn policy_step(bytes: &[u8]) -> bool {
    payload(Kind::Policy, bytes, |bytes| {
        let step = PolicyStep::parse(bytes).ok()?;
        act(&step.act);
        step.proposal.iter().for_each(act);
        for files in [&step.files, &step.from_files] {
            assert!(files.is_sorted_by(|(one, _), (next, _)| one < next), "no name stands twice");
        }
        Some(step.to_bytes())
    })
}

pub(super) fn receipt(bytes: &[u8]) -> bool {
    payload(Kind::Receipt, bytes, |bytes| Some(Receipt::parse(bytes).ok()?.to_bytes()))
}

pub(super) fn spends(bytes: &[u8]) -> bool {
    payload(Kind::Spends, bytes, |bytes| {
        let spends = Spends::parse(bytes).ok()?;
        spends.spends.iter().for_each(|spend| text(&spend.intent));
        spends.transfers.iter().for_each(|transfer| text(&transfer.text));
        Some(spends.to_bytes())
    })
}

/// Whatever parses is written again as it was, and travels in an envelope of its kind alone.
fn payload(kind: Kind, bytes: &[u8], again: fn(&[u8]) -> Option<Vec<u8>>) -> bool {
    let Some(written) = again(bytes) else { return false };
    assert_eq!(written, bytes, "has one spelling");
    let key = house::release_key();
    let sealed = seal(kind, bytes, key);
    for other in Kind::ALL {
        let opened = open(other, &sealed, &[key.public_key()]).ok();
        let expected = (other == kind).then(|| (bytes.to_vec(), key.public_key()));
        assert_eq!(opened, expected, "{kind} opened as {other}");
    }
    true
}

fn act(signed: &SignedAct) {
    text(&signed.text);
    let operators = house::operators();
    let signers = verify_act(signed, operators);
    let distinct: BTreeSet<&OperatorPublicKey> =
        signers.iter().filter_map(|name| operators.keys.get(name)).collect();
    assert_eq!(distinct.len(), signers.len(), "each key counts once, and only those who are known");
    let nobody = SignedAct { text: format!("{} ", signed.text), signatures: signed.signatures.clone() };
    assert!(verify_act(&nobody, operators).is_empty(), "nobody signed another text");
}

fn text(text: &str) {
    if let Ok(parsed) = SignedText::parse(text.as_bytes()) {
        assert_eq!(parsed.to_string(), text);
    }
}

/// The head of a CBOR item in one byte more than it needs, if it is a head.
fn longer(head: u8) -> Vec<u8> {
    let (kind, number) = (head & 0xe0, head & 0x1f);
    match number {
        0..24 => vec![kind | 24, number],
        24 => vec![kind | 25, 0],
        25 => vec![kind | 26, 0, 0],
        _ => vec![head, 0],
    }
}

/// As an envelope: it opens only if sealing its payload gives the same bytes. As a script: five bytes say of what kind an
/// envelope around the rest is, and how it is changed; changed, it must not open.
pub(super) fn envelope(bytes: &[u8]) -> bool {
    let key = house::release_key();
    let keys = [[0x5a; 32], key.public_key()];
    let mut accepted = false;
    for kind in Kind::ALL {
        if let Ok((payload, by)) = open(kind, bytes, &keys) {
            assert_eq!(by, key.public_key());
            assert_eq!(seal(kind, &payload, key), bytes, "is what was sealed");
            assert!(!accepted, "is of one kind");
            accepted = true;
        }
    }
    let Some((&[which, how, high, low, value], payload)) = bytes.split_first_chunk() else { return accepted };
    if how >= 8 || payload.len() > 4_096 {
        return accepted;
    }
    let kind = match which % 6 {
        0 => Kind::Release,
        1 => Kind::Receipt,
        2 => Kind::Spends,
        3 => Kind::Enrolment,
        4 => Kind::Removal,
        _ => Kind::Policy,
    };
    let sealed = seal(kind, payload, key);
    let at = usize::from(u16::from_be_bytes([high, low])) % sealed.len().max(1);
    let (before, after) = sealed.split_at_checked(at).unwrap_or_default();
    let changed = match (how, after.split_first()) {
        (0 | 1, Some((byte, after))) => [before, &[byte ^ value.max(1)], after].concat(),
        (2, Some((byte, after))) => [before, &longer(*byte), after].concat(),
        (3, _) => [before, &[value], after].concat(),
        (4, Some((_, after))) => [before, after].concat(),
        (5, _) => before.to_vec(),
        (6, _) => [&sealed[..], &[value]].concat(),
        _ => [&[value], &sealed[..]].concat(),
    };
    assert!(changed == sealed || open(kind, &changed, &keys).is_err(), "{how} at {at} of {kind}");
    accepted
}
