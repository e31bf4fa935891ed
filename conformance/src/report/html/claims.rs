//! What the links claim, side by side and one by one, and where they differ.

use std::collections::BTreeMap;

use ipc_model::{Addressing, Capacity, Holders, Modes, Notice, Order, Profile, Size};
use maud::{Markup, html};

use super::{Page, anchor, bar, says, sign};
use crate::report::{Cell, CellVerdict, ReportLink, ReportRule, Steps};

/// One claim in words: its name, and its value for this profile.
type Claim = (&'static str, fn(&Profile) -> String);

const CLAIMS: &[Claim] = &[
    ("Capacity", |p| match p.capacity {
        Capacity::Zero => "none: send and receive meet".into(),
        Capacity::Bounded(1) => "1 message".into(),
        Capacity::Bounded(n) => format!("{n} messages"),
        Capacity::AtLeast(n) => format!("finite, at least {n} of the largest"),
        Capacity::Unbounded => "unbounded".into(),
    }),
    ("Message size", |p| match p.size {
        Size::Fixed(n) => format!("exactly {}", bytes(n)),
        Size::UpTo(n) => format!("up to {}", bytes(n)),
        Size::NonemptyUpTo(n) => format!("not empty, up to {}", bytes(n)),
    }),
    ("Order", |p| match p.order {
        Order::Fifo => "first in, first out".into(),
        Order::PerSender => "kept for each sender".into(),
        Order::Priority => "by priority".into(),
        Order::Unordered => "none".into(),
    }),
    ("Addressing", |p| match p.addressing {
        Addressing::Mailbox => "mailbox".into(),
        Addressing::Symmetric => "direct, both name each other".into(),
        Addressing::Asymmetric => "direct, the sender names the receiver".into(),
    }),
    ("Senders", |p| holders(p.senders)),
    ("Receivers", |p| holders(p.receivers)),
    ("Sending", |p| modes(p.send)),
    ("Receiving", |p| modes(p.receive)),
    ("Last sender closes", |p| notice(Some(p.sender_closed), "receivers")),
    ("Last receiver closes", |p| notice(Some(p.receiver_closed), "senders")),
    ("Last sender killed", |p| notice(p.sender_killed, "receivers")),
    ("Last receiver killed", |p| notice(p.receiver_killed, "senders")),
];

fn bytes(n: u32) -> String {
    match n {
        _ if n >= 1 << 20 && n.is_multiple_of(1 << 20) => format!("{} MiB", n >> 20),
        _ if n >= 1 << 10 && n.is_multiple_of(1 << 10) => format!("{} KiB", n >> 10),
        _ => format!("{n} bytes"),
    }
}

fn holders(holders: Holders) -> String {
    if holders == Holders::One { "one".into() } else { "many".into() }
}

fn modes(modes: Modes) -> String {
    let all =
        [(modes.blocking, "blocking"), (modes.nonblocking, "nonblocking"), (modes.timed, "timed")];
    all.into_iter().filter_map(|(has, word)| has.then_some(word)).collect::<Vec<_>>().join(", ")
}

fn notice(notice: Option<Notice>, who: &str) -> String {
    match notice {
        Some(Notice::Reported) => format!("{who} are told"),
        Some(Notice::Silent) => format!("{who} are not told"),
        None => "no claim".into(),
    }
}

fn ways(link: &ReportLink) -> String {
    link.ways.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What a cell says about a rule that leaves a value open.
fn value(cell: &Cell) -> String {
    match cell.verdict {
        CellVerdict::Pass => "as the rule says".into(),
        _ if !cell.observed.is_empty() => cell.observed.join("; "),
        other => other.word().into(),
    }
}

/// The values of this rule, each with the links that show it; `None` where no link shows one.
fn values<'a>(page: &Page<'a>, rule: &ReportRule) -> Option<BTreeMap<String, Vec<&'a Cell>>> {
    let cells = || page.report.links.iter().filter_map(|l| page.cell(&l.name, &rule.id));
    let open = rule.force == "unspecified"
        || cells().any(|c| matches!(c.verdict, CellVerdict::Observed | CellVerdict::Deviates));
    let mut values: BTreeMap<String, Vec<&Cell>> = BTreeMap::new();
    for cell in cells().filter(|c| c.verdict != CellVerdict::NotClaimed && !c.is_blank()) {
        values.entry(value(cell)).or_default().push(cell);
    }
    (open && !values.is_empty()).then_some(values)
}

