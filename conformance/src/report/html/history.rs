//! One checked history as a page of its own: the verdict, what proves it, and the history as lanes
//! with zoom, hover and keys. It reads without its script too.

use ipc_model::check::{Budget, Followed, follow};
use ipc_model::{
    Counterexample, Got, History, Log, Operation, Profile, Spec, Verdict, check_spec, lanes,
};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::picture::{Picture, Wrong};
use super::{says, sign, style};
use crate::report::CellVerdict;

const SCRIPT: &str = include_str!("../../../assets/history.js");
/// More events than this are no picture any more.
const MOST_ROWS: usize = 1200;
/// How many calls are shown of a longer history: up to the place of interest, and behind it.
const SHOWN: (usize, usize) = (220, 60);
/// Up to this many calls, an explanation is shown step by step.
const SHORT: usize = 220;
/// What looking for an explanation may cost.
const GLANCE: Budget = Budget { states: 20_000 };

/// A history and what came of checking it.
#[derive(Clone, Copy, Debug)]
pub struct Checked<'a> {
    /// What the history is called: its file.
    pub name: &'a str,
    /// What it was held against.
    pub profile: &'a Profile,
    /// The history.
    pub log: &'a Log,
    /// The verdict.
    pub verdict: &'a Verdict,
}

/// The page.
pub fn history_page(checked: &Checked<'_>) -> String {
    let (title, sort) = headline(checked.verdict);
    html! {
        (DOCTYPE)
        html lang="en" {
            (style(&format!("{title}: {}", checked.name)))
            body {
                header.top {
                    p.kicker { "ipc-conform check" }
                    h1 { (sign(sort, false)) " " (title) }
                    (lead(checked))
                    (facts(checked))
                }
                main { (body(checked)) (keys()) }
                div #tip role="tooltip" hidden {}
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}

/// The picture alone, as an SVG file: of the counterexample, or of the history; `None` if there is
/// nothing to draw.
pub fn history_picture(checked: &Checked<'_>) -> Option<String> {
    let spec = Spec::new(*checked.profile);
    if let Verdict::Fail(found) = checked.verdict {
        let followed = follow(&spec, &found.history, GLANCE);
        return Some(of_counterexample(found, &followed)?.file());
    }
    let part = Part::of(checked);
    let followed = part.followed(&spec);
    Some(part.picture(checked.verdict, followed.as_ref())?.file())
}

fn headline(verdict: &Verdict) -> (&'static str, CellVerdict) {
    match verdict {
        Verdict::Pass { deviations, .. } if deviations.is_empty() => {
            ("The model explains this history", CellVerdict::Pass)
        }
        Verdict::Pass { .. } => {
            ("The model explains this history, with deviations", CellVerdict::Deviates)
        }
        Verdict::Fail(_) => ("No behaviour of the model explains this history", CellVerdict::Fail),
        Verdict::Inconclusive(_) => {
            ("This history could not be decided", CellVerdict::Inconclusive)
        }
    }
}

fn lead(checked: &Checked<'_>) -> Markup {
    match checked.verdict {
        Verdict::Pass { .. } => html! {
            p.lead { "Some order of the effects of all " (checked.log.len()) " calls is one that the rules allow." }
        },
        Verdict::Inconclusive(why) => html! { p.lead { (why) "." } },
        Verdict::Fail(found) => html! {
            p.lead {
                (found.process) " called " code { (found.op) } ", which "
                @match found.got {
                    Got::Returned(ret) => { "returned " code.wrong { (ret) } "." }
                    Got::Stuck => { strong.bad { "never returned" } ", though nothing moved any more." }
                }
            }
            @if let Some(pattern) = &found.pattern {
                p { span.tag.differ { (pattern.shape) } " " (pattern.words) "." }
            }
        },
    }
}

fn facts(checked: &Checked<'_>) -> Markup {
    let log = checked.log;
    let mut processes: Vec<u16> = log.operations().map(|o| o.process.0).collect();
    processes.sort_unstable();
    processes.dedup();
    let links = log.operations().map(|o| o.op.link()).max().map_or(0, |l| usize::from(l) + 1);
    let claims = serde_json::to_string(checked.profile).expect("a profile has no failing parts");
    html! {
        dl.facts {
            div { dt { "history" } dd { (checked.name) } }
            div { dt { "calls" } dd { (log.len()) } }
            div { dt { "processes" } dd { (processes.len()) } }
            div { dt { "links" } dd { (links) } }
        }
        details.as-text { summary { "What the link claims" } pre { (claims) } }
    }
}

fn body(checked: &Checked<'_>) -> Markup {
    let spec = Spec::new(*checked.profile);
    let part = Part::of(checked);
    let followed = part.followed(&spec);
    let whole = part.picture(checked.verdict, followed.as_ref());
    html! {
        @match checked.verdict {
            Verdict::Fail(found) => (counterexample(&spec, found, part.shows_only(found)))
            Verdict::Pass { deviations, .. } => {
                @for found in deviations { (counterexample(&spec, found, false)) }
            }
            Verdict::Inconclusive(_) => {}
        }
        @if let Some(picture) = whole {
            section #history aria-labelledby="history-title" {
                h2 #history-title { "The history" }
                p.muted { (part.words(checked, followed.as_ref())) }
                (frame(&picture.markup()))
            }
        }
    }
}

/// What is wrong, by which rule, and the shortest history that shows it.
fn counterexample(spec: &Spec, found: &Counterexample, is_all: bool) -> Markup {
    let rule = found.rule.rule();
    let followed = follow(spec, &found.history, GLANCE);
    let (calls, all) = (found.history.operations.len(), if is_all { ", which is all" } else { "" });
    html! {
        section #wrong aria-labelledby="wrong-title" {
            h2 #wrong-title { "The rule that is broken" }
            p { code { (rule.id) } ": " (says(rule.says)) }
            ul.sources {
                @for source in rule.sources {
                    @let name = source.to_string();
                    li { @match ipc_model::statement(&name) {
                        Some(statement) => { b { (name) } ": " (statement.says) }
                        None => (name)
                    } }
                }
            }
            h4 { "What was allowed there" }
            @if found.allowed.is_empty() { p { "Nothing at all." } }
            ul.allowed {
                @for (what, rule) in &found.allowed { li { code { (what) } " by " code { (rule) } } }
            }
        }
        @if let Some(picture) = of_counterexample(found, &followed) {
            section #shortest aria-labelledby="shortest-title" {
                h2 #shortest-title { "The shortest history found that still fails" }
                p.muted { (calls) " calls" (all) ". The numbers are the steps of one explanation of everything above the line." }
                (frame(&picture.markup()))
                details.as-text {
                    summary { "As text" }
                    pre tabindex="0" { (lanes::draw(&found.history, Some(found))) }
                }
            }
        }
    }
}

