//! `replay`: a counterexample again.

use std::path::Path;

use anyhow::{Context, bail};
use ipc_conformance::replay::Replay;
use ipc_conformance::run::{End, Host};
use ipc_conformance::{catalogue, suite, temporary};
use ipc_model::{Verdict, lanes};

use super::{FAILS, INCONCLUSIVE, WELL};

pub(super) fn replay(file: &Path, run: bool) -> anyhow::Result<u8> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let replay = Replay::parse(&text).map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))?;
    let history =
        replay.recorded().map_err(|e| anyhow::anyhow!("{}: history: {e}", file.display()))?;
    super::say!("recorded, {}/{} by {}:", replay.adapter, replay.link, replay.way);
    let mut code = judge(&ipc_model::check(&replay.profile, &history));
    if run {
        code = code.max(run_again(&replay)?);
    }
    Ok(code)
}

fn judge(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Pass { .. } => {
            super::say!("  pass: the model explains it");
            WELL
        }
        Verdict::Fail(counterexample) => {
            super::say!("  {}: {counterexample}", counterexample.rule);
            for line in lanes::draw(&counterexample.history, Some(counterexample)).lines() {
                super::say!("    {line}");
            }
            FAILS
        }
        Verdict::Inconclusive(why) => {
            super::say!("  inconclusive: {why}");
            INCONCLUSIVE
        }
    }
}

/// How often the scenario is run again: a race may not show at once.
const AGAIN: u32 = 10;

fn run_again(replay: &Replay) -> anyhow::Result<u8> {
    let names = [replay.adapter.clone()];
    let programs = catalogue::build(&names).map_err(anyhow::Error::msg)?;
    let folder = temporary::folder()?;
    let mut host = Host::start(&programs[0], folder.path()).map_err(anyhow::Error::msg)?;
    let claim = host.claims.iter().find(|c| c.link == replay.link).cloned();
    let Some(claim) = claim else { bail!("{} has no link {}", replay.adapter, replay.link) };
    let mut failed = None;
    let mut failures = 0;
    for _ in 0..AGAIN {
        let execution = suite::execute(&mut host, &claim, &replay.scenario, replay.way);
        match execution.end {
            End::AtRest => {}
            End::Panic(why) => bail!("the code under test panicked: {why}"),
            End::Broken(why) => bail!("it could not be run: {why}"),
            End::Crash(signal, _) => bail!("the code under test was ended by signal {signal}"),
        }
        let verdict = ipc_model::check(&claim.profile, &execution.history);
        if let Verdict::Fail(_) = verdict {
            failures += 1;
            failed = Some(verdict);
        }
    }
    super::say!("run again, {}/{}: it fails {failures} times of {AGAIN}", host.name, claim.link);
    Ok(failed.as_ref().map_or(WELL, judge))
}
