//! `docs/texts.md` and the code say the same: its vectors parse, print back and hash as written there, and what it lists
//! as refused is refused at that line for that reason.

use holdfast_values::{Network, SignedText};

const DOCUMENT: &str = include_str!("../../../docs/texts.md");

/// Each vector with the digest that follows it.
fn vectors(document: &'static str) -> Vec<(&'static str, &'static str)> {
    let parts = document.split("```text-vector\n").skip(1);
    parts
        .filter_map(|part| {
            let (text, rest) = part.split_once("```")?;
            let digest = rest.trim_start().strip_prefix("sha256: `")?.split('`').next()?;
            Some((text, digest))
        })
        .collect()
}

#[test]
fn vectors_parse_print_and_hash_as_documented() {
    let vectors = vectors(DOCUMENT);
    assert_eq!(vectors.len(), DOCUMENT.matches("```text-vector").count(), "each vector has its digest");
    for kind in ["withdrawal", "operator", "transfer", "change", "mandate"] {
        let header = format!("holdfast-{kind}/v1\n");
        assert!(vectors.iter().any(|(text, _)| text.starts_with(&header)), "{header}");
    }
    for (text, digest) in vectors {
        let parsed = SignedText::parse(text.as_bytes()).unwrap();
        assert_eq!(parsed.to_string(), text);
        assert_eq!(parsed.digest().to_string(), digest, "{text}");
    }
}

#[test]
fn refusals_are_as_documented() {
    let mut seen = Vec::new();
    for section in DOCUMENT.split("\n## ") {
        let vectors = vectors(section);
        let rows: Vec<_> = section.lines().filter(|row| row.contains(" → ")).collect();
        for row in &rows {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            let quoted: Vec<_> = cells[1].split('`').collect();
            let (from, to) = (quoted[1], quoted[3]);
            let (text, _) = vectors.iter().find(|(text, _)| text.contains(from)).expect(row);
            let error = SignedText::parse(text.replacen(from, to, 1).as_bytes()).expect_err(row);
            assert_eq!(
                (error.line, error.reason.code()),
                (cells[2].parse().unwrap(), cells[3].trim_matches('`')),
                "{row}"
            );
        }
        seen.extend((!rows.is_empty()).then_some(rows.len()));
    }
    assert!(
        seen.len() == 4 && seen.iter().all(|rows| *rows >= 5),
        "all kinds but withdrawals: {seen:?} rows"
    );
}

#[test]
fn the_grammar_names_every_network() {
    for network in Network::ALL {
        assert!(DOCUMENT.contains(&format!("%s\"{network}\"")), "{network}");
    }
}
