//! Times as the tables hold them: RFC 3339 with always six decimals, so that text order is time order.

use holdfast_values::Timestamp;

/// The fixed-width text of an instant.
pub(super) fn fixed(at: Timestamp) -> String {
    let text = at.to_string();
    match text.strip_suffix('Z') {
        Some(whole) if !whole.contains('.') => format!("{whole}.000000Z"),
        _ => text,
    }
}

/// The ordinary spelling of a fixed-width text.
pub(super) fn ordinary(text: &str) -> String {
    match text.strip_suffix(".000000Z") {
        Some(whole) => format!("{whole}Z"),
        None => text.to_owned(),
    }
}
