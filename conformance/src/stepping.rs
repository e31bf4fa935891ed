//! The rules that stepped runs decide, and their cells: a controller of its own steps the link,
//! one process for each link, and says what came of every sweep.
//!
//! The controller is the adapter's own program, told so by [`ORDER_VARIABLE`]: ptrace belongs to
//! one thread, and waits by signals that no other thread may take.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ipc_model::machine::Described;
use ipc_model::{Capacity, Force, Holders, Kind, Notice, Profile, Source};
use serde::{Deserialize, Serialize};

use crate::adapter::Claim;
use crate::report::Cell;
use crate::rulebook::Asked;

mod cells;
pub(crate) mod processor;

use processor::Processor;

/// What a controller is asked, in its environment.
pub const ORDER_VARIABLE: &str = "IPC_CONFORM_STEP";

/// A rule, and which links claim it.
#[derive(Debug)]
pub struct Rule {
    /// What is written about it.
    pub about: Described,
    /// Whether somebody waits in it.
    waits: bool,
    /// Whether a link that joins processes claims it.
    claimed: fn(&Claim) -> bool,
}

macro_rules! rules {
    ($($id:literal, $force:ident, $says:literal, $sources:expr, $claimed:expr;)*) => {
        /// Every rule, in the order of reports.
        pub const RULES: &[Rule] = &[$(Rule {
            about: Described {
                id: $id,
                says: $says,
                sources: $sources,
                force: Force::$force,
                kind: Kind::Property,
            },
            waits: matches!(
                $id.as_bytes(),
                b"schedule.receive-waits" | b"schedule.send-waits" | b"schedule.close-receive"
            ),
            claimed: $claimed,
        }),*];
    };
}

const DEATH: &[Source] = &[
    Source::Clause("POSIX kill: SIGKILL can be neither caught nor delayed"),
    Source::Clause("the model: a crash is legal in every state, and takes only the pending call"),
];
const TOGETHER: &[Source] = &[Source::Statement("M6"), Source::Statement("L1")];
const COST: &[Source] = &[Source::Statement("C6"), Source::Statement("C7")];

rules! {
    "crash.create.every-instruction", Shall,
    "Killed at any instruction of creating a link, its creator can be followed by another, at \
     once or after what was left behind has been removed.",
    DEATH, |_| true;
    "crash.connect.every-instruction", Shall,
    "Killed at any instruction of connecting, a process disturbs nobody, and another can connect.",
    DEATH, |_| true;
    "crash.send.every-instruction", Shall,
    "Killed at any instruction of a blocking send, or asleep in it, a sender leaves a link on \
     which the others see what the model allows, and whose role others can take.",
    DEATH, |c| c.profile.send.blocking;
    "crash.try_send.every-instruction", Shall,
    "The same of a nonblocking send.",
    DEATH, |c| c.profile.send.nonblocking;
    "crash.send_timeout.every-instruction", Shall,
    "The same of a timed send.",
    DEATH, |c| c.profile.send.timed;
    "crash.receive.every-instruction", Shall,
    "Killed at any instruction of a blocking receive, or asleep in it, a receiver takes at most \
     the message with it that it was receiving, and no wake-up that is another's.",
    DEATH, |c| c.profile.receive.blocking;
    "crash.try_receive.every-instruction", Shall,
    "The same of a nonblocking receive.",
    DEATH, |c| c.profile.receive.nonblocking;
    "crash.receive_timeout.every-instruction", Shall,
    "The same of a timed receive.",
    DEATH, |c| c.profile.receive.timed;
    "crash.close.every-instruction", Shall,
    "Killed at any instruction of closing, a process leaves what it would have left by either.",
    DEATH, |_| true;
    "schedule.send-receive", Shall,
    "Under every schedule with at most one preemption, two sends and two receives on an empty \
     link are told what the model allows; by calls that do not wait, if there are such.",
    TOGETHER, |_| true;
    "schedule.send-receive-full", Shall,
    "The same of a send and two receives on a full link.",
    TOGETHER, fillable;
    "schedule.send-send", Shall,
    "The same of two senders on an empty link.",
    TOGETHER, |c| c.profile.senders == Holders::Many;
    "schedule.receive-receive", Shall,
    "The same of two receivers, with messages for one of them or both.",
    TOGETHER, |c| {
        c.profile.receivers == Holders::Many && c.profile.capacity != Capacity::Zero
    };
    "schedule.receive-waits", Shall,
    "The same of a receiver that waits, and a send that must wake it.",
    TOGETHER, |c| c.profile.receive.blocking;
    "schedule.send-waits", Shall,
    "The same of a sender that waits on a full link, and a receive that must wake it.",
    TOGETHER, |c| c.profile.send.blocking && fillable(c);
    "schedule.close-receive", Shall,
    "The same of a receiver that waits, and the last sender closing.",
    TOGETHER, |c| c.profile.receive.blocking && c.profile.sender_closed == Notice::Reported;
    "figures.steps", Unspecified,
    "How many instructions, accesses to shared memory and system calls a send and a receive take \
     that need not wait.",
    COST, |_| true;
}

/// The rule that is no verdict but a measurement.
const FIGURES: &str = "figures.steps";

/// Whether the link promises anything about killed processes. What comes of killing those of one
/// that does not is observed, and no verdict.
pub(crate) fn claims_deaths(claim: &Claim) -> bool {
    claim.profile.sender_killed.is_some() || claim.profile.receiver_killed.is_some()
}

/// Whether there is a send that never waits.
fn can_send_at_once(claim: &Claim) -> bool {
    let Profile { send, capacity, .. } = claim.profile;
    send.nonblocking || (send.blocking && capacity == Capacity::Unbounded)
}

