//! The crash sweep: an operation is killed at every point at which its death can be told apart,
//! each time in a fresh world, and the model judges what the survivors then see.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ipc_model::{
    Addressing, Capacity, Ends, Message, Mode, Op, Process, ProcessSet, Profile, Verdict,
};

use super::control::Answer;
use super::trace::Trace;
use super::tracer::{Stop, Tracer};
use super::world::{Progress, Setup, World};
use super::{Finding, Outcome, Sweep, Trouble};
use crate::adapter::{Claim, Place, Role};

const SENDER: Process = Process(0);
const RECEIVER: Process = Process(1);
/// Takes the role of the killed process again.
const HEIR: Process = Process(2);

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Victim {
    /// Connecting, in this role.
    Connect { sends: bool },
    /// A call of the sender.
    Send(Mode),
    /// A call of the receiver.
    Receive(Mode),
    /// Closing, in this role.
    Close { sends: bool },
}

impl Victim {
    fn process(self) -> Process {
        match self {
            Victim::Connect { sends: true } | Victim::Close { sends: true } | Victim::Send(_) => {
                SENDER
            }
            _ => RECEIVER,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Victim::Connect { sends: true } => "connect-sender",
            Victim::Connect { sends: false } => "connect-receiver",
            Victim::Close { sends: true } => "close-sender",
            Victim::Close { sends: false } => "close-receiver",
            Victim::Send(Mode::Blocking) => "send",
            Victim::Send(Mode::Nonblocking) => "try_send",
            Victim::Send(Mode::Timed) => "send_timeout",
            Victim::Receive(Mode::Blocking) => "receive",
            Victim::Receive(Mode::Nonblocking) => "try_receive",
            Victim::Receive(Mode::Timed) => "receive_timeout",
        }
    }
}

/// What the survivors do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    /// The other side goes on alone.
    Alone,
    /// A new process takes the role of the killed one, then both go on.
    Rejoin,
}

/// One sweep: which operation, on how many messages.
pub(super) struct Plan<'a> {
    pub(super) claim: &'a Claim,
    pub(super) place: Place,
    pub(super) victim: Victim,
    pub(super) waiting: u32,
    /// Every instruction, not only those that others can tell apart.
    pub(super) every: bool,
}

impl Plan<'_> {
    /// `crash.<operation>.every-instruction`.
    pub(super) fn name(&self) -> String {
        format!("crash.{}.every-instruction", self.victim.name())
    }
}

/// The operations and states that are swept for a link that claims this.
pub(super) fn plans(profile: &Profile) -> Vec<(Victim, u32)> {
    let capacity = match profile.capacity {
        Capacity::Zero => 0,
        Capacity::Bounded(n) => n,
        Capacity::AtLeast(_) | Capacity::Unbounded => 2,
    };
    // Above this many messages a sweep takes long, and shows what a shorter one shows.
    let full = (1..=8).contains(&capacity) && matches!(profile.capacity, Capacity::Bounded(_));
    let modes = |m: &ipc_model::Modes| {
        [Mode::Nonblocking, Mode::Blocking].into_iter().filter(|x| m.offers(*x)).collect::<Vec<_>>()
    };
    let mut plans = Vec::new();
    for mode in modes(&profile.send) {
        plans.push((Victim::Send(mode), 0));
        if capacity > 1 {
            plans.push((Victim::Send(mode), 1));
        }
        if full {
            plans.push((Victim::Send(mode), capacity));
        }
    }
    for mode in modes(&profile.receive) {
        plans.push((Victim::Receive(mode), 0));
        if capacity > 0 {
            plans.push((Victim::Receive(mode), 1));
        }
        if full && capacity > 1 {
            plans.push((Victim::Receive(mode), capacity));
        }
    }
    for sends in [true, false] {
        plans.push((Victim::Close { sends }, u32::from(capacity > 0)));
        plans.push((Victim::Connect { sends }, 0));
    }
    plans
}

