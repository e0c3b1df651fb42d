//! The vault: what opens, what must not, and what survives.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::*;

/// A directory of its own, removed when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("holdfast-vault-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn vault(&self) -> (Vault, Kek) {
        let kek = Kek::create_file(&self.path("kek")).unwrap();
        (Vault::create(&self.path("vault.db"), &kek).unwrap(), kek)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn account(name: &str) -> AccountId {
    name.parse().unwrap()
}

fn code<T>(result: Result<T, VaultError>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "ok")
}

#[test]
fn what_is_sealed_opens_after_a_restart() {
    let scratch = Scratch::new("restart");
    let (vault, _) = scratch.vault();
    let blob = vault.seal(&account("a"), "address", b"bc1q...").unwrap();
    assert_eq!(blob.len(), 7 + SEALED_OVERHEAD);
    assert_ne!(blob, vault.seal(&account("a"), "address", b"bc1q...").unwrap());
    vault.put_secret(&account("a"), "api-key/key-1", b"old").unwrap();
    vault.put_secret(&account("a"), "api-key/key-1", b"secret").unwrap();
    drop(vault);

    let kek = Kek::from_file(&scratch.path("kek")).unwrap();
    let vault = Vault::open(&scratch.path("vault.db"), &kek).unwrap();
    assert_eq!(vault.unseal(&account("a"), "address", &blob).unwrap().as_slice(), b"bc1q...");
    assert_eq!(vault.get_secret(&account("a"), "api-key/key-1").unwrap().as_slice(), b"secret");
    assert_eq!(code(vault.get_secret(&account("a"), "api-key/key-2")), "secret_missing");
    assert_eq!(code(vault.get_secret(&account("b"), "api-key/key-1")), "secret_missing");
    assert!(vault.delete_secret(&account("a"), "api-key/key-1").unwrap());
    assert!(!vault.delete_secret(&account("a"), "api-key/key-1").unwrap());
    assert_eq!(code(vault.get_secret(&account("a"), "api-key/key-1")), "secret_missing");
}

#[test]
fn a_blob_opens_only_for_its_account_and_purpose_and_unaltered() {
    let scratch = Scratch::new("swap");
    let (vault, _) = scratch.vault();
    let blob = vault.seal(&account("a"), "address", b"bc1q").unwrap();
    assert_eq!(code(vault.unseal(&account("b"), "address", &blob)), "account_key_unknown");
    vault.ensure_keys([&account("b")]).unwrap();
    assert_eq!(code(vault.unseal(&account("b"), "address", &blob)), "sealed_not_authentic");
    assert_eq!(code(vault.unseal(&account("a"), "memo", &blob)), "sealed_not_authentic");
    assert_eq!(code(vault.unseal(&account("a"), "addres", &blob)), "sealed_not_authentic");
    for bit in 0..blob.len() * 8 {
        let mut altered = blob.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            code(vault.unseal(&account("a"), "address", &altered)),
            "sealed_not_authentic",
            "bit {bit}"
        );
    }
    for len in 0..blob.len() {
        assert_eq!(code(vault.unseal(&account("a"), "address", &blob[..len])), "sealed_not_authentic");
    }
    assert_eq!(code(vault.unseal(&account("a"), "address", &vec![1; 1 << 20])), "sealed_not_authentic");
}

#[test]
fn rows_swapped_in_the_file_do_not_open() {
    let scratch = Scratch::new("rows");
    let (vault, kek) = scratch.vault();
    for name in ["a", "b"] {
        vault.put_secret(&account(name), "k1", name.as_bytes()).unwrap();
        vault.put_secret(&account(name), "k2", name.as_bytes()).unwrap();
    }
    drop(vault);
    let edit = |sql: &str| Connection::open(scratch.path("vault.db")).unwrap().execute_batch(sql).unwrap();
    edit(
        "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE account = 'a' AND name = 'k2')
          WHERE account = 'a' AND name = 'k1'",
    );
    edit(
        "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE account = 'a' AND name = 'k2')
          WHERE account = 'b' AND name = 'k2'",
    );
    let vault = Vault::open(&scratch.path("vault.db"), &kek).unwrap();
    assert_eq!(code(vault.get_secret(&account("a"), "k1")), "sealed_not_authentic");
    assert_eq!(code(vault.get_secret(&account("b"), "k2")), "sealed_not_authentic");
    assert_eq!(code(vault.get_secret(&account("b"), "k1")), "ok");
    drop(vault);
    // The whole of one account given to another: its wrapped key does not open there.
    edit(
        "UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE account = 'a') WHERE account = 'b'",
    );
    let vault = Vault::open(&scratch.path("vault.db"), &kek).unwrap();
    assert_eq!(code(vault.get_secret(&account("b"), "k1")), "sealed_not_authentic");
}

