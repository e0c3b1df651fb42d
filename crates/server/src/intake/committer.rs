//! The committer: appends group after group, and lets answers go once theirs is durable.

use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use holdfast_journal::{Draft, Journal, LocalJournal};

use super::{Message, Published, Reply, Shared, Unavailable};

/// A group on its way to the disk.
pub(super) struct Batch {
    pub(super) drafts: Vec<Draft>,
    pub(super) replies: Vec<Box<dyn Reply>>,
    pub(super) publish: Option<Arc<Published>>,
    pub(super) gate: Vec<crate::gate::Change>,
}

/// The committer's thread; it ends with its channel, or with the first group that cannot be written.
pub(super) struct Committer {
    pub(super) batches: mpsc::SyncSender<Batch>,
    pub(super) thread: JoinHandle<()>,
}

impl Committer {
    pub(super) fn spawn(
        journal: LocalJournal,
        shared: Arc<Shared>,
        writer: mpsc::Sender<Message>,
    ) -> std::io::Result<Self> {
        let (batches, receiver) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("committer".into())
            .spawn(move || run(journal, &shared, &writer, &receiver))?;
        Ok(Self { batches, thread })
    }
}

/// Sends every answer of a group.
pub(super) fn answer(replies: Vec<Box<dyn Reply>>, result: &Result<(), Unavailable>) {
    for reply in replies {
        reply.send(result.clone());
    }
}

fn run(
    mut journal: LocalJournal,
    shared: &Shared,
    writer: &mpsc::Sender<Message>,
    batches: &mpsc::Receiver<Batch>,
) {
    while let Ok(Batch { drafts, mut replies, publish, gate }) = batches.recv() {
        if cfg!(feature = "unsafe-early-reply") {
            answer(std::mem::take(&mut replies), &Ok(()));
            // Long enough for the answers to leave, so that the test which must notice them has something to notice.
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let started = Instant::now();
        match journal.append(&drafts) {
            Ok(head) => {
                if !drafts.is_empty() {
                    shared.metrics.commit(drafts.len(), started.elapsed());
                }
                if let Some(published) = publish {
                    shared.publish(published);
                }
                if let Some(keeper) = shared.keeper.get() {
                    keeper.apply(gate);
                }
                shared.durable.send_replace(head.sequence);
                shared.signal.raise();
                let _writer_gone = writer.send(Message::Committed);
                answer(replies, &Ok(()));
            }
            Err(error) => {
                // Whether the group is on the disk is unknown until the journal is opened again: nothing is retried.
                tracing::error!(code = error.code(), %error, "the journal cannot be written");
                drop(journal);
                let reason = error.to_string();
                answer(replies, &Err(Unavailable::Journal(reason.clone())));
                let _writer_gone = writer.send(Message::Failed(reason));
                return;
            }
        }
    }
    if let Err(error) = journal.close() {
        tracing::warn!(code = error.code(), %error, "the journal did not close well; nothing in it is lost");
    }
}
