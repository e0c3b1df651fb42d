//! Networks: homes, mobile carriers whose customers share addresses, offices, commercial VPNs, rented servers.
//!
//! Numbers of autonomous systems are those of real carriers, so that lists of hosting networks find what they would find.
//! Which addresses they have is made up: outside every special range, the same for the same number.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::ids::mix;
use super::odds;
use crate::draw::Draw;

/// A country: share of customers, fixed and mobile carriers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Country {
    /// ISO 3166-1 alpha-2.
    pub(super) code: &'static str,
    weight: u32,
    /// Hours ahead of UTC.
    pub(super) ahead: i8,
    fixed: &'static [u32],
    mobile: &'static [u32],
}

const fn country(
    code: &'static str,
    weight: u32,
    ahead: i8,
    fixed: &'static [u32],
    mobile: &'static [u32],
) -> Country {
    Country { code, weight, ahead, fixed, mobile }
}

/// Where customers live: an exchange with its centre in Europe.
const COUNTRIES: [Country; 16] = [
    country("DE", 170, 1, &[3320, 3209, 6830, 8881], &[6805, 3209, 3320]),
    country("FR", 130, 1, &[3215, 12322, 15557, 5410], &[51207, 21502, 3215]),
    country("GB", 130, 0, &[2856, 5089, 5607, 13285], &[12576, 60339, 25135]),
    country("IT", 90, 1, &[3269, 30722, 12874], &[24608, 16232, 30722]),
    country("ES", 90, 1, &[3352, 12479, 12430], &[12430, 12479, 3352]),
    country("NL", 70, 1, &[1136, 33915, 50266], &[31615, 1136, 33915]),
    country("PL", 60, 1, &[5617, 12912, 21021], &[8374, 39603, 5617]),
    country("TR", 60, 3, &[9121, 34984, 15924], &[16135, 15897, 20978]),
    country("CH", 30, 1, &[3303, 6730, 13030], &[3303, 15796]),
    country("AT", 30, 1, &[8447, 6830, 8412], &[8447, 25255]),
    country("PT", 30, 0, &[3243, 2860, 12353], &[42863, 12353, 2860]),
    country("SE", 30, 1, &[3301, 39651, 8473], &[3301, 1257, 44034]),
    country("AE", 20, 4, &[5384, 15802], &[5384, 15802]),
    country("BR", 20, -3, &[28573, 18881, 27699], &[26599, 26615, 22085]),
    country("NG", 20, 1, &[37282, 36873], &[29465, 37148, 36873]),
    country("VN", 20, 7, &[45899, 7552, 18403], &[7552, 45899]),
];
/// Whom commercial VPNs rent from.
const VPN: [u32; 5] = [9009, 60068, 212_238, 136_787, 62_240];
/// Rented servers.
const HOSTING: [u32; 7] = [24_940, 16_276, 14_061, 16_509, 20_473, 63_949, 396_982];
/// The carrier of [`super::Extreme::Nat`].
const NAT: u32 = 6805;

/// An address with what the world knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) country: u8,
    pub(super) asn: u32,
    ip: Ip,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ip {
    V4(u32),
    V6(u128),
}

impl Place {
    pub(super) fn ip(&self) -> Box<str> {
        match self.ip {
            Ip::V4(bits) => Ipv4Addr::from_bits(bits).to_string().into(),
            Ip::V6(bits) => Ipv6Addr::from_bits(bits).to_string().into(),
        }
    }

    pub(super) fn country(&self) -> &'static str {
        of(self.country).code
    }
}

/// A country by its place in the list.
pub(super) fn of(place: u8) -> Country {
    let [first, ..] = COUNTRIES;
    COUNTRIES.get(usize::from(place)).copied().unwrap_or(first)
}

/// Somebody's connections. A household has one of these.
#[derive(Clone, Copy, Debug)]
pub(super) struct Home {
    /// Who shares it.
    pub(super) household: u32,
    /// The office, counted from 1; 0: none.
    pub(super) office: u16,
    /// So many days one address lasts.
    lease: u16,
    pub(super) country: u8,
    fixed: u8,
    mobile: u8,
    is_v6: bool,
    /// 0: never, 1: at times, 2: always.
    pub(super) vpn: u8,
}

/// How many share what: the larger the exchange, the more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Networks {
    seed: u64,
    /// Public addresses of each mobile carrier.
    nat: u32,
    /// Exits of all VPNs.
    exits: u32,
    /// Offices.
    offices: u32,
}

impl Networks {
    /// About 25 accounts on an address of a large carrier, 150 on an exit, 15 in an office.
    pub(super) fn new(seed: u64, accounts: u32) -> Self {
        let seed = mix(seed ^ 0x6e65_7477_6f72_6b73);
        let part = |share: u32, least: u32| (accounts / share).clamp(least, 4_096);
        Self { seed, nat: part(600, 2), exits: part(1_000, 4), offices: part(120, 3) }
    }

    /// The connections of a household.
    pub(super) fn home(&self, draw: &mut Draw, household: u32) -> Home {
        let place = odds::weighted(draw, COUNTRIES.iter().map(|country| country.weight));
        let country = u8::try_from(place).unwrap_or(0);
        let lease = match odds::below(draw, 10) {
            0 | 1 => 1,
            2..=5 => 30,
            _ => 365,
        };
        Home {
            household,
            office: 0,
            lease,
            country,
            fixed: odds::below(draw, 4) as u8,
            mobile: odds::below(draw, 3) as u8,
            is_v6: odds::chance(draw, 0.3),
            vpn: 0,
        }
    }

