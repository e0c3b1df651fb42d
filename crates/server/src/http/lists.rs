//! Lists: answered from the views, newest first, page by page, and saying which sequence they are as of.
#![expect(unused_qualifications, reason = "the code that utoipa generates for query parameters")]

use std::time::Duration;

use axum::extract::{Path, State};
use holdfast_decision::event::{Standing, Status};
use holdfast_values::{AccountId, Name, WithdrawalId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;
use crate::views::{CaseFilter, PAGE_ROWS_MAX, Page, TransactionFilter, Views, ViewsError, WithdrawalFilter};

use super::Shared;
use super::body::{self, Parameters};
use super::reply::At;

/// How long a read waits for the views to reach what it wants to see.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// The length of a page if nothing is said.
const PAGE_ROWS: u32 = 50;

/// One page, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ListReply {
    /// The rows.
    items: Vec<Value>,
    /// Where the next page begins; none if this is the last.
    next_cursor: Option<String>,
    /// The last record that this list has seen.
    as_of: u64,
}

fn list<T: Serialize>(page: Page<T>) -> Result<At<ListReply>, Problem> {
    let items = page.rows.iter().map(serde_json::to_value).collect::<Result<_, _>>();
    let items = items.map_err(|_| Problem::new("internal"))?;
    Ok(At::ok(page.as_of, ListReply { items, next_cursor: page.next, as_of: page.as_of }))
}

/// Reads the views, if wanted only after they have seen a sequence.
pub(super) async fn read<T: Send + 'static>(
    app: &Shared,
    wanted: Option<u64>,
    query: impl FnOnce(&Views) -> Result<T, ViewsError> + Send + 'static,
) -> Result<T, Problem> {
    if let Some(sequence) = wanted {
        app.views.wait_for(sequence, WAIT_MAX).await.map_err(|error| problem(&error))?;
    }
    let views = std::sync::Arc::clone(&app.views);
    let found = tokio::task::spawn_blocking(move || query(&views)).await;
    found.map_err(|_| Problem::new("internal"))?.map_err(|error| problem(&error))
}

fn problem(error: &ViewsError) -> Problem {
    match error {
        ViewsError::Cursor => Problem::new("cursor_invalid").field("cursor"),
        ViewsError::Behind { .. } => Problem::new("views_behind").detail(error),
        error => {
            tracing::error!(%error, "the views cannot answer");
            Problem::new("views_unavailable")
        }
    }
}

fn limit(limit: Option<u32>) -> Result<u32, Problem> {
    match limit.unwrap_or(PAGE_ROWS) {
        limit @ 1..=PAGE_ROWS_MAX => Ok(limit),
        _ => Err(Problem::new("query_invalid").field("limit").detail(format!("1 to {PAGE_ROWS_MAX}"))),
    }
}

/// Which withdrawals.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[into_params(parameter_in = Query)]
pub(super) struct WithdrawalsQuery {
    /// Of this account.
    account: Option<String>,
    /// That stand there.
    status: Option<String>,
    /// Rows on a page, 1 to 500; 50 if absent.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait up to a second until the list has seen this record.
    min_sequence: Option<u64>,
}

#[utoipa::path(
    get, path = "/v1/withdrawals", tag = "withdrawals", summary = "Withdrawals, newest first",
    params(WithdrawalsQuery), responses((status = 200, body = ListReply), (status = 503, description = "`views_behind`")),
)]
pub(super) async fn withdrawals(
    State(app): State<Shared>,
    Parameters(query): Parameters<WithdrawalsQuery>,
) -> Result<At<ListReply>, Problem> {
    let limit = limit(query.limit)?;
    let account = query.account.as_deref().map(|id| body::id::<AccountId>("account", id)).transpose()?;
    let status = |name: &str| {
        let known = Status::ALL.into_iter().find(|status| status.name() == name);
        known.ok_or(Problem::new("query_invalid").field("status"))
    };
    let status = query.status.as_deref().map(status).transpose()?;
    let filter = WithdrawalFilter { account, status, ..WithdrawalFilter::default() };
    let find = move |views: &Views| views.withdrawals(&filter, query.cursor.as_deref(), limit);
    list(read(&app, query.min_sequence, find).await?)
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Rows on a page, 1 to 500; 50 if absent.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait up to a second until the list has seen this record.
    min_sequence: Option<u64>,
}

