//! `clientDataJSON`: a strict reader of JSON, and what the browser says in it.
//!
//! The whole text is read, members that nobody knows included: a member named twice is refused wherever it is, so that
//! no two readers can disagree. Nothing is compared with its raw bytes but the origin and the challenge after escapes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{RelyingParty, WebAuthnError};
use crate::encoding;

/// Longest client data.
pub const CLIENT_DATA_BYTES_MAX: usize = 4_096;
/// How deep objects and arrays may be in each other.
const DEPTH_MAX: u8 = 8;

/// What the browser was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ceremony {
    Create,
    Get,
}

impl Ceremony {
    const fn kind(self) -> &'static str {
        match self {
            Self::Create => "webauthn.create",
            Self::Get => "webauthn.get",
        }
    }
}

/// Checks client data to the last byte: WebAuthn sections 7.1 and 7.2.
pub(super) fn check(
    bytes: &[u8],
    ceremony: Ceremony,
    party: &RelyingParty,
    challenge: &[u8],
) -> Result<(), WebAuthnError> {
    if bytes.len() > CLIENT_DATA_BYTES_MAX {
        return Err(WebAuthnError::ClientDataSize);
    }
    let text = core::str::from_utf8(bytes).map_err(|_| WebAuthnError::ClientDataMalformed)?;
    let Value::Object(members) = parse(text)? else { return Err(WebAuthnError::ClientDataMalformed) };
    let member = |name: &str| match members.get(name) {
        Some(Value::Text(text)) => Ok(text.as_ref()),
        _ => Err(WebAuthnError::ClientDataMalformed),
    };
    let (kind, signed, origin) = (member("type")?, member("challenge")?, member("origin")?);
    if kind != ceremony.kind() {
        return Err(WebAuthnError::TypeMismatch);
    }
    if signed != encoding::to_base64url(challenge) {
        return Err(WebAuthnError::ChallengeMismatch);
    }
    if !party.origins.iter().any(|permitted| permitted.as_ref() == origin) {
        return Err(WebAuthnError::OriginMismatch);
    }
    if members.contains_key("topOrigin") {
        return Err(WebAuthnError::TopOrigin);
    }
    match members.get("crossOrigin") {
        None | Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) => return Err(WebAuthnError::CrossOrigin),
        Some(_) => return Err(WebAuthnError::ClientDataMalformed),
    }
    match members.get("tokenBinding") {
        None => Ok(()),
        Some(Value::Object(binding)) => match binding.get("status") {
            Some(Value::Text(status)) if matches!(status.as_ref(), "supported" | "not-supported") => Ok(()),
            Some(Value::Text(_)) => Err(WebAuthnError::TokenBinding),
            _ => Err(WebAuthnError::ClientDataMalformed),
        },
        Some(_) => Err(WebAuthnError::ClientDataMalformed),
    }
}

/// The members of a text that is one object of JSON, all of them texts.
pub(crate) fn flat_object(text: &str) -> Option<BTreeMap<String, String>> {
    let Ok(Value::Object(members)) = parse(text) else { return None };
    let text = |(name, value): (Cow<'_, str>, Value<'_>)| match value {
        Value::Text(text) => Some((name.into_owned(), text.into_owned())),
        _ => None,
    };
    members.into_iter().map(text).collect()
}

