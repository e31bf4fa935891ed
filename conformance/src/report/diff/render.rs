//! The differences between two reports, for people.

use std::collections::BTreeMap;
use std::fmt::Write;

use maud::{DOCTYPE, Markup, html};

use super::{Change, Diff, Kind, LinkPair, Side};
use crate::report::CellVerdict;
use crate::report::html::{sign, style};
use crate::report::markdown::escape;

fn side(side: Option<&Side>) -> String {
    let Some(side) = side else { return "absent".into() };
    let mut text = String::from(side.verdict.word());
    if !side.observed.is_empty() {
        let _ = write!(text, " ({})", side.observed.join(", "));
    }
    if side.known.is_some() {
        text.push_str(", known");
    }
    text
}

/// What the reader wants to know of it: why it is what it is now, or why it was what it was.
fn why(change: &Change) -> &str {
    let side = change.after.as_ref().or(change.before.as_ref());
    side.map_or("", |s| s.known.as_deref().unwrap_or(&s.why))
}

fn versions(pair: &LinkPair) -> String {
    let claims = if pair.claims_changed { "; it claims something else now" } else { "" };
    match (&pair.before, &pair.after) {
        (Some(a), Some(b)) if a == b => format!("{a}{claims}"),
        (Some(a), Some(b)) => format!("{a} → {b}{claims}"),
        (None, Some(b)) => format!("added, {b}"),
        (Some(a), None) => format!("deleted, it was {a}"),
        (None, None) => String::new(),
    }
}

fn summary(diff: &Diff) -> String {
    let count = |kind| diff.changes.iter().filter(|c| c.kind == kind).count();
    let mut text = format!(
        "{} changed, {} added, {} deleted, {} the same; {} became red",
        count(super::Kind::Changed),
        count(super::Kind::Added),
        count(super::Kind::Deleted),
        diff.same,
        diff.became_red().count(),
    );
    if diff.not_asked > 0 {
        let _ = write!(text, "; {} not compared, because one run did not ask", diff.not_asked);
    }
    if diff.suite[0] != diff.suite[1] {
        let [a, b] = &diff.suite;
        let _ = write!(text, "; the suite changed, {a} → {b}: a rule may have, not a link");
    }
    text
}

/// Whether a change has a line of its own: what a whole link brings or takes with it has none, nor
/// what is not claimed, but for what is red.
fn tells(pair: &LinkPair, change: &&Change) -> bool {
    let whole = pair.before.is_some() != pair.after.is_some();
    let Some(side) = change.after.as_ref().or(change.before.as_ref()) else { return true };
    let quiet = whole || side.verdict == CellVerdict::NotClaimed;
    change.kind == Kind::Changed || side.verdict.is_red() || !quiet
}

/// How many of which verdict were added, and deleted.
fn counts(changes: Vec<&Change>) -> BTreeMap<&'static str, String> {
    let mut counts: BTreeMap<&str, BTreeMap<CellVerdict, usize>> = BTreeMap::new();
    for change in changes {
        let side = change.after.as_ref().or(change.before.as_ref());
        if let Some(side) = side {
            *counts.entry(change.kind.word()).or_default().entry(side.verdict).or_default() += 1;
        }
    }
    let words = |verdicts: BTreeMap<CellVerdict, usize>| {
        let parts = verdicts.iter().map(|(v, n)| format!("{n} {}", v.word()));
        parts.collect::<Vec<_>>().join(", ")
    };
    counts.into_iter().map(|(kind, verdicts)| (kind, words(verdicts))).collect()
}

/// For a terminal: one line a change.
pub fn text(diff: &Diff) -> String {
    let mut out = String::new();
    for pair in &diff.links {
        let changes: Vec<&Change> = diff.changes.iter().filter(|c| c.link == pair.link).collect();
        if changes.is_empty() && pair.before == pair.after && !pair.claims_changed {
            continue;
        }
        let _ = writeln!(out, "{}  {}", pair.link, versions(pair));
        let (told, counted) = changes.into_iter().partition(|c| tells(pair, c));
        for (kind, words) in counts(counted) {
            let _ = writeln!(out, "    {kind:<7}  {words}");
        }
        for change in told {
            let (before, after) = (side(change.before.as_ref()), side(change.after.as_ref()));
            let mark = if change.became_red { "✗" } else { " " };
            let word = change.kind.word();
            let _ = writeln!(out, "  {mark} {word:<7}  {}: {before} → {after}", change.rule);
            let _ = writeln!(out, "             {}", why(change));
        }
    }
    let _ = writeln!(out, "{}", summary(diff));
    out
}

/// For a pull request.
pub fn markdown(diff: &Diff) -> String {
    let mut out = format!("# What changed\n\n{}.\n", escape(&summary(diff)));
    out.push_str("\n| link | version |\n|---|---|\n");
    for pair in &diff.links {
        let _ = writeln!(out, "| {} | {} |", escape(&pair.link), escape(&versions(pair)));
    }
    if diff.changes.is_empty() {
        return out;
    }
    out.push_str("\n| | link | rule | before | after | why |\n|---|---|---|---|---|---|\n");
    for change in &diff.changes {
        let word = if change.became_red { "**became red**" } else { change.kind.word() };
        let (before, after) = (side(change.before.as_ref()), side(change.after.as_ref()));
        let cells = [&change.link, &change.rule, &before, &after, why(change)].map(escape);
        let _ = writeln!(out, "| {word} | {} |", cells.join(" | "));
    }
    out
}

/// One self-contained page, in the style of the report.
pub fn html(diff: &Diff) -> String {
    let verdict = |side: Option<&Side>| match side {
        None => html! { span.muted { "absent" } },
        Some(side) => html! {
            (sign(side.verdict, side.known.is_some())) " " (side.verdict.word())
            @for value in &side.observed { br; code { (value) } }
        },
    };
    let row = |change: &Change| {
        html! {
            tr.red[change.became_red] data-kind=(change.kind.word()) {
                td { @if change.became_red { strong { "became red" } } @else { (change.kind.word()) } }
                td { (change.link) }
                td { code { (change.rule) } }
                td { (verdict(change.before.as_ref())) }
                td { (verdict(change.after.as_ref())) }
                td.why { (why(change)) }
            }
        }
    };
    let body: Markup = html! {
        header.top { h1 { "What changed" } p.lead { (summary(diff)) "." } }
        main {
            section {
                h2 { "Links" }
                div.scroll { table.plain {
                    thead { tr { th { "Link" } th { "Version" } } }
                    tbody { @for pair in &diff.links {
                        tr { td { (pair.link) } td { (versions(pair)) } }
                    } }
                } }
            }
            section {
                h2 { "Cells" }
                @if diff.changes.is_empty() { p { "No cell changed." } }
                @else {
                    div.scroll { table.plain.changes {
                        thead { tr {
                            th { "" } th { "Link" } th { "Rule" } th { "Before" } th { "After" }
                            th { "Why" }
                        } }
                        tbody { @for change in &diff.changes { (row(change)) } }
                    } }
                }
            }
        }
    };
    html! {
        (DOCTYPE)
        html lang="en" { (style("What changed: ipc-conform")) body { (body) } }
    }
    .into_string()
}
