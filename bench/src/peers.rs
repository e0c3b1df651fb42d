//! Libraries in other languages on the same inputs, each in a process of its own.
//!
//! A peer's script (`tests/peers/*_rate.*`) reads groups of cases as JSON, goes through each group once or more without
//! counting, then `rounds` times, and says how many cases that were and how long its process was on a CPU for them. So
//! neither starting the process nor loading its libraries nor reading the JSON is in the numbers. A script fails unless
//! every case is accepted and every group's `forged` one, which is asked first, refused.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::report::per_second;
use crate::{Failure, Options};

/// A library, and how its script is run.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// As people call it.
    pub(crate) name: &'static str,
    program: PathBuf,
    script: PathBuf,
}

impl Peer {
    /// A package of the Python that `HOLDFAST_TEST_PYTHON` names (`cargo xtask test` makes one); nothing if it lacks it.
    pub(crate) fn python(
        options: &Options,
        name: &'static str,
        module: &str,
        script: &str,
    ) -> Result<Self, String> {
        let program = python();
        let found = Command::new(&program)
            .args(["-c", &format!("import {module}")])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if found.is_ok_and(|status| status.success()) {
            return Ok(Self { name, program, script: options.root().join("tests/peers").join(script) });
        }
        Err(format!(
            "{name} was not measured: it is not there; install tests/requirements.txt, or run cargo xtask test once."
        ))
    }

    /// A package of the tests' client.
    pub(crate) fn node(
        options: &Options,
        name: &'static str,
        package: &str,
        script: &str,
    ) -> Result<Self, String> {
        let module = options.root().join("tests/client/node_modules").join(package).join("package.json");
        if module.is_file() {
            let script = options.root().join("tests/peers").join(script);
            return Ok(Self { name, program: "node".into(), script });
        }
        Err(format!(
            "{name} was not measured: it is not there; npm ci in tests/client, or run cargo xtask test once."
        ))
    }

    /// How many of each group's cases it does in a second of CPU time.
    pub(crate) fn rates(&self, rounds: u64, groups: &Value) -> Result<BTreeMap<String, u64>, Failure> {
        let question = json!({ "rounds": rounds, "groups": groups });
        let mut child = Command::new(&self.program)
            .arg(&self.script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().ok_or("a peer has no standard input")?;
        input.write_all(&serde_json::to_vec(&question)?)?;
        drop(input);
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("{} failed: {}", self.script.display(), output.status).into());
        }
        let answer: BTreeMap<String, BTreeMap<String, u64>> = serde_json::from_slice(&output.stdout)?;
        let rate = |(group, said): (String, BTreeMap<String, u64>)| {
            let field =
                |name: &str| said.get(name).copied().ok_or_else(|| format!("{}: no {name}", self.name));
            Ok((group, per_second(field("count")?, field("cpu_ns")?)))
        };
        answer.into_iter().map(rate).collect()
    }
}

/// The Python with the tests' packages, or the system's.
pub(crate) fn python() -> PathBuf {
    std::env::var_os("HOLDFAST_TEST_PYTHON").map_or_else(|| "python3".into(), PathBuf::from)
}
