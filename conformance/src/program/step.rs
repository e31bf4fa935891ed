//! `step`: runs a link's own program under ptrace, and kills it at every point.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use ipc_conformance::catalogue::{self, Selection};
use ipc_conformance::temporary;

/// What is stepped.
#[derive(Args)]
pub(crate) struct StepArguments {
    /// `adapter`, `adapter/configuration`, or the path of an adapter program.
    #[arg(required = true)]
    links: Vec<String>,
    /// Only what matches, such as `crash.try_send.*`.
    #[arg(long, default_value = "*")]
    only: String,
    /// Kills at every single instruction, not only where a death can be told apart.
    #[arg(long)]
    every: bool,
    /// Schedules with at most so many preemptions.
    #[arg(long, default_value_t = 1)]
    preemptions: usize,
    /// At most so many schedules of two calls; what is left out is counted, and is no pass.
    #[arg(long, default_value_t = 1_000)]
    cap: usize,
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub(super) fn step(_: &StepArguments) -> anyhow::Result<u8> {
    bail!("not-claimed: programs are stepped on x86-64 Linux only, whose instructions are known");
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(super) fn step(arguments: &StepArguments) -> anyhow::Result<u8> {
    use super::{FAILS, INCONCLUSIVE, USAGE, WELL};
    let mut code = WELL;
    for text in &arguments.links {
        let selection = Selection::parse(text);
        let program = program(&selection)?;
        for verdict in stepped::link(&program, &selection, arguments)? {
            let worst = match verdict {
                "fail" => FAILS,
                "broken" if code != FAILS => USAGE,
                "inconclusive" if code == WELL => INCONCLUSIVE,
                _ => code,
            };
            code = worst;
        }
    }
    Ok(code)
}

fn program(selection: &Selection) -> anyhow::Result<PathBuf> {
    if selection.is_program() {
        let path = PathBuf::from(&selection.adapter);
        if !path.exists() {
            bail!("{}: there is no such program", path.display());
        }
        return Ok(path);
    }
    let known = catalogue::adapters().map_err(anyhow::Error::msg)?;
    if !known.contains(&selection.adapter) {
        let nearest = catalogue::nearest(&selection.adapter, known.iter().map(String::as_str));
        bail!(
            "no adapter is called {:?}; the nearest are: {}",
            selection.adapter,
            nearest.join(", ")
        );
    }
    let mut programs =
        catalogue::build(std::slice::from_ref(&selection.adapter)).map_err(anyhow::Error::msg)?;
    Ok(programs.remove(0))
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod stepped {
    use ipc_conformance::run::Host;
    use ipc_conformance::stepped::{Extent, Finding, Outcome, Sweep, Trouble, run};

    use super::*;

    /// Sweeps one adapter's links, and answers the verdicts.
    pub(super) fn link(
        program: &Path,
        selection: &Selection,
        arguments: &StepArguments,
    ) -> anyhow::Result<Vec<&'static str>> {
        let folder = temporary::folder()?;
        let host = Host::start(program, folder.path()).map_err(anyhow::Error::msg)?;
        let (name, version, claims) =
            (host.name.clone(), host.version.clone(), host.claims.clone());
        // The thread that listens to it would take the signals that the controller waits for.
        drop(host);
        let mut verdicts = Vec::new();
        for claim in &claims {
            if selection.link.as_ref().is_some_and(|link| *link != claim.link) {
                continue;
            }
            println!("{}/{} {}", name, claim.link, version);
            let wanted = |name: &str| super::super::matches(&arguments.only, name);
            let mut tell = |sweep: Sweep| {
                print(&sweep);
                verdicts.push(sweep.verdict());
            };
            let extent = Extent {
                every: arguments.every,
                preemptions: arguments.preemptions,
                cap: arguments.cap,
            };
            match run(program, claim, folder.path(), extent, &wanted, &mut tell) {
                Ok(()) => {}
                Err(Trouble::Refused(why)) => {
                    println!("  not-claimed: {why}");
                    verdicts.push("not-claimed");
                }
                Err(trouble) => {
                    println!("  broken: {trouble}");
                    verdicts.push("broken");
                }
            }
        }
        Ok(verdicts)
    }

    fn print(sweep: &Sweep) {
        let figures = if sweep.name.starts_with("schedule.") {
            let left = sweep.left_out;
            format!("{} schedules, {left} left out and what follows from them", sweep.points)
        } else {
            format!(
                "{} instructions, {} shared reads, {} shared writes, {} system calls{}; {} \
                 points, {} worlds",
                sweep.instructions,
                sweep.reads,
                sweep.writes,
                sweep.calls,
                if sweep.repeats { "" } else { " (NOT the same twice)" },
                sweep.points,
                sweep.times.len(),
            )
        };
        println!(
            "  {:<13} {} on {}: {figures}, {:.2} ms each in the median, {:.1} s",
            sweep.verdict(),
            sweep.name,
            sweep.state,
            sweep.median().as_secs_f64() * 1e3,
            sweep.elapsed.as_secs_f64(),
        );
        if let Some(trouble) = &sweep.trouble {
            println!("      {trouble}");
        }
        if let Some(why) = &sweep.rejoin {
            println!("      rejoining was not tried: {why}");
        }
        for (words, count) in &sweep.outcomes {
            println!("      {count:>4} × {words}");
        }
        if let Some(outcome) = sweep.forbidden.first() {
            show(outcome, sweep.forbidden.len(), "the model forbids");
        }
        if let Some(outcome) = sweep.odd.first() {
            show(outcome, sweep.odd.len(), "the model has no word for");
        }
    }

    fn show(outcome: &Outcome, count: usize, what: &str) {
        println!("      {count} that {what}; the first: {}; {}", outcome.how, outcome.words);
        match &outcome.finding {
            Finding::Forbidden(counterexample) => {
                println!("        {}: {counterexample}", counterexample.rule);
                let picture = ipc_model::lanes::draw(&counterexample.history, Some(counterexample));
                picture.lines().for_each(|line| println!("          {line}"));
            }
            Finding::Odd(why) => println!("        {why}"),
            Finding::Allowed => {}
        }
    }
}
