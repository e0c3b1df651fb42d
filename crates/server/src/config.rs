//! The server's own configuration: one TOML file, unknown keys refused, secrets only by file path or environment.
//!
//! What the exchange has and how much may leave is not here: that is the exchange's configuration (`exchange.rs`), which
//! only operators change.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::data::{self, DataDir, DataError};
use crate::vault::KekSource;

/// A configuration file larger than this is none.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The file is no such configuration.
    #[error("{}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where and what.
        message: String,
    },
}

/// The server's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// TLS; without it, plain HTTP.
    pub tls: Option<Tls>,
    /// Limits on size, time and concurrency.
    pub limits: Limits,
    /// Records between snapshots.
    pub snapshot_every: u64,
    /// Where the key-encryption key comes from; `keys/kek` in the data directory if nothing is said.
    pub kek: Option<KekSource>,
    /// Who is told what happens.
    pub webhooks: Vec<Webhook>,
    /// Where addresses are.
    pub geo: GeoFiles,
    /// The gate before the exchange's own API; without it there is none.
    pub gate: Option<GateConfig>,
}

/// The gate before the exchange's own API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateConfig {
    /// The file with the routes (docs/gate.md).
    pub routes: PathBuf,
    /// Where Envoy asks over gRPC; without it, only HTTP is answered.
    #[serde(default)]
    pub grpc: Option<SocketAddr>,
    /// How often the core is told what was seen of the keys, in seconds.
    #[serde(default = "summary_seconds")]
    pub summary_seconds: u64,
}

const fn summary_seconds() -> u64 {
    60
}

/// Files in MaxMind's format; what is not given is not known.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GeoFiles {
    /// Of countries, or of cities.
    pub countries: Option<PathBuf>,
    /// Of autonomous systems.
    pub systems: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8420)),
            tls: None,
            limits: Limits::default(),
            snapshot_every: 500_000,
            kek: None,
            webhooks: Vec::new(),
            geo: GeoFiles::default(),
            gate: None,
        }
    }
}

/// A certificate chain and its private key, both PEM.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Limits.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// Requests that wait for the writer and the disk; further ones get 503.
    pub queue_max: usize,
    /// Seconds for a request's head to arrive; also how long an idle connection is kept.
    pub head_seconds: u64,
    /// Seconds for a request's body to arrive.
    pub body_seconds: u64,
    /// Seconds until a request without an answer is told that its outcome is unknown.
    pub request_seconds: u64,
    /// Seconds that running requests get when the server stops.
    pub shutdown_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 2_048,
            queue_max: 4_096,
            head_seconds: 20,
            body_seconds: 10,
            request_seconds: 30,
            shutdown_seconds: 20,
        }
    }
}

/// One receiver of webhooks (Standard Webhooks).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Its name: the delivery cursor is kept under it.
    pub name: String,
    /// Where it listens.
    pub url: String,
    /// The file with its secret (`whsec_...`).
    pub secret_file: PathBuf,
    /// Which events it is sent; empty: all.
    #[serde(default)]
    pub events: Vec<String>,
}

impl Config {
    /// Reads the file at `path`; relative paths in it are relative to the file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let bytes = data::read_limited(path, FILE_BYTES_MAX)?;
        let invalid = |message: String| ConfigError::Invalid { path: path.to_owned(), message };
        let text = String::from_utf8(bytes).map_err(|_| invalid("not UTF-8".into()))?;
        let mut config: Self = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
        config.check().map_err(invalid)?;
        let base = path.parent().unwrap_or(Path::new("."));
        let resolve = |path: &mut PathBuf| *path = base.join(&*path);
        if let Some(tls) = &mut config.tls {
            resolve(&mut tls.cert);
            resolve(&mut tls.key);
        }
        if let Some(gate) = &mut config.gate {
            resolve(&mut gate.routes);
        }
        if let Some(KekSource::File(path)) = &mut config.kek {
            resolve(path);
        }
        for webhook in &mut config.webhooks {
            resolve(&mut webhook.secret_file);
        }
        Ok(config)
    }

    /// Where the key-encryption key is: where the configuration says, or in the data directory.
    #[must_use]
    pub fn kek(&self, dir: &DataDir) -> KekSource {
        self.kek.clone().unwrap_or_else(|| KekSource::File(dir.kek()))
    }

    fn check(&self) -> Result<(), String> {
        let limits = &self.limits;
        for (name, value) in [
            ("snapshot_every", self.snapshot_every),
            ("gate.summary_seconds", self.gate.as_ref().map_or(1, |gate| gate.summary_seconds)),
            ("limits.head_seconds", limits.head_seconds),
            ("limits.body_seconds", limits.body_seconds),
            ("limits.request_seconds", limits.request_seconds),
            ("limits.connections_max", u64::try_from(limits.connections_max).unwrap_or(u64::MAX)),
            ("limits.queue_max", u64::try_from(limits.queue_max).unwrap_or(u64::MAX)),
        ] {
            if value == 0 {
                return Err(format!("{name} must be at least 1"));
            }
        }
        if limits.connections_max > 1 << 20 || limits.queue_max > 1 << 20 {
            return Err("limits.connections_max and limits.queue_max are at most 1048576".into());
        }
        let mut names: Vec<&str> = self.webhooks.iter().map(|webhook| webhook.name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err("two webhooks have the same name".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_refused() {
        let config: Config = toml::from_str(
            "listen = '127.0.0.1:1'\nsnapshot_every = 7\n[limits]\nqueue_max = 3\n[kek]\nfile = 'x'\n\
             [[webhooks]]\nname = 'a'\nurl = 'http://127.0.0.1:1/'\nsecret_file = 's'\n",
        )
        .unwrap();
        assert_eq!((config.snapshot_every, config.limits.queue_max), (7, 3));
        let token = "[kek]\npkcs11 = 'pkcs11:token=t;object=o?module-path=/m.so&pin-source=env:PIN'\n";
        let config: Config = toml::from_str(token).unwrap();
        assert!(matches!(config.kek, Some(KekSource::Pkcs11(_))));
        assert!(toml::from_str::<Config>(&token.replace("env:PIN", "1234")).is_err());
        for text in ["lisen = '127.0.0.1:1'", "[limits]\nqueue = 1", "[tls]\ncert = 'a'"] {
            assert!(toml::from_str::<Config>(text).is_err(), "{text}");
        }
        assert!(Config { snapshot_every: 0, ..Config::default() }.check().is_err());
    }
}
