//! Runs random programs on named objects, and tallies what came of each rule.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ipc_model::machine::{Counterexample, Machine, Operation, Verdict};
use ipc_model::{Kind, Process};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::link::shown;
use super::play::{Objects, Users, play};
use super::programs::{Program, Programs, Script, Source, Step};
use super::shrink::{Broken, shrink};
use crate::report::CellVerdict;

/// What came of one rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Pass, fail, not claimed or inconclusive.
    pub verdict: CellVerdict,
    /// What it rests on, in words.
    pub why: String,
    /// How many programs needed it and kept it.
    pub evidence: u32,
    /// The shortest history found that breaks it, a line a call.
    pub picture: Option<String>,
    /// The program that it is the history of.
    pub again: Option<Again>,
}

/// Where a program is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The users of its processes.
    pub users: Users,
    /// Whether its processes have no standard input, as a service may have none: the first thing
    /// that they open then has the number 0.
    pub without_input: bool,
}

impl Setting {
    /// That of the program of this number, by these users.
    fn of(number: u64, users: Users) -> Self {
        let users = if number.is_multiple_of(2) { [users[0]; 2] } else { users };
        Self { users, without_input: number / 2 % 4 == 3 }
    }
}

/// A program that breaks a rule, in the form of a replay file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Again {
    /// Where it was played.
    pub setting: Setting,
    /// Its steps, each a [`Step`].
    pub steps: Value,
    /// What was recorded, up to the return that breaks the rule.
    pub history: Value,
}

/// Runs the programs of these numbers, each on objects of its own that `open` makes, and decides
/// every rule of the machine. What breaks a rule is made as short as it goes. `progress` is told
/// of each program that is done.
///
/// # Errors
/// Why the objects cannot be had.
pub fn run<M: Programs, O: Objects<M>>(
    machine: M,
    users: Users,
    (seed, numbers): (u64, Range<u64>),
    mut open: impl FnMut(&Setting) -> Result<O, String>,
    progress: &dyn Fn(u64),
) -> Result<BTreeMap<&'static str, Found>, String> {
    let mut tally = Tally { alone: users[0] == users[1], ..Tally::default() };
    for number in numbers {
        let setting = Setting::of(number, users);
        let mut objects = open(&setting)?;
        let program = Program::new(seed.wrapping_add(number / 2), 2, objects.all_at_once());
        let (verdict, steps) = judged(machine, &setting, program, &mut objects)?;
        drop(objects);
        match verdict {
            Verdict::Pass(rules) => {
                rules.into_iter().for_each(|rule| *tally.fired.entry(rule).or_default() += 1);
            }
            Verdict::Fail(found) if tally.failed.contains_key(found.rule) => {}
            Verdict::Fail(found) => {
                let broken = Broken { steps, found: *found };
                let broken = shrink(broken, |steps| {
                    let mut objects = open(&setting)?;
                    let played = judged(machine, &setting, Script::new(steps), &mut objects)?;
                    let (Verdict::Fail(found), steps) = played else { return Ok(None) };
                    Ok(Some(Broken { steps, found: *found }))
                })?;
                tally.failed.insert(broken.found.rule, Shown::of(&broken, setting)?);
            }
            Verdict::Inconclusive(why) => {
                tally.undecided.insert(why);
            }
        }
        progress(1);
    }
    Ok(M::rules().iter().filter_map(|r| Some((r.id, tally.found::<M>(r.id, r.kind)?))).collect())
}

/// Plays the steps of a replay file again; answers the counterexample and what it looks like, if
/// a rule is broken.
///
/// # Errors
/// Why they are none, or cannot be played.
pub(super) fn again<M: Programs>(
    machine: M,
    again: &Again,
    objects: &mut impl Objects<M>,
) -> Result<Option<(String, String)>, String> {
    let steps: Vec<Step<M>> =
        serde_json::from_value(again.steps.clone()).map_err(|e| format!("steps: {e}"))?;
    match judged(machine, &again.setting, Script::new(&steps), objects)?.0 {
        Verdict::Fail(found) => Ok(Some((told(&found), picture(&found)))),
        Verdict::Pass(_) => Ok(None),
        Verdict::Inconclusive(why) => Err(why),
    }
}

/// Judges the history of a replay file again; as [`again`].
///
/// # Errors
/// Why it is none, or cannot be decided.
pub(super) fn recorded<M: Programs>(again: &Again) -> Result<Option<(String, String)>, String> {
    let history =
        serde_json::from_value(again.history.clone()).map_err(|e| format!("history: {e}"))?;
    match M::judge(&history) {
        Verdict::Fail(found) => Ok(Some((told(&found), picture(&found)))),
        Verdict::Pass(_) => Ok(None),
        Verdict::Inconclusive(why) => Err(why),
    }
}

