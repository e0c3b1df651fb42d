//! RFC 6238's own vectors, two independent generators, and what must not be taken for a code.

use std::process::Command;

use proptest::prelude::*;

use super::*;

/// The secret of RFC 6238's appendix B: `1234567890` over and over, as long as the hash.
fn vector_key(algorithm: Algorithm, digits: u8) -> TotpKey {
    let secret: Vec<u8> = b"1234567890".iter().copied().cycle().take(algorithm.secret_bytes()).collect();
    TotpKey::from_bytes(&secret, TotpSettings::new(algorithm, digits, 30).unwrap()).unwrap()
}

fn key() -> TotpKey {
    vector_key(Algorithm::Sha1, 6)
}

const ALGORITHMS: [Algorithm; 3] = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];

#[test]
fn codes_are_those_of_rfc_6238() {
    for (time, sha1, sha256, sha512) in [
        (59, "94287082", "46119246", "90693936"),
        (1_111_111_109, "07081804", "68084774", "25091201"),
        (1_111_111_111, "14050471", "67062674", "99943326"),
        (1_234_567_890, "89005924", "91819424", "93441116"),
        (2_000_000_000, "69279037", "90698825", "38618901"),
        (20_000_000_000, "65353130", "77737706", "47863826"),
    ] {
        let at = Timestamp(time * SECOND);
        for (algorithm, code) in ALGORITHMS.into_iter().zip([sha1, sha256, sha512]) {
            let key = vector_key(algorithm, 8);
            assert_eq!(*key.code_at(time / 30), code, "{algorithm:?} at {time}");
            assert_eq!(key.matching_step(at, code, 0), Some(time / 30));
            let short = vector_key(algorithm, 6);
            assert_eq!(*short.code_at(time / 30), code[2..], "fewer digits are the last ones");
        }
    }
}

fn random_key(random: &SystemRandom) -> (TotpKey, u64) {
    let mut bytes = [0; 16];
    random.fill(&mut bytes).unwrap();
    let algorithm = ALGORITHMS[usize::from(bytes[0] % 3)];
    let digits = if bytes[1] % 2 == 0 { 6 } else { 8 };
    let period = 15 + u16::from(bytes[2] % 106);
    let mut secret = vec![0; 16 + usize::from(bytes[3] % 49)];
    random.fill(&mut secret).unwrap();
    let time = u64::from(u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]));
    (TotpKey::from_bytes(&secret, TotpSettings::new(algorithm, digits, period).unwrap()).unwrap(), time)
}

#[test]
fn oathtool_makes_the_same_codes() {
    let random = SystemRandom::new();
    for _ in 0..60 {
        let (key, time) = random_key(&random);
        let settings = key.settings();
        let output = Command::new("oathtool")
            .arg(format!("--totp={}", settings.algorithm().name().to_lowercase()))
            .arg(format!("--digits={}", settings.digits()))
            .arg(format!("--time-step-size={}s", settings.period()))
            .arg(format!("--now=@{time}"))
            .arg("--base32")
            .arg(key.to_base32().as_str())
            .output();
        let Ok(output) = output else {
            eprintln!("skipped: oathtool is not installed");
            return;
        };
        let described = format!("{key:?} {} at {time}", *key.to_base32());
        assert!(output.status.success(), "{described}: {}", String::from_utf8_lossy(&output.stderr));
        let code = String::from_utf8(output.stdout).unwrap();
        let at = Timestamp(time * SECOND);
        assert_eq!(key.matching_step(at, code.trim_end(), 0), Some(key.step(at)), "{described}");
    }
}

#[test]
fn another_library_makes_the_same_codes() {
    let random = SystemRandom::new();
    for _ in 0..500 {
        let (key, time) = random_key(&random);
        let algorithm = match key.settings().algorithm() {
            Algorithm::Sha1 => totp_rs::Algorithm::SHA1,
            Algorithm::Sha256 => totp_rs::Algorithm::SHA256,
            Algorithm::Sha512 => totp_rs::Algorithm::SHA512,
        };
        let other = totp_rs::Builder::new()
            .with_algorithm(algorithm)
            .with_digits(key.settings().digits())
            .with_step_duration(u64::from(key.settings().period()))
            .with_secret(key.secret.to_vec())
            .build_noncompliant();
        let step = key.step(Timestamp(time * SECOND));
        assert_eq!(
            *key.code_at(step),
            other.generate(time).to_string(),
            "{key:?} {} at {time}",
            *key.to_base32()
        );
    }
}

