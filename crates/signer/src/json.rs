//! Reads JSON (RFC 8259) as auditors write it: strictly, no member twice in its object, bounded in depth. What it means is
//! not known here.

/// How deep objects and lists may be in each other.
const DEPTH_MAX: usize = 16;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Object(Vec<(String, Json)>),
    List(Vec<Json>),
    Text(String),
    /// Null, a truth or a number, as written.
    Other(String),
}

/// The one value that a text is; or the place, in bytes, where it is none.
pub(crate) fn parse(text: &str) -> Result<Json, usize> {
    let mut reader = Reader { rest: text };
    let value = reader.value(DEPTH_MAX).filter(|_| reader.next().is_none());
    value.ok_or_else(|| text.len().saturating_sub(reader.rest.len()))
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    /// The first letter behind white space.
    fn next(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.rest.chars().next()
    }

    fn take(&mut self, letter: char) -> Option<()> {
        self.next()?;
        self.rest = self.rest.strip_prefix(letter)?;
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        let below = depth.checked_sub(1)?;
        match self.next()? {
            '{' => self.object(below).map(Json::Object),
            '[' => self.list(below).map(Json::List),
            '"' => self.text().map(Json::Text),
            _ => self.other().map(Json::Other),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Vec<(String, Json)>> {
        self.take('{')?;
        let mut members: Vec<(String, Json)> = Vec::new();
        if self.next()? == '}' {
            self.take('}')?;
            return Some(members);
        }
        loop {
            self.next()?;
            let name = self.text()?;
            if members.iter().any(|(known, _)| *known == name) {
                return None;
            }
            self.take(':')?;
            members.push((name, self.value(depth)?));
            if self.next()? == '}' {
                self.take('}')?;
                return Some(members);
            }
            self.take(',')?;
        }
    }

    fn list(&mut self, depth: usize) -> Option<Vec<Json>> {
        self.take('[')?;
        let mut values = Vec::new();
        if self.next()? == ']' {
            self.take(']')?;
            return Some(values);
        }
        loop {
            values.push(self.value(depth)?);
            if self.next()? == ']' {
                self.take(']')?;
                return Some(values);
            }
            self.take(',')?;
        }
    }

    fn text(&mut self) -> Option<String> {
        let mut text = String::new();
        self.rest = self.rest.strip_prefix('"')?;
        loop {
            let end = self.rest.find(['"', '\\'])?;
            let (plain, rest) = self.rest.split_at_checked(end)?;
            if plain.bytes().any(|byte| byte < b' ') {
                return None;
            }
            text.push_str(plain);
            if let Some(rest) = rest.strip_prefix('"') {
                self.rest = rest;
                return Some(text);
            }
            self.rest = rest.strip_prefix('\\')?;
            text.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Option<char> {
        let mut letters = self.rest.chars();
        let letter = letters.next()?;
        self.rest = letters.as_str();
        Some(match letter {
            '"' | '\\' | '/' => letter,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => match self.unit()? {
                high @ 0xd800..=0xdbff => {
                    self.rest = self.rest.strip_prefix("\\u")?;
                    let low = self.unit()?;
                    char::decode_utf16([high, low]).next()?.ok()?
                }
                unit => char::from_u32(u32::from(unit))?,
            },
            _ => return None,
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u16> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
    }

    fn other(&mut self) -> Option<String> {
        let end = self.rest.find([',', ']', '}', ' ', '\t', '\n', '\r']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end)?;
        let number = || {
            let digits = word.strip_prefix('-').unwrap_or(word);
            digits.starts_with(|first: char| first.is_ascii_digit())
                && (digits == "0" || !digits.starts_with('0') || digits.starts_with("0."))
                && word.parse::<f64>().is_ok()
                && !word.ends_with('.')
        };
        if !matches!(word, "true" | "false" | "null") && !number() {
            return None;
        }
        self.rest = rest;
        Some(word.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_json_is_and_nothing_else() {
        let text = |text: &str| Json::Text(text.to_owned());
        assert_eq!(
            parse(" {\"a\": [\"b\\n\\u00e4\\ud83d\\ude00\", {}], \"c\": -1.5e3, \"d\": null} "),
            Ok(Json::Object(vec![
                ("a".to_owned(), Json::List(vec![text("b\nä😀"), Json::Object(vec![])])),
                ("c".to_owned(), Json::Other("-1.5e3".to_owned())),
                ("d".to_owned(), Json::Other("null".to_owned())),
            ]))
        );
        for wrong in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\":1,\"a\":2}",
            "{\"a\":1,\"\\u0061\":2}",
            "{a:1}",
            "[1] 2",
            "\"\\ud800\"",
            "\"\\x\"",
            "\"a\nb\"",
            "01",
            "1.",
            "+1",
            "nan",
            "tru",
            "'a'",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse(&("[".repeat(15) + &"]".repeat(15))).is_ok());
        assert!(parse(&("[".repeat(17) + &"]".repeat(17))).is_err());
        assert_eq!(parse("[\"a\", b]"), Err(6));
    }
}
