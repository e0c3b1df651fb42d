//! Payloads: what is written is read, and nothing else.

use holdfast_authn::release::acts::SIGNATURES_MAX;
use holdfast_authn::release::evidence::{
    AUTHENTICATOR_DATA_BYTES_MAX, BODY_BYTES_MAX, CLIENT_DATA_BYTES_MAX, CREDENTIAL_ID_BYTES_MAX,
    PUBLIC_KEY_BYTES_MAX, SIGNATURE_BYTES_MAX,
};
use holdfast_authn::release::payload::{APPROVALS_MAX, EPOCHS_MAX, PAYMENTS_MAX};
use holdfast_authn::release::policy::{FILE_BYTES_MAX, FILE_NAME_BYTES_MAX, FILES_MAX};
use holdfast_authn::release::receipt::CONFLICT_KEYS_MAX;
use holdfast_authn::release::spends::TRANSACTIONS_MAX;
use holdfast_authn::release::{
    Enrolment, Outcome, PayloadError, PolicyStep, Receipt, Release, Removal, Spends,
};
use holdfast_authn::request::{HEADERS_MAX, PART_BYTES_MAX};
use holdfast_values::{Timestamp, WithdrawalId};
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};
use proptest::prelude::*;

use crate::samples::{
    any_enrolment, any_policy_step, any_receipt, any_release, any_spends, enrolments, policy_steps, receipt,
    release, release_with_words, removal, spends,
};

fn release_code(bytes: &[u8]) -> &'static str {
    Release::parse(bytes).unwrap_err().code()
}

