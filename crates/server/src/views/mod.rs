//! The read model `views.db`: what lists and the console query, and what an operator may open with `sqlite3`.
//!
//! Lives here: its tables, the follower that folds the journal into them, and the queries of the HTTP lists. The views
//! follow the journal and never hold up a commit; they know their position, and can be thrown away and rebuilt. What
//! they know of the journal's head is also evidence: a journal that ends before it was cut.

mod credentials;
mod cursor;
mod error;
mod fold;
mod follow;
mod ledger;
mod policy;
mod query;
mod rebuild;
mod rows;
mod schema;
mod time;

pub use cursor::Cursor;
pub use error::ViewsError;
pub(crate) use fold::case_of;
pub use fold::{DbNames, WithdrawalNames};
pub use follow::{Follower, Position, Signal};
pub use query::{
    AuditFilter, CaseFilter, Enrolments, PAGE_ROWS_MAX, Page, Single, TransactionFilter, Views,
    WithdrawalFilter,
};
pub use rebuild::{Rebuilt, rebuild};
pub use rows::{
    AccountRow, AddressRow, AlarmRow, AuditRow, CaseRow, DecisionRow, EnrolmentRow, PayingRow, RecoveredRow,
    TransactionDetail, TransactionRow, WithdrawalRow,
};
pub use schema::{known_head, path};
