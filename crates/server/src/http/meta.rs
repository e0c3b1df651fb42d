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
    /// What time it is for this server.
    time: String,
    /// The last durable record.
    sequence: u64,
}

fn health_of(app: &Shared) -> HealthReply {
    let published = app.intake.published();
    HealthReply {
        status: if app.intake.is_healthy() { "ok" } else { "read_only" },
        version: env!("CARGO_PKG_VERSION"),
        exchange: published.exchange.clone(),
        simulated_clock: published.simulated,
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
    responses((status = 200, body = HealthReply), (status = 503, body = HealthReply)),
)]
pub(super) async fn ready(State(app): State<Shared>) -> Response {
    let status = if app.intake.is_healthy() && !app.intake.has_ended() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, axum::Json(health_of(&app))).into_response()
}

#[utoipa::path(
    get, path = "/metrics", tag = "meta", summary = "Prometheus metrics",
    responses((status = 200, description = "The text format", body = String, content_type = "text/plain")),
)]
pub(super) async fn metrics(State(app): State<Shared>) -> Response {
    let durable = *app.intake.durable().borrow();
    let views = app.views.position().head.sequence;
    let text = app.metrics.text(&[
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
