//! What a part measured: a table for people, values for machines, and the section of `docs/benchmarks.md` that shows it.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::Failure;

/// What one part measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) name: &'static str,
    tables: Vec<Table>,
    notes: Vec<String>,
    values: Map<String, Value>,
}

#[derive(Debug)]
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Report {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// Begins a table; rows go to the last one begun.
    pub(crate) fn table(&mut self, columns: &[&str]) {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        self.tables.push(Table { columns, rows: Vec::new() });
    }

    pub(crate) fn row(&mut self, cells: &[&str]) {
        if let Some(table) = self.tables.last_mut() {
            table.rows.push(cells.iter().map(|cell| (*cell).to_owned()).collect());
        }
    }

    /// A sentence under the tables.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// A number for machines.
    pub(crate) fn value(&mut self, name: impl Into<String>, value: u64) {
        self.values.insert(name.into(), json!(value));
    }

    pub(crate) fn json(&self) -> Value {
        Value::Object(self.values.clone())
    }

    /// Tables and notes as Markdown, which reads well in a terminal too.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for table in &self.tables {
            let width = |place: usize| {
                let cells = table.rows.iter().chain([&table.columns]);
                cells.filter_map(|row| row.get(place)).map(|cell| cell.chars().count()).max().unwrap_or(0)
            };
            let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
            let line = |cells: &[String]| {
                let cells = widths.iter().enumerate().map(|(place, width)| {
                    let cell = cells.get(place).map(String::as_str).unwrap_or_default();
                    if place == 0 { format!(" {cell:<width$} ") } else { format!(" {cell:>width$} ") }
                });
                format!("|{}|\n", cells.collect::<Vec<_>>().join("|"))
            };
            text.push_str(&line(&table.columns));
            let rule = widths.iter().enumerate().map(|(place, width)| {
                if place == 0 { "-".repeat(width + 2) } else { format!("{}:", "-".repeat(width + 1)) }
            });
            let _infallible = writeln!(text, "|{}|", rule.collect::<Vec<_>>().join("|"));
            table.rows.iter().for_each(|row| text.push_str(&line(row)));
            text.push('\n');
        }
        for note in &self.notes {
            let _infallible = writeln!(text, "{}\n", wrapped(note));
        }
        text.trim_end().to_owned()
    }

    /// Replaces this part's section in a document that has its two marks.
    pub(crate) fn write(&self, document: &Path) -> Result<(), Failure> {
        let text = std::fs::read_to_string(document)?;
        let (begin, end) =
            (format!("<!-- measured: {} -->\n", self.name), format!("<!-- end: {} -->", self.name));
        let lacks = || Failure::from(format!("{} has no section {}", document.display(), self.name));
        let (before, rest) = text.split_once(&begin).ok_or_else(lacks)?;
        let (_, after) = rest.split_once(&end).ok_or_else(lacks)?;
        std::fs::write(document, format!("{before}{begin}\n{}\n\n{end}{after}", self.markdown()))?;
        Ok(())
    }
}

/// Breaks a sentence into lines of at most 120 characters.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + word.chars().count() < 120 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A value in thousandths with one decimal: `1234` is `1.2`.
pub(crate) fn tenths(thousandths: u64) -> String {
    let tenths = (thousandths + 50) / 100;
    format!("{}.{}", grouped(tenths / 10), tenths % 10)
}

/// A share in 1/1000 as per cent.
pub(crate) fn percent(permille: u64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

/// `part` of `whole` in 1/1000.
pub(crate) fn permille(part: u64, whole: u64) -> u64 {
    ratio(u128::from(part) * 1_000, u128::from(whole))
}

/// A quotient, zero if there is nothing to divide by.
pub(crate) fn ratio(part: u128, whole: u128) -> u64 {
    u64::try_from(part.checked_div(whole).unwrap_or(0)).unwrap_or(u64::MAX)
}

/// How many a second, for `count` in `nanos`.
pub(crate) fn per_second(count: u64, nanos: u64) -> u64 {
    ratio(u128::from(count) * 1_000_000_000, u128::from(nanos))
}

/// The middle one.
pub(crate) fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// How busy the machine was of late, this program included.
pub(crate) fn busy() -> Result<String, Failure> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    let cores = std::thread::available_parallelism()?;
    let load = text.split_whitespace().next().ok_or("/proc/loadavg is empty")?;
    Ok(format!("Load average over the last minute, all programs together: {load} on {cores} cores."))
}

/// Whether an aim was reached, as the tables say it.
pub(crate) fn reached(met: bool) -> &'static str {
    if met { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!((grouped(7), grouped(1_234_567)), ("7".into(), "1,234,567".into()));
        assert_eq!((tenths(1_250), percent(605)), ("1.3".into(), "60.5 %".into()));
        assert_eq!((median(vec![3, 1, 2]), per_second(3, 2_000_000_000), permille(1, 0)), (2, 1, 0));
    }

    #[test]
    fn a_section_is_replaced_and_the_rest_stays() {
        let path = std::env::temp_dir().join(format!("holdfast-report-{}.md", std::process::id()));
        std::fs::write(&path, "a\n<!-- measured: p -->\nold\n<!-- end: p -->\nb\n").unwrap();
        let mut report = Report::new("p");
        report.table(&["what", "n"]);
        report.row(&["x", "1"]);
        report.write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(text.starts_with("a\n") && text.ends_with("<!-- end: p -->\nb\n"), "{text}");
        assert!(text.contains("| x    | 1 |\n") && !text.contains("old"), "{text}");
        assert!(Report::new("q").write(&path).is_err());
    }
}
