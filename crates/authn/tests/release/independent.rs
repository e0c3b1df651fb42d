//! The verifier in `examples/verify`, written from the documents alone, agrees: on good releases, and on spoiled ones.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, process};

use holdfast_authn::encoding::to_base64url;
use holdfast_authn::print_operator_key;
use holdfast_authn::release::{Kind, OperatorSignature, Release, seal};
use holdfast_values::{Network, OperatorProof, OperatorPublicKey, PasskeyAssertion, TextDigest, Timestamp};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::samples::{assertion, name, operator_key, release, release_key, release_with_words, sign};

/// A folder that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("holdfast-release-{name}-{}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A Python that has what the verifier needs.
fn python() -> Option<String> {
    let python = env::var("HOLDFAST_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let present = Command::new(&python)
        .args(["-c", "import cryptography"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !present {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: needs python3 with the cryptography package (examples/verify)"
        );
    }
    present.then_some(python)
}

/// The exit code and what was printed.
fn run(python: &str, more: &[&str], files: &[PathBuf]) -> (Option<i32>, String) {
    let mut command = Command::new(python);
    command.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/verify/release.py"));
    for key in [operator_key("carol"), release_key()] {
        command.args(["--key", &print_operator_key(&key.public_key())]);
    }
    for who in ["alice", "bob"] {
        let key = print_operator_key(&operator_key(who).public_key());
        command.args(["--operator", &format!("{who}={key}")]);
    }
    command.args(["--operator", &format!("dora={}", Passkey::new().public_key())]);
    command.args(["--passkeys", "operate.harbor.example=https://operate.harbor.example"]);
    let output = command.args(more).args(files).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), format!("{out}{err}"))
}

/// A passkey of an operator, always the same.
struct Passkey(Ed25519KeyPair);

impl Passkey {
    fn new() -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[0x55; 32]).unwrap())
    }

    fn cose(&self) -> Vec<u8> {
        [&b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20"[..], self.0.public_key().as_ref()].concat()
    }

    fn public_key(&self) -> OperatorPublicKey {
        OperatorPublicKey::Passkey(TextDigest::of(&self.cose()).0)
    }

    /// Over a text, with these flags, on this page.
    fn sign(&self, text: &str, flags: u8, origin: &str) -> OperatorSignature {
        let challenge = to_base64url(&TextDigest::of(text.as_bytes()).0);
        let client_data_json =
            format!(r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"{origin}"}}"#)
                .into_bytes();
        let rp_id = TextDigest::of(b"operate.harbor.example").0;
        let authenticator_data = [&rp_id[..], &[flags, 0, 0, 0, 0]].concat();
        let message = [&authenticator_data[..], &TextDigest::of(&client_data_json).0].concat();
        let signature = self.0.sign(&message).as_ref().to_vec();
        let by =
            PasskeyAssertion { public_key: self.cose(), client_data_json, authenticator_data, signature };
        OperatorSignature { operator: name("dora"), signature: OperatorProof::Passkey(Box::new(by)) }
    }
}

/// Another signature of the same kind.
fn spoil(proof: &mut OperatorProof) {
    match proof {
        OperatorProof::Ed25519(signature) => signature[40] ^= 1,
        OperatorProof::Passkey(by) => by.signature[40] ^= 1,
    }
}

fn sealed(release: &Release) -> Vec<u8> {
    seal(Kind::Release, &release.to_bytes(), &release_key())
}

