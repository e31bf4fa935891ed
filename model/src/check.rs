//! Decides whether the model explains a history.
//!
//! Two ways lead to a verdict. The search walks through the events in the order of time with the
//! set of all states the system may be in ([`frontier`]): just-in-time linearisation, a step being
//! taken only where the next return needs it. It knows every rule, and is exponential in the number
//! of calls in progress. The [`monitor`]s know the most common links only, and take near-linear
//! time. A short history goes through both, a long one through its monitor, and through the search
//! where no monitor decides.
//!
//! A return that nothing allows is a violation, which is given a name that a person can point at
//! ([`Pattern`]), the name of the rule that it breaks, and the shortest history that still shows
//! it.

mod apart;
mod attribute;
mod by_link;
mod exercised;
mod explain;
mod first;
mod follow;
pub mod frontier;
pub mod monitor;
mod pattern;
mod shrink;
mod stream;

use std::cmp::Reverse;

use crate::history::{Event, History, Timing};
use crate::op::{Process, Ret};
use crate::profile::{Order, Profile};
use crate::rule::RuleId;
use crate::spec::Spec;
use crate::state::ProcessSet;
use crate::verdict::{Counterexample, Coverage, Got, Verdict};
pub use by_link::ByLink;
pub use follow::{Effect, Followed, follow};
use frontier::{Frontier, Refuted};
use monitor::Finding;
pub use pattern::{Pattern, Shape};
pub use stream::{Checker, Observed, PushError};

pub use exercised::exercised;

/// How much work a check may do before it gives up as inconclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// States held or visited between one event and the next.
    pub states: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { states: 200_000 }
    }
}

/// Up to this many calls a history is searched although its monitor has decided: the search says
/// which rules fired, and finds the very first event that is wrong.
const SHORT: usize = 96;

/// What the search may cost there.
const GLANCE: Budget = Budget { states: 4_000 };

/// Whether the specification of `profile` explains `history`, with the default budget, the
/// counterexample shrunk.
pub fn check(profile: &Profile, history: &History) -> Verdict {
    check_spec(&Spec::new(*profile), history, Budget::default())
}

/// The same for any specification, a mutated one too, and any budget.
pub fn check_spec(spec: &Spec, history: &History, budget: Budget) -> Verdict {
    if spec.is_mutated() {
        return check_by_search(spec, history, budget);
    }
    let short = history.operations.len() <= SHORT;
    match monitor::decide(&spec.profile, history.into(), Timing::Strong, budget) {
        Finding::Legal if short => match check_by_search(spec, history, GLANCE) {
            Verdict::Inconclusive(_) => pass(spec, history, vec![]),
            verdict => verdict,
        },
        Finding::Legal => pass(spec, history, vec![]),
        Finding::Broken(_) if short => match check_by_search(spec, history, GLANCE) {
            Verdict::Inconclusive(_) => broken(spec, history, budget),
            verdict => verdict,
        },
        Finding::Broken(_) => broken(spec, history, budget),
        Finding::Unsure(why) => match check_by_search(spec, history, budget) {
            Verdict::Inconclusive(search) => Verdict::Inconclusive(format!("{search} ({why})")),
            verdict => verdict,
        },
    }
}

fn pass(spec: &Spec, history: &History, deviations: Vec<Counterexample>) -> Verdict {
    Verdict::Pass { coverage: monitor::fired(&spec.profile, history.into()), deviations }
}

/// A monitor has found a violation at the strong reading of `timeout`: is it one at the weak?
fn broken(spec: &Spec, history: &History, budget: Budget) -> Verdict {
    let decide = |timing| match monitor::decide(&spec.profile, history.into(), timing, budget) {
        Finding::Broken(violation) => {
            Some(explain::explain(spec, history, &violation, timing, budget))
        }
        _ => None,
    };
    match (decide(Timing::Weak), decide(Timing::Strong)) {
        (Some(weak), _) => Verdict::Fail(Box::new(weak)),
        (None, Some(strong)) => pass(spec, history, vec![late(strong)]),
        (None, None) => unreachable!("it was broken"),
    }
}

