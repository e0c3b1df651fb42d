//! Rotation between files, in one process: what is left under the old key, and what a writer of the file can do.

use std::path::Path;
use std::time::Duration;

use holdfast_server::vault::{Kek, KekSource, Rotation, Vault, VaultError, status};
use holdfast_values::AccountId;
use rusqlite::Connection;

use crate::server::Temporary;

pub(crate) const ROTATION: Rotation = Rotation { batch: 7, patience: Duration::from_secs(20) };

pub(crate) fn account(name: &str) -> AccountId {
    name.parse().unwrap()
}

fn code<T>(result: Result<T, VaultError>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "ok")
}

fn make(dir: &Temporary, name: &str) -> (KekSource, Kek) {
    let source = KekSource::File(dir.path().join(name));
    source.make().unwrap();
    (source.clone(), source.load().unwrap())
}

/// Every wrapped data key, as it lies in the file.
pub(crate) fn wrapped(path: &Path) -> Vec<Vec<u8>> {
    let database = Connection::open(path).unwrap();
    let mut select = database.prepare("SELECT wrapped FROM data_keys WHERE wrapped IS NOT NULL").unwrap();
    select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Whether any of these byte strings is in the vault's files.
pub(crate) fn holds_any(path: &Path, needles: &[Vec<u8>]) -> bool {
    [path.to_path_buf(), path.with_extension("db-wal")].iter().any(|file| {
        let bytes = std::fs::read(file).unwrap_or_default();
        needles.iter().any(|needle| bytes.windows(needle.len()).any(|window| window == needle))
    })
}

#[test]
fn a_rotation_leaves_nothing_under_the_old_key() {
    let dir = Temporary::new();
    let path = dir.path().join("vault.db");
    let ((_, first), (to, second)) = (make(&dir, "first"), make(&dir, "second"));
    let vault = Vault::create(&path, &first).unwrap();
    let accounts: Vec<AccountId> = (0..100).map(|n| account(&format!("a{n}"))).collect();
    vault.ensure_keys(&accounts).unwrap();
    let blob = vault.seal(&accounts[5], "p", b"sealed before").unwrap();
    vault.put_secret(&accounts[6], "s", b"kept before").unwrap();
    vault.destroy_account_key(&accounts[7]).unwrap();
    let before = wrapped(&path);
    assert_eq!(before.len(), 99);
    assert!(holds_any(&path, &before));

    let mut steps = Vec::new();
    let rotated = vault.rotate(&to, &second, ROTATION, &mut |step| steps.push(step)).unwrap();
    assert_eq!((rotated.wrapped, rotated.served, rotated.emptied), (99, false, true));
    assert!(steps.len() >= 99 / 7, "{steps:?}");
    assert!(!holds_any(&path, &before), "an old wrapping is still in the file");
    let keks = status(&path).unwrap();
    let said: Vec<_> = keks.iter().map(|kek| (kek.id, kek.status, kek.data_keys)).collect();
    assert_eq!(said, [(1, "retired", 0), (2, "current", 99)]);
    assert_eq!(vault.seal(&account("new"), "p", b"x").map(|_| ()).map_err(|error| error.code()), Ok(()));
    assert_eq!(status(&path).unwrap()[1].data_keys, 100);
    // Again: nothing to do. Back: no.
    assert_eq!(vault.rotate(&to, &second, ROTATION, &mut |_| {}).unwrap().wrapped, 0);
    let back = KekSource::File(dir.path().join("first"));
    assert_eq!(code(vault.rotate(&back, &first, ROTATION, &mut |_| {})), "vault_key_retired");
    drop(vault);

    let all_there = |vault: &Vault| {
        assert_eq!(vault.unseal(&accounts[5], "p", &blob).unwrap().as_slice(), b"sealed before");
        assert_eq!(vault.get_secret(&accounts[6], "s").unwrap().as_slice(), b"kept before");
        assert_eq!(code(vault.seal(&accounts[7], "p", b"x")), "account_key_destroyed");
    };
    all_there(&Vault::open(&path, &second).unwrap());
    // Whoever still names the old key is led to the new one by the old key's word, while the new one is there.
    all_there(&Vault::open(&path, &first).unwrap());
    std::fs::remove_file(dir.path().join("second")).unwrap();
    assert_eq!(code(Vault::open(&path, &first)), "vault_successor_missing");
    assert_eq!(code(Vault::open(&path, &second)), "ok");
}

#[test]
fn a_second_rotation_waits_for_the_first_and_then_follows_it() {
    let dir = Temporary::new();
    let path = dir.path().join("vault.db");
    let ((_, first), (to_second, second)) = (make(&dir, "first"), make(&dir, "second"));
    let (to_third, third) = make(&dir, "third");
    let vault = Vault::create(&path, &first).unwrap();
    vault.ensure_keys([&account("a"), &account("b")]).unwrap();
    drop(vault);
    // A rotation that died after it had registered its key and wrapped one data key.
    let vault = Vault::open(&path, &first).unwrap();
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let rotation = Rotation { batch: 1, ..ROTATION };
        vault.rotate(&to_second, &second, rotation, &mut |step| {
            assert_ne!(step, holdfast_server::vault::Step::Wrapped(1, 2), "dies here");
        })
    }));
    assert!(died.is_err());
    let said = |path: &Path| -> Vec<_> {
        status(path).unwrap().iter().map(|kek| (kek.status, kek.data_keys)).collect()
    };
    assert_eq!(said(&path), [("current", 1), ("next", 1)]);
    // The key that it goes to opens nothing by itself yet; the one before does, and finds the other.
    assert_eq!(code(Vault::open(&path, &second)), "vault_rotation_unfinished");
    let vault = Vault::open(&path, &first).unwrap();
    for name in ["a", "b", "c"] {
        assert_eq!(code(vault.seal(&account(name), "p", b"x")), "ok", "{name}");
    }
    assert_eq!(said(&path), [("current", 1), ("next", 2)], "new accounts go under the next key");
    assert_eq!(code(vault.rotate(&to_third, &third, ROTATION, &mut |_| {})), "vault_rotation_pending");
    assert_eq!(vault.rotate(&to_second, &second, ROTATION, &mut |_| {}).unwrap().wrapped, 1);
    assert_eq!(vault.rotate(&to_third, &third, ROTATION, &mut |_| {}).unwrap().wrapped, 3);
    assert_eq!(said(&path), [("retired", 0), ("retired", 0), ("current", 3)]);
    drop(vault);
    // Through both successors.
    assert_eq!(code(Vault::open(&path, &first).unwrap().seal(&account("a"), "p", b"x")), "ok");
}

