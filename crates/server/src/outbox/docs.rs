//! `docs/webhooks.md`, printed from the code.

/// The page.
pub fn webhooks_markdown() -> String {
    String::new()
}
