//! Counters and histograms, and their Prometheus text. Counts only: no label ever holds anything that came in a request.

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper edges of the duration histograms, in microseconds.
const EDGES: [u64; 14] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    10_000_000,
];

/// A number that only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Durations, by size.
#[derive(Debug, Default)]
pub struct Histogram {
    slots: [Counter; EDGES.len()],
    count: Counter,
    micros: Counter,
}

impl Histogram {
    /// One more.
    pub fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if let Some((slot, _)) = self.slots.iter().zip(EDGES).find(|(_, edge)| micros <= *edge) {
            slot.increment();
        }
        self.count.increment();
        self.micros.add(micros);
    }

    fn write(&self, out: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut total = 0u64;
        for (slot, edge) in self.slots.iter().zip(EDGES) {
            total = total.saturating_add(slot.get());
            let _infallible =
                writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{}\"}} {total}", Seconds(edge));
        }
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _infallible = writeln!(
            out,
            "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}\n{name}_sum{braces} {sum}\n{name}_count{braces} {count}",
            count = self.count.get(),
            sum = Seconds(self.micros.get()),
        );
    }
}

/// Microseconds printed as seconds.
struct Seconds(u64);

impl core::fmt::Display for Seconds {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let text = format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Requests refused because too many waited.
    pub overloaded: Counter,
    /// Times that the journal could not be written.
    pub journal_failures: Counter,
    /// Signed API requests that did not verify.
    pub evidence_refused: Counter,
    records: Counter,
    commits: Histogram,
    requests: Mutex<BTreeMap<(&'static str, String, u16), u64>>,
    latency: Histogram,
}

impl Metrics {
    /// A group became durable.
    pub fn commit(&self, records: usize, took: Duration) {
        self.records.add(u64::try_from(records).unwrap_or(u64::MAX));
        self.commits.observe(took);
    }

    /// A request was answered. `route` is the route's pattern, never a path as it came.
    pub fn request(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        self.latency.observe(took);
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let count = requests.entry((method, route.to_owned(), status)).or_default();
        *count = count.saturating_add(1);
    }

    /// The Prometheus text, with `gauges` that others know.
    pub fn text(&self, gauges: &[(&str, &str, u64)]) -> String {
        let mut out = String::new();
        for (name, help, value) in gauges {
            let _infallible = writeln!(
                out,
                "# HELP holdfast_{name} {help}\n# TYPE holdfast_{name} gauge\nholdfast_{name} {value}"
            );
        }
        for (name, help, value) in [
            ("records_total", "Records made durable since the start.", self.records.get()),
            ("overloaded_total", "Requests refused because too many waited.", self.overloaded.get()),
            ("journal_failures_total", "Groups that could not be written.", self.journal_failures.get()),
            (
                "evidence_refused_total",
                "Signed API requests that did not verify.",
                self.evidence_refused.get(),
            ),
        ] {
            let _infallible = writeln!(
                out,
                "# HELP holdfast_{name} {help}\n# TYPE holdfast_{name} counter\nholdfast_{name} {value}"
            );
        }
        out.push_str(
            "# HELP holdfast_commit_seconds Time to make one group durable.\n# TYPE holdfast_commit_seconds histogram\n",
        );
        self.commits.write(&mut out, "holdfast_commit_seconds", "");
        out.push_str(
            "# HELP holdfast_http_seconds Time to answer a request.\n# TYPE holdfast_http_seconds histogram\n",
        );
        self.latency.write(&mut out, "holdfast_http_seconds", "");
        out.push_str(
            "# HELP holdfast_http_requests_total Answers by route and status.\n# TYPE holdfast_http_requests_total counter\n",
        );
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        for ((method, route, status), count) in &*requests {
            let _infallible = writeln!(
                out,
                "holdfast_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}} {count}"
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_are_cumulative() {
        let metrics = Metrics::default();
        metrics.commit(3, Duration::from_micros(300));
        metrics.commit(1, Duration::from_secs(60));
        metrics.request("GET", "/v1/withdrawals/{id}", 200, Duration::from_millis(1));
        let text = metrics.text(&[("durable_sequence", "The last durable record.", 7)]);
        for line in [
            "holdfast_durable_sequence 7",
            "holdfast_records_total 4",
            "holdfast_commit_seconds_bucket{le=\"0.00025\"} 0",
            "holdfast_commit_seconds_bucket{le=\"0.0005\"} 1",
            "holdfast_commit_seconds_bucket{le=\"10\"} 1",
            "holdfast_commit_seconds_bucket{le=\"+Inf\"} 2",
            "holdfast_commit_seconds_sum 60.0003",
            "holdfast_http_requests_total{method=\"GET\",route=\"/v1/withdrawals/{id}\",status=\"200\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
    }
}
