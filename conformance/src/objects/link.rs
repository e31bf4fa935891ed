//! Named objects as links of the report: what each claims, and its cells.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use ipc_model::machine::{Described, User};
use ipc_model::namespace::{Namespace, OddNames, Recreation, Withdrawal};
use ipc_model::region::{Region, Resized};
use ipc_model::{Kind, machine, namespace, region};

use super::{Found, Offer, Programs, Replay, Served, Setting, System, Users, run};
use crate::report::{Cell, CellVerdict, Steps};
use crate::rulebook::Asked;
use crate::suite::{LinkResult, Plan};

/// What the links of this module are called before their slash.
pub const ADAPTER: &str = "objects";

/// Why links that carry messages have no verdict on rules of objects, nor objects on theirs.
pub const ANOTHER_MODEL: &str = "the rule is of another model";

/// The rules of objects that can be seen from outside, in the order of reports.
pub fn rules() -> impl Iterator<Item = Described> {
    of::<Region>().chain(of::<Namespace>())
}

fn of<M: Programs>() -> impl Iterator<Item = Described> {
    let seen = |rule: &&machine::Rule<M>| match rule.kind {
        Kind::Internal => false,
        Kind::Property => !M::shown_by(rule.id).is_empty(),
        _ => true,
    };
    M::rules().iter().filter(seen).map(Described::from)
}

/// The steps in which a property of objects shows itself; none for any other rule.
pub fn shown_by(property: &str) -> &'static [&'static str] {
    match Region::shown_by(property) {
        [] => Namespace::shown_by(property),
        steps => steps,
    }
}

/// Why a property passes that these steps show.
pub fn shown(steps: &[&str]) -> String {
    format!("all that shows it was needed and kept: {}", steps.join(", "))
}

/// What shared memory claims here.
pub fn memory() -> Region {
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    let page = page.ok().flatten().map_or(4096, |page| page as u64);
    Region { page, resized: Resized::Current }
}

/// What the names of mailboxes claim here.
pub fn names() -> Namespace {
    Namespace {
        longest: 255,
        odd_names: OddNames::Refused,
        recreation: Recreation::Succeeds,
        places: 2,
        withdrawal: Withdrawal::OfAnyHandle,
    }
}

/// By rule, the programs in which the model itself follows it, each by its number: our systems'
/// profiles first, then those that leave open what a standard leaves open.
pub fn programs() -> BTreeMap<&'static str, Vec<String>> {
    let mut programs = BTreeMap::new();
    for machine in [memory(), Region { resized: Resized::Unspecified, ..memory() }] {
        note_programs(machine, &region::Ret::Done, &mut programs);
    }
    for machine in [names(), Namespace::default()] {
        note_programs(machine, &namespace::Ret::Done, &mut programs);
    }
    programs
}

/// How many programs the model is asked about, and how many are named.
const LISTED: (u64, usize) = (120, 3);

fn note_programs<M: Programs>(
    machine: M,
    lost: &M::Ret,
    programs: &mut BTreeMap<&'static str, Vec<String>>,
) {
    for number in 0..LISTED.0 {
        let open = |s: &Setting| Ok(Served::new(machine, &s.users, None, lost.clone()));
        let one = (1, number..number + 1);
        let found = run(machine, OTHERS, one, open, &|_| {}).unwrap_or_default();
        for (rule, _) in found.iter().filter(|(_, found)| found.evidence > 0) {
            let names: &mut Vec<String> = programs.entry(rule).or_default();
            if names.len() < LISTED.1 {
                names.push(format!("program-{number}"));
            }
        }
    }
}

/// How many programs a plan runs on each system.
pub fn size(plan: Plan) -> u64 {
    120 * u64::from(plan.repeat)
}

/// What programs are run on.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// One of [`super::NAMES`].
    pub name: &'a str,
    /// The program that carries calls out: this one, or that of a crate.
    pub program: &'a Path,
    /// What it offers.
    pub offer: &'a Offer,
}

