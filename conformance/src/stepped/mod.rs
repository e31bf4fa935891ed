//! Stepped: an adapter's program, which nobody instrumented, run under ptrace, so that it can be
//! killed at every instruction and its processes interleaved at every access to what they share.
//!
//! The adapter program is exec'd once, as a *zygote* (`actor`). For each world the zygote forks
//! a creator, which creates the link and forks one actor for each process. The controller
//! (`tracer`) stops them all at meetings (`control`) and lets one run at a time. An operation
//! is stepped through once (`trace`) to learn where it touches what others can see; each of
//! these places is then reached again in a fresh `world`, by a breakpoint and a few steps.
//! `crash` kills there, `schedule` lets another process go on there. What the processes are
//! told becomes a history that the model judges. A world writes down its `course`, which
//! `replay` shortens, records and does again.
//!
//! What it cannot see: interleavings are sequentially consistent, so no store buffer is ever
//! late; a kill inside of a system call happens only where the call sleeps; and adapters that
//! start threads are refused. `docs/stepping.md` says more.

pub(crate) mod actor;
mod control;
pub(crate) mod controller;
mod course;
mod crash;
mod decode;
mod memory;
mod namespaces;
mod narrative;
mod replay;
mod scenario;
mod schedule;
mod setting;
mod shared;
mod source;
mod survivors;
mod sweep;
mod time;
mod trace;
mod tracer;
mod world;

use std::path::Path;

use ipc_model::Counterexample;

use crate::adapter::Claim;
use setting::Setting;
use tracer::Tracer;

pub use replay::{Again, Stepped};
use sweep::Gathered;
pub use sweep::{Level, Reduced, Shown, Sweep};

/// Why a sweep was not carried through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
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
    /// The operation is too long to be stepped through.
    #[error("{0}")]
    TooLong(String),
}

impl Trouble {
    /// A refusal of something that has to be done before anything can be swept: no peculiarity
    /// of the link, but in the way.
    fn in_the_way(self) -> Self {
        match self {
            Trouble::Refused(why) => Trouble::Broken(format!("a world cannot be set up: {why}")),
            other => other,
        }
    }
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

/// How much is swept.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Every instruction, not only those at which a death can be told apart.
    pub every: bool,
    /// Schedules with at most so many preemptions.
    pub preemptions: usize,
    /// At most so many schedules of one scenario; where there are more, some are chosen.
    pub cap: usize,
    /// What they are chosen by.
    pub seed: u64,
    /// Whether schedules also end in a kill.
    pub kills: bool,
}

impl Default for Extent {
    fn default() -> Self {
        Self { every: false, preemptions: 1, cap: 1_000, seed: 1, kills: false }
    }
}

/// A link that is stepped.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The adapter program.
    pub program: &'a Path,
    /// Name of the adapter.
    pub adapter: &'a str,
    /// The configuration.
    pub claim: &'a Claim,
    /// A folder of its own.
    pub folder: &'a Path,
}

/// Whether this file is a program whose instructions can be stepped.
///
/// # Errors
/// What is wrong with it, and what can be done.
pub fn check(program: &Path) -> Result<(), Trouble> {
    tracer::check(program)
}

/// Sweeps every operation of one link, explores its schedules, and tells each result as it comes.
///
/// # Errors
/// Why no operation could be swept at all.
pub fn run(
    subject: Subject<'_>,
    extent: Extent,
    wanted: &dyn Fn(&str) -> bool,
    tell: &mut dyn FnMut(Sweep),
) -> Result<(), Trouble> {
    let Subject { program, adapter, claim, folder } = subject;
    let mut tracer = Tracer::start(program, folder)?;
    if !claim.processes && !tracer.has_heap() {
        return Err(Trouble::Refused(
            "it does not join processes, so there is nobody to kill or to preempt; where what it \
             shares is on the heap, its adapter can have an `ipc_conformance::SharedHeap`"
                .into(),
        ));
    }
    let setting = Setting::new(claim, tracer.place().clone());
    let silent = !crate::stepping::claims_deaths(claim);
    let mut finish = |tracer: &mut Tracer, (mut sweep, gathered): (Sweep, Gathered)| {
        sweep.observed = silent && sweep.levels.is_empty();
        sweep.exposed = tracer.exposed().map(String::from);
        if let Some((course, counterexample)) = gathered.shortest {
            let rule = counterexample.rule.to_string();
            let of = format!("{} on {}", sweep.name, sweep.state);
            let setting = &setting;
            let observed = sweep.observed;
            let found = replay::Found { setting, adapter, program, of, course, rule, observed };
            sweep.shown = Some(Shown::of(tracer, found, &counterexample));
        }
        sweep.odd_shown = gathered.odd.map(|(course, why)| {
            let told = narrative::tell(&course, None, tracer.modules());
            std::iter::once(why).chain(told).collect()
        });
        tell(sweep);
    };
    for plan in crash::plans(&setting, extent.every) {
        // Threads that share a heap are not killed one by one.
        if claim.processes && wanted(&crash::rule(plan.victim)) {
            let swept = crash::sweep(&mut tracer, &plan);
            finish(&mut tracer, swept);
        }
    }
    for scenario in scenario::scenarios(&setting) {
        let plan = schedule::Plan { setting: &setting, scenario, extent };
        if wanted(&plan.name()) {
            let explored = schedule::explore(&mut tracer, &plan);
            finish(&mut tracer, explored);
        }
    }
    Ok(())
}
