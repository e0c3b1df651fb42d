//! One pack's servers: a fresh data directory, operators who sign, tokens, the imported history, Holdfast and Harbor.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::process::{Process, free_port, get};
use super::purse::{Pinned, Purse, USDT};
use crate::error::{Error, Result};

/// The first operators; two of them sign everything that loosens.
pub(super) const OPERATORS: [&str; 2] = ["alice", "bob"];
/// Long enough for a text to be signed and sent while time runs fast.
const VALID: &str = "24h";

/// A policy pack, and the configuration that goes with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pack {
    pub(super) name: &'static str,
    configuration: &'static str,
    buckets: &'static str,
    /// What is pinned at the signer, in a file that Holdfast cannot write.
    signer: Pinned,
}

/// The comparison first, then what a good exchange would run.
pub(super) const PACKS: [Pack; 2] = [
    Pack {
        name: "limits-2019",
        configuration: "examples/harbor-2019.toml",
        buckets: "fixed limits and one-time codes; no buckets, at the signer neither (each is twice the hot wallet)",
        signer: Pinned {
            vouched: ["14148", "120000", "40000000"],
            unvouched: ["14148", "120000", "40000000"],
        },
    },
    Pack {
        name: "baseline",
        configuration: "examples/harbor.toml",
        buckets: "buckets of 1 % (unvouched), 3 % (aged) and 20 % (bound) of a hot wallet of 7,074 BTC, refilled every hour;\n  \
                  the signer's own: 1 % + 3 % for whatever Holdfast says, 20 % for what operators signed",
        // Holdfast's two classes that only Holdfast can tell apart are one to the signer.
        signer: Pinned { vouched: ["1414.8", "12000", "4000000"], unvouched: ["282.96", "2400", "800000"] },
    },
];

/// The programs, and where the repository is.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    pub(super) root: PathBuf,
    pub(super) folder: PathBuf,
}

impl Programs {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Runs a program and gives what it prints; an error with what it says if it fails.
    pub(super) fn run(&self, name: &str, environment: &[(&str, &str)], line: &[&str]) -> Result<String> {
        let output = Command::new(self.path(name))
            .args(line)
            .envs(environment.iter().copied())
            .current_dir(&self.root)
            .output()
            .map_err(|source| Error::File { path: self.path(name), source })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let shown = line.iter().take(3).copied().collect::<Vec<_>>().join(" ");
        Err(Error::Failed {
            command: format!("{name} {shown}"),
            detail: format!("{}: {said}", output.status),
        })
    }
}

/// One pack's servers.
#[derive(Debug)]
pub(super) struct Stack {
    pub(super) pack: Pack,
    programs: Programs,
    pub(super) folder: PathBuf,
    port: u16,
    /// Reads and halts.
    pub(super) token: String,
    service_token: String,
    pub(super) purse: Purse,
    holdfast: Option<Process>,
    harbor: Option<Process>,
}

pub(super) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::File { path: path.to_owned(), source }
}

pub(super) fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

pub(super) fn write_secret(path: &Path, content: &str) -> Result<()> {
    use std::io::Write as _;
    let opened = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    opened.and_then(|mut opened| opened.write_all(content.as_bytes())).map_err(file(path))
}

pub(super) fn member(json: &str, key: &str, what: &str) -> Result<String> {
    let value: Option<Value> = serde_json::from_str(json).ok();
    let found = value.as_ref().and_then(|value| value.get(key)).and_then(Value::as_str);
    let unexpected = || Error::Unexpected { what: what.to_owned(), found: format!("no `{key}`") };
    found.map(ToOwned::to_owned).ok_or_else(unexpected)
}

