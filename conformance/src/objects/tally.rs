//! Runs random programs on named objects, and tallies what came of each rule.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ipc_model::machine::{Counterexample, History, Machine, Operation, User, Verdict};
use ipc_model::{Kind, Process};

use super::Programs;
use crate::report::CellVerdict;

/// Something that carries out calls on named objects, for several processes.
pub trait Objects<M: Machine> {
    /// The process makes the call; answers what it is told.
    ///
    /// # Errors
    /// Why the call could not be made, or that it was answered in no way that the model knows.
    fn call(&mut self, process: Process, op: &M::Op) -> Result<M::Ret, String>;

    /// Two processes make their calls at once; answers what each is told.
    ///
    /// # Errors
    /// As [`Objects::call`].
    fn both(&mut self, calls: [(Process, &M::Op); 2]) -> Result<[M::Ret; 2], String> {
        let [(p, first), (q, second)] = calls;
        Ok([self.call(p, first)?, self.call(q, second)?])
    }

    /// The process is killed, and dead when this returns.
    ///
    /// # Errors
    /// Why it could not be killed.
    fn kill(&mut self, process: Process) -> Result<(), String>;
}

/// What came of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Pass, fail, not claimed or inconclusive.
    pub verdict: CellVerdict,
    /// What it rests on, in words.
    pub why: String,
    /// How many programs needed it and kept it.
    pub evidence: u32,
    /// The shortest history found that breaks it, a line a call.
    pub picture: Option<String>,
}

/// The users of a program's two processes: every other program has two of them.
pub type Users = [User; 2];

/// Runs the programs of these numbers, each on objects of its own that `open` makes, and decides
/// every rule of the machine. `progress` is told of each program that is done.
///
/// # Errors
/// Why the objects cannot be had.
pub fn run<M: Programs, O: Objects<M>>(
    machine: M,
    users: Users,
    (seed, numbers): (u64, Range<u64>),
    mut open: impl FnMut(&Users) -> Result<O, String>,
    progress: &dyn Fn(u64),
) -> Result<BTreeMap<&'static str, Found>, String> {
    let mut tally = Tally::default();
    for number in numbers {
        let users = if number % 2 == 0 { [users[0]; 2] } else { users };
        let seed = seed.wrapping_add(number / 2);
        match M::judge(&record(machine, &users, seed, &mut open(&users)?)?) {
            Verdict::Pass(rules) => {
                rules.into_iter().for_each(|rule| *tally.fired.entry(rule).or_default() += 1);
            }
            Verdict::Fail(found) => {
                tally.failed.entry(found.rule).or_insert_with(|| shown(&found));
            }
            Verdict::Inconclusive(why) => {
                tally.undecided.insert(why);
            }
        }
        progress(1);
    }
    tally.alone = users[0] == users[1];
    Ok(M::rules().iter().filter_map(|r| Some((r.id, tally.found::<M>(r.id, r.kind)?))).collect())
}

/// The counterexample in words, and the calls that lead to it.
fn shown<M: Machine>(found: &Counterexample<M>) -> (String, String) {
    let line = |o: &Operation<M>| match &o.ret {
        Some((_, ret)) => format!("{} {}: {ret}", o.process, o.op),
        None => format!("{} {}: not returned", o.process, o.op),
    };
    let lines: Vec<String> = found.history.operations.iter().map(line).collect();
    (found.to_string(), lines.join("\n"))
}

#[derive(Default)]
struct Tally {
    fired: BTreeMap<&'static str, u32>,
    failed: BTreeMap<&'static str, (String, String)>,
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
        let found = |verdict, why: &str| Found {
            verdict,
            why: why.into(),
            evidence: self.fired.get(rule).copied().unwrap_or(0),
            picture: None,
        };
        if let Some((why, picture)) = self.failed.get(rule) {
            let picture = Some(picture.clone());
            return Found { picture, evidence: 0, ..found(CellVerdict::Fail, why) };
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
        let why = format!("all that shows it was needed and kept: {}", shown_by.join(", "));
        Some(Found { why, evidence, ..worst })
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

/// Plays one program: one call at a time, or two processes' calls at once.
fn record<M: Programs>(
    machine: M,
    users: &Users,
    seed: u64,
    objects: &mut impl Objects<M>,
) -> Result<History<M>, String> {
    let mut program = M::program(seed, users.len() as u16);
    let mut history =
        History { profile: machine, users: users.to_vec(), operations: vec![], crashes: vec![] };
    let mut time = 0;
    while let Some((process, op)) = program.next() {
        let calls = match program.beside(process, &op) {
            None => vec![(process, objects.call(process, &op)?, op)],
            Some((other, at_once)) => {
                let [ret, other_ret] = objects.both([(process, &op), (other, &at_once)])?;
                vec![(process, ret, op), (other, other_ret, at_once)]
            }
        };
        for (process, ret, op) in calls {
            program.told(process, &op, &ret);
            let ret = Some((time + 1, ret));
            history.operations.push(Operation { process, op, call: time, ret, system_calls: None });
        }
        time += 2;
        if program.kills(process) {
            objects.kill(process)?;
            history.crashes.push((time, process));
            time += 1;
        }
    }
    Ok(history)
}
