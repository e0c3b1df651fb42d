//! `holdfast text check|hash`: what does this signed text say, and what is its digest? Grammar and parser are in
//! `holdfast-values`; here are only files and printing.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use holdfast_values::texts::{SignedText, TEXT_BYTES_MAX};
use serde_json::{Value, json};

/// Work with the texts that people and keys sign.
#[derive(clap::Args, Debug)]
pub struct TextArgs {
    #[command(subcommand)]
    command: TextCommand,
}

#[derive(clap::Subcommand, Debug)]
enum TextCommand {
    /// Say what a text is and what it asks for, or at which line and why it is none. Exits 1 if it is none.
    Check(FileArgs),
    /// Print the SHA-256 of a text, which is what keys sign. A text that is none has no hash: exits 1.
    Hash(FileArgs),
}

#[derive(clap::Args, Debug)]
struct FileArgs {
    /// The file, or - for standard input.
    file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command on standard input and output.
pub fn run(args: TextArgs) -> ExitCode {
    let (file, hash_only) = match args.command {
        TextCommand::Check(file) => (file, false),
        TextCommand::Hash(file) => (file, true),
    };
    let bytes = match read(&file.file) {
        Ok(bytes) => bytes,
        Err(error) => {
            eprintln!("cannot read {}: {error}", file.file.display());
            return ExitCode::from(2);
        }
    };
    match answer(&bytes, hash_only, file.json, io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::from(1),
        Err(error) => {
            eprintln!("cannot write the answer: {error}");
            ExitCode::from(2)
        }
    }
}

/// Reads at most one byte more than a text may have: enough to see that it is too long.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(TEXT_BYTES_MAX + 1).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Prints what the bytes are; true if they are a signed text.
fn answer(bytes: &[u8], hash_only: bool, json: bool, mut output: impl Write) -> io::Result<bool> {
    let text = match SignedText::parse(bytes) {
        Ok(text) => text,
        Err(error) if json => {
            let (line, code, message) = (error.line, error.reason.code(), error.reason.to_string());
            let answer = json!({ "valid": false, "line": line, "error": code, "message": message });
            writeln!(output, "{answer}")?;
            return Ok(false);
        }
        Err(error) if hash_only => {
            eprintln!("no signed text: {error}");
            return Ok(false);
        }
        Err(error) => {
            writeln!(output, "invalid  {error}")?;
            return Ok(false);
        }
    };
    let (kind, digest) = (text.header(), text.digest().to_string());
    if json && hash_only {
        writeln!(output, "{}", json!({ "valid": true, "kind": kind, "sha256": digest }))?;
    } else if json {
        let mut fields = serde_json::Map::new();
        for (name, value) in text.fields() {
            // A mandate has several destinations: a name that comes again makes its value a list.
            match fields.get_mut(name) {
                None => drop(fields.insert(name.to_owned(), value.into())),
                Some(Value::Array(values)) => values.push(value.into()),
                Some(first) => *first = json!([first.take(), value]),
            }
        }
        let answer = json!({ "valid": true, "kind": kind, "sha256": digest, "fields": fields });
        writeln!(output, "{answer}")?;
    } else if hash_only {
        writeln!(output, "{digest}")?;
    } else {
        writeln!(output, "valid  {kind}")?;
        for (name, value) in text.fields() {
            writeln!(output, "  {name:<11} {value}")?;
        }
        writeln!(output, "  {:<11} {digest}", "sha256")?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "holdfast-operator/v1\nexchange: harbor.example\nact: resume\ntarget: -\ndetail: -\npayload: -\n\
                        not-before: 2026-11-22T12:00:00Z\nnot-after: 2026-11-29T12:00:00Z\n\
                        nonce: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";

    fn said(bytes: &[u8], hash_only: bool, json: bool) -> (bool, String) {
        let mut output = Vec::new();
        let valid = answer(bytes, hash_only, json, &mut output).unwrap();
        (valid, String::from_utf8(output).unwrap())
    }

    #[test]
    fn says_what_a_text_is() {
        let (valid, output) = said(TEXT.as_bytes(), false, false);
        assert!(
            valid
                && output.starts_with("valid  holdfast-operator/v1\n")
                && output.contains("act         resume")
        );
        let (_, hash) = said(TEXT.as_bytes(), true, false);
        assert!(output.contains(hash.trim_end()) && hash.len() == 65);
        let (_, json) = said(TEXT.as_bytes(), false, true);
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (json["fields"]["act"].as_str(), json["sha256"].as_str()),
            (Some("resume"), Some(hash.trim_end()))
        );
    }

    #[test]
    fn says_where_and_why_a_text_is_none() {
        let broken = TEXT.replace("act: resume", "act: Resume");
        assert_eq!(said(broken.as_bytes(), true, false), (false, String::new()));
        let (valid, output) = said(broken.as_bytes(), false, false);
        assert!(!valid && output.starts_with("invalid  line 3: "), "{output}");
        let (valid, output) = said(&[0xff; TEXT_BYTES_MAX + 1], false, true);
        assert!(!valid && output.contains("\"text_too_long\""), "{output}");
    }
}
