//! The repository itself keeps the rules of the house, and what it is built from keeps the rules of dependencies.

use xtask::dependencies;
use xtask::metadata::Graph;
use xtask::shell::Shell;
use xtask::tidy::{Finding, Tree, check_all};

fn assert_none(results: Vec<(&str, Vec<Finding>)>) {
    let findings: Vec<String> =
        results.into_iter().flat_map(|(_, found)| found).map(|f| f.to_string()).collect();
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn the_repository_keeps_the_rules_of_the_house() {
    assert_none(check_all(&Tree::load(&Shell::new().unwrap()).unwrap()));
}

#[test]
fn the_dependencies_keep_their_rules() {
    let shell = Shell::new().unwrap();
    let (graph, tree) = (Graph::load(&shell).unwrap(), Tree::load(&shell).unwrap());
    assert_none(dependencies::check_all(&shell, &graph, &tree).unwrap());
}

#[test]
fn the_decision_core_depends_on_no_runtime_database_clock_or_cedar() {
    assert_eq!(dependencies::purity(&Shell::new().unwrap(), "holdfast-decision").unwrap(), []);
}
