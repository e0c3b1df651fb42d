//! Who was an attacker: kept apart from the events, so that nothing that decides can see it.
//!
//! A truth file has one JSON object a line: first `{"format":"holdfast-truth/1","seed":...}`, then one line for each
//! account that was in an attacker's hands and one for each event that was his. Whatever has no line is ordinary.

use holdfast_values::Timestamp;
use serde::{Deserialize, Serialize};

/// The name and version that a file's first line carries.
pub const FORMAT: &str = "holdfast-truth/1";

/// One line after the first.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
pub enum Mark {
    /// From then on somebody else than its owner can use the account, or it is a mule's.
    Account {
        /// Which.
        account: Box<str>,
        /// Since when, RFC 3339.
        since: Box<str>,
        /// Name of the attack.
        attack: Box<str>,
        /// The attacker's own: no customer is behind it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        mule: bool,
    },
    /// An event was an attacker's.
    Event {
        /// Its id.
        id: Box<str>,
        /// Name of the attack.
        attack: Box<str>,
        /// What it was for.
        role: Role,
    },
}

/// What an attacker's event was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looking, signing in, making keys, adding addresses.
    Prepare,
    /// Taking money out.
    Drain,
}

/// Everything that is known of an attack, gathered while it is played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// In the order in which it became true.
    pub marks: Vec<Mark>,
}

impl Truth {
    /// An account is in an attacker's hands.
    pub fn account(&mut self, account: &str, since: Timestamp, attack: &str, mule: bool) {
        let since = since.to_string().into();
        self.marks.push(Mark::Account { account: account.into(), since, attack: attack.into(), mule });
    }

    /// An event was an attacker's.
    pub fn event(&mut self, id: &str, attack: &str, role: Role) {
        self.marks.push(Mark::Event { id: id.into(), attack: attack.into(), role });
    }
}
