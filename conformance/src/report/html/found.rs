//! What asks for attention: one article a cell, with what was seen, what was allowed, the picture
//! and the command.

use maud::{Markup, html};

use super::picture::Picture;
use super::{Page, anchor, says, sign, sources};
use crate::report::{Cell, CellVerdict, text};

/// What findings are sorted by: what nobody knew comes first, what needs no action last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    News,
    Broken,
    Deviates,
    Inconclusive,
    Known,
}

const GROUPS: &[(Group, &str)] = &[
    (Group::News, "Broken rules"),
    (Group::Broken, "Could not be run"),
    (Group::Deviates, "Recommendations missed"),
    (Group::Inconclusive, "Could not be decided"),
    (Group::Known, "Known deviations"),
];

impl Group {
    fn of(cell: &Cell) -> Self {
        match cell.verdict {
            _ if cell.known.is_some() => Group::Known,
            verdict if verdict.is_red() => Group::News,
            CellVerdict::Broken => Group::Broken,
            CellVerdict::Deviates => Group::Deviates,
            _ => Group::Inconclusive,
        }
    }
}

pub(super) fn section(page: &Page<'_>) -> Markup {
    let cells: Vec<&Cell> = text::remarkable(page.report).collect();
    let group = |of: Group| cells.iter().copied().filter(move |c| Group::of(c) == of);
    html! {
        section #found aria-labelledby="found-title" {
            h2 #found-title { "Findings" }
            @if cells.is_empty() {
                p { "Nothing asks for attention: every claimed rule was needed, and was kept." }
            } @else {
                p.muted {
                    "Cells that are red, deviate, are broken or could not be decided. "
                    "Open one for what was seen, what was allowed, and how to see it again."
                }
            }
            @for (of, title) in GROUPS {
                @if group(*of).next().is_some() {
                    h3.group { (title) " " span.muted { (group(*of).count()) } }
                    @for cell in group(*of) { (article(page, cell)) }
                }
            }
        }
    }
}

fn article(page: &Page<'_>, cell: &Cell) -> Markup {
    let rule = page.report.rules.iter().find(|r| r.id == cell.rule);
    let word = cell.verdict.word();
    html! {
        details.finding.(word) id=(anchor(cell)) data-link=(cell.link) data-rule=(cell.rule) {
            summary {
                (sign(cell.verdict, cell.known.is_some()))
                span.where { b { (cell.link) } " " code { (cell.rule) } }
                span.tag { (word) @if cell.known.is_some() { ", known" } }
            }
            div.body {
                @if let Some(rule) = rule {
                    h4 { "The rule" }
                    p { (says(&rule.says)) " " span.tag { (rule.force) } }
                    (sources(rule))
                }
                @if let Some(known) = &cell.known {
                    h4 { "Known deviation" }
                    p.reason { (known) }
                }
                h4 { "What was seen" }
                (seen(cell))
                (drawn(cell))
                h4 { "See it again" }
                (command(page, cell))
            }
        }
    }
}

fn seen(cell: &Cell) -> Markup {
    let Some(trace) = &cell.trace else { return html! { p { (cell.why) } } };
    html! {
        p {
            "P" (trace.process) " called " code { (trace.call) } ", which "
            @match &trace.returned {
                Some(ret) => { "returned " code.wrong { (ret) } },
                None => { strong.bad { "never returned" } ", though nothing moved any more" },
            }
            ". Scenario " code { (trace.scenario) } ", by " (trace.way) "."
        }
        h4 { "What was allowed there" }
        @if trace.allowed.is_empty() { p { "Nothing at all." } }
        ul.allowed {
            @for step in &trace.allowed {
                li { code { (step.what) } " by "
                    a href=(format!("#rule:{}", step.rule)) { code { (step.rule) } } }
            }
        }
    }
}

fn drawn(cell: &Cell) -> Markup {
    // More rows than this are no picture any more; the text has them.
    const MOST_ROWS: usize = 120;
    let recorded = cell.trace.as_ref().and_then(|trace| Some((trace, trace.recorded()?)));
    let lanes = recorded.as_ref().and_then(|(trace, history)| {
        Some(Picture::new(history, MOST_ROWS)?.wrong(*trace).markup())
    });
    html! {
        @if lanes.is_some() || cell.picture.is_some() { h4 { "What happened" } }
        @if let Some(lanes) = &lanes {
            div.scroll.picture tabindex="0" role="group" aria-label="Space-time picture" { (lanes) }
        }
        @if let Some(text) = &cell.picture {
            @if lanes.is_some() {
                details.as-text { summary { "As text" } pre tabindex="0" { (text) } }
            } @else {
                pre tabindex="0" { (text) }
            }
        }
    }
}

fn command(page: &Page<'_>, cell: &Cell) -> Markup {
    html! {
        div.command {
            // The script writes the full path where the page knows it.
            code data-replay=[cell.replay.as_deref()] { (page.report.command(cell)) }
            button.copy type="button" { "Copy" }
        }
        @if cell.replay.is_some() {
            p.muted.hint { "The replay file lies beside this page." }
        }
    }
}