#[test]
fn only_its_own_key_opens_a_vault() {
    let scratch = Scratch::new("kek");
    let (vault, kek) = scratch.vault();
    vault.put_secret(&account("a"), "k", b"s").unwrap();
    drop(vault);
    let other = Kek::create_file(&scratch.path("other")).unwrap();
    let path = scratch.path("vault.db");
    assert_eq!(code(Vault::open(&path, &other)), "vault_key_wrong");
    assert_eq!(code(Vault::create(&path, &kek)), "vault_exists");
    assert_eq!(code(Vault::open(&scratch.path("none.db"), &kek)), "vault_missing");
    assert!(!scratch.path("none.db").exists(), "opening creates nothing");
    assert_eq!(code(Vault::open(&path, &kek)), "ok");
    Connection::open(&path)
        .unwrap()
        .execute("UPDATE meta SET value = x'63' WHERE name = 'format'", [])
        .unwrap();
    assert_eq!(code(Vault::open(&path, &kek)), "vault_format_unknown");
    std::fs::write(&path, b"not a database, but long enough to be read as the header of one").unwrap();
    assert_eq!(code(Vault::open(&path, &kek)), "vault_unavailable");
}

#[test]
fn a_destroyed_key_takes_everything_with_it() {
    let scratch = Scratch::new("destroy");
    let (vault, kek) = scratch.vault();
    let blob = vault.seal(&account("a"), "address", b"bc1q").unwrap();
    vault.put_secret(&account("a"), "k", b"s").unwrap();
    let kept = vault.seal(&account("b"), "address", b"bc1q").unwrap();
    let wrapped: Vec<u8> = Connection::open(scratch.path("vault.db"))
        .unwrap()
        .query_row("SELECT wrapped FROM data_keys WHERE account = 'a'", [], |row| row.get(0))
        .unwrap();

    vault.destroy_account_key(&account("a")).unwrap();
    vault.destroy_account_key(&account("never-seen")).unwrap();
    let gone = |vault: &Vault| {
        assert_eq!(code(vault.unseal(&account("a"), "address", &blob)), "account_key_destroyed");
        assert_eq!(code(vault.get_secret(&account("a"), "k")), "account_key_destroyed");
        assert_eq!(code(vault.seal(&account("a"), "address", b"new")), "account_key_destroyed");
        assert_eq!(code(vault.put_secret(&account("a"), "k", b"new")), "account_key_destroyed");
        assert_eq!(code(vault.ensure_keys([&account("a")])), "ok");
        assert_eq!(code(vault.seal(&account("never-seen"), "address", b"new")), "account_key_destroyed");
        assert_eq!(code(vault.unseal(&account("b"), "address", &kept)), "ok");
    };
    gone(&vault);
    for file in ["vault.db", "vault.db-wal"] {
        let bytes = std::fs::read(scratch.path(file)).unwrap_or_default();
        assert!(
            !bytes.windows(wrapped.len()).any(|window| window == wrapped),
            "the wrapped key is still in {file}"
        );
    }
    drop(vault);
    gone(&Vault::open(&scratch.path("vault.db"), &kek).unwrap());
}

