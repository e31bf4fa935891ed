//! What came of killing one operation at every point, or of all schedules of one scenario.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ipc_model::{Counterexample, lanes};
use serde::{Deserialize, Serialize};

use super::course::Course;
use super::replay::{Found, Stepped};
use super::tracer::Tracer;
use super::world::Ended;
use super::{Finding, Trouble};

/// Schedules with a number of preemptions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// How many.
    pub preemptions: usize,
    /// Whether each ends in a kill.
    pub kills: bool,
    /// How many schedules were run.
    pub explored: usize,
    /// How many that were known were left out, for there were too many.
    pub left_out: usize,
    /// Whether there may be others: those that follow from schedules that were left out.
    pub incomplete: bool,
}

/// A counterexample, as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// The rule of the model that is broken.
    pub rule: String,
    /// What was told, and what was allowed, in one line.
    pub says: String,
    /// What was done, in words.
    pub narrative: Vec<String>,
    /// The space-time picture.
    pub picture: String,
    /// The file to do it again by; or why there is none.
    pub replay: Result<Box<Stepped>, String>,
}

/// Of a sweep over every instruction: whether the points at which a death can be told apart would
/// have shown as much.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reduced {
    /// How many points those are.
    pub points: usize,
    /// How many instructions were left out: those in further rounds of a loop that says it waits
    /// and changes nothing, whose first two rounds were swept.
    pub rounds: usize,
    /// What the processes were told after a kill at one of them.
    pub outcomes: BTreeSet<String>,
    /// What they were told only after a kill elsewhere: there must be nothing.
    pub hidden: BTreeSet<String>,
    /// Worlds that are not allowed: killed there, and killed elsewhere.
    pub bad: (usize, usize),
}

impl Reduced {
    pub(super) fn note(&mut self, words: &[String], allowed: bool, is_apart: bool) {
        let words = words.join(", ");
        if is_apart {
            self.hidden.remove(&words);
            self.outcomes.insert(words);
            self.bad.0 += usize::from(!allowed);
        } else {
            if !self.outcomes.contains(&words) {
                self.hidden.insert(words);
            }
            self.bad.1 += usize::from(!allowed);
        }
    }

    /// Whether a verdict or an outcome is lost by leaving out all other instructions.
    pub fn loses(&self) -> bool {
        !self.hidden.is_empty() || (self.bad.0 == 0 && self.bad.1 > 0)
    }
}

/// Names with all numbers in them as `#`, each once: numbers differ from world to world.
pub(super) fn without_numbers(names: &[String]) -> Vec<String> {
    let plain = |name: &String| {
        let mut plain = String::new();
        for c in name.chars() {
            match c.is_ascii_digit() {
                true if plain.ends_with('#') => {}
                true => plain.push('#'),
                false => plain.push(c),
            }
        }
        plain
    };
    names.iter().map(plain).collect::<BTreeSet<_>>().into_iter().collect()
}

/// What came of it all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sweep {
    /// The name of its rule.
    pub name: String,
    /// What waited in the link, and who.
    pub state: String,
    /// Instructions of the operation.
    pub instructions: usize,
    /// Whether it took more, which were not counted: it shares no memory, and from there on was
    /// stopped at its system calls only.
    pub uncounted: bool,
    /// Its reads of what others can write.
    pub reads: usize,
    /// Its writes to what others can see.
    pub writes: usize,
    /// Its system calls.
    pub calls: usize,
    /// Where it did something else to what others see when it was traced again.
    pub differs: Option<String>,
    /// Whether it even was the same, instruction by instruction: what computes with the time is
    /// not.
    pub exact: bool,
    /// How many points it was killed at, or schedules were run.
    pub points: usize,
    /// Of schedules: by number of preemptions.
    pub levels: Vec<Level>,
    /// What the processes were told, and how often.
    pub outcomes: BTreeMap<String, usize>,
    /// How many worlds have a history that the model does not explain.
    pub forbidden: usize,
    /// The shortest of them.
    pub shown: Option<Shown>,
    /// In how many worlds something happened that the model has no word for.
    pub odd: usize,
    /// The shortest of them, in words.
    pub odd_shown: Option<Vec<String>>,
    /// Why the role cannot be taken again even after an orderly end, so that it was not tried.
    pub rejoin: Option<String>,
    /// What is there after all have ended and removed what one removes, even without a kill.
    pub leaves: Vec<String>,
    /// What there is besides, after a kill; and in how many worlds.
    pub left: BTreeMap<String, usize>,
    /// Whether the link promises nothing of what was swept, so that no outcome is a verdict.
    pub observed: bool,
    /// Why the worlds had no namespaces of their own; `None`: they had.
    pub exposed: Option<String>,
    /// Of a sweep over every instruction.
    pub reduced: Option<Reduced>,
    /// How long each world took.
    pub times: Vec<Duration>,
    /// How long the whole took.
    pub elapsed: Duration,
    /// Why it was not carried through.
    pub trouble: Option<Trouble>,
}

