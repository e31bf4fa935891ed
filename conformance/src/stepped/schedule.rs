//! Schedules: two calls of two processes, interleaved at every access to what they share, with a
//! bounded number of preemptions, each time in a fresh world.
//!
//! A schedule is a list of segments: this process runs up to that position of its call. Whoever
//! has not finished when the segments are over then runs on, one after the other, the least
//! recently run first. Which positions there are to stop at, a segment's process is stepped to
//! learn, from the very state that the segments before it lead to.

use std::time::{Duration, Instant};

use ipc_model::{Capacity, Ends, Holders, Message, Mode, Op, Process, Profile, Verdict};

use super::control::Answer;
use super::trace::{Limits, Trace};
use super::tracer::{Patience, Tracer};
use super::world::{Progress, Setup, World};
use super::{Finding, Outcome, Sweep, Trouble};
use crate::adapter::{Claim, Place, Role};

/// A receiver, who also takes out what is left in the end.
const DRAINS: Process = Process(1);

/// Two calls that are made at once.
#[derive(Clone, Debug)]
pub(super) struct Duel {
    /// Its name: `schedule.<name>`.
    pub(super) name: &'static str,
    /// How many messages wait before.
    waiting: u32,
    /// Who calls, and whether it sends.
    calls: [(Process, bool); 2],
}

/// What is explored, and how far.
pub(super) struct Plan<'a> {
    pub(super) claim: &'a Claim,
    pub(super) place: Place,
    pub(super) duel: Duel,
    /// At most so many preemptions.
    pub(super) preemptions: usize,
    /// At most so many schedules.
    pub(super) cap: usize,
}

/// One segment: this process, stepped so, up to here.
#[derive(Clone)]
struct Segment {
    process: Process,
    trace: std::rc::Rc<Trace>,
    position: usize,
}

/// The pairs of calls that are explored for a link that claims this.
pub(super) fn duels(profile: &Profile) -> Vec<Duel> {
    if !(profile.send.nonblocking && profile.receive.nonblocking) {
        return Vec::new();
    }
    let (first, second) = (Process(0), Process(2));
    let duel = |name, waiting, calls| Duel { name, waiting, calls };
    let mut duels = vec![duel("send-receive", 0, [(first, true), (DRAINS, false)])];
    if let Capacity::Bounded(capacity @ 1..=8) = profile.capacity {
        duels.push(duel("send-receive-full", capacity, [(first, true), (DRAINS, false)]));
    }
    if profile.senders == Holders::Many {
        duels.push(duel("send-send", 0, [(first, true), (second, true)]));
    }
    if profile.receivers == Holders::Many && profile.capacity != Capacity::Zero {
        duels.push(duel("receive-receive", 1, [(DRAINS, false), (second, false)]));
    }
    duels
}

impl Plan<'_> {
    /// `schedule.<name>`.
    pub(super) fn name(&self) -> String {
        format!("schedule.{}", self.duel.name)
    }

    fn setup(&self) -> Setup {
        let mut ends = Ends::default();
        for role in self.roles() {
            if role.sends {
                ends.senders.insert(role.process);
            } else {
                ends.receivers.insert(role.process);
            }
        }
        let size = self.claim.profile.usual_size();
        let known = [0, 2].into_iter().flat_map(|p| (0..16).map(move |n| Message::new(p, n, size)));
        Setup {
            link: self.claim.link.clone(),
            place: self.place.clone(),
            ends,
            timeout: Duration::from_millis(1).as_nanos() as u64,
            known: known.collect(),
        }
    }

    fn roles(&self) -> Vec<Role> {
        let role = |process, sends: bool| Role { process, sends, receives: !sends };
        let mut roles = vec![role(Process(0), true), role(DRAINS, false)];
        for (process, sends) in self.duel.calls {
            if roles.iter().all(|r| r.process != process) {
                roles.push(role(process, sends));
            }
        }
        roles
    }

    fn send(&self, process: Process, sequence: u32) -> Op {
        let to =
            (self.claim.profile.addressing != ipc_model::Addressing::Mailbox).then_some(DRAINS);
        let message = Message::new(process.0, sequence, self.claim.profile.usual_size());
        Op::Send { link: 0, to, message, mode: Mode::Nonblocking }
    }

    fn receive(&self) -> Op {
        let symmetric = self.claim.profile.addressing == ipc_model::Addressing::Symmetric;
        Op::Receive { link: 0, from: symmetric.then_some(Process(0)), mode: Mode::Nonblocking }
    }

    fn op(&self, process: Process) -> Op {
        let sends = self.duel.calls.iter().any(|(p, sends)| *p == process && *sends);
        match (sends, process) {
            (true, Process(0)) => self.send(process, self.duel.waiting),
            (true, _) => self.send(process, 0),
            (false, _) => self.receive(),
        }
    }

    fn other(&self, process: Process) -> Process {
        let [(a, _), (b, _)] = self.duel.calls;
        if a == process { b } else { a }
    }
}