#[test]
fn a_code_is_right_at_its_step_and_within_the_drift() {
    let key = key();
    let at = |step: u64, seconds: u64| Timestamp((step * 30 + seconds) * SECOND);
    let code = key.code_at(1_000);
    for (drift, early, late) in [(0, 1_000, 1_000), (1, 999, 1_001), (2, 998, 1_002)] {
        assert_eq!(key.matching_step(at(early, 0), &code, drift), Some(1_000));
        assert_eq!(
            key.matching_step(at(late + 1, 0).minus(1), &code, drift),
            Some(1_000),
            "to the last microsecond"
        );
        assert_eq!(key.matching_step(at(early, 0).minus(1), &code, drift), None, "too early");
        assert_eq!(key.matching_step(at(late + 1, 0), &code, drift), None, "too late");
    }
    assert_eq!(key.matching_step(at(997, 0), &code, u64::MAX), None, "no drift is more than two steps");
    assert_eq!(key.matching_step(at(1_003, 0), &code, u64::MAX), None);
    let other = key.code_at(1_007);
    assert_ne!(*code, *other);
    assert_eq!(key.matching_step(at(1_000, 0), &other, 2), None, "the code of another step");
}

#[test]
fn time_may_begin_and_end() {
    let key = key();
    assert_eq!(key.matching_step(Timestamp::ZERO, &key.code_at(0), 2), Some(0));
    assert_eq!(key.matching_step(Timestamp::ZERO, &key.code_at(2), 2), Some(2));
    let last = key.step(Timestamp(u64::MAX));
    assert_eq!(key.matching_step(Timestamp(u64::MAX), &key.code_at(last), 2), Some(last));
    assert_eq!(key.code_at(u64::MAX).len(), 6);
}

#[test]
fn of_two_steps_with_one_code_it_is_the_later() {
    let key = key();
    let step = (0..10_000_000u64).find(|step| *key.code_at(*step) == *key.code_at(step + 1)).unwrap();
    let code = key.code_at(step);
    for at in [step, step + 1] {
        assert_eq!(key.matching_step(Timestamp(at * 30 * SECOND), &code, 1), Some(step + 1));
    }
}

#[test]
fn only_ascii_digits_of_the_right_number_are_a_code() {
    let key = key();
    let at = Timestamp(59 * SECOND);
    assert_eq!(key.matching_step(at, "287082", 0), Some(1));
    for code in [
        "",
        "28708",
        "2870820",
        "94287082",
        "0287082",
        " 287082",
        "287082 ",
        "287 082",
        "287-082",
        "+87082",
        "-87082",
        "28708a",
        "0x7082",
        "287082\0",
        "287082\n",
        "\u{ff12}87082",
        "\u{662}\u{662}\u{662}",
        "\u{0662}7082",
    ] {
        assert_eq!(key.matching_step(at, code, 2), None, "{code:?}");
    }
    let long = vector_key(Algorithm::Sha1, 8);
    assert_eq!(long.matching_step(at, "287082", 0), None);
    // A code that begins with zeros is a code with them alone.
    let step = (0..).find(|step| key.code_at(*step).starts_with("00")).unwrap();
    let (code, at) = (key.code_at(step), Timestamp(step * 30 * SECOND));
    assert_eq!(key.matching_step(at, &code, 0), Some(step));
    assert_eq!(key.matching_step(at, code.trim_start_matches('0'), 0), None);
}

#[test]
fn another_secret_makes_another_code() {
    let settings = TotpSettings::default();
    let random = SystemRandom::new();
    let (one, other) =
        (TotpKey::generate(&random, settings).unwrap(), TotpKey::generate(&random, settings).unwrap());
    assert_ne!(one.secret, other.secret);
    let codes = |key: &TotpKey| (0..20).map(|step| key.code_at(step).to_string()).collect::<Vec<_>>();
    assert_ne!(codes(&one), codes(&other));
    for algorithm in ALGORITHMS {
        let settings = TotpSettings::new(algorithm, 8, 60).unwrap();
        let key = TotpKey::generate(&random, settings).unwrap();
        assert_eq!((key.secret.len(), key.settings()), (algorithm.secret_bytes(), settings));
    }
}

#[test]
fn settings_and_secrets_have_bounds() {
    let settings = TotpSettings::default();
    assert_eq!((settings.algorithm(), settings.digits(), settings.period()), (Algorithm::Sha1, 6, 30));
    for digits in [0, 5, 7, 9, 10, 255] {
        assert_eq!(TotpSettings::new(Algorithm::Sha1, digits, 30), Err(TotpError::Digits));
    }
    for (period, fine) in [(0, false), (14, false), (15, true), (120, true), (121, false)] {
        assert_eq!(TotpSettings::new(Algorithm::Sha1, 6, period).is_ok(), fine, "{period}");
    }
    for (length, fine) in [(0, false), (15, false), (16, true), (64, true), (65, false)] {
        assert_eq!(TotpKey::from_bytes(&vec![7; length], settings).is_ok(), fine, "{length}");
    }
    assert_eq!(TotpError::SecretLength.code(), "totp_secret_length");
}

