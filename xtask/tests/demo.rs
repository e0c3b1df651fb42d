//! The demonstration in small, from end to end: real processes, real HTTP, signatures that a chain checks, both packs, the
//! table and its conditions; and that nothing outlives it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// `cargo test --workspace` builds the programs beside this test; alone, the demonstration builds them itself.
fn are_built() -> bool {
    let own = Path::new(env!("CARGO_BIN_EXE_xtask"));
    let programs = ["holdfast", "holdfast-signer", "harbor", "harbor-chain", "harbor-wallet", "drill"];
    programs.iter().all(|name| own.with_file_name(name).is_file())
}

fn demo(more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["demo", "--quick"]).args(more);
    if are_built() {
        command.arg("--no-build");
    }
    command
}

/// What still works in the demonstration's folder, where `/proc` tells.
fn left() -> Vec<String> {
    let is_ours = |process: &Path| {
        std::fs::read_link(process.join("cwd"))
            .is_ok_and(|folder| folder.components().any(|part| part.as_os_str() == "demo-quick"))
    };
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    let name =
        |process: std::path::PathBuf| std::fs::read_to_string(process.join("comm")).unwrap_or_default();
    processes.filter(|process| is_ours(process)).map(name).collect()
}

#[test]
fn a_small_day_and_the_attack_end_as_they_should() {
    // Ctrl-C in the middle of the day.
    let mut child = demo(&[]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("==> day:")), "it ended before the day");
    let told = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(told.success());
    assert!(!child.wait().unwrap().success());
    assert_eq!(left(), [""; 0], "Ctrl-C leaves nothing running");

    let mut command = demo(&["--exit"]);
    let output = command.output().unwrap();
    let (said, noise) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{noise}");
    assert!(!said.contains("FAILED"), "{said}");
    assert_eq!(said.matches("  holds ").count(), 15, "{said}");
    let sound = said.lines().filter(|line| line.contains("journal verify:") && line.contains("intact:"));
    assert_eq!(sound.count(), 2, "{said}");
    let verified = said.lines().filter(|line| line.contains("holdfast-signer verify:"));
    for line in verified.clone() {
        let (well, all) = line.split_once(" transactions").unwrap().0.rsplit_once(" of ").unwrap();
        assert!(well.ends_with(all) && all != "0", "{line}");
    }
    assert_eq!(verified.count(), 2, "{said}");
    let rows = |name: &str| said.lines().filter(|line| line.trim_start().starts_with(name)).count();
    for name in ["asked ", "approved ", "moved on chain ", "not moved ", "held ", "denied "] {
        assert_eq!(rows(name), 2, "{name}: {said}");
    }
    assert_eq!(left(), [""; 0], "nothing outlives the demonstration");
}
