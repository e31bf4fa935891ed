//! What links cost, side by side in one run. `ipc-conform bench` builds and starts it.
//!
//! The program starts itself again for every cell of the table: such a process makes a link,
//! forks the holder of the other end, and measures.

mod calls;
mod cell;
mod claims;
mod clock;
mod contenders;
mod control;
mod goals;
mod link;
mod plot;
mod report;
mod rounds;
mod table;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Parser;
use ipc_conformance::bench::BenchArguments;
use ipc_conformance::{temporary, versions};

use report::{Environment, Report, Row};
use rounds::Run;

/// Measures what links cost, side by side in one run.
#[derive(Parser)]
#[command(name = "ipc-bench", version)]
struct Arguments {
    #[command(flatten)]
    bench: BenchArguments,
    /// Measures one cell and prints the sample: how this program calls itself.
    #[arg(long, hide = true)]
    cell: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.cell {
        Some(cell) => measure(cell),
        None => bench(&arguments.bench),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("ipc-bench: {why:#}");
            ExitCode::from(2)
        }
    }
}

fn measure(cell: &str) -> Result<()> {
    // SAFETY: this changes a property of the calling process alone.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let cell: link::Cell = serde_json::from_str(cell)?;
    let contender = contenders::ALL.iter().find(|c| c.name == cell.contender);
    let sample = (contender.context("nobody has this name")?.measure)(&cell)?;
    println!("{}", serde_json::to_string(&sample)?);
    Ok(())
}

fn bench(arguments: &BenchArguments) -> Result<()> {
    let begun = Instant::now();
    let contenders = rounds::chosen(|name| arguments.wants(name));
    if contenders.len() == 1 && !arguments.wants(contenders::LIMIT) {
        let known: Vec<_> = contenders::ALL.iter().map(|c| c.name).collect();
        bail!("nobody is called {}; these are: {}", arguments.links.join(","), known.join(", "));
    }
    let out = arguments.out.clone().unwrap_or_else(|| versions::target().join("ipc-conform"));
    std::fs::create_dir_all(&out).with_context(|| format!("cannot write to {}", out.display()))?;
    let mut sizes: Vec<usize> = arguments.sizes.iter().map(|size| *size as usize).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let folder = temporary::folder()?;
    rounds::on_interrupt(folder.path().into())?;
    let (rounds, cpus) = (arguments.rounds(), cell::two_cpus()?);
    let run = Run { contenders, sizes, rounds, cpus, folder: folder.path() };
    let samples = run.all()?;
    let mut links: Vec<Row> = run.contenders.iter().map(|c| Row::of(c, &samples)).collect();
    report::compare_with_limit(&mut links);
    let goals = goals::goals(&links);
    let claims = claims::claims(&links, &run.sizes);
    let (format, environment, sizes) = ("ipc-bench/1", Environment::here(), run.sizes.clone());
    let report = Report { format, environment, rounds, sizes, links, goals, claims };
    let plots = match write(&report, &out)? {
        true => "two plots",
        false => "no plots, for which it takes two sizes",
    };
    print!("{}", table::render(&report));
    let (file, took) = (out.join("bench.json"), begun.elapsed().as_secs_f64());
    println!("\n{} and {plots}, {took:.0} s", file.display());
    Ok(())
}

fn write(report: &Report, out: &Path) -> Result<bool> {
    let file = out.join("bench.json");
    let text = serde_json::to_string_pretty(report)?;
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    plot::write(report, out)
}