#[test]
fn whoever_can_only_write_the_file_cannot_name_the_next_key() {
    let dir = Temporary::new();
    let path = dir.path().join("vault.db");
    let ((_, first), (theirs, _)) = (make(&dir, "first"), make(&dir, "theirs"));
    let vault = Vault::create(&path, &first).unwrap();
    vault.ensure_keys([&account("a")]).unwrap();
    drop(vault);
    // A vault of the attacker's, in which the attacker's key is properly next, gives the rows.
    let (elsewhere, other) = (dir.path().join("elsewhere.db"), make(&dir, "other").1);
    let attacker = Vault::create(&elsewhere, &other).unwrap();
    attacker.ensure_keys([&account("a")]).unwrap();
    let _died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let kek = theirs.load().unwrap();
        attacker.rotate(&theirs, &kek, ROTATION, &mut |_| panic!("registered"))
    }));
    let database = Connection::open(&path).unwrap();
    database
        .execute_batch(&format!(
            "ATTACH '{}' AS theirs; INSERT INTO keks SELECT * FROM theirs.keks WHERE status = 'next'",
            elsewhere.display()
        ))
        .unwrap();
    assert_eq!(status(&path).unwrap().len(), 2);
    let vault = Vault::open(&path, &first).unwrap();
    assert_eq!(code(vault.seal(&account("b"), "p", b"x")), "ok");
    let keks = status(&path).unwrap();
    assert_eq!(keks.iter().map(|kek| (kek.status, kek.data_keys)).collect::<Vec<_>>(), [("current", 2)]);
}

#[test]
fn a_vault_of_the_first_layout_is_brought_to_this_one() {
    let dir = Temporary::new();
    let path = dir.path().join("vault.db");
    let (_, first) = make(&dir, "first");
    let vault = Vault::create(&path, &first).unwrap();
    let blob = vault.seal(&account("a"), "p", b"x").unwrap();
    vault.destroy_account_key(&account("b")).unwrap();
    drop(vault);
    // The first layout, as it was: one key, its probe in `meta`, no column for it.
    let old = "INSERT INTO meta (name, value) SELECT 'kek_check', probe FROM keks;
               DROP TABLE keks; DROP TABLE serving; DROP TABLE erasures;
               ALTER TABLE data_keys DROP COLUMN kek; UPDATE meta SET value = x'01' WHERE name = 'format';";
    Connection::open(&path).unwrap().execute_batch(old).unwrap();
    let (to, second) = make(&dir, "second");
    assert_eq!(code(Vault::open(&path, &second)), "vault_key_wrong");
    let vault = Vault::open(&path, &first).unwrap();
    assert_eq!(vault.unseal(&account("a"), "p", &blob).unwrap().as_slice(), b"x");
    assert_eq!(code(vault.seal(&account("b"), "p", b"x")), "account_key_destroyed");
    assert_eq!(vault.rotate(&to, &second, ROTATION, &mut |_| {}).unwrap().wrapped, 1);
    assert_eq!(code(Vault::open(&path, &second)), "ok");
}