#[test]
fn the_independent_verifier_says_what_a_release_permits() {
    let Some(python) = python() else { return };
    let scratch = Scratch::new("good");
    let plain = scratch.put("plain", &sealed(&release()));
    let mut transfer = release();
    transfer.simulated = true;
    transfer.payments.clear();
    transfer.expires = transfer.not_before.plus(1);
    transfer.transfer = Some(sign(
        "holdfast-transfer/v1\nexchange: harbor.example\ntransfer: tr_00000000000000000000000001\n\
         wallet: btc-hot\nnetwork: bitcoin\npurpose: consolidation\nasset: BTC\naddress: -\namount: -\n\
         fee-max: 0.00050000\nnot-after: 2026-11-29T12:00:00Z\n\
         nonce: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
        &["bob"],
    ));
    transfer.epochs = vec![sign(
        "holdfast-operator/v1\nexchange: harbor.example\nact: begin_epoch\ntarget: epoch:2\n\
         detail: store=5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e counter=18\npayload: -\n\
         not-before: 2026-11-22T11:30:00Z\nnot-after: 2026-11-22T13:30:00Z\n\
         nonce: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
        &["alice", "bob", "alice"],
    )];
    let transfer = scratch.put("transfer", &sealed(&transfer));

    let words = scratch.put("words", &sealed(&release_with_words()));
    let by = |flags, origin: &str| {
        let mut release = release();
        let approval = &mut release.payments[0].approvals[0];
        approval.signatures[1] = Passkey::new().sign(&approval.text, flags, origin);
        release
    };
    let passkey = scratch.put("passkey", &sealed(&by(5, "https://operate.harbor.example")));
    let mut other = by(5, "https://operate.harbor.example");
    spoil(&mut other.payments[0].approvals[0].signatures[1].signature);
    let mut kind = by(5, "https://operate.harbor.example");
    kind.payments[0].approvals[0].signatures[1].operator = name("bob");
    for (what, release) in [
        ("on a page, or for a party, that is not given", by(5, "https://approve.harbor.example")),
        ("did not verify its owner", by(1, "https://operate.harbor.example")),
        ("over these bytes", other),
        ("of the other kind", kind),
    ] {
        let (code, said) = run(&python, &[], &[scratch.put("refused", &sealed(&release))]);
        assert!(code == Some(1) && said.contains(what), "{what}: {said}");
    }

    let (code, said) =
        run(&python, &["--at", "2026-11-22T12:00:00Z"], &[plain.clone(), transfer, words, passkey]);
    assert_eq!(code, Some(0), "{said}");
    for line in [
        "release rl_01jddqw790000g40r40m30e209 of harbor.example: signer harbor-hot may sign",
        &format!("  transaction {} of wallet btc-hot on bitcoin", "d1".repeat(32)),
        "  from 2026-11-22T12:00:00Z until 2026-11-22T12:01:00Z",
        "  pays wd_01jddqv700000g40r40m30e209 of ac_4821: 0.75000000 BTC to \
         bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4, memo -",
        "    approved by alice, bob until 2026-11-22T13:30:00Z",
        "    approved by alice, dora until 2026-11-22T13:30:00Z",
        "    asserted by wcHBwcHBwcHBwcHBwcHBwQ on https://approve.harbor.example",
        "    under md_00000000000000000000000005 of API key maker-1, until 2026-12-22T00:00:00Z",
        "      asserted by wcHBwcHBwcHBwcHBwcHBwQ on https://approve.harbor.example; by a request of dialect binance",
        "  from 2026-11-22T12:00:00Z until 2026-11-22T12:00:00.000001Z, in simulated time",
        "  is transfer tr_00000000000000000000000001 (consolidation): - BTC to -",
        "    fee 0.00050000 at most, until 2026-11-29T12:00:00Z, signed by bob",
        "  begins epoch:2 (store=5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e counter=18), signed by alice, bob",
    ] {
        assert!(said.lines().any(|said| said == line), "{line}\nis missing in\n{said}");
    }
    for at in ["2026-11-22T11:59:59Z", "2026-11-22T12:01:00Z"] {
        let (code, said) = run(&python, &["--at", at], std::slice::from_ref(&plain));
        assert!(code == Some(1) && said.contains("refused: plain: permits nothing at that time"), "{said}");
    }
    assert_eq!(run(&python, &[], &[scratch.0.join("none")]).0, Some(2));
}

