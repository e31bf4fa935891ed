//! Decides, rule by rule, what comes of a link: runs scenarios on it, checks every history, and
//! gathers the verdicts into cells.

mod plan;
mod progress;
mod tours;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use ipc_model::{
    Counterexample, Force, Got, History, Op, Operation, Profile, Ret, RuleId, RuleSet, Scenario,
    Verdict, check, lanes,
};

pub use plan::Plan;
pub use progress::{Decided, Progress};

use self::progress::Finding;
use crate::adapter::Claim;
use crate::generate::{Candidate, Generator};
use crate::probe::{self, PROBES};
use crate::protocol::Way;
use crate::replay::Replay;
use crate::report::{Cell, CellVerdict, Steps, Trace, family};
use crate::rulebook::{self, Asked, Entry};
use crate::run::{End, Execution, Host, QUIESCENCE, interrupted};

/// A link that is being run.
struct Tally<'a> {
    host: &'a mut Host,
    claim: &'a Claim,
    plan: Plan,
    asked: &'a Asked,
    /// Those rules of the message model that are asked for, if it is not every one.
    only: Option<RuleSet>,
    /// Which runs are to be done.
    part: Range<u64>,
    /// The number of the next run, counted over all of the link's runs.
    at: u64,
    decided: Decided,
    kept: Progress,
    progress: &'a dyn Fn(u64),
}

/// How long the runs of a link that break may take, all together, before no more are tried: an
/// adapter that never answers must not hold up the others.
const WASTE: Duration = Duration::from_secs(15);

/// The cells of one link, with a file to replay each red one by.
pub struct LinkResult {
    /// One cell for every visible rule.
    pub cells: Vec<Cell>,
    /// By rule, for cells with a counterexample.
    pub replays: BTreeMap<String, Replay>,
    /// How many scenarios were run.
    pub runs: u32,
    /// Which steps of the model they took.
    pub steps: Steps,
}

/// Runs the suite on one configuration of an adapter, for the rules that are asked for.
pub fn run_link(host: &mut Host, claim: &Claim, plan: Plan, asked: &Asked) -> LinkResult {
    let fresh = (Decided::default(), Progress::nowhere());
    run_part(host, claim, (plan, asked), 0..size(claim, plan), fresh, &|_| {})
}

/// Runs a part of the suite: the runs of these numbers, out of [`size`]; those that `decided` has
/// are not done again. `progress` is called with how many more are done.
pub fn run_part(
    host: &mut Host,
    claim: &Claim,
    (plan, asked): (Plan, &Asked),
    part: Range<u64>,
    (decided, kept): (Decided, Progress),
    progress: &dyn Fn(u64),
) -> LinkResult {
    let only = asked.of_the_model();
    Tally { host, claim, plan, asked, only, part, at: 0, decided, kept, progress }.run()
}

/// How many runs the suite has for this link: of scenarios, and of probes.
pub fn size(claim: &Claim, plan: Plan) -> u64 {
    let standard = ipc_model::scenarios::standard(&claim.profile);
    let repeats: u64 = standard.iter().map(|s| repeats(s.repeat, plan)).sum();
    let tours = tours::of(&claim.profile).scenarios.len() as u64;
    let scenarios = claim.ways().count() as u64 * (repeats + tours + u64::from(plan.random));
    scenarios + PROBES.len() as u64
}

fn repeats(repeat: u32, plan: Plan) -> u64 {
    if repeat > 1 { u64::from(repeat * plan.repeat) } else { 1 }
}

