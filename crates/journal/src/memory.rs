//! A journal in memory, for tests and simulations: the same contract, no durability.

use crate::{Draft, Head, Journal, JournalError, JournalId, Record, chain};

/// A journal in memory.
#[derive(Clone, Debug)]
pub struct MemoryJournal {
    id: JournalId,
    records: Vec<Record>,
}

impl MemoryJournal {
    /// An empty journal of that id.
    #[must_use]
    pub const fn new(id: JournalId) -> Self {
        Self { id, records: Vec::new() }
    }
}

impl Journal for MemoryJournal {
    fn id(&self) -> JournalId {
        self.id
    }

    fn head(&self) -> Head {
        self.records.last().map_or_else(|| chain::genesis(self.id), Record::head)
    }

    fn append(&mut self, group: &[Draft]) -> Result<Head, JournalError> {
        chain::check_group(self.head(), group)?;
        let mut head = self.head();
        let mut buffer = Vec::new();
        for draft in group {
            let record = chain::seal(head, draft, &mut buffer);
            head = record.head();
            self.records.push(record);
        }
        Ok(head)
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Record>, JournalError> {
        let skip = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        let mut bytes = 0_usize;
        Ok(self
            .records
            .iter()
            .skip(skip)
            .take(limit)
            .take_while(|r| {
                let first = bytes == 0;
                bytes = bytes.saturating_add(chain::weight(r));
                first || bytes <= chain::MAX_READ_BYTES
            })
            .cloned()
            .collect())
    }
}
