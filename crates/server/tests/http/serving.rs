//! Serving itself: TLS, one server a directory, a graceful end under load.

use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::server::{Exchange, HOLDFAST, Server, agent, holdfast, send, withdrawal};

#[test]
fn tls_is_spoken_when_configured() {
    let exchange = Exchange::open(&[]);
    let path = |name: &str| exchange.dir.path().join(name);
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let issuer_params = {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let leaf = params.signed_by(&key, &Issuer::new(issuer_params, &authority_key)).unwrap();
    std::fs::write(path("cert.pem"), leaf.pem()).unwrap();
    std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
    std::fs::write(path("server.toml"), "[tls]\ncert = 'cert.pem'\nkey = 'key.pem'\n").unwrap();
    let config = path("server.toml");
    let server = exchange.serve(&["--config", config.to_str().unwrap()]);
    assert!(server.url.starts_with("https://"), "{}", server.url);

    let root = Certificate::from_der(authority.der()).to_owned();
    let trusting: ureq::Agent = ureq::Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root])).build())
        .build()
        .into();
    let answer = send(&trusting, "GET", &format!("{}/health", server.url), &[], b"").unwrap();
    assert_eq!(answer.body["status"], "ok", "{}", answer.text);
    assert!(
        send(&agent(), "GET", &format!("{}/health", server.url), &[], b"").is_err(),
        "an unknown authority"
    );
    // Who speaks plain HTTP gets nothing, and holds nobody up.
    let plain = server.url.replace("https://", "http://");
    assert!(send(&agent(), "GET", &format!("{plain}/health"), &[], b"").is_err());
    assert_eq!(send(&trusting, "GET", &format!("{}/ready", server.url), &[], b"").unwrap().status, 200);
}

#[test]
fn a_directory_has_one_server() {
    let exchange = Exchange::open(&[]);
    let _first = exchange.serve(&[]);
    let log = Server::try_start(&exchange.serve_command(HOLDFAST, &[]), "").err().unwrap();
    assert!(log.contains("journal_in_use"), "{log}");
}

#[test]
fn graceful_end_answers_what_it_took_in() {
    let exchange = Exchange::open(&[]);
    let server = exchange.ready(&[]);
    let (url, token) = (server.url.clone(), server.token.clone());
    let answered = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for client in 0..4 {
            let (url, token, answered) = (&url, &token, &answered);
            scope.spawn(move || {
                let agent = agent();
                for number in 0..10_000 {
                    let key = format!("{client}-{number}");
                    let authorization = format!("Bearer {token}");
                    let headers = [
                        ("authorization", authorization.as_str()),
                        ("content-type", "application/json"),
                        ("idempotency-key", &key),
                    ];
                    let body = withdrawal("0.001").to_string();
                    match send(&agent, "POST", &format!("{url}/v1/withdrawals"), &headers, body.as_bytes()) {
                        Ok(answer) if answer.status == 201 => {
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        // The account has only so many, or the server is on its way out.
                        Ok(answer) => {
                            assert!(matches!(answer.code(), "too_many" | "shutting_down"), "{}", answer.text);
                        }
                        Err(_) => return,
                    }
                }
            });
        }
        std::thread::sleep(std::time::Duration::from_millis(150));
        assert_eq!(server.stop(), Some(0));
    });
    let server = exchange.serve(&[]);
    let recovered = server.log();
    assert!(recovered.contains("\"message\":\"state recovered\""), "{recovered}");
    drop(server);
    let exported = holdfast(&["journal", "export", "--data", exchange.data().to_str().unwrap(), "--jsonl"]);
    let decided = exported.lines().filter(|line| line.contains("\"withdrawal_requested\"")).count() as u64;
    assert_eq!(
        decided,
        answered.load(Ordering::Relaxed),
        "every decision was answered, every answer decided"
    );
}
