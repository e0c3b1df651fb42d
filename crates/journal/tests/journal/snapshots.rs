//! Snapshots: whole or not there, and nothing edited loads.

use std::fs;
use std::io::Write;

use holdfast_journal::{Head, Snapshot, Snapshots};

use crate::common::{Scratch, Seeded};

fn at(sequence: u64) -> Head {
    Head { sequence, hash: [sequence.to_le_bytes()[0]; 32] }
}

#[test]
fn loads_what_was_written() {
    let scratch = Scratch::new("snapshots");
    let snapshots = Snapshots::new(scratch.path());
    assert_eq!(snapshots.list().unwrap(), [0_u64; 0]);
    let body = Seeded(1).bytes(3_000_001);
    let hash = snapshots.write(at(7), &body).unwrap();
    let loaded = snapshots.load(7).unwrap();
    assert_eq!((loaded.head(), loaded.state_hash), (at(7), hash));
    assert!(loaded.body == body);
    assert_eq!(hash, *blake3::hash(&body).as_bytes());
    snapshots.write(at(8), b"").unwrap();
    assert!(snapshots.load(8).unwrap().body.is_empty());
}

#[test]
fn a_body_in_pieces_is_the_body_in_one() {
    let scratch = Scratch::new("snapshots");
    let snapshots = Snapshots::new(scratch.path());
    let body = Seeded(2).bytes(100_000);
    let mut writer = snapshots.begin(at(1)).unwrap();
    body.chunks(333).for_each(|c| writer.write_all(c).unwrap());
    let hash = writer.finish().unwrap();
    assert_eq!(snapshots.write(at(2), &body).unwrap(), hash);
}

#[test]
fn an_unfinished_one_leaves_nothing_and_the_old_ones_go() {
    let scratch = Scratch::new("snapshots");
    let snapshots = Snapshots::new(scratch.path());
    for sequence in [100, 9, 20, 3] {
        snapshots.write(at(sequence), b"state").unwrap();
    }
    let mut writer = snapshots.begin(at(200)).unwrap();
    writer.write_all(b"half").unwrap();
    drop(writer);
    std::mem::forget(snapshots.begin(at(300)).unwrap());
    assert_eq!(snapshots.list().unwrap(), [3, 9, 20, 100]);
    snapshots.prune(2).unwrap();
    assert_eq!(snapshots.list().unwrap(), [20, 100]);
    assert_eq!(fs::read_dir(scratch.path().join("snapshots")).unwrap().count(), 2);
}

#[test]
fn refuses_a_snapshot_changed_in_any_byte_or_length_or_name() {
    let scratch = Scratch::new("snapshots");
    let snapshots = Snapshots::new(scratch.path());
    snapshots.write(at(5), b"forty bytes of state, more or less, here").unwrap();
    let path = snapshots.path(5);
    let original = fs::read(&path).unwrap();
    for offset in 0..original.len() {
        let mut bytes = original.clone();
        bytes[offset] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(snapshots.load(5).unwrap_err().code(), "journal_damaged", "byte {offset}");
        fs::write(&path, &original[..offset]).unwrap();
        assert_eq!(Snapshot::load(&path).unwrap_err().code(), "journal_damaged", "cut to {offset}");
    }
    fs::write(&path, [original.as_slice(), b"x"].concat()).unwrap();
    assert!(snapshots.load(5).is_err());
    fs::write(snapshots.path(6), &original).unwrap();
    assert!(snapshots.load(6).unwrap_err().to_string().contains("sequence 5 under another name"));
    assert_eq!(snapshots.load(99).unwrap_err().code(), "journal_missing");
}