impl Tally<'_> {
    fn wanted(&self, about: &[&str]) -> bool {
        let Some(only) = self.only else { return true };
        about.iter().filter_map(|name| RuleId::of(name)).any(|rule| only.contains(rule))
    }

    fn found_what_was_wanted(&self) -> bool {
        let wanted = |rule: &RuleId| self.only.is_none_or(|only| only.contains(*rule));
        let found = self.decided.findings.keys().filter_map(|id| RuleId::of(id));
        found.into_iter().any(|rule| wanted(&rule))
    }

    fn run(mut self) -> LinkResult {
        for way in self.claim.ways() {
            self.run_standard(way);
            self.run_tours(way);
            self.run_random(way);
        }
        self.run_probes();
        self.kept.write(&self.decided);
        self.into_result()
    }

    /// Whether nothing more is to be run.
    fn is_over(&self) -> bool {
        let enough = self.plan.first_only && self.found_what_was_wanted();
        enough || self.at >= self.part.end || interrupted()
    }

    /// Whether the next run is to be done; it is passed over else.
    fn is_due(&mut self) -> bool {
        let due = self.at >= self.decided.next && self.part.contains(&self.at);
        if !due {
            self.at += 1;
        }
        due
    }

    /// The run is done, and what came of it is in.
    fn done(&mut self) {
        self.at += 1;
        self.decided.next = self.at;
        self.kept.note(&self.decided);
        (self.progress)(1);
    }

    fn run_standard(&mut self, way: Way) {
        for standard in ipc_model::scenarios::standard(&self.claim.profile) {
            let repeats = repeats(standard.repeat, self.plan);
            let kills = standard.scenario.kills();
            if !self.wanted(&standard.about) || (kills && way == Way::Threads) {
                self.at += repeats;
                continue;
            }
            let about: Vec<RuleId> = standard.about.iter().filter_map(|r| RuleId::of(r)).collect();
            for _ in 0..repeats {
                if self.is_over() {
                    return;
                }
                if !self.is_due() {
                    continue;
                }
                let races = standard.repeat > 1;
                if let Some((scenario, found)) =
                    self.run_once(&standard.scenario, way, &about, races)
                {
                    self.note(found.0, found.1, scenario, way);
                }
                self.done();
            }
        }
    }

    /// The scenarios that the model makes for itself.
    fn run_tours(&mut self, way: Way) {
        let covering = tours::of(&self.claim.profile);
        let mut left = self.only;
        for (number, tour) in covering.scenarios.iter().enumerate() {
            // Where only some rules are asked for, the first tour that fires each will do.
            let news = left.is_none_or(|left| !left.and(tour.fired).is_empty());
            let kills = tour.scenario.kills();
            let elsewhere = !kills && self.only.is_none() && !self.takes_turn(number, way);
            if !news || elsewhere || (kills && way == Way::Threads) {
                self.at += 1;
                continue;
            }
            left = left.map(|left| left.iter().filter(|r| !tour.fired.contains(*r)).collect());
            if self.is_over() {
                return;
            }
            if !self.is_due() {
                continue;
            }
            let about: Vec<RuleId> = tour.fired.iter().collect();
            if let Some((scenario, found)) = self.run_once(&tour.scenario, way, &about, true) {
                self.note(found.0, found.1, scenario, way);
            }
            self.done();
        }
    }

    /// Whether this tour is run in this way: at the quick level, tours take turns between the ways
    /// to run a link; else, each is run in every way.
    fn takes_turn(&self, number: usize, way: Way) -> bool {
        let place = self.claim.ways().position(|w| w == way).unwrap_or(0);
        self.plan.repeat > 1 || number % self.claim.ways().count().max(1) == place
    }

    fn run_random(&mut self, way: Way) {
        if self.only.is_some() {
            self.at += u64::from(self.plan.random);
            return;
        }
        let link = format!("{}/{} {way}", self.host.name, self.claim.link);
        let mut generator = Generator::new(&self.claim.profile, self.plan.seed, &link);
        let about: Vec<RuleId> = RuleId::of("delivery.nothing-lost").into_iter().collect();
        for _ in 0..self.plan.random {
            // Also one that is passed over is drawn: the next one depends on it.
            let candidate = generator.candidate();
            if self.is_over() {
                return;
            }
            if !self.is_due() {
                continue;
            }
            if !crate::generate::is_idle(&candidate.scenario()) {
                self.run_candidate(candidate, way, &about);
            }
            self.done();
        }
    }

    fn run_candidate(&mut self, candidate: Candidate, way: Way, about: &[RuleId]) {
        let Some((_, first)) = self.run_once(&candidate.scenario(), way, about, true) else {
            return;
        };
        let rule = first.1.rule;
        if self.decided.findings.contains_key(rule.rule().id) {
            return;
        }
        // A race may not show at once: each simpler scenario gets a few chances.
        let (scenario, found) = candidate.shrink(first, |simpler| {
            let again = |_| self.run_once(simpler, way, about, true);
            let mut found = (0..3).filter_map(again).map(|(_, found)| found);
            found.find(|(_, counterexample)| counterexample.rule == rule)
        });
        self.note(found.0, found.1, scenario, way);
    }

    fn run_probes(&mut self) {
        for probe in PROBES {
            if self.is_over() {
                return;
            }
            if !self.is_due() {
                continue;
            }
            let cell = probe::run(probe, self.host, self.claim, self.plan, self.asked);
            if interrupted() {
                return;
            }
            self.decided.probed.insert(probe.about.id.into(), cell);
            self.done();
        }
    }

    /// Runs the scenario and checks what came of it. Answers what rule it broke, if it broke one.
    fn run_once(
        &mut self,
        scenario: &Scenario,
        way: Way,
        about: &[RuleId],
        races: bool,
    ) -> Option<(Scenario, (CellVerdict, Counterexample))> {
        if let Some(why) = self.decided.given_up.clone() {
            self.trouble(about, CellVerdict::Broken, &why);
            return None;
        }
        let profile = self.claim.profile;
        let begun = Instant::now();
        let execution = execute(self.host, self.claim, scenario, way);
        if interrupted() && execution.end != End::AtRest {
            // That is no fault of the link.
            return None;
        }
        self.decided.runs += 1;
        match execution.end {
            End::AtRest => {}
            End::Crash(signal, process) => {
                let signal = nix::sys::signal::Signal::try_from(signal)
                    .map_or_else(|_| format!("signal {signal}"), |s| s.to_string());
                let who = process.map_or("the adapter's process".into(), |p| p.to_string());
                let why = format!("{who} was ended by {signal} in scenario {}", scenario.name);
                self.trouble(about, CellVerdict::Crash, &why);
                return None;
            }
            End::Panic(why) => {
                let why = format!("{why}, in scenario {}", scenario.name);
                self.trouble(about, CellVerdict::Crash, &why);
                return None;
            }
            End::Broken(why) => {
                self.decided.wasted += begun.elapsed();
                if self.decided.wasted > WASTE {
                    let run = self.decided.runs;
                    self.decided.given_up = Some(format!("given up after run {run}: {why}"));
                }
                self.trouble(about, CellVerdict::Broken, &why);
                return None;
            }
        }
        if !races {
            self.observe(&execution.history, about);
        }
        match check(&profile, &execution.history) {
            Verdict::Pass { coverage, deviations } => {
                for rule in coverage.any.iter() {
                    *self.decided.fired.entry(rule.to_string()).or_default() += 1;
                }
                let kept =
                    coverage.every.or(ipc_model::check::exercised(&profile, &execution.history));
                let missed: RuleSet = deviations.iter().map(|d| d.rule).collect();
                for rule in kept.iter().filter(|r| !missed.contains(*r)) {
                    *self.decided.evidence.entry(rule.to_string()).or_default() += 1;
                }
                let deviation = deviations.into_iter().next()?;
                Some((scenario.clone(), (CellVerdict::Deviates, deviation)))
            }
            Verdict::Fail(_) if scenario.asleep == 0 && rests_on_sleep(&profile, &execution) => {
                let surer = Scenario { asleep: SURELY_ASLEEP, ..scenario.clone() };
                self.run_once(&surer, way, about, races)
            }
            Verdict::Fail(counterexample) => {
                let verdict = match counterexample.got {
                    Got::Stuck => CellVerdict::Hang,
                    Got::Returned(_) => CellVerdict::Fail,
                };
                Some((scenario.clone(), (verdict, *counterexample)))
            }
            Verdict::Inconclusive(why) => {
                self.trouble(about, CellVerdict::Inconclusive, &why);
                None
            }
        }
    }

    fn trouble(&mut self, about: &[RuleId], verdict: CellVerdict, why: &str) {
        for rule in about {
            let trouble = || (verdict, why.into());
            self.decided.troubles.entry(rule.to_string()).or_insert_with(trouble);
        }
    }

    /// Takes down what the calls came to that the rules are about: those of their family, or all
    /// where that is no call.
    fn observe(&mut self, history: &History, about: &[RuleId]) {
        for rule in about {
            let rule = rule.rule().id;
            let of_family = |o: &&Operation| o.op.name() == family(rule);
            let any = history.operations.iter().any(|o| of_family(&o));
            let seen = history.operations.iter().filter(|o| !any || of_family(o));
            let seen = seen.map(|o| outcome(&o.op, o.ret.as_ref().map(|(_, ret)| ret)));
            self.decided.observed.entry(rule.into()).or_default().extend(seen);
        }
    }

    /// Keeps one counterexample of each rule.
    fn note(
        &mut self,
        mut verdict: CellVerdict,
        counterexample: Counterexample,
        scenario: Scenario,
        way: Way,
    ) {
        let rule = counterexample.rule;
        match rule.rule().force {
            Force::Shall => {}
            Force::Should => verdict = CellVerdict::Deviates,
            Force::Unspecified => verdict = CellVerdict::Observed,
        }
        // One that does not hang on a race is the better one, and then the shorter one.
        let rank = (!scenario.is_ordered(), counterexample.history.operations.len());
        if self.decided.findings.get(rule.rule().id).is_some_and(|f| f.rank <= rank) {
            return;
        }
        let history = &counterexample.history;
        let got = match &counterexample.got {
            Got::Stuck => None,
            Got::Returned(ret) => Some(ret),
        };
        let finding = Finding {
            verdict,
            why: counterexample.to_string(),
            observed: outcome(&counterexample.op, got),
            picture: lanes::draw(history, Some(&counterexample)),
            trace: Trace::of(&counterexample, &scenario.name, way),
            replay: Replay::new(&self.host.name, self.claim, rule, way, &scenario, history),
            rank,
        };
        self.decided.findings.insert(rule.to_string(), finding);
    }

    fn into_result(self) -> LinkResult {
        let cells = rulebook::all().map(|entry| self.cell(entry)).collect();
        let fired = self.decided.fired.iter();
        let fired = fired.filter_map(|(id, runs)| Some((RuleId::of(id)?, *runs))).collect();
        let steps = tours::steps(self.claim, &fired);
        let findings = self.decided.findings;
        let replays = findings.into_iter().map(|(rule, finding)| (rule, finding.replay)).collect();
        LinkResult { cells, replays, runs: self.decided.runs, steps }
    }

    fn cell(&self, entry: Entry) -> Cell {
        let id = entry.about.id;
        let link = format!("{}/{}", self.host.name, self.claim.link);
        let decided = &self.decided;
        let evidence = decided.evidence.get(id).copied().unwrap_or(0);
        let why = format!("needed and kept in {evidence} runs");
        let mut cell = Cell::plain(&link, id, CellVerdict::Pass, &why);
        cell.evidence = evidence;
        cell.observed = decided.observed.get(id).into_iter().flatten().cloned().collect();
        if let Some(probed) = decided.probed.get(id) {
            return Cell { link, ..probed.clone() };
        }
        if let Some(finding) = decided.findings.get(id) {
            cell.verdict = finding.verdict;
            cell.why.clone_from(&finding.why);
            // What broke the rule is what is to be seen, and not what else happened.
            cell.observed = vec![finding.observed.clone()];
            cell.picture = Some(finding.picture.clone());
            cell.trace = Some(finding.trace.clone());
        } else if !entry.is_claimed(self.claim) {
            cell = Cell::not_claimed(&link, id);
        } else if let Some((verdict, why)) = decided.troubles.get(id) {
            cell.verdict = *verdict;
            cell.why.clone_from(why);
        } else if !self.asked.includes(id) || entry.is_left_out(self.plan) {
            cell.verdict = CellVerdict::Inconclusive;
            cell.why = crate::NOT_ASKED.into();
        } else if let (0, Some(why)) = (evidence, &decided.given_up) {
            cell.verdict = CellVerdict::Broken;
            cell.why.clone_from(why);
        } else if evidence == 0 {
            cell.verdict = CellVerdict::Inconclusive;
            cell.why = crate::NOT_NEEDED.into();
        }
        cell
    }
}

