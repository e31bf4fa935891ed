//! The crash sweep: an operation is killed at every point at which its death can be told apart,
//! each time in a fresh world, and the model judges what the survivors then see.

use std::time::{Duration, Instant};

use ipc_model::{Mode, Notice, Process};

use super::control::Answer;
use super::course::{CREATOR, Call};
use super::setting::{HEIR, LATER, RECEIVER, SENDER, SHORT, Setting, close, role};
use super::survivors::{self, Script};
use super::sweep::{Reduced, without_numbers};
use super::trace::{Ending, LONGEST, Limits, Trace, too_long};
use super::tracer::Tracer;
use super::world::{Ended, LONG, Progress, Setup, World};
use super::{Finding, Gathered, Sweep, Trouble};

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Victim {
    /// Creating the link.
    Create,
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
    pub(super) fn process(self) -> Process {
        match self {
            Victim::Create => CREATOR,
            Victim::Connect { sends: true } | Victim::Close { sends: true } | Victim::Send(_) => {
                SENDER
            }
            _ => RECEIVER,
        }
    }

    /// The name of the operation: that of its rule.
    pub(super) fn operation(self) -> &'static str {
        match self {
            Victim::Create => "create",
            Victim::Connect { .. } => "connect",
            Victim::Close { .. } => "close",
            Victim::Send(Mode::Blocking) => "send",
            Victim::Send(Mode::Nonblocking) => "try_send",
            Victim::Send(Mode::Timed) => "send_timeout",
            Victim::Receive(Mode::Blocking) => "receive",
            Victim::Receive(Mode::Nonblocking) => "try_receive",
            Victim::Receive(Mode::Timed) => "receive_timeout",
        }
    }

    fn waits(self) -> bool {
        matches!(
            self,
            Victim::Send(Mode::Blocking | Mode::Timed)
                | Victim::Receive(Mode::Blocking | Mode::Timed)
        )
    }
}

/// Who sleeps in a call while the victim is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// Nobody.
    Alone,
    /// The process at the other end, in its blocking call.
    Peer,
    /// Another process at the same end, in the same call.
    Rival,
}

/// One sweep: which operation, in which state of the link.
pub(super) struct Plan<'a> {
    pub(super) setting: &'a Setting<'a>,
    pub(super) victim: Victim,
    /// How many messages wait.
    pub(super) waiting: u32,
    pub(super) company: Company,
    /// How long a timed call of the victim's is willing to wait.
    pub(super) timeout: Duration,
    /// Every instruction, not only those that others can tell apart.
    pub(super) every: bool,
}

/// `crash.<operation>.every-instruction`.
pub(super) fn rule(victim: Victim) -> String {
    format!("crash.{}.every-instruction", victim.operation())
}

/// The sweeps of a link.
pub(super) fn plans<'a>(setting: &'a Setting<'a>, every: bool) -> Vec<Plan<'a>> {
    let capacity = setting.capacity();
    let mut plans = Vec::new();
    let mut add = |victim, waiting, company, timeout| {
        plans.push(Plan { setting, victim, waiting, company, timeout, every });
    };
    let profile = setting.profile();
    for mode in [Mode::Nonblocking, Mode::Blocking, Mode::Timed] {
        if profile.send.offers(mode) {
            let victim = Victim::Send(mode);
            for waiting in 0..2.min(capacity.max(1)) {
                add(victim, waiting, Company::Alone, LONG);
            }
            if let Some(full) = setting.full() {
                add(victim, full, Company::Alone, LONG);
                if mode == Mode::Timed {
                    add(victim, full, Company::Alone, Duration::ZERO);
                }
            }
            if profile.receive.blocking {
                add(victim, 0, Company::Peer, LONG);
            }
        }
        if profile.receive.offers(mode) {
            let victim = Victim::Receive(mode);
            let mut states = vec![0, 1.min(capacity), setting.full().unwrap_or(0)];
            states.dedup();
            for waiting in states.iter().enumerate().filter(|(i, w)| *i == 0 || **w > 0) {
                add(victim, *waiting.1, Company::Alone, LONG);
            }
            if mode == Mode::Timed {
                add(victim, 0, Company::Alone, Duration::ZERO);
            }
            if let (true, Some(full)) = (profile.send.blocking, setting.full()) {
                add(victim, full, Company::Peer, LONG);
            } else if profile.send.blocking && capacity == 0 {
                add(victim, 0, Company::Peer, LONG);
            }
            let many = profile.receivers == ipc_model::Holders::Many;
            if mode == Mode::Blocking && many {
                add(victim, 0, Company::Rival, LONG);
            }
        }
    }
    for sends in [true, false] {
        add(Victim::Close { sends }, 1.min(capacity), Company::Alone, LONG);
        add(Victim::Connect { sends }, 0, Company::Alone, LONG);
    }
    add(Victim::Create, 0, Company::Alone, LONG);
    plans
}

