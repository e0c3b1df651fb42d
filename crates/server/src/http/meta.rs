//! About the server itself: is it there, can it decide, what has it done, what does it offer.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Shared, openapi as interface};

/// That the process answers.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct HealthReply {
    /// `ok`, or `read_only` while the journal cannot be written.
    status: &'static str,
    version: &'static str,
    /// The exchange whose withdrawals are decided here.
    exchange: String,
    /// True for a journal with a simulated clock: never to be trusted with real coins.
    simulated_clock: bool,
    /// How much faster than real time that clock runs; 1 for a real one.
    clock_rate: u32,
    /// What time it is for this server.
    time: String,
    /// The last durable record.
    sequence: u64,
}

/// What it can do.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ReadyReply {
    #[serde(flatten)]
    health: HealthReply,
    /// False while lists cannot follow the journal.
    views_well: bool,
    /// The last record that lists have seen.
    views_sequence: u64,
    /// The endpoints that are told what happens.
    webhooks: Vec<WebhookReply>,
}

/// How an endpoint is doing.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct WebhookReply {
    /// Its name in the configuration.
    name: String,
    /// False while messages do not arrive.
    well: bool,
    /// Records that it was not told of yet.
    lag_records: u64,
}

fn health_of(app: &Shared) -> HealthReply {
    let published = app.intake.published();
    HealthReply {
        status: if app.intake.is_healthy() { "ok" } else { "read_only" },
        version: env!("CARGO_PKG_VERSION"),
        exchange: published.exchange.clone(),
        simulated_clock: published.simulated,
        clock_rate: app.clock.rate(),
        time: app.clock.now().to_string(),
        sequence: *app.intake.durable().borrow(),
    }
}

#[utoipa::path(
    get, path = "/health", tag = "meta", summary = "Is the process there", security(),
    responses((status = 200, body = HealthReply)),
)]
pub(super) async fn health(State(app): State<Shared>) -> Response {
    axum::Json(health_of(&app)).into_response()
}

#[utoipa::path(
    get, path = "/ready", tag = "meta", summary = "Can it decide", security(),
    responses((status = 200, body = ReadyReply), (status = 503, body = ReadyReply)),
)]
pub(super) async fn ready(State(app): State<Shared>) -> Response {
    let status = if app.intake.is_healthy() && !app.intake.has_ended() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    // Lists and webhooks that lag do not keep the core from deciding: they are told, and change no status.
    let endpoints = app.outbox.as_ref().map(crate::outbox::Outbox::statuses).unwrap_or_default();
    let webhooks = endpoints
        .into_iter()
        .map(|status| WebhookReply { well: status.is_well(), lag_records: status.lag(), name: status.name })
        .collect();
    let position = app.views.position();
    let reply = ReadyReply {
        health: health_of(&app),
        views_well: position.failed.is_none(),
        views_sequence: position.head.sequence,
        webhooks,
    };
    (status, axum::Json(reply)).into_response()
}

#[utoipa::path(
    get, path = "/metrics", tag = "meta", summary = "Prometheus metrics",
    responses((status = 200, description = "The text format", body = String, content_type = "text/plain")),
)]
pub(super) async fn metrics(State(app): State<Shared>) -> Response {
    let durable = *app.intake.durable().borrow();
    let views = app.views.position().head.sequence;
    let mut text = app.metrics.text(&[
        ("durable_sequence", "The last durable record.", durable),
        ("views_sequence", "The last record that the lists have seen.", views),
        (
            "waiting",
            "Requests that wait for the writer or the disk.",
            app.intake.waiting().try_into().unwrap_or(0),
        ),
        ("journal_writable", "1 if the journal can be written.", u64::from(app.intake.is_healthy())),
        ("uptime_seconds", "Since the process started.", app.started.elapsed().as_secs()),
    ]);
    if let Some(outbox) = &app.outbox {
        text.push_str(&outbox.metrics());
    }
    if let Some(keeper) = &app.gate {
        text.push_str(&crate::gate::metrics(&keeper.gate().stats()));
    }
    text.push_str(&app.shadow.metrics());
    if let Ok(answer) = app.intake.ask(super::gauges::text).await {
        text.push_str(&answer.value);
    }
    with_type("text/plain; version=0.0.4", text)
}

#[utoipa::path(
    get, path = "/openapi.json", tag = "meta", summary = "This document", security(),
    responses((status = 200, description = "OpenAPI 3.1")),
)]
pub(super) async fn openapi() -> Response {
    with_type("application/json", interface::document())
}

fn with_type(kind: &'static str, text: String) -> Response {
    let mut response = text.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
