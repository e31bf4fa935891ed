//! `objects`: shared memory and mailbox names of the system this runs on, against their models.

use clap::Args;
use ipc_conformance::objects::{self, NAMES, ONE_USER};
use ipc_conformance::report::{Cell, CellVerdict};
use ipc_conformance::rulebook::Asked;

use super::{FAILS, INCONCLUSIVE, WELL};

#[derive(Args)]
pub(crate) struct ObjectsArguments {
    /// Systems, such as `posix-shm`. Default: all of them.
    systems: Vec<String>,
    /// How many random programs are run on each.
    #[arg(long, default_value_t = 300)]
    programs: u64,
    /// The seed of the programs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(super) fn objects(arguments: &ObjectsArguments) -> anyhow::Result<u8> {
    let all: Vec<String> = NAMES.iter().map(ToString::to_string).collect();
    let systems = if arguments.systems.is_empty() { &all } else { &arguments.systems };
    let program = std::env::current_exe()?;
    let mut worst = WELL;
    for system in systems {
        let programs = (arguments.seed, 0..arguments.programs);
        let result = objects::decide(&program, system, programs, &Asked::EVERYTHING, &|_| {});
        worst = match (worst, tell(system, &result.map_err(anyhow::Error::msg)?.cells)) {
            (FAILS, _) | (_, FAILS) => FAILS,
            (before, now) => before.max(now),
        };
    }
    Ok(worst)
}

fn tell(system: &str, cells: &[Cell]) -> u8 {
    super::say!("{system}");
    let mut worst = WELL;
    for cell in cells.iter().filter(|cell| cell.why != objects::ANOTHER_MODEL) {
        let Cell { rule, verdict, why, .. } = cell;
        super::say!("  {} {rule:<44} {why}", verdict.sign());
        for line in cell.picture.iter().flat_map(|picture| picture.lines()) {
            super::say!("      {line}");
        }
        worst = match verdict {
            CellVerdict::Fail => FAILS,
            CellVerdict::Inconclusive if worst == WELL && why != ONE_USER => INCONCLUSIVE,
            _ => worst,
        };
    }
    worst
}

pub(super) fn worker(system: &str, prefix: &str) -> anyhow::Result<u8> {
    objects::serve(system, prefix).map_err(anyhow::Error::msg)?;
    Ok(WELL)
}