fn of_counterexample<'a>(found: &'a Counterexample, followed: &'a Followed) -> Option<Picture<'a>> {
    let proof = found.pattern.as_ref().map_or(&[][..], |p| &p.operations);
    let picture = Picture::new(&found.history, MOST_ROWS)?;
    Some(picture.wrong(found).proof(proof).followed(followed))
}

/// A picture with its buttons.
fn frame(picture: &Markup) -> Markup {
    html! {
        div.viewer {
            div.tools hidden {
                button type="button" data-do="out" aria-label="Zoom out" { "−" }
                button type="button" data-do="in" aria-label="Zoom in" { "+" }
                button type="button" data-do="fit" { "Fit" }
                button type="button" data-do="whole" { "100 %" }
                button type="button" data-do="wrong" { "What is wrong" }
            }
            div.scroll.picture tabindex="0" role="group" aria-label="Space-time picture" { (picture) }
        }
    }
}

fn keys() -> Markup {
    html! {
        p.hint #keys hidden {
            kbd { "+" } " " kbd { "−" } " " kbd { "0" } " zoom · drag or arrows move · "
            kbd { "Ctrl" } " and wheel zoom at the pointer · "
            kbd { "n" } " " kbd { "p" } " the next call and the one before, with all that is known of it · "
            kbd { "w" } " what is wrong"
        }
    }
}

/// The part of the history that is drawn.
struct Part {
    history: History,
    /// How many calls are left out before it and after it.
    before: usize,
    after: usize,
    /// How many calls are explained, where not all could be.
    explained: Option<usize>,
}

