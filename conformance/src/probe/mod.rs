//! Probes: rules that take a look at the real world, because no history shows whether they are
//! kept: descriptors, names, files, other users.

mod futures;
mod resources;

use ipc_model::machine::Described;

use crate::adapter::Claim;
use crate::protocol::Way;
use crate::report::{Cell, CellVerdict};
use crate::rulebook::Asked;
use crate::run::Host;
use crate::suite::Plan;

/// Every probe, in the order of reports.
pub const PROBES: &[&Probe] = &[
    &resources::DESCRIPTORS,
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
}

impl Found {
    /// The rule was needed, and kept.
    pub fn kept(why: impl Into<String>) -> Self {
        Self { verdict: CellVerdict::Pass, why: why.into() }
    }

    /// The rule was broken.
    pub fn broken(why: impl Into<String>) -> Self {
        Self { verdict: CellVerdict::Fail, why: why.into() }
    }

    /// The look could not tell.
    pub fn inconclusive(why: impl Into<String>) -> Self {
        Self { verdict: CellVerdict::Inconclusive, why: why.into() }
    }

    /// The adapter or the machine is at fault.
    pub fn no_look(why: impl Into<String>) -> Self {
        Self { verdict: CellVerdict::Broken, why: why.into() }
    }
}

/// The cells of one link, one for each probe.
pub fn run(host: &mut Host, claim: &Claim, plan: Plan, asked: &Asked) -> Vec<Cell> {
    PROBES.iter().map(|probe| cell(probe, host, claim, plan, asked)).collect()
}

fn cell(probe: &Probe, host: &mut Host, claim: &Claim, plan: Plan, asked: &Asked) -> Cell {
    let link = format!("{}/{}", host.name, claim.link);
    let cell = |found: Found, evidence| Cell {
        evidence,
        ..Cell::plain(&link, probe.about.id, found.verdict, &found.why)
    };
    if !(probe.claimed)(claim) {
        return Cell::not_claimed(&link, probe.about.id);
    }
    if !asked.includes(probe.about.id) {
        return cell(Found::inconclusive(crate::NOT_ASKED), 0);
    }
    let mut kept = None;
    let mut evidence = 0;
    for way in claim.ways() {
        let found = (probe.look)(&mut Subject { host, claim, way, plan });
        if found.verdict != CellVerdict::Pass {
            let why = format!("by {way}: {}", found.why);
            return cell(Found { why, ..found }, 0);
        }
        evidence += 1;
        kept = Some(found);
    }
    let found = kept.unwrap_or_else(|| Found::inconclusive(crate::NOT_NEEDED));
    cell(found, evidence)
}
