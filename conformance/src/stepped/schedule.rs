//! Schedules: two processes, interleaved at every access to what they share, with a bounded
//! number of preemptions, each time in a fresh world.
//!
//! A schedule is a list of segments: this process makes so many whole calls, and goes on up to
//! that instruction of the next, or until it sleeps. Whoever has not finished when the segments
//! are over then runs on, one after the other. Which instructions there are to stop at, a
//! segment's process is stepped to learn, from the very state that the segments before it lead
//! to.

use std::time::Instant;

use ipc_model::{Mode, Process};

use super::course::Way;
use super::scenario::Scenario;
use super::setting::{RECEIVER, SENDER, SHORT, Setting, role};
use super::trace::{Ending, Limits, too_long};
use super::tracer::Tracer;
use super::world::{Ended, Progress, Setup, World};
use super::{Extent, Gathered, Level, Sweep, Trouble};

/// What is explored, and how far.
pub(super) struct Plan<'a> {
    pub(super) setting: &'a Setting<'a>,
    pub(super) scenario: Scenario,
    pub(super) extent: Extent,
}

/// What a process does before another one goes on.
#[derive(Clone)]
struct Segment {
    process: Process,
    /// Calls that it brings to an end first.
    calls: usize,
    stops: Stops,
}

/// Where a process is left.
#[derive(Clone)]
enum Stops {
    /// At this instruction of its next call.
    At(Way),
    /// At this instruction, dead.
    Dead(Way),
    /// Asleep in its next call.
    Asleep,
}

type Prefix = Vec<Segment>;

impl Plan<'_> {
    /// `schedule.<name>`.
    pub(super) fn name(&self) -> String {
        format!("schedule.{}", self.scenario.name)
    }

    fn setup(&self) -> Setup {
        let (senders, receivers) = self.scenario.ends();
        self.setting.setup(&senders, &receivers)
    }
}

/// Explores one scenario.
pub(super) fn explore(tracer: &mut Tracer, plan: &Plan<'_>) -> (Sweep, Gathered) {
    let begun = Instant::now();
    let state = match plan.scenario.waiting {
        1 => "1 message".to_owned(),
        n => format!("{n} messages"),
    };
    let mut sweep = Sweep { name: plan.name(), state, ..Sweep::default() };
    let mut gathered = Gathered::default();
    if let Err(trouble) = explore_levels(tracer, plan, &mut sweep, &mut gathered) {
        sweep.trouble = Some(trouble);
    }
    sweep.points = sweep.levels.iter().map(|l| l.explored).sum();
    sweep.elapsed = begun.elapsed();
    (sweep, gathered)
}

fn explore_levels(
    tracer: &mut Tracer,
    plan: &Plan<'_>,
    sweep: &mut Sweep,
    gathered: &mut Gathered,
) -> Result<(), Trouble> {
    let setup = plan.setup();
    let mut level: Vec<Prefix> = vec![Vec::new()];
    let mut left_out_before = false;
    let mut budget = plan.extent.cap;
    for preemptions in 0..=plan.extent.preemptions {
        let heads = if preemptions == 0 { 2 } else { 1 };
        let mut counts = Level { preemptions, ..Level::default() };
        let chosen = sample(level, budget / heads, plan.extent.seed, &mut counts.left_out);
        counts.incomplete = left_out_before || counts.left_out > 0;
        left_out_before = counts.incomplete;
        let last = preemptions == plan.extent.preemptions;
        let mut next = Vec::new();
        for prefix in &chosen {
            for head in heads_of(plan, prefix) {
                let begun = Instant::now();
                let ended = run(tracer, plan, &setup, prefix, head)?;
                sweep.times.push(begun.elapsed());
                let finding = plan.setting.judge(&ended);
                sweep.note(gathered, ended, finding);
                counts.explored += 1;
                budget = budget.saturating_sub(1);
                // What follows on a way that has failed is no news.
                let fresh = prefix.last().is_none_or(|s| !matches!(s.stops, Stops::Dead(_)));
                if fresh && (!last || (plan.extent.kills && preemptions > 0)) {
                    let branches = learn(tracer, plan, &setup, prefix, head, last)?;
                    next.extend(branches);
                }
            }
        }
        sweep.levels.push(counts);
        level = next;
        if last && plan.extent.kills {
            kills(tracer, plan, &setup, level, sweep, gathered)?;
            break;
        }
    }
    Ok(())
}