/// It may merely have decided early that it would time out: a `should`.
fn late(strong: Counterexample) -> Counterexample {
    let rule = RuleId::of("timeout.decided-at-deadline").expect("in the catalogue");
    Counterexample { rule, ..strong }
}

/// Whether the specification explains the history, by the search alone.
pub fn check_by_search(spec: &Spec, history: &History, budget: Budget) -> Verdict {
    if let Some(why) = history.malformed() {
        return Verdict::Inconclusive(why);
    }
    if let Some(why) = beyond(spec, history) {
        return Verdict::Inconclusive(why.into());
    }
    match apart::by_link(spec, history) {
        Some(parts) => apart::join(parts.iter().map(|part| search(spec, part, budget))),
        None => search(spec, history, budget),
    }
}

/// The search through a history of one link, or of links that cannot be told apart.
fn search(spec: &Spec, history: &History, budget: Budget) -> Verdict {
    let timed_out = history.operations.iter().any(|o| o.ret.is_some_and(|(_, r)| r == TIMED_OUT));
    let (found, timing) = match decide(spec, history, Timing::Strong, budget) {
        // What fails later may do so only because of what an earlier `timeout` was held to.
        Decision::Fails(strong) if timed_out => match decide(spec, history, Timing::Weak, budget) {
            Decision::Passes(coverage) => {
                return Verdict::Pass { coverage, deviations: vec![late(*strong)] };
            }
            other => (other, Timing::Weak),
        },
        other => (other, Timing::Strong),
    };
    match found {
        Decision::Passes(coverage) => Verdict::Pass { coverage, deviations: vec![] },
        Decision::GivesUp(why) => Verdict::Inconclusive(why),
        Decision::Fails(counterexample) => {
            Verdict::Fail(Box::new(explain::finish(spec, history, *counterexample, timing, budget)))
        }
    }
}

/// What the model cannot hold: it keeps order by sender in sets of processes.
fn beyond(spec: &Spec, history: &History) -> Option<&'static str> {
    let outsider =
        |o: &crate::Operation| o.op.message().is_some_and(|m| m.sender.0 >= ProcessSet::LIMIT);
    (spec.profile.order == Order::PerSender && history.operations.iter().any(outsider))
        .then_some("order by sender, of messages that name no process as their sender")
}

/// Whether the model explains the history at the strong reading of `timeout`, by the search alone
/// and without saying why not; `None` if that took more than the budget. Monitors are tested
/// against it.
pub fn explains(spec: &Spec, history: &History, budget: Budget) -> Option<bool> {
    let parts = apart::by_link(spec, history).unwrap_or_else(|| vec![history.clone()]);
    let explained = |part: &History| match walk(spec, part, Timing::Strong, budget) {
        Ok(frontier) => Some(!part.quiescent || frontier.quiesce().is_ok()),
        Err((_, Refuted::Budget)) => None,
        Err((_, Refuted::Impossible)) => Some(false),
    };
    let found: Vec<Option<bool>> = parts.iter().map(explained).collect();
    if found.contains(&Some(false)) {
        return Some(false);
    }
    found.into_iter().all(|found| found.is_some()).then_some(true)
}

/// Walks through the history, looking ahead to what every call will be told.
fn walk<'s>(
    spec: &'s Spec,
    history: &History,
    timing: Timing,
    budget: Budget,
) -> Result<Frontier<'s>, (u64, Refuted)> {
    let mut told: Vec<Vec<&crate::Operation>> = vec![Vec::new(); history.width()];
    history.operations.iter().for_each(|o| told[usize::from(o.process.0)].push(o));
    for calls in &mut told {
        // The last first, in the order in which one process's calls are taken.
        calls.sort_by_key(|o| Reverse((o.call, o.ret.map_or(u64::MAX, |(time, _)| time))));
    }
    let mut frontier = Frontier::new(spec, history.width(), &history.ends(), budget);
    for (time, event) in history.events(timing) {
        if let Event::Call(process, _) = event {
            let ret = told[usize::from(process.0)].pop().and_then(|o| o.ret);
            frontier.promise(process, ret.map(|(_, ret)| ret));
        }
        frontier.advance(event).map_err(|refuted| (time, refuted))?;
    }
    Ok(frontier)
}

