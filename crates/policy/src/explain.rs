//! Why a policy matched: the parts of its condition that decided it, with what was observed.
