//! The exchange that is played: what each of its rules does to a withdrawal, as a story; that a play replays and forks; and
//! the files that it reads.

mod files;
mod house;
mod runs;
mod schema;
mod stories;