/// Copies one CBOR item, telling `change` where each map starts so that it may write that map in another way.
fn copy(d: &mut Decoder<'_>, e: &mut Encoder<Vec<u8>>, maps: &mut usize, change: &dyn Fn(usize) -> Change) {
    match d.datatype().unwrap() {
        Type::Map => {
            let number = *maps;
            *maps += 1;
            let mut entries: Vec<Vec<u8>> = Vec::new();
            for _ in 0..d.map().unwrap().unwrap() {
                let mut entry = Encoder::new(Vec::new());
                entry.u64(d.u64().unwrap()).unwrap();
                copy(d, &mut entry, maps, change);
                entries.push(entry.into_writer());
            }
            let last = entries.len() - 1;
            let raw = |e: &mut Encoder<Vec<u8>>, bytes: &[u8]| e.writer_mut().extend(bytes);
            let count = entries.len() as u64;
            match change(number) {
                Change::Nothing => drop(e.map(count).unwrap()),
                Change::Missing => {
                    entries.remove(0);
                    e.map(count - 1).unwrap();
                }
                Change::MissingLast => {
                    entries.pop();
                    e.map(count - 1).unwrap();
                }
                Change::Unknown => {
                    entries.push(vec![0x18, 99, 0]);
                    e.map(count + 1).unwrap();
                }
                Change::Twice => {
                    entries.insert(0, entries[0].clone());
                    e.map(count + 1).unwrap();
                }
                Change::TwiceForAnother => {
                    entries[last] = entries[0].clone();
                    e.map(count).unwrap();
                }
                Change::Order => {
                    entries.reverse();
                    e.map(count).unwrap();
                }
                Change::Indefinite => {
                    entries.push(vec![0xff]);
                    raw(e, &[0xbf]);
                }
                Change::LongerLength => raw(e, &[0xb8, entries.len() as u8]),
                Change::LongerKey => {
                    let key = entries[0][0];
                    entries[0].splice(..1, [0x18, key]);
                    e.map(count).unwrap();
                }
                Change::TextKey => {
                    entries[0].splice(..1, [0x61, b'1']);
                    e.map(count).unwrap();
                }
            }
            raw(e, &entries.concat());
        }
        Type::Array => {
            let length = d.array().unwrap().unwrap();
            e.array(length).unwrap();
            for _ in 0..length {
                copy(d, e, maps, change);
            }
        }
        _ => {
            let start = d.position();
            d.skip().unwrap();
            let bytes = d.input()[start..d.position()].to_vec();
            e.writer_mut().extend(bytes);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Nothing,
    Missing,
    MissingLast,
    Unknown,
    Twice,
    TwiceForAnother,
    Order,
    Indefinite,
    LongerLength,
    LongerKey,
    TextKey,
}

/// The same bytes with one map changed; `None` if there are fewer maps.
fn changed(bytes: &[u8], which: usize, change: Change) -> Option<Vec<u8>> {
    let (mut maps, mut encoder) = (0, Encoder::new(Vec::new()));
    let at = |number| if number == which { change } else { Change::Nothing };
    copy(&mut Decoder::new(bytes), &mut encoder, &mut maps, &at);
    (which < maps).then(|| encoder.into_writer())
}

fn refuses_changed_maps(bytes: &[u8], maps: usize, parse: fn(&[u8]) -> Option<PayloadError>) {
    assert_eq!(changed(bytes, 0, Change::Nothing).unwrap(), bytes);
    assert!(parse(bytes).is_none() && changed(bytes, maps, Change::Nothing).is_none());
    for map in 0..maps {
        for (change, expected) in [
            (Change::Missing, "malformed"),
            (Change::MissingLast, "malformed"),
            (Change::Unknown, "malformed"),
            (Change::Twice, "malformed"),
            (Change::Order, "malformed"),
            (Change::TwiceForAnother, "malformed"),
            (Change::Indefinite, "not_canonical"),
            (Change::LongerLength, "not_canonical"),
            (Change::LongerKey, "not_canonical"),
            (Change::TextKey, "malformed"),
        ] {
            let bytes_changed = changed(bytes, map, change).unwrap();
            if bytes_changed == bytes {
                continue; // One entry has one order.
            }
            let error = parse(&bytes_changed).unwrap();
            assert!(error.code().ends_with(expected), "{change:?} in map {map}: {error}");
        }
    }
}

#[test]
fn maps_with_missing_unknown_repeated_or_oddly_written_keys_are_refused() {
    refuses_changed_maps(&release().to_bytes(), 5, |bytes| Release::parse(bytes).err());
    // The payments with an assertion, and with a mandate, its assertion, its request and one header.
    let words = release_with_words().to_bytes();
    refuses_changed_maps(&words, 11, |bytes| Release::parse(bytes).err());
    let [first, rotation, recovery] = enrolments();
    for (enrolment, maps) in [(first, 2), (rotation, 4), (recovery, 5)] {
        refuses_changed_maps(&enrolment.to_bytes(), maps, |bytes| Enrolment::parse(bytes).err());
    }
    refuses_changed_maps(&removal().to_bytes(), 1, |bytes| Removal::parse(bytes).err());
    let [approved, tightened] = policy_steps();
    for (step, maps) in [(approved, 6), (tightened, 6)] {
        refuses_changed_maps(&step.to_bytes(), maps, |bytes| PolicyStep::parse(bytes).err());
    }
    refuses_changed_maps(&receipt().to_bytes(), 3, |bytes| Receipt::parse(bytes).err());
    refuses_changed_maps(&spends().to_bytes(), 3, |bytes| Spends::parse(bytes).err());
    let mut voided = receipt();
    voided.what = Outcome::Voided { withdrawal: WithdrawalId(1) };
    refuses_changed_maps(&voided.to_bytes(), 3, |bytes| Receipt::parse(bytes).err());
}

/// The release with the part `old`, which occurs first at its field, replaced.
fn with(old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut bytes = release().to_bytes();
    let from = bytes.windows(old.len()).position(|window| window == old).unwrap();
    bytes.splice(from..from + old.len(), new.iter().copied());
    bytes
}

#[test]
fn odd_values_are_refused() {
    let head = |length: u8| [&[0x06, 0x58, length][..], &[0x0e; 33][..usize::from(length)]].concat();
    for (what, bytes, expected) in [
        ("nothing", vec![], "release_malformed"),
        ("a longer integer", with(&[0x04, 0x01], &[0x04, 0x18, 0x01]), "release_not_canonical"),
        (
            "a longer integer",
            with(&[0x04, 0x01], &[0x04, 0x1b, 0, 0, 0, 0, 0, 0, 0, 1]),
            "release_not_canonical",
        ),
        ("a negative integer", with(&[0x04, 0x01], &[0x04, 0x20]), "release_malformed"),
        ("over 2^63 - 1", with(&[0x04, 0x01], &[0x04, 0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0]), "release_malformed"),
        ("a float", with(&[0x04, 0x01], &[0x04, 0xf9, 0x3c, 0x00]), "release_malformed"),
        ("a bignum", with(&[0x04, 0x01], &[0x04, 0xc2, 0x41, 0x01]), "release_malformed"),
        ("a tag", with(&[0x04, 0x01], &[0x04, 0xc1, 0x01]), "release_malformed"),
        ("null", with(&[0x08, 0xf4], &[0x08, 0xf6]), "release_malformed"),
        ("undefined", with(&[0x10, 0xf6, 0x11], &[0x10, 0xf7, 0x11]), "release_malformed"),
        ("a number for a truth", with(&[0x08, 0xf4], &[0x08, 0x00]), "release_malformed"),
        ("a longer truth", with(&[0x08, 0xf4], &[0x08, 0xf8, 0x14]), "release_malformed"),
        ("31 bytes", with(&head(32), &head(31)), "release_malformed"),
        ("33 bytes", with(&head(32), &head(33)), "release_malformed"),
        ("text for bytes", with(&head(32)[..2], &[0x06, 0x78]), "release_malformed"),
        ("bytes for text", with(b"\x67bitcoin", b"\x47bitcoin"), "release_malformed"),
        ("another network", with(b"\x67bitcoin", b"\x67botcoin"), "release_malformed"),
        ("text in parts", with(b"\x67bitcoin", b"\x7f\x67bitcoin\xff"), "release_not_canonical"),
        (
            "bytes in parts",
            with(&head(32), &[&[0x06, 0x5f][..], &head(32)[1..], &[0xff]].concat()),
            "release_not_canonical",
        ),
        ("a list without end", with(&[0x11, 0x80], &[0x11, 0x9f, 0xff]), "release_not_canonical"),
        ("no UTF-8", with(b"\x67bitcoin", b"\x67bitcoi\xff"), "release_malformed"),
        ("an id in capitals", with(b"rl_0", b"RL_0"), "release_malformed"),
        ("trailing", [&release().to_bytes()[..], &[0xf6]].concat(), "release_malformed"),
    ] {
        assert_eq!(release_code(&bytes), expected, "{what}");
    }
    let mut receipt_bytes = receipt().to_bytes();
    let at = receipt_bytes.windows(4).position(|window| window == [0x07, 0xa1, 0x01, 0xa7]).unwrap();
    receipt_bytes[at + 2] = 0x03;
    assert_eq!(Receipt::parse(&receipt_bytes).unwrap_err().code(), "receipt_malformed", "an unknown outcome");
}

#[test]
fn errors_say_where() {
    let error = Release::parse(&with(b"\x67bitcoin", b"\x67botcoin")).unwrap_err();
    assert_eq!(error.to_string(), "release, network: this field has no such value");
    let error = Spends::parse(&[0xa1, 0x00]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "statement of spends, payload: a key is missing or unknown: there must be exactly 11"
    );
}

#[test]
fn limits_hold_exactly() {
    let accepted = |change: &dyn Fn(&mut Release)| {
        let mut release = release();
        change(&mut release);
        match Release::parse(&release.to_bytes()) {
            Ok(parsed) => {
                assert_eq!(parsed, release);
                true
            }
            Err(error) => {
                assert_eq!(error.code(), "release_too_large", "{error}");
                false
            }
        }
    };
    for over in [0, 1] {
        let expected = over == 0;
        assert_eq!(accepted(&|r| r.payments = vec![r.payments[0].clone(); PAYMENTS_MAX + over]), expected);
        assert_eq!(accepted(&|r| r.payments[0].intent = "a".repeat(4096 + over)), expected);
        assert_eq!(
            accepted(&|r| r.epochs = vec![r.payments[0].approvals[0].clone(); EPOCHS_MAX + over]),
            expected
        );
        assert!(accepted(&|r| r.transfer = Some(r.payments[0].approvals[0].clone())));
        assert_eq!(
            accepted(&|r| {
                let act = r.payments[0].approvals[0].clone();
                r.payments[0].approvals = vec![act; APPROVALS_MAX + over];
            }),
            expected
        );
        assert_eq!(
            accepted(&|r| {
                let act = &mut r.payments[0].approvals[0];
                act.signatures = vec![act.signatures[0].clone(); SIGNATURES_MAX + over];
            }),
            expected
        );
        assert_eq!(accepted(&|r| r.payments[0].approvals[0].text = "a".repeat(4096 + over)), expected);

        let words = |change: &dyn Fn(&mut Release)| {
            let mut release = release_with_words();
            change(&mut release);
            assert_eq!(Release::parse(&release.to_bytes()).is_ok(), expected);
        };
        let bytes = |most: usize| vec![7; most + over];
        words(&|r| r.payments[0].assertion.as_mut().unwrap().credential_id = bytes(CREDENTIAL_ID_BYTES_MAX));
        words(&|r| r.payments[0].assertion.as_mut().unwrap().client_data_json = bytes(CLIENT_DATA_BYTES_MAX));
        words(&|r| {
            r.payments[0].assertion.as_mut().unwrap().authenticator_data = bytes(AUTHENTICATOR_DATA_BYTES_MAX)
        });
        words(&|r| r.payments[0].assertion.as_mut().unwrap().signature = bytes(SIGNATURE_BYTES_MAX));
        words(&|r| r.payments[1].mandate.as_mut().unwrap().text = "a".repeat(4096 + over));
        words(&|r| r.payments[1].mandate.as_mut().unwrap().key = bytes(PUBLIC_KEY_BYTES_MAX));
        words(&|r| {
            r.payments[1].mandate.as_mut().unwrap().request.dialect = "a".repeat(32 + over);
        });
        words(&|r| r.payments[1].mandate.as_mut().unwrap().request.path = "a".repeat(256 + over));
        words(&|r| r.payments[1].mandate.as_mut().unwrap().request.query = bytes(PART_BYTES_MAX));
        words(&|r| r.payments[1].mandate.as_mut().unwrap().request.body = bytes(BODY_BYTES_MAX));
        words(&|r| {
            let headers = &mut r.payments[1].mandate.as_mut().unwrap().request.headers;
            *headers = vec![headers[0].clone(); HEADERS_MAX + over];
        });
        words(&|r| {
            r.payments[1].mandate.as_mut().unwrap().request.headers[0].1 = "a".repeat(8192 + over);
        });
        let mut removed = removal();
        removed.credential_id = bytes(CREDENTIAL_ID_BYTES_MAX);
        assert_eq!(Removal::parse(&removed.to_bytes()).is_ok(), expected);
        let [mut enrolment, ..] = enrolments();
        enrolment.public_key = bytes(PUBLIC_KEY_BYTES_MAX);
        assert_eq!(Enrolment::parse(&enrolment.to_bytes()).is_ok(), expected);

        let step = |change: &dyn Fn(&mut PolicyStep)| {
            let [_, mut step] = policy_steps();
            change(&mut step);
            assert_eq!(PolicyStep::parse(&step.to_bytes()).is_ok(), expected);
        };
        step(&|s| s.files[1].0 = "s".repeat(FILE_NAME_BYTES_MAX + over));
        step(&|s| s.from_files[0].1 = "s".repeat(FILE_BYTES_MAX + over));
        step(&|s| s.files = (0..FILES_MAX + over).map(|n| (format!("{n:04}"), String::new())).collect());

        let mut full = receipt();
        if let Outcome::Authorised { conflict_keys, withdrawals, .. } = &mut full.what {
            *conflict_keys = vec![conflict_keys[0]; CONFLICT_KEYS_MAX + over];
            *withdrawals = vec![withdrawals[0]; PAYMENTS_MAX];
        }
        assert_eq!(Receipt::parse(&full.to_bytes()).is_ok(), expected);
        let mut full = spends();
        let transaction = full.spends[0].transactions[0].clone();
        full.spends[0].transactions = vec![transaction; TRANSACTIONS_MAX + over];
        assert_eq!(Spends::parse(&full.to_bytes()).is_ok(), expected);
    }
    // Each list and text within its limit, and too many bytes all the same.
    let mut whole = release();
    let mut act = whole.payments[0].approvals[0].clone();
    act.text = "a".repeat(4096);
    whole.payments[0].approvals = vec![act; 3];
    whole.payments = vec![whole.payments[0].clone(); PAYMENTS_MAX];
    assert!(whole.to_bytes().len() > 8 << 20);
    assert_eq!(release_code(&whole.to_bytes()), "release_too_large");

    let mut nothing = removal();
    nothing.credential_id.clear();
    assert_eq!(Removal::parse(&nothing.to_bytes()).unwrap_err().code(), "removal_malformed");
    let mut nobody = release_with_words();
    nobody.payments[0].assertion.as_mut().unwrap().signature.clear();
    assert_eq!(release_code(&nobody.to_bytes()), "release_malformed");

    let mut late = release();
    late.expires = Timestamp(1 << 63);
    assert_eq!(release_code(&late.to_bytes()), "release_malformed");
}

#[test]
fn files_of_a_pack_stand_in_order_and_none_twice() {
    let code = |files: &[&str]| {
        let [_, mut step] = policy_steps();
        step.files = files.iter().map(|name| ((*name).to_owned(), "text".to_owned())).collect();
        PolicyStep::parse(&step.to_bytes()).err().map(|error| error.code())
    };
    assert_eq!(code(&["a", "b"]), None);
    for files in [&["a", "a"][..], &["b", "a"], &[""], &["", "a"]] {
        assert_eq!(code(files), Some("policy_step_malformed"), "{files:?}");
    }
}

/// A length that is not there costs nothing and is refused.
#[test]
fn lengths_are_not_believed() {
    let payments = [0x0f, 0x81, 0xa4];
    for length in [&[0x99, 0x03, 0xe8][..], &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]] {
        let bytes = with(&payments, &[&[0x0f], length, &[0xa4]].concat());
        assert!(Release::parse(&bytes).is_err());
    }
    let text = with(b"\x67bitcoin", &[0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(release_code(&text), "release_malformed");
}

#[test]
fn every_truncation_is_refused_and_every_flipped_bit_changes_the_meaning() {
    fn check<T: PartialEq>(value: &T, bytes: &[u8], parse: fn(&[u8]) -> Result<T, PayloadError>) {
        assert!(parse(bytes).is_ok_and(|parsed| parsed == *value));
        for length in 0..bytes.len() {
            assert!(parse(&bytes[..length]).is_err(), "{length} bytes");
        }
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.to_vec();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&other).map_or(true, |parsed| parsed != *value), "bit {bit}");
        }
    }
    check(&release(), &release().to_bytes(), Release::parse);
    check(&release_with_words(), &release_with_words().to_bytes(), Release::parse);
    for enrolment in enrolments() {
        check(&enrolment, &enrolment.to_bytes(), Enrolment::parse);
    }
    check(&removal(), &removal().to_bytes(), Removal::parse);
    for step in policy_steps() {
        check(&step, &step.to_bytes(), PolicyStep::parse);
    }
    check(&receipt(), &receipt().to_bytes(), Receipt::parse);
    check(&spends(), &spends().to_bytes(), Spends::parse);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn releases_come_back(release in any_release()) {
        prop_assert_eq!(Release::parse(&release.to_bytes()), Ok(release));
    }

    #[test]
    fn receipts_come_back(receipt in any_receipt()) {
        prop_assert_eq!(Receipt::parse(&receipt.to_bytes()), Ok(receipt));
    }

    #[test]
    fn enrolments_come_back(enrolment in any_enrolment()) {
        prop_assert_eq!(Enrolment::parse(&enrolment.to_bytes()), Ok(enrolment));
    }

    #[test]
    fn policy_steps_come_back(step in any_policy_step()) {
        prop_assert_eq!(PolicyStep::parse(&step.to_bytes()), Ok(step));
    }

    #[test]
    fn statements_come_back(spends in any_spends()) {
        prop_assert_eq!(Spends::parse(&spends.to_bytes()), Ok(spends));
    }

    #[test]
    fn what_parses_has_one_spelling(
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        at in any::<prop::sample::Index>(),
        cut in 0usize..8,
    ) {
        let samples = [release().to_bytes(), receipt().to_bytes(), spends().to_bytes(), Vec::new()];
        let words = enrolments().map(|enrolment| enrolment.to_bytes());
        let words = words.into_iter().chain([removal().to_bytes(), release_with_words().to_bytes()]);
        let words = words.chain(policy_steps().map(|step| step.to_bytes()));
        for sample in samples.into_iter().chain(words) {
            let at = at.index(sample.len() + 1);
            let end = (at + cut).min(sample.len());
            let spliced = [&sample[..at], &bytes, &sample[end..]].concat();
            if let Ok(parsed) = Release::parse(&spliced) {
                prop_assert_eq!(parsed.to_bytes(), spliced.clone());
            }
            if let Ok(parsed) = Receipt::parse(&spliced) {
                prop_assert_eq!(parsed.to_bytes(), spliced.clone());
            }
            if let Ok(parsed) = Spends::parse(&spliced) {
                prop_assert_eq!(parsed.to_bytes(), spliced.clone());
            }
            if let Ok(parsed) = Enrolment::parse(&spliced) {
                prop_assert_eq!(parsed.to_bytes(), spliced.clone());
            }
            if let Ok(parsed) = PolicyStep::parse(&spliced) {
                prop_assert_eq!(parsed.to_bytes(), spliced.clone());
            }
            if let Ok(parsed) = Removal::parse(&spliced) {
                prop_assert_eq!(parsed.to_bytes(), spliced);
            }
        }
    }
}