/// Explores one pair of calls.
pub(super) fn explore(tracer: &mut Tracer, plan: &Plan<'_>) -> Sweep {
    let begun = Instant::now();
    let state = match plan.duel.waiting {
        1 => "1 message".to_owned(),
        n => format!("{n} messages"),
    };
    let mut sweep = Sweep { name: plan.name(), state, repeats: true, ..Sweep::default() };
    let setup = plan.setup();
    let mut level: Vec<Vec<Segment>> = vec![Vec::new()];
    'levels: for preemptions in 0..=plan.preemptions {
        let mut next = Vec::new();
        let mut waiting = level.into_iter();
        while let Some(prefix) = waiting.next() {
            if sweep.points >= plan.cap {
                sweep.left_out = 1 + waiting.len() + next.len();
                break 'levels;
            }
            let last = preemptions == plan.preemptions;
            match branch(tracer, plan, &setup, &prefix, last, &mut sweep) {
                Ok(branches) => next.extend(branches),
                Err(trouble) => {
                    sweep.trouble = Some(trouble);
                    break 'levels;
                }
            }
        }
        level = next;
    }
    sweep.elapsed = begun.elapsed();
    sweep
}

/// Runs the schedule of this prefix to its end, and answers those with one more preemption.
fn branch(
    tracer: &mut Tracer,
    plan: &Plan<'_>,
    setup: &Setup,
    prefix: &[Segment],
    last: bool,
    sweep: &mut Sweep,
) -> Result<Vec<Vec<Segment>>, Trouble> {
    let heads: Vec<Process> = match prefix.last() {
        Some(segment) => vec![plan.other(segment.process)],
        None => plan.duel.calls.iter().map(|(process, _)| *process).collect(),
    };
    let mut branches = Vec::new();
    for process in heads {
        let begun = Instant::now();
        let outcome = run(tracer, plan, setup, prefix, process)?;
        sweep.times.push(begun.elapsed());
        sweep.points += 1;
        sweep.note(outcome);
        if last {
            continue;
        }
        let Some(trace) = learn(tracer, plan, setup, prefix, process)? else { continue };
        let trace = std::rc::Rc::new(trace);
        for position in trace.switch_points() {
            // Before its first instruction is where it stood anyway.
            if position > 0 {
                let segment = Segment { process, trace: trace.clone(), position };
                branches.push(prefix.iter().cloned().chain([segment]).collect());
            }
        }
    }
    Ok(branches)
}

/// A world in which the segments have been run.
fn replay<'t>(
    tracer: &'t mut Tracer,
    plan: &Plan<'_>,
    setup: &'t Setup,
    prefix: &[Segment],
) -> Result<World<'t>, Trouble> {
    let mut world = World::create(tracer, setup)?;
    for role in plan.roles() {
        world.join(role)?;
    }
    world.hand_over()?;
    for sequence in 0..plan.duel.waiting {
        let op = plan.send(Process(0), sequence);
        match world.call(Process(0), op)? {
            Progress::Returned(Answer::Done) => {}
            other => return Err(Trouble::Refused(format!("{op} of the prefix: {other:?}"))),
        }
    }
    for segment in prefix {
        if !world.is_in_call(segment.process) {
            world.begin(segment.process, plan.op(segment.process))?;
        }
        let pid = world.pid(segment.process);
        segment.trace.follow(world.tracer, pid, segment.position)?;
    }
    Ok(world)
}

