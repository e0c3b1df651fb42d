//! Where the statements of a Cedar file begin and end, and whether they are of a size that may be parsed.
//!
//! Cedar's parser and validator recurse as deep as the text nests. What passes here nests so little that the stack of
//! the compiling thread suffices with room to spare, whatever the text says.

use crate::problem::{PackError, Problem};

/// The longest policy, with its annotations, in bytes.
pub(crate) const STATEMENT_MAX: usize = 8 * 1024;
/// The deepest nesting of brackets.
const BRACKETS_MAX: usize = 64;

/// One policy in the text of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Where it begins, after white space and comments.
    pub(crate) offset: usize,
    /// How long it is, the semicolon included.
    pub(crate) length: usize,
}

/// The statements of a file in their order; what follows the last semicolon is one too.
pub(crate) fn statements(file: &str, text: &str) -> Result<Vec<Statement>, PackError> {
    let mut found = Vec::new();
    let (mut start, mut depth) = (None, 0usize);
    let mut bytes = text.bytes().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        if byte == b'/' && bytes.peek().is_some_and(|(_, next)| *next == b'/') {
            bytes.by_ref().find(|(_, b)| *b == b'\n');
            continue;
        }
        if byte.is_ascii_whitespace() {
            continue;
        }
        let from = *start.get_or_insert(at);
        if at - from >= STATEMENT_MAX {
            let message = format!("a policy is longer than {STATEMENT_MAX} bytes");
            return Err(Problem::at("policy_too_long", (file, text), (from, 1), message)
                .help("split it")
                .into());
        }
        match byte {
            b'"' => {
                while let Some((_, inside)) = bytes.next() {
                    match inside {
                        b'"' => break,
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            b'(' | b'[' | b'{' => {
                depth += 1;
                if depth > BRACKETS_MAX {
                    let message = format!("brackets nest deeper than {BRACKETS_MAX}");
                    return Err(Problem::at("policy_too_deep", (file, text), (at, 1), message)
                        .help("split the policy")
                        .into());
                }
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b';' => {
                found.push(Statement { offset: from, length: at + 1 - from });
                (start, depth) = (None, 0);
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        found.push(Statement { offset: from, length: text.len() - from });
    }
    // A string may run on to the end of the text: the limit holds for what was found, too.
    match found.iter().find(|statement| statement.length > STATEMENT_MAX) {
        Some(long) => Err(Problem::at(
            "policy_too_long",
            (file, text),
            (long.offset, 1),
            format!("a policy is longer than {STATEMENT_MAX} bytes"),
        )
        .help("split it")
        .into()),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_statements_past_comments_and_strings() {
        let text = "// a; b\n@id(\"x;\\\"\") permit (a); // c\n\n forbid (b) when { \"//;\" };\n// end";
        let parts: Vec<&str> =
            statements("f", text).unwrap().iter().map(|s| &text[s.offset..s.offset + s.length]).collect();
        assert_eq!(parts, ["@id(\"x;\\\"\") permit (a);", "forbid (b) when { \"//;\" };"]);
    }

    #[test]
    fn refuses_what_nests_or_runs_on() {
        assert_eq!(statements("f", &"(".repeat(65)).unwrap_err().code(), "policy_too_deep");
        assert_eq!(statements("f", &"a+".repeat(9_000)).unwrap_err().code(), "policy_too_long");
        assert_eq!(
            statements("f", &format!("\"{}", "a".repeat(20_000))).unwrap_err().code(),
            "policy_too_long"
        );
    }
}
