//! The one layout of policy files: each statement as Cedar's own formatter lays it out (so that editors agree), comments
//! and single empty lines between statements as they were.
//!
//! Layout must never change what a pack says: the tokens and the comments of the new text are compared with those of the
//! old one, and a text for which they differ is left as it is.

use std::path::Path;

use cedar_policy_formatter::{Config, policies_str_to_pretty};
use serde_json::json;

use crate::load::{read_limited, read_sources};
use crate::pack::with_stack;
use crate::problem::{PackError, Problem};
use crate::report::{Report, refused};
use crate::scan::statements;

/// The layout: as Cedar's tools lay out by default, but for a line as wide as code is here.
const LAYOUT: Config = Config { line_width: 100, indent_width: 2 };
/// How often a statement is laid out before its layout must be stable.
const PASSES: usize = 4;

/// The text of a file in its one layout.
///
/// # Errors
/// What is no policy text, and what would not be the same text after it.
pub fn format_text(file: &str, text: &str) -> Result<String, PackError> {
    let (file, text) = (file.to_owned(), text.to_owned());
    with_stack(move || format_here(&file, &text))
}

fn format_here(file: &str, text: &str) -> Result<String, PackError> {
    let failed = |at: usize, message: String| {
        Problem::at("format_failed", (file, text), (at, 1), message)
            .help("the file is left as it is: lay this statement out by hand")
    };
    let (mut laid, mut end) = (String::with_capacity(text.len()), 0usize);
    for place in statements(file, text)? {
        between(&mut laid, text.get(end..place.offset).unwrap_or_default());
        end = place.offset + place.length;
        let mut statement = text.get(place.offset..end).unwrap_or_default().to_owned();
        for pass in 0.. {
            let next =
                policies_str_to_pretty(&statement, &LAYOUT).map_err(|error| syntax(file, text, &error))?;
            let next = next.trim().to_owned();
            if next == statement {
                break;
            }
            if pass == PASSES {
                return Err(
                    failed(place.offset, "the layout of this statement never settles".to_owned()).into()
                );
            }
            statement = next;
        }
        laid.push_str(&statement);
    }
    between(&mut laid, text.get(end..).unwrap_or_default());
    let laid = format!("{}\n", laid.trim());
    if laid.trim().is_empty() {
        return Ok(String::new());
    }
    match (parts(text), parts(&laid)) {
        (before, after) if before == after => Ok(laid),
        (before, after) => {
            let at = before.iter().zip(&after).take_while(|(old, new)| old == new).count();
            let shown = before.get(at).copied().unwrap_or_default();
            let offset = (shown.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
            Err(failed(offset.min(text.len()), format!("the layout would change `{shown}`")).into())
        }
    }
}

/// Cedar's parser says where; its formatter only that.
fn syntax(file: &str, text: &str, error: &miette::Report) -> PackError {
    match crate::pack::parse((file, text)) {
        Err(problems) => PackError { problems },
        Ok(_) => Problem::of_file("format_failed", file, format!("{error:#}"))
            .help("the file is left as it is")
            .into(),
    }
}

/// What stands between statements: comments without trailing blanks, and one empty line where there were any.
fn between(laid: &mut String, gap: &str) {
    let mut lines = gap.split('\n').map(str::trim);
    let (first, mut empty) = (lines.next().unwrap_or_default(), false);
    if !first.is_empty() {
        // A remark behind the statement stays there.
        if !laid.is_empty() {
            laid.push(' ');
        }
        laid.push_str(first);
    }
    let rest: Vec<&str> = lines.collect();
    for (place, line) in rest.iter().enumerate() {
        if line.is_empty() && place + 1 < rest.len() {
            empty = true;
            continue;
        }
        if !laid.is_empty() {
            laid.push_str(if empty { "\n\n" } else { "\n" });
        }
        empty = false;
        laid.push_str(line);
    }
}

/// The tokens and the comments of a text, each as it is written: what must not change, and in this order.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if first == '"' {
            quoted(rest)
        } else if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (part, after) = rest.split_at(length);
        if !first.is_whitespace() {
            parts.push(part.trim_end());
        }
        rest = after;
    }
    parts
}