#[derive(Debug, PartialEq)]
enum Value<'a> {
    Object(BTreeMap<Cow<'a, str>, Self>),
    Text(Cow<'a, str>),
    Bool(bool),
    /// Null, a number or a list: read, and of no use.
    Other,
}

fn parse(text: &str) -> Result<Value<'_>, WebAuthnError> {
    let mut reader = Reader { rest: text };
    let value = reader.value(0)?;
    reader.space();
    if reader.rest.is_empty() { Ok(value) } else { Err(WebAuthnError::ClientDataMalformed) }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Goes past white space and this token, if it is next.
    fn next_is(&mut self, token: &str) -> bool {
        self.space();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn need(&mut self, token: &str) -> Result<(), WebAuthnError> {
        if self.next_is(token) { Ok(()) } else { Err(WebAuthnError::ClientDataMalformed) }
    }

    fn value(&mut self, depth: u8) -> Result<Value<'a>, WebAuthnError> {
        if depth > DEPTH_MAX {
            return Err(WebAuthnError::ClientDataMalformed);
        }
        let below = depth.saturating_add(1);
        if self.next_is("{") {
            self.object(below).map(Value::Object)
        } else if self.next_is("[") {
            self.list(below).map(|()| Value::Other)
        } else if self.next_is("\"") {
            self.text().map(Value::Text)
        } else if self.next_is("true") {
            Ok(Value::Bool(true))
        } else if self.next_is("false") {
            Ok(Value::Bool(false))
        } else if self.next_is("null") {
            Ok(Value::Other)
        } else {
            self.number().map(|()| Value::Other)
        }
    }

    fn object(&mut self, depth: u8) -> Result<BTreeMap<Cow<'a, str>, Value<'a>>, WebAuthnError> {
        let mut members = BTreeMap::new();
        if self.next_is("}") {
            return Ok(members);
        }
        loop {
            self.need("\"")?;
            let name = self.text()?;
            self.need(":")?;
            let value = self.value(depth)?;
            if members.insert(name, value).is_some() {
                return Err(WebAuthnError::ClientDataDuplicate);
            }
            if self.next_is("}") {
                return Ok(members);
            }
            self.need(",")?;
        }
    }

    fn list(&mut self, depth: u8) -> Result<(), WebAuthnError> {
        if self.next_is("]") {
            return Ok(());
        }
        loop {
            self.value(depth)?;
            if self.next_is("]") {
                return Ok(());
            }
            self.need(",")?;
        }
    }

    /// The rest of a text whose quotation mark was read.
    fn text(&mut self) -> Result<Cow<'a, str>, WebAuthnError> {
        let mut text = Cow::Borrowed("");
        loop {
            let end = self.rest.find(|c: char| c == '"' || c == '\\' || c < ' ');
            let (plain, rest) = end
                .and_then(|end| self.rest.split_at_checked(end))
                .ok_or(WebAuthnError::ClientDataMalformed)?;
            text += plain;
            let mut characters = rest.chars();
            let special = characters.next();
            self.rest = characters.as_str();
            match special {
                Some('"') => return Ok(text),
                Some('\\') => text.to_mut().push(self.escape()?),
                _ => return Err(WebAuthnError::ClientDataMalformed),
            }
        }
    }

    /// The character of an escape whose backslash was read. Half of a pair of surrogates is none.
    fn escape(&mut self) -> Result<char, WebAuthnError> {
        let mut characters = self.rest.chars();
        let kind = characters.next();
        self.rest = characters.as_str();
        Ok(match kind {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let mut units = vec![self.code_unit()?];
                if matches!(units.as_slice(), [0xd800..=0xdbff]) {
                    self.rest = self.rest.strip_prefix("\\u").ok_or(WebAuthnError::ClientDataMalformed)?;
                    units.push(self.code_unit()?);
                }
                let mut decoded = char::decode_utf16(units);
                match (decoded.next(), decoded.next()) {
                    (Some(Ok(c)), None) => c,
                    _ => return Err(WebAuthnError::ClientDataMalformed),
                }
            }
            _ => return Err(WebAuthnError::ClientDataMalformed),
        })
    }

    fn code_unit(&mut self) -> Result<u16, WebAuthnError> {
        let (digits, rest) = self.rest.split_at_checked(4).ok_or(WebAuthnError::ClientDataMalformed)?;
        let unit = encoding::hex(digits.as_bytes()).ok_or(WebAuthnError::ClientDataMalformed)?;
        self.rest = rest;
        Ok(u16::from_be_bytes(unit))
    }

    /// A number in the grammar of RFC 8259; how much it is nobody asks.
    fn number(&mut self) -> Result<(), WebAuthnError> {
        let unsigned = self.rest.strip_prefix('-').unwrap_or(self.rest);
        let mut rest = match unsigned.strip_prefix('0') {
            Some(rest) => rest,
            None => digits(unsigned)?,
        };
        if let Some(fraction) = rest.strip_prefix('.') {
            rest = digits(fraction)?;
        }
        if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
            rest = digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))?;
        }
        self.rest = rest;
        Ok(())
    }
}

