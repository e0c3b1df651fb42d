//! Where addresses are, by files in MaxMind's format that the operator provides. Without files nothing is known, which is
//! not an error: policies see that a place was not reported.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use maxminddb::{Reader, path};

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {message}: give a file in MaxMind's format, of countries (or cities) or of autonomous systems", path.display())]
pub struct GeoError {
    path: PathBuf,
    message: String,
}

/// What is known of an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// ISO 3166-1 alpha-2.
    pub country: Option<[u8; 2]>,
    /// Autonomous system.
    pub asn: Option<u32>,
}

/// The operator's files, read whole.
#[derive(Default)]
pub struct Geo {
    countries: Option<Reader<Vec<u8>>>,
    systems: Option<Reader<Vec<u8>>>,
}

impl core::fmt::Debug for Geo {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Geo")
            .field("countries", &self.countries.is_some())
            .field("systems", &self.systems.is_some())
            .finish()
    }
}

fn open(path: &Path) -> Result<Reader<Vec<u8>>, GeoError> {
    Reader::open_readfile(path)
        .map_err(|error| GeoError { path: path.to_owned(), message: error.to_string() })
}

impl Geo {
    /// Reads the files that are named.
    ///
    /// # Errors
    /// A file that cannot be read, or is of another format.
    pub fn open(countries: Option<&Path>, systems: Option<&Path>) -> Result<Self, GeoError> {
        Ok(Self { countries: countries.map(open).transpose()?, systems: systems.map(open).transpose()? })
    }

    /// What the files say of an address. A record that does not read is one that is not there.
    #[must_use]
    pub fn look_up(&self, ip: IpAddr) -> Known {
        let ip = ip.to_canonical();
        let country = self.countries.as_ref().and_then(|reader| {
            let found: Option<String> =
                reader.lookup(ip).ok()?.decode_path(&path!["country", "iso_code"]).ok()?;
            <[u8; 2]>::try_from(found?.as_bytes()).ok()
        });
        let asn = self.systems.as_ref().and_then(|reader| {
            reader.lookup(ip).ok()?.decode_path(&path!["autonomous_system_number"]).ok()?
        });
        Known { country, asn }
    }
}
