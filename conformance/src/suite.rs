//! Decides, rule by rule, what comes of a link: runs scenarios on it, checks every history, and
//! gathers the verdicts into cells.

mod tours;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ipc_model::{
    Counterexample, Force, Got, History, Profile, RuleId, RuleSet, Scenario, Verdict, check, lanes,
};

use crate::adapter::Claim;
use crate::generate::Generator;
use crate::probe;
use crate::protocol::Way;
use crate::replay::Replay;
use crate::report::{Cell, CellVerdict, Steps, Trace};
use crate::rulebook::{self, Asked, Decided};
use crate::run::{End, Execution, Host, QUIESCENCE};

/// How much of the suite is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Random scenarios for each way of running.
    pub random: u32,
    /// How many times more often races are run.
    pub repeat: u32,
    /// The seed of the random scenarios.
    pub seed: u64,
    /// Whether the first broken rule is enough.
    pub first_only: bool,
}

impl Plan {
    /// The plan of a level: `quick` takes seconds for a link, `standard` a minute, `deep` as long
    /// as it takes to see rare races.
    pub fn of_level(level: &str, seed: u64) -> Option<Self> {
        let (random, repeat) = match level {
            "quick" => (40, 1),
            "standard" => (1_000, 20),
            "deep" => (20_000, 400),
            _ => return None,
        };
        Some(Self { random, repeat, seed, first_only: false })
    }
}

/// What has been learned of one link so far.
struct Tally<'a> {
    host: &'a mut Host,
    claim: &'a Claim,
    adapter: String,
    plan: Plan,
    only: Option<RuleSet>,
    evidence: BTreeMap<RuleId, u32>,
    /// How many runs fired each rule, on some sequence of steps that explains them.
    fired: BTreeMap<RuleId, u32>,
    findings: BTreeMap<RuleId, Finding>,
    troubles: BTreeMap<RuleId, (CellVerdict, String)>,
    runs: u32,
    /// How long runs that broke have taken.
    wasted: Duration,
    /// Why the link is not run any more.
    given_up: Option<String>,
}

/// How long the runs of a link that break may take, all together, before no more are tried: an
/// adapter that never answers must not hold up the others.
const WASTE: Duration = Duration::from_secs(15);

/// A broken rule, and how it was seen.
struct Finding {
    verdict: CellVerdict,
    counterexample: Counterexample,
    scenario: Scenario,
    way: Way,
}

/// The cells of one link, with a file to replay each red one by.
pub struct LinkResult {
    /// One cell for every rule of the [`rulebook`].
    pub cells: Vec<Cell>,
    /// By rule, for cells with a counterexample.
    pub replays: BTreeMap<String, Replay>,
    /// How many scenarios were run.
    pub runs: u32,
    /// Which steps of the model they took.
    pub steps: Steps,
}

/// Runs the suite on one configuration of an adapter, for the rules that are asked for.
/// `progress` is called after every scenario with how many there have been.
pub fn run_link(
    host: &mut Host,
    claim: &Claim,
    plan: Plan,
    asked: &Asked,
    progress: &dyn Fn(u32),
) -> LinkResult {
    let mut result = run_model(host, claim, plan, asked.of_the_model(), progress);
    result.cells.extend(probe::run(host, claim, plan, asked));
    result
}

/// Decides the rules of the message model.
fn run_model(
    host: &mut Host,
    claim: &Claim,
    plan: Plan,
    only: Option<RuleSet>,
    progress: &dyn Fn(u32),
) -> LinkResult {
    let adapter = host.name.clone();
    let mut tally = Tally {
        host,
        claim,
        adapter,
        plan,
        only,
        evidence: BTreeMap::new(),
        fired: BTreeMap::new(),
        findings: BTreeMap::new(),
        troubles: BTreeMap::new(),
        runs: 0,
        wasted: Duration::ZERO,
        given_up: None,
    };
    for way in claim.ways() {
        if tally.plan.first_only && tally.found_what_was_wanted() {
            break;
        }
        tally.run_standard(way, progress);
        tally.run_tours(way, progress);
        tally.run_random(way, progress);
    }
    tally.into_result()
}

