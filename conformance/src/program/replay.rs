//! `replay`: a counterexample again.

use std::path::Path;

use anyhow::{Context, bail};
use ipc_conformance::objects::{self, Subject};
use ipc_conformance::replay::Replay;
use ipc_conformance::run::{End, Host};
use ipc_conformance::{catalogue, suite, temporary};
use ipc_model::{Verdict, lanes};

use super::{FAILS, INCONCLUSIVE, WELL};

pub(super) fn replay(file: &Path, run: bool, times: usize) -> anyhow::Result<u8> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    if ipc_conformance::stepped::Stepped::is_one(&text) {
        return stepped::replay(file, &text, times);
    }
    if objects::Replay::is_one(&text) {
        return replay_objects(file, &text, run);
    }
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

/// Judges a program on objects again, and plays it again if asked to.
fn replay_objects(file: &Path, text: &str, run: bool) -> anyhow::Result<u8> {
    let failed = |why: String| anyhow::anyhow!("{}: {why}", file.display());
    let replay = objects::Replay::parse(text).map_err(failed)?;
    let link = format!("{}/{}", objects::ADAPTER, replay.objects);
    super::say!("recorded, {link}:");
    let mut code = judge_objects(&replay.judge().map_err(failed)?);
    if run {
        let own = std::env::current_exe()?;
        let name = replay.objects.as_str();
        let program = objects::build(&[name], &own).map_err(anyhow::Error::msg)?.remove(0);
        let offer = objects::offer(name, &program).map_err(anyhow::Error::msg)?;
        let subject = Subject { name, program: &program, offer: &offer };
        let played: Vec<_> =
            (0..AGAIN).map(|_| replay.play(&subject)).collect::<Result<_, _>>().map_err(failed)?;
        let failures: Vec<_> = played.iter().filter(|found| found.is_some()).collect();
        super::say!("run again, {link}: it fails {} times of {AGAIN}", failures.len());
        code = code.max(failures.first().map_or(WELL, |found| judge_objects(found)));
    }
    Ok(code)
}

fn judge_objects(found: &Option<(String, String)>) -> u8 {
    let Some((why, picture)) = found else {
        super::say!("  pass: the model explains it");
        return WELL;
    };
    super::say!("  {why}");
    picture.lines().for_each(|line| super::say!("    {line}"));
    FAILS
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod stepped {
    use ipc_conformance::stepped::{Again, Stepped};

    use super::super::{USAGE, say};
    use super::*;

    /// Does a stepped counterexample again.
    pub(super) fn replay(file: &Path, text: &str, times: usize) -> anyhow::Result<u8> {
        let stepped =
            Stepped::parse(text).map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))?;
        say!("recorded, {}/{}, {}:", stepped.adapter, stepped.link, stepped.of);
        stepped.narrative.iter().for_each(|line| say!("  {line}"));
        let programs = catalogue::build(std::slice::from_ref(&stepped.adapter));
        let program = programs.map_err(anyhow::Error::msg)?.remove(0);
        let folder = temporary::folder()?;
        let (mut failed, mut diverged) = (0, 0);
        let mut tell = |again: Again| match again {
            Again::Fails(counterexample) => {
                if failed == 0 {
                    judge(&Verdict::Fail(counterexample));
                }
                failed += 1;
            }
            Again::Otherwise(why) => say!("  not again: {why}"),
            Again::Diverged(why) => {
                say!("  DIVERGED: {why}");
                diverged += 1;
            }
        };
        if let Err(trouble) = stepped.again(&program, folder.path(), times, &mut tell) {
            say!("  broken: {trouble}");
            return Ok(USAGE);
        }
        say!("run again, {}/{}: it fails {failed} times of {times}", stepped.adapter, stepped.link);
        Ok(if diverged > 0 {
            INCONCLUSIVE
        } else if failed > 0 {
            FAILS
        } else {
            WELL
        })
    }
}