/// Runs the scenario. Where it comes to rest in a way that the model forbids, it gets ten times
/// the patience before that counts.
pub fn execute(host: &mut Host, claim: &Claim, scenario: &Scenario, way: Way) -> Execution {
    let explains = |history: &History| progresses(&claim.profile, history);
    host.run(&claim.link, scenario, way, QUIESCENCE, &explains)
}

/// How long a process must sleep in its call before a verdict may rest on that, in nanoseconds. A
/// call may sleep for other reasons than that it has to wait, such as a lock whose holder the
/// machine has put aside; not for as long as this.
const SURELY_ASLEEP: u64 = 300_000_000;

/// Whether the model would let it pass if nobody had been seen asleep.
fn rests_on_sleep(profile: &Profile, execution: &Execution) -> bool {
    let mut awake = execution.history.clone();
    let seen = awake.operations.iter_mut().filter_map(|o| o.blocked.take()).count();
    seen > 0 && !matches!(check(profile, &awake), Verdict::Fail(_))
}

/// Whether the model lets the history end like this.
pub(crate) fn progresses(profile: &Profile, history: &History) -> bool {
    let verdict = check(profile, history);
    !matches!(verdict.counterexample(), Some(c) if c.got == Got::Stuck)
}

/// What was seen, in words that are the same from run to run.
fn outcome(op: &Op, ret: Option<&Ret>) -> String {
    let got = match ret {
        None => "never returned".into(),
        Some(Ret::Received(_)) => "a message".into(),
        Some(Ret::Torn(_)) => "torn bytes".into(),
        Some(ret) => ret.to_string(),
    };
    format!("{}: {got}", op.name())
}
