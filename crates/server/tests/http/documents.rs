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

/// The examples of the guide, in their order, with what they answer here, where no browser and no app is.
#[test]
fn examples_of_the_guide_to_accounts_work() {
    let guide = std::fs::read_to_string(repository("docs/accounts.md")).unwrap();
    let blocks: Vec<&str> = guide
        .split("```sh\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        .filter(|block| !block.starts_with("holdfast "))
        .collect();
    assert!(blocks.len() >= 8, "{}", blocks.len());
    let exchange = super::customer::open();
    let server = super::customer::ready(&exchange);
    let script = blocks
        .concat()
        .replace("http://127.0.0.1:8420", &server.url)
        .replace("hf() { curl -sS ", "hf() { curl -sS -o /dev/null -w '%{http_code} %{url_effective}' ");
    let output = std::process::Command::new("bash")
        .args(["-euc", &script])
        .env("HOLDFAST_TOKEN", &server.token)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap().replace(&server.url, "");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let account = "/v1/accounts/ac_1001";
    let expected = [
        "201 /v1/accounts".to_owned(),
        format!("200 {account}/credentials/options"),
        "201 /v1/withdrawals".to_owned(),
        // There is no program's key here, no app that shows the code, and no such device.
        format!("404 {account}/mandates/text"),
        format!("200 {account}/api-keys/trading-1"),
        format!("200 {account}/one-time-codes"),
        format!("422 {account}/one-time-codes/confirm"),
        format!("201 {account}/recovery-codes"),
        format!("422 {account}/codes"),
        format!("200 {account}/sessions"),
        format!("200 {account}/devices"),
        format!("409 {account}/changes"),
        format!("200 {account}/changes"),
        format!("200 {account}/changes"),
        format!("200 {account}/panic-link"),
        format!("200 {account}/freeze"),
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected, "{script}");
}