/// Runs one sweep.
pub(super) fn sweep(tracer: &mut Tracer, plan: &Plan<'_>) -> Sweep {
    let begun = Instant::now();
    let state = match plan.waiting {
        1 => "1 message".to_owned(),
        n => format!("{n} messages"),
    };
    let mut sweep = Sweep { name: plan.name(), state, ..Sweep::default() };
    if let Err(trouble) = run(tracer, plan, &mut sweep) {
        sweep.trouble = Some(trouble);
    }
    sweep.elapsed = begun.elapsed();
    sweep
}

fn run(tracer: &mut Tracer, plan: &Plan<'_>, sweep: &mut Sweep) -> Result<(), Trouble> {
    let setups = [setup(plan, Script::Alone), setup(plan, Script::Rejoin)];
    let trace = trace(tracer, plan, &setups[0])?;
    sweep.instructions = trace.path.len();
    sweep.reads = trace.accesses.iter().filter(|a| !a.writes).count();
    sweep.writes = trace.accesses.iter().filter(|a| a.writes).count();
    sweep.calls = trace.calls.len();
    if trace.end == super::trace::Ending::TooLong {
        let longest = super::trace::LONGEST;
        return Err(Trouble::Refused(format!("it takes more than {longest} instructions")));
    }
    let again = self::trace(tracer, plan, &setups[0])?;
    sweep.repeats = again == trace;
    let points = if plan.every { trace.all_points() } else { trace.crash_points() };
    sweep.points = points.len();
    let rejoins = can_rejoin(tracer, plan, &setups[1])?;
    sweep.rejoin = rejoins.clone().err();
    let asleep = matches!(trace.end, super::trace::Ending::Asleep(_));
    let ends = points.into_iter().map(Some).chain(asleep.then_some(None));
    for position in ends {
        for (script, setup) in [Script::Alone, Script::Rejoin].into_iter().zip(&setups) {
            if script == Script::Rejoin && rejoins.is_err() {
                continue;
            }
            let begun = Instant::now();
            let outcome = kill_at(tracer, plan, setup, &trace, position, script)?;
            sweep.times.push(begun.elapsed());
            sweep.note(outcome);
        }
    }
    Ok(())
}

fn setup(plan: &Plan<'_>, script: Script) -> Setup {
    let mut senders: ProcessSet = [SENDER].into_iter().collect();
    let mut receivers: ProcessSet = [RECEIVER].into_iter().collect();
    if script == Script::Rejoin {
        // The model knows no later comers: the heir holds its end from the start, and makes no
        // difference, since nobody calls between the death and its coming.
        if plan.victim.process() == SENDER { &mut senders } else { &mut receivers }.insert(HEIR);
    }
    let size = plan.claim.profile.usual_size();
    let messages = |sender: Process| {
        (0..16).map(move |n| Message { sender, ..Message::new(sender.0, n, size) })
    };
    Setup {
        link: plan.claim.link.clone(),
        place: plan.place.clone(),
        ends: Ends { senders, receivers },
        timeout: Duration::from_millis(1).as_nanos() as u64,
        known: messages(SENDER).chain(messages(HEIR)).collect(),
    }
}

fn role(process: Process, sends: bool) -> Role {
    Role { process, sends, receives: !sends }
}

/// A world with both ends connected, unless that is what is swept, and its messages waiting.
fn prepare<'t>(
    tracer: &'t mut Tracer,
    plan: &Plan<'_>,
    setup: &'t Setup,
) -> Result<World<'t>, Trouble> {
    let mut world = World::create(tracer, setup)?;
    for (process, sends) in [(SENDER, true), (RECEIVER, false)] {
        world.admit(role(process, sends))?;
        if plan.victim != (Victim::Connect { sends }) {
            world.connect(process)?;
        }
    }
    if !setup.ends.senders.contains(HEIR) && !setup.ends.receivers.contains(HEIR) {
        world.hand_over()?;
    }
    for sequence in 0..plan.waiting {
        let op = send(plan, SENDER, sequence, quick(&plan.claim.profile.send)?);
        match world.call(SENDER, op)? {
            Progress::Returned(Answer::Done) => {}
            other => return Err(Trouble::Refused(format!("{op} of the prefix: {other:?}"))),
        }
    }
    Ok(world)
}