/// What follows one digit or more.
fn digits(text: &str) -> Result<&str, WebAuthnError> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    if rest.len() < text.len() { Ok(rest) } else { Err(WebAuthnError::ClientDataMalformed) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pieces of JSON and of what is none.
    const PIECES: [&str; 34] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"b\"",
        "\"a\":",
        "\"b\":",
        "\"",
        "1",
        "0",
        "-",
        ".5",
        "e3",
        "E-1",
        "true",
        "false",
        "null",
        " ",
        "\n",
        "\\u0061",
        "\\ud83d\\ude00",
        "\\ud83d",
        "\\",
        "/",
        "x",
        "é",
        "\u{1}",
        "{\"a\":1}",
        "[1,2]",
        "\"c\":{\"a\":[]}",
        "\"\\u0062\":0",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn what_is_read_at_random_another_reader_reads_too(pieces in prop::collection::vec(0..PIECES.len(), 1..9)) {
            let text: String = pieces.into_iter().map(|piece| PIECES[piece]).collect();
            for text in [text.clone(), format!("{{\"x\":{text}}}"), format!("{{{text}}}"), format!("[{text}]")] {
                let other = serde_json::from_str::<serde_json::Value>(&text);
                match parse(&text) {
                    Ok(_) => prop_assert!(other.is_ok(), "{text:?}"),
                    // The other reader takes the last of two.
                    Err(WebAuthnError::ClientDataDuplicate) => {}
                    Err(_) => prop_assert!(other.is_err(), "{text:?}"),
                }
            }
        }
    }

    #[test]
    fn json_is_read_as_another_reader_reads_it() {
        for text in [
            "{}",
            " { } ",
            "[]",
            "[1,2]",
            "\"\"",
            "true",
            "null",
            "0",
            "-0",
            "1.5e+3",
            "10",
            "1E9",
            "1e-0",
            r#"{"a":{"b":[1,{"c":"d"}]},"e":"\u0041\n\ud83d\ude00\/"}"#,
            "\t[\r\n]",
            "\"\u{7f}\u{e9}\"",
            // And what none should read.
            "",
            "{",
            "}",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "[1,]",
            "[,]",
            "01",
            "1.",
            ".5",
            "1e",
            "+1",
            "--1",
            "tru",
            "True",
            "nulls",
            "\"",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u+123\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "\"\n\"",
            "\"\u{0}\"",
            "{}{}",
            "[] 1",
            "\u{feff}{}",
            "\u{a0}{}",
            "'a'",
            "{a:1}",
            "/**/{}",
            "NaN",
            "[1 2]",
            "{\"a\" 1}",
            "\u{b}1",
        ] {
            let other = serde_json::from_str::<serde_json::Value>(text);
            assert_eq!(parse(text).is_ok(), other.is_ok(), "{text:?}");
            if let (Ok(Value::Text(text)), Ok(other)) = (parse(text), other) {
                assert_eq!(Some(text.as_ref()), other.as_str());
            }
        }
    }

    #[test]
    fn a_member_named_twice_is_refused_at_every_depth_and_in_every_spelling() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"b":[{"x":{"a":1,"c":2,"a":3}}]}"#,
            r#"{"":1,"":1}"#,
        ] {
            assert_eq!(parse(text), Err(WebAuthnError::ClientDataDuplicate), "{text}");
        }
        assert!(parse(r#"{"a":{"a":{"a":1}},"A":1}"#).is_ok());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(9)).is_ok());
        assert!(parse(&nested(10)).is_err());
        assert!(parse(&nested(2_000)).is_err());
    }
}