/// The section that compares what nothing prescribes.
pub(super) fn differences(page: &Page<'_>) -> Markup {
    let open: Vec<_> =
        page.report.rules.iter().filter_map(|r| values(page, r).map(|v| (r, v))).collect();
    html! {
        section #differ aria-labelledby="differ-title" {
            h2 #differ-title { "Where crates differ" }
            h3 { "What was observed" }
            @if open.is_empty() {
                p { "Where the rules of this report leave a choice, all links made the same one." }
            } @else {
                p.muted {
                    "Rules that leave the behaviour open, or only recommend one: each value that "
                    "was seen, with the links that showed it."
                }
                div.scroll { table.plain.observed {
                    thead { tr { th { "Rule" } th { "Value" } th { "Links" } } }
                    tbody {
                        @for (rule, values) in &open {
                            @for (i, (value, cells)) in values.iter().enumerate() {
                                tr data-rule=(rule.id) {
                                    @if i == 0 {
                                        th scope="rowgroup" rowspan=(values.len()) {
                                            a href=(format!("#rule:{}", rule.id)) { code { (rule.id) } }
                                            @if values.len() > 1 { " " span.tag.differ { "differs" } }
                                            br; span.muted { (says(&rule.says)) }
                                        }
                                    }
                                    td { code { (value) } }
                                    td.links { @for cell in cells { span.name { (cell.link) } " " } }
                                }
                            }
                        }
                    }
                } }
            }
            (side_by_side(page))
        }
    }
}

/// The claims that differ, one row a link. What all links claim alike is said once.
fn side_by_side(page: &Page<'_>) -> Markup {
    let all = page.report.links.iter();
    // Objects carry no messages, and claim other things.
    let links: Vec<_> = all.filter_map(|link| Some((link, link.profile.as_ref()?))).collect();
    let differs = |claim: &&Claim| links.iter().any(|(_, p)| claim.1(p) != claim.1(links[0].1));
    let (apart, alike): (Vec<&Claim>, Vec<&Claim>) = CLAIMS.iter().partition(differs);
    html! {
        h3 { "What the links claim" }
        @if let (Some(first), false) = (links.first(), alike.is_empty()) {
            p.muted {
                "All alike: "
                @for (i, (name, say)) in alike.iter().enumerate() {
                    @if i > 0 { "; " }
                    (name.to_lowercase()) " " b { (say(first.1)) }
                }
                "."
            }
        }
        div.scroll { table.plain.claims {
            thead { tr {
                th { "Link" } th { "Version" } th { "Between" }
                @for (name, _) in &apart { th { (name) } }
            } }
            tbody { @for (link, profile) in &links {
                tr data-crate=(link.adapter()) {
                    th scope="row" { a href=(format!("#link:{}", link.name)) { (link.name) } }
                    td { (link.version) } td { (ways(link)) }
                    @for (_, say) in &apart { td { (say(profile)) } }
                }
            } }
        } }
    }
}

/// One card a link.
pub(super) fn links(page: &Page<'_>) -> Markup {
    html! {
        section #links aria-labelledby="links-title" {
            h2 #links-title { "Links" }
            p.muted { "What each link is, what it promises and where, and what came of it." }
            div.cards { @for link in &page.report.links { (card(page, link)) } }
        }
    }
}

