//! The check of a long log in steps, so that its links may be decided side by side.

use rustc_hash::FxHashSet;

use super::explain::{explain, message};
use super::monitor::{self, Finding, Violation, Windows};
use super::{Budget, SHORT, check_by_search, check_spec, late};
use crate::history::{Calls, History, Log, Operation, Timing};
use crate::op::Process;
use crate::spec::Spec;
use crate::verdict::{Counterexample, Verdict};

/// How many calls before the wrong one are looked at for an explanation: more than any
/// explanation shows.
const RECENT: usize = 4096;

/// A log that has been taken apart into its links. Each is decided by itself ([`Self::decide`]),
/// on as many threads as the caller likes, and [`Self::conclude`] gives the verdict on all.
///
/// ```
/// use ipc_model::check::{Budget, ByLink};
/// use ipc_model::{Lines, Profile, Reading, Spec, Verdict};
/// let mut reading = Reading::default();
/// for line in [
///     "{\"process\":0,\"type\":\"invoke\",\"f\":\"try_receive\",\"time\":1}",
///     "{\"process\":0,\"type\":\"fail\",\"error\":\"empty\",\"time\":2}",
/// ] {
///     reading.add(Lines::read(line, 1).unwrap()).unwrap();
/// }
/// let (_, log) = reading.finish().unwrap();
/// let spec = Spec::new(Profile::default());
/// let by_link = ByLink::new(&spec, &log, Budget::default());
/// let findings = (0..by_link.links()).map(|link| by_link.decide(link)).collect();
/// assert!(by_link.conclude(findings).passed());
/// ```
pub struct ByLink<'l> {
    spec: &'l Spec,
    log: &'l Log,
    budget: Budget,
    /// The links; or what is known without them, which the search over the model knows too.
    windows: Option<Result<Windows<'l>, Finding>>,
}

impl<'l> ByLink<'l> {
    /// Takes the log apart.
    pub fn new(spec: &'l Spec, log: &'l Log, budget: Budget) -> Self {
        // A short one takes no time whichever way it is checked.
        let long = log.len() > SHORT && !spec.is_mutated();
        let windows = long.then(|| monitor::windows(&spec.profile, log.into(), Timing::Strong));
        Self { spec, log, budget, windows }
    }

    /// How many links can be decided by themselves.
    pub fn links(&self) -> usize {
        match &self.windows {
            Some(Ok(windows)) => windows.lanes.len(),
            _ => 0,
        }
    }

    /// Decides one link by its monitor.
    ///
    /// # Panics
    /// If there are not so many links.
    pub fn decide(&self, link: usize) -> Finding {
        let Some(Ok(windows)) = &self.windows else { panic!("there is no link {link}") };
        monitor::decide_link(&self.spec.profile, windows, link, self.budget)
    }

    /// The verdict, given what was found for each link, in their order.
    pub fn conclude(self, findings: Vec<Finding>) -> Verdict {
        let Self { spec, log, budget, windows } = self;
        let Some(windows) = windows else {
            return check_spec(spec, &log.history(|_, _| true), budget);
        };
        let mut timeouts = true;
        let findings = match windows {
            Ok(windows) => {
                timeouts = windows.lanes.iter().any(|lane| lane.timeouts);
                findings
            }
            Err(finding) => vec![finding],
        };
        let mut unsure = Vec::new();
        for (link, finding) in findings.into_iter().enumerate() {
            match finding {
                Finding::Legal => {}
                Finding::Broken(violation) => {
                    return broken(spec, log, &violation, timeouts, budget);
                }
                Finding::Unsure(why) => unsure.push((link, why)),
            }
        }
        match unsure.first() {
            None => {
                let coverage = monitor::fired(&spec.profile, log.into());
                Verdict::Pass { coverage, deviations: vec![] }
            }
            Some((_, why)) => match check_by_search(spec, &log.history(|_, _| true), budget) {
                Verdict::Inconclusive(search) => Verdict::Inconclusive(format!("{search} ({why})")),
                verdict => verdict,
            },
        }
    }
}

/// A monitor has found a violation at the strong reading of `timeout`: is it one at the weak?
fn broken(spec: &Spec, log: &Log, strong: &Violation, timeouts: bool, budget: Budget) -> Verdict {
    let explained = |violation: &Violation, timing| explained(spec, log, violation, timing, budget);
    if !timeouts {
        return Verdict::Fail(Box::new(explained(strong, Timing::Weak)));
    }
    match monitor::decide(&spec.profile, log.into(), Timing::Weak, budget) {
        Finding::Broken(weak) => Verdict::Fail(Box::new(explained(&weak, Timing::Weak))),
        _ => {
            let strong = late(explained(strong, Timing::Strong));
            let coverage = monitor::fired(&spec.profile, log.into());
            Verdict::Pass { coverage, deviations: vec![strong] }
        }
    }
}

fn explained(
    spec: &Spec,
    log: &Log,
    violation: &Violation,
    timing: Timing,
    budget: Budget,
) -> Counterexample {
    let (history, violation) = around(log, violation);
    explain(spec, &history, &violation, timing, budget)
}

/// What an explanation may have to look at: the calls that prove the violation, the calls shortly
/// before it, and all others on the same messages.
fn around(log: &Log, violation: &Violation) -> (History, Violation) {
    let returned = |o: &Operation| o.ret.map_or(u64::MAX, |(time, _)| time);
    let proof = violation.operations.iter().map(|i| log.operation(*i as usize));
    let until = proof.map(|o| returned(&o)).max().unwrap_or(u64::MAX);
    let mut last: Vec<u64> =
        log.operations().map(|o| returned(&o)).filter(|t| *t <= until).collect();
    let from = match last.len().checked_sub(RECENT) {
        Some(before) => *last.select_nth_unstable(before).1,
        None => 0,
    };
    drop(last);
    let near: FxHashSet<u32> = (0..)
        .zip(log.operations())
        .filter(|(_, o)| o.call <= until && returned(o) >= from)
        .map(|(i, _)| i)
        .chain(violation.operations.iter().copied())
        .collect();
    let touched: FxHashSet<(Process, u32)> = near
        .iter()
        .filter_map(|i| message(&log.operation(*i as usize)))
        .map(|m| (m.sender, m.sequence))
        .collect();
    let belongs = |i: u32, o: &Operation| {
        near.contains(&i) || message(o).is_some_and(|m| touched.contains(&(m.sender, m.sequence)))
    };
    let kept: Vec<u32> =
        (0..).zip(log.operations()).filter(|(i, o)| belongs(*i, o)).map(|(i, _)| i).collect();
    let place = |i: &u32| kept.binary_search(i).expect("the proof is kept") as u32;
    let operations = violation.operations.iter().map(place).collect();
    let some = log.history(|i, _| kept.binary_search(&(i as u32)).is_ok());
    let history = History { links: Calls::from(log).ends(), ..some };
    (history, Violation { operations, ..violation.clone() })
}
