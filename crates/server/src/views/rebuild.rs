//! Throwing the views away and folding them again from the journal's first record.

use std::path::Path;

use holdfast_journal::{Head, LocalJournal};

use super::{ViewsError, follow, schema};

/// What a rebuild made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// The last record in the views.
    pub head: Head,
}

/// Makes the views of `dir` anew. `progress` is told the sequence reached and the journal's head.
///
/// Takes the journal's lock, so that no server follows the same journal. Views that have seen more than the journal has
/// are evidence of a cut: they are thrown away only with `force`.
///
/// # Errors
/// [`ViewsError::JournalCut`] without `force`, otherwise what the journal or the database says.
pub fn rebuild(dir: &Path, force: bool, mut progress: impl FnMut(u64, u64)) -> Result<Rebuilt, ViewsError> {
    let journal = LocalJournal::open(dir, None)?;
    let reader = journal.reader()?;
    let path = schema::path(dir);
    if path.exists() && !force {
        // Unreadable views know nothing that could be lost.
        if let Ok(seen) = schema::seen(&path) {
            follow::check(seen.journal, seen.head, &reader)?;
        }
    }
    schema::remove(&path)?;
    let mut projection = follow::open(dir, &reader)?;
    let end = reader.head()?.sequence;
    while follow::step(&mut projection, &reader)? > 0 {
        progress(projection.head().sequence, end);
    }
    let head = projection.head();
    projection.close()?;
    Ok(Rebuilt { head })
}