/// Runs the programs of these numbers on the subject. Answers what came of it, and by rule the
/// replay files of what is broken.
///
/// # Errors
/// Why it cannot be run.
pub fn decide(
    subject: &Subject<'_>,
    (seed, numbers): (u64, Range<u64>),
    asked: &Asked,
    progress: &dyn Fn(u64),
) -> Result<(LinkResult, BTreeMap<String, String>), String> {
    let runs = u32::try_from(numbers.end - numbers.start).unwrap_or(u32::MAX);
    let programs = (seed, numbers);
    let found = if is_of_names(subject.name) {
        hold(names(), subject, programs, progress)
    } else {
        hold(memory(), subject, programs, progress)
    }?;
    let link = format!("{ADAPTER}/{}", subject.name);
    let cells = rules().map(|rule| cell(&link, rule.id, &found, subject.offer, asked)).collect();
    let mut files = BTreeMap::new();
    for (rule, found) in &found {
        if let Some(again) = &found.again {
            let replay = Replay::new(subject.name, rule, again.clone());
            let text = serde_json::to_string_pretty(&replay).map_err(|e| e.to_string())?;
            files.insert((*rule).to_owned(), text);
        }
    }
    let steps = steps(&found, subject.offer);
    Ok((LinkResult { cells, replays: BTreeMap::new(), runs, steps }, files))
}

/// Whether the model of names is the one that what is called so is held against.
pub(super) fn is_of_names(name: &str) -> bool {
    name == "posix-mq"
}

/// Two users that own nothing else, for a run as root.
const OTHERS: Users = [User(61_001), User(61_002)];

/// Whether processes are to run as those, and not as whoever runs this.
pub(super) fn as_others(offer: &Offer) -> bool {
    offer.users && nix::unistd::geteuid().is_root()
}

fn hold<M: Programs>(
    machine: M,
    subject: &Subject<'_>,
    programs: (u64, Range<u64>),
    progress: &dyn Fn(u64),
) -> Result<BTreeMap<&'static str, Found>, String> {
    let others = as_others(subject.offer);
    let me = User(nix::unistd::getuid().as_raw() as u16);
    let users = if others { OTHERS } else { [me, me] };
    let open = |setting: &Setting| System::start(subject, setting, others);
    run(machine, users, programs, open, progress)
}

/// A cell that says that link and rule have nothing to do with one another.
pub fn another_model(link: &str, rule: &str) -> Cell {
    Cell::plain(link, rule, CellVerdict::NotClaimed, ANOTHER_MODEL)
}

fn cell(
    link: &str,
    rule: &str,
    found: &BTreeMap<&'static str, Found>,
    offer: &Offer,
    asked: &Asked,
) -> Cell {
    let Some(found) = found.get(rule) else { return another_model(link, rule) };
    if !asked.includes(rule) {
        return Cell::plain(link, rule, CellVerdict::Inconclusive, crate::NOT_ASKED);
    }
    // What is broken is told, claimed or not.
    if let Some(reason) = offer.unclaimed(rule).filter(|_| found.verdict != CellVerdict::Fail) {
        return Cell::plain(link, rule, CellVerdict::NotClaimed, reason);
    }
    Cell {
        evidence: found.evidence,
        picture: found.picture.clone(),
        ..Cell::plain(link, rule, found.verdict, &found.why)
    }
}

/// Which steps the programs took, and why they took no others.
fn steps(found: &BTreeMap<&'static str, Found>, offer: &Offer) -> Steps {
    let property = |id: &str| rules().any(|rule| rule.id == id && rule.kind == Kind::Property);
    let mut steps = Steps::default();
    for (rule, found) in found.iter().filter(|(rule, _)| !property(rule)) {
        let why = offer.unclaimed(rule).unwrap_or(&found.why).to_owned();
        match found.evidence {
            0 => drop(steps.unfired.insert((*rule).into(), why)),
            runs => drop(steps.fired.insert((*rule).into(), runs)),
        }
    }
    steps
}
