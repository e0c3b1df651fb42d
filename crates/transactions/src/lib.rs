//! Bytes of a transaction to what it does: outputs, fee, conflict keys, sighashes. Pure: no clock, no IO, no randomness.
