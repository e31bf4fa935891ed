//! An adapter as a test binary: every rule of every link is a test of its own, named
//! `link::family::rule`, under `cargo test` and cargo-nextest alike.
//!
//! Listing asks the adapter for its claims and nothing else, so it is cheap and always the same.
//! The tests of one process share one run of the suite for each link; where a filter leaves only
//! some rules of a link (nextest starts a process for every test), only the scenarios about those
//! rules are run.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::adapter::{Adapter, Claim};
use crate::report::{Cell, CellVerdict, ReportRule, family};
use crate::rulebook::{self, Asked, Entry};
use crate::run::Host;
use crate::suite::{self, LinkResult, Plan};
use crate::{NOT_ASKED, temporary};

/// How much is run: `quick`, which is the default, `standard` or `deep`.
const LEVEL_VARIABLE: &str = "IPC_CONFORM_LEVEL";
/// The seed of the random scenarios, a number; 1 by default.
const SEED_VARIABLE: &str = "IPC_CONFORM_SEED";
/// What tests of rules that the link does not claim are marked with.
const NOT_CLAIMED: &str = "not-claimed";

/// One link of the adapter, and what came of it: run once, by the first test that asks.
struct Link {
    adapter: String,
    claim: Claim,
    plan: Plan,
    asked: Asked,
    outcome: OnceLock<Result<LinkResult, String>>,
}