fn judged<M: Programs>(
    machine: M,
    setting: &Setting,
    source: impl Source<M>,
    objects: &mut impl Objects<M>,
) -> Result<(Verdict<M>, Vec<Step<M>>), String> {
    let played = play(machine, &setting.users, source, objects)?;
    Ok((M::judge(&played.history), played.steps))
}

fn told<M: Machine>(found: &Counterexample<M>) -> String {
    format!("{}: {found}", found.rule)
}

/// The calls that lead to the counterexample, and who was killed, in the order of time.
fn picture<M: Machine>(found: &Counterexample<M>) -> String {
    let call = |o: &Operation<M>| match &o.ret {
        Some((_, ret)) => (o.call, format!("{} {}: {ret}", o.process, o.op)),
        None => (o.call, format!("{} {}: not returned", o.process, o.op)),
    };
    let kill = |(time, process): &(u64, Process)| (*time, format!("{process} is killed"));
    let history = &found.history;
    let mut lines: Vec<(u64, String)> = history.operations.iter().map(call).collect();
    lines.extend(history.crashes.iter().map(kill));
    lines.sort_by_key(|(time, _)| *time);
    lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}

/// How a rule was broken.
struct Shown {
    why: String,
    picture: String,
    again: Again,
}

impl Shown {
    fn of<M: Machine>(broken: &Broken<M>, setting: Setting) -> Result<Self, String> {
        let Broken { steps, found } = broken;
        let value = |value: serde_json::Result<Value>| value.map_err(|e| e.to_string());
        let steps = value(serde_json::to_value(steps))?;
        let history = value(serde_json::to_value(&found.history))?;
        let mut why = found.to_string();
        if setting.without_input {
            why += "; the processes have no standard input";
        }
        Ok(Self { why, picture: picture(found), again: Again { setting, steps, history } })
    }
}

#[derive(Default)]
struct Tally {
    fired: BTreeMap<&'static str, u32>,
    failed: BTreeMap<&'static str, Shown>,
    undecided: BTreeSet<String>,
    /// Whether all processes were of one user.
    alone: bool,
}

impl Tally {
    /// What came of a rule; `None` where it cannot be seen from outside.
    fn found<M: Programs>(&self, rule: &'static str, kind: Kind) -> Option<Found> {
        match kind {
            Kind::Internal => None,
            Kind::Property => self.property(M::shown_by(rule)),
            _ => Some(self.step(rule)),
        }
    }

    fn step(&self, rule: &str) -> Found {
        let evidence = self.fired.get(rule).copied().unwrap_or(0);
        let found = |verdict, why: &str| Found {
            verdict,
            why: why.into(),
            evidence,
            picture: None,
            again: None,
        };
        if let Some(Shown { why, picture, again }) = self.failed.get(rule) {
            let (picture, again) = (Some(picture.clone()), Some(again.clone()));
            return Found { evidence: 0, picture, again, ..found(CellVerdict::Fail, why) };
        }
        if let Some(runs) = self.fired.get(rule) {
            return found(CellVerdict::Pass, &format!("needed and kept in {runs} runs"));
        }
        if SETTLED.contains(&rule) {
            return found(CellVerdict::NotClaimed, "the system says what it does: nothing is open");
        }
        if let Some(why) = self.undecided.first() {
            return found(CellVerdict::Inconclusive, why);
        }
        let by_another = rule.contains(".by-another.");
        let why = if self.alone && by_another { ONE_USER } else { crate::NOT_NEEDED };
        found(CellVerdict::Inconclusive, why)
    }

    /// A property holds in whatever the machine explains; it was put to the test where the steps
    /// were that it speaks of.
    fn property(&self, shown_by: &[&'static str]) -> Option<Found> {
        let steps = || shown_by.iter().map(|step| self.step(step));
        let worst = steps().max_by_key(|found| found.verdict)?;
        let evidence = steps().map(|found| found.evidence).min()?;
        if worst.verdict != CellVerdict::Pass {
            return Some(Found { evidence: 0, ..worst });
        }
        Some(Found { why: shown(shown_by), evidence, ..worst })
    }
}

/// Rules about a second user need a run as root, which may start processes of two.
pub const ONE_USER: &str = "all processes were of one user; only root can run them as two";

/// Rules about what a system may leave open, where the profiles of our systems leave nothing.
const SETTLED: [&str; 4] = [
    "region.access.resized.unspecified",
    "name.create.lingering.unspecified",
    "name.odd.open.unspecified",
    "name.odd.unlink.unspecified",
];