impl Plan<'_> {
    /// The state that the link is in, in words.
    pub(super) fn state(&self) -> String {
        let mut state = match self.waiting {
            1 => "1 message".to_owned(),
            n => format!("{n} messages"),
        };
        match self.victim {
            Victim::Connect { sends } | Victim::Close { sends } => {
                state += if sends { ", the sender" } else { ", the receiver" };
            }
            _ => {}
        }
        match self.company {
            Company::Alone => {}
            Company::Peer => state += ", its peer asleep",
            Company::Rival => state += ", a rival asleep",
        }
        if self.timeout.is_zero() {
            state += ", no time to wait";
        }
        state
    }

    fn sender_dies(&self) -> bool {
        self.victim.process() == SENDER
    }

    /// What the link promises of such a death; `None`: nothing.
    pub(super) fn notice(&self) -> Option<Notice> {
        let profile = self.setting.profile();
        match self.victim {
            Victim::Create => profile.sender_killed.or(profile.receiver_killed),
            _ if self.sender_dies() => profile.sender_killed,
            _ => profile.receiver_killed,
        }
    }

    /// The worlds: who holds an end from the start. The model knows no later comers: an heir
    /// holds its end from the start, and makes no difference, since nobody calls between the
    /// death and its coming.
    fn setup(&self, script: Script) -> Setup {
        let (mut senders, mut receivers) = (vec![SENDER], vec![RECEIVER]);
        let side = if self.sender_dies() { &mut senders } else { &mut receivers };
        match script {
            Script::Alone | Script::Peer { heir: false } => {}
            Script::Rejoin => side.extend([HEIR, LATER]),
            Script::Peer { heir: true } | Script::Rival => side.push(HEIR),
        }
        self.setting.setup(&senders, &receivers)
    }

    fn scripts(&self) -> &'static [Script] {
        match self.company {
            Company::Alone => &[Script::Alone, Script::Rejoin],
            // Whoever sleeps is told of the death, if anybody is, unless there is an heir.
            Company::Peer if self.notice() == Some(Notice::Reported) => {
                &[Script::Peer { heir: false }]
            }
            Company::Peer => &[Script::Peer { heir: true }],
            Company::Rival => &[Script::Rival],
        }
    }

    fn call(&self) -> Call {
        let ends = (SENDER, RECEIVER);
        match self.victim {
            Victim::Create => Call::Create,
            Victim::Connect { .. } => Call::Connect,
            Victim::Send(mode) => self.setting.send(ends, self.waiting, mode, self.timeout),
            Victim::Receive(mode) => self.setting.receive(SENDER, mode, self.timeout),
            Victim::Close { .. } => close(),
        }
    }
}

/// Runs one sweep.
pub(super) fn sweep(tracer: &mut Tracer, plan: &Plan<'_>) -> (Sweep, Gathered) {
    let begun = Instant::now();
    let (name, state) = (rule(plan.victim), plan.state());
    let mut sweep = Sweep { name, state, ..Sweep::default() };
    let mut gathered = Gathered::default();
    if let Err(trouble) = run(tracer, plan, &mut sweep, &mut gathered) {
        sweep.trouble = Some(trouble);
    }
    sweep.elapsed = begun.elapsed();
    (sweep, gathered)
}

