//! Keyed fingerprints: what the core sees instead of values that an attacker may choose.
//!
//! The key is this installation's own (`keys/fingerprint.key`): outside it nobody can find inputs that collide, nor
//! learn from the journal which address or key a fingerprint stands for. Losing the key makes every known destination
//! and API key unknown; it belongs into the backup, beside the journal.

use std::net::IpAddr;

use holdfast_gate::IpNet;
use holdfast_values::{AccountId, Destination, Fingerprint, Name};

/// Makes fingerprints. Each kind of input has a domain of its own.
#[derive(Clone)]
pub struct Fingerprinter {
    key: [u8; 32],
}

impl Fingerprinter {
    /// With this installation's key.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    fn of(&self, domain: &str, parts: &[&[u8]]) -> Fingerprint {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in core::iter::once(&domain.as_bytes()).chain(parts) {
            hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(part);
        }
        let mut fingerprint = [0; 16];
        hasher.finalize_xof().fill(&mut fingerprint);
        Fingerprint(fingerprint)
    }

    /// Of where a payment goes.
    #[must_use]
    pub fn destination(&self, destination: &Destination) -> Fingerprint {
        self.of("destination", &[&destination.canonical_bytes()])
    }

    /// Of an API key's id.
    #[must_use]
    pub fn api_key(&self, key: &Name) -> Fingerprint {
        self.of("api-key", &[key.as_str().as_bytes()])
    }

    /// Of an IP address; an IPv4 address mapped into IPv6 is the IPv4 address.
    #[must_use]
    pub fn ip(&self, ip: IpAddr) -> Fingerprint {
        match ip.to_canonical() {
            IpAddr::V4(ip) => self.of("ip", &[&ip.octets()]),
            IpAddr::V6(ip) => self.of("ip", &[&ip.octets()]),
        }
    }

    /// Of a network that API keys may be used from, written as `ADDRESS/BITS` with its host bits zero. One that holds a
    /// single address has that address's own fingerprint.
    #[must_use]
    pub fn network(&self, network: &IpNet) -> Fingerprint {
        if IpNet::single(network.address()) == *network {
            self.ip(network.address())
        } else {
            self.of("ip-network", &[network.to_string().as_bytes()])
        }
    }

    /// Of a WebAuthn credential's id.
    #[must_use]
    pub fn credential(&self, id: &[u8]) -> Fingerprint {
        self.of("credential", &[id])
    }

    /// Of an account, as keys store it: without this installation's key it tells nothing.
    #[must_use]
    pub fn user_handle(&self, account: &AccountId) -> Fingerprint {
        self.of("user-handle", &[account.as_str().as_bytes()])
    }

    /// Of a device of an account: the same device is another one for another account.
    #[must_use]
    pub fn device(&self, account: &AccountId, device: &str) -> Fingerprint {
        self.of("device", &[account.as_str().as_bytes(), device.as_bytes()])
    }

    /// Of a panic link: the account, and the day on which it ends.
    #[must_use]
    pub fn panic_link(&self, account: &AccountId, day: u64) -> Fingerprint {
        self.of("panic-link", &[account.as_str().as_bytes(), &day.to_be_bytes()])
    }

    /// Of a user agent or a TLS fingerprint.
    #[must_use]
    pub fn client_trait(&self, kind: &str, value: &str) -> Fingerprint {
        self.of("client-trait", &[kind.as_bytes(), value.as_bytes()])
    }

    /// Of the digest of a signed request.
    #[must_use]
    pub fn request(&self, digest: &[u8; 32]) -> Fingerprint {
        self.of("request", &[digest])
    }

    /// Of a client's idempotency key.
    #[must_use]
    pub fn idempotency_key(&self, client: &Name, key: &str) -> Fingerprint {
        self.of("idempotency-key", &[client.as_str().as_bytes(), key.as_bytes()])
    }

    /// Of a request's body under an idempotency key.
    #[must_use]
    pub fn idempotency_body(&self, operation: &str, body: &[u8]) -> Fingerprint {
        self.of("idempotency-body", &[operation.as_bytes(), body])
    }
}

impl core::fmt::Debug for Fingerprinter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Fingerprinter(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_borders_do_not_collide() {
        let make = Fingerprinter::new([7; 32]);
        let name: Name = "a".parse().unwrap();
        let long: Name = "ab".parse().unwrap();
        assert_ne!(make.idempotency_key(&name, "bc"), make.idempotency_key(&long, "c"));
        assert_ne!(make.api_key(&name), make.idempotency_body("", b"a"));
        assert_eq!(make.ip("::ffff:10.0.0.1".parse().unwrap()), make.ip("10.0.0.1".parse().unwrap()));
        assert_ne!(make.api_key(&name), Fingerprinter::new([8; 32]).api_key(&name));
    }
}
