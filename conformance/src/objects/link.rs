//! Named objects as links of the report: what each claims, and its cells.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use ipc_model::machine::{Described, User};
use ipc_model::namespace::{Namespace, OddNames, Recreation, Withdrawal};
use ipc_model::region::{Region, Resized};
use ipc_model::{Kind, machine, namespace, region};

use super::{Found, NAMES, Programs, Served, System, Users, run};
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

/// What a system claims, in words; `None` where no system is called so.
pub fn claims(system: &str) -> Option<BTreeMap<String, String>> {
    let words = |pairs: &[(&str, String)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    };
    match system {
        "posix-shm" => {
            let page = format!("{} bytes", memory().page);
            let resized = "a mapping follows the object's size at once".to_owned();
            Some(words(&[("Page", page), ("Change of size", resized)]))
        }
        "posix-mq" => {
            let Namespace { longest, places, .. } = names();
            Some(words(&[
                ("Names", format!("up to {longest} bytes behind a slash; others are refused")),
                ("Capacity", format!("{places} messages")),
                ("Notification", "taken back by any close of the process, not only by that of the handle it was asked through, as POSIX has it".into()),
                ("A name used again", "makes another mailbox beside the one that lost it".into()),
            ]))
        }
        _ => None,
    }
}

/// Where the system's claims are written.
pub fn documented(system: &str) -> Vec<String> {
    let places: &[&str] = match system {
        "posix-shm" => &[
            "POSIX.1-2024 shm_open, shm_unlink, ftruncate, mmap, munmap, close",
            "https://man7.org/linux/man-pages/man7/shm_overview.7.html",
        ],
        "posix-mq" => &[
            "POSIX.1-2024 mq_open, mq_close, mq_unlink, mq_send, mq_receive, mq_notify",
            "https://man7.org/linux/man-pages/man7/mq_overview.7.html",
        ],
        _ => &[],
    };
    places.iter().map(ToString::to_string).collect()
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
        let open = |users: &Users| Ok(Served::new(machine, users, None, lost.clone()));
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

/// Runs the programs of these numbers on the system of this name. `program`: see
/// [`System::start`].
///
/// # Errors
/// Why it cannot be run.
pub fn decide(
    program: &Path,
    system: &str,
    (seed, numbers): (u64, Range<u64>),
    asked: &Asked,
    progress: &dyn Fn(u64),
) -> Result<LinkResult, String> {
    let runs = u32::try_from(numbers.end - numbers.start).unwrap_or(u32::MAX);
    let programs = (seed, numbers);
    let found = match system {
        "posix-shm" => hold(memory(), program, system, programs, progress),
        "posix-mq" => hold(names(), program, system, programs, progress),
        other => Err(format!("no system is called {other:?}; there are: {}", NAMES.join(", "))),
    }?;
    let link = format!("{ADAPTER}/{system}");
    let cells = rules().map(|rule| cell(&link, rule.id, found.get(rule.id), asked));
    Ok(LinkResult { cells: cells.collect(), replays: BTreeMap::new(), runs, steps: steps(&found) })
}

/// Two users that own nothing else, for a run as root.
const OTHERS: Users = [User(61_001), User(61_002)];

fn hold<M: Programs>(
    machine: M,
    program: &Path,
    system: &str,
    programs: (u64, Range<u64>),
    progress: &dyn Fn(u64),
) -> Result<BTreeMap<&'static str, Found>, String> {
    let root = nix::unistd::geteuid().is_root();
    let me = User(nix::unistd::getuid().as_raw() as u16);
    let users = if root { OTHERS } else { [me, me] };
    let open = |users: &Users| System::start(program, system, users, root);
    run(machine, users, programs, open, progress)
}

/// A cell that says that link and rule have nothing to do with one another.
pub fn another_model(link: &str, rule: &str) -> Cell {
    Cell::plain(link, rule, CellVerdict::NotClaimed, ANOTHER_MODEL)
}

fn cell(link: &str, rule: &str, found: Option<&Found>, asked: &Asked) -> Cell {
    let Some(found) = found else { return another_model(link, rule) };
    if !asked.includes(rule) {
        return Cell::plain(link, rule, CellVerdict::Inconclusive, crate::NOT_ASKED);
    }
    Cell {
        evidence: found.evidence,
        picture: found.picture.clone(),
        ..Cell::plain(link, rule, found.verdict, &found.why)
    }
}

/// Which steps the programs took, and why they took no others.
fn steps(found: &BTreeMap<&'static str, Found>) -> Steps {
    let property = |id: &str| rules().any(|rule| rule.id == id && rule.kind == Kind::Property);
    let mut steps = Steps::default();
    for (rule, found) in found.iter().filter(|(rule, _)| !property(rule)) {
        match found.evidence {
            0 => drop(steps.unfired.insert((*rule).into(), found.why.clone())),
            runs => drop(steps.fired.insert((*rule).into(), runs)),
        }
    }
    steps
}
