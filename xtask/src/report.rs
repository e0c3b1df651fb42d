//! Counting what passed, failed and was skipped, over all suites, and reading the counts of the test runners.

use crate::ui::Terminal;

/// What one suite of checks or tests did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ran and was as it should be.
    pub passed: usize,
    /// Ran and was not.
    pub failed: usize,
    /// Did not run, or said that it could not do its work here.
    pub skipped: usize,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
        self.skipped = self.skipped.saturating_add(other.skipped);
    }
}

/// The results of a whole run, suite by suite, and the sentences about what was skipped or failed.
#[derive(Debug, Default)]
pub struct Report {
    suites: Vec<(String, Counts)>,
    remarks: Vec<String>,
}

impl Report {
    /// Adds to a suite, which is made when it is first named.
    pub fn add(&mut self, suite: &str, counts: Counts) {
        match self.suites.iter_mut().find(|(name, _)| name == suite) {
            Some((_, sum)) => sum.add(counts),
            None => self.suites.push((suite.to_owned(), counts)),
        }
    }

    /// Keeps a sentence for the end of the run, where it cannot be overlooked.
    pub fn remark(&mut self, text: String) {
        self.remarks.push(text);
    }

    /// The sum over all suites.
    pub fn total(&self) -> Counts {
        let mut sum = Counts::default();
        self.suites.iter().for_each(|(_, counts)| sum.add(*counts));
        sum
    }

    /// Prints the table of suites, the remarks, and the one closing line.
    pub fn print(&self, terminal: Terminal) {
        terminal.result("");
        for remark in &self.remarks {
            terminal.result(remark);
        }
        for (name, counts) in &self.suites {
            terminal.result(&format!(
                "{name:<14} {:>6} passed {:>4} failed {:>4} skipped",
                counts.passed, counts.failed, counts.skipped
            ));
        }
        terminal.result(&closing_line(self.total()));
    }
}

/// `N passed, N failed, N skipped`.
pub fn closing_line(counts: Counts) -> String {
    format!("{} passed, {} failed, {} skipped", counts.passed, counts.failed, counts.skipped)
}

/// True for the line by which a test says that it could not do its work here: `skipped: why`.
pub fn says_skipped(line: &str) -> bool {
    let line = line.trim_start().to_ascii_lowercase();
    line.starts_with("skipped") || line.starts_with("skipping")
}

/// Reads nextest's JUnit file. A passed test one of whose output lines begins with `skipped` counts as skipped; the
/// second part of the answer are those lines with the test's name.
pub fn read_junit(xml: &str) -> (Counts, Vec<String>) {
    let mut counts = Counts::default();
    let mut skips = Vec::new();
    for piece in xml.split("<testcase ").skip(1) {
        // A test case without output closes its own tag; what follows then belongs to the suite.
        let opening = piece.split_once('>').map_or(piece, |(opening, _)| opening);
        let case = if opening.ends_with('/') {
            opening
        } else {
            piece.split_once("</testcase>").map_or(piece, |(case, _)| case)
        };
        let name = attribute(opening, "name").unwrap_or("a test");
        if case.contains("<failure") || case.contains("<error") {
            counts.failed = counts.failed.saturating_add(1);
        } else if case.contains("<skipped") {
            counts.skipped = counts.skipped.saturating_add(1);
        } else if let Some(line) = case.split(['\n', '>']).find(|line| says_skipped(line)) {
            counts.skipped = counts.skipped.saturating_add(1);
            let line = line.split('<').next().unwrap_or(line);
            skips.push(format!("{name}: {}", unescaped(line.trim())));
        } else {
            counts.passed = counts.passed.saturating_add(1);
        }
    }
    (counts, skips)
}

fn unescaped(text: &str) -> String {
    let names = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    names.into_iter().fold(text.to_owned(), |text, (name, character)| text.replace(name, character))
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let start = format!("{name}=\"");
    tag.split(' ').find_map(|part| part.strip_prefix(&start)?.split('"').next())
}

/// Reads what `cargo test` prints: the sum of its `test result:` lines. Tests that said `skipped` (with
/// `--show-output`) count as skipped and not as passed.
pub fn read_cargo_test(output: &str) -> (Counts, Vec<String>) {
    let mut counts = Counts::default();
    let mut skips = Vec::new();
    for line in output.lines() {
        if let Some(result) = line.trim_start().strip_prefix("test result:") {
            counts.add(Counts {
                passed: number_before(result, " passed"),
                failed: number_before(result, " failed"),
                skipped: number_before(result, " ignored"),
            });
        } else if says_skipped(line) {
            skips.push(line.trim().to_owned());
        }
    }
    let said = skips.len().min(counts.passed);
    counts.passed = counts.passed.saturating_sub(said);
    counts.skipped = counts.skipped.saturating_add(said);
    (counts, skips)
}

fn number_before(text: &str, word: &str) -> usize {
    text.split(word)
        .next()
        .and_then(|before| before.rsplit(' ').next())
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_suites_into_one_closing_line() {
        let mut report = Report::default();
        report.add("checks", Counts { passed: 2, failed: 0, skipped: 1 });
        report.add("tests", Counts { passed: 40, failed: 1, skipped: 0 });
        report.add("checks", Counts { passed: 1, failed: 0, skipped: 0 });
        assert_eq!(closing_line(report.total()), "43 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn reads_junit_with_passes_failures_and_skips() {
        let xml = r#"<testsuites><testsuite name="a" tests="4">
            <testcase name="adds" classname="a" time="0.1"/>
            <testcase name="reads_vectors" classname="a"><system-err>
skipped: ../shared/data is absent</system-err></testcase>
            <testcase name="speaks" classname="a"><system-out>skipped: no &lt;node&gt;</system-out></testcase>
            <testcase name="breaks" classname="a"><failure type="x">skipped</failure></testcase>
            </testsuite></testsuites>"#;
        let (counts, skips) = read_junit(xml);
        assert_eq!(counts, Counts { passed: 1, failed: 1, skipped: 2 });
        assert_eq!(skips, ["reads_vectors: skipped: ../shared/data is absent", "speaks: skipped: no <node>"]);
    }

    #[test]
    fn reads_the_result_lines_of_cargo_test() {
        let output = "test a ... ok\n---- b stdout ----\nskipped: no data\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
            test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured\n";
        let (counts, skips) = read_cargo_test(output);
        assert_eq!(counts, Counts { passed: 12, failed: 2, skipped: 2 });
        assert_eq!(skips, ["skipped: no data"]);
    }
}