impl Stack {
    /// Makes a fresh data directory, and starts Holdfast on it at the pace of this machine's clock.
    pub(super) fn prepare(programs: &Programs, pack: Pack, folder: &Path, clock_start: &str) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(file(folder))?;
        }
        for made in [folder.join("keys"), folder.join("results")] {
            fs::create_dir_all(&made).map_err(file(&made))?;
        }
        let mut operators = Vec::new();
        for name in OPERATORS {
            let key = folder.join("keys").join(name);
            programs.run("holdfast", &[], &["operator", "keygen", "--out", text(&key)])?;
            operators.push("--operator".to_owned());
            operators.push(format!("{name}={}.pub", text(&key)));
        }
        // The signer's key first: Holdfast is told of it. Then Holdfast's: the signer pins it.
        let mut purse = Purse::make(programs, pack.name, pack.signer, folder)?;
        let configuration = folder.join("exchange.toml");
        let sample = compressed(&programs.root.join(pack.configuration))?;
        fs::write(&configuration, purse.configure(&sample)?).map_err(file(&configuration))?;
        let (data, policy) = (folder.join("data"), programs.root.join("policies").join(pack.name));
        let mut line = vec!["init", "--data", text(&data), "--config", text(&configuration)];
        line.extend(["--policy", text(&policy), "--simulated-clock", "--clock-start", clock_start, "--json"]);
        line.extend(operators.iter().map(String::as_str));
        let made = programs.run("holdfast", &[], &line)?;
        let token = member(&made, "token", "holdfast init")?;
        let line = ["release-key", "--data", text(&data), "--json"];
        let printed = programs.run("holdfast", &[], &line)?;
        let release_key = member(&printed, "release_key", "holdfast release-key")?;
        purse.open(&release_key, &member(&made, "policy", "holdfast init")?)?;
        let mut stack = Self {
            pack,
            programs: programs.clone(),
            folder: folder.to_owned(),
            port: free_port()?,
            token,
            service_token: String::new(),
            purse,
            holdfast: None,
            harbor: None,
        };
        stack.serve(1, clock_start)?;
        Ok(stack)
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// What the player is told of this stack.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.join("stack.json")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("holdfast.log")
    }

    /// Starts Holdfast with its clock at `start`, or at its journal's end if that is later.
    pub(super) fn serve(&mut self, rate: u32, start: &str) -> Result<()> {
        let (listen, rate, data) = (format!("127.0.0.1:{}", self.port), rate.to_string(), self.data());
        let mut line = vec!["serve", "--data", text(&data), "--listen", &listen];
        line.extend(["--clock-rate", &rate, "--clock-start", start]);
        let name = format!("holdfast serve ({})", self.pack.name);
        let program = self.programs.path("holdfast");
        let mut process = Process::start(&name, &self.log(), &self.folder, &program, &line)?;
        process.ready(self.port, "/ready")?;
        self.holdfast = Some(process);
        Ok(())
    }

    /// Ends Holdfast and starts it again at another rate: at `start`, or where it ended.
    pub(super) fn serve_again(&mut self, rate: u32, start: Option<&str>) -> Result<()> {
        let now = self.now()?;
        self.stop_holdfast()?;
        self.serve(rate, start.unwrap_or(&now))
    }

    /// An error, with its last words, if anything that should run has ended.
    pub(super) fn alive(&self) -> Result<()> {
        [&self.holdfast, &self.harbor].into_iter().flatten().try_for_each(Process::alive)?;
        self.purse.alive()
    }

    /// The time at Holdfast.
    pub(super) fn now(&self) -> Result<String> {
        let health = get(self.port, "/health").unwrap_or_default();
        member(&health, "time", "holdfast's /health")
    }

    pub(super) fn stop_holdfast(&mut self) -> Result<()> {
        self.holdfast.take().map_or(Ok(()), |mut process| process.stop())
    }

    pub(super) fn stop(&mut self) -> Result<()> {
        let purse = self.purse.stop();
        let harbor = self.harbor.take().map_or(Ok(()), |mut process| process.stop());
        self.stop_holdfast().and(harbor).and(purse)
    }

    /// Waits until Holdfast ends, as it does on Ctrl-C.
    pub(super) fn wait(&mut self) -> Result<()> {
        self.holdfast.as_mut().map_or(Ok(()), |process| process.wait().map(drop))
    }

    /// Lets both operators sign a text and sends it.
    fn sign_and_send(&self, signed: &Path, payload: Option<&Path>) -> Result<()> {
        let mut signatures = Vec::new();
        for name in OPERATORS {
            let key = self.folder.join("keys").join(name);
            let line = ["operator", "sign", "--key", text(&key), text(signed)];
            signatures.push(format!("{name}={}", self.programs.run("holdfast", &[], &line)?.trim()));
        }
        let mut line = vec!["operator", "send", text(signed)];
        for signature in &signatures {
            line.extend(["--signature", signature]);
        }
        if let Some(payload) = payload {
            line.extend(["--payload", text(payload)]);
        }
        let environment = [("HOLDFAST_URL", self.url()), ("HOLDFAST_TOKEN", self.token.clone())];
        let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.programs.run("holdfast", &environment, &line).map(drop)
    }

    fn issue_token(&self, client: &str, scopes: &str) -> Result<String> {
        let signed = self.folder.join(format!("{client}.text"));
        let url = self.url();
        let mut line = vec!["token", "new", "--client", client, "--scopes", scopes, "--out", text(&signed)];
        line.extend(["--url", &url, "--valid", VALID, "--json"]);
        let token = member(&self.programs.run("holdfast", &[], &line)?, "token", "holdfast token new")?;
        self.sign_and_send(&signed, None)?;
        Ok(token)
    }

    /// Tokens by a two-operator act, the history under two signatures, Harbor, and what the player must know.
    pub(super) fn furnish(&mut self, drill: &[&str]) -> Result<()> {
        self.service_token = self.issue_token("harbor", "service")?;
        let prices_token = self.issue_token("prices", "prices")?;
        let wallet = self.issue_token("wallet", "wallet,read")?;
        let watchers = [("watch-bitcoin", "chain"), ("watch-ethereum", "chain")];
        let watchers = watchers.map(|(client, scopes)| self.issue_token(client, scopes));
        let [bitcoin, ethereum] = watchers;
        self.purse.furnish(&self.url(), [&wallet, &bitcoin?, &ethereum?])?;
        self.purse.start_paying()?;
        self.import(drill)?;

        let (listen, admin) = (free_port()?, free_port()?);
        let admin_token =
            format!("director-{}", self.service_token.chars().rev().take(16).collect::<String>());
        write_secret(&self.folder.join("admin.token"), &admin_token)?;
        write_secret(&self.folder.join("service.token"), &self.service_token)?;
        let asset = |symbol: &str, name: &str, decimals: u8, network: &str, fee: &str, min: &str| {
            json!({ "symbol": symbol, "name": name, "decimals": decimals,
                    "networks": [{ "network": network, "fee": fee, "min": min }] })
        };
        let configuration = json!({
            "listen": format!("127.0.0.1:{listen}"), "admin_listen": format!("127.0.0.1:{admin}"),
            "admin_token_file": "admin.token",
            "holdfast": { "url": self.url(), "token_file": "service.token", "poll_ms": 100 },
            // Customers come from many places; the player says from which, as a proxy before Harbor would.
            "client_ip_header": "x-forwarded-for",
            "assets": [asset("BTC", "Bitcoin", 8, "bitcoin", "0.0001", "0.001"),
                       asset("ETH", "Ether", 18, "ethereum", "0.001", "0.01"),
                       asset("USDT", "Tether USD", 6, "ethereum", "5", "10")],
        });
        let path = self.folder.join("harbor.json");
        fs::write(&path, configuration.to_string()).map_err(file(&path))?;
        let (name, log) = (format!("harbor ({})", self.pack.name), self.folder.join("harbor.log"));
        let program = self.programs.path("harbor");
        let mut harbor = Process::start(&name, &log, &self.folder, &program, &["--config", text(&path)])?;
        harbor.ready(listen, "/api/v3/ping")?;
        self.harbor = Some(harbor);

        let told = json!({
            "name": self.pack.name, "buckets": self.pack.buckets, "holdfast": self.url(),
            "harbor": format!("http://127.0.0.1:{listen}"), "harbor_admin": format!("http://127.0.0.1:{admin}"),
            "admin_token": admin_token, "init_token": self.token, "prices_token": prices_token,
            "results": self.folder.join("results"), "chain": self.purse.chain_url(),
            "descriptors": self.purse.descriptors(), "account": self.purse.address(), "usdt": USDT,
            "signer_btc": self.purse.unvouched_btc(), "kept": self.purse.kept(),
        });
        write_secret(&self.file(), &told.to_string())
    }

    fn import(&self, drill: &[&str]) -> Result<()> {
        let (history, parts) = (self.folder.join("history.jsonl"), self.folder.join("import"));
        let now = self.now()?;
        let mut line = drill.to_vec();
        line.extend(["history", "--now", &now, "--out", text(&history)]);
        self.programs.run("drill", &[], &line)?;
        let url = self.url();
        let mut line = vec!["import", "prepare", text(&history), "--out", text(&parts)];
        line.extend(["--url", &url, "--valid", VALID]);
        self.programs.run("holdfast", &[], &line)?;
        self.sign_and_send(&parts.join("import.text"), Some(&parts.join("manifest.txt")))?;
        let environment = [("HOLDFAST_URL", url.as_str()), ("HOLDFAST_TOKEN", self.service_token.as_str())];
        self.programs.run("holdfast", &environment, &["import", "send", text(&parts)]).map(drop)
    }

    /// Ends a halt of everything, by two operators' signatures.
    pub(super) fn resume(&self, number: u32) -> Result<()> {
        let signed = self.folder.join(format!("resume-{number}.text"));
        let url = self.url();
        let mut line = vec!["operator", "text", "resume", "overall", "--out", text(&signed)];
        line.extend(["--url", &url, "--valid", VALID]);
        self.programs.run("holdfast", &[], &line)?;
        self.sign_and_send(&signed, None)
    }

    /// What the player wrote down.
    pub(super) fn result(&self, name: &str) -> Value {
        let read = fs::read_to_string(self.folder.join("results").join(name));
        read.ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Runs a command on the data directory and gives its last line with whether it ended well.
    pub(super) fn check(&self, words: &[&str]) -> Result<(bool, String)> {
        let data = self.data();
        let mut line: Vec<OsString> = words.iter().map(OsString::from).collect();
        line.extend(["--data".into(), data.into_os_string()]);
        let output = Command::new(self.programs.path("holdfast"))
            .args(line)
            .output()
            .map_err(|source| Error::File { path: self.programs.path("holdfast"), source })?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&said).trim_end().to_owned()))
    }
}