/// Runs the schedules in which somebody is killed in the end.
fn kills(
    tracer: &mut Tracer,
    plan: &Plan<'_>,
    setup: &Setup,
    level: Vec<Prefix>,
    sweep: &mut Sweep,
    gathered: &mut Gathered,
) -> Result<(), Trouble> {
    let dead = |p: &Prefix| p.last().is_some_and(|s| matches!(s.stops, Stops::Dead(_)));
    let level: Vec<Prefix> = level.into_iter().filter(dead).collect();
    let mut counts =
        Level { preemptions: plan.extent.preemptions, kills: true, ..Level::default() };
    let chosen = sample(level, plan.extent.cap, plan.extent.seed, &mut counts.left_out);
    counts.incomplete = counts.left_out > 0;
    for prefix in &chosen {
        for head in heads_of(plan, prefix) {
            let begun = Instant::now();
            let ended = run(tracer, plan, setup, prefix, head)?;
            sweep.times.push(begun.elapsed());
            let finding = plan.setting.judge(&ended);
            sweep.note(gathered, ended, finding);
            counts.explored += 1;
        }
    }
    sweep.levels.push(counts);
    Ok(())
}

/// Who may run behind the prefix.
fn heads_of(plan: &Plan<'_>, prefix: &Prefix) -> Vec<Process> {
    match prefix.last() {
        Some(segment) => vec![plan.scenario.other(segment.process)],
        None => plan.scenario.scripts.iter().map(|(process, _)| *process).collect(),
    }
}

/// At most `budget` of these, chosen by the seed where there are more; counts the others.
fn sample(level: Vec<Prefix>, budget: usize, seed: u64, left_out: &mut usize) -> Vec<Prefix> {
    *left_out = level.len().saturating_sub(budget);
    if *left_out == 0 {
        return level;
    }
    let rank = |i: usize| xxhash_rust::xxh3::xxh3_64_with_seed(&i.to_le_bytes(), seed);
    let mut numbered: Vec<(u64, Prefix)> =
        level.into_iter().enumerate().map(|(i, prefix)| (rank(i), prefix)).collect();
    numbered.sort_by_key(|(rank, _)| *rank);
    numbered.truncate(budget);
    numbered.into_iter().map(|(_, prefix)| prefix).collect()
}

/// A world, and how many calls each process has brought to an end.
struct Stage<'t, 'p> {
    world: World<'t>,
    plan: &'p Plan<'p>,
    done: [usize; 3],
}

impl<'t, 'p> Stage<'t, 'p> {
    /// The world in which the segments have been run.
    fn set(
        tracer: &'t mut Tracer,
        plan: &'p Plan<'p>,
        setup: &'t Setup,
        prefix: &Prefix,
    ) -> Result<Self, Trouble> {
        let mut world = World::create(tracer, setup)?;
        let (senders, receivers) = plan.scenario.ends();
        for (processes, sends) in [(senders, true), (receivers, false)] {
            for process in processes {
                world.join(role(process, sends)).map_err(Trouble::in_the_way)?;
            }
        }
        world.hand_over()?;
        for sequence in 0..plan.scenario.waiting {
            let mode = plan.setting.quick_send()?;
            let call = plan.setting.send((SENDER, RECEIVER), sequence, mode, SHORT);
            let progress = world.call(SENDER, call)?;
            if !progress.took_effect() {
                let what = format!("{call} of the prefix: {}", progress.word());
                return Err(Trouble::Refused(what));
            }
        }
        // Whoever is woken stops where its call comes back, until it is let go.
        world.tracer.stops_at_calls = true;
        let mut stage = Self { world, plan, done: [0; 3] };
        for segment in prefix {
            stage.play(segment)?;
        }
        Ok(stage)
    }

    fn play(&mut self, segment: &Segment) -> Result<(), Trouble> {
        let process = segment.process;
        for _ in 0..segment.calls {
            self.open(process)?;
            let progress = self.go_on(process, false)?;
            if !progress.returned() {
                let why = format!("{process} was to return: {}", progress.word());
                return Err(Trouble::Diverged(why));
            }
        }
        self.open(process)?;
        match &segment.stops {
            Stops::At(way) => self.world.reach(process, way),
            Stops::Dead(way) => {
                self.world.reach(process, way)?;
                self.world.kill(process)
            }
            Stops::Asleep => match self.go_on(process, false)? {
                Progress::Asleep => Ok(()),
                other => {
                    let why = format!("{process} was to sleep: {}", other.word());
                    Err(Trouble::Diverged(why))
                }
            },
        }
    }

    /// Whether the process has calls to make or to end.
    fn has_more(&self, process: Process) -> bool {
        self.world.lives(process)
            && self.done[process.0 as usize] < self.plan.scenario.length(process)
    }

    /// Begins the next call, unless it is in one.
    fn open(&mut self, process: Process) -> Result<(), Trouble> {
        if self.world.is_in_call(process) {
            return Ok(());
        }
        let number = self.done[process.0 as usize];
        let call = self.plan.scenario.call(self.plan.setting, process, number);
        self.world.begin(process, call)
    }