/// Steps `process` from where the prefix leads to. `None`: there is nothing left of its call.
fn learn(
    tracer: &mut Tracer,
    plan: &Plan<'_>,
    setup: &Setup,
    prefix: &[Segment],
    process: Process,
) -> Result<Option<Trace>, Trouble> {
    let mut world = replay(tracer, plan, setup, prefix)?;
    if !world.is_in_call(process) {
        world.begin(process, plan.op(process))?;
    }
    let limits = Limits { instructions: 20_000, pauses: 3 };
    let pid = world.pid(process);
    let trace = super::trace::through(world.tracer, pid, Patience::default(), limits)?;
    Ok((!trace.path.is_empty()).then_some(trace))
}

/// Runs the prefix, then `process` to its end, then the other one.
fn run(
    tracer: &mut Tracer,
    plan: &Plan<'_>,
    setup: &Setup,
    prefix: &[Segment],
    process: Process,
) -> Result<Outcome, Trouble> {
    let mut world = replay(tracer, plan, setup, prefix)?;
    let mut words = Vec::new();
    let mut odd = None;
    let finished = finish(&mut world, plan, process, &mut words, &mut odd)?;
    if finished {
        for _ in 0..plan.duel.waiting + 4 {
            let progress = world.call(DRAINS, plan.receive())?;
            words.push(word(&progress));
            if !matches!(progress, Progress::Returned(Answer::Received(_) | Answer::Torn(_))) {
                break;
            }
        }
    }
    let mut history = world.end()?;
    history.quiescent = true;
    let finding = match (odd, ipc_model::check(&plan.claim.profile, &history)) {
        (_, Verdict::Fail(counterexample)) => Finding::Forbidden(counterexample),
        (Some(why), _) => Finding::Odd(why),
        (None, Verdict::Inconclusive(why)) => Finding::Odd(why),
        (None, Verdict::Pass { .. }) => Finding::Allowed,
    };
    let stops = prefix.iter().map(|s| {
        let at = s.trace.path.get(s.position).copied().unwrap_or(0);
        format!("{} up to its instruction {} at {at:#x}", s.process, s.position)
    });
    let mut how: Vec<String> = stops.collect();
    how.push(format!("{process} to its end, then {}", plan.other(process)));
    Ok(Outcome { how: how.join(", "), words: words.join(", "), finding })
}

fn word(progress: &Progress) -> String {
    match progress {
        Progress::Returned(answer) => match answer.ret() {
            Some(ret) => ret.to_string(),
            None => format!("{answer:?}"),
        },
        Progress::Asleep => "blocked".into(),
        Progress::Spins => "spins".into(),
        Progress::Gone(how) => format!("died of {how}"),
    }
}

/// Lets both calls come to their end, `first` first. Whether they did.
fn finish(
    world: &mut World<'_>,
    plan: &Plan<'_>,
    first: Process,
    words: &mut Vec<String>,
    odd: &mut Option<String>,
) -> Result<bool, Trouble> {
    let mut left = vec![first, plan.other(first)];
    let mut stuck = 0;
    while !left.is_empty() && stuck < 3 * left.len() {
        let process = left.remove(0);
        if !world.is_in_call(process) {
            world.begin(process, plan.op(process))?;
        }
        let progress = world.go_on(process)?;
        match &progress {
            Progress::Returned(answer) => {
                stuck = 0;
                if answer.ret().is_none() {
                    *odd = Some(format!("{process}: {answer:?}"));
                }
                words.push(format!("{process} {}", word(&progress)));
            }
            Progress::Gone(how) => {
                *odd = Some(format!("{process} died: {how}"));
                words.push(format!("{process} died of {how}"));
            }
            Progress::Asleep | Progress::Spins => {
                stuck += 1;
                left.push(process);
            }
        }
    }
    words.extend(left.iter().map(|p| format!("{p} stuck")));
    Ok(left.is_empty() && odd.is_none())
}
