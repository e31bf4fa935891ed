//! Real named objects (shared memory, mailboxes) held against the models of memory and of names.
//!
//! Processes of their own make random calls one after the other, and the machine of
//! [`ipc_model::machine`] decides whether it explains every answer. Whatever carries calls out is
//! an [`Objects`]: a worker process on a real system, or the machine itself, broken on purpose.

mod programs;
mod served;
mod system;
mod worker;

use std::collections::{BTreeMap, BTreeSet};

use ipc_model::Process;
use ipc_model::machine::{History, Machine, User, Verdict};

pub use programs::Programs;
pub use served::Served;
pub use system::{NAMES, System, SystemError};
pub use worker::serve;

use crate::report::CellVerdict;

/// Something that carries out calls on named objects, for several processes.
pub trait Objects<M: Machine> {
    /// The process makes the call; answers what it is told.
    ///
    /// # Errors
    /// Why the call could not be made, or that it was answered in no way that the model knows.
    fn call(&mut self, process: Process, op: &M::Op) -> Result<M::Ret, String>;

    /// The process is killed, and dead when this returns.
    ///
    /// # Errors
    /// Why it could not be killed.
    fn kill(&mut self, process: Process) -> Result<(), String>;
}

/// What came of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Pass, fail, inconclusive or broken.
    pub verdict: CellVerdict,
    /// What it rests on, in words.
    pub why: String,
}

/// Runs `count` random programs of the seed, each on objects of its own that `open` makes, and
/// decides every rule of the machine that is a step.
///
/// # Errors
/// Why the objects cannot be had.
pub fn run<M: Programs, O: Objects<M>>(
    machine: M,
    users: &[User],
    seed: u64,
    count: u32,
    mut open: impl FnMut() -> Result<O, String>,
) -> Result<BTreeMap<&'static str, Found>, String> {
    let mut fired: BTreeMap<&'static str, u32> = BTreeMap::new();
    let mut failed: BTreeMap<&'static str, String> = BTreeMap::new();
    let mut undecided = BTreeSet::new();
    for number in 0..count {
        let history = record(machine, users, seed.wrapping_add(u64::from(number)), &mut open()?)?;
        match M::judge(&history) {
            Verdict::Pass(rules) => {
                rules.into_iter().for_each(|rule| *fired.entry(rule).or_default() += 1);
            }
            Verdict::Fail(found) => {
                failed.entry(found.rule).or_insert_with(|| found.to_string());
            }
            Verdict::Inconclusive(why) => {
                undecided.insert(why);
            }
        }
    }
    let alone = users.iter().collect::<BTreeSet<_>>().len() < 2;
    let steps = M::rules().iter().filter(|r| is_step(r.kind));
    Ok(steps.map(|r| (r.id, found(r.id, &fired, &failed, &undecided, alone))).collect())
}

fn is_step(kind: ipc_model::Kind) -> bool {
    !matches!(kind, ipc_model::Kind::Property | ipc_model::Kind::Internal)
}

fn found(
    rule: &'static str,
    fired: &BTreeMap<&'static str, u32>,
    failed: &BTreeMap<&'static str, String>,
    undecided: &BTreeSet<String>,
    alone: bool,
) -> Found {
    if let Some(why) = failed.get(rule) {
        return Found { verdict: CellVerdict::Fail, why: why.clone() };
    }
    if let Some(runs) = fired.get(rule) {
        return Found {
            verdict: CellVerdict::Pass,
            why: format!("needed and kept in {runs} runs"),
        };
    }
    if SETTLED.contains(&rule) {
        let why = "the system says what it does, so nothing is open";
        return Found { verdict: CellVerdict::NotClaimed, why: why.into() };
    }
    let why = match undecided.first() {
        Some(why) => why.clone(),
        None if alone => "no run needed it; rules about other users need root to run as two".into(),
        None => crate::NOT_NEEDED.into(),
    };
    Found { verdict: CellVerdict::Inconclusive, why }
}

/// Rules about what a system may leave open, where the profiles of [`run`]'s systems leave nothing.
const SETTLED: [&str; 4] = [
    "region.access.resized.unspecified",
    "name.create.lingering.unspecified",
    "name.odd.open.unspecified",
    "name.odd.unlink.unspecified",
];

/// Plays one program, one call at a time.
fn record<M: Programs>(
    machine: M,
    users: &[User],
    seed: u64,
    objects: &mut impl Objects<M>,
) -> Result<History<M>, String> {
    let mut program = M::program(seed, users.len() as u16);
    let mut history =
        History { profile: machine, users: users.to_vec(), operations: vec![], crashes: vec![] };
    let mut time = 0;
    while let Some((process, op)) = program.next() {
        let ret = objects.call(process, &op)?;
        program.told(process, &op, &ret);
        history.operations.push(ipc_model::machine::Operation {
            process,
            op,
            call: time,
            ret: Some((time + 1, ret)),
            system_calls: None,
        });
        time += 2;
        if program.kills(process) {
            objects.kill(process)?;
            history.crashes.push((time, process));
            time += 1;
        }
    }
    Ok(history)
}
