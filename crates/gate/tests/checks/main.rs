//! The gate's checks as tables: what is let through, what is refused with which code, and in which order.

mod house;
mod keys;
mod order;
mod threads;
