//! Queries and forms: `name=value` with `&` between, each name once however it is spelled.

use super::{Field, Kind};
use crate::encoding;
use crate::request::RequestError;

/// Most parameters of one request.
pub(super) const PARAMETERS_MAX: usize = 64;

/// How strictly to read, where the dialect's signature leaves room for doubt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Names are letters, digits and `_`, unescaped. Otherwise they may also hold brackets, dots and hyphens.
    pub plain_names: bool,
    /// A raw `=` in a value is refused, and so is a raw `+`, which some read as a space and some as itself.
    pub plain_values: bool,
    /// The parameter in which a raw `+` is permitted all the same.
    pub plus_in: &'static str,
    /// The parameter that may not stand here, because the signature must come last.
    pub reserved: &'static str,
    /// A name may come more than once: only where nothing is decided by it.
    pub repeats: bool,
}

/// A query whose bytes the signature fixes: read only to know that it can be read in one way.
pub(super) const QUERY: Rules =
    Rules { plain_names: false, plain_values: false, plus_in: "", reserved: "", repeats: false };

/// The parameters of `parts`, decoded, in order.
pub(super) fn read<'a>(
    parts: impl IntoIterator<Item = &'a [u8]>,
    rules: Rules,
) -> Result<Vec<Field>, RequestError> {
    let mut fields: Vec<Field> = Vec::new();
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    for (index, segment) in parts.flat_map(|part| part.split(|byte| *byte == b'&')).enumerate() {
        let position = index.saturating_add(1);
        if position > PARAMETERS_MAX {
            return Err(RequestError::TooManyParameters { max: PARAMETERS_MAX });
        }
        let malformed = RequestError::ParameterMalformed { position };
        let equals = segment.iter().position(|byte| *byte == b'=').ok_or(malformed)?;
        let (raw_name, raw_value) = segment.split_at_checked(equals).ok_or(malformed)?;
        let raw_value = raw_value.strip_prefix(b"=").ok_or(malformed)?;

        let name = decode(raw_name).ok_or(malformed)?;
        if !rules.repeats && fields.iter().any(|field| field.name == name) {
            return Err(RequestError::ParameterRepeated { position });
        }
        if !rules.reserved.is_empty() && &*name == rules.reserved {
            return Err(RequestError::SignatureNotLast);
        }
        let named = |text: &[u8], more: &[u8]| {
            !text.is_empty()
                && text
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || more.contains(byte))
        };
        // One spelling for each name: what must be escaped is no part of one.
        if !if rules.plain_names { named(raw_name, b"") } else { named(name.as_bytes(), b"[].-") } {
            return Err(malformed);
        }
        let plus = raw_value.contains(&b'+') && &*name != rules.plus_in;
        if rules.plain_values && (raw_value.contains(&b'=') || plus) {
            return Err(malformed);
        }
        fields.push(Field { name, value: decode(raw_value).ok_or(malformed)?, kind: Kind::Text });
    }
    Ok(fields)
}

/// Percent-decodes; refuses what is not UTF-8 and control characters.
fn decode(raw: &[u8]) -> Option<Box<str>> {
    let text = String::from_utf8(encoding::percent(raw)?).ok()?;
    if text.chars().any(char::is_control) { None } else { Some(text.into()) }
}