#[utoipa::path(
    get, path = "/v1/withdrawals/{id}/decisions", tag = "withdrawals",
    summary = "Every decision about a withdrawal, newest first",
    params(("id" = String, Path), PageQuery), responses((status = 200, body = ListReply)),
)]
pub(super) async fn decisions(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Parameters(query): Parameters<PageQuery>,
) -> Result<At<ListReply>, Problem> {
    let id: WithdrawalId = body::path_id(&id)?;
    let limit = limit(query.limit)?;
    let find = move |views: &Views| views.decisions(id, query.cursor.as_deref(), limit);
    list(read(&app, query.min_sequence, find).await?)
}

/// Which cases.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[into_params(parameter_in = Query)]
pub(super) struct CasesQuery {
    /// Only open ones, or only closed ones.
    open: Option<bool>,
    /// Rows on a page, 1 to 500; 50 if absent.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait up to a second until the list has seen this record.
    min_sequence: Option<u64>,
}

#[utoipa::path(
    get, path = "/v1/cases", tag = "controls", summary = "What waits for a person, newest first",
    params(CasesQuery), responses((status = 200, body = ListReply)),
)]
pub(super) async fn cases(
    State(app): State<Shared>,
    Parameters(query): Parameters<CasesQuery>,
) -> Result<At<ListReply>, Problem> {
    let limit = limit(query.limit)?;
    let filter = CaseFilter { open: query.open };
    let find = move |views: &Views| views.cases(filter, query.cursor.as_deref(), limit);
    list(read(&app, query.min_sequence, find).await?)
}

/// Which transactions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[into_params(parameter_in = Query)]
pub(super) struct TransactionsQuery {
    /// That this wallet pays.
    wallet: Option<String>,
    /// On this network.
    network: Option<String>,
    /// That stand there: `unseen`, `pending`, `included`, `failed`, `vanished`, `final` or `dead`.
    standing: Option<String>,
    /// That may pay this withdrawal.
    withdrawal: Option<String>,
    /// Rows on a page, 1 to 500; 50 if absent.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait up to a second until the list has seen this record.
    min_sequence: Option<u64>,
}

#[utoipa::path(
    get, path = "/v1/transactions", tag = "transactions", summary = "Released transactions, newest first",
    params(TransactionsQuery), responses((status = 200, body = ListReply), (status = 503, description = "`views_behind`")),
)]
pub(super) async fn transactions(
    State(app): State<Shared>,
    Parameters(query): Parameters<TransactionsQuery>,
) -> Result<At<ListReply>, Problem> {
    let limit = limit(query.limit)?;
    let standing = |name: &str| {
        let known = Standing::ALL.into_iter().find(|standing| standing.name() == name);
        known.ok_or(Problem::new("query_invalid").field("standing"))
    };
    let filter = TransactionFilter {
        wallet: query.wallet.as_deref().map(|name| body::id::<Name>("wallet", name)).transpose()?,
        network: query.network.as_deref().map(|name| body::network("network", name)).transpose()?,
        standing: query.standing.as_deref().map(standing).transpose()?,
        withdrawal: query
            .withdrawal
            .as_deref()
            .map(|id| body::id::<WithdrawalId>("withdrawal", id))
            .transpose()?,
    };
    let find = move |views: &Views| views.transactions(&filter, query.cursor.as_deref(), limit);
    list(read(&app, query.min_sequence, find).await?)
}

#[utoipa::path(
    get, path = "/v1/chain/alarms", tag = "transactions",
    summary = "What chains and signers showed that cannot be, newest first",
    params(PageQuery), responses((status = 200, body = ListReply)),
)]
pub(super) async fn alarms(
    State(app): State<Shared>,
    Parameters(query): Parameters<PageQuery>,
) -> Result<At<ListReply>, Problem> {
    let limit = limit(query.limit)?;
    let find = move |views: &Views| views.alarms(query.cursor.as_deref(), limit);
    list(read(&app, query.min_sequence, find).await?)
}

#[utoipa::path(
    get, path = "/v1/recovered-spends", tag = "transactions",
    summary = "Payments that signers remembered and a restored journal did not, newest first",
    params(PageQuery), responses((status = 200, body = ListReply)),
)]
pub(super) async fn recovered_spends(
    State(app): State<Shared>,
    Parameters(query): Parameters<PageQuery>,
) -> Result<At<ListReply>, Problem> {
    let limit = limit(query.limit)?;
    let find = move |views: &Views| views.recovered(query.cursor.as_deref(), limit);
    list(read(&app, query.min_sequence, find).await?)
}
