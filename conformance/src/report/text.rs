//! The report on a terminal.

use std::collections::HashSet;
use std::fmt::Write;

use super::{Cell, CellVerdict, Report, ReportLink};

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

fn colour(cell: &Cell) -> &'static str {
    match cell.verdict {
        _ if cell.known.is_some() => YELLOW,
        CellVerdict::Pass => GREEN,
        CellVerdict::Fail | CellVerdict::Hang | CellVerdict::Crash => RED,
        CellVerdict::Deviates | CellVerdict::Inconclusive | CellVerdict::Broken => YELLOW,
        CellVerdict::Observed => RESET,
        CellVerdict::NotClaimed => DIM,
    }
}

/// The matrix: one row a rule, one column a link; links that carry messages and objects that do not
/// each have one. A rule that nobody claims has no row, and where only some rules were asked for, it
/// shows those alone.
pub fn matrix(report: &Report, colours: bool) -> String {
    let mut text = String::new();
    for (i, link) in report.links.iter().enumerate() {
        let capacity = link.profile.map(|p| format!("capacity {}, ", p.capacity));
        let capacity = capacity.unwrap_or_default();
        let line = format!("{:>4}  {:<28} {}", i + 1, link.name, link.version);
        let _ = writeln!(text, "{line:<52} {capacity}{} runs", link.runs);
    }
    let decided = |c: &&Cell| !c.is_blank() && c.verdict != CellVerdict::NotClaimed;
    for objects in [false, true] {
        let chosen = |link: &ReportLink| link.profile.is_none() == objects;
        let columns: Vec<(usize, &ReportLink)> =
            report.links.iter().enumerate().filter(|(_, link)| chosen(link)).collect();
        let names: HashSet<&str> = columns.iter().map(|(_, link)| link.name.as_str()).collect();
        let cells = report.cells.iter().filter(|c| names.contains(c.link.as_str()));
        let shown: HashSet<&str> = cells.filter(decided).map(|c| c.rule.as_str()).collect();
        if !shown.is_empty() {
            block(report, colours, &columns, &shown, &mut text);
        }
    }
    text.push('\n');
    for verdict in CellVerdict::ALL {
        let count = report.told().filter(|c| c.verdict == verdict).count();
        if count > 0 {
            let _ = write!(text, "{} {} {count}   ", verdict.sign(), verdict.word());
        }
    }
    text.push('\n');
    text
}

/// The rows of these rules for these links, which have these numbers from 0.
fn block(
    report: &Report,
    colours: bool,
    columns: &[(usize, &ReportLink)],
    shown: &HashSet<&str>,
    text: &mut String,
) {
    let rows = || report.rules.iter().filter(|r| shown.contains(r.id.as_str()));
    let longest = rows().map(|r| r.id.len()).max().unwrap_or(0);
    let numbers: String = columns.iter().map(|(i, _)| format!("{:>3}", i + 1)).collect();
    let _ = writeln!(text, "\n{:longest$} {numbers}", "");
    for rule in rows() {
        let _ = write!(text, "{:longest$} ", rule.id);
        for (_, link) in columns {
            let Some(cell) = report.cell(&link.name, &rule.id) else {
                text.push_str("  X");
                continue;
            };
            let sign = cell.verdict.sign();
            if colours {
                let _ = write!(text, "  {}{sign}{RESET}", colour(cell));
            } else {
                let _ = write!(text, "  {sign}");
            }
        }
        text.push('\n');
    }
}

/// One cell in full: what broke, the picture, what was allowed, and how to see it again.
pub fn explain(report: &Report, cell: &Cell, folder: &str) -> String {
    let mut text = String::new();
    let word = cell.verdict.word().to_uppercase();
    let _ = writeln!(text, "{word} {}  {}", cell.link, cell.rule);
    if let Some(rule) = report.rules.iter().find(|r| r.id == cell.rule) {
        let _ = writeln!(text, "  rule    {} [{}]", rule.says, rule.source.join("; "));
    }
    let _ = writeln!(text, "  seen    {}", cell.why);
    if let Some(known) = &cell.known {
        let _ = writeln!(text, "  known   {known}");
    }
    for line in cell.picture.iter().flat_map(|p| p.lines()) {
        let _ = writeln!(text, "    {line}");
    }
    if let Some(replay) = &cell.replay {
        let _ = writeln!(text, "  again   ipc-conform replay --run {folder}/{replay}");
    }
    text
}

/// The cells that ask for attention: red, deviating, broken or inconclusive.
pub fn remarkable(report: &Report) -> impl Iterator<Item = &Cell> {
    report.cells.iter().filter(|c| {
        !matches!(c.verdict, CellVerdict::Pass | CellVerdict::NotClaimed | CellVerdict::Observed)
            && !c.is_blank()
    })
}
