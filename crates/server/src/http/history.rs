//! Every policy that ever decided, as the journal tells it.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::history::Era;
use crate::problem::Problem;

use super::Shared;
use super::reply::At;

/// How many records are read at a time: others may want the reader between.
const BATCH: usize = 1_024;

/// Every policy so far.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct HistoryReply {
    /// Oldest first; the last one decides.
    policies: Vec<Era>,
}

#[utoipa::path(
    get, path = "/v1/policy/history", tag = "controls", summary = "Every policy that ever decided",
    description = "Since when, on whose word, why. Each signature is verified again. Read from the journal, so that the first \
                   answer after a start may take a while.",
    responses((status = 200, body = HistoryReply)),
)]
pub(super) async fn history(State(app): State<Shared>) -> Result<At<HistoryReply>, Problem> {
    let durable = *app.intake.durable().borrow();
    let read = move || {
        let internal = |error: &dyn core::fmt::Display| {
            tracing::error!(%error, "the history of policies cannot be read");
            Problem::new("internal").detail("the journal cannot be read")
        };
        let poisoned = |_| Problem::new("internal");
        let mut history = app.history.lock().map_err(|_| Problem::new("internal"))?;
        while history.last() < durable {
            let next = history.last().saturating_add(1);
            let journal = app.journal.lock().map_err(poisoned)?;
            let records = journal.read(next, BATCH).map_err(|error| internal(&error))?;
            drop(journal);
            if records.is_empty() {
                break;
            }
            for record in &records {
                history.take(record).map_err(|error| internal(&error))?;
            }
        }
        Ok::<_, Problem>((history.last(), history.eras().to_vec()))
    };
    let (sequence, policies) =
        tokio::task::spawn_blocking(read).await.map_err(|_| Problem::new("internal"))??;
    Ok(At::ok(sequence, HistoryReply { policies }))
}
