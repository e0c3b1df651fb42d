//! The last word beside the wallet's keys: verifies a release, compares the transaction, spends it once.
