//! The committed copies of what the code prints are up to date. `HOLDFAST_BLESS=1` writes them.

use super::server::repository;

fn compare(path: &str, printed: &str) {
    let file = repository(path);
    if std::env::var_os("HOLDFAST_BLESS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, printed).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == printed, "{path} is not what the code prints: run this test with HOLDFAST_BLESS=1");
}

#[test]
fn openapi_document_is_committed() {
    let printed = holdfast_server::http::document();
    assert!(printed.contains("\"openapi\": \"3.1.0\""));
    compare("api/openapi.json", &printed);
}

#[test]
fn table_of_problems_is_committed() {
    compare("docs/problems.md", &holdfast_server::problem::document());
}

#[test]
fn table_of_authority_is_committed() {
    compare("docs/authority.md", &holdfast_server::http::authority_markdown());
}