pub(crate) fn run(adapter: &dyn Adapter) -> ExitCode {
    let arguments = Arguments::from_args();
    let plan = match plan() {
        Ok(plan) => plan,
        Err(why) => {
            eprintln!("{}: {why}", adapter.name());
            return ExitCode::from(2);
        }
    };
    let links: Vec<Arc<Link>> = adapter
        .claims()
        .into_iter()
        .map(|claim| {
            let asked = selected(&arguments, &claim);
            let (adapter, outcome) = (adapter.name(), OnceLock::new());
            Arc::new(Link { adapter, claim, plan, asked, outcome })
        })
        .collect();
    // Rule by rule, so that tests that are run at the same time ask for different links.
    let trials = rulebook::all().flat_map(|rule| links.iter().map(move |link| trial(link, rule)));
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn plan() -> Result<Plan, String> {
    let level = std::env::var(LEVEL_VARIABLE).unwrap_or_else(|_| "quick".into());
    let seed = std::env::var(SEED_VARIABLE).unwrap_or_else(|_| "1".into());
    let number = seed.parse().map_err(|_| format!("{SEED_VARIABLE}={seed:?} is no number"))?;
    Plan::of_level(&level, number)
        .ok_or_else(|| format!("{LEVEL_VARIABLE}={level:?} is not quick, standard or deep"))
}

/// `link::family::rule`, such as `bounded-2::send::send.full.blocks`.
fn name(claim: &Claim, rule: Entry) -> String {
    let rule = rule.about.id;
    format!("{}::{}::{rule}", claim.link, family(rule))
}

/// The test, without what it does: enough to know whether it is listed, and whether it is run.
fn listed(claim: &Claim, rule: Entry, trial: Trial) -> Trial {
    if rule.is_claimed(claim) {
        trial
    } else {
        trial.with_kind(NOT_CLAIMED).with_ignored_flag(true)
    }
}

/// The rules of the link whose tests are going to be run.
fn selected(arguments: &Arguments, claim: &Claim) -> Asked {
    let claimed: Vec<Entry> = rulebook::all().filter(|rule| rule.is_claimed(claim)).collect();
    let is_run = |rule: &&Entry| {
        let trial = listed(claim, **rule, Trial::test(name(claim, **rule), || Ok(())));
        !arguments.is_filtered_out(&trial) && !arguments.is_ignored(&trial)
    };
    let run: Vec<Entry> = claimed.iter().filter(is_run).copied().collect();
    if run.len() < claimed.len() { run.into_iter().collect() } else { Asked::EVERYTHING }
}

fn trial(link: &Arc<Link>, rule: Entry) -> Trial {
    let test = Arc::clone(link);
    let runner = move || test.judge(rule);
    listed(&link.claim, rule, Trial::ignorable_test(name(&link.claim, rule), runner))
}

impl Link {
    fn judge(&self, rule: Entry) -> Result<Completion, Failed> {
        if !rule.is_claimed(&self.claim) {
            // Whoever asks for ignored tests must not take this one for a pass.
            return Err("the link does not claim this rule, so there is nothing to run".into());
        }
        let result = self.outcome.get_or_init(|| self.run_suite()).as_ref();
        let result = result.map_err(|why| Failed::from(format!("broken: {why}")))?;
        let cell = result.cells.iter().find(|c| c.rule == rule.about.id);
        let cell = cell.ok_or("the suite has no verdict on it, which is a fault of the suite")?;
        match cell.verdict {
            CellVerdict::Pass => Ok(Completion::Completed),
            CellVerdict::Inconclusive if cell.not_asked() => {
                Ok(Completion::ignored_with("only the deep level has the time"))
            }
            CellVerdict::Observed => Ok(Completion::ignored_with(format!("open: {}", cell.why))),
            _ => Err(self.explain(rule, cell, result).into()),
        }
    }

    fn run_suite(&self) -> Result<LinkResult, String> {
        let folder = temporary::folder().map_err(|e| format!("{e:#}"))?;
        let program = std::env::current_exe().map_err(|e| format!("where am I? {e}"))?;
        let mut host = Host::start(&program, folder.path())?;
        Ok(suite::run_link(&mut host, &self.claim, self.plan, &self.asked))
    }

    /// All that a reader needs who sees this test fail.
    fn explain(&self, rule: Entry, cell: &Cell, result: &LinkResult) -> String {
        let about = ReportRule::of(&rule.about);
        let unproven = cell.verdict == CellVerdict::Inconclusive;
        let word = if unproven { "unproven" } else { cell.verdict.word() };
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{} {}/{}  {}",
            word.to_uppercase(),
            self.adapter,
            self.claim.link,
            about.id
        );
        let _ = writeln!(text, "  rule    {} [{}]", about.says, about.source.join("; "));
        let _ = writeln!(text, "  seen    {}", cell.why);
        let others = result.cells.iter().filter(|c| {
            let trouble = !matches!(c.verdict, CellVerdict::Pass | CellVerdict::NotClaimed);
            trouble && c.rule != cell.rule && c.why != NOT_ASKED && c.picture.is_some()
        });
        for other in others.filter(|_| unproven) {
            let _ = writeln!(text, "  because {} broke first: {}", other.rule, other.why);
        }
        for line in cell.picture.iter().flat_map(|p| p.lines()) {
            let _ = writeln!(text, "    {line}");
        }
        let test = name(&self.claim, rule);
        let _ = writeln!(text, "  again   cargo test --test {} -- --exact '{test}'", target_name());
        match self.keep(cell, result) {
            Some(Ok(path)) => {
                let _ = writeln!(text, "  replay  ipc-conform replay {}", path.display());
            }
            Some(Err(why)) => {
                let _ = writeln!(text, "  replay  could not be written: {why}");
            }
            None => {}
        }
        text
    }

    /// Writes the replay file, if there is a counterexample, beside where cargo put the program.
    fn keep(&self, cell: &Cell, result: &LinkResult) -> Option<std::io::Result<PathBuf>> {
        let replay = result.replays.get(&cell.rule)?;
        let write = || {
            let program = std::env::current_exe()?;
            let built = program.ancestors().nth(2).unwrap_or(&program);
            let folder = built.join("ipc-conform-replay");
            std::fs::create_dir_all(&folder)?;
            let path = folder.join(format!("{}-{}.json", self.claim.link, cell.rule));
            std::fs::write(&path, serde_json::to_string_pretty(replay)?)?;
            Ok(path)
        };
        Some(write())
    }
}

/// The name of the test target: cargo adds a hyphen and a hash to it.
fn target_name() -> String {
    let program = std::env::current_exe().unwrap_or_default();
    let stem = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    stem.rsplit_once('-').map_or(stem.clone(), |(name, _)| name.to_string())
}
