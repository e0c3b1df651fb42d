//! The stand-in as a process of its own, and the calls that the tests make.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// The contract that the tests pay with.
pub(crate) const TOKEN: &str = "0xdAC17F958D2ee523a2206206994597C13D831ec7";

/// A running stand-in.
pub(crate) struct Stand {
    process: Child,
    listen: String,
    control: String,
}

impl Drop for Stand {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

impl Stand {
    pub(crate) fn new() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_harbor-chain"))
            .args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"])
            .args(["--network", "bitcoin-regtest", "--network", "ethereum"])
            .args(["--token", &format!("ethereum:{TOKEN}:6")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        Self { listen: text("listen"), control: text("control"), process }
    }

    /// A JSON-RPC call: the result, or code and message.
    pub(crate) fn rpc(&self, network: &str, method: &str, parameters: Value) -> Result<Value, (i64, String)> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
        let (_, reply) = post(&format!("http://{}/{network}", self.listen), &body.to_string());
        let reply: Value = serde_json::from_str(&reply).unwrap();
        match &reply["error"] {
            Value::Null => Ok(reply["result"].clone()),
            error => Err((error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())),
        }
    }

    /// The same, the body as it came.
    pub(crate) fn raw(&self, network: &str, body: &str) -> (u16, String) {
        post(&format!("http://{}/{network}", self.listen), body)
    }

    pub(crate) fn control(&self, network: &str, act: &str, body: Value) -> Value {
        let (status, reply) =
            post(&format!("http://{}/control/{network}/{act}", self.control), &body.to_string());
        assert_eq!(status, 200, "{act}: {reply}");
        serde_json::from_str(&reply).unwrap()
    }

    pub(crate) fn mine(&self, network: &str, blocks: u32) {
        self.control(network, "mine", json!({ "blocks": blocks }));
    }
}

fn post(url: &str, body: &str) -> (u16, String) {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let agent: ureq::Agent = config.into();
    let mut reply = agent.post(url).header("content-type", "application/json").send(body).unwrap();
    let status = reply.status().as_u16();
    (status, reply.body_mut().with_config().limit(64 << 20).read_to_string().unwrap())
}
