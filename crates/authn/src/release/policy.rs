//! What Holdfast tells signers about its policy: the operators' texts that moved it, or will. Whether a signer follows is
//! the signer's to judge; what tightens is decided by the two packs themselves.

use holdfast_values::Timestamp;
use holdfast_values::texts::ExchangeName;

use super::acts::SignedAct;
use super::envelope::Kind;
use super::wire::{self, Fault, PayloadError, Reader, Wire, Writer};

/// Most files of a pack.
pub const FILES_MAX: usize = 256;
/// Longest name of a file, in bytes.
pub const FILE_NAME_BYTES_MAX: usize = 64;
/// Longest text of a file, in bytes.
pub const FILE_BYTES_MAX: usize = 256 << 10;

/// The files of a pack: names and texts, in ascending order of their names.
pub type PackFiles = Vec<(String, String)>;

/// One step from a policy to the next, for every signer of the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyStep {
    /// The exchange.
    pub exchange: ExchangeName,
    /// The journal's record that accepted, or stopped, it.
    pub sequence: u64,
    /// That record's time. A signer goes by its own clock; only one with a simulated clock has no other.
    pub at: Timestamp,
    /// The operators' text, whose act is `approve_policy`, `tighten_policy` or `restore_policy`.
    pub act: SignedAct,
    /// Its author's proposal, act `propose_policy`; only beside an approval.
    pub proposal: Option<SignedAct>,
    /// The files of the policy that begins; only of one that tightens.
    pub files: PackFiles,
    /// The files of the policy before; only of one that tightens.
    pub from_files: PackFiles,
    /// The step was stopped before it was made: it never counts.
    pub stopped: bool,
}

impl PolicyStep {
    /// The payload. What is over a limit is written too, and then refused by [`parse`](Self::parse).
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::to_bytes(self)
    }

    /// Exactly what [`to_bytes`](Self::to_bytes) gives, within the limits of the format. Texts and files are not parsed.
    pub fn parse(bytes: &[u8]) -> Result<Self, PayloadError> {
        wire::parse(Kind::Policy, bytes)
    }
}

impl Wire for PolicyStep {
    fn write(&self, w: &mut Writer) {
        w.map(8);
        w.key(1).printed(&self.exchange);
        w.key(2).uint(self.sequence);
        w.key(3).uint(self.at.0);
        self.act.write(w.key(4));
        w.key(5).option(self.proposal.as_ref(), |w, proposal| proposal.write(w));
        w.key(6).list(&self.files, write_file);
        w.key(7).list(&self.from_files, write_file);
        w.key(8).bool(self.stopped);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.map(8)?;
        Ok(Self {
            exchange: r.key(1, "exchange")?.parsed()?,
            sequence: r.key(2, "sequence")?.uint()?,
            at: Timestamp(r.key(3, "at")?.uint()?),
            act: SignedAct::read(r.key(4, "act")?)?,
            proposal: r.key(5, "proposal")?.option(SignedAct::read)?,
            files: read_files(r.key(6, "files")?)?,
            from_files: read_files(r.key(7, "files before")?)?,
            stopped: r.key(8, "stopped")?.bool()?,
        })
    }
}

fn write_file(w: &mut Writer, (name, text): &(String, String)) {
    w.map(2);
    w.key(1).text(name);
    w.key(2).text(text);
}

/// No two files have one name: a reader must not have to choose.
fn read_files(r: &mut Reader<'_>) -> Result<PackFiles, Fault> {
    let files = r.list(FILES_MAX, |r| {
        r.map(2)?;
        let name = r.key(1, "name of a file")?.text(FILE_NAME_BYTES_MAX)?.to_owned();
        let text = r.key(2, "text of a file")?.text(FILE_BYTES_MAX)?.to_owned();
        if name.is_empty() { Err(Fault::Value) } else { Ok((name, text)) }
    })?;
    if files.is_sorted_by(|(one, _), (next, _)| one < next) { Ok(files) } else { Err(Fault::Value) }
}
