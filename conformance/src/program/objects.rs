//! `objects`: shared memory and mailbox names, of this system and through crates, against their
//! models.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use ipc_conformance::objects::{self, ONE_USER, Subject};
use ipc_conformance::report::{Cell, CellVerdict};
use ipc_conformance::rulebook::Asked;
use ipc_conformance::{deviation, versions};

use super::run::read_deviations;
use super::{FAILS, INCONCLUSIVE, WELL};

#[derive(Args)]
pub(crate) struct ObjectsArguments {
    /// Systems and crates, such as `posix-shm`. Default: all of them.
    systems: Vec<String>,
    /// How many random programs are run on each.
    #[arg(long, default_value_t = 300)]
    programs: u64,
    /// The seed of the programs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where replay files go. Default: `target/ipc-conform/replay`.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn objects(arguments: &ObjectsArguments) -> anyhow::Result<u8> {
    let usable = objects::usable();
    let mut names: Vec<&str> = arguments.systems.iter().map(String::as_str).collect();
    if names.is_empty() {
        names = usable;
    }
    let deviations = read_deviations(None)?;
    let own = std::env::current_exe()?;
    let programs = objects::build(&names, &own).map_err(anyhow::Error::msg)?;
    let default = || versions::target().join("ipc-conform/replay");
    let out = arguments.out.clone().unwrap_or_else(default);
    let mut worst = WELL;
    for (name, program) in names.into_iter().zip(&programs) {
        let offer = objects::offer(name, program).map_err(anyhow::Error::msg)?;
        let subject = Subject { name, program, offer: &offer };
        let programs = (arguments.seed, 0..arguments.programs);
        let decided = objects::decide(&subject, programs, &Asked::EVERYTHING, &|_| {});
        let (result, files) = decided.map_err(anyhow::Error::msg)?;
        let mut cells = result.cells;
        deviation::mark(&deviations, &offer.version, &mut cells);
        for cell in &mut cells {
            let Some(text) = files.get(&cell.rule) else { continue };
            let path = out.join(format!("{}-{}.json", cell.link.replace('/', "-"), cell.rule));
            std::fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
            std::fs::write(&path, text).with_context(|| path.display().to_string())?;
            cell.replay = Some(path.display().to_string());
        }
        worst = match (worst, tell(name, &cells)) {
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
        if let Some(known) = &cell.known {
            super::say!("      known: {known}");
        }
        if let Some(replay) = &cell.replay {
            super::say!("      again: ipc-conform replay --run {replay}");
        }
        worst = match verdict {
            _ if cell.known.is_some() => worst,
            CellVerdict::Fail => FAILS,
            CellVerdict::Inconclusive if worst == WELL && why != ONE_USER => INCONCLUSIVE,
            _ => worst,
        };
    }
    worst
}

pub(super) fn worker(system: &str, prefix: &str, without_input: bool) -> anyhow::Result<u8> {
    objects::serve(system, prefix, without_input).map_err(anyhow::Error::msg)?;
    Ok(WELL)
}
