//! A bar where a person looks, a line now and then where nobody does. Goes to standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use holdfast_values::{Micros, Timestamp};

use super::client::Clock;

const BAR: u64 = 24;
const BAR_EVERY: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What one stack has been asked so far.
pub(crate) struct Counter {
    pub(crate) name: String,
    pub(crate) asked: AtomicU64,
}

impl Counter {
    pub(crate) fn new(name: &str) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), asked: AtomicU64::new(0) })
    }

    pub(crate) fn add(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }
}

/// Shows the exchange's time and what was asked, until dropped.
pub(crate) struct Progress {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A line for whoever looks.
pub(crate) fn say(text: &str) {
    let _unseen = writeln!(io::stderr(), "    {text}");
}

impl Progress {
    pub(crate) fn show(
        what: &'static str,
        clock: Clock,
        start: Timestamp,
        span: Micros,
        counters: Vec<Arc<Counter>>,
    ) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let finished = Arc::clone(&done);
        let watched = io::stderr().is_terminal();
        let thread = std::thread::spawn(move || {
            let mut shown = Instant::now();
            while !finished.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(50));
                if shown.elapsed() >= if watched { BAR_EVERY } else { LINE_EVERY } {
                    shown = Instant::now();
                    let line = line(what, clock.now(), start, span, &counters);
                    let _unseen = match watched {
                        true => write!(io::stderr(), "\r{line}\x1b[K"),
                        false => writeln!(io::stderr(), "    {line}"),
                    };
                }
            }
            if watched {
                let _unseen = write!(io::stderr(), "\r\x1b[K");
            }
        });
        Self { done, thread: Some(thread) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn line(what: &str, now: Timestamp, start: Timestamp, span: Micros, counters: &[Arc<Counter>]) -> String {
    let filled = now.since(start).saturating_mul(BAR).checked_div(span).unwrap_or(BAR).min(BAR);
    let bar: String = (0..BAR).map(|place| if place < filled { '#' } else { '.' }).collect();
    // The date and the minute.
    let time: String = now.to_string().chars().take(16).map(|c| if c == 'T' { ' ' } else { c }).collect();
    let asked = counters.iter().fold(String::new(), |text, counter| {
        format!("{text}  {} {}", counter.name, counter.asked.load(Ordering::Relaxed))
    });
    format!("{what} [{bar}] {time}  asked:{asked}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_when_and_how_much() {
        let start = Timestamp::parse("2019-05-06T16:00:00Z").unwrap();
        let counter = Counter::new("baseline");
        counter.add();
        let half = Timestamp::parse("2019-05-07T04:00:30Z").unwrap();
        let line = line("day", half, start, 24 * holdfast_values::time::HOUR, &[counter]);
        assert_eq!(line, "day [############............] 2019-05-07 04:00  asked:  baseline 1");
    }
}
