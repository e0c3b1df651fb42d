//! What the documents say is what the code has: dependencies, and a line for every code.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_readme_lists_every_dependency() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "-p", "holdfast-signer", "--prefix", "none"])
        .args(["-e", "normal,no-proc-macro", "--format", "{lib}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    if !output.status.success() {
        println!("skipped: cargo tree does not work here: {}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let found = String::from_utf8(output.stdout).unwrap();
    let name = |line: &str| line.split_whitespace().next().unwrap_or_default().replace('-', "_");
    let found: BTreeSet<String> = found.lines().map(name).filter(|name| !name.is_empty()).collect();
    let readme = read("README.md");
    let tree = readme.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let listed: BTreeSet<String> = tree
        .lines()
        .map(|line| name(line.trim_start_matches(|letter: char| !letter.is_ascii_alphanumeric())))
        .collect();
    assert_eq!(found, listed, "write README.md anew from cargo tree -e normal,no-proc-macro");
    let own = found.iter().filter(|name| name.starts_with("holdfast_")).count();
    let said = format!("{} crates of others are in the binary, and {own} of Holdfast's", found.len() - own);
    assert!(readme.contains(&said), "{said}");
    for never in ["tokio", "futures", "mio", "reqwest", "hyper", "rustls", "socket2"] {
        assert!(!found.contains(never), "{never}");
    }
}

#[test]
fn every_code_of_the_signer_is_explained() {
    let document = read("../../docs/signer.md");
    let files = ["refused", "files", "key", "serve", "client", "signer", "pins/mod", "store/mod"];
    let mut codes = BTreeSet::new();
    for file in files {
        let source = read(&format!("src/{file}.rs"));
        let found = source.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next());
        codes.extend(
            found
                .filter(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
                .map(str::to_owned),
        );
    }
    // Names of acts are matched in the same way in sources.
    assert!(codes.len() > 60, "{codes:?}");
    let missing: Vec<_> = codes.iter().filter(|code| !document.contains(&format!("`{code}`"))).collect();
    assert!(missing.is_empty(), "docs/signer.md does not explain {missing:?}");
}
