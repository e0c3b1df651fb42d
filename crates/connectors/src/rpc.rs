//! JSON-RPC over HTTP: a batch of calls out, an answer to each back, or an error that says why there is none.

use core::fmt;

use serde_json::{Value, json};

use crate::http::{self, HttpError, NodeAuth};

/// One question to a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The method.
    pub method: &'static str,
    /// Its parameters.
    pub params: Vec<Value>,
    /// How many bytes of answer are read at most.
    pub answer_bytes_max: u64,
}

impl Call {
    pub(crate) fn new(method: &'static str, params: Vec<Value>, answer_bytes_max: u64) -> Self {
        Self { method, params, answer_bytes_max }
    }

    /// For answers of a few hundred bytes.
    pub(crate) fn small(method: &'static str, params: Vec<Value>) -> Self {
        Self::new(method, params, 64 << 10)
    }
}

/// What a node says when it does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRefusal {
    /// JSON-RPC's error code.
    pub code: i64,
    /// Its words, cut to a line of printable text.
    pub message: String,
}

impl fmt::Display for NodeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

/// What came back for one call.
pub type Answer = Result<Value, NodeRefusal>;

/// Why there is no answer at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// Nothing came back, or not in time, or too much.
    #[error("{origin}: {what}; check that the node runs and node.url is right")]
    Unreachable {
        /// The node, as far as a log may show it.
        origin: String,
        /// What happened.
        what: String,
    },
    /// Wrong user, password or cookie.
    #[error(
        "{origin}: the node refuses these credentials (status {status}): check node.cookie_file, or node.user and node.password_file"
    )]
    Unauthorised {
        /// The node, as far as a log may show it.
        origin: String,
        /// HTTP's status.
        status: u16,
    },
    /// A secret could not be read.
    #[error("{0}")]
    Secret(String),
    /// What came back is no JSON-RPC.
    #[error(
        "{origin}: the answer is no JSON-RPC (status {status}): check that node.url is a node's RPC port"
    )]
    NotJsonRpc {
        /// The node, as far as a log may show it.
        origin: String,
        /// HTTP's status.
        status: u16,
    },
}

impl RpcError {
    /// The stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "node_unreachable",
            Self::Unauthorised { .. } => "node_unauthorised",
            Self::Secret(_) => "node_secret",
            Self::NotJsonRpc { .. } => "node_answer_invalid",
        }
    }
}

/// A node.
pub(crate) struct Node {
    pub(crate) agent: ureq::Agent,
    pub(crate) url: String,
    pub(crate) auth: NodeAuth,
}

impl Node {
    /// Asks; the answers come in the order of the calls, one each. One call goes alone, several as a batch.
    pub(crate) fn ask(&self, calls: &[Call]) -> Result<Vec<Answer>, RpcError> {
        let origin = || http::origin(&self.url);
        let header = self.auth.header().map_err(RpcError::Secret)?;
        let object = |id: usize, call: &Call| json!({ "jsonrpc": "2.0", "id": id, "method": call.method, "params": call.params });
        let body = match calls {
            [one] => object(0, one),
            several => several.iter().enumerate().map(|(id, call)| object(id, call)).collect(),
        };
        let limit = calls.iter().fold(0u64, |sum, call| sum.saturating_add(call.answer_bytes_max));
        let sent =
            http::post(&self.agent, &self.url, header.as_deref(), body.to_string().into_bytes(), limit);
        let (status, bytes) = sent.map_err(|error: HttpError| RpcError::Unreachable {
            origin: origin(),
            what: error.to_string(),
        })?;
        if matches!(status, 401 | 403) {
            return Err(RpcError::Unauthorised { origin: origin(), status });
        }
        answers(calls.len(), &bytes).ok_or_else(|| RpcError::NotJsonRpc { origin: origin(), status })
    }
}

/// Reads the answers to `count` calls whose ids are their places.
fn answers(count: usize, bytes: &[u8]) -> Option<Vec<Answer>> {
    let mut found: Vec<Option<Answer>> = vec![None; count];
    let all = match serde_json::from_slice(bytes).ok()? {
        Value::Array(all) if count > 1 => all,
        one @ Value::Object(_) if count == 1 => vec![one],
        _ => return None,
    };
    for answer in all {
        let Value::Object(mut answer) = answer else { return None };
        let place = usize::try_from(answer.get("id")?.as_u64()?).ok()?;
        let read = match answer.remove("error") {
            None | Some(Value::Null) => Ok(answer.remove("result")?),
            Some(error) => Err(refusal(&error)?),
        };
        match found.get_mut(place) {
            Some(slot @ None) => *slot = Some(read),
            _ => return None,
        }
    }
    found.into_iter().collect()
}

fn refusal(error: &Value) -> Option<NodeRefusal> {
    const MESSAGE_CHARS_MAX: usize = 200;
    let message = error.get("message")?.as_str()?;
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let message = message.chars().map(printable).take(MESSAGE_CHARS_MAX).collect();
    Some(NodeRefusal { code: error.get("code")?.as_i64()?, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_matched_by_id_or_refused_whole() {
        let refused = || Err(NodeRefusal { code: -5, message: "no".into() });
        for (count, text, read) in [
            (1, r#"{"id":0,"result":7}"#, Some(vec![Ok(json!(7))])),
            (1, r#"{"id":0,"result":null,"error":null}"#, Some(vec![Ok(Value::Null)])),
            (1, r#"{"id":0,"result":null,"error":{"code":-5,"message":"no"}}"#, Some(vec![refused()])),
            (2, r#"[{"id":1,"result":1},{"id":0,"result":0}]"#, Some(vec![Ok(json!(0)), Ok(json!(1))])),
            (2, r#"[{"id":0,"result":1},{"id":0,"result":0}]"#, None),
            (2, r#"[{"id":0,"result":1}]"#, None),
            (2, r#"[{"id":0,"result":1},{"id":2,"result":0}]"#, None),
            (2, r#"{"id":0,"result":1}"#, None),
            (1, r#"[{"id":0,"result":1}]"#, None),
            (1, r#"{"id":"0","result":1}"#, None),
            (1, r#"{"id":0}"#, None),
            (1, r#"{"id":0,"error":"no"}"#, None),
            (1, "<html>", None),
            (1, "", None),
            (1, r#"{"id":0,"result":1"#, None),
        ] {
            assert_eq!(answers(count, text.as_bytes()), read, "{text}");
        }
        let deep = format!("{{\"id\":0,\"result\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(answers(1, deep.as_bytes()), None, "depth is limited");
    }
}
