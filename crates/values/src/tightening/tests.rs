//! What is a tightening, and what only looks like one.