/// The exchange's configuration, for a day in less than a minute: prices come every few milliseconds, and a machine that
/// stumbles for a third of a second must not make them stale. A release is good for as long as one may be. A halt ends the
/// moment two operators have signed: the story goes on where they did. (Tokens and history need no such word: they come in
/// the hour after the first record, in which nothing waits.)
fn compressed(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path).map_err(file(path))?;
    let is_ours = |line: &&str| {
        let line = line.trim_start();
        let ours = ["price_stale_after", "release_lifetime", "resume_delay"];
        !ours.iter().any(|name| line.starts_with(name))
    };
    let rest: Vec<&str> = text.lines().filter(is_ours).collect();
    let text = rest.join("\n");
    if !text.contains("\n[parameters]\n") {
        let found = "no [parameters]".to_owned();
        return Err(Error::Unexpected { what: path.display().to_string(), found });
    }
    let ours =
        "\n[parameters]\nprice_stale_after = \"1h\"\nrelease_lifetime = \"10m\"\nresume_delay = \"0s\"\n";
    Ok(text.replacen("\n[parameters]\n", ours, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_stale_after_an_hour_of_compressed_time() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for pack in PACKS {
            let text = compressed(&root.join(pack.configuration)).unwrap();
            assert_eq!(text.matches("price_stale_after").count(), 1, "{}", pack.name);
            assert_eq!(text.matches("\nrelease_lifetime = ").count(), 1, "{}", pack.name);
            assert_eq!(text.matches("\nresume_delay = \"0s\"\n").count(), 1, "{}", pack.name);
        }
    }
}