/// The mode of call that comes back soonest.
fn quick(modes: &ipc_model::Modes) -> Result<Mode, Trouble> {
    let known = [Mode::Nonblocking, Mode::Timed, Mode::Blocking];
    known
        .into_iter()
        .find(|mode| modes.offers(*mode))
        .ok_or_else(|| Trouble::Refused("the link has no such call".into()))
}

fn send(plan: &Plan<'_>, from: Process, sequence: u32, mode: Mode) -> Op {
    let profile = &plan.claim.profile;
    let to = (profile.addressing != Addressing::Mailbox).then_some(RECEIVER);
    let message = Message::new(from.0, sequence, profile.usual_size());
    Op::Send { link: 0, to, message, mode }
}

fn receive(plan: &Plan<'_>, mode: Mode) -> Op {
    let symmetric = plan.claim.profile.addressing == Addressing::Symmetric;
    Op::Receive { link: 0, from: symmetric.then_some(SENDER), mode }
}

/// Brings the victim to where its operation begins.
fn begin(world: &mut World<'_>, plan: &Plan<'_>) -> Result<(), Trouble> {
    let process = plan.victim.process();
    match plan.victim {
        Victim::Connect { .. } => world.begin_connect(process),
        Victim::Send(mode) => world.begin(process, send(plan, SENDER, plan.waiting, mode)),
        Victim::Receive(mode) => world.begin(process, receive(plan, mode)),
        Victim::Close { .. } => world.begin(process, Op::Close { link: 0 }),
    }
}

fn trace(tracer: &mut Tracer, plan: &Plan<'_>, setup: &Setup) -> Result<Trace, Trouble> {
    let mut world = prepare(tracer, plan, setup)?;
    begin(&mut world, plan)?;
    let (trace, progress) = match plan.victim {
        Victim::Connect { .. } => {
            let pid = world.pid(plan.victim.process());
            let trace =
                super::trace::through(world.tracer, pid, Default::default(), Default::default())?;
            world.connected(plan.victim.process())?;
            (trace, Progress::Returned(Answer::Done))
        }
        _ => world.trace(plan.victim.process())?,
    };
    match progress {
        Progress::Returned(Answer::Odd(why)) => return Err(Trouble::Broken(why)),
        Progress::Returned(Answer::Unsupported) => {
            return Err(Trouble::Refused("the link has no such call".into()));
        }
        Progress::Gone(how) => return Err(Trouble::Broken(format!("it dies by itself: {how}"))),
        _ => {}
    }
    world.end()?;
    Ok(trace)
}

/// Whether the role can be taken again even after an orderly end: without that, nothing is
/// learnt from its failing after a kill.
fn can_rejoin(
    tracer: &mut Tracer,
    plan: &Plan<'_>,
    setup: &Setup,
) -> Result<Result<(), String>, Trouble> {
    let sends = plan.victim.process() == SENDER;
    let orderly = Plan { victim: Victim::Close { sends }, place: plan.place.clone(), ..*plan };
    let mut world = prepare(tracer, &orderly, setup)?;
    begin(&mut world, &orderly)?;
    world.complete(orderly.victim.process())?;
    let joined = world.join(role(HEIR, plan.victim.process() == SENDER));
    match joined {
        Ok(()) => world.end().map(|_| Ok(())),
        Err(Trouble::Refused(why)) => world.end().map(|_| Err(why)),
        Err(trouble) => Err(trouble),
    }
}

