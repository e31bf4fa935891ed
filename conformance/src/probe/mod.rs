//! Probes: rules that take a look at the real world, because no history shows whether they are
//! kept: descriptors, names, files, other users.

mod access;
mod cost;
mod futures;
mod handles;
mod inside;
mod lifetime;
mod memory;
mod neighbours;
mod resources;
mod timing;

use std::collections::BTreeSet;

use ipc_model::machine::Described;
use ipc_model::{Force, Got, History, Kind, Profile, Scenario, Source, Verdict, check, scenarios};

use crate::adapter::Claim;
use crate::protocol::Way;
use crate::report::{Cell, CellVerdict};
use crate::rulebook::Asked;
use crate::run::{Course, End, Host};
use crate::suite::{Plan, progresses};

/// What is written about a rule that a probe decides.
const fn about(
    id: &'static str,
    says: &'static str,
    sources: &'static [Source],
    force: Force,
) -> Described {
    Described { id, says, sources, force, kind: Kind::Property }
}

/// Every probe, in the order of reports.
pub const PROBES: &[&Probe] = &[
    &resources::DESCRIPTORS,
    &resources::NAMES,
    &resources::MEMORY,
    &resources::GUESTS,
    &lifetime::EXIT,
    &lifetime::NAME_AFTER_END,
    &lifetime::NAME_AFTER_KILL,
    &lifetime::EXEC,
    &neighbours::FAILURE,
    &timing::ZERO,
    &timing::LARGEST,
    &inside::OBSERVERS,
    &inside::OWNERSHIP,
    &handles::CLONED,
    &handles::LEAKED,
    &handles::KEPT,
    &handles::BATCHES,
    &handles::LARGE,
    &handles::FORKED,
    &handles::FORKED_DROPS,
    &access::MODES,
    &access::PRIVATE,
    &cost::SEEN,
    &cost::CLAIMED,
    &memory::ERRORS,
    &futures::WAKE_WHEN_READY,
    &futures::WAKE_LATEST_WAKER,
    &futures::WAKE_PASSED_ON,
    &futures::SEND_DROPPED,
    &futures::RECEIVE_DROPPED,
];

/// A rule, and how it is looked at.
#[derive(Debug)]
pub struct Probe {
    /// What is written about the rule.
    pub about: Described,
    /// Whether the link claims it.
    pub claimed: fn(&Claim) -> bool,
    /// Whether it takes so long that only the deep level has the time.
    pub deep: bool,
    /// The way to run the link in which there is something to see; `None` for either.
    pub way: Option<Way>,
    /// Takes the look, at a link that claims it, once for each way to run it.
    pub look: fn(&mut Subject<'_>) -> Found,
}

/// What a probe looks at.
pub struct Subject<'a> {
    /// The adapter's program.
    pub host: &'a mut Host,
    /// The link.
    pub claim: &'a Claim,
    /// Whether its ends are held by threads or by processes.
    pub way: Way,
    /// How much is run.
    pub plan: Plan,
}

/// What a look has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The verdict.
    pub verdict: CellVerdict,
    /// What it rests on, in words.
    pub why: String,
    /// What was observed, in words that are the same from run to run.
    pub observed: Vec<String>,
}

impl Found {
    fn of(verdict: CellVerdict, why: impl Into<String>) -> Self {
        Self { verdict, why: why.into(), observed: Vec::new() }
    }

    /// The rule was needed, and kept.
    pub fn kept(why: impl Into<String>) -> Self {
        Self::of(CellVerdict::Pass, why)
    }

    /// The rule was broken.
    pub fn broken(why: impl Into<String>) -> Self {
        Self::of(CellVerdict::Fail, why)
    }

    /// The rule leaves it open, and this is what was seen.
    pub fn observed(why: impl Into<String>, observed: impl IntoIterator<Item = String>) -> Self {
        let observed: BTreeSet<String> = observed.into_iter().collect();
        Self { observed: observed.into_iter().collect(), ..Self::of(CellVerdict::Observed, why) }
    }

    /// The look could not tell.
    pub fn inconclusive(why: impl Into<String>) -> Self {
        Self::of(CellVerdict::Inconclusive, why)
    }

    /// The code under test was ended by a signal, or panicked.
    pub fn crash(why: impl Into<String>) -> Self {
        Self::of(CellVerdict::Crash, why)
    }

