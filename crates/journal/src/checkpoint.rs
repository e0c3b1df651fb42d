//! A position of a journal as a small text file: what an auditor keeps elsewhere, and the journal's own mark of what it
//! acknowledged.
//!
//! ```text
//! holdfast-checkpoint/v1
//! journal: 00112233445566778899aabbccddeeff
//! sequence: 1234
//! hash: 64 hexadecimal digits
//! ```

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use crate::{Head, JournalError, JournalId};

const FIRST_LINE: &str = "holdfast-checkpoint/v1";
/// Far more than a checkpoint has.
const MAX_BYTES: u64 = 1024;

/// A position of one journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The journal.
    pub journal: JournalId,
    /// The position in it.
    pub head: Head,
}

/// The text is not a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a checkpoint: expected the four lines holdfast-checkpoint/v1, journal:, sequence:, hash:")]
pub struct NotACheckpoint;

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\njournal: {}\nsequence: {}", self.journal, self.head.sequence)?;
        f.write_str("hash: ")?;
        self.head.hash.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        writeln!(f)
    }
}

impl FromStr for Checkpoint {
    type Err = NotACheckpoint;

    fn from_str(text: &str) -> Result<Self, NotACheckpoint> {
        let mut lines = text.strip_suffix('\n').ok_or(NotACheckpoint)?.split('\n');
        let mut field = |name: &str| lines.next().and_then(|l| l.strip_prefix(name)).ok_or(NotACheckpoint);
        if !field(FIRST_LINE)?.is_empty() {
            return Err(NotACheckpoint);
        }
        let journal = JournalId(hex(field("journal: ")?).ok_or(NotACheckpoint)?);
        let sequence = field("sequence: ")?.parse().map_err(|_| NotACheckpoint)?;
        let hash = hex(field("hash: ")?).ok_or(NotACheckpoint)?;
        let parsed = Self { journal, head: Head { sequence, hash } };
        // One spelling only: signs and leading zeros of the sequence, capitals and further lines are refused.
        if parsed.to_string() == text { Ok(parsed) } else { Err(NotACheckpoint) }
    }
}

impl Checkpoint {
    /// Reads a checkpoint file.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] if it is none, or what the system says.
    pub fn read(path: &Path) -> Result<Self, JournalError> {
        let mut text = String::new();
        let damaged = || JournalError::Damaged { file: path.to_owned(), what: NotACheckpoint.to_string() };
        let file = File::open(path).map_err(|e| JournalError::from_io(path, &e))?;
        file.take(MAX_BYTES).read_to_string(&mut text).map_err(|_| damaged())?;
        text.parse().map_err(|_| damaged())
    }
}

/// Exactly `N` bytes from lower-case hexadecimal digits.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != N {
        return None;
    }
    let digit = |c: u8| (c as char).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads_one_spelling() {
        let head = Head { sequence: 42, hash: [0xab; 32] };
        let text = Checkpoint { journal: JournalId([1; 16]), head }.to_string();
        assert_eq!(text.parse::<Checkpoint>().unwrap().head, head);
        let bad = [
            text.replace("v1", "v2"),
            text.replace(": 42", ": 042"),
            text.replace(": 42", ": +42"),
            text.replace("ab", "AB"),
            text.replace("abab", "ab"),
            text.trim_end().to_owned(),
            format!("{text}\n"),
            text.replace('\n', "\r\n"),
            String::new(),
        ];
        for text in bad {
            assert_eq!(text.parse::<Checkpoint>(), Err(NotACheckpoint), "{text:?}");
        }
    }
}
