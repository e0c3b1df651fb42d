//! What baseline declares movable moves, in that direction alone, and still compiles.

#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

use std::path::PathBuf;

use holdfast_cedar::{compile_pack, load_dir};
use holdfast_values::tightening::check;

type Files = Vec<(String, String)>;

/// The pack with one number of one policy moved by `by`.
fn moved(files: &Files, id: &str, path: &str, by: i64) -> Files {
    let mut files = files.clone();
    let text =
        files.iter_mut().map(|(_, text)| text).find(|text| text.contains(&format!("@id(\"{id}\")"))).unwrap();
    let statement = text.find(&format!("@id(\"{id}\")")).unwrap();
    let end = statement + text[statement..].find(';').unwrap();
    // The first comparison of it.
    let lead = format!("context.{path} ");
    let place = text[statement..end]
        .match_indices(&lead)
        .map(|(at, _)| statement + at + lead.len())
        .find(|at| text[*at..].starts_with(['<', '>']))
        .unwrap_or_else(|| panic!("{id} does not compare {path}"));
    let from = place + text[place..].find(|c: char| c.is_ascii_digit()).unwrap();
    let to = from + text[from..].find(|c: char| !c.is_ascii_digit()).unwrap();
    let number: i64 = text[from..to].parse().unwrap();
    text.replace_range(from..to, &(number + by).to_string());
    files
}

#[test]
fn every_number_that_baseline_declares_moves_in_its_direction_alone() {
    let pack = load_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../policies/baseline"));
    let files = pack.unwrap_or_else(|error| panic!("{error}")).files;
    let mut tried = 0;
    for (_, text) in &files {
        for statement in text.split("@id(\"").skip(1) {
            let id = statement.split('"').next().unwrap();
            let Some((_, rest)) = statement.split_once("@tighter(\"") else { continue };
            for entry in rest.split('"').next().unwrap().split(',') {
                let (path, direction) = entry.trim().split_once(' ').unwrap();
                let by = if direction == "lower" { -1 } else { 1 };
                let (tighter, looser) = (moved(&files, id, path, by), moved(&files, id, path, -by));
                assert_eq!(check(&files, &tighter), Ok(()), "{id} {entry}");
                assert!(check(&files, &looser).is_err(), "{id} {entry}");
                assert!(compile_pack(&tighter).is_ok(), "{id} {entry}");
                tried += 1;
            }
        }
    }
    assert!(tried >= 18, "only {tried}");
}
