//! Stepped: an adapter's program, which nobody instrumented, run under ptrace, so that it can be
//! killed at every instruction and its processes interleaved at every access to what they share.
//!
//! The adapter program is exec'd once, as a *zygote* ([`actor`]). For each world the zygote forks
//! a creator, which creates the link and forks one actor for each process. The controller
//! ([`tracer`]) stops them all at meetings ([`control`]) and lets one run at a time. An operation
//! is stepped through once ([`trace`]) to learn where it touches what others can see; each of
//! these places is then reached again in a fresh [`world`], by a breakpoint and a few steps.
//! [`crash`] kills there. What the processes are told becomes a history that the model judges.
//!
//! What it cannot see: interleavings are sequentially consistent, so no store buffer is ever
//! late; a kill inside of a system call happens only where the call sleeps; and adapters that
//! start threads are refused. `docs/stepping.md` says more.

pub(crate) mod actor;
mod control;
mod crash;
mod decode;
mod schedule;
mod shared;
mod trace;
mod tracer;
mod world;

use std::path::Path;
use std::time::Duration;

use ipc_model::Counterexample;

use crate::adapter::{Claim, Place};
use crash::{Counts, Plan};
use tracer::Tracer;

/// Why a sweep was not carried through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The environment or the adapter is at fault.
    #[error("{0}")]
    Broken(String),
    /// The same operation took another path in another world, so that a point was not reached.
    #[error("DIVERGED: {0}")]
    Diverged(String),
    /// The link does not offer what would be swept.
    #[error("{0}")]
    Refused(String),
}

/// What came of one world.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Who stood where, and what was done there.
    pub how: String,
    /// What the processes were told, in short.
    pub words: String,
    /// What the model says to that.
    pub finding: Finding,
}

/// What the model says to the history of one world.
#[derive(Clone, Debug)]
pub enum Finding {
    /// It explains it.
    Allowed,
    /// It does not.
    Forbidden(Box<Counterexample>),
    /// It has no word for what happened, or gave up.
    Odd(String),
}

/// What came of killing one operation at every point, or of all schedules of two.
#[derive(Clone, Debug, Default)]
pub struct Sweep {
    /// `crash.<operation>.every-instruction`.
    pub name: String,
    /// What waited in the link.
    pub state: String,
    /// Instructions of the operation.
    pub instructions: usize,
    /// Its reads of what others can write.
    pub reads: usize,
    /// Its writes to what others can see.
    pub writes: usize,
    /// Its system calls.
    pub calls: usize,
    /// Whether a second trace was the same, instruction by instruction.
    pub repeats: bool,
    /// How many points it was killed at, or schedules were run.
    pub points: usize,
    /// Schedules that the cap left out, without those that would follow from them.
    pub left_out: usize,
    /// What the processes were told, and how often.
    pub outcomes: Counts,
    /// Worlds whose history the model does not explain.
    pub forbidden: Vec<Outcome>,
    /// Worlds in which something happened that the model has no word for.
    pub odd: Vec<Outcome>,
    /// Why the role cannot be taken again even after an orderly end, so that it was not tried.
    pub rejoin: Option<String>,
    /// How long each world took.
    pub times: Vec<Duration>,
    /// How long the whole took.
    pub elapsed: Duration,
    /// Why it was not carried through.
    pub trouble: Option<Trouble>,
}

impl Sweep {
    fn note(&mut self, outcome: Outcome) {
        *self.outcomes.entry(outcome.words.clone()).or_default() += 1;
        match outcome.finding {
            Finding::Allowed => {}
            Finding::Forbidden(_) => self.forbidden.push(outcome),
            Finding::Odd(_) => self.odd.push(outcome),
        }
    }

    /// The verdict in one word.
    pub fn verdict(&self) -> &'static str {
        match &self.trouble {
            _ if !self.forbidden.is_empty() => "fail",
            Some(Trouble::Refused(_)) => "not-claimed",
            Some(Trouble::Broken(_)) => "broken",
            Some(Trouble::Diverged(_)) => "inconclusive",
            None if !self.odd.is_empty() || self.left_out > 0 || !self.repeats => "inconclusive",
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

/// How much is swept.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Every instruction, not only those at which a death can be told apart.
    pub every: bool,
    /// Schedules with at most so many preemptions.
    pub preemptions: usize,
    /// At most so many schedules of two calls.
    pub cap: usize,
}

impl Default for Extent {
    fn default() -> Self {
        Self { every: false, preemptions: 1, cap: 1_000 }
    }
}

/// Sweeps every operation of one link, explores its schedules, and tells each result as it comes.
///
/// # Errors
/// Why no operation could be swept at all.
pub fn run(
    program: &Path,
    claim: &Claim,
    folder: &Path,
    extent: Extent,
    wanted: &dyn Fn(&str) -> bool,
    tell: &mut dyn FnMut(Sweep),
) -> Result<(), Trouble> {
    if !claim.processes {
        return Err(Trouble::Refused(
            "it does not join processes, so there is nobody to kill".into(),
        ));
    }
    let mut tracer = Tracer::start(program, &folder.join("stepped.log"))?;
    let name = format!("ipc-conform-step-{}", std::process::id());
    for (victim, waiting) in crash::plans(&claim.profile) {
        let place = Place { name: name.clone(), folder: folder.to_path_buf() };
        let plan = Plan { claim, place, victim, waiting, every: extent.every };
        if wanted(&plan.name()) {
            tell(crash::sweep(&mut tracer, &plan));
        }
    }
    for duel in schedule::duels(&claim.profile) {
        let place = Place { name: name.clone(), folder: folder.to_path_buf() };
        let Extent { preemptions, cap, .. } = extent;
        let plan = schedule::Plan { claim, place, duel, preemptions, cap };
        if wanted(&plan.name()) {
            tell(schedule::explore(&mut tracer, &plan));
        }
    }
    Ok(())
}
