//! The report as one self-contained page: nothing is fetched, and nothing is sent. It reads well
//! without its script, which adds filters, panels and keys.

mod claims;
mod cost;
mod found;
mod history;
mod matrix;
mod picture;

use std::collections::{BTreeMap, HashMap};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::cost::Costs;
use super::{Cell, CellVerdict, Report, ReportRule};
pub use history::{Checked, history_page, history_picture};

const COLOURS: &str = include_str!("../../assets/colours.css");
const LANES: &str = include_str!("../../assets/lanes.css");
const STYLE: &str = include_str!("../../assets/report.css");
const SCRIPT: &str = include_str!("../../assets/report.js");

/// The report with what the sections look up.
struct Page<'a> {
    report: &'a Report,
    costs: Option<&'a Costs>,
    cells: HashMap<(&'a str, &'a str), &'a Cell>,
}

impl<'a> Page<'a> {
    fn cell(&self, link: &str, rule: &str) -> Option<&'a Cell> {
        self.cells.get(&(link, rule)).copied()
    }

    fn of_link(&self, link: &str) -> Vec<&'a Cell> {
        self.report.rules.iter().filter_map(|r| self.cell(link, &r.id)).collect()
    }
}

/// The page.
pub fn page(report: &Report) -> String {
    page_with(report, None)
}

/// The page, with what the links cost where that is known.
pub fn page_with(report: &Report, costs: Option<&Costs>) -> String {
    let cells = report.cells.iter().map(|c| ((c.link.as_str(), c.rule.as_str()), c)).collect();
    let page = Page { report, costs, cells };
    html! {
        (DOCTYPE)
        html lang="en" {
            (style("IPC conformance report"))
            body {
                a.skip href="#matrix" { "Skip to the matrix" }
                (top(&page))
                main {
                    (matrix::section(&page))
                    (legend())
                    (found::section(&page))
                    (claims::differences(&page))
                    @if let Some(costs) = costs { (cost::section(costs)) }
                    (claims::links(&page))
                    (rules(&page))
                }
                dialog #panel aria-label="Details" {
                    form method="dialog" { button.close aria-label="Close" { "✕" } }
                    div #panel-body {}
                }
                div #tip role="tooltip" hidden {}
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}

/// The head that all our pages share. The policy forbids every request, so that "self-contained"
/// is held to by the browser.
pub(super) fn style(title: &str) -> Markup {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
    html! {
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(policy);
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) }
            style { (PreEscaped(COLOURS)) (PreEscaped(STYLE)) (PreEscaped(LANES)) }
        }
    }
}

/// The sign of a verdict, coloured; the word is read out in its place.
pub(super) fn sign(verdict: CellVerdict, known: bool) -> Markup {
    html! {
        span.sign.(verdict.word()).known[known] aria-hidden="true" { (verdict.sign()) }
    }
}

/// The id of the article about a cell.
fn anchor(cell: &Cell) -> String {
    let name = format!("{}:{}", cell.link, cell.rule);
    name.chars().map(|c| if c.is_whitespace() || c == '%' { '_' } else { c }).collect()
}

/// How many of these cells have each verdict; known deviations are counted apart.
fn counts(cells: &[&Cell]) -> (BTreeMap<CellVerdict, usize>, usize) {
    let mut counts = BTreeMap::new();
    for cell in cells.iter().filter(|c| c.known.is_none() && !c.is_blank()) {
        *counts.entry(cell.verdict).or_default() += 1;
    }
    (counts, cells.iter().filter(|c| c.known.is_some()).count())
}

/// A bar whose pieces are as long as the counts are large.
fn bar(cells: &[&Cell]) -> Markup {
    let (counts, known) = counts(cells);
    let of = |verdict: &CellVerdict| counts.get(verdict).copied().unwrap_or(0);
    let parts: Vec<_> = CellVerdict::ALL.iter().filter(|v| of(v) > 0).collect();
    let mut words: Vec<String> = parts.iter().map(|v| format!("{} {}", of(v), v.word())).collect();
    if known > 0 {
        words.push(format!("{known} known"));
    }
    html! {
        div.bar role="img" aria-label=(words.join(", ")) {
            @for verdict in &parts {
                i.(verdict.word()) style=(format!("flex-grow:{}", of(verdict))) {}
            }
            @if known > 0 { i.known style=(format!("flex-grow:{known}")) {} }
        }
        ul.counts {
            @for verdict in &parts {
                li { (sign(**verdict, false)) " " b { (of(verdict)) } " " (verdict.word()) }
            }
            @if known > 0 { li { span.sign.known aria-hidden="true" { "k" } " " b { (known) } " known" } }
        }
    }
}

