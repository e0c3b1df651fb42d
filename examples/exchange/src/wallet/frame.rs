//! What the two processes say to each other on the Unix socket: frames of a length and bytes. A request is a release and a
//! transaction; an answer is a byte and two frames.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// The longest frame: a release of the largest size.
const FRAME_BYTES_MAX: u32 = 12 << 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the keys say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The final transaction and the signer's receipt.
    Signed { transaction: Vec<u8>, receipt: Vec<u8> },
    /// No: the signer's or the keys' code, and why; and the one withdrawal without which, or without whose owner's word,
    /// it may be yes.
    Refused { code: String, text: String, withdrawal: Option<String> },
    /// Nobody knows: the signer was not reached. Asking again is safe.
    Unknown { text: String },
}

/// Writes one frame.
pub(crate) fn write(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= FRAME_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(bytes)
}

/// Reads one frame; `None` if the other side has ended.
pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    if from.read(length.split_at_mut(1).0)? == 0 {
        return Ok(None);
    }
    from.read_exact(length.split_at_mut(1).1)?;
    let length = u32::from_be_bytes(length);
    if length > FRAME_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut bytes)?;
    if bytes.len() == usize::try_from(length).unwrap_or(usize::MAX) {
        Ok(Some(bytes))
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Asks the keys, once.
pub(crate) fn ask(socket: &Path, release: &[u8], transaction: &[u8]) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write(&mut stream, release)?;
    write(&mut stream, transaction)?;
    stream.flush()?;
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    let mut next = || read(&mut stream)?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    match kind {
        [0] => Ok(Answer::Signed { transaction: next()?, receipt: next()? }),
        [1] => Ok(Answer::Refused {
            code: text(next()?),
            text: text(next()?),
            withdrawal: Some(text(next()?)).filter(|withdrawal| !withdrawal.is_empty()),
        }),
        [2] => Ok(Answer::Unknown { text: text(next()?) }),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Writes an answer.
pub(crate) fn answer(to: &mut impl Write, answer: &Answer) -> io::Result<()> {
    match answer {
        Answer::Signed { transaction, receipt } => {
            to.write_all(&[0])?;
            write(to, transaction)?;
            write(to, receipt)?;
        }
        Answer::Refused { code, text, withdrawal } => {
            to.write_all(&[1])?;
            write(to, code.as_bytes())?;
            write(to, text.as_bytes())?;
            write(to, withdrawal.as_deref().unwrap_or_default().as_bytes())?;
        }
        Answer::Unknown { text } => {
            to.write_all(&[2])?;
            write(to, text.as_bytes())?;
        }
    }
    to.flush()
}
