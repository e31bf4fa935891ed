//! The report as Markdown, for pull requests and wikis.

use std::fmt::Write;

use super::{CellVerdict, Report, text};

/// The text.
pub fn markdown(report: &Report) -> String {
    let mut out = String::from("# IPC conformance\n\n");
    let _ = write!(out, "Suite {}, level {}, seed {}", report.suite, report.level, report.seed);
    for (name, value) in &report.environment {
        let _ = write!(out, ", {} {}", escape(name), escape(value));
    }
    out.push_str(".\n\n| link | version | capacity |");
    for verdict in CellVerdict::ALL {
        let _ = write!(out, " {} {} |", verdict.sign(), verdict.word());
    }
    let columns = 3 + CellVerdict::ALL.len();
    let _ = writeln!(out, "\n|{}", "---|".repeat(columns));
    for link in &report.links {
        let (name, version) = (escape(&link.name), escape(&link.version));
        let capacity = link.profile.map(|p| p.capacity.to_string()).unwrap_or_default();
        let _ = write!(out, "| {name} | {version} | {capacity} |");
        for verdict in CellVerdict::ALL {
            let here = report.told().filter(|c| c.link == link.name && c.verdict == verdict);
            let _ = write!(out, " {} |", here.count());
        }
        out.push('\n');
    }
    matrix(report, &mut out);
    found(report, &mut out);
    out
}

fn matrix(report: &Report, out: &mut String) {
    out.push_str("\n## Rules\n\n| rule |");
    for number in 1..=report.links.len() {
        let _ = write!(out, " {number} |");
    }
    let _ = writeln!(out, "\n|{}", "---|".repeat(report.links.len() + 1));
    for rule in &report.rules {
        let _ = write!(out, "| {} |", escape(&rule.id));
        for link in &report.links {
            let cell = report.cell(&link.name, &rule.id);
            let known = cell.is_some_and(|c| c.known.is_some());
            let sign = cell.map_or("absent", |c| c.verdict.sign());
            let _ = write!(out, " {}{} |", escape(sign), if known { " known" } else { "" });
        }
        out.push('\n');
    }
    out.push('\n');
    for (i, link) in report.links.iter().enumerate() {
        let _ = writeln!(out, "{}. {}", i + 1, escape(&link.name));
    }
    out.push('\n');
    for verdict in CellVerdict::ALL {
        let (sign, word) = (escape(verdict.sign()), verdict.word());
        let _ = writeln!(out, "- {sign} **{word}**: {}", verdict.meaning());
    }
}

fn found(report: &Report, out: &mut String) {
    let mut cells = text::remarkable(report).peekable();
    if cells.peek().is_some() {
        out.push_str("\n## What asks for attention\n");
    }
    for cell in cells {
        let (link, rule) = (escape(&cell.link), escape(&cell.rule));
        let _ = writeln!(out, "\n### {}: {link}, {rule}\n", cell.verdict.word());
        if let Some(rule) = report.rules.iter().find(|r| r.id == cell.rule) {
            let source = escape(&rule.source.join("; "));
            let _ = writeln!(out, "- Rule: {} [{source}]", escape(&rule.says));
        }
        let _ = writeln!(out, "- Seen: {}", escape(&cell.why));
        if let Some(known) = &cell.known {
            let _ = writeln!(out, "- Known: {}", escape(known));
        }
        if let Some(picture) = &cell.picture {
            let _ = writeln!(out, "\n{}", fenced(picture));
        }
        let _ = writeln!(out, "\n{}", fenced(&report.command(cell)));
    }
}

/// Text that Markdown, and the HTML within it, would read as something else.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '#' | '|' | '~' => {
                out.extend(['\\', c]);
            }
            '&' => out.push_str("&amp;"),
            '\n' | '\r' => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}

/// A block whose fence is longer than any within the text.
fn fenced(text: &str) -> String {
    let mut longest = 2;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    format!("{fence}text\n{text}\n{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_breaks_out_of_its_place() {
        assert_eq!(escape("a|b <i>\nc"), "a\\|b \\<i\\> c");
        assert!(fenced("x ```` y").starts_with("`````text\n"));
    }
}
