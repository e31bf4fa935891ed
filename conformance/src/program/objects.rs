//! `objects`: shared memory and mailbox names of the system this runs on, against their models.

use std::collections::BTreeMap;

use clap::Args;
use ipc_conformance::objects::{self, Found, NAMES, Programs, System};
use ipc_conformance::report::CellVerdict;
use ipc_model::machine::User;
use ipc_model::namespace::{Namespace, OddNames, Recreation};
use ipc_model::region::{Region, Resized};

use super::{FAILS, INCONCLUSIVE, USAGE, WELL};

#[derive(Args)]
pub(crate) struct ObjectsArguments {
    /// `posix-shm` or `posix-mq`. Default: both.
    systems: Vec<String>,
    /// How many random programs are run on each.
    #[arg(long, default_value_t = 150)]
    programs: u32,
    /// The seed of the programs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Two users that own nothing else, for a run as root.
const OTHERS: [User; 2] = [User(61_001), User(61_002)];

pub(super) fn objects(arguments: &ObjectsArguments) -> anyhow::Result<u8> {
    let all: Vec<String> = NAMES.iter().map(ToString::to_string).collect();
    let systems = if arguments.systems.is_empty() { &all } else { &arguments.systems };
    let mut worst = WELL;
    for system in systems {
        let found = match system.as_str() {
            "posix-shm" => {
                let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)?;
                let page = page.map_or(4096, |page| page as u64);
                hold(Region { page, resized: Resized::Current }, system, arguments)?
            }
            "posix-mq" => {
                let (odd_names, recreation) = (OddNames::Refused, Recreation::Succeeds);
                hold(Namespace { longest: 255, odd_names, recreation }, system, arguments)?
            }
            other => {
                anyhow::bail!("no system is called {other:?}; there are: {}", NAMES.join(", "))
            }
        };
        worst = match (worst, tell(system, &found)) {
            (FAILS, _) | (_, FAILS) => FAILS,
            (before, now) => before.max(now),
        };
    }
    Ok(worst)
}

fn hold<M: Programs>(
    machine: M,
    system: &str,
    arguments: &ObjectsArguments,
) -> anyhow::Result<BTreeMap<&'static str, Found>> {
    let program = std::env::current_exe()?;
    let root = nix::unistd::geteuid().is_root();
    let me = User(nix::unistd::getuid().as_raw() as u16);
    let users = if root { OTHERS } else { [me, me] };
    // Two of one user first, then, where that may be, one of each of two.
    let mut found = BTreeMap::new();
    for users in [[users[0], users[0]], users] {
        let open = || System::start(&program, system, &users, root);
        let more = objects::run(machine, &users, arguments.seed, arguments.programs, open);
        for (rule, new) in more.map_err(anyhow::Error::msg)? {
            let better = |old: &Found| rank(new.verdict) > rank(old.verdict);
            if found.get(rule).is_none_or(better) {
                found.insert(rule, new);
            }
        }
    }
    Ok(found)
}

/// Which of two verdicts on one rule stays: the worse one, but anything before "cannot tell".
fn rank(verdict: CellVerdict) -> u8 {
    match verdict {
        CellVerdict::Inconclusive | CellVerdict::NotClaimed => 0,
        CellVerdict::Pass => 1,
        _ => 2,
    }
}

fn tell(system: &str, found: &BTreeMap<&'static str, Found>) -> u8 {
    super::say!("{system}");
    let mut worst = WELL;
    for (rule, Found { verdict, why }) in found {
        super::say!("  {} {rule:<44} {why}", verdict.sign());
        worst = match verdict {
            CellVerdict::Pass | CellVerdict::NotClaimed => worst,
            CellVerdict::Fail => FAILS,
            CellVerdict::Inconclusive if worst == WELL => INCONCLUSIVE,
            CellVerdict::Inconclusive => worst,
            _ => USAGE,
        };
    }
    worst
}

pub(super) fn worker(system: &str, prefix: &str) -> anyhow::Result<u8> {
    objects::serve(system, prefix).map_err(anyhow::Error::msg)?;
    Ok(WELL)
}
