//! The commands that people type: keys, init, tokens, signing, sending, import.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::server::{ADDRESS, HOLDFAST, Server, Temporary, holdfast, repository};

fn path(dir: &Temporary, name: &str) -> String {
    dir.path().join(name).display().to_string()
}

fn refused(args: &[&str]) -> String {
    let output = Command::new(HOLDFAST).args(args).output().unwrap();
    assert!(!output.status.success(), "holdfast {args:?} should have been refused");
    assert!(output.stdout.is_empty(), "standard output is for answers");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Two keys and a simulated directory.
fn made() -> (Temporary, Value) {
    let dir = Temporary::new();
    for name in ["alice", "bob"] {
        holdfast(&["operator", "keygen", "--out", &path(&dir, name)]);
    }
    let (alice, bob) = (path(&dir, "alice.pub"), path(&dir, "bob.pub"));
    let made = holdfast(&[
        "init",
        "--data",
        &path(&dir, "data"),
        "--config",
        repository("examples/harbor.toml").to_str().unwrap(),
        "--policy",
        repository("policies/baseline").to_str().unwrap(),
        "--operator",
        &format!("alice={alice}"),
        "--operator",
        &format!("bob={bob}"),
        "--simulated-clock",
        "--json",
    ]);
    (dir, serde_json::from_str(&made).unwrap())
}

#[test]
fn operators_issue_a_token_and_import_history_from_the_command_line() {
    let (dir, made) = made();
    assert_eq!(made["pin"]["loosening_signatures"], 2);
    assert_eq!(made["pin"]["operators"][0]["name"], "alice");
    for secret in ["data/keys/kek", "data/keys/fingerprint.key", "alice"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(dir.path().join(secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    let data = path(&dir, "data");
    let serve = [HOLDFAST, "serve", "--data", &data, "--listen", "127.0.0.1:0"].map(ToOwned::to_owned);
    let mut server = Server::start(&serve, made["token"].as_str().unwrap());
    let (url, first_token) = (server.url.clone(), server.token.clone());
    let sign_and_send = |text: &str, payload: Option<&str>| {
        let mut args: Vec<String> =
            ["operator", "send", text, "--url", &url, "--token", &first_token].map(ToOwned::to_owned).into();
        for name in ["alice", "bob"] {
            let signature = holdfast(&["operator", "sign", "--key", &path(&dir, name), text]);
            args.extend(["--signature".to_owned(), format!("{name}={}", signature.trim())]);
        }
        if let Some(payload) = payload {
            args.extend(["--payload".to_owned(), payload.to_owned()]);
        }
        holdfast(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };

    let text = path(&dir, "token.text");
    let scopes = "read,service";
    let token = holdfast(&[
        "token", "new", "--client", "backend", "--scopes", scopes, "--out", &text, "--url", &url, "--json",
    ]);
    let token: Value = serde_json::from_str(&token).unwrap();
    let token = token["token"].as_str().unwrap().to_owned();
    assert!(!std::fs::read_to_string(&text).unwrap().contains(&token), "the text has its hash only");
    sign_and_send(&text, None);

    let history = path(&dir, "history.jsonl");
    let line = |number: u32| {
        format!(
            "{{\"account\":\"ac_{number}\",\"tier\":\"full\",\"opened_at\":\"2019-01-01T00:00:00Z\",\"addresses\":\
             [{{\"network\":\"bitcoin\",\"address\":\"{ADDRESS}\",\"first_recorded_at\":\"2019-02-01T00:00:00Z\"}}]}}\n"
        )
    };
    std::fs::write(&history, (0..4_500).map(line).collect::<String>()).unwrap();
    let parts = path(&dir, "parts");
    let prepared: Value =
        serde_json::from_str(&holdfast(&["import", "prepare", &history, "--out", &parts, "--url", &url]))
            .unwrap();
    assert_eq!((prepared["accounts"].as_u64(), prepared["parts"].as_u64()), (Some(4_500), Some(3)));
    let not_yet = refused(&["import", "send", &parts, "--url", &url, "--token", &token]);
    assert!(not_yet.contains("import_unknown"), "{not_yet}");
    sign_and_send(&format!("{parts}/import.text"), Some(&format!("{parts}/manifest.txt")));
    holdfast(&["import", "send", &parts, "--url", &url, "--token", &token]);
    server.token.clone_from(&token);
    assert_eq!(server.get("/v1/accounts/ac_4499").body["opened_at"], "2019-01-01T00:00:00Z");

    let pack_text = path(&dir, "pack.text");
    let payload = path(&dir, "pack.json");
    let pack = holdfast_cedar::load_dir(repository("policies/baseline")).unwrap();
    let before = server.get("/v1/policy").body["hash"].as_str().unwrap().to_owned();
    let stop =
        "@id(\"stop\") @outcome(\"hold\") @reason(\"stopped\")\nforbid (principal, action, resource);\n";
    let mut files: serde_json::Map<_, _> =
        pack.files.into_iter().map(|(name, text)| (name, json!(text))).collect();
    files.insert("now.cedar".to_owned(), json!(stop));
    let texts = files.iter().map(|(name, text)| (name.as_str(), text.as_str().unwrap()));
    let hash = holdfast_server::record::hex(&holdfast_values::pack_hash(texts));
    std::fs::write(&payload, json!(files).to_string()).unwrap();
    let detail = format!("from={before}");
    let line = [
        "operator",
        "text",
        "tighten_policy",
        &hash,
        "--detail",
        &detail,
        "--payload",
        &payload,
        "--out",
        &pack_text,
    ];
    holdfast(&[&line[..], &["--url", &url]].concat());
    sign_and_send(&pack_text, Some(&payload));
    assert_eq!(server.get("/v1/policy").body["hash"], hash.as_str());
}

#[test]
fn what_cannot_be_done_is_said() {
    let (dir, _) = made();
    let data = path(&dir, "data");
    let again = refused(&["operator", "keygen", "--out", &path(&dir, "alice")]);
    assert!(again.contains("exists"), "{again}");
    let config = repository("examples/harbor.toml").display().to_string();
    let policy = repository("policies/baseline").display().to_string();
    let alice = format!("alice={}", path(&dir, "alice.pub"));
    let bob = format!("bob={}", path(&dir, "bob.pub"));
    let init = |data: &str, config: &str, operators: &[&str]| {
        let mut args = vec!["init", "--data", data, "--config", config, "--policy", &policy];
        for operator in operators {
            args.extend(["--operator", operator]);
        }
        refused(&args)
    };
    assert!(init(&data, &config, &[&alice, &bob]).contains("journal_exists"));
    let other = path(&dir, "other");
    let alone = init(&other, &config, &[&alice]);
    assert!(alone.contains("initialise_invalid"), "{alone}");
    let key = path(&dir, "bob");
    let private = init(&other, &config, &[&alice, &format!("bob={key}")]);
    assert!(private.contains("operator_invalid"), "{private}");
    let broken = path(&dir, "broken.toml");
    std::fs::write(
        &broken,
        std::fs::read_to_string(&config).unwrap().replace("\"btc-hot\" }", "\"btc-cold\" }"),
    )
    .unwrap();
    assert!(init(&other, &broken, &[&alice, &bob]).contains("configuration_invalid"));
    assert!(!Path::new(&other).exists(), "nothing is made before all is well");

    let unsimulated = path(&dir, "real");
    let mut args = vec!["init", "--data", &unsimulated, "--config", &config, "--policy", &policy];
    args.extend(["--operator", &alice, "--operator", &bob]);
    holdfast(&args);
    let rate = refused(&["serve", "--data", &unsimulated, "--listen", "127.0.0.1:0", "--clock-rate", "60"]);
    assert!(rate.contains("clock_not_simulated"), "{rate}");
    let server_config = path(&dir, "server.toml");
    std::fs::write(&server_config, "lisen = '127.0.0.1:1'\n").unwrap();
    let unknown = refused(&["serve", "--data", &unsimulated, "--config", &server_config]);
    assert!(unknown.contains("lisen"), "{unknown}");
    let nothing = refused(&["serve", "--data", &other, "--listen", "127.0.0.1:0"]);
    assert!(nothing.contains("journal_missing"), "{nothing}");
}

#[test]
fn a_pack_is_checked_against_the_words_of_the_exchanges_configuration() {
    let dir = Temporary::new();
    let (pack, config) = (dir.path().join("pack"), repository("examples/harbor.toml"));
    std::fs::create_dir(&pack).unwrap();
    let text = "@id(\"open\")\npermit (principal, action == Action::\"withdraw\", resource);\n\n\
                @id(\"watched\")\n@outcome(\"hold\") @reason(\"watched\")\n\
                forbid (principal, action == Action::\"withdraw\", resource)\n\
                when { context.asset == \"BTC\" && context.network == \"bitcoin\" && context.tier == \"vip400\" };\n";
    let (pack, config) = (pack.to_str().unwrap(), config.to_str().unwrap());
    let write = |text: &str| std::fs::write(Path::new(pack).join("watch.cedar"), text).unwrap();
    write(text);
    let checked: Value =
        serde_json::from_str(&holdfast(&["policy", "check", "--config", config, "--json", pack])).unwrap();
    assert_eq!(checked["ok"], true, "{checked}");

    for (right, wrong, column) in [("BTC", "BTCC", 25), ("bitcoin", "bitcon", 53), ("vip400", "vip4000", 82)]
    {
        write(&text.replace(&format!("\"{right}\""), &format!("\"{wrong}\"")));
        holdfast(&["policy", "check", pack]);
        let said = refused(&["policy", "check", "--config", config, pack]);
        let place = format!("watch.cedar:7:{column}");
        for part in ["policy_word_unknown", &place, &format!("did you mean {right:?}?"), "^", "watched"] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
    write(text);
    let said = refused(&["policy", "check", "--config", "/nowhere/exchange.toml", pack]);
    assert!(said.contains("cannot read /nowhere/exchange.toml"), "{said}");
    let broken = path(&dir, "broken.toml");
    std::fs::write(&broken, "[parameters]\nloosening = 2\n").unwrap();
    let said = refused(&["policy", "check", "--config", &broken, pack]);
    assert!(said.contains("configuration_invalid") || said.contains("loosening"), "{said}");
}