/// Kills the victim at `position` (`None`: asleep in its call), lets the survivors go on, and
/// has the model judge.
fn kill_at(
    tracer: &mut Tracer,
    plan: &Plan<'_>,
    setup: &Setup,
    trace: &Trace,
    position: Option<usize>,
    script: Script,
) -> Result<Outcome, Trouble> {
    let victim = plan.victim.process();
    let mut world = prepare(tracer, plan, setup)?;
    begin(&mut world, plan)?;
    let pid = world.pid(victim);
    match position {
        Some(position) => trace.follow(world.tracer, pid, position)?,
        None => match world.tracer.go(pid)? {
            Stop::Asleep(_) => {}
            other => return Err(Trouble::Diverged(format!("it does not sleep, but {other:?}"))),
        },
    }
    world.kill(victim)?;
    let mut words = Vec::new();
    let mut odd = None;
    survive(&mut world, plan, script, &mut words, &mut odd)?;
    let mut history = world.end()?;
    history.quiescent = true;
    let verdict = ipc_model::check(&plan.claim.profile, &history);
    let finding = match (odd, verdict) {
        (_, Verdict::Fail(counterexample)) => Finding::Forbidden(counterexample),
        (Some(why), _) => Finding::Odd(why),
        (None, Verdict::Inconclusive(why)) => Finding::Odd(why),
        (None, Verdict::Pass { .. }) => Finding::Allowed,
    };
    let how = match position.map(|p| (p, trace.path.get(p))) {
        Some((p, Some(at))) => format!("killed before its instruction {p} at {at:#x}"),
        Some((p, None)) => format!("killed behind its last instruction, {p}"),
        None => "killed asleep in its call".into(),
    };
    let script = if script == Script::Alone { "alone" } else { "rejoin" };
    Ok(Outcome { how, words: format!("{script}: {}", words.join(", ")), finding })
}

fn survive(
    world: &mut World<'_>,
    plan: &Plan<'_>,
    script: Script,
    words: &mut Vec<String>,
    odd: &mut Option<String>,
) -> Result<(), Trouble> {
    let sender_died = plan.victim.process() == SENDER;
    if script == Script::Rejoin {
        match world.join(role(HEIR, sender_died)) {
            Ok(()) => {}
            Err(Trouble::Refused(why)) => {
                words.push("refused".into());
                *odd = Some(format!("the role cannot be taken again: {why}"));
                return Ok(());
            }
            Err(trouble) => return Err(trouble),
        }
    }
    let profile = &plan.claim.profile;
    let sender =
        if !sender_died { Some(SENDER) } else { (script == Script::Rejoin).then_some(HEIR) };
    let receiver =
        if sender_died { Some(RECEIVER) } else { (script == Script::Rejoin).then_some(HEIR) };
    let mut say = |world: &mut World<'_>, process, op| {
        let progress = world.call(process, op)?;
        let (word, go_on) = match &progress {
            Progress::Returned(Answer::Odd(why)) => {
                *odd = Some(format!("{process} {op}: {why}"));
                ("error".to_owned(), false)
            }
            Progress::Returned(answer) => match answer.ret() {
                Some(ret) => (ret.to_string(), true),
                None => ("unsupported".into(), false),
            },
            Progress::Asleep => ("blocked".into(), false),
            Progress::Spins => ("spins".into(), false),
            Progress::Gone(how) => {
                *odd = Some(format!("{process} died in {op}: {how}"));
                (format!("died of {how}"), false)
            }
        };
        words.push(word);
        let refused = matches!(progress, Progress::Returned(Answer::Refused(_)));
        Ok::<_, Trouble>((go_on, refused))
    };
    if let Some(process) = sender {
        let first = if process == HEIR { 0 } else { plan.waiting };
        let mode = quick(&profile.send)?;
        if mode != Mode::Blocking {
            for sequence in first..first + 2 {
                let (go_on, refused) = say(world, process, send(plan, process, sequence, mode))?;
                if !go_on {
                    return Ok(());
                }
                if refused {
                    break;
                }
            }
        }
    }
    if let Some(process) = receiver {
        let mode = quick(&profile.receive)?;
        for _ in 0..plan.waiting + 5 {
            let (go_on, refused) = say(world, process, receive(plan, mode))?;
            if !go_on || refused {
                break;
            }
        }
    }
    Ok(())
}

/// Counts outcomes that look alike.
pub(super) type Counts = BTreeMap<String, usize>;
