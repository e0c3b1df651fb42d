//! The real program and customers' keys: killed while it learns them, asked by many at once, from the command line.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use holdfast_authn::encoding::to_base64url;
use holdfast_authn::release::{Basis, MandateUse};
use holdfast_signer::wire::{Request, write_frame};
use holdfast_signer::{Client, ClientError, Enrolled};
use holdfast_values::time;

use crate::exchange::{BTC, Exchange};
use crate::keys::{APP_ID, ApiKey, Key, ORIGIN, RP_ID};
use crate::process::{Served, client, left, told, without_refill};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key of `ac_1` that counts by the real clock, enrolled before any server started.
fn aged_before(exchange: &Exchange, key: &Key) {
    let now = (holdfast_signer::system_clock())();
    exchange.set_clock(now.minus(80 * time::HOUR));
    exchange.enrol(&mut exchange.signer(), "ac_1", key, Basis::First).unwrap();
    exchange.set_clock(now);
}

#[test]
fn killed_between_record_and_answer_it_has_not_forgotten_the_key_nor_when_it_came() {
    let exchange = Exchange::new();
    let served = Served::start(&exchange);
    let key = Key::passkey(1);
    let sealed = exchange.seal_enrolment(&exchange.enrolment("ac_1", &key, Basis::First));
    let mut unheard = UnixStream::connect(exchange.socket_path()).unwrap();
    write_frame(&mut unheard, &Request::Enrol(sealed.clone())).unwrap();
    while client(&exchange).status().unwrap().credentials.seen == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let seen = client(&exchange).credentials(&"ac_1".parse().unwrap()).unwrap();
    served.kill();
    let served = Served::start(&exchange);
    let again = client(&exchange).enrol(&sealed).unwrap();
    assert!(again.repeated);
    assert_eq!((again.seen, again.counts_from), (seen[0].credential.seen, seen[0].counts_from));
    client(&exchange).remove(&exchange.seal_removal("ac_1", &key)).unwrap();
    served.kill();
    let _served = Served::start(&exchange);
    let refused = client(&exchange).enrol(&sealed).unwrap_err();
    assert_eq!(refused.code(), "credential_removed");
}

#[test]
fn killed_at_any_moment_every_key_that_was_answered_is_known_as_it_was_answered() {
    let exchange =
        Exchange::with(|pins| pins.replace("enrolments_per_day = 5", "enrolments_per_day = 100000"));
    let (mut answers, mut next, mut random) = (BTreeMap::<u32, Enrolled>::new(), 0u32, 0x1234_5678_9abcu64);
    let sealed = |number: u32| {
        let key = Key { id: number.to_be_bytes().to_vec(), ..Key::passkey(1) };
        exchange.seal_enrolment(&exchange.enrolment(&format!("ac_{number}"), &key, Basis::First))
    };
    for _ in 0..8 {
        let served = Served::start(&exchange);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let end = Instant::now() + Duration::from_micros(random >> 47);
        let pid = served.id().to_string();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(end.saturating_duration_since(Instant::now()));
            Command::new("kill").args(["-KILL", &pid]).status().unwrap();
        });
        if let Ok(mut client) = Client::connect(&exchange.socket_path()) {
            loop {
                match client.enrol(&sealed(next)) {
                    Ok(enrolled) => {
                        answers.insert(next, enrolled);
                        next += 1;
                    }
                    Err(ClientError::Refused { code, text, .. }) => panic!("{code}: {text}"),
                    Err(_) => break,
                }
            }
        }
        killer.join().unwrap();
    }
    let _served = Served::start(&exchange);
    let mut client = client(&exchange);
    for (number, answer) in &answers {
        let again = client.enrol(&sealed(*number)).unwrap();
        assert!(again.repeated);
        assert_eq!(again.seen, answer.seen, "{number}");
    }
    let known = client.status().unwrap().credentials.seen;
    assert!(known == u64::from(next) || known == u64::from(next) + 1, "{known} of {next}");
    println!("{next} keys over 8 kills");
}

