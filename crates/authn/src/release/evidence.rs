//! A customer's own word for a payment, as releases carry it: the assertion of a key, or a mandate with the request that
//! was made under it. Whether it is good, and whose, is judged by who reads it.

use holdfast_values::texts::TEXT_BYTES_MAX;

use super::wire::{Fault, Reader, Wire, Writer};
use crate::request::{HEADERS_MAX, PART_BYTES_MAX};

/// Longest credential id.
pub const CREDENTIAL_ID_BYTES_MAX: usize = 1_023;
/// Longest public key, as COSE or as SubjectPublicKeyInfo: RSA of 8192 bits.
pub const PUBLIC_KEY_BYTES_MAX: usize = 2_048;
/// Longest clientDataJSON.
pub const CLIENT_DATA_BYTES_MAX: usize = 4_096;
/// Longest authenticator data.
pub const AUTHENTICATOR_DATA_BYTES_MAX: usize = 4_096;
/// Longest signature: RSA of 8192 bits.
pub const SIGNATURE_BYTES_MAX: usize = 1_024;
/// Longest body of a request: as JSON.
pub const BODY_BYTES_MAX: usize = 64 << 10;
/// Longest method, path and header name.
const SHORT_BYTES_MAX: usize = 256;
/// Longest header value.
const HEADER_VALUE_BYTES_MAX: usize = 8 << 10;
/// Longest name of a dialect.
const DIALECT_BYTES_MAX: usize = 32;

/// An assertion over the SHA-256 of a text, as the browser gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundAssertion {
    /// The credential that asserts.
    pub credential_id: Vec<u8>,
    /// As signed, byte for byte.
    pub client_data_json: Vec<u8>,
    /// As signed, byte for byte.
    pub authenticator_data: Vec<u8>,
    /// In the encoding of the key's algorithm.
    pub signature: Vec<u8>,
}

/// A payment under a mandate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MandateUse {
    /// The `holdfast-mandate/v1` text, to the letter.
    pub text: String,
    /// The assertion over it.
    pub assertion: BoundAssertion,
    /// The SubjectPublicKeyInfo of the API key, in DER.
    pub key: Vec<u8>,
    /// The request that asked for the payment.
    pub request: SignedHttpRequest,
}

/// A signed API request, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHttpRequest {
    /// Whose way of signing it follows: the name of a [`Dialect`](crate::Dialect).
    pub dialect: String,
    /// `POST`.
    pub method: String,
    /// The path, without query.
    pub path: String,
    /// What follows the `?`, undecoded.
    pub query: Vec<u8>,
    /// The body, undecoded.
    pub body: Vec<u8>,
    /// The headers that the signature needs.
    pub headers: Vec<(String, String)>,
}

impl Wire for BoundAssertion {
    fn write(&self, w: &mut Writer) {
        w.map(4);
        w.key(1).bytes(&self.credential_id);
        w.key(2).bytes(&self.client_data_json);
        w.key(3).bytes(&self.authenticator_data);
        w.key(4).bytes(&self.signature);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.map(4)?;
        Ok(Self {
            credential_id: r.key(1, "credential id")?.some_bytes(CREDENTIAL_ID_BYTES_MAX)?.to_vec(),
            client_data_json: r.key(2, "client data")?.some_bytes(CLIENT_DATA_BYTES_MAX)?.to_vec(),
            authenticator_data: r
                .key(3, "authenticator data")?
                .some_bytes(AUTHENTICATOR_DATA_BYTES_MAX)?
                .to_vec(),
            signature: r.key(4, "assertion signature")?.some_bytes(SIGNATURE_BYTES_MAX)?.to_vec(),
        })
    }
}

impl Wire for MandateUse {
    fn write(&self, w: &mut Writer) {
        w.map(4);
        w.key(1).text(&self.text);
        self.assertion.write(w.key(2));
        w.key(3).bytes(&self.key);
        self.request.write(w.key(4));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.map(4)?;
        Ok(Self {
            text: r.key(1, "mandate text")?.text(TEXT_BYTES_MAX)?.to_owned(),
            assertion: BoundAssertion::read(r.key(2, "mandate assertion")?)?,
            key: r.key(3, "API key")?.some_bytes(PUBLIC_KEY_BYTES_MAX)?.to_vec(),
            request: SignedHttpRequest::read(r.key(4, "request")?)?,
        })
    }
}

impl Wire for SignedHttpRequest {
    fn write(&self, w: &mut Writer) {
        w.map(6);
        w.key(1).text(&self.dialect);
        w.key(2).text(&self.method);
        w.key(3).text(&self.path);
        w.key(4).bytes(&self.query);
        w.key(5).bytes(&self.body);
        w.key(6).list(&self.headers, |w, (name, value)| {
            w.map(2);
            w.key(1).text(name);
            w.key(2).text(value);
        });
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.map(6)?;
        Ok(Self {
            dialect: r.key(1, "dialect")?.text(DIALECT_BYTES_MAX)?.to_owned(),
            method: r.key(2, "method")?.text(SHORT_BYTES_MAX)?.to_owned(),
            path: r.key(3, "path")?.text(SHORT_BYTES_MAX)?.to_owned(),
            query: r.key(4, "query")?.bytes_within(PART_BYTES_MAX)?.to_vec(),
            body: r.key(5, "body")?.bytes_within(BODY_BYTES_MAX)?.to_vec(),
            headers: r.key(6, "headers")?.list(HEADERS_MAX, |r| {
                r.map(2)?;
                let name = r.key(1, "header name")?.text(SHORT_BYTES_MAX)?.to_owned();
                let value = r.key(2, "header value")?.text(HEADER_VALUE_BYTES_MAX)?.to_owned();
                Ok((name, value))
            })?,
        })
    }
}