impl Part {
    /// A short history whole; of a long one what surrounds the place of interest.
    fn of(checked: &Checked<'_>) -> Self {
        let log = checked.log;
        let mut calls: Vec<u64> = log.operations().map(|o| o.call).collect();
        calls.sort_unstable();
        let explained = match checked.verdict {
            Verdict::Inconclusive(_) => Some(explained(checked, &calls)),
            _ => None,
        };
        let place = match (checked.verdict, explained) {
            (Verdict::Fail(found), _) => calls.partition_point(|call| *call <= found.time),
            (_, Some(explained)) => explained,
            _ => 0,
        };
        let whole = calls.len() <= SHOWN.0 + SHOWN.1;
        let from = if whole { 0 } else { place.saturating_sub(SHOWN.0) };
        let to = if whole { calls.len() } else { calls.len().min(from + SHOWN.0 + SHOWN.1) };
        let (first, last) = match (calls.get(from), calls.get(to.max(1) - 1)) {
            (Some(first), Some(last)) => (*first, *last),
            _ => (0, 0),
        };
        let proof = match checked.verdict {
            Verdict::Fail(found) => found.pattern.as_ref().map(|p| p.operations.as_slice()),
            _ => None,
        };
        let proves = |o: &Operation| {
            proof.into_iter().flatten().any(|p| (p.process, p.call) == (o.process, o.call))
        };
        let near = |o: &Operation| (first..=last).contains(&o.call) || proves(o);
        let mut history = log.history(|_, o| near(o));
        if !whole {
            history.crashes.retain(|(time, _)| (first..=last).contains(time));
        }
        Self { history, before: from, after: calls.len() - to, explained }
    }

    fn is_whole(&self) -> bool {
        self.before == 0 && self.after == 0
    }

    fn shows_only(&self, found: &Counterexample) -> bool {
        self.is_whole() && found.history.operations.len() == self.history.operations.len()
    }

    fn followed(&self, spec: &Spec) -> Option<Followed> {
        let short = self.is_whole() && self.history.operations.len() <= SHORT;
        short.then(|| follow(spec, &self.history, GLANCE))
    }

    fn picture<'a>(
        &'a self,
        verdict: &'a Verdict,
        followed: Option<&'a Followed>,
    ) -> Option<Picture<'a>> {
        let mut picture = Picture::new(&self.history, MOST_ROWS)?;
        if let Verdict::Fail(found) = verdict {
            let proof = found.pattern.as_ref().map_or(&[][..], |p| &p.operations);
            picture = picture.wrong(Wrong::from(&**found)).proof(proof);
        }
        Some(match followed {
            Some(followed) => picture.followed(followed),
            None => picture,
        })
    }

    fn words(&self, checked: &Checked<'_>, followed: Option<&Followed>) -> String {
        let total = checked.log.len();
        let mut words = match self.is_whole() {
            true => "All of it. ".to_owned(),
            false => format!(
                "{} of {total} calls: {} before them and {} after them are not drawn. ",
                self.history.operations.len(),
                self.before,
                self.after
            ),
        };
        if let Some(explained) = self.explained {
            words += &format!(
                "The first {explained} calls, by themselves, are explained; with more of them the \
                 search was given up. "
            );
        }
        words += match followed {
            Some(Followed { explained_until: None, .. }) => {
                "The numbers are the steps of one explanation, in its order."
            }
            Some(Followed { gave_up: false, .. }) => {
                "The numbers are the steps of one explanation of everything above the line; \
                 nothing explains more."
            }
            Some(_) => {
                "The numbers are the steps of one explanation of everything above the line, where \
                 looking for more was given up."
            }
            None => "",
        };
        words
    }
}

/// How many of the first calls are explained by themselves, as far as that can be found out.
fn explained(checked: &Checked<'_>, calls: &[u64]) -> usize {
    let spec = Spec::new(*checked.profile);
    let whole = checked.log.history(|_, _| true);
    let legal = |count: usize| {
        count == 0 || check_spec(&spec, &whole.until(calls[count - 1]), GLANCE).passed()
    };
    let (mut good, mut bad) = (0, calls.len());
    while bad - good > 1 {
        let middle = good.midpoint(bad);
        if legal(middle) { good = middle } else { bad = middle }
    }
    good
}
