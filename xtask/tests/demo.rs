//! The demonstration in small, from end to end: real processes, real HTTP, both packs, the table and its conditions.

use std::path::Path;
use std::process::Command;

/// `cargo test --workspace` builds the programs beside this test; alone, the demonstration builds them itself.
fn are_built() -> bool {
    let own = Path::new(env!("CARGO_BIN_EXE_xtask"));
    ["holdfast", "harbor", "drill"].iter().all(|name| own.with_file_name(name).is_file())
}

#[test]
fn a_small_day_and_the_attack_end_as_they_should() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["demo", "--quick", "--exit"]);
    if are_built() {
        command.arg("--no-build");
    }
    let output = command.output().unwrap();
    let (said, noise) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{noise}");
    assert!(!said.contains("FAILED"), "{said}");
    assert_eq!(said.matches("  holds ").count(), 7, "{said}");
    let sound = said.lines().filter(|line| line.contains("journal verify:") && line.contains("intact:"));
    assert_eq!(sound.count(), 2, "{said}");
    let rows = |name: &str| said.lines().filter(|line| line.trim_start().starts_with(name)).count();
    assert_eq!((rows("asked"), rows("approved"), rows("held"), rows("denied")), (2, 2, 2, 2), "{said}");
}
