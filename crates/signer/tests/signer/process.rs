//! The real program: killed at any moment, sent garbage, told to end, asked from the command line.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use holdfast_authn::encoding::to_base64url;
use holdfast_authn::release::{self, Kind, Spends};
use holdfast_signer::{Client, ClientError};
use holdfast_values::{OperatorProof, WithdrawalId, time};

use crate::exchange::{BTC, CUSTOMER, EVM_CUSTOMER, Exchange, OTHER, USDT, evm, token_fields};

const PROGRAM: &str = env!("CARGO_BIN_EXE_holdfast-signer");

/// A signer that serves, and dies with its test.
pub(crate) struct Served(Child);

impl Served {
    pub(crate) fn start(exchange: &Exchange) -> Self {
        // By the real clock, which the program goes by.
        exchange.set_clock((holdfast_signer::system_clock())());
        let child = Command::new(PROGRAM)
            .arg("serve")
            .args([Path::new("--pins"), &exchange.pins_path(), Path::new("--store"), &exchange.store_path()])
            .args([Path::new("--socket"), &exchange.socket_path()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut served = Self(child);
        let end = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(exchange.socket_path()).is_err() {
            assert!(served.0.try_wait().unwrap().is_none(), "it ended");
            assert!(Instant::now() < end, "it does not serve");
            std::thread::sleep(Duration::from_millis(2));
        }
        served
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub(crate) fn terminate(mut self) -> Option<i32> {
        Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn client(exchange: &Exchange) -> Client {
    Client::connect(&exchange.socket_path()).unwrap()
}

pub(crate) fn without_refill() -> Exchange {
    Exchange::with(|pins| pins.replace("refill_per_hour = \"1\"", "refill_per_hour = \"0\""))
}

pub(crate) fn left(client: &mut Client, name: &str) -> u64 {
    let status = client.status().unwrap();
    let bucket = status.buckets.iter().find(|bucket| bucket.bucket.to_string() == name).unwrap();
    bucket.available.base_units().try_into().unwrap()
}

#[test]
fn killed_between_record_and_answer_it_gives_the_same_answer_and_has_spent_once() {
    let exchange = without_refill();
    let served = Served::start(&exchange);
    let psbt = exchange.psbt(&[(CUSTOMER, BTC)]);
    let sealed = exchange.seal(&exchange.release(&psbt, &[exchange.intent(CUSTOMER, BTC)]));
    // Asked, recorded, and never heard: the answer stays in the socket.
    let mut unheard = UnixStream::connect(exchange.socket_path()).unwrap();
    let request =
        holdfast_signer::wire::Request::Authorise { release: sealed.clone(), transaction: psbt.clone() };
    holdfast_signer::wire::write_frame(&mut unheard, &request).unwrap();
    while client(&exchange).status().unwrap().counter == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    served.kill();
    drop(unheard);
    let served = Served::start(&exchange);
    let mut client = client(&exchange);
    let answer = client.authorise(&sealed, &psbt).unwrap();
    assert!(answer.repeated);
    assert_eq!(exchange.receipt(&answer.receipt).counter, 1);
    assert_eq!(left(&mut client, "unvouched BTC on bitcoin"), BTC);
    assert_eq!(served.terminate(), Some(0));
}

#[test]
fn killed_at_any_moment_every_withdrawal_is_charged_once_and_answers_never_change() {
    // Fees enough for as many questions as a fast machine asks between the kills.
    let exchange = Exchange::with(|pins| {
        let pins = pins.replace("refill_per_hour = \"1\"", "refill_per_hour = \"0\"");
        pins.replace("fee_bucket = { size = \"0.002\"", "fee_bucket = { size = \"1\"")
    });
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let (mut questions, mut answers) = (vec![], vec![]);
    let mut next = 0;
    for _ in 0..12 {
        let served = Served::start(&exchange);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let life = Duration::from_micros(random >> 47);
        let end = Instant::now() + life;
        let pid = served.0.id().to_string();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(end.saturating_duration_since(Instant::now()));
            Command::new("kill").args(["-KILL", &pid]).status().unwrap();
        });
        let Ok(mut client) = Client::connect(&exchange.socket_path()) else {
            killer.join().unwrap();
            continue;
        };
        loop {
            if questions.len() == next {
                let psbt = exchange.psbt(&[(CUSTOMER, 100_000)]);
                let release = exchange.release(&psbt, &[exchange.intent(CUSTOMER, 100_000)]);
                questions.push((exchange.seal(&release), psbt));
            }
            let (release, psbt) = &questions[next];
            match client.authorise(release, psbt) {
                Ok(answer) => {
                    answers.push(answer.receipt);
                    next += 1;
                }
                Err(ClientError::Refused { code, text, .. }) => panic!("{code}: {text}"),
                Err(_) => break,
            }
        }
        killer.join().unwrap();
    }
    let _served = Served::start(&exchange);
    let mut client = client(&exchange);
    for (place, (release, psbt)) in questions.iter().enumerate() {
        let answer = client.authorise(release, psbt).unwrap();
        if let Some(receipt) = answers.get(place) {
            assert!(answer.repeated);
            assert_eq!(answer.receipt, *receipt, "question {place}");
        }
        assert_eq!(exchange.receipt(&answer.receipt).counter, place as u64 + 1);
    }
    let asked = questions.len() as u64;
    assert_eq!(client.status().unwrap().counter, asked);
    assert_eq!(left(&mut client, "unvouched BTC on bitcoin"), 2 * BTC - asked * 100_000);
    println!("{asked} questions over 12 kills");
}

#[test]
fn a_frame_that_cannot_be_read_closes_its_connection_and_no_other() {
    let exchange = Exchange::new();
    let served = Served::start(&exchange);
    let mut steady = client(&exchange);
    let answer = |bytes: &[u8]| -> Vec<u8> {
        let mut stream = UnixStream::connect(exchange.socket_path()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = vec![];
        let _ = stream.read_to_end(&mut answer);
        answer
    };
    let says = |bytes: &[u8], text: &[u8]| answer(bytes).windows(text.len()).any(|window| window == text);
    assert!(says(&[0, 0, 0, 0], b"request_malformed"));
    assert!(says(&[0, 0, 0, 3, 0xff, 0xff, 0xff], b"request_malformed"));
    // A request and a byte more.
    assert!(says(&[0, 0, 0, 4, 0x82, 0x02, 0x80, 0x00], b"request_malformed"));
    assert_eq!(answer(&[0xff, 0xff, 0xff, 0xff, 0]), b"", "4 GiB announced");
    assert_eq!(answer(&[0, 0, 0, 9, 1]), b"", "cut off");
    assert_eq!(answer(&[0, 0]), b"", "cut off in its length");
    // An array of 2^32 elements in a few bytes.
    assert!(says(&[0, 0, 0, 6, 0x82, 0x04, 0x9a, 0xff, 0xff, 0xff], b"request_malformed"));
    let mut random = 1u64;
    for _ in 0..300 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let bytes: Vec<u8> =
            (0..random >> 59).map(|place| (random >> (place % 7 * 8)) as u8 ^ place as u8).collect();
        let mut frame = (bytes.len() as u32).to_be_bytes().to_vec();
        frame.extend(bytes);
        answer(&frame);
    }
    let refused = steady.authorise(b"\xd2\x84", b"psbt").unwrap_err();
    assert_eq!(refused.code(), "envelope_malformed");
    assert_eq!(steady.status().unwrap().counter, 0);
    // One connection too many is closed, and the others go on.
    let crowd: Vec<_> = (0..15).map(|_| client(&exchange)).collect();
    std::thread::sleep(Duration::from_millis(100));
    assert!(client(&exchange).status().is_err());
    assert!(steady.status().is_ok());
    drop(crowd);
    std::thread::sleep(Duration::from_millis(100));
    assert!(client(&exchange).status().is_ok());
    assert_eq!(served.terminate(), Some(0));
}

#[test]
fn its_socket_is_for_its_group_and_goes_when_it_ends() {
    let exchange = Exchange::new();
    let served = Served::start(&exchange);
    let metadata = fs::metadata(exchange.socket_path()).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
    let second = serve_again(&exchange);
    assert!(second.contains("store_in_use"), "{second}");
    assert_eq!(served.terminate(), Some(0));
    assert!(!exchange.socket_path().exists());
    // What a killed one leaves behind is replaced; what is no socket is not.
    Served::start(&exchange).kill();
    assert!(exchange.socket_path().exists());
    Served::start(&exchange).kill();
    fs::remove_file(exchange.socket_path()).unwrap();
    fs::write(exchange.socket_path(), "precious").unwrap();
    let refused = serve_again(&exchange);
    assert!(refused.contains("socket_kind"), "{refused}");
    assert_eq!(fs::read(exchange.socket_path()).unwrap(), b"precious");
}

fn serve_again(exchange: &Exchange) -> String {
    let (pins, store, socket) = (exchange.pins_path(), exchange.store_path(), exchange.socket_path());
    let arguments = ["--pins", pins.to_str().unwrap(), "--store", store.to_str().unwrap(), "--socket"];
    let output = run(&[&["serve"], &arguments[..], &[socket.to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

/// Exit code and what it printed.
pub(crate) fn told(arguments: &[&str]) -> (i32, String, String) {
    let output = run(arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn every_command_explains_itself_and_refuses_what_it_does_not_know() {
    let commands = [
        "init",
        "verify",
        "serve",
        "status",
        "halt",
        "resume",
        "act",
        "void",
        "recover",
        "credential",
        "assertion",
    ];
    for command in commands {
        let (code, out, _) = told(&[command, "--help"]);
        assert_eq!(code, 0, "{command}");
        assert!(out.contains(&format!("Usage: holdfast-signer {command}")), "{out}");
        let (code, _, error) = told(&[command, "--nonsense", "1"]);
        assert_eq!(code, 2, "{command}");
        assert!(error.contains("unknown option --nonsense"), "{error}");
    }
    let (code, out, _) = told(&["--help"]);
    assert_eq!(code, 0);
    assert!(commands.iter().all(|command| out.contains(command)), "{out}");
    assert_eq!(told(&[]).0, 2);
    assert_eq!(told(&["sign"]).0, 2);
}

#[test]
fn verify_checks_a_release_offline_and_says_what_is_paid_to_whom() {
    let exchange = Exchange::new();
    let pins = exchange.pins_path();
    let pins = pins.to_str().unwrap();
    let psbt = exchange.psbt(&[(CUSTOMER, BTC), (OTHER, 5_000)]);
    let intents = [exchange.intent(CUSTOMER, BTC), exchange.intent(OTHER, 5_000)];
    let mut release = exchange.release(&psbt, &intents);
    release.payments[0].approvals = vec![exchange.approval(&intents[0], &["alice", "bob"])];
    let path = |name: &str, bytes: &[u8]| {
        let path = exchange.folder.join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (sealed, bytes) = (path("release", &exchange.seal(&release)), path("psbt", &psbt));
    let (code, out, error) = told(&["verify", &sealed, &bytes, "--pins", pins]);
    assert_eq!((code, error.as_str()), (0, ""));
    let id = intents[0].withdrawal.to_string();
    for expected in [
        format!("{id}  1.00000000  BTC  {CUSTOMER}  ac_1  vouched  vouched_by alice, bob\n"),
        format!("0.00005000  BTC  {OTHER}  ac_1  unvouched"),
        "fee: 0.00002000\n".to_owned(),
        "fresh: -\n".to_owned(),
        "btc-hot  998000".to_owned(),
    ] {
        assert!(out.contains(&expected), "{expected}\n{out}");
    }
    let (code, out, _) = told(&["verify", &sealed, &bytes, "--pins", pins, "--json"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("{\"ok\":true,\"fresh\":null,"), "{out}");
    // At its time, after it, and as the signer would answer.
    let at = exchange.now().to_string();
    assert_eq!(told(&["verify", &sealed, &bytes, "--pins", pins, "--now", &at]).0, 0);
    let late = exchange.now().plus(time::MINUTE).to_string();
    let (code, out, error) = told(&["verify", &sealed, &bytes, "--pins", pins, "--now", &late, "--json"]);
    assert_eq!(code, 1);
    assert!(out.starts_with("{\"ok\":false,\"code\":\"expired\","), "{out}");
    assert!(error.starts_with("error: expired: "), "{error}");
    let store = exchange.store_path();
    let store = store.to_str().unwrap();
    let with_store =
        |at: &str| told(&["verify", &sealed, &bytes, "--pins", pins, "--store", store, "--now", at]);
    let (code, out, error) = with_store(&at);
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("fresh: yes\nauthorised before: no\n"), "{out}");
    exchange.ask(&mut exchange.signer(), &release, &psbt).unwrap();
    assert!(
        with_store(&at).1.contains("authorised before: yes\n"),
        "it was only asked, not recorded, before"
    );
    // Another transaction.
    let other = path("other", &exchange.psbt(&[(CUSTOMER, BTC), (OTHER, 5_000)]));
    let (code, _, error) = told(&["verify", &sealed, &other, "--pins", pins]);
    assert_eq!(code, 1);
    assert!(error.starts_with("error: digest_differs: "), "{error}");
}

#[test]
fn verify_reads_hex_and_base64() {
    let exchange = Exchange::new();
    let pins = exchange.pins_path();
    let to =
        holdfast_values::Destination::parse(holdfast_values::Network::Ethereum, EVM_CUSTOMER, None).unwrap();
    let transaction = evm(&token_fields(1, USDT, EVM_CUSTOMER, 5_000_000));
    let intent = exchange.intent_of("USDT", to, 6, 5_000_000);
    let release = exchange.release_on(holdfast_values::Network::Ethereum, "eth-hot", &transaction, &[intent]);
    let mut sealed = exchange.seal(&release);
    // Padding brings base64url and base64 together where no - and _ occur.
    let base64 = |bytes: &[u8]| {
        let text = to_base64url(bytes).replace('-', "+").replace('_', "/");
        let padding = (4 - text.len() % 4) % 4;
        format!("{text}{}\n", "=".repeat(padding))
    };
    let hex: String = transaction.iter().map(|byte| format!("{byte:02x}")).collect();
    let write = |name: &str, text: &str| {
        let path = exchange.folder.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let release = write("release.b64", &base64(&sealed));
    for (name, text) in [("a", format!("0x{hex}\n")), ("b", hex.clone()), ("c", base64(&transaction))] {
        let (code, _, error) =
            told(&["verify", &release, &write(name, &text), "--pins", pins.to_str().unwrap()]);
        assert_eq!(code, 0, "{name}: {error}");
    }
    sealed.truncate(40);
    let cut = write("cut", &base64(&sealed));
    assert_eq!(told(&["verify", &cut, &write("d", &hex), "--pins", pins.to_str().unwrap()]).0, 1);
    let odd = write("e", &hex[1..]);
    assert_eq!(told(&["verify", &release, &odd, "--pins", pins.to_str().unwrap()]).0, 2);
}

#[test]
fn it_is_asked_the_same_through_its_socket_and_through_its_files() {
    let exchange = Exchange::new();
    let (pins, store, socket) = (exchange.pins_path(), exchange.store_path(), exchange.socket_path());
    let files = ["--pins", pins.to_str().unwrap(), "--store", store.to_str().unwrap()];
    let serving = ["--socket", socket.to_str().unwrap()];
    let signature = |signed: &release::SignedAct| -> Vec<String> {
        let each = signed.signatures.iter();
        let spelled = |proof: &OperatorProof| match proof {
            OperatorProof::Ed25519(signature) => to_base64url(signature),
            OperatorProof::Passkey(_) => panic!("nobody has a passkey here"),
        };
        each.map(|by| format!("--signature={}={}", by.operator, spelled(&by.signature))).collect()
    };
    exchange.set_clock((holdfast_signer::system_clock())());
    for (round, place) in [&files[..], &serving[..]].into_iter().enumerate() {
        let served = (round == 1).then(|| Served::start(&exchange));
        let ask = |arguments: &[&str]| told(&[arguments, place].concat());
        let out = |name: &str| exchange.folder.join(format!("{name}{round}")).to_str().unwrap().to_owned();
        assert_eq!(ask(&["halt"]).0, 0);
        assert!(ask(&["status"]).1.contains("halted: yes\n"));
        let resume = exchange.act("resume_signer", "signer:harbor-hot", "-", &["alice", "bob"]);
        let text = out("resume");
        fs::write(&text, &resume.text).unwrap();
        let signatures = signature(&resume);
        let one = ask(&["resume", &text, &signatures[0]]);
        assert_eq!(one.0, 1);
        assert!(one.2.starts_with("error: signatures_missing: "), "{}", one.2);
        let both = ask(&["resume", &text, &signatures[0], &signatures[1]]);
        assert_eq!((both.0, both.1.as_str()), (0, "ok: yes\ndone: resume_signer\n"), "{}", both.2);
        assert!(ask(&["status", "--json"]).1.contains("\"halted\":false"));
        let withdrawal = WithdrawalId(1_000 + round as u128).to_string();
        assert_eq!(ask(&["void", &withdrawal, "--out", &out("receipt")]).0, 0);
        exchange.receipt(&fs::read(out("receipt")).unwrap());
        assert_eq!(ask(&["recover", "--out", &out("spends")]).0, 0);
        let again = ask(&["recover", "--out", &out("spends")]);
        assert!(again.0 == 1 && again.2.starts_with("error: file_unreadable: "), "nothing is overwritten");
        assert_eq!(fs::metadata(out("spends")).unwrap().permissions().mode() & 0o777, 0o600);
        let statement = fs::read(out("spends")).unwrap();
        let (payload, _) = release::open(Kind::Spends, &statement, &[exchange.receipt_key]).unwrap();
        assert_eq!(Spends::parse(&payload).unwrap().voided.len(), round + 1);
        if served.is_some() {
            let busy = told(&[&["status"], &files[..]].concat());
            assert!(busy.2.starts_with("error: store_in_use: "), "{}", busy.2);
        }
    }
}

#[test]
fn init_prints_what_to_pin() {
    let exchange = Exchange::new();
    let folder = exchange.folder.join("new");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let text = fs::read_to_string(exchange.pins_path()).unwrap();
    let (_, text) = text.split_once('\n').unwrap();
    let (pins, store) = (folder.join("signer.toml"), folder.join("signer.db"));
    fs::write(&pins, text).unwrap();
    fs::set_permissions(&pins, fs::Permissions::from_mode(0o600)).unwrap();
    let files = ["--pins", pins.to_str().unwrap(), "--store", store.to_str().unwrap()];
    let (code, out, error) = told(&[&["init"], &files[..]].concat());
    assert_eq!(code, 0, "{error}");
    let line = out.lines().find_map(|line| line.strip_prefix("pin here: ")).unwrap();
    for file in [store.clone(), folder.join("receipt.key")] {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    let (code, _, error) = told(&[&["status"], &files[..]].concat());
    assert!(code == 1 && error.starts_with("error: store_unpinned: "), "{error}");
    fs::write(&pins, format!("{line}\n{text}")).unwrap();
    let (code, out, error) = told(&[&["status"], &files[..]].concat());
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("counter: 0\nepoch: 1\n"), "{out}");
    assert!(out.contains("  unvouched BTC on bitcoin  2.00000000  2.00000000\n"), "{out}");
}
