//! Reads SQLite's write-ahead log before SQLite does. Read-only, and of the file format alone.
//!
//! SQLite takes the frames up to the first one that does not check and silently forgets the rest. After a power cut that
//! is right: the rest was never acknowledged. After a flipped byte it would silently cut acknowledged records, and put
//! older pages over newer ones. The log mostly tells the two apart, because a transaction is synced before the next one
//! is written: whatever follows a commit of the current generation proves that this commit had reached the disk.
//! The format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::JournalError;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const MAGIC: u32 = 0x377f_0682;
const VERSION: u32 = 3_007_000;
const PAGE_BYTES: std::ops::RangeInclusive<u32> = 512..=65_536;

/// What a write-ahead log holds beyond what SQLite will take from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing.
    Clean,
    /// The frames of one last transaction, not whole. Either its sync never returned, so that it was never
    /// acknowledged, or it was damaged later: the log alone cannot tell.
    Torn {
        /// The first frame that does not check, from 1.
        frame: u64,
        /// Whether the transaction's commit frame is there: without it, it cannot have been acknowledged, unless the
        /// damage is in the mark of the commit itself.
        committed: bool,
    },
}

/// Reads the log and says what SQLite would leave out.
///
/// # Errors
/// [`JournalError::Damaged`] if that would include a transaction that had reached the disk.
pub(crate) fn scan(path: &Path) -> Result<Tail, JournalError> {
    let fail = |e: io::Error| JournalError::from_io(path, &e);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Tail::Clean),
        Err(e) => return Err(fail(e)),
    };
    let length = file.metadata().map_err(fail)?.len();
    if length <= HEADER_BYTES as u64 {
        return Ok(Tail::Clean);
    }
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let mut header = [0; HEADER_BYTES];
    reader.read_exact(&mut header).map_err(fail)?;
    let damaged = |what: String| JournalError::Damaged { file: path.to_owned(), what };
    // SQLite syncs the header before it writes the first frame: a bad one in front of frames is damage.
    let header = Header::parse(&header).ok_or_else(|| damaged("its header does not check".to_owned()))?;
    let tail = follow(&mut reader, &header).map_err(fail)?;
    match tail {
        Ok(tail) => Ok(tail),
        Err(frame) => {
            let size = u64::from(header.page_bytes).saturating_add(FRAME_HEADER_BYTES as u64);
            let offset = frame.saturating_sub(1).saturating_mul(size).saturating_add(HEADER_BYTES as u64);
            Err(damaged(format!(
                "frame {frame} (at byte {offset}) does not check, yet committed frames lie there"
            )))
        }
    }
}

struct Header {
    big_endian: bool,
    page_bytes: u32,
    salts: u64,
    sums: (u32, u32),
}

impl Header {
    fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let magic = word(bytes, 0);
        let page_bytes = word(bytes, 8);
        if magic & !1 != MAGIC || word(bytes, 4) != VERSION {
            return None;
        }
        if !page_bytes.is_power_of_two() || !PAGE_BYTES.contains(&page_bytes) {
            return None;
        }
        let big_endian = magic & 1 == 1;
        let sums = checksum(big_endian, bytes.get(..24)?, (0, 0));
        let salts = (u64::from(word(bytes, 16)) << 32) | u64::from(word(bytes, 20));
        (sums == (word(bytes, 24), word(bytes, 28))).then_some(Self { big_endian, page_bytes, salts, sums })
    }
}

/// Follows the frames; the inner error is the first frame of damage.
fn follow(reader: &mut impl Read, header: &Header) -> io::Result<Result<Tail, u64>> {
    let mut frame = vec![0; FRAME_HEADER_BYTES.saturating_add(header.page_bytes as usize)];
    let mut sums = header.sums;
    let mut number = 0_u64;
    let mut first_bad = None;
    // Frames of the current generation after the last valid commit, by what is known of their commits.
    let (mut bad_commits, mut after_bad_commit) = (0_u32, false);
    let mut seen_current = false;
    loop {
        let read = read_up_to(reader, &mut frame)?;
        if read == 0 {
            break;
        }
        number = number.saturating_add(1);
        if read < FRAME_HEADER_BYTES {
            seen_current |= first_bad.is_none();
            first_bad.get_or_insert(number);
            break;
        }
        let whole = read == frame.len();
        let (head, page) = frame.split_at(FRAME_HEADER_BYTES);
        let current = (u64::from(word(head, 8)) << 32) | u64::from(word(head, 12)) == header.salts;
        let commit = word(head, 4) != 0;
        if first_bad.is_none() {
            let next = checksum(header.big_endian, head.get(..8).unwrap_or_default(), sums);
            let next = checksum(header.big_endian, page, next);
            let checks = whole && next == (word(head, 16), word(head, 20));
            if checks && current && word(head, 0) != 0 {
                sums = next;
                continue;
            }
            if checks {
                // Its sum continues the log, so it belongs to it: only its generation was altered, which no sum covers.
                return Ok(Err(number));
            }
            first_bad = Some(number);
        }
        if current {
            seen_current = true;
            after_bad_commit |= bad_commits > 0;
            bad_commits = bad_commits.saturating_add(u32::from(commit));
        }
        if !whole {
            break;
        }
    }
    Ok(match first_bad {
        Some(bad) if after_bad_commit => Err(bad),
        Some(frame) if seen_current => Ok(Tail::Torn { frame, committed: bad_commits > 0 }),
        _ => Ok(Tail::Clean),
    })
}

/// Fills the buffer as far as the file goes.
fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0_usize;
    while let Some(rest) = buffer.get_mut(filled..).filter(|r| !r.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(n) => filled = filled.saturating_add(n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_be_bytes(*b))
}

/// SQLite's running checksum over pairs of words.
fn checksum(big_endian: bool, bytes: &[u8], (mut a, mut b): (u32, u32)) -> (u32, u32) {
    let number = |b: [u8; 4]| if big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) };
    let (words, _) = bytes.as_chunks::<4>();
    let (pairs, _) = words.as_chunks::<2>();
    for [first, second] in pairs {
        a = a.wrapping_add(number(*first)).wrapping_add(b);
        b = b.wrapping_add(number(*second)).wrapping_add(a);
    }
    (a, b)
}
