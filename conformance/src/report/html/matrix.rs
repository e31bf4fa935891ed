//! The matrix: one row a rule, one column a link, and the filters above it.

use maud::{Markup, html};

use super::{Page, anchor, sign};
use crate::report::{Cell, CellVerdict, ReportLink, ReportRule};

pub(super) fn section(page: &Page<'_>) -> Markup {
    html! {
        section #matrix aria-labelledby="matrix-title" {
            h2 #matrix-title { "Matrix" }
            (filters(page))
            p #matrix-none.muted hidden { "No cell matches these filters." }
            div.scroll.matrix {
                table #cells role="grid" aria-labelledby="matrix-title" {
                    thead { (heads(page)) }
                    @for (family, rules) in page.report.families() {
                        tbody data-family=(family) {
                            tr.family {
                                th scope="rowgroup" { span { (family) } }
                                td colspan=(page.report.links.len()) {}
                            }
                            @for rule in rules { (row(page, rule)) }
                        }
                    }
                }
            }
            p.muted.hint {
                "Hover or focus for the reason; " kbd { "Enter" } " opens a cell, "
                kbd { "↑" } kbd { "↓" } kbd { "←" } kbd { "→" } " move between cells, "
                kbd { "Home" } kbd { "End" } " go to the ends of a row."
            }
        }
    }
}

fn filters(page: &Page<'_>) -> Markup {
    let report = page.report;
    let mut crates: Vec<&str> = report.links.iter().map(ReportLink::adapter).collect();
    crates.dedup();
    // A known deviation is found under "known", and nowhere else.
    let here = |c: &&Cell, v| c.verdict == v && c.known.is_none();
    let count = |v: CellVerdict| report.told().filter(|c| here(c, v)).count();
    let known = report.cells.iter().filter(|c| c.known.is_some()).count();
    html! {
        form #filters role="search" {
            label { span { "Family" }
                select #filter-family {
                    option value="" { "all families" }
                    @for (family, _) in report.families() { option value=(family) { (family) } }
                }
            }
            label { span { "Crate" }
                select #filter-crate {
                    option value="" { "all crates" }
                    @for name in crates { option value=(name) { (name) } }
                }
            }
            label { span { "Text" }
                input #filter-text type="search" placeholder="rule or link" autocomplete="off";
            }
            fieldset {
                legend { "Verdict" }
                @for verdict in CellVerdict::ALL {
                    @if count(verdict) > 0 {
                        button.chip type="button" aria-pressed="false" data-verdict=(verdict.word())
                            title=(verdict.meaning()) {
                            (sign(verdict, false)) " " (verdict.word()) " " small { (count(verdict)) }
                        }
                    }
                }
                @if known > 0 {
                    button.chip type="button" aria-pressed="false" data-verdict="known"
                        title="Deviations that somebody has looked at." {
                        span.sign.known aria-hidden="true" { "k" } " known " small { (known) }
                    }
                }
                button.chip #filter-attention type="button" { "what asks for attention" }
                button.chip #filter-reset type="reset" { "show all" }
            }
        }
    }
}

fn heads(page: &Page<'_>) -> Markup {
    let links = &page.report.links;
    html! {
        tr {
            th.corner scope="col" { "Rule" }
            @for (i, link) in links.iter().enumerate() {
                // The first column of a crate is set apart from the crate before it.
                @let first = i == 0 || links[i - 1].adapter() != link.adapter();
                th.link.first[first] scope="col" data-link=(link.name) data-crate=(link.adapter()) {
                    a href=(format!("#link:{}", link.name))
                        title=(format!("{} {}", link.name, link.version)) {
                        span.crate { (link.adapter()) } " "
                        span.configuration { (link.configuration()) }
                    }
                }
            }
        }
    }
}

fn row(page: &Page<'_>, rule: &ReportRule) -> Markup {
    let links = &page.report.links;
    html! {
        tr data-rule=(rule.id) {
            th scope="row" data-says=(rule.says) data-source=(rule.source.join("; "))
                data-force=(rule.force) {
                a href=(format!("#rule:{}", rule.id)) {
                    // Where the column is narrow, names break behind their words.
                    @for part in rule.id.split_inclusive(['.', '_', '-']) { (part) wbr; }
                }
            }
            @for (i, link) in links.iter().enumerate() {
                @let first = i == 0 || links[i - 1].adapter() != link.adapter();
                @match page.cell(&link.name, &rule.id) {
                    Some(cell) => { (one(cell, link, first)) }
                    // Nothing is rounded up: an absent verdict shows.
                    None => { td.absent.first[first] role="gridcell" { "absent" } }
                }
            }
        }
    }
}

fn one(cell: &Cell, link: &ReportLink, first: bool) -> Markup {
    let (word, sign) = match cell.is_blank() {
        true => ("blank", ""),
        false => (cell.verdict.word(), cell.verdict.sign()),
    };
    let known = cell.known.is_some();
    let label = format!("{}, {}: {word}", cell.link, cell.rule);
    html! {
        td.cell.(word).known[known].first[first] role="gridcell" tabindex="-1"
            data-link=(cell.link) data-crate=(link.adapter()) data-verdict=(word)
            data-known[known] data-detail=(anchor(cell)) data-why=(cell.why)
            data-observed=[(!cell.observed.is_empty()).then(|| cell.observed.join("; "))]
            aria-label=(label) { (sign) }
    }
}
