//! Verifiers in other languages judge the same registrations and assertions.
