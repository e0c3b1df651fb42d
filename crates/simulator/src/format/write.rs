//! Writing a file of events, as it is read.

use std::io;

use serde::Serialize;

use super::{Body, Entry, FORMAT};

#[derive(Serialize)]
struct Line<'a> {
    at: At,
    id: &'a str,
    #[serde(flatten)]
    body: &'a Body,
}

struct At(holdfast_values::Timestamp);

impl Serialize for At {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

/// Writes the first line of a file.
///
/// # Errors
/// If it cannot be written.
pub fn write_head(to: &mut impl io::Write) -> io::Result<()> {
    writeln!(to, "{{\"format\":\"{FORMAT}\"}}")
}

impl Entry {
    /// Writes the entry's line, with its end.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, to: &mut impl io::Write) -> io::Result<()> {
        let line = Line { at: At(self.at), id: &self.id, body: &self.body };
        serde_json::to_writer(&mut *to, &line).map_err(io::Error::from)?;
        to.write_all(b"\n")
    }
}