#[test]
fn parallel_requests_do_not_exceed_a_mandate() {
    let exchange = without_refill();
    let (key, api_key) = (Key::counting(1), ApiKey::new(0x77));
    aged_before(&exchange, &key);
    let served = Served::start(&exchange);
    let good = exchange.mandate_use(&exchange.mandate(1, &api_key), &key, &api_key, BTC / 2);
    // One journal record for all of them: which comes first must not matter. Every third request is used a second time.
    let mut request = good.request.clone();
    let mut questions = vec![];
    for number in 0..48 {
        if number % 3 != 2 {
            request = api_key.request(&exchange.parameters(BTC / 2));
        }
        let (_, psbt, mut release) = exchange.payment(BTC / 2);
        (release.sequence, release.head) = (500, [5; 32]);
        release.payments[0].mandate = Some(MandateUse { request: request.clone(), ..good.clone() });
        questions.push((exchange.seal(&release), psbt));
    }
    let (socket, barrier) = (exchange.socket_path(), Barrier::new(8));
    let codes: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = questions
            .chunks(6)
            .map(|mine| {
                let (socket, barrier) = (&socket, &barrier);
                scope.spawn(move || {
                    let mut client = Client::connect(socket).unwrap();
                    barrier.wait();
                    mine.iter()
                        .map(|(release, psbt)| match client.authorise(release, psbt) {
                            Ok(_) => "authorised".to_owned(),
                            Err(error) => error.code().to_owned(),
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let count = |code: &str| codes.iter().filter(|found| *found == code).count();
    assert_eq!(count("authorised"), 4, "two a day by halves: {codes:?}");
    assert_eq!(count("authorised") + count("mandate_day") + count("mandate_request_used"), 48, "{codes:?}");
    let mut client = client(&exchange);
    assert_eq!(left(&mut client, "vouched BTC on bitcoin"), 18 * BTC);
    assert_eq!(left(&mut client, "unvouched BTC on bitcoin"), 2 * BTC);
    assert_eq!(served.terminate(), Some(0));
}

#[test]
fn one_request_asked_for_many_withdrawals_at_once_pays_one() {
    let exchange = without_refill();
    let (key, api_key) = (Key::counting(1), ApiKey::new(0x77));
    aged_before(&exchange, &key);
    let _served = Served::start(&exchange);
    let used = exchange.mandate_use(&exchange.mandate(1, &api_key), &key, &api_key, 5_000);
    let questions: Vec<_> = (0..8)
        .map(|_| {
            let (_, psbt, mut release) = exchange.payment(5_000);
            (release.sequence, release.head) = (500, [5; 32]);
            release.payments[0].mandate = Some(used.clone());
            (exchange.seal(&release), psbt)
        })
        .collect();
    let (socket, barrier) = (exchange.socket_path(), Barrier::new(8));
    let authorised = std::thread::scope(|scope| {
        let ask = |(release, psbt): &(Vec<u8>, Vec<u8>)| {
            let mut client = Client::connect(&socket).unwrap();
            barrier.wait();
            client.authorise(release, psbt).is_ok()
        };
        let threads: Vec<_> = questions.iter().map(|question| scope.spawn(move || ask(question))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|yes| *yes).count()
    });
    assert_eq!(authorised, 1);
}

#[test]
fn credentials_are_listed_enrolled_and_removed_through_socket_and_files() {
    let exchange = Exchange::new();
    let (pins, store, socket) = (exchange.pins_path(), exchange.store_path(), exchange.socket_path());
    let files = ["--pins", pins.to_str().unwrap(), "--store", store.to_str().unwrap()];
    let serving = ["--socket", socket.to_str().unwrap()];
    exchange.set_clock((holdfast_signer::system_clock())());
    for (round, place) in [&files[..], &serving[..]].into_iter().enumerate() {
        let _served = (round == 1).then(|| Served::start(&exchange));
        let ask = |arguments: &[&str]| told(&[&["credential"], arguments, place].concat());
        let key = Key::passkey(u8::try_from(round).unwrap() + 1);
        let account = format!("ac_{round}");
        let write = |name: &str, bytes: &[u8]| {
            let path = exchange.folder.join(format!("{name}{round}"));
            fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let enrolment =
            write("enrolment", &exchange.seal_enrolment(&exchange.enrolment(&account, &key, Basis::First)));
        let (code, out, error) = ask(&["enrol", &enrolment]);
        assert_eq!(code, 0, "{error}");
        assert!(out.starts_with("ok: yes\nknown before: no\nseen: "), "{out}");
        assert!(ask(&["enrol", &enrolment, "--json"]).1.contains("\"known_before\":true"));
        let (code, out, _) = ask(&["list", &account, "--json"]);
        assert_eq!(code, 0);
        let id = to_base64url(&key.id);
        assert!(
            out.contains(&format!("\"credential\":\"{id}\"")) && out.contains("\"removed\":null"),
            "{out}"
        );
        assert!(out.contains("\"basis\":\"first\""), "{out}");
        let removal = write("removal", &exchange.seal_removal(&account, &key));
        assert_eq!(ask(&["remove", &removal]).1, "ok: yes\ndone: remove\n");
        assert!(!ask(&["list", &account, "--json"]).1.contains("\"removed\":null"));
        let (code, _, error) = ask(&["enrol", &enrolment]);
        assert!(code == 1 && error.starts_with("error: credential_removed: "), "{error}");
        assert_eq!(ask(&["list", "no account"]).0, 2);
        assert_eq!(ask(&["forget", &account]).0, 2);
        assert!(ask(&["list", "ac_none"]).1.contains("credentials: none"));
        let (_, out, _) = told(&[&["status"], place].concat());
        assert!(
            out.contains(&format!("credentials:\n  seen: {}\n  removed: {}\n", round + 1, round + 1)),
            "{out}"
        );
    }
}

#[test]
fn verify_says_on_whose_word_a_payment_is_vouched_for() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let (key, api_key) = (Key::counting(1), ApiKey::new(0x77));
    exchange.aged(&mut signer, &key);
    drop(signer);
    let (pins, store) = (exchange.pins_path(), exchange.store_path());
    let verify = |name: &str, change: &dyn Fn(&mut holdfast_authn::release::Release, &str), more: &[&str]| {
        let (intent, psbt, mut release) = exchange.payment(5_000);
        change(&mut release, &intent.to_string());
        let path = |kind: &str, bytes: &[u8]| {
            let path = exchange.folder.join(format!("{kind}-{name}"));
            fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (release, psbt) = (path("release", &exchange.seal(&release)), path("psbt", &psbt));
        told(&[&["verify", &release, &psbt, "--pins", pins.to_str().unwrap()], more].concat())
    };
    let asserted = |release: &mut holdfast_authn::release::Release, intent: &str| {
        release.payments[0].assertion = Some(key.assert(intent));
    };
    let (code, out, _) = verify("a", &asserted, &[]);
    assert!(
        code == 0 && out.contains("  vouched_if_its_key_counts  vouched_by -  its owner's key\n"),
        "{out}"
    );
    let now = exchange.now().to_string();
    let with_store = ["--store", store.to_str().unwrap(), "--now", &now];
    let (code, out, error) = verify("b", &asserted, &with_store);
    assert!(code == 0 && out.contains("  vouched  vouched_by -  its owner's key\n"), "{out}{error}");
    let mandate = exchange.mandate_use(&exchange.mandate(1, &api_key), &key, &api_key, 5_000);
    let under = |release: &mut holdfast_authn::release::Release, _: &str| {
        release.payments[0].mandate = Some(mandate.clone());
    };
    let (code, out, _) = verify("c", &under, &with_store);
    assert!(code == 0 && out.contains("  vouched  vouched_by -  md_00000000000000000000000001\n"), "{out}");
    let stranger = |release: &mut holdfast_authn::release::Release, intent: &str| {
        release.payments[0].assertion = Some(Key::passkey(2).assert(intent));
    };
    let (code, _, error) = verify("d", &stranger, &with_store);
    assert!(code == 1 && error.starts_with("error: credential_unknown: "), "{error}");
    // Only asked: what was used up is not.
    assert_eq!(exchange.pay_under(&mut exchange.signer(), &mandate, 5_000), Ok(()));
}

#[test]
fn assertions_are_checked_away_from_any_signer() {
    let exchange = Exchange::new();
    let text = exchange.intent(crate::exchange::CUSTOMER, 5_000).to_string();
    let object = |key: &Key, public_key: &str, more: &str| {
        let by = key.assert(&text);
        format!(
            "{{\"public_key\":\"{public_key}\",\"text\":{},\"clientDataJSON\":\"{}\",\"authenticatorData\":\"{}\",\
             \"signature\":\"{}\",\"origin\":\"{ORIGIN}\",\"rpId\":\"{RP_ID}\"{more}}}",
            format!("{text:?}").replace('\'', "\\u0027"),
            to_base64url(&by.client_data_json),
            to_base64url(&by.authenticator_data),
            to_base64url(&by.signature),
        )
    };
    let (key, old) = (Key::passkey(1), Key::u2f("old"));
    let app_id = format!(",\"appId\":\"{APP_ID}\",\"name\":\"old\"");
    let good = object(&key, &to_base64url(&key.cose()), "");
    let hexadecimal = object(&key, &hex(&key.cose()), "");
    let point = object(&old, &hex(&old.sec1()), &app_id);
    let foreign = object(&old, &hex(&old.sec1()), "");
    let other = object(&key, &to_base64url(&Key::passkey(2).cose()), "");
    let no_key = object(&key, "00", "");
    let challenge = to_base64url(&crate::keys::sha256(text.as_bytes()));
    let (start, rest) = good.split_once("\"text\":").unwrap();
    let (_, rest) = rest.split_once(",\"clientDataJSON\"").unwrap();
    let by_challenge = format!("{start}\"challenge\":\"{challenge}\",\"clientDataJSON\"{rest}");
    let ask = |json: &str, more: &[&str]| {
        let path = exchange.folder.join("assertions.json");
        fs::write(&path, json).unwrap();
        told(&[&["assertion", "check", path.to_str().unwrap()], more].concat())
    };
    let (code, out, error) = ask(&good, &[]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(out.starts_with("ok: yes\nchecked: 1\nrefused: 0\n"), "{out}");
    for one in [&hexadecimal, &point, &by_challenge] {
        assert_eq!(ask(one, &[]).0, 0, "{one}");
    }
    let (code, out, _) = ask(&format!("[{good}, {point},\n{foreign}, {other}, {no_key}]"), &["--json"]);
    assert_eq!(code, 1);
    assert!(out.starts_with("{\"ok\":false,\"checked\":5,\"refused\":3,\"assertions\":[{\"assertion\":0,\"name\":null,\"verdict\":\"accepted\",\"user_verified\":true,\"counter\":0,\"by_app_id\":false,"), "{out}");
    for (code, place) in
        [("webauthn_rp_id_mismatch", 2), ("webauthn_signature_invalid", 3), ("webauthn_key_malformed", 4)]
    {
        let expected =
            format!("{{\"assertion\":{place},\"name\":null,\"verdict\":\"refused\",\"code\":\"{code}\"");
        assert!(out.contains(&expected), "{code}: {out}");
    }
    assert!(out.contains("\"name\":\"old\",\"verdict\":\"accepted\",\"user_verified\":false,\"counter\":1,\"by_app_id\":true"), "{out}");
    for (wrong, expected) in [
        ("{", "not JSON from byte 1 on"),
        ("[{}]", "assertion 0: "),
        ("[7]", "assertion 0: not an object"),
        (&good.replace("rpId", "rpid"), "nothing is called \"rpid\""),
        (&good.replace(",\"rpId\":\"approve.harbor.example\"", ""), "rpId is missing"),
        (&good.replace("\"text\":", "\"challenge\":\"AAAA\",\"text\":"), "give challenge or text"),
        (&good.replace("\"signature\":\"", "\"signature\":\"=="), "signature is not base64url"),
        (&good.replace("\"rpId\"", "\"origin\""), "not JSON"),
    ] {
        let (code, _, error) = ask(wrong, &[]);
        assert!(code == 2 && error.contains(expected), "{expected}: {error}");
    }
    assert_eq!(told(&["assertion", "check", "/nowhere/at/all"]).0, 1);
    assert_eq!(told(&["assertion", "verify", "x"]).0, 2);
    let help = told(&["assertion", "--help"]).1;
    assert!(help.contains("authenticatorData  in base64url"), "{help}");
}
