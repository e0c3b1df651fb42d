//! What every decoder promises.