    fn go_on(&mut self, process: Process, thorough: bool) -> Result<Progress, Trouble> {
        let progress = self.world.go_on(process, thorough)?;
        self.done[process.0 as usize] += usize::from(progress.returned());
        Ok(progress)
    }
}

/// Steps on from where the prefix leads to, `head` first, and answers the schedules with one more
/// preemption; or, if `kills`, those in which it is killed instead.
fn learn(
    tracer: &mut Tracer,
    plan: &Plan<'_>,
    setup: &Setup,
    prefix: &Prefix,
    head: Process,
    kills: bool,
) -> Result<Vec<Prefix>, Trouble> {
    let mut stage = Stage::set(tracer, plan, setup, prefix)?;
    let mut found = Vec::new();
    let mut lead = prefix.clone();
    let (mut process, mut calls) = (head, 0);
    // Whether the other one sleeps, and nothing has been done yet that could wake it.
    let mut alone = false;
    while stage.has_more(process) {
        stage.open(process)?;
        let limits = Limits { pauses: 3, ..Limits::default() };
        let (trace, progress) = stage.world.trace(process, limits)?;
        if trace.end == Ending::TooLong && trace.pauses.len() < limits.pauses {
            // What lies behind must not count as explored.
            return Err(too_long(limits.instructions));
        }
        let points = if kills { trace.crash_points() } else { trace.switch_points() };
        let wakes = trace.first_visible_call().map(|at| at + 1);
        for position in points {
            // Before its first instruction is where it stood anyway.
            let idle = alone && wakes.is_none_or(|wakes| position < wakes);
            if !kills && (position == 0 || idle) {
                continue;
            }
            let way = trace.way(stage.world.tracer, position)?;
            let stops = if kills { Stops::Dead(way) } else { Stops::At(way) };
            let segment = Segment { process, calls, stops };
            found.push(lead.iter().cloned().chain([segment]).collect());
        }
        alone &= wakes.is_none();
        match progress {
            progress if progress.returned() => {
                stage.done[process.0 as usize] += 1;
                calls += 1;
            }
            Progress::Asleep => {
                let other = plan.scenario.other(process);
                lead.push(Segment { process, calls, stops: Stops::Asleep });
                // Whom it waits for may sleep as well, or be gone.
                if lead.len() > prefix.len() + 1 || !stage.has_more(other) {
                    break;
                }
                (process, calls, alone) = (other, 0, true);
            }
            _ => break,
        }
    }
    stage.world.end()?;
    Ok(found)
}

/// Runs the prefix, then `head` for as long as it gets on, then the other one, and so on; and
/// takes out what is left.
fn run(
    tracer: &mut Tracer,
    plan: &Plan<'_>,
    setup: &Setup,
    prefix: &Prefix,
    head: Process,
) -> Result<Ended, Trouble> {
    let mut stage = Stage::set(tracer, plan, setup, prefix)?;
    let finished = finish(&mut stage, head)?;
    let mode = plan.setting.quick_receive()?;
    let free = stage.world.lives(RECEIVER) && !stage.world.is_in_call(RECEIVER);
    if finished && free && mode != Mode::Blocking {
        let mut drained = Vec::new();
        for _ in 0..plan.scenario.left() + 2 {
            let call = plan.setting.receive(SENDER, mode, SHORT);
            let progress = stage.world.call(RECEIVER, call)?;
            drained.push(progress.word());
            if !progress.took_effect() {
                break;
            }
        }
        stage.world.words.push(format!("left: {}", drained.join(", ")));
    }
    stage.world.end()
}

/// Lets all come to the end of their scripts, `first` first. Whether they did.
fn finish(stage: &mut Stage<'_, '_>, first: Process) -> Result<bool, Trouble> {
    let mut left = vec![first, stage.plan.scenario.other(first)];
    left.retain(|p| stage.has_more(*p));
    // How many in a row got nowhere; the second time round, each is looked at thoroughly.
    let mut stuck = 0;
    while !left.is_empty() && stuck < 2 * left.len() {
        let process = left.remove(0);
        stage.open(process)?;
        let progress = stage.go_on(process, stuck > left.len())?;
        match &progress {
            progress if progress.returned() => {
                stuck = 0;
                stage.world.words.push(format!("{process} {}", progress.word()));
                if stage.has_more(process) {
                    left.insert(0, process);
                }
            }
            Progress::Asleep | Progress::Spins => {
                stuck += 1;
                left.push(process);
            }
            progress => stage.world.words.push(format!("{process} {}", progress.word())),
        }
    }
    stage.world.words.extend(left.iter().map(|p| format!("{p} stuck")));
    Ok(left.is_empty() && stage.world.odd.is_none())
}