fn run(
    tracer: &mut Tracer,
    plan: &Plan<'_>,
    sweep: &mut Sweep,
    gathered: &mut Gathered,
) -> Result<(), Trouble> {
    if plan.notice().is_none() {
        return Err(Trouble::Refused("the link promises nothing about killed processes".into()));
    }
    let setups: Vec<(Script, Setup)> =
        plan.scripts().iter().map(|script| (*script, plan.setup(*script))).collect();
    let (trace, mut left) = trace(tracer, plan, &setups[0].1)?;
    left.extend(plan.setting.left_in_order(|| left_in_order(tracer, &setups[0].1))?);
    sweep.leaves = without_numbers(&left);
    sweep.instructions = trace.path.len();
    sweep.uncounted = trace.calls_only.is_some();
    sweep.reads = trace.accesses.iter().filter(|a| !a.writes).count();
    sweep.writes = trace.accesses.iter().filter(|a| a.writes).count();
    sweep.calls = trace.calls.len();
    if trace.end == Ending::TooLong {
        return Err(too_long(LONGEST));
    }
    let (again, _) = self::trace(tracer, plan, &setups[0].1)?;
    sweep.differs = trace.differs_from(&again);
    sweep.exact = again.path == trace.path;
    let apart = trace.crash_points();
    let points = if plan.every { trace.all_points() } else { apart.clone() };
    sweep.points = points.len();
    let heirs = setups.iter().any(|(script, _)| script.has_heir());
    if heirs && plan.victim != Victim::Create {
        sweep.rejoin = rejoin_in_order(tracer, plan, sweep, gathered)?;
    }
    let asleep = matches!(trace.end, Ending::Asleep(_));
    let ends = points.into_iter().map(Some).chain(asleep.then_some(None));
    let mut reduced =
        Reduced { points: apart.len(), rounds: trace.in_rounds(), ..Reduced::default() };
    for position in ends {
        let is_apart = position.is_none_or(|p| apart.contains(&p));
        for (script, setup) in &setups {
            if *script == Script::Rejoin && sweep.rejoin.is_some() {
                continue;
            }
            let begun = Instant::now();
            let script = match script {
                Script::Peer { heir } => Script::Peer { heir: *heir && sweep.rejoin.is_none() },
                script => *script,
            };
            let mut ended = kill_at(tracer, plan, setup, &trace, position, script)?;
            sweep.times.push(begun.elapsed());
            sweep.note_left(&mut ended);
            let finding = plan.setting.judge(&ended);
            reduced.note(&ended.words, matches!(finding, Finding::Allowed), is_apart);
            sweep.note(gathered, ended, finding);
        }
    }
    sweep.reduced = plan.every.then_some(reduced);
    Ok(())
}

/// A world with both ends connected, unless that is what is swept, and its messages waiting.
fn prepare<'t>(
    tracer: &'t mut Tracer,
    plan: &Plan<'_>,
    setup: &'t Setup,
    heirs: bool,
) -> Result<World<'t>, Trouble> {
    if plan.victim == Victim::Create {
        let mut world = World::new(tracer, setup);
        world.creator()?;
        return Ok(world);
    }
    let mut world = World::create(tracer, setup)?;
    for (process, sends) in [(SENDER, true), (RECEIVER, false)] {
        world.admit(role(process, sends))?;
        if plan.victim != (Victim::Connect { sends }) {
            let connected = world.whole(process, Call::Connect);
            // Some cannot before the other side has, which is what is swept.
            let alone = matches!(plan.victim, Victim::Connect { .. });
            connected.map_err(|t| if alone { t } else { t.in_the_way() })?;
        }
    }
    if plan.company == Company::Rival {
        world.join(role(HEIR, plan.sender_dies())).map_err(Trouble::in_the_way)?;
    }
    if !heirs {
        world.hand_over()?;
    }
    for sequence in 0..plan.waiting {
        let mode = plan.setting.quick_send()?;
        let call = plan.setting.send((SENDER, RECEIVER), sequence, mode, SHORT);
        let progress = world.call(SENDER, call)?;
        if !progress.took_effect() {
            let what = format!("{call} of the prefix: {}", progress.word());
            return Err(Trouble::Refused(what));
        }
    }
    if plan.company != Company::Alone {
        // Whoever is woken stops where its call comes back, until it is let go.
        world.tracer.stops_at_calls = true;
    }
    if plan.company == Company::Peer {
        let (process, call) = survivors::peer_call(plan);
        match world.call_briefly(process, call)? {
            Progress::Asleep => {}
            other => {
                let why = format!("{process} {call} was to wait: {}", other.word());
                return Err(Trouble::Refused(why));
            }
        }
    }
    Ok(world)
}