const TIMED_OUT: Ret = Ret::Refused(crate::Refusal::Timeout);

pub(crate) enum Decision {
    Passes(Coverage),
    Fails(Box<Counterexample>),
    GivesUp(String),
}

/// One walk through the history, and another to its first wrong event if it is not explained.
pub(crate) fn decide(spec: &Spec, history: &History, timing: Timing, budget: Budget) -> Decision {
    if history.quiescent {
        return retrace(spec, history, timing, budget);
    }
    match walk(spec, history, timing, budget) {
        Ok(frontier) => Decision::Passes(frontier.coverage()),
        Err((time, Refuted::Budget)) => too_many(budget, time),
        Err((_, Refuted::Impossible)) => match retrace(spec, history, timing, budget) {
            Decision::GivesUp(why) => {
                first::wrong(spec, history, timing, budget).unwrap_or(Decision::GivesUp(why))
            }
            decided => decided,
        },
    }
}

fn too_many(budget: Budget, time: u64) -> Decision {
    Decision::GivesUp(format!("more than {} states are possible at {time}", budget.states))
}

/// Walks through the history as if each event were the last: the first one that is wrong is found,
/// and what was allowed there, whatever happens later.
fn retrace(spec: &Spec, history: &History, timing: Timing, budget: Budget) -> Decision {
    let mut frontier = Frontier::new(spec, history.width(), &history.ends(), budget);
    for (time, event) in history.events(timing) {
        match frontier.advance(event) {
            Ok(()) => {}
            Err(Refuted::Budget) => return too_many(budget, time),
            Err(Refuted::Impossible) => {
                let Event::Return(process, ret) = event else {
                    unreachable!("only a return can be impossible")
                };
                return refuted(&frontier, history, time, process, Got::Returned(ret));
            }
        }
    }
    if !history.quiescent {
        return Decision::Passes(frontier.coverage());
    }
    let end = history.events(timing).last().map_or(0, |(time, _)| *time);
    match frontier.quiesce() {
        Ok(coverage) => Decision::Passes(coverage),
        Err((process, resting)) => refuted(&resting, history, end, process, Got::Stuck),
    }
}

fn refuted(
    frontier: &Frontier<'_>,
    history: &History,
    time: u64,
    process: Process,
    got: Got,
) -> Decision {
    let allowed = match frontier.allowed(process) {
        Ok(allowed) => allowed,
        Err(_) => return Decision::GivesUp("too many states to say what was allowed".into()),
    };
    let begun = |o: &&crate::Operation| o.process == process && o.call <= time;
    let op = history.operations.iter().filter(begun).max_by_key(|o| o.call).expect("it called").op;
    let rule = attribute::attribute(frontier.spec(), history, time, process, &op, got, &allowed);
    let history = match got {
        Got::Stuck => history.clone(),
        // Only who asks again shows that a message is lost, and was not merely overlooked.
        Got::Returned(_) if rule.rule().id == "delivery.nothing-lost" => {
            let asks = |o: &&crate::Operation| {
                o.call > time
                    && matches!(o.op, crate::Op::Receive { .. })
                    && o.op.link() == op.link()
            };
            let again = history.operations.iter().filter(asks).min_by_key(|o| o.call);
            history.until(again.map_or(time, |o| o.ret.map_or(o.call, |(time, _)| time)))
        }
        Got::Returned(_) => history.until(time),
    };
    let pattern = None;
    let found = Counterexample { rule, process, op, got, time, allowed, history, pattern };
    Decision::Fails(Box::new(found))
}