#[test]
fn files_that_others_can_read_are_refused() {
    let scratch = Scratch::new("mode");
    let (vault, kek) = scratch.vault();
    vault.put_secret(&account("a"), "k", b"s").unwrap();
    for file in ["kek", "vault.db", "vault.db-wal"] {
        let mode = std::fs::metadata(scratch.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    drop(vault);
    let chmod = |file: &str, mode: u32| {
        std::fs::set_permissions(scratch.path(file), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for mode in [0o640, 0o604, 0o660, 0o644, 0o601] {
        chmod("kek", mode);
        assert_eq!(code(Kek::from_file(&scratch.path("kek"))), "vault_permissions", "{mode:o}");
        chmod("vault.db", mode);
        assert_eq!(code(Vault::open(&scratch.path("vault.db"), &kek)), "vault_permissions", "{mode:o}");
    }
    chmod("kek", 0o400);
    assert_eq!(code(Kek::from_file(&scratch.path("kek"))), "ok");
}

#[test]
fn key_encryption_keys_have_one_form() {
    let scratch = Scratch::new("form");
    let digits = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
    for (expected, text) in [
        ("ok", digits.to_owned()),
        ("ok", format!("{digits}\n")),
        ("vault_key_malformed", String::new()),
        ("vault_key_malformed", digits[1..].to_owned()),
        ("vault_key_malformed", format!("{digits}0")),
        ("vault_key_malformed", format!("0x{}", &digits[2..])),
        ("vault_key_malformed", format!("{digits}\n{digits}")),
        ("vault_key_malformed", "\u{fc}".repeat(32)),
        ("vault_key_malformed", "0".repeat(10_000)),
    ] {
        let path = scratch.path("text");
        std::fs::write(&path, &text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(code(Kek::from_file(&path)), expected, "{text}");
        assert_eq!(code(Kek::parse(&text)), expected, "{text}");
    }
    assert_eq!(code(Kek::from_file(&scratch.path("absent"))), "vault_key_missing");
    assert_eq!(code(Kek::from_file(&scratch.0)), "vault_key_malformed");
    assert_eq!(code(Kek::from_env("HOLDFAST_TEST_NO_SUCH_VARIABLE")), "vault_key_missing");
    assert_eq!(code(Kek::create_file(&scratch.path("text"))), "vault_exists");
}

#[test]
fn sizes_are_limited() {
    let scratch = Scratch::new("sizes");
    let (vault, _) = scratch.vault();
    let (a, long) = (account("a"), "p".repeat(PURPOSE_BYTES_MAX + 1));
    let full = vec![7; PLAINTEXT_BYTES_MAX];
    let blob = vault.seal(&a, &long[1..], &full).unwrap();
    assert_eq!(vault.unseal(&a, &long[1..], &blob).unwrap().as_slice(), full);
    assert_eq!(vault.unseal(&a, "p", &vault.seal(&a, "p", b"").unwrap()).unwrap().as_slice(), b"");
    assert_eq!(code(vault.seal(&a, "p", &[full.as_slice(), &[7]].concat())), "vault_size");
    for purpose in ["", &long] {
        assert_eq!(code(vault.seal(&a, purpose, b"x")), "vault_size");
        assert_eq!(code(vault.unseal(&a, purpose, &blob)), "vault_size");
        assert_eq!(code(vault.put_secret(&a, purpose, b"x")), "vault_size");
        assert_eq!(code(vault.get_secret(&a, purpose)), "vault_size");
    }
}

#[test]
fn threads_agree_on_one_key_for_an_account() {
    let scratch = Scratch::new("threads");
    let (vault, kek) = scratch.vault();
    let accounts: Vec<AccountId> = (0..20).map(|n| account(&format!("a{n}"))).collect();
    let blobs: Vec<Vec<Vec<u8>>> = std::thread::scope(|scope| {
        let work = || accounts.iter().map(|account| vault.seal(account, "p", b"x").unwrap()).collect();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    drop(vault);
    let vault = Vault::open(&scratch.path("vault.db"), &kek).unwrap();
    for per_thread in &blobs {
        for (account, blob) in accounts.iter().zip(per_thread) {
            assert_eq!(vault.unseal(account, "p", blob).unwrap().as_slice(), b"x");
        }
    }
}
