//! The texts of reasons: `reasons.txt` beside a pack, a line for each code that its policies give. They are for people
//! (customers' replies, support) and no part of the pack.

use std::collections::BTreeMap;
use std::path::Path;

use holdfast_policy::program::is_reason;

use crate::load::read_limited;
use crate::problem::{PackError, Problem};

/// The file beside the pack.
pub const REASONS_FILE: &str = "reasons.txt";
/// The most texts of a file.
pub const TEXTS_MAX: usize = 8_192;
/// The longest text, in characters.
pub const TEXT_MAX: usize = 300;

/// The texts beside a pack, by reason; none if there is no file.
///
/// # Errors
/// A file that cannot be read, and everything that is wrong with its lines.
pub fn reason_texts(dir: &Path) -> Result<BTreeMap<String, String>, PackError> {
    let file = dir.join(REASONS_FILE);
    match read_limited(&file) {
        Ok(text) => parse_reasons(REASONS_FILE, &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => {
            let message = format!("cannot read {}: {error}", file.display());
            Err(Problem::of_pack("pack_unreadable", message).into())
        }
    }
}

/// Reads lines of `code: One sentence.`; a line that begins with `#` is a comment.
///
/// # Errors
/// Everything that is wrong with them.
pub fn parse_reasons(file: &str, text: &str) -> Result<BTreeMap<String, String>, PackError> {
    let (mut texts, mut problems, mut offset) = (BTreeMap::new(), Vec::new(), 0usize);
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        let at = |code, message: String| {
            Problem::at(code, (file, text), (offset, content.len()), message)
                .help("write `reason_code: One sentence that a customer understands.`")
        };
        if !content.is_empty() && !content.starts_with('#') {
            match content.split_once(": ") {
                Some((code, said)) if is_reason(code) && is_sentence(said) => {
                    if texts.insert(code.to_owned(), said.to_owned()).is_some() {
                        problems.push(at("reason_text_duplicate", format!("{code} has two texts")));
                    }
                }
                _ => problems.push(at("reason_text_syntax", "this is not a reason and its text".to_owned())),
            }
        }
        if texts.len() > TEXTS_MAX || problems.len() > TEXTS_MAX {
            let message = format!("more than {TEXTS_MAX} texts");
            return Err(Problem::of_file("reason_texts_too_many", file, message).into());
        }
        offset = offset.saturating_add(line.len());
    }
    PackError::unless_empty(problems).map(|()| texts)
}

fn is_sentence(text: &str) -> bool {
    (1..=TEXT_MAX).contains(&text.chars().count())
        && text.trim() == text
        && text.ends_with(['.', '?', '!'])
        && !text.contains(|c: char| c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_bad_lines_are_pointed_at() {
        let texts = parse_reasons("reasons.txt", "# why\n\nnew_account: Wait a day: it is new.\n").unwrap();
        assert_eq!(texts["new_account"], "Wait a day: it is new.");
        for (text, code) in [
            ("new_account", "reason_text_syntax"),
            ("New: A.", "reason_text_syntax"),
            ("new: no end", "reason_text_syntax"),
            ("new:  Two spaces.", "reason_text_syntax"),
            ("new: A bell \u{7}.", "reason_text_syntax"),
            ("new: A.\nnew: B.", "reason_text_duplicate"),
        ] {
            assert_eq!(parse_reasons("reasons.txt", text).unwrap_err().code(), code, "{text:?}");
        }
        assert_eq!(parse_reasons("r", "ok: A.\n\nbad\n").unwrap_err().problems[0].line, 3);
    }
}
