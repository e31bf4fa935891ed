//! `step`: runs a link's own program under ptrace, and kills it at every point.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use ipc_conformance::catalogue::{self, Selection};
use ipc_conformance::{temporary, versions};

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
    /// At most so many schedules of a scenario; what is left out is counted, and is no pass.
    #[arg(long, default_value_t = 1_000)]
    cap: usize,
    /// Ends schedules in a kill, too.
    #[arg(long)]
    kills: bool,
    /// What schedules are chosen by where there are too many.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where counterexamples go, as files to replay them by.
    #[arg(long, default_value_os_t = versions::target().join("ipc-conform/replay"))]
    out: PathBuf,
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
        return Err(super::no_adapter(&selection.adapter, known.iter().map(String::as_str)));
    }
    let mut programs =
        catalogue::build(std::slice::from_ref(&selection.adapter)).map_err(anyhow::Error::msg)?;
    Ok(programs.remove(0))
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod stepped {
    use std::time::Duration;

    use ipc_conformance::run::Host;
    use ipc_conformance::stepped::{Extent, Level, Reduced, Shown, Subject, Sweep, Trouble, run};

    use super::super::say;
    use super::*;

    /// Sweeps one adapter's links, and answers the verdicts.
    pub(super) fn link(
        program: &Path,
        selection: &Selection,
        arguments: &StepArguments,
    ) -> anyhow::Result<Vec<&'static str>> {
        if let Err(trouble) = ipc_conformance::stepped::check(program) {
            say!("broken: {trouble}");
            return Ok(vec!["broken"]);
        }
        let folder = temporary::folder()?;
        let host = Host::start(program, folder.path()).map_err(anyhow::Error::msg)?;
        let (name, version, claims) =
            (host.name.clone(), host.version.clone(), host.claims.clone());
        // The thread that listens to it would take the signals that the controller waits for.
        drop(host);
        std::fs::create_dir_all(&arguments.out)
            .with_context(|| format!("cannot write to {}", arguments.out.display()))?;
        let mut verdicts = Vec::new();
        for claim in &claims {
            if selection.link.as_ref().is_some_and(|link| *link != claim.link) {
                continue;
            }
            say!("{}/{} {}", name, claim.link, version);
            let wanted = |name: &str| super::super::matches(&arguments.only, name);
            let mut total = Total::default();
            let mut tell = |sweep: Sweep| {
                if let (None, Some(why)) = (total.median(), &sweep.exposed) {
                    say!("  the worlds have no namespaces of their own, so names outside and");
                    say!("  process ids are theirs too: {why}");
                }
                verdicts.push(sweep.verdict());
                print(&sweep, &arguments.out);
                total.add(&sweep);
            };
            let extent = Extent {
                every: arguments.every,
                preemptions: arguments.preemptions,
                cap: arguments.cap,
                kills: arguments.kills,
                seed: arguments.seed,
            };
            let subject = Subject { program, adapter: &name, claim, folder: folder.path() };
            let result = run(subject, extent, &wanted, &mut tell);
            total.print();
            match result {
                Ok(()) => {}
                Err(Trouble::Refused(why)) => {
                    say!("  not-claimed: {why}");
                    verdicts.push("not-claimed");
                }
                Err(trouble) => {
                    say!("  broken: {trouble}");
                    verdicts.push("broken");
                }
            }
        }
        Ok(verdicts)
    }

    /// All sweeps of one link.
    #[derive(Default)]
    struct Total {
        times: Vec<Duration>,
        elapsed: Duration,
        /// Of those over every instruction: instructions, points that tell apart, outcomes, and
        /// the sweeps in which the points alone would have shown less.
        every: (usize, usize, usize, Vec<String>),
        /// Instructions of theirs in further rounds of loops that change nothing.
        rounds: usize,
    }

    impl Total {
        fn add(&mut self, sweep: &Sweep) {
            self.times.extend(&sweep.times);
            self.elapsed += sweep.elapsed;
            if let Some(reduced) = &sweep.reduced {
                self.every.0 += sweep.points;
                self.every.1 += reduced.points;
                self.rounds += reduced.rounds;
                self.every.2 += reduced.outcomes.len() + reduced.hidden.len();
                let of = || format!("{} on {}", sweep.name, sweep.state);
                self.every.3.extend(reduced.loses().then(of));
            }
        }

        fn median(&self) -> Option<Duration> {
            let mut times = self.times.clone();
            times.sort_unstable();
            times.get(times.len() / 2).copied()
        }

        fn print(&self) {
            let Some(median) = self.median() else { return };
            say!(
                "  {} worlds, {:.2} ms each in the median, {:.1} s in all",
                self.times.len(),
                median.as_secs_f64() * 1e3,
                self.elapsed.as_secs_f64()
            );
            let (instructions, points, outcomes, losing) = &self.every;
            if *instructions == 0 {
                return;
            }
            let lost = match losing[..] {
                [] => "no verdict and no outcome is lost".to_owned(),
                _ => format!("LOST in {}", losing.join("; ")),
            };
            say!(
                "  killed at all {instructions} instructions, the {points} points at which a \
                 death can be told apart would have shown the same {outcomes} outcomes: {lost}"
            );
            if self.rounds > 0 {
                say!(
                    "  left out: {} instructions in further rounds of loops that change nothing",
                    self.rounds
                );
            }
        }
    }

    fn figures(sweep: &Sweep) -> String {
        if sweep.name.starts_with("schedule.") {
            let levels: Vec<String> = sweep.levels.iter().map(level).collect();
            return format!("{} schedules ({})", sweep.points, levels.join("; "));
        }
        format!(
            "{}{} instructions, {} shared reads, {} shared writes, {} system calls{}; {} points, \
             {} worlds",
            sweep.about(),
            sweep.instructions,
            sweep.reads,
            sweep.writes,
            sweep.calls,
            sweep
                .differs
                .as_ref()
                .map_or_else(String::new, |d| format!(" (NOT the same twice: {d})")),
            sweep.points,
            sweep.times.len(),
        )
    }

    fn level(level: &Level) -> String {
        let kill = if level.kills { " and a kill" } else { "" };
        let mut text = format!("{} with {} preemptions{kill}", level.explored, level.preemptions);
        if level.left_out > 0 {
            text += &format!(", {} left out", level.left_out);
        } else if level.incomplete {
            text += ", and those that follow from what was left out";
        }
        text
    }

    fn print(sweep: &Sweep, out: &Path) {
        if let (Some(trouble), 0, 0) = (&sweep.trouble, sweep.points, sweep.instructions) {
            say!("  {:<13} {} on {}: {trouble}", sweep.verdict(), sweep.name, sweep.state);
            return;
        }
        say!(
            "  {:<13} {} on {}: {}, {:.2} ms each in the median, {:.1} s",
            sweep.verdict(),
            sweep.name,
            sweep.state,
            figures(sweep),
            sweep.median().as_secs_f64() * 1e3,
            sweep.elapsed.as_secs_f64(),
        );
        if let Some(trouble) = &sweep.trouble {
            say!("      {trouble}");
        }
        if let Some(left) = sweep.left_behind() {
            say!("      {left}, which is not so without a kill");
        }
        if !sweep.leaves.is_empty() {
            say!("      left behind even without a kill: {}", sweep.leaves.join(", "));
        }
        if let Some(reduced) = &sweep.reduced {
            say!("      {}", compared(reduced));
        }
        if let Some(why) = &sweep.rejoin {
            say!("      rejoining was not tried: {why}");
        }
        for (words, count) in &sweep.outcomes {
            say!("      {count:>4} × {words}");
        }
        if let Some(shown) = &sweep.shown {
            show(shown, sweep, out);
        }
        if let Some(lines) = &sweep.odd_shown {
            say!("      {} that the model has no word for; the shortest:", sweep.odd);
            lines.iter().for_each(|line| say!("        {line}"));
        }
    }

    fn compared(reduced: &Reduced) -> String {
        let Reduced { points, rounds, outcomes, hidden, bad } = reduced;
        let mut shown = format!("{points} points show {} outcomes", outcomes.len());
        if *rounds > 0 {
            shown += &format!(
                " ({rounds} instructions left out, in further rounds of loops that change nothing)"
            );
        }
        match hidden.iter().next() {
            None => format!("{shown}, and the other instructions none besides"),
            Some(first) => format!(
                "{shown}, and miss {}, such as {first}; forbidden worlds: {} there, {} elsewhere",
                hidden.len(),
                bad.0,
                bad.1
            ),
        }
    }

    fn show(shown: &Shown, sweep: &Sweep, out: &Path) {
        say!(
            "      {} that the model forbids{}; the shortest breaks {}:",
            sweep.forbidden,
            if sweep.observed { ", were dead processes as good as quiet" } else { "" },
            shown.rule
        );
        say!("        {}", shown.says);
        shown.narrative.iter().for_each(|line| say!("        {line}"));
        shown.picture.lines().for_each(|line| say!("          {line}"));
        match &shown.replay {
            Ok(stepped) => {
                let name = format!("{}-{}-{}.json", stepped.adapter, stepped.link, stepped.of);
                let path = out.join(name.replace([' ', ',', '/'], "-"));
                let text = serde_json::to_string_pretty(stepped).unwrap_or_default();
                match std::fs::write(&path, text) {
                    Ok(()) => say!("        again   ipc-conform replay {}", path.display()),
                    Err(why) => say!("        {}: {why}", path.display()),
                }
            }
            Err(why) => say!("        it cannot be replayed: {why}"),
        }
    }
}