fn top(page: &Page<'_>) -> Markup {
    let report = page.report;
    let mut crates: Vec<&str> = report.links.iter().map(|l| l.adapter()).collect();
    crates.sort_unstable();
    crates.dedup();
    let news = report.cells.iter().filter(|c| c.is_news()).count();
    let cells: Vec<&Cell> = report.cells.iter().collect();
    let runs: u64 = report.links.iter().map(|l| u64::from(l.runs)).sum();
    let many = |n: usize, one: &str, more: &str| {
        if n == 1 { format!("1 {one}") } else { format!("{n} {more}") }
    };
    html! {
        header.top {
            p.kicker { "ipc-conform" }
            h1 { "IPC conformance report" }
            p.lead {
                (many(report.links.len(), "link", "links")) " of "
                (many(crates.len(), "crate", "crates")) ", held against "
                (many(report.rules.len(), "rule", "rules"))
                " of an executable model in " (runs) " recorded runs. "
                @if news == 0 { "No rule was seen broken that is not a known deviation." }
                @else {
                    strong.bad { (many(news, "rule is broken", "cells are red")) }
                    "."
                }
            }
            (bar(&cells))
            dl.facts {
                div { dt { "suite" } dd { (report.suite) } }
                div { dt { "level" } dd { (report.level) } }
                div { dt { "seed" } dd { (report.seed) } }
                @for (name, value) in &report.environment {
                    div { dt { (name) } dd { (value) } }
                }
            }
            nav aria-label="Sections" {
                a href="#matrix" { "Matrix" }
                a href="#legend" { "Legend" }
                a href="#found" { "Findings" }
                a href="#differ" { "Where crates differ" }
                @if page.costs.is_some() { a href="#cost" { "Cost" } }
                a href="#links" { "Links" }
                a href="#rules" { "Rules" }
            }
        }
    }
}

fn legend() -> Markup {
    html! {
        section #legend aria-labelledby="legend-title" {
            h2 #legend-title { "What the signs mean" }
            dl.legend {
                @for verdict in CellVerdict::ALL {
                    div {
                        dt { (sign(verdict, false)) " " (verdict.word()) }
                        dd { (verdict.meaning()) }
                    }
                }
                div {
                    dt { (sign(CellVerdict::Fail, true)) " known" }
                    dd { "Somebody has looked at this deviation, and wrote down why it is so." }
                }
            }
        }
    }
}

/// A sentence in which backticks enclose names of calls and answers.
fn says(text: &str) -> Markup {
    html! {
        @for (i, part) in text.split('`').enumerate() {
            @if i % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// What a rule rests on: statements of the text in full, clauses by name.
fn sources(rule: &ReportRule) -> Markup {
    html! {
        ul.sources {
            @for source in &rule.source {
                li {
                    @match ipc_model::statement(source) {
                        Some(statement) => { b { (source) } ": " (statement.says) },
                        None => { (source) },
                    }
                }
            }
        }
    }
}

fn rules(page: &Page<'_>) -> Markup {
    html! {
        section #rules aria-labelledby="rules-title" {
            h2 #rules-title { "Rules" }
            p.muted { "What each rule says, how binding it is, and what it rests on." }
            @for (family, rules) in page.report.families() {
                details.family open {
                    summary { h3 { (family) } " " span.muted { (rules.len()) } }
                    @for rule in rules {
                        article.rule id=(format!("rule:{}", rule.id)) {
                            h4 { code { (rule.id) } " " span.tag { (rule.force) } }
                            p { (says(&rule.says)) }
                            (sources(rule))
                        }
                    }
                }
            }
        }
    }
}