#[test]
fn secrets_come_in_base32() {
    let settings = TotpSettings::default();
    let parse = |text: &str| TotpKey::from_base32(text, settings).map(|key| key.secret.to_vec());
    assert_eq!(*key().to_base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    assert_eq!(parse("gezdgnbvgy3tqojqgezdgnbvgy3tqojq").unwrap(), b"12345678901234567890");
    let sixteen = "GEZDGNBVGY3TQOJQGEZDGNBVGY";
    assert_eq!(parse(sixteen).unwrap(), b"1234567890123456");
    assert_eq!(parse(&format!("{sixteen}======")).unwrap(), b"1234567890123456");
    for (text, error) in [
        ("", TotpError::SecretLength),
        ("GEZDGNBV", TotpError::SecretLength),
        (&"A".repeat(105), TotpError::SecretLength),
        (&"A".repeat(1 << 20), TotpError::SecretLength),
        (&format!("{sixteen}="), TotpError::SecretSpelling),
        (&format!("{sixteen}=====A"), TotpError::SecretSpelling),
        (&format!("{sixteen}A"), TotpError::SecretSpelling),
        (&sixteen.replace("GY", "GZ"), TotpError::SecretSpelling),
        (&sixteen.replace("GE", "G1"), TotpError::SecretSpelling),
        (&sixteen.replace("GE", "G0"), TotpError::SecretSpelling),
        (&sixteen.replace("GE", "G "), TotpError::SecretSpelling),
        (&sixteen.replace("GE", "\u{e9}"), TotpError::SecretSpelling),
    ] {
        assert_eq!(parse(text), Err(error), "{text:?}");
    }
}

#[test]
fn the_uri_says_all_that_an_app_needs() {
    let exchange: ExchangeName = "harbor.example".parse().unwrap();
    let key = vector_key(Algorithm::Sha256, 8);
    assert_eq!(
        key.provisioning_uri(&exchange, "ada+1@harbor.example & \u{fc}").unwrap().as_str(),
        "otpauth://totp/harbor.example:ada%2B1%40harbor.example%20%26%20%C3%BC\
         ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZA\
         &issuer=harbor.example&algorithm=SHA256&digits=8&period=30"
    );
    for label in ["", "a:b", "a\nb", &"a".repeat(65)] {
        assert_eq!(key.provisioning_uri(&exchange, label), Err(TotpError::Label), "{label:?}");
    }
    let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(61)).parse().unwrap();
    let key = vector_key(Algorithm::Sha512, 8);
    let uri = key.provisioning_uri(&longest, &"\u{1f511}".repeat(64)).unwrap();
    assert!(
        uri.len() <= super::super::qr::TEXT_BYTES_MAX && super::super::qr_svg(&uri).is_ok(),
        "{}",
        uri.len()
    );
}

#[test]
fn what_is_stored_reads_back_and_nothing_prints_it() {
    let key = vector_key(Algorithm::Sha512, 8);
    let json = serde_json::to_string(&key).unwrap();
    let again: TotpKey = serde_json::from_str(&json).unwrap();
    assert_eq!((&again.secret, again.settings()), (&key.secret, key.settings()));
    assert!(!format!("{key:?}").contains("GEZD") && !format!("{key:?}").contains("49, 50"));
    for damaged in [
        json.replace("\"digits\":8", "\"digits\":7"),
        json.replace("\"period\":30", "\"period\":0"),
        json.replace("sha512", "md5"),
        json.replace("GEZD", "1EZD"),
        json.replace("\"digits\":8", "\"digits\":8,\"skew\":9"),
    ] {
        assert_ne!(damaged, json);
        assert!(serde_json::from_str::<TotpKey>(&damaged).is_err(), "{damaged}");
    }
}

proptest! {
    #[test]
    fn secrets_parse_what_they_print(secret in proptest::collection::vec(any::<u8>(), SECRET_BYTES)) {
        let key = TotpKey::from_bytes(&secret, TotpSettings::default()).unwrap();
        let again = TotpKey::from_base32(&key.to_base32(), TotpSettings::default()).unwrap();
        prop_assert_eq!(&*again.secret, &secret);
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,120}", at in any::<u64>(), drift in any::<u64>()) {
        let _ = TotpKey::from_base32(&text, TotpSettings::default());
        let _ = key().matching_step(Timestamp(at), &text, drift);
    }
}