    /// An office for somebody, counted from 1.
    pub(super) fn office_for(&self, draw: &mut Draw) -> u16 {
        u16::try_from(odds::below(draw, self.offices)).unwrap_or(0).saturating_add(1)
    }

    fn hash(&self, what: u64, which: u64) -> u64 {
        mix(mix(self.seed ^ what).wrapping_add(which))
    }

    /// At home on a day.
    pub(super) fn at_home(&self, home: Home, day: u32) -> Place {
        let asn = carrier(of(home.country).fixed, home.fixed);
        let lease = u64::from(day / u32::from(home.lease.max(1)));
        let host = self.hash(1, u64::from(home.household) << 16 | lease);
        // A device changes the last half of its address daily, on its own.
        let ip = if home.is_v6 { v6(asn, host, self.hash(2, host ^ u64::from(day))) } else { v4(asn, host) };
        Place { country: home.country, asn, ip }
    }

    /// Behind any mobile carrier of a country.
    pub(super) fn mobile(&self, draw: &mut Draw, country: u8) -> Place {
        let nth = odds::below(draw, 3) as u8;
        self.behind(draw, country, nth)
    }

    /// Behind a mobile carrier: another of its addresses each time.
    fn behind(&self, draw: &mut Draw, country: u8, carrier_of: u8) -> Place {
        let asn = carrier(of(country).mobile, carrier_of);
        let host = self.hash(3, u64::from(asn) << 20 | u64::from(odds::below(draw, self.nat)));
        Place { country, asn, ip: v4(asn, host) }
    }

    /// With one's own mobile carrier.
    pub(super) fn own_mobile(&self, draw: &mut Draw, home: Home) -> Place {
        self.behind(draw, home.country, home.mobile)
    }

    /// At an office.
    pub(super) fn at_office(&self, home: Home) -> Place {
        let hash = self.hash(4, u64::from(home.office));
        let asn = carrier(of(home.country).fixed, hash as u8 % 4);
        Place { country: home.country, asn, ip: v4(asn, hash >> 8) }
    }

    /// Out of a VPN.
    pub(super) fn vpn(&self, draw: &mut Draw) -> Place {
        let hash = self.hash(5, u64::from(odds::below(draw, self.exits)));
        let asn = carrier(&VPN, hash as u8);
        let country = (hash >> 8) as u8 % COUNTRIES.len() as u8;
        Place { country, asn, ip: v4(asn, hash >> 16) }
    }

    /// A server of somebody's.
    pub(super) fn server(&self, whose: u64, country: u8) -> Place {
        let hash = self.hash(6, whose);
        let asn = carrier(&HOSTING, hash as u8);
        Place { country, asn, ip: v4(asn, hash >> 8) }
    }

    /// Anybody's broadband in a country.
    pub(super) fn anybody(&self, draw: &mut Draw, country: u8) -> Place {
        let asn = carrier(of(country).fixed, odds::below(draw, 4) as u8);
        let host = self.hash(7, u64::from(odds::below(draw, u32::MAX)));
        let ip = if odds::chance(draw, 0.3) { v6(asn, host, mix(host)) } else { v4(asn, host) };
        Place { country, asn, ip }
    }

    /// Behind the four addresses of a carrier that has run out of them.
    pub(super) fn crowded(&self, draw: &mut Draw) -> Place {
        let host = self.hash(8, u64::from(odds::below(draw, 4)));
        Place { country: 0, asn: NAT, ip: v4(NAT, host) }
    }

    /// A country as customers have it.
    pub(super) fn country(&self, draw: &mut Draw) -> u8 {
        u8::try_from(odds::weighted(draw, COUNTRIES.iter().map(|country| country.weight))).unwrap_or(0)
    }

    /// The place of a country in the list.
    pub(super) fn country_named(&self, code: &str) -> Option<u8> {
        let place = COUNTRIES.iter().position(|country| country.code == code)?;
        u8::try_from(place).ok()
    }
}

fn carrier(of: &[u32], nth: u8) -> u32 {
    let nth = usize::from(nth).checked_rem(of.len()).unwrap_or(0);
    of.get(nth).copied().unwrap_or(NAT)
}

/// An address in the carrier's made-up block of a million.
fn v4(asn: u32, host: u64) -> Ip {
    /// First bytes that hold special ranges.
    const SPECIAL: [u8; 8] = [10, 100, 127, 169, 172, 192, 198, 203];
    let block = mix(u64::from(asn) ^ 0x0069_7076_3462_6c6b);
    let mut first = (block % 222) as u8 + 1;
    while SPECIAL.contains(&first) {
        first += 1;
    }
    let second = (block >> 8) as u32 & 0xf0;
    Ip::V4(u32::from(first) << 24 | second << 16 | (host as u32 & 0x000f_ffff))
}

/// An address in the carrier's made-up /32, in a /64 of somebody's.
fn v6(asn: u32, subnet: u64, device: u64) -> Ip {
    let prefix = 0x2a00_0000 | (mix(u64::from(asn)) as u32 & 0x000f_ffff);
    Ip::V6(u128::from(prefix) << 96 | u128::from(subnet as u32) << 64 | u128::from(device))
}
