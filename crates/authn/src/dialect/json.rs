//! JSON bodies (RFC 8259), read strictly and without loss: a name comes once in its object, at every depth; a number
//! stays the text that was signed; nothing follows the value. No tree is built, only the outermost object's members
//! are kept.

use super::{Field, Kind};
use crate::request::RequestError;

/// How deep objects and arrays may lie in each other.
const DEPTH_MAX: usize = 16;
/// Most members of one object. Names are compared with each other, so this also bounds the work.
const MEMBERS_MAX: usize = 64;

const EXPECTED: &str = "one JSON object or array in UTF-8, with at most 64 members an object and 16 levels";
const MALFORMED: RequestError = RequestError::BodyMalformed { expected: EXPECTED };

/// The members of the object that `body` is. An array has none, but is read with the same strictness.
pub(super) fn read(body: &[u8]) -> Result<Vec<Field>, RequestError> {
    let text = core::str::from_utf8(body).map_err(|_| MALFORMED)?;
    let mut reader = Reader { text, rest: text.as_bytes() };
    let mut fields = Vec::new();
    reader.skip_space();
    match reader.rest {
        [b'{', ..] => reader.object(DEPTH_MAX, Some(&mut fields))?,
        [b'[', ..] => reader.array(DEPTH_MAX)?,
        _ => return Err(MALFORMED),
    }
    reader.skip_space();
    if reader.rest.is_empty() { Ok(fields) } else { Err(MALFORMED) }
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn skip_space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn take(&mut self, byte: u8) -> Result<(), RequestError> {
        self.rest = self.rest.strip_prefix(&[byte]).ok_or(MALFORMED)?;
        Ok(())
    }

    /// What was read since `before` was all that remained.
    fn since(&self, before: &'a [u8]) -> Result<&'a str, RequestError> {
        let from = self.text.len().checked_sub(before.len()).ok_or(MALFORMED)?;
        let to = self.text.len().checked_sub(self.rest.len()).ok_or(MALFORMED)?;
        self.text.get(from..to).ok_or(MALFORMED)
    }

    /// Members from `{` to `}`; with `keep`, they go there.
    fn object(&mut self, depth: usize, mut keep: Option<&mut Vec<Field>>) -> Result<(), RequestError> {
        let depth = depth.checked_sub(1).ok_or(MALFORMED)?;
        let mut names: Vec<Box<str>> = Vec::new();
        self.take(b'{')?;
        self.skip_space();
        if let [b'}', rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(());
        }
        loop {
            self.skip_space();
            let name: Box<str> = self.string()?.into();
            let position = names.len().saturating_add(1);
            if names.contains(&name) {
                return Err(RequestError::ParameterRepeated { position });
            }
            if position > MEMBERS_MAX {
                return Err(RequestError::TooManyParameters { max: MEMBERS_MAX });
            }
            self.skip_space();
            self.take(b':')?;
            self.skip_space();
            let (value, kind) = self.value(depth)?;
            if let Some(keep) = keep.as_deref_mut() {
                keep.push(Field { name: name.clone(), value, kind });
            }
            names.push(name);
            self.skip_space();
            match self.rest {
                [b',', rest @ ..] => self.rest = rest,
                [b'}', rest @ ..] => {
                    self.rest = rest;
                    return Ok(());
                }
                _ => return Err(MALFORMED),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), RequestError> {
        let depth = depth.checked_sub(1).ok_or(MALFORMED)?;
        self.take(b'[')?;
        self.skip_space();
        if let [b']', rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(());
        }
        loop {
            self.skip_space();
            self.value(depth)?;
            self.skip_space();
            match self.rest {
                [b',', rest @ ..] => self.rest = rest,
                [b']', rest @ ..] => {
                    self.rest = rest;
                    return Ok(());
                }
                _ => return Err(MALFORMED),
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<(Box<str>, Kind), RequestError> {
        match self.rest {
            [b'"', ..] => Ok((self.string()?.into(), Kind::Text)),
            [b'{', ..] => self.object(depth, None).map(|()| ("".into(), Kind::Nested)),
            [b'[', ..] => self.array(depth).map(|()| ("".into(), Kind::Nested)),
            [b'-' | b'0'..=b'9', ..] => Ok((self.number()?.into(), Kind::Number)),
            _ => {
                let words = [("true", Kind::Flag), ("false", Kind::Flag), ("null", Kind::Null)];
                let mut found = words.into_iter().filter_map(|(word, kind)| {
                    self.rest.strip_prefix(word.as_bytes()).map(|rest| (word, kind, rest))
                });
                let (word, kind, rest) = found.next().ok_or(MALFORMED)?;
                self.rest = rest;
                Ok((word.into(), kind))
            }
        }
    }

    fn number(&mut self) -> Result<&'a str, RequestError> {
        let before = self.rest;
        if let [b'-', rest @ ..] = self.rest {
            self.rest = rest;
        }
        match self.rest {
            [b'0', rest @ ..] => self.rest = rest,
            _ => self.some_digits()?,
        }
        if let [b'.', rest @ ..] = self.rest {
            self.rest = rest;
            self.some_digits()?;
        }
        if let [b'e' | b'E', rest @ ..] = self.rest {
            self.rest = rest;
            if let [b'+' | b'-', rest @ ..] = self.rest {
                self.rest = rest;
            }
            self.some_digits()?;
        }
        self.since(before)
    }

    fn some_digits(&mut self) -> Result<(), RequestError> {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match self.rest.split_at_checked(count) {
            Some((digits, rest)) if !digits.is_empty() => {
                self.rest = rest;
                Ok(())
            }
            _ => Err(MALFORMED),
        }
    }

    fn string(&mut self) -> Result<String, RequestError> {
        self.take(b'"')?;
        let mut out = String::new();
        loop {
            let before = self.rest;
            let plain = self.rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)).count();
            self.rest = self.rest.get(plain..).ok_or(MALFORMED)?;
            out.push_str(self.since(before)?);
            match self.rest {
                [b'"', rest @ ..] => {
                    self.rest = rest;
                    return Ok(out);
                }
                [b'\\', b'u', rest @ ..] => {
                    self.rest = rest;
                    out.push(self.escaped()?);
                }
                [b'\\', byte, rest @ ..] => {
                    self.rest = rest;
                    out.push(match byte {
                        b'"' | b'\\' | b'/' => char::from(*byte),
                        b'b' => '\u{8}',
                        b'f' => '\u{c}',
                        b'n' => '\n',
                        b'r' => '\r',
                        b't' => '\t',
                        _ => return Err(MALFORMED),
                    });
                }
                _ => return Err(MALFORMED),
            }
        }
    }

    /// The character of `\uXXXX`, of which `\u` has been read: a pair of surrogates is one, half a pair is none.
    fn escaped(&mut self) -> Result<char, RequestError> {
        let first = self.unit()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or(MALFORMED);
        }
        self.take(b'\\')?;
        self.take(b'u')?;
        let second = self.unit()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(MALFORMED);
        }
        char::from_u32(0x1_0000 + ((first & 0x3ff) << 10) + (second & 0x3ff)).ok_or(MALFORMED)
    }

    fn unit(&mut self) -> Result<u32, RequestError> {
        let (digits, rest) = self.rest.split_at_checked(4).ok_or(MALFORMED)?;
        self.rest = rest;
        let [high, low] = crate::encoding::hex::<2>(digits).ok_or(MALFORMED)?;
        Ok(u32::from(u16::from_be_bytes([high, low])))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(body: &str) -> &'static str {
        read(body.as_bytes()).map_or_else(|error| error.code(), |_| "read")
    }

    #[test]
    fn only_one_reading_is_read() {
        for (expected, body) in [
            ("read", "{}"),
            ("read", " [ ] "),
            ("read", r#"{"a":1,"b":{"a":2},"c":[{"a":3},{"a":4}]}"#),
            ("read", r#"{"a":"\u00fc\ud83d\ude00\n\/","b":-0.5e+7,"c":null,"d":true,"e":false}"#),
            ("duplicate_parameter", r#"{"a":1,"a":1}"#),
            ("duplicate_parameter", r#"{"a":1,"\u0061":1}"#),
            ("duplicate_parameter", r#"{"b":{"a":1,"a":1}}"#),
            ("duplicate_parameter", r#"[{"a":1},{"a":1,"a":2}]"#),
            ("body_malformed", ""),
            ("body_malformed", "1"),
            ("body_malformed", r#""a""#),
            ("body_malformed", "\u{feff}{}"),
            ("body_malformed", "{} {}"),
            ("body_malformed", r#"{"a":1,}"#),
            ("body_malformed", r#"{a:1}"#),
            ("body_malformed", r#"{'a':1}"#),
            ("body_malformed", r#"{"a":01}"#),
            ("body_malformed", r#"{"a":+1}"#),
            ("body_malformed", r#"{"a":.5}"#),
            ("body_malformed", r#"{"a":1.}"#),
            ("body_malformed", r#"{"a":1e}"#),
            ("body_malformed", r#"{"a":NaN}"#),
            ("body_malformed", r#"{"a":0x1}"#),
            ("body_malformed", "{\"a\":\"\n\"}"),
            ("body_malformed", r#"{"a":"\x"}"#),
            ("body_malformed", r#"{"a":"\ud800"}"#),
            ("body_malformed", r#"{"a":"\ud800\u0061"}"#),
            ("body_malformed", r#"{"a":"\udc00"}"#),
            ("body_malformed", r#"{"a":"\u+061"}"#),
            ("body_malformed", "{\"a\":1}\0"),
            ("body_malformed", "{/**/}"),
        ] {
            assert_eq!(code(body), expected, "{body}");
        }
        assert_eq!(read(b"{\"a\":\"\xff\"}"), Err(MALFORMED));
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!((code(&deep(16)), code(&deep(17))), ("read", "body_malformed"));
        assert_eq!(code(&"[".repeat(60_000)), "body_malformed");
        let wide = |members: usize| {
            format!("{{{}}}", (0..members).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(","))
        };
        assert_eq!((code(&wide(64)), code(&wide(65))), ("read", "too_many_parameters"));
    }

    #[test]
    fn numbers_stay_as_they_were_written() {
        let fields = read(br#"{"amount":0.10000000000000000000000000001,"n":12E3,"s":"\u0031"}"#).unwrap();
        let said: Vec<_> = fields.iter().map(|field| (&*field.value, field.kind)).collect();
        assert_eq!(
            said,
            [("0.10000000000000000000000000001", Kind::Number), ("12E3", Kind::Number), ("1", Kind::Text)]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_is_read_is_what_another_reader_reads(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"a\"", "\"b\"", "\"", "\\u0041", "\\", "1", "-", ".5", "e3", "0", " ",
                "null", "true", "{\"a\":", "\"c\":1,", "\u{fc}", "\n",
            ]), 0..12),
        ) {
            let body = pieces.concat();
            let other: Result<serde_json::Value, _> = serde_json::from_str(&body);
            if let Ok(fields) = read(body.as_bytes()) {
                let other = other.unwrap();
                prop_assert!(other.is_object() || other.is_array());
                for field in fields {
                    match (field.kind, &other[&*field.name]) {
                        (Kind::Text, serde_json::Value::String(text)) => prop_assert_eq!(&*field.value, text.as_str()),
                        (Kind::Number, number) => prop_assert!(number.is_number()),
                        (Kind::Flag, flag) => prop_assert!(flag.is_boolean()),
                        (Kind::Null, null) => prop_assert!(null.is_null()),
                        (Kind::Nested, nested) => prop_assert!(nested.is_object() || nested.is_array()),
                        (kind, other) => prop_assert!(false, "{:?} {}", kind, other),
                    }
                }
            } else if let Ok(other) = other {
                // Only what repeats a name or is too deep is JSON and refused.
                prop_assert!(!(other.is_object() || other.is_array()) || body.matches("\"a\"").count() > 1
                    || body.matches("\"b\"").count() > 1 || body.matches("\"c\"").count() > 1 || body.contains("\\u0041"));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let _ = read(&[b"{\"".as_slice(), &bytes].concat());
        }
    }
}
