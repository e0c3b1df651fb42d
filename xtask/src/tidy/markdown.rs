//! As much of Markdown as the rules need: links, headings, tables and code spans, outside code blocks.

use std::collections::BTreeMap;

/// A link in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The line that it stands on, counted from 1.
    pub line: usize,
    /// Where it leads.
    pub target: String,
}

/// A table with its header's words in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    header: Vec<String>,
    /// The rows below the header.
    pub rows: Vec<Row>,
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line that it stands on, counted from 1.
    pub line: usize,
    cells: Vec<String>,
}

impl Table {
    /// The place of the column with this heading.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|heading| heading == name)
    }
}

impl Row {
    /// The text of a cell; empty where the row is short.
    pub fn cell(&self, column: usize) -> &str {
        self.cells.get(column).map(String::as_str).unwrap_or_default()
    }
}

/// The lines outside fenced and indented code, with their numbers from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fence: Option<&str> = None;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) if !line.starts_with("    ") => return Some((index.saturating_add(1), line)),
            _ => {}
        }
        None
    })
}

/// The line without its code spans.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

/// The contents of the code spans of a line or cell.
pub fn code_spans(text: &str) -> Vec<String> {
    let mut parts: Vec<&str> = text.split('`').collect();
    // An even number of parts is an odd number of marks: the last one opens nothing.
    if parts.len().is_multiple_of(2) {
        parts.pop();
    }
    parts.into_iter().skip(1).step_by(2).filter(|span| !span.is_empty()).map(str::to_owned).collect()
}

/// The targets of inline links and of reference definitions.
pub fn links(text: &str) -> Vec<Link> {
    let mut links = Vec::new();
    for (line, content) in prose(text) {
        let content = without_code(content);
        let inline = content.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
        let defined = content
            .trim_start()
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("]: "))
            .filter(|(label, _)| !label.contains(']'))
            .map(|(_, target)| target.to_owned());
        for target in inline.chain(defined) {
            // A title may follow the target.
            let target = target.split_whitespace().next().unwrap_or_default();
            let target = target.trim_start_matches('<').trim_end_matches('>').to_owned();
            links.push(Link { line, target });
        }
    }
    links
}

/// The anchors of a text's headings, spelled as code hosts spell them.
pub fn anchors(text: &str) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchors = Vec::new();
    for (_, line) in prose(text) {
        let heading = line.trim_start_matches('#');
        if heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let plain = heading.trim().to_lowercase();
        let kept = plain.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let count = seen.entry(anchor.clone()).or_default();
        anchors.push(if *count == 0 { anchor.clone() } else { format!("{anchor}-{count}") });
        *count = count.saturating_add(1);
    }
    anchors
}

/// The tables of a text.
pub fn tables(text: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let mut open = false;
    let mut last: Option<(usize, Vec<String>)> = None;
    for (line, content) in prose(text) {
        let content = content.trim();
        let adjacent = last.as_ref().is_some_and(|(before, _)| before.saturating_add(1) == line);
        if !content.starts_with('|') {
            open = false;
            last = None;
            continue;
        }
        let cells = cells(content);
        let is_rule =
            cells.iter().all(|cell| cell.contains('-') && cell.chars().all(|c| matches!(c, '-' | ':' | ' ')));
        if is_rule && !open && adjacent {
            let header = last.take().map(|(_, cells)| cells).unwrap_or_default();
            tables.push(Table {
                header: header.iter().map(|cell| cell.to_lowercase()).collect(),
                rows: Vec::new(),
            });
            open = true;
        } else if open && let Some(table) = tables.last_mut() {
            table.rows.push(Row { line, cells: cells.clone() });
        }
        last = Some((line, cells));
    }
    tables
}

fn cells(line: &str) -> Vec<String> {
    // `\|` is a bar inside a cell.
    let line = line.trim_matches('|').replace("\\|", "\u{0}");
    line.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_links_outside_code() {
        let text = "See [a](a.md) and [b](<b.md#x> \"title\").\n`[c](c.md)`\n```\n[d](d.md)\n```\n    [e](e.md)\n[f]: f.md\n";
        let found: Vec<(usize, String)> =
            links(text).into_iter().map(|link| (link.line, link.target)).collect();
        assert_eq!(found, [(1, "a.md".to_owned()), (1, "b.md#x".to_owned()), (7, "f.md".to_owned())]);
    }

    #[test]
    fn spells_anchors_of_headings() {
        let text = "# The `way` of a withdrawal\n\n## Time, stamped\n\n## Time, stamped\n\n#no heading\n";
        assert_eq!(anchors(text), ["the-way-of-a-withdrawal", "time-stamped", "time-stamped-1"]);
    }

    #[test]
    fn reads_tables_and_code_spans() {
        let text =
            "before\n\n| Who | Test |\n| --- | :--: |\n| a \\| b | `x::y`, `z` |\n| c |\n\nafter | not\n";
        let found = tables(text);
        assert_eq!(found.len(), 1);
        let table = &found[0];
        assert_eq!(
            (table.column("who"), table.column("test"), table.column("else")),
            (Some(0), Some(1), None)
        );
        assert_eq!(table.rows[0].cell(0), "a | b");
        assert_eq!(code_spans(table.rows[0].cell(1)), ["x::y", "z"]);
        assert_eq!((table.rows[1].line, table.rows[1].cell(1)), (6, ""));
    }
}
