//! Backups: of a server under load, torn, altered; and what is served from them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use holdfast_journal::{LocalReader, Snapshots};
use holdfast_server::data::DataDir;
use holdfast_server::intake::recover_state;
use holdfast_server::vault::{Kek, Vault};
use serde_json::{Value, json};

use crate::harbor::{Places, refused, serve};
use crate::server::{Exchange, holdfast, withdrawal};

/// Opens accounts, gives them API keys and withdraws, until it is told to stop; how many accounts it opened.
fn load(server: &crate::server::Server, stop: &AtomicBool, count: &AtomicU32) {
    while !stop.load(Ordering::Relaxed) {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let account = format!("ld_{number}");
        let opened = server.post("/v1/accounts", &json!({ "account": account, "tier": "full" }));
        assert_eq!(opened.status, 201, "{}", opened.body);
        let key = json!({ "algorithm": "hmac_sha256", "secret": format!("secret-of-{number:032}"),
                          "scopes": ["read"], "ip_allowlist": [] });
        let put = server.call(
            "PUT",
            &format!("/v1/accounts/{account}/api-keys/key_{number}"),
            &[],
            key.to_string().as_bytes(),
        );
        assert_eq!(put.status, 200, "{}", put.body);
        let mut body = withdrawal("0.001");
        body["account"] = json!(account);
        assert_eq!(server.withdraw(&format!("k{number}"), &body).status, 201);
    }
}

#[test]
fn backup_of_a_server_under_load_restores_to_a_prefix_that_verifies_and_replays_equal() {
    let exchange = Exchange::open(&[]);
    let places = Places(&exchange);
    let config = places.file("holdfast.toml", "snapshot_every = 50\n");
    let server = exchange.ready(&["--config", &config]);
    let (stop, count) = (AtomicBool::new(false), AtomicU32::new(0));
    let made: Vec<Value> = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| load(&server, &stop, &count));
        }
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while count.load(Ordering::Relaxed) < 50 && std::time::Instant::now() < patience {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let made = (0..3).map(|n| places.backup(&format!("backup{n}"), &[])).collect();
        stop.store(true, Ordering::Relaxed);
        made
    });
    assert_eq!(server.stop(), Some(0));
    let data = exchange.data();
    for (n, made) in made.iter().enumerate() {
        let restored = places.restore(&format!("backup{n}"), &format!("restored{n}"));
        let text = restored.to_str().unwrap();
        assert!(holdfast(&["journal", "verify", "--data", text]).contains("intact"));
        let replayed: Value = serde_json::from_str(&holdfast(&["replay", "--data", text, "--json"])).unwrap();
        assert_eq!(
            (&replayed["equal"], &replayed["sequence"]),
            (&json!(true), &made["sequence"]),
            "{replayed}"
        );

        // The original holds the backup's head, and goes on behind it.
        let checkpoint = format!(
            "holdfast-checkpoint/v1\njournal: {}\nsequence: {}\nhash: {}\n",
            made["journal"].as_str().unwrap(),
            made["sequence"],
            made["head"].as_str().unwrap()
        );
        let checkpoint = places.file("checkpoint", checkpoint);
        let whole =
            holdfast(&["journal", "verify", "--data", data.to_str().unwrap(), "--checkpoint", &checkpoint]);
        assert!(whole.contains("intact"), "{whole}");

        // Every key that the journal knows opens what is sealed under it.
        let dir = DataDir::new(&restored);
        let reader = LocalReader::open(&restored).unwrap();
        let head = reader.head().unwrap();
        let (state, _) = recover_state(&restored, reader, head).unwrap();
        let vault = Vault::open(&dir.vault(), &Kek::from_file(&dir.kek()).unwrap()).unwrap();
        let fingerprints =
            holdfast_server::fingerprint::Fingerprinter::new(dir.read_fingerprint_key().unwrap());
        let mut keys = 0;
        for number in 0..count.load(Ordering::Relaxed) {
            let account = format!("ld_{number}").parse().unwrap();
            let fingerprint = fingerprints.api_key(&format!("key_{number}").parse().unwrap());
            if state.account(&account).is_some_and(|known| known.api_key(&fingerprint).is_some()) {
                vault.get_secret(&account, &format!("api-key/key_{number}")).unwrap();
                keys += 1;
            }
        }
        assert!(keys >= 30, "{keys} keys were backed up");
        assert_private(&restored);
    }
    let snapshots =
        (0..3).map(|n| Snapshots::new(&places.path(&format!("restored{n}"))).list().unwrap().len());
    assert!(snapshots.sum::<usize>() > 0, "snapshots come along");
    assert!(made.windows(2).all(|pair| pair[0]["sequence"].as_u64() < pair[1]["sequence"].as_u64()));
}

/// Nobody but its owner reads a data directory or the secrets in it.
fn assert_private(dir: &Path) {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(dir), mode(&dir.join("keys"))), (0o700, 0o700));
    for file in ["vault.db", "keys/kek", "keys/release.key", "keys/fingerprint.key"] {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
}

#[test]
fn a_backup_without_keys_says_so_and_has_none() {
    let exchange = Exchange::open(&[]);
    let places = Places(&exchange);
    let made = places.backup("backup", &["--without-keys"]);
    assert_eq!(made["keys"], false);
    assert!(made["notes"][0].as_str().unwrap().contains("the keys are not in it"), "{made}");
    assert!(!places.path("backup/keys").exists());
    let restored = places.restore("backup", "restored");
    assert!(!restored.join("keys").exists());
}

