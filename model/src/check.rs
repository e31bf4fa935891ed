//! Decides whether the model explains a history.
//!
//! [`check`] walks through the events in the order of time with the set of all states the system
//! may be in ([`frontier`]): just-in-time linearisation, a step being taken only where the next
//! return needs it. A return that no state allows is a violation, which is then given the name of
//! the rule it breaks ([`attribute`]) and cut down to the shortest history that still shows it
//! ([`shrink`]).

mod attribute;
pub mod frontier;
pub mod monitor;
mod pattern;
mod shrink;

use crate::history::{Event, History, Timing};
use crate::op::{Process, Ret};
use crate::profile::Profile;
use crate::rule::RuleId;
use crate::spec::Spec;
use crate::verdict::{Counterexample, Got, Verdict};
use frontier::{Frontier, Refuted};
pub use pattern::{Pattern, Shape};

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

/// Whether the specification of `profile` explains `history`: by the search over the model, with
/// the default budget, the counterexample shrunk.
pub fn check(profile: &Profile, history: &History) -> Verdict {
    check_spec(&Spec::new(*profile), history, Budget::default())
}

/// The same for any specification, a mutated one too, and any budget.
pub fn check_spec(spec: &Spec, history: &History, budget: Budget) -> Verdict {
    if history.too_wide() {
        return Verdict::Inconclusive(format!("{} processes are too many", history.width()));
    }
    let found = match decide(spec, history, Timing::Strong, budget) {
        Decision::Fails(strong) if strong.got == Got::Returned(TIMED_OUT) => {
            // It may merely have decided early that it would time out: a `should`.
            match decide(spec, history, Timing::Weak, budget) {
                Decision::Passes(coverage) => {
                    let rule = RuleId::of("timeout.decided-at-deadline").expect("in the catalogue");
                    let deviation = Counterexample { rule, ..*strong };
                    return Verdict::Pass { coverage, deviations: vec![deviation] };
                }
                other => other,
            }
        }
        other => other,
    };
    match found {
        Decision::Passes(coverage) => Verdict::Pass { coverage, deviations: vec![] },
        Decision::GivesUp(why) => Verdict::Inconclusive(why),
        Decision::Fails(counterexample) => {
            Verdict::Fail(Box::new(shrink::shrink(spec, *counterexample, budget)))
        }
    }
}

/// Whether the model explains the history at the strong reading of `timeout`, by the search alone
/// and without saying why not; `None` if that took more than the budget. Monitors are tested
/// against it.
pub fn explains(spec: &Spec, history: &History, budget: Budget) -> Option<bool> {
    let timing = Timing::Strong;
    let mut frontier = Frontier::new(spec, history.width(), &history.ends(), budget);
    for (_, event) in history.events(timing) {
        match frontier.advance(event) {
            Ok(()) => {}
            Err(Refuted::Budget) => return None,
            Err(Refuted::Impossible) => return Some(false),
        }
    }
    Some(!history.quiescent || frontier.quiesce().is_ok())
}

const TIMED_OUT: Ret = Ret::Refused(crate::Refusal::Timeout);

pub(crate) enum Decision {
    Passes(crate::verdict::Coverage),
    Fails(Box<Counterexample>),
    GivesUp(String),
}

/// One walk through the history.
pub(crate) fn decide(spec: &Spec, history: &History, timing: Timing, budget: Budget) -> Decision {
    let mut frontier = Frontier::new(spec, history.width(), &history.ends(), budget);
    for (time, event) in history.events(timing) {
        match frontier.advance(event) {
            Ok(()) => {}
            Err(Refuted::Budget) => {
                let why = format!("more than {} states are possible at {time}", budget.states);
                return Decision::GivesUp(why);
            }
            Err(Refuted::Impossible) => {
                let Event::Return(process, ret) = event else {
                    unreachable!("only a return can be impossible")
                };
                return explain(&frontier, history, time, process, Got::Returned(ret));
            }
        }
    }
    if !history.quiescent {
        return Decision::Passes(frontier.coverage());
    }
    let end = history.events(timing).last().map_or(0, |(time, _)| *time);
    match frontier.quiesce() {
        Ok(coverage) => Decision::Passes(coverage),
        Err(process) => explain(&frontier, history, end, process, Got::Stuck),
    }
}

fn explain(
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
    let history = if got == Got::Stuck { history.clone() } else { history.until(time) };
    Decision::Fails(Box::new(Counterexample { rule, process, op, got, time, allowed, history }))
}