/// Steps through the operation; answers what is left behind without a kill, too.
fn trace(
    tracer: &mut Tracer,
    plan: &Plan<'_>,
    setup: &Setup,
) -> Result<(Trace, Vec<String>), Trouble> {
    let victim = plan.victim.process();
    let mut world = prepare(tracer, plan, setup, false)?;
    if plan.victim.waits() {
        world.even_clocks();
    }
    world.begin(victim, plan.call())?;
    let timed = matches!(plan.victim, Victim::Send(Mode::Timed) | Victim::Receive(Mode::Timed));
    let (trace, progress) = world.trace(victim, Limits { brief: timed, ..Limits::default() })?;
    match progress {
        Progress::Returned(Answer::Odd(why)) => return Err(Trouble::Broken(why)),
        Progress::Returned(Answer::Unsupported) => {
            return Err(Trouble::Refused("the link has no such call".into()));
        }
        Progress::Gone(how) => return Err(Trouble::Broken(format!("it dies by itself: {how}"))),
        Progress::Asleep if !plan.victim.waits() => {
            return Err(Trouble::Broken(format!("{} sleeps", plan.victim.operation())));
        }
        _ => {}
    }
    let ended = world.end()?;
    Ok((trace, ended.left))
}

/// What is left behind by a link that both sides have connected to, and nobody called.
fn left_in_order(tracer: &mut Tracer, setup: &Setup) -> Result<Vec<String>, Trouble> {
    let mut world = World::create(tracer, setup)?;
    for (process, sends) in [(SENDER, true), (RECEIVER, false)] {
        world.join(role(process, sends)).map_err(Trouble::in_the_way)?;
    }
    Ok(world.end()?.left)
}

/// The control, in which nobody is killed: the role is taken again after an orderly end. Where
/// that fails, nothing is learnt from its failing after a kill. Answers why it fails.
fn rejoin_in_order(
    tracer: &mut Tracer,
    plan: &Plan<'_>,
    sweep: &mut Sweep,
    gathered: &mut Gathered,
) -> Result<Option<String>, Trouble> {
    let sends = plan.sender_dies();
    if plan.setting.is_rejoined(sends, plan.waiting) {
        return Ok(None);
    }
    let orderly = Plan { victim: Victim::Close { sends }, company: Company::Alone, ..*plan };
    let setup = orderly.setup(Script::Rejoin);
    let mut world = prepare(tracer, &orderly, &setup, true)?;
    world.call(orderly.victim.process(), close())?;
    survivors::survive(&mut world, &orderly, Script::Rejoin)?;
    let ended = world.end()?;
    let finding = plan.setting.judge(&ended);
    let why = match &finding {
        Finding::Allowed => {
            plan.setting.note_rejoined(sends, plan.waiting);
            return Ok(None);
        }
        Finding::Odd(why) => why.clone(),
        Finding::Forbidden(counterexample) => counterexample.to_string(),
    };
    // Whoever promises something about deaths promises as much about an orderly end.
    if matches!(finding, Finding::Forbidden(_)) && plan.setting.claims_deaths() {
        sweep.note(gathered, ended, finding);
    }
    Ok(Some(why))
}

/// Kills the victim at `position` (`None`: asleep in its call), and lets the survivors go on.
fn kill_at(
    tracer: &mut Tracer,
    plan: &Plan<'_>,
    setup: &Setup,
    trace: &Trace,
    position: Option<usize>,
    script: Script,
) -> Result<Ended, Trouble> {
    let victim = plan.victim.process();
    let way = position.map(|position| trace.way(tracer, position)).transpose()?;
    let mut world = prepare(tracer, plan, setup, script.has_heir())?;
    if plan.victim.waits() {
        world.even_clocks();
    }
    world.begin(victim, plan.call())?;
    match way {
        Some(way) => world.reach(victim, &way)?,
        None => match world.go_on(victim, plan.victim == Victim::Receive(Mode::Blocking))? {
            Progress::Asleep => {}
            other => {
                let why = format!("it was to sleep: {}", other.word());
                return Err(Trouble::Diverged(why));
            }
        },
    }
    if plan.company == Company::Rival {
        survivors::rival_waits(&mut world, plan)?;
    }
    world.kill(victim)?;
    survivors::survive(&mut world, plan, script)?;
    world.end()
}
