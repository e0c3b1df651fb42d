//! Kraken's dialect: `API-Key`, and in `API-Sign` HMAC-SHA512 over the path and SHA-256 of nonce and body.
//!
//! There is no timestamp: the nonce must be higher in each request of a key than in those before it, and who keeps the
//! last one refuses what is older. Holdfast also wants it to be a time (clients' nonces are), so that a request that was
//! held back for hours is not taken for a fresh one. The method is not signed and there is no query: private endpoints
//! take POST alone. The secret is base64.

use holdfast_values::{AssetSymbol, Timestamp};
use ring::digest;

use super::form::{self, Rules};
use super::withdrawal::{self, Shape, amount, endpoint, only, required};
use super::{Dialect, Field, Kind, SignedRequest, VERIFIER_VERSION, Verified, WINDOW_MAX_MS, common, times};
use crate::encoding;
use crate::key::KeyMaterial;
use crate::request::{PART_BYTES_MAX, RawRequest, RequestError};

/// The header that carries the API key.
pub const API_KEY_HEADER: &str = "API-Key";
/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "API-Sign";
/// Where withdrawals are asked for.
pub const WITHDRAW_PATH: &str = "/0/private/Withdraw";

const RULES: Rules =
    Rules { plain_names: false, plain_values: true, plus_in: "", reserved: "", repeats: false };

/// What a withdrawal may say.
const WITHDRAWAL: [(&str, Shape); 8] = [
    ("nonce", Shape::Number),
    ("asset", Shape::Text),
    ("key", Shape::Text),
    ("address", Shape::Text),
    ("amount", Shape::Number),
    ("max_fee", Shape::Number),
    ("otp", Shape::Text),
    ("aclass", Shape::Text),
];

pub(super) fn parse(raw: &RawRequest<'_>) -> Result<SignedRequest, RequestError> {
    let api_key = raw.api_key(API_KEY_HEADER)?;
    let signature = raw.header(SIGNATURE_HEADER)?;
    if raw.method != "POST" {
        return Err(RequestError::MethodUnsupported { expected: "POST" });
    }
    if !raw.raw_query.is_empty() {
        return Err(RequestError::QueryUnsigned);
    }
    let fields = read_body(raw)?;
    let nonce = fields.iter().find(|field| &*field.name == "nonce").ok_or(RequestError::NonceMissing)?;
    let (number, signed_at) = read_nonce(nonce)?;

    let mut hashed = digest::Context::new(&digest::SHA256);
    hashed.update(nonce.value.as_bytes());
    hashed.update(raw.raw_body);
    let payload = [raw.path.as_bytes(), hashed.finish().as_ref()].concat();
    let window = times::of_ms(WINDOW_MAX_MS);
    let head = common::Head { api_key, signed_at, window, signature, passphrase: None };
    let request = common::signed(Dialect::Kraken, raw, head, fields, payload);
    Ok(SignedRequest { nonce: Some(number), ..request })
}

/// The body is a form or JSON. Which of them is not signed, so the Content-Type must say what the bytes say.
fn read_body(raw: &RawRequest<'_>) -> Result<Vec<Field>, RequestError> {
    let json = raw.raw_body.first() == Some(&b'{');
    if !json && raw.raw_body.len() > PART_BYTES_MAX {
        return Err(RequestError::TooLarge { part: "body", max: PART_BYTES_MAX });
    }
    if json {
        common::read_json(raw)
    } else {
        common::check_type(raw, "application/x-www-form-urlencoded")?;
        form::read([raw.raw_body], RULES)
    }
}

/// A time since 1970: 13 digits are milliseconds, 16 microseconds, 19 nanoseconds.
fn read_nonce(field: &Field) -> Result<(u64, Timestamp), RequestError> {
    let text = &*field.value;
    let number = times::digits(text, text.len()).filter(|_| matches!(field.kind, Kind::Text | Kind::Number));
    let number = number.ok_or(RequestError::NonceInvalid)?;
    let micros = match text.len() {
        13 => number.saturating_mul(1_000),
        16 => number,
        19 => number / 1_000,
        _ => return Err(RequestError::NonceInvalid),
    };
    Ok((number, Timestamp(micros)))
}

pub(super) fn verify_signature(request: &SignedRequest, key: &KeyMaterial) -> Result<(), RequestError> {
    let KeyMaterial::HmacSha512(secret) = key else { return Err(RequestError::SignatureInvalid) };
    let tag = encoding::base64(request.signature.as_bytes()).ok_or(RequestError::SignatureInvalid)?;
    if secret.verify(&request.payload, &tag) { Ok(()) } else { Err(RequestError::SignatureInvalid) }
}

/// What a request to withdraw asks for. The caller has verified its signature.
pub(super) fn withdrawal(request: &SignedRequest) -> Result<Verified, RequestError> {
    endpoint(request, "POST /0/private/Withdraw")?;
    only(request, &WITHDRAWAL)?;
    withdrawal::one_of(request, "aclass", &["currency"], "currency")?;
    Ok(Verified {
        api_key: request.api_key.clone(),
        signed_at: request.signed_at,
        window: request.window,
        request_digest: request.digest,
        asset: asset(required(request, "asset")?)?,
        network: None,
        network_text: None,
        address: withdrawal::token(request, "address")?,
        destination_name: Some(name(required(request, "key")?)?),
        tag: None,
        amount_text: amount(request, "amount")?,
        client_order_id: None,
        verifier_version: VERIFIER_VERSION,
    })
}

/// The name of a saved destination: what a customer may have typed.
fn name(text: &str) -> Result<Box<str>, RequestError> {
    let usable = text.len() <= 128 && text.trim() == text && !text.chars().any(char::is_control);
    let expected = "the name of a saved address: at most 128 bytes, no space around it";
    if usable { Ok(text.into()) } else { Err(RequestError::ParameterInvalid { name: "key", expected }) }
}

/// Kraken's names of assets, where they are not the usual ones.
const ASSETS: [(&str, &str); 12] = [
    ("XBT", "BTC"),
    ("XXBT", "BTC"),
    ("XETH", "ETH"),
    ("XLTC", "LTC"),
    ("XXRP", "XRP"),
    ("XXLM", "XLM"),
    ("XDG", "DOGE"),
    ("XXDG", "DOGE"),
    ("XETC", "ETC"),
    ("XZEC", "ZEC"),
    ("XXMR", "XMR"),
    ("XREP", "REP"),
];

fn asset(text: &str) -> Result<AssetSymbol, RequestError> {
    let usual = ASSETS.into_iter().find(|(name, _)| *name == text).map_or(text, |(_, usual)| usual);
    let expected = "1 to 16 capital letters and digits";
    usual.parse().map_err(|_| RequestError::ParameterInvalid { name: "asset", expected })
}
