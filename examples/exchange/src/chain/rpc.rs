//! JSON-RPC's envelope: one request or a batch, version 1 as Bitcoin Core's clients speak it or 2.0.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Requests in one batch.
const BATCH_MAX: usize = 1_000;

/// What went wrong, with the code that the imitated node gives.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    /// The node's code.
    pub(crate) code: i32,
    /// The node's words.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A parameter that is missing or of the wrong kind.
    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::new(-32602, message)
    }

    /// No such method.
    pub(crate) fn method(name: &str) -> Self {
        Self::new(-32601, format!("Method not found: {name}"))
    }
}

/// A result, already written: what Core writes as a number with eight decimals is no float on the way.
pub(crate) type Answer = Result<Box<RawValue>, Failure>;

/// Writes a result.
pub(crate) fn answer(value: &impl Serialize) -> Answer {
    serde_json::value::to_raw_value(value).map_err(|error| Failure::new(-32603, error.to_string()))
}

/// The parameters of a call, by position.
#[derive(Clone, Copy)]
pub(crate) struct Parameters<'a>(&'a [Value]);

impl<'a> Parameters<'a> {
    /// The parameter there, if it was given and is not null.
    pub(crate) fn at(self, index: usize) -> Option<&'a Value> {
        self.0.get(index).filter(|value| !value.is_null())
    }

    /// A text.
    pub(crate) fn text(self, index: usize) -> Result<&'a str, Failure> {
        let text = self.at(index).and_then(Value::as_str);
        text.ok_or_else(|| Failure::parameter(format!("parameter {index} must be a text")))
    }

    /// A number that is not negative.
    pub(crate) fn number(self, index: usize) -> Result<u64, Failure> {
        let number = self.at(index).and_then(Value::as_u64);
        number.ok_or_else(|| Failure::parameter(format!("parameter {index} must be a whole number")))
    }

    /// Yes or no.
    pub(crate) fn flag(self, index: usize, absent: bool) -> bool {
        self.at(index)
            .map_or(absent, |value| value.as_bool().or(value.as_u64().map(|n| n > 0)).unwrap_or(absent))
    }
}

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    jsonrpc: Option<String>,
    #[serde(default)]
    id: Value,
    method: String,
    #[serde(default)]
    params: Value,
}

#[derive(Serialize)]
struct Reply {
    #[serde(skip_serializing_if = "Option::is_none")]
    jsonrpc: Option<&'static str>,
    // Version 1 has both, one of them null; version 2.0 has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
    id: Value,
}

/// Answers a request body with `run`. The status is what Core's server gives: 200, or for version 1 also 404 and 500.
pub(crate) fn serve(
    body: &[u8],
    mut run: impl FnMut(&str, Parameters<'_>) -> Answer,
) -> (StatusCode, String) {
    let parsed: Result<Value, _> = serde_json::from_slice(body);
    match parsed {
        Ok(Value::Array(calls)) if calls.len() <= BATCH_MAX => {
            let replies: Vec<Reply> = calls.into_iter().map(|call| one(call, &mut run).1).collect();
            write(StatusCode::OK, &replies)
        }
        Ok(Value::Array(_)) => {
            let error = Failure::new(-32600, format!("a batch has at most {BATCH_MAX} requests"));
            write(StatusCode::BAD_REQUEST, &reply(None, Value::Null, Err(error)))
        }
        Ok(call) => {
            let (status, reply) = one(call, &mut run);
            write(status, &reply)
        }
        Err(error) => {
            let failure = Failure::new(-32700, format!("Parse error: {error}"));
            write(StatusCode::INTERNAL_SERVER_ERROR, &reply(None, Value::Null, Err(failure)))
        }
    }
}

fn one(call: Value, run: &mut impl FnMut(&str, Parameters<'_>) -> Answer) -> (StatusCode, Reply) {
    let call: Call = match serde_json::from_value(call) {
        Ok(call) => call,
        Err(error) => {
            let failure = Failure::new(-32600, format!("Invalid Request: {error}"));
            return (StatusCode::BAD_REQUEST, reply(None, Value::Null, Err(failure)));
        }
    };
    let result = match &call.params {
        Value::Array(parameters) => run(&call.method, Parameters(parameters)),
        Value::Null => run(&call.method, Parameters(&[])),
        Value::Object(named) if named.is_empty() => run(&call.method, Parameters(&[])),
        _ => Err(Failure::parameter("give parameters by position, in an array")),
    };
    let version = call.jsonrpc.as_deref().filter(|version| *version == "2.0").map(|_| "2.0");
    let status = match &result {
        Err(failure) if version.is_none() && failure.code == -32601 => StatusCode::NOT_FOUND,
        Err(_) if version.is_none() => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::OK,
    };
    (status, reply(version, call.id, result))
}

fn reply(jsonrpc: Option<&'static str>, id: Value, result: Answer) -> Reply {
    let null = || jsonrpc.is_none().then(|| RawValue::NULL.to_owned());
    match result {
        Ok(result) => {
            Reply { jsonrpc, result: Some(result), error: jsonrpc.is_none().then_some(Value::Null), id }
        }
        Err(failure) => Reply { jsonrpc, result: null(), error: Some(json!(failure)), id },
    }
}

fn write(status: StatusCode, body: &impl Serialize) -> (StatusCode, String) {
    match serde_json::to_string(body) {
        Ok(text) => (status, text),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
    }
}