/// How long the text is that begins here, its quotes included.
fn quoted(text: &str) -> usize {
    let mut bytes = text.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return at + 1,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
    text.len()
}

/// `holdfast policy fmt`: lays out every policy file of the directory, `invariants.cedar` among them; with `check`, only
/// says which are laid out otherwise.
pub fn format_dir(path: &Path, check: bool) -> Report {
    let (mut changed, mut problems) = (Vec::new(), Vec::new());
    let sources = match read_sources(path) {
        Ok(sources) => sources,
        Err(error) => return refused(&error),
    };
    let count = sources.len();
    for (name, text) in sources {
        match format_text(&name, &text) {
            Ok(laid) if laid == text => {}
            Ok(laid) => changed.push((name, text, laid)),
            Err(mut error) => problems.append(&mut error.problems),
        }
    }
    // Nothing is written unless everything can be.
    if let Err(error) = PackError::unless_empty(problems) {
        return refused(&error);
    }
    if !check {
        for (name, text, laid) in &changed {
            if let Err(error) = replace(&path.join(name), text, laid) {
                let problem = Problem::of_file("pack_unwritable", name, error.to_string());
                return refused(&problem.help("the files before it are written").into());
            }
        }
    }
    let ok = !check || changed.is_empty();
    let names: Vec<&str> = changed.iter().map(|(name, ..)| name.as_str()).collect();
    let mut text: String = names.iter().map(|name| format!("{name}\n")).collect();
    text.push_str(&match (check, names.len()) {
        (_, 0) => format!("{count} files, all in their layout\n"),
        (true, some) => {
            format!("{some} of {count} files are laid out otherwise: run `holdfast policy fmt`\n")
        }
        (false, some) => format!("{some} of {count} files laid out\n"),
    });
    Report { ok, text, json: json!({ "ok": ok, "files": count, "changed": names }) }
}

/// Writes beside the file and renames, so that no half of a policy is ever there.
fn replace(file: &Path, text: &str, laid: &str) -> std::io::Result<()> {
    if read_limited(file)? != text {
        return Err(std::io::Error::other("somebody else changed the file: try again"));
    }
    let aside = file.with_extension("cedar.new");
    std::fs::write(&aside, laid)?;
    std::fs::set_permissions(&aside, std::fs::metadata(file)?.permissions())?;
    std::fs::rename(&aside, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTIDY: &str = "// head  \n\n\n// why\n@id(\"a\") @outcome(\"hold\")   @reason(\"r\") // here\nforbid(principal,action,\n\n resource) when{context.price.stale// inside\n&& context.amount_usd_cents>1 && context.account.cooling_off && context.account.age_hours < 24 && true }; // behind\n\n\n@id(\"b\")permit(principal,action,resource);\n// end";

    #[test]
    fn lays_out_once_and_keeps_every_token_and_comment() {
        let laid = format_text("a.cedar", UNTIDY).unwrap();
        assert_eq!(parts(&laid), parts(UNTIDY));
        assert_eq!(format_text("a.cedar", &laid).unwrap(), laid);
        assert!(laid.starts_with("// head\n\n// why\n@id(\"a\")\n"), "{laid}");
        assert!(
            laid.contains("}; // behind\n\n@id(\"b\")\npermit (principal, action, resource);\n// end\n"),
            "{laid}"
        );
        for text in ["", "\n\n", "// only\n\n\n// this"] {
            let laid = format_text("a.cedar", text).unwrap();
            assert_eq!((parts(&laid), format_text("a.cedar", &laid).unwrap()), (parts(text), laid.clone()));
        }
    }

    #[test]
    fn what_is_no_policy_is_said_where_it_is() {
        let error =
            format_text("a.cedar", "// x\n@id(\"a\") permit (principal, action resource);").unwrap_err();
        assert_eq!((error.code(), error.problems[0].line), ("policy_syntax", 2));
    }
}