fn fillable(claim: &Claim) -> bool {
    matches!(claim.profile.capacity, Capacity::Bounded(1..=8))
}

impl Rule {
    /// Whether the link claims the rule; else why not.
    pub fn is_claimed(&self, claim: &Claim) -> Result<(), &'static str> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            Err("programs are stepped on x86-64 Linux only, whose instructions are known")
        } else if !claim.processes && !self.about.id.starts_with("schedule.") {
            Err("it does not join processes, so there is nobody to kill")
        } else if !claim.processes
            && (self.waits || !can_send_at_once(claim) || !claim.profile.receive.nonblocking)
        {
            Err(
                "between processes that share its heap, threads of a link cannot wait for each other",
            )
        } else if !(self.claimed)(claim) {
            Err("the link does not claim it")
        } else {
            Ok(())
        }
    }
}

/// How much is stepped, by level.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Depth {
    /// Schedules with at most so many preemptions.
    pub preemptions: usize,
    /// At most so many schedules of one scenario.
    pub cap: usize,
    /// What they are chosen by where there are more.
    pub seed: u64,
    /// Whether schedules also end in a kill.
    pub kills: bool,
    /// Seconds that a link may take.
    pub patience: u64,
}

impl Depth {
    /// That of a level.
    pub fn of_level(level: &str, seed: u64) -> Option<Self> {
        let (preemptions, cap, kills, patience) = match level {
            "quick" => (1, 1_000, false, 60),
            "standard" => (2, 1_000, true, 600),
            "deep" => (3, 5_000, true, 7_200),
            _ => return None,
        };
        Some(Self { preemptions, cap, seed, kills, patience })
    }
}

/// What a controller is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The configuration.
    pub link: String,
    /// The rules.
    pub rules: Vec<String>,
    /// How far.
    pub depth: Depth,
    /// A folder of its own.
    pub folder: PathBuf,
}

/// A link that is stepped, and how.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The adapter's program.
    pub program: &'a Path,
    /// Name of the link in the report.
    pub link: &'a str,
    /// What it claims.
    pub claim: &'a Claim,
    /// A folder of its own.
    pub folder: &'a Path,
}

/// The cells of one link, and the files to do red ones again by, by rule.
pub type Cells = (Vec<Cell>, BTreeMap<String, String>);

/// Steps one link, for the rules that are asked for.
pub fn run(subject: Subject<'_>, depth: Depth, asked: &Asked) -> Cells {
    let wanted =
        |rule: &&Rule| rule.is_claimed(subject.claim).is_ok() && asked.includes(rule.about.id);
    let rules: Vec<String> = RULES.iter().filter(wanted).map(|r| r.about.id.into()).collect();
    let lines = if rules.is_empty() {
        Ok(Vec::new())
    } else {
        let (link, folder) = (subject.claim.link.clone(), subject.folder.to_path_buf());
        control(subject.program, &Order { link, rules, depth, folder })
    };
    cells::of(subject, asked, lines)
}

/// What a controller says: one sweep, or that it is done.
#[derive(Debug)]
struct Told {
    lines: Vec<String>,
    /// Why it did not come to its end.
    cut: Option<String>,
}

impl Told {
    const fn new(lines: Vec<String>) -> Self {
        Self { lines, cut: None }
    }
}

/// The last line of a controller that has done all it was asked to.
pub(crate) const DONE: &str = "\"done\"";

/// Runs a controller to its end.
fn control(program: &Path, order: &Order) -> Result<Vec<String>, (Vec<String>, String)> {
    let told = listen(program, order).map_err(|why| (Vec::new(), why))?;
    match told.cut {
        None => Ok(told.lines),
        Some(why) => Err((told.lines, why)),
    }
}

fn listen(program: &Path, order: &Order) -> Result<Told, String> {
    let complain = |e: &dyn std::fmt::Display| format!("{}: {e}", program.display());
    std::fs::create_dir_all(&order.folder).map_err(|e| complain(&e))?;
    let text = serde_json::to_string(order).map_err(|e| complain(&e))?;
    let mut command = Command::new(program);
    command
        .env(ORDER_VARIABLE, text)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    // Two controllers on one processor take twice as long. This one is theirs as long as `command`.
    let processor = Processor::take();
    let prepare = move || {
        processor.as_ref().map_or(Ok(()), Processor::stay)?;
        // It dies with this program, and what it traces dies with it.
        Ok(nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?)
    };
    // SAFETY: between fork and exec it makes two system calls, and allocates nothing.
    unsafe { command.pre_exec(prepare) };
    let mut child = command.spawn().map_err(|e| complain(&e))?;
    let output = child.stdout.take().ok_or("no output")?;
    let (tell, told) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                break;
            }
        }
    });
    let deadline = Instant::now() + Duration::from_secs(order.depth.patience);
    let mut result = Told::new(Vec::new());
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match told.recv_timeout(left.min(Duration::from_millis(100))) {
            Ok(line) if line == DONE => break,
            Ok(line) => result.lines.push(line),
            Err(mpsc::RecvTimeoutError::Timeout) if crate::run::interrupted() => {
                result.cut = Some("interrupted".into());
                break;
            }
            Err(mpsc::RecvTimeoutError::Timeout) if left.is_zero() => {
                let seconds = order.depth.patience;
                result.cut =
                    Some(format!("given up after {seconds} s; a higher level waits longer"));
                break;
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                result.cut = Some(
                    "its program does not step itself: only adapters that call \
                     `ipc_conformance::main` do"
                        .into(),
                );
                break;
            }
        }
    }
    // Whatever it traces dies with it (PTRACE_O_EXITKILL). That it has ended already is as good.
    let _ = child.kill();
    let _ = child.wait();
    let _ = reader.join();
    Ok(result)
}