    /// The adapter or the machine is at fault.
    pub fn no_look(why: impl Into<String>) -> Self {
        Self::of(CellVerdict::Broken, why)
    }

    /// What a run says that came to no rest; `None` if it did.
    fn of_end(end: &End) -> Option<Self> {
        match end {
            End::AtRest => None,
            End::Crash(signal, _) => Some(Self::crash(format!("ended by signal {signal}"))),
            End::Panic(why) => Some(Self::crash(why.clone())),
            End::Broken(why) => Some(Self::no_look(why.clone())),
        }
    }
}

impl Subject<'_> {
    /// Runs the scenario on this course, and answers its history, or what came of it instead.
    fn run(&mut self, scenario: &Scenario, course: &mut Course<'_>) -> Result<History, Found> {
        let profile = self.claim.profile;
        let explains = |history: &History| progresses(&profile, history);
        let run = self.host.run_on(&self.claim.link, scenario, self.way, &explains, course);
        Found::of_end(&run.end).map_or(Ok(run.history), Err)
    }

    /// Runs a plain use of the link, so that the adapter's own process is there and has opened what
    /// all links share; answers the number of that process.
    fn warm_up(&mut self) -> Result<(Scenario, u32), Found> {
        let scenario = self.plain()?;
        self.run(&scenario, &mut Course::default())?;
        let pid = self.host.pid().ok_or_else(|| Found::no_look("the adapter has ended"))?;
        Ok((scenario, pid))
    }

    /// What the model says of the history.
    fn judge(&self, history: &History, kept: impl Into<String>) -> Found {
        self.judge_by(&self.claim.profile, history, kept)
    }

    /// What the model says of the history, by this profile.
    fn judge_by(&self, profile: &Profile, history: &History, kept: impl Into<String>) -> Found {
        match check(profile, history) {
            Verdict::Pass { .. } => Found::kept(kept),
            Verdict::Fail(counterexample) => match counterexample.got {
                Got::Stuck => Found::of(CellVerdict::Hang, counterexample.to_string()),
                Got::Returned(_) => Found::broken(counterexample.to_string()),
            },
            Verdict::Inconclusive(why) => Found::inconclusive(why),
        }
    }

    /// A plain use of the link: a few messages sent and received, nobody killed.
    fn plain(&self) -> Result<Scenario, Found> {
        let standard = scenarios::standard(&self.claim.profile);
        let plain = standard.into_iter().map(|s| s.scenario).find(|s| !s.kills());
        plain.ok_or_else(|| Found::inconclusive("no scenario fits the link"))
    }

    /// Whether the level has the time for much.
    fn at_length(&self) -> bool {
        self.plan.repeat > 1
    }
}

/// What this probe finds on a link, in every way to run it.
pub fn run(probe: &Probe, host: &mut Host, claim: &Claim, plan: Plan, asked: &Asked) -> Cell {
    let link = format!("{}/{}", host.name, claim.link);
    let cell = |found: Found, evidence| Cell {
        evidence,
        observed: found.observed,
        ..Cell::plain(&link, probe.about.id, found.verdict, &found.why)
    };
    if !(probe.claimed)(claim) {
        return Cell::not_claimed(&link, probe.about.id);
    }
    if !asked.includes(probe.about.id) || (probe.deep && !plan.is_deep()) {
        return cell(Found::inconclusive(crate::NOT_ASKED), 0);
    }
    let mut kept: Option<Found> = None;
    let mut evidence = 0;
    for way in claim.ways().filter(|way| probe.way.is_none_or(|only| only == *way)) {
        let found = (probe.look)(&mut Subject { host, claim, way, plan });
        match (found.verdict, &mut kept) {
            // What is observed either way is one set.
            (CellVerdict::Observed, Some(before)) => {
                let both: BTreeSet<String> =
                    found.observed.into_iter().chain(before.observed.drain(..)).collect();
                before.observed = both.into_iter().collect();
            }
            (CellVerdict::Pass | CellVerdict::Observed, _) => kept = Some(found),
            _ => {
                let why = format!("by {way}: {}", found.why);
                return cell(Found { why, ..found }, 0);
            }
        }
        evidence += 1;
    }
    let found = kept.unwrap_or_else(|| Found::inconclusive(crate::NOT_NEEDED));
    cell(found, evidence)
}