fn card(page: &Page<'_>, link: &ReportLink) -> Markup {
    let cells = page.of_link(&link.name);
    let remarkable: Vec<&&Cell> = cells
        .iter()
        .filter(|c| c.known.is_none() && !c.is_blank())
        .filter(|c| {
            c.verdict.is_red()
                || matches!(
                    c.verdict,
                    CellVerdict::Deviates | CellVerdict::Broken | CellVerdict::Inconclusive
                )
        })
        .collect();
    let known: Vec<&&Cell> = cells.iter().filter(|c| c.known.is_some()).collect();
    html! {
        article.card id=(format!("link:{}", link.name)) data-crate=(link.adapter()) {
            h3 { (link.adapter()) @if !link.configuration().is_empty() { " " b { (link.configuration()) } } }
            p.version { "version " (link.version) " · " (link.runs) " runs"
                @if !link.ways.is_empty() { " · by " (ways(link)) } }
            (bar(&cells))
            @if !remarkable.is_empty() {
                h4 { "Asks for attention" }
                ul.cells { @for cell in &remarkable {
                    li { (sign(cell.verdict, false)) " "
                        a href=(format!("#{}", anchor(cell))) { code { (cell.rule) } } }
                } }
            }
            @if !known.is_empty() {
                h4 { "Known deviations" }
                ul.cells { @for cell in &known {
                    li { (sign(cell.verdict, true)) " "
                        a href=(format!("#{}", anchor(cell))) { code { (cell.rule) } }
                        p.reason { (cell.known.as_deref().unwrap_or_default()) } }
                } }
            }
            h4 { "Claims" }
            dl.claims {
                @if let Some(profile) = &link.profile { @for (name, say) in CLAIMS {
                    div { dt { (name) } dd { (say(profile)) } }
                } }
                @for (name, value) in &link.claims { div { dt { (name) } dd { (value) } } }
            }
            (steps(link))
            (cost(page, link))
            h4 { "Documented" }
            @if link.documented.is_empty() {
                p.muted { "The adapter names no place in the documentation." }
            } @else {
                ul.documented { @for place in &link.documented { li { (place_of(place)) } } }
            }
        }
    }
}

/// Which steps of the model the link was seen to take, and why it took no others.
fn steps(link: &ReportLink) -> Markup {
    let Steps { fired, unfired } = &link.steps;
    let rule = |id: &str| html! { a href=(format!("#rule:{id}")) { code { (id) } } };
    html! {
        @if !link.steps.is_empty() {
            h4 { "Steps of the model" }
            details.steps {
                summary { (fired.len()) " of " (fired.len() + unfired.len()) " taken"
                    @if unfired.is_empty() { ", so none was left out" } }
                p.muted { "How many runs took each step, on a sequence of steps that explains the "
                    "run. That is less than a pass, which asks for a run that cannot be explained "
                    "without it." }
                ul.cells { @for (id, runs) in fired { li { (rule(id)) " " (runs) } } }
            }
            @if !unfired.is_empty() {
                p { "Not taken:" }
                ul.cells { @for (id, why) in unfired {
                    li { (rule(id)) p.reason { (why) } }
                } }
            }
        }
    }
}

/// What links of this adapter cost, where that was measured.
fn cost(page: &Page<'_>, link: &ReportLink) -> Markup {
    let costs: Vec<_> = page.costs.into_iter().flat_map(|c| c.of(link.adapter())).collect();
    html! {
        @if !costs.is_empty() {
            h4 { "Measured" }
            dl.claims { @for cost in costs { @for (size, time) in cost.one_way.iter().take(1) {
                div { dt { (cost.name) } dd {
                    (super::cost::nanoseconds(time.median)) " for a message of " (bytes(*size))
                } }
            } } }
        }
    }
}

/// A place in the documentation; addresses in it can be followed.
fn place_of(place: &str) -> Markup {
    html! {
        @for word in place.split_inclusive(' ') {
            @let address = word.trim_end();
            @if address.starts_with("https://") {
                a href=(address) rel="noreferrer" { (address) } " "
            } @else { (word) }
        }
    }
}