#[test]
fn a_torn_or_altered_backup_is_refused() {
    let exchange = Exchange::open(&[]);
    let places = Places(&exchange);
    drop(exchange.ready(&[]));
    places.backup("backup", &[]);
    let (backup, data) = (places.text("backup"), places.text("restored"));
    let restore = ["restore", "--backup", &backup, "--data", &data];
    let alter = |file: &str, change: &dyn Fn(&mut Vec<u8>), code: &str| {
        let path = places.path("backup").join(file);
        let sound = std::fs::read(&path).unwrap();
        let mut bytes = sound.clone();
        change(&mut bytes);
        std::fs::write(&path, &bytes).unwrap();
        let said = refused(&restore, code);
        assert!(!places.path("restored").exists(), "nothing comes to be: {said}");
        assert!(!places.path(".restored.restoring").exists(), "and nothing is left behind");
        std::fs::write(&path, sound).unwrap();
    };
    let sound: Value =
        serde_json::from_slice(&std::fs::read(places.path("backup/backup.json")).unwrap()).unwrap();
    let manifest = |change: &dyn Fn(&mut Value), code: &str| {
        let rewrite = |bytes: &mut Vec<u8>| {
            let mut manifest = sound.clone();
            change(&mut manifest);
            *bytes = serde_json::to_vec(&manifest).unwrap();
        };
        alter("backup.json", &rewrite, code);
    };

    // Torn: the manifest was never written, or a file is missing or short.
    std::fs::rename(places.path("backup/backup.json"), places.path("kept.json")).unwrap();
    refused(&restore, "backup_incomplete");
    std::fs::rename(places.path("kept.json"), places.path("backup/backup.json")).unwrap();
    std::fs::rename(places.path("backup/vault.db"), places.path("vault.db")).unwrap();
    refused(&restore, "file");
    std::fs::rename(places.path("vault.db"), places.path("backup/vault.db")).unwrap();
    alter("journal.db", &|bytes| bytes.truncate(bytes.len() - 4_096), "backup_file_differs");
    alter("backup.json", &|bytes| bytes.truncate(bytes.len() / 2), "backup_manifest_invalid");
    // Altered.
    alter("journal.db", &|bytes| bytes[5_000] ^= 1, "backup_file_differs");
    alter("keys/kek", &|bytes| bytes[0] ^= 1, "backup_file_differs");
    alter("vault.db", &|bytes| bytes.push(0), "backup_file_differs");
    // A manifest that fits another backup, or leads elsewhere.
    manifest(&|it| it["sequence"] = json!(it["sequence"].as_u64().unwrap() - 1), "backup_journal_not_intact");
    manifest(&|it| it["head"] = json!("00".repeat(32)), "backup_journal_not_intact");
    manifest(&|it| it["epoch"] = json!(7), "backup_journal_not_intact");
    manifest(&|it| it["files"][0]["path"] = json!("keys/../../x"), "backup_manifest_invalid");
    manifest(&|it| it["files"][0]["path"] = json!("/etc/hostname"), "backup_manifest_invalid");
    manifest(&|it| it["format"] = json!("holdfast-backup/v2"), "backup_manifest_invalid");
    manifest(&|it| it["more"] = json!(1), "backup_manifest_invalid");
    // A journal that was altered together with its SHA-256 still breaks the chain.
    let path = places.path("backup/journal.db");
    let bytes = std::fs::read(&path).unwrap();
    let mut altered = bytes.clone();
    let place = altered.windows(4).position(|window| window == b"ac_1").unwrap();
    altered[place + 3] = b'2';
    std::fs::write(&path, &altered).unwrap();
    let sum = {
        use sha2::Digest as _;
        holdfast_server::record::hex(&sha2::Sha256::digest(&altered))
    };
    manifest(
        &|it| {
            let files = it["files"].as_array_mut().unwrap();
            files.iter_mut().find(|file| file["path"] == "journal.db").unwrap()["sha256"] = json!(sum);
        },
        "backup_journal_not_intact",
    );
    std::fs::write(&path, &bytes).unwrap();

    // As it was, it restores: once.
    places.restore("backup", "restored");
    refused(&restore, "exists_already");
    let (data, backup) = (exchange.data(), places.text("backup"));
    refused(&["backup", "--data", data.to_str().unwrap(), "--out", &backup], "exists_already");
}

#[test]
fn nothing_is_served_from_a_backup_or_before_recovery() {
    let exchange = Exchange::open(&[]);
    let places = Places(&exchange);
    places.backup("backup", &[]);
    let restored = places.restore("backup", "restored");
    let refused_with = |dir: &Path, code: &str| {
        let log = serve(dir, &exchange.token).err().unwrap();
        assert!(log.contains(code), "{log}");
    };
    refused_with(&restored, "restored_not_recovered");
    refused_with(&places.path("backup"), "backup_not_restored");
    // Nor is a past that nobody reckoned with backed up over a sound one.
    let out = places.text("again");
    refused(&["backup", "--data", restored.to_str().unwrap(), "--out", &out], "restored_not_recovered");
    // An exchange without signers has nobody to ask.
    let data = restored.to_str().unwrap();
    refused(&["recover", "--data", data, "--plan"], "no_signer_configured");
    refused(&["recover", "--data", &places.text("backup"), "--plan"], "backup_not_restored");
}
