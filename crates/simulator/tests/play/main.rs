//! The exchange that is played: what each of its rules does to a withdrawal, as a story; and that a play replays.

mod house;
mod stories;
