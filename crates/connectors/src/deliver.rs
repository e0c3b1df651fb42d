//! Delivery to Holdfast: `POST /v1/chain/observations`, as often as it takes.

use std::path::PathBuf;

use holdfast_values::network::Family;
use holdfast_values::{Name, Network};
use serde_json::{Value, json};

use crate::http;
use crate::ledger::Observation;

/// Most observations of one request.
pub(crate) const REQUEST_OBSERVATIONS_MAX: usize = 500;
/// Most bytes of one request, unless a single observation has more.
const REQUEST_BYTES_MAX: usize = 256 << 10;
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Why Holdfast did not acknowledge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// The token's file cannot be read.
    #[error("{0}: holdfast.token_file must hold a token with the scope chain")]
    Token(String),
    /// No answer.
    #[error("{origin}: {what}; check that Holdfast runs and holdfast.url is right")]
    Unreachable {
        /// Holdfast, as far as a log may show it.
        origin: String,
        /// What happened.
        what: String,
    },
    /// An answer that acknowledges nothing.
    #[error("Holdfast refused the observations: {code} {detail} (status {status})")]
    Refused {
        /// HTTP's status.
        status: u16,
        /// The problem's code.
        code: String,
        /// Its words.
        detail: String,
    },
    /// Something else than Holdfast answered.
    #[error("{origin}: the answer is not Holdfast's: check holdfast.url")]
    Foreign {
        /// Who, as far as a log may show it.
        origin: String,
    },
}

impl DeliveryError {
    /// The stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Token(_) => "holdfast_token",
            Self::Unreachable { .. } => "holdfast_unreachable",
            Self::Refused { .. } => "holdfast_refused",
            Self::Foreign { .. } => "holdfast_answer_invalid",
        }
    }
}

/// Holdfast, as one watcher sees it.
pub(crate) struct Holdfast {
    pub(crate) agent: ureq::Agent,
    pub(crate) url: String,
    pub(crate) token_file: PathBuf,
    pub(crate) network: Network,
    pub(crate) wallet: Name,
}

/// An observation as the interface has it: hashes as the network's explorers write them.
fn wire(network: Network, seen: &Observation) -> Value {
    let hash = |hash: crate::hash::Hash| match network.family() {
        Family::Evm => format!("0x{hash}"),
        _ => hash.to_string(),
    };
    let output = |output: &crate::ledger::ObservedOutput| json!({ "address": output.address, "contract": output.contract, "amount": output.amount.to_string() });
    json!({
        "transaction": hash(seen.transaction),
        "spends": seen.spends.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "outputs": seen.outputs.iter().map(output).collect::<Vec<_>>(),
        "status": seen.status.name(),
        "confirmations": seen.confirmations,
        "height": seen.height,
        "block": seen.block.map(hash),
    })
}

impl Holdfast {
    /// Tells Holdfast as many of the first observations as fit a request; returns how many it acknowledged.
    pub(crate) fn tell(&self, outbox: &[Observation]) -> Result<usize, DeliveryError> {
        let mut observations = Vec::new();
        let mut bytes = 0usize;
        for seen in outbox.iter().take(REQUEST_OBSERVATIONS_MAX) {
            let seen = wire(self.network, seen);
            bytes = bytes.saturating_add(seen.to_string().len() + 1);
            if bytes > REQUEST_BYTES_MAX && !observations.is_empty() {
                break;
            }
            observations.push(seen);
        }
        let count = observations.len();
        let body = json!({ "network": self.network.name(), "wallet": self.wallet.as_str(), "observations": observations });
        let token = http::secret(&self.token_file).map_err(DeliveryError::Token)?;
        let origin = || http::origin(&self.url);
        let url = format!("{}/v1/chain/observations", self.url.trim_end_matches('/'));
        let authorization = format!("Bearer {token}");
        let (status, answer) = http::post(
            &self.agent,
            &url,
            Some(&authorization),
            body.to_string().into_bytes(),
            ANSWER_BYTES_MAX,
        )
        .map_err(|error| DeliveryError::Unreachable { origin: origin(), what: error.to_string() })?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        if status != 200 {
            let text = |name| answer.get(name).and_then(Value::as_str).unwrap_or_default();
            let printable =
                |text: &str| text.chars().filter(|c| !c.is_control()).take(300).collect::<String>();
            let detail = format!("{} {}", text("title"), text("detail"));
            return Err(DeliveryError::Refused {
                status,
                code: printable(text("code")),
                detail: printable(&detail),
            });
        }
        let results =
            answer.get("results").and_then(Value::as_array).filter(|results| results.len() == count);
        let results = results.ok_or_else(|| DeliveryError::Foreign { origin: origin() })?;
        for (seen, result) in outbox.iter().zip(results) {
            let effect = result.get("effect").and_then(Value::as_str).unwrap_or_default();
            let (transaction, status, confirmations) =
                (seen.transaction, seen.status.name(), seen.confirmations);
            if matches!(effect, "unknown_spend" | "deep_reorganisation") {
                tracing::error!(%transaction, status, confirmations, effect, "Holdfast raises an alarm: look at its log");
            } else {
                tracing::info!(%transaction, status, confirmations, effect, "told");
            }
        }
        Ok(count)
    }
}
