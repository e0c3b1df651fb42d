//! What a policy may ask, and how its compiled form answers: the table of facts, the program, its evaluator and the
//! explanation of a match.
//!
//! Nothing here parses policy text, reads a clock, does IO or knows what an account is: the decision core fills the
//! slots of [`Facts`], [`Program::evaluate`] weighs them, and the core turns [`Findings`] into an outcome. Cedar, the
//! language that programs are compiled from, lives in `holdfast-cedar`.

pub mod explain;
pub mod expr;
pub mod facts;
pub mod outcome;
pub mod program;
mod slices;
mod wire;

pub use holdfast_values::pack;

pub use expr::{Comparison, EvalError, Expr};
pub use facts::{Action, Enumeration, FACTS, Fact, FactSpec, FactType, Facts, Unit, Value, Window};
pub use outcome::{Degree, Factor, NOT_PERMITTED, POLICY_ERROR};
pub use program::{Effect, Findings, Policy, PolicyMeta, Program, ProgramError};
