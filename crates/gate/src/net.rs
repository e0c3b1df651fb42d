//! Addresses and networks that API keys may be used from. An IPv4 address written inside IPv6 is that IPv4 address.

use core::fmt;
use core::str::FromStr;
use std::net::{IpAddr, Ipv6Addr};

/// Why a text is no address or network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// Not an address.
    #[error("write an address (203.0.113.7, 2001:db8::1) or a network (203.0.113.0/24, 2001:db8::/32)")]
    Address,
    /// No such prefix length.
    #[error("the number behind the / is 0 to 32 for IPv4 and 0 to 128 for IPv6, without leading zeros")]
    Prefix,
    /// Bits are set behind the prefix: one network would have many spellings, and the writer may have meant another.
    #[error(
        "the address has bits set behind the prefix: write the network's first address, or the address alone"
    )]
    HostBits,
}

impl NetError {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Address => "network_address_invalid",
            Self::Prefix => "network_prefix_invalid",
            Self::HostBits => "network_host_bits",
        }
    }
}

/// A network of addresses; one address is the network with the longest prefix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpNet {
    address: IpAddr,
    prefix: u8,
}

/// How many leading bits of an IPv6 address an IPv4 address inside it does not have.
const MAPPED_BITS: u8 = 96;

impl IpNet {
    /// The network of `prefix` bits that begins at `address`.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, NetError> {
        let (address, prefix) = match (address, address.to_canonical()) {
            // ::ffff:a.b.c.d/n says something about IPv4 only from n = 96 on.
            (IpAddr::V6(_), inner @ IpAddr::V4(_)) if prefix >= MAPPED_BITS => {
                (inner, prefix.saturating_sub(MAPPED_BITS))
            }
            (given, _) => (given, prefix),
        };
        if prefix > width(address) {
            return Err(NetError::Prefix);
        }
        if bits(address) & !mask(address, prefix) != 0 {
            return Err(NetError::HostBits);
        }
        Ok(Self { address, prefix })
    }

    /// The network that holds `address` alone.
    pub fn single(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: width(address) }
    }

    /// Whether `address` lies in it. No IPv4 address lies in an IPv6 network, nor the other way round.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        width(address) == width(self.address)
            && bits(address) & mask(address, self.prefix) == bits(self.address)
    }

    /// Its first address.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits are fixed.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address as a number, from the most significant of 128 bits down.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn mask(_address: IpAddr, prefix: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(prefix))).unwrap_or(0)
}

/// The network that an address's requests are counted under: one IPv4 address, or the /64 that one IPv6 host has.
pub(crate) fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

/// The neighbourhood that tells places of use apart: /24 of IPv4, /48 of IPv6.
pub(crate) fn neighbourhood(address: IpAddr) -> u128 {
    let address = address.to_canonical();
    let prefix = if address.is_ipv4() { 24 } else { 48 };
    bits(address) & mask(address, prefix) | u128::from(width(address))
}

impl FromStr for IpNet {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let Some((address, prefix)) = text.split_once('/') else {
            return text.parse().map(Self::single).map_err(|_| NetError::Address);
        };
        let address: IpAddr = address.parse().map_err(|_| NetError::Address)?;
        let plain = (1..=3).contains(&prefix.len())
            && prefix.bytes().all(|byte| byte.is_ascii_digit())
            && (prefix == "0" || !prefix.starts_with('0'));
        let prefix = if plain { prefix.parse().ok() } else { None };
        Self::new(address, prefix.ok_or(NetError::Prefix)?)
    }
}

impl fmt::Display for IpNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == width(self.address) {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }
}

impl fmt::Debug for IpNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_what_they_say() {
        for (net, address, inside) in [
            ("203.0.113.7", "203.0.113.7", true),
            ("203.0.113.7", "203.0.113.8", false),
            ("203.0.113.0/24", "203.0.113.255", true),
            ("203.0.113.0/24", "203.0.114.0", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "203.0.113.7", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::", false),
            // IPv4 inside IPv6 is IPv4, on both sides.
            ("203.0.113.7", "::ffff:203.0.113.7", true),
            ("::ffff:203.0.113.7", "203.0.113.7", true),
            ("::ffff:203.0.113.0/120", "203.0.113.9", true),
            ("2001:db8::/32", "::ffff:203.0.113.7", false),
        ] {
            let parsed: IpNet = net.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), inside, "{address} in {net}");
        }
    }

    #[test]
    fn networks_have_one_spelling() {
        for text in ["203.0.113.7", "203.0.113.0/24", "0.0.0.0/0", "::/0", "2001:db8::/32", "2001:db8::1"] {
            assert_eq!(text.parse::<IpNet>().unwrap().to_string(), text);
        }
        assert_eq!("::ffff:203.0.113.0/120".parse::<IpNet>().unwrap().to_string(), "203.0.113.0/24");
        assert_eq!("203.0.113.7/32".parse::<IpNet>().unwrap().to_string(), "203.0.113.7");
        for (text, error) in [
            ("", NetError::Address),
            ("203.0.113", NetError::Address),
            ("203.0.113.07", NetError::Address),
            ("203.0.113.0/33", NetError::Prefix),
            ("203.0.113.0/024", NetError::Prefix),
            ("203.0.113.0/+24", NetError::Prefix),
            ("203.0.113.0/", NetError::Prefix),
            ("::/129", NetError::Prefix),
            ("203.0.113.7/24", NetError::HostBits),
            ("2001:db8::1/32", NetError::HostBits),
        ] {
            assert_eq!(text.parse::<IpNet>(), Err(error), "{text}");
        }
    }

    #[test]
    fn one_ipv6_host_cannot_count_as_many() {
        let of = |text: &str| counted(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("203.0.113.7"), of("203.0.113.8"));
        assert_eq!(of("::ffff:203.0.113.7"), of("203.0.113.7"));
    }
}