/// The worlds worth showing.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) shortest: Option<(Course, Box<Counterexample>)>,
    pub(super) odd: Option<(Course, String)>,
}

impl Sweep {
    /// Notes what a kill leaves behind that an orderly end does not.
    pub(super) fn note_left(&mut self, ended: &mut Ended) {
        for name in without_numbers(&ended.left) {
            if !self.leaves.contains(&name) {
                ended.words.push(format!("left behind: {name}"));
                *self.left.entry(name).or_default() += 1;
            }
        }
    }

    /// What stands before the number of instructions.
    pub fn about(&self) -> &'static str {
        match (self.uncounted, self.exact) {
            (true, _) => "more than ",
            (false, true) => "",
            (false, false) => "about ",
        }
    }

    /// What is left behind, in words.
    pub fn left_behind(&self) -> Option<String> {
        let (name, worlds) = self.left.iter().max_by_key(|(_, worlds)| **worlds)?;
        let more = match self.left.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        Some(format!("in {worlds} worlds of {} {name}{more} is left behind", self.times.len()))
    }

    pub(super) fn note(&mut self, gathered: &mut Gathered, ended: Ended, finding: Finding) {
        *self.outcomes.entry(ended.words.join(", ")).or_default() += 1;
        let shorter = |known: Option<&Course>| known.is_none_or(|k| ended.course.size() < k.size());
        match finding {
            Finding::Allowed => {}
            Finding::Forbidden(counterexample) => {
                self.forbidden += 1;
                if shorter(gathered.shortest.as_ref().map(|(c, _)| c)) {
                    gathered.shortest = Some((ended.course, counterexample));
                }
            }
            Finding::Odd(why) => {
                self.odd += 1;
                if shorter(gathered.odd.as_ref().map(|(c, _)| c)) {
                    gathered.odd = Some((ended.course, why));
                }
            }
        }
    }

    /// Schedules that were left out, without those that would follow from them.
    pub fn left_out(&self) -> usize {
        self.levels.iter().map(|l| l.left_out).sum()
    }

    /// Up to how many preemptions every schedule was run.
    pub fn complete(&self) -> Option<usize> {
        let complete = self.levels.iter().filter(|l| !l.kills).take_while(|l| !l.incomplete);
        complete.last().map(|l| l.preemptions)
    }

    /// The verdict in one word, where all that was asked for had to be done.
    pub fn verdict(&self) -> &'static str {
        match &self.trouble {
            None if self.observed => "observed",
            _ if !self.observed && (self.forbidden > 0 || !self.left.is_empty()) => "fail",
            None if self.reduced.as_ref().is_some_and(Reduced::loses) => "inconclusive",
            Some(Trouble::Refused(_)) => "not-claimed",
            Some(Trouble::Broken(_) | Trouble::TooLong(_)) => "broken",
            Some(Trouble::Diverged(_)) => "inconclusive",
            None if self.odd > 0 || self.left_out() > 0 || self.differs.is_some() => "inconclusive",
            None => "pass",
        }
    }

    /// The time that half of the worlds stayed below.
    pub fn median(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }
}

impl Shown {
    pub(super) fn of(
        tracer: &mut Tracer,
        found: Found<'_>,
        counterexample: &Counterexample,
    ) -> Self {
        let told = super::narrative::tell(&found.course, Some(counterexample), tracer.modules());
        let (shortest, narrative, replay) = match found.record(tracer) {
            Ok((stepped, shortest)) => (shortest, stepped.narrative.clone(), Ok(Box::new(stepped))),
            Err(trouble) => (Box::new(counterexample.clone()), told, Err(trouble.to_string())),
        };
        Self {
            rule: shortest.rule.to_string(),
            says: shortest.to_string(),
            narrative,
            picture: lanes::draw(&shortest.history, Some(&shortest)),
            replay,
        }
    }
}