#[test]
fn the_independent_verifier_refuses_what_is_signed_but_wrong() {
    let Some(python) = python() else { return };
    let scratch = Scratch::new("wrong");
    let mut files = Vec::new();
    let mut expected = Vec::new();
    let mut wrong = |what: &'static str, bytes: Vec<u8>| {
        files.push(scratch.put(&format!("{:03}", files.len()), &bytes));
        expected.push(what);
    };
    let changed = |change: &dyn Fn(&mut Release)| {
        let mut release = release();
        change(&mut release);
        sealed(&release)
    };
    let payload = release().to_bytes();
    wrong("over these bytes", seal(Kind::Receipt, &payload, &release_key()));
    wrong("the id of a key given here", seal(Kind::Release, &payload, &operator_key("bob")));
    wrong("permits nothing", changed(&|r| r.expires = r.not_before));
    wrong("past the year 9999", changed(&|r| r.expires = Timestamp(i64::MAX as u64)));
    wrong("for another network", changed(&|r| r.network = Network::BitcoinSignet));
    wrong("for another exchange", changed(&|r| r.exchange = "pier.example".parse().unwrap()));
    wrong("over these bytes", changed(&|r| spoil(&mut r.payments[0].approvals[0].signatures[1].signature)));
    wrong("over these bytes", changed(&|r| r.payments[0].approvals[0].text.push('\n')));
    wrong(
        "no key is given for operator carol",
        changed(&|r| r.payments[0].approvals[0].signatures[0].operator = name("carol")),
    );
    wrong(
        "of something else",
        changed(&|r| {
            r.payments[0].intent = r.payments[0].intent.replace("0.75000000", "7.50000000");
        }),
    );
    wrong("not a holdfast-withdrawal/v1 text", changed(&|r| r.payments[0].intent.insert(0, ' ')));
    wrong(
        "not a holdfast-transfer/v1 text",
        changed(&|r| {
            r.transfer = Some(r.payments[0].approvals[0].clone());
        }),
    );
    wrong("more than 1000", changed(&|r| r.payments = vec![r.payments[0].clone(); 1001]));
    let words = |change: &dyn Fn(&mut Release)| {
        let mut release = release_with_words();
        change(&mut release);
        sealed(&release)
    };
    fn mandate(release: &mut Release) -> &mut holdfast_authn::release::MandateUse {
        release.payments[1].mandate.as_mut().unwrap()
    }
    wrong(
        "an assertion is over another text",
        words(&|r| {
            r.payments[1].assertion = r.payments[0].assertion.take();
        }),
    );
    let spoken = |from: &'static str, to: &'static str| {
        words(&move |r| {
            let by = r.payments[0].assertion.as_mut().unwrap();
            let said = String::from_utf8(by.client_data_json.clone()).unwrap();
            by.client_data_json = said.replace(from, to).into_bytes();
        })
    };
    wrong("an assertion is over another text", spoken("webauthn.get", "webauthn.create"));
    wrong("inside another page", spoken("\"crossOrigin\":false", "\"crossOrigin\":true"));
    wrong(
        "inside another page",
        spoken("\"crossOrigin\":false", "\"topOrigin\":\"https://app.harbor.example\""),
    );
    wrong("says something twice", spoken("\"crossOrigin\"", "\"type\""));
    wrong("is not JSON", spoken("{", ""));
    wrong("for another account", words(&|r| mandate(r).text = mandate(r).text.replace("ac_4821", "ac_1")));
    wrong("permits less at once", words(&|r| mandate(r).text = mandate(r).text.replace("0.75", "0.74")));
    wrong(
        "does not name the address",
        words(&|r| mandate(r).text = mandate(r).text.replace("kv8f3t4", "kv8f3t5")),
    );
    wrong("for another API key", words(&|r| mandate(r).key[20] ^= 1));
    wrong(
        "an assertion is over another text",
        words(&|r| {
            let over = assertion(8, &r.payments[0].intent);
            mandate(r).assertion = over;
        }),
    );
    wrong("1 to 1023 bytes", words(&|r| mandate(r).assertion.credential_id.clear()));
    wrong("0 to 65536 bytes", words(&|r| mandate(r).request.body = vec![0; 65_537]));
    wrong("longer than 32 bytes", words(&|r| mandate(r).request.dialect = "a".repeat(33)));
    wrong("more than 100", words(&|r| mandate(r).request.headers = vec![Default::default(); 101]));
    let spliced = |old: &[u8], new: &[u8]| {
        let at = payload.windows(old.len()).position(|window| window == old).unwrap();
        let spliced = [&payload[..at], new, &payload[at + old.len()..]].concat();
        assert!(Release::parse(&spliced).is_err());
        seal(Kind::Release, &spliced, &release_key())
    };
    wrong("more bytes than it needs", spliced(&[0x04, 0x01], &[0x04, 0x18, 0x01]));
    wrong("there must be 17 keys", spliced(&[0xb1, 0x01], &[0xb2, 0x00, 0x00, 0x01]));
    wrong("key 4 must stand here", spliced(&[0x04, 0x01], &[0x03, 0x01]));
    wrong("neither true nor false", spliced(&[0x08, 0xf4], &[0x08, 0xf6]));
    wrong("indefinite length", spliced(&[0x11, 0x80], &[0x11, 0x9f, 0xff]));
    wrong("another type", spliced(&[0x04, 0x01], &[0x04, 0x20]));
    wrong("over 2^63 - 1", spliced(&[0x04, 0x01], &[0x04, 0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0]));
    wrong("not UTF-8", spliced(b"\x67bitcoin", b"\x67bitcoi\xff"));
    wrong("bytes follow the payload", spliced(&[0x11, 0x80], &[0x11, 0x80, 0x00]));

    let (code, said) = run(&python, &[], &files);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((code, lines.len()), (Some(1), expected.len()), "{said}");
    for (line, (file, what)) in lines.iter().zip(files.iter().zip(expected)) {
        let file = file.file_name().unwrap().to_str().unwrap();
        assert!(line.starts_with(&format!("refused: {file}: ")) && line.contains(what), "{what}: {line}");
    }
}

#[test]
fn the_independent_verifier_refuses_every_changed_byte() {
    let Some(python) = python() else { return };
    let scratch = Scratch::new("changed");
    let bytes = sealed(&release());
    let envelope = (0..30).chain(bytes.len() - 70..bytes.len());
    let mut files: Vec<PathBuf> = envelope
        .chain((30..bytes.len() - 70).step_by(7))
        .map(|at| {
            let mut other = bytes.clone();
            other[at] ^= 1 << (at % 8);
            scratch.put(&format!("{at:04}"), &other)
        })
        .collect();
    assert!(files.len() >= 200);
    files.extend(
        (0..bytes.len()).step_by(50).map(|length| scratch.put(&format!("first{length}"), &bytes[..length])),
    );
    files.push(scratch.put("more", &[&bytes[..], &[0]].concat()));
    let (code, said) = run(&python, &[], &files);
    let refused = said.lines().filter(|line| line.starts_with("refused: ")).count();
    assert_eq!((code, refused, said.lines().count()), (Some(1), files.len(), files.len()), "{said}");
}