/// How many scenarios [`run_link`] is going to run, at most.
pub fn size(claim: &Claim, plan: Plan) -> u64 {
    let standard = ipc_model::scenarios::standard(&claim.profile);
    let repeats: u64 = standard.iter().map(|s| repeats(s.repeat, plan)).sum();
    let tours = tours::of(&claim.profile).scenarios.len() as u64;
    claim.ways().count() as u64 * (repeats + tours + u64::from(plan.random))
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
        self.findings.keys().any(wanted)
    }

    fn run_standard(&mut self, way: Way, progress: &dyn Fn(u32)) {
        for standard in ipc_model::scenarios::standard(&self.claim.profile) {
            let kills = standard.scenario.kills();
            if !self.wanted(&standard.about) || (kills && way == Way::Threads) {
                continue;
            }
            let about: Vec<RuleId> = standard.about.iter().filter_map(|r| RuleId::of(r)).collect();
            for _ in 0..repeats(standard.repeat, self.plan) {
                if let Some((scenario, finding)) = self.run_once(&standard.scenario, way, &about) {
                    self.note(finding.0, finding.1, scenario, way);
                }
                progress(1);
                if self.plan.first_only && self.found_what_was_wanted() {
                    return;
                }
            }
        }
    }

    /// The scenarios that the model makes for itself.
    fn run_tours(&mut self, way: Way, progress: &dyn Fn(u32)) {
        let covering = tours::of(&self.claim.profile);
        let mut left = self.only;
        for tour in &covering.scenarios {
            if self.plan.first_only && self.found_what_was_wanted() {
                return;
            }
            progress(1);
            // Where only some rules are asked for, the first tour that fires each will do.
            let news = left.is_none_or(|left| !left.and(tour.fired).is_empty());
            if !news || (tour.scenario.kills() && way == Way::Threads) {
                continue;
            }
            left = left.map(|left| left.iter().filter(|r| !tour.fired.contains(*r)).collect());
            let about: Vec<RuleId> = tour.fired.iter().collect();
            if let Some((scenario, finding)) = self.run_once(&tour.scenario, way, &about) {
                self.note(finding.0, finding.1, scenario, way);
            }
        }
    }

    fn run_random(&mut self, way: Way, progress: &dyn Fn(u32)) {
        if self.only.is_some() {
            return;
        }
        let link = format!("{}/{} {way}", self.adapter, self.claim.link);
        let mut generator = Generator::new(&self.claim.profile, self.plan.seed, &link);
        let about: Vec<RuleId> = RuleId::of("delivery.nothing-lost").into_iter().collect();
        for _ in 0..self.plan.random {
            progress(1);
            let candidate = generator.candidate();
            let scenario = candidate.scenario();
            if crate::generate::is_idle(&scenario) {
                continue;
            }
            let Some((_, first)) = self.run_once(&scenario, way, &about) else { continue };
            let rule = first.1.rule;
            if self.findings.contains_key(&rule) {
                continue;
            }
            // A race may not show at once: each simpler scenario gets a few chances.
            let (scenario, found) = candidate.shrink(first, |simpler| {
                let again = |_| self.run_once(simpler, way, &about);
                let mut found = (0..3).filter_map(again).map(|(_, found)| found);
                found.find(|(_, counterexample)| counterexample.rule == rule)
            });
            self.note(found.0, found.1, scenario, way);
        }
    }

    /// Runs the scenario and checks what came of it. Answers what rule it broke, if it broke one.
    fn run_once(
        &mut self,
        scenario: &Scenario,
        way: Way,
        about: &[RuleId],
    ) -> Option<(Scenario, (CellVerdict, Counterexample))> {
        if let Some(why) = self.given_up.clone() {
            self.trouble(about, CellVerdict::Broken, &why);
            return None;
        }
        self.runs += 1;
        let profile = self.claim.profile;
        let begun = Instant::now();
        let execution = execute(self.host, self.claim, scenario, way);
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
            End::Broken(why) => {
                self.wasted += begun.elapsed();
                if self.wasted > WASTE {
                    self.given_up = Some(format!("given up after run {}: {why}", self.runs));
                }
                self.trouble(about, CellVerdict::Broken, &why);
                return None;
            }
        }
        match check(&profile, &execution.history) {
            Verdict::Pass { coverage, deviations } => {
                for rule in coverage.any.iter() {
                    *self.fired.entry(rule).or_default() += 1;
                }
                let kept =
                    coverage.every.or(ipc_model::check::exercised(&profile, &execution.history));
                let missed: RuleSet = deviations.iter().map(|d| d.rule).collect();
                for rule in kept.iter().filter(|r| !missed.contains(*r)) {
                    *self.evidence.entry(rule).or_default() += 1;
                }
                let deviation = deviations.into_iter().next()?;
                Some((scenario.clone(), (CellVerdict::Deviates, deviation)))
            }
            Verdict::Fail(_) if scenario.asleep == 0 && rests_on_sleep(&profile, &execution) => {
                let surer = Scenario { asleep: SURELY_ASLEEP, ..scenario.clone() };
                self.run_once(&surer, way, about)
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
            self.troubles.entry(*rule).or_insert_with(|| (verdict, why.into()));
        }
    }

    /// Keeps one counterexample of each rule: one that does not hang on a race, if there is one, and
    /// of those the shortest.
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
        let rank = |s: &Scenario, c: &Counterexample| (!s.is_ordered(), c.history.operations.len());
        let better = rank(&scenario, &counterexample);
        let worse = |f: &Finding| rank(&f.scenario, &f.counterexample) > better;
        if self.findings.get(&rule).is_none_or(worse) {
            self.findings.insert(rule, Finding { verdict, counterexample, scenario, way });
        }
    }

    fn into_result(self) -> LinkResult {
        let link = format!("{}/{}", self.adapter, self.claim.link);
        let mut cells = Vec::new();
        let mut replays = BTreeMap::new();
        for entry in rulebook::all() {
            let Decided::Model(rule) = entry.decided else { continue };
            let evidence = self.evidence.get(&rule).copied().unwrap_or(0);
            let why = format!("needed and kept in {evidence} runs");
            let mut cell = Cell::plain(&link, entry.about.id, CellVerdict::Pass, &why);
            cell.evidence = evidence;
            let claimed = entry.is_claimed(self.claim);
            if let Some(finding) = self.findings.get(&rule) {
                cell.verdict = finding.verdict;
                cell.why = finding.counterexample.to_string();
                cell.observed = vec![outcome(&finding.counterexample)];
                let history = &finding.counterexample.history;
                cell.picture = Some(lanes::draw(history, Some(&finding.counterexample)));
                let (scenario, way) = (&finding.scenario.name, finding.way);
                cell.trace = Some(Trace::of(&finding.counterexample, scenario, way));
                replays.insert(rule.to_string(), self.replay(rule, finding));
            } else if !claimed {
                cell = Cell::not_claimed(&link, entry.about.id);
            } else if let Some((verdict, why)) = self.troubles.get(&rule) {
                cell.verdict = *verdict;
                cell.why = why.clone();
            } else if self.only.is_some_and(|only| !only.contains(rule)) {
                cell.verdict = CellVerdict::Inconclusive;
                cell.why = crate::NOT_ASKED.into();
            } else if let (0, Some(why)) = (evidence, &self.given_up) {
                cell.verdict = CellVerdict::Broken;
                cell.why = why.clone();
            } else if evidence == 0 {
                cell.verdict = CellVerdict::Inconclusive;
                cell.why = crate::NOT_NEEDED.into();
            }
            cells.push(cell);
        }
        let steps = tours::steps(self.claim, &self.fired);
        LinkResult { cells, replays, runs: self.runs, steps }
    }

    fn replay(&self, rule: RuleId, finding: &Finding) -> Replay {
        Replay::new(
            &self.adapter,
            self.claim,
            rule,
            finding.way,
            &finding.scenario,
            &finding.counterexample.history,
        )
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
fn progresses(profile: &Profile, history: &History) -> bool {
    let verdict = check(profile, history);
    !matches!(verdict.counterexample(), Some(c) if c.got == Got::Stuck)
}

/// What was seen, in words that are the same from run to run.
fn outcome(counterexample: &Counterexample) -> String {
    let got = match counterexample.got {
        Got::Stuck => "never returned".into(),
        Got::Returned(ipc_model::Ret::Received(_)) => "a message".into(),
        Got::Returned(ipc_model::Ret::Torn(_)) => "torn bytes".into(),
        Got::Returned(ret) => ret.to_string(),
    };
    format!("{}: {got}", counterexample.op.name())
}
