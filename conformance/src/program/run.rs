//! The main job: builds links, runs the suite on them, prints the matrix, writes the report.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use ipc_conformance::catalogue;
use ipc_conformance::report::{Cell, CellVerdict, Report, ReportRule, html, text};
use ipc_conformance::rulebook::Asked;
use ipc_conformance::run::{Host, interrupt};
use ipc_conformance::stepping::{self, Depth};
use ipc_conformance::suite::{self, LinkResult, Plan};
use ipc_conformance::{NOT_ASKED, NOT_NEEDED, temporary, versions};
use ipc_conformance::{deviation, objects};

use super::prepare::{Job, Work, keep_progress, prepare, resume};
use super::{FAILS, INCONCLUSIVE, RunArguments, USAGE, WELL};

pub(super) fn run(arguments: &RunArguments) -> anyhow::Result<u8> {
    let begun = Instant::now();
    let decided = decide(arguments)?;
    let Decided { report, out, stale } = &decided;
    print(report, out);
    for (link, rule) in stale {
        eprintln!("stale: {link} no longer deviates from {rule}: remove the deviation");
    }
    super::say!("report: {} and report.json", out.join("report.html").display());
    super::say!(
        "seed {}, level {}, {:.1} s",
        report.seed,
        report.level,
        begun.elapsed().as_secs_f64()
    );
    // What one shard did not need, another one may. What was not asked for is no question.
    let excused: &[&str] =
        if arguments.shard.is_whole() { &[NOT_ASKED] } else { &[NOT_ASKED, NOT_NEEDED] };
    Ok(exit_code(report, excused, !stale.is_empty()))
}

/// What a run has decided, and written.
pub(super) struct Decided {
    pub(super) report: Report,
    /// The folder that the report was written to.
    pub(super) out: PathBuf,
    /// Link and rule of each known deviation that did not occur.
    stale: Vec<(String, String)>,
}

impl Decided {
    /// Fails where a link could not even be asked what it claims, with the reason.
    pub(super) fn complete(&self) -> anyhow::Result<()> {
        let broken = self.report.links.iter().find(|l| l.runs == 0 && l.ways.is_empty());
        let cell = broken.and_then(|l| self.report.cells.iter().find(|c| c.link == l.name));
        match cell {
            Some(cell) => bail!("{} is broken: {}", cell.link, cell.why),
            None => Ok(()),
        }
    }
}

/// Runs the links, and writes the report and its replay files.
pub(super) fn decide(arguments: &RunArguments) -> anyhow::Result<Decided> {
    let asked = match &arguments.asked.rule {
        Some(glob) => super::select_rules(glob)?.into_iter().collect(),
        None => Asked::EVERYTHING,
    };
    let asked = if arguments.is_stepped() { asked.and_stepped() } else { asked };
    let deviations = read_deviations(arguments.deviations.as_deref())?;
    let out = arguments.out.clone().unwrap_or_else(|| versions::target().join("ipc-conform"));
    std::fs::create_dir_all(out.join("replay"))
        .with_context(|| format!("cannot write to {}", out.display()))?;
    catch_interrupt()?;

    let folder = temporary::folder()?;
    let plan = arguments.asked.level.plan(arguments.asked.seed);
    let progress = keep_progress(arguments, &out)?;
    let (mut report, jobs) = prepare(arguments, plan, folder.path())?;
    let jobs = resume(jobs, &report, &progress)?;
    let depth = arguments.asked.level.depth(arguments.asked.seed);
    run_all(&mut report, jobs, (plan, depth, &asked), folder.path(), &out)?;
    drop(folder);

    let mut stale = deviation::apply(&deviations, &mut report);
    if !arguments.shard.is_whole() {
        // It may occur in another shard.
        stale.clear();
    }
    let stale = stale.into_iter().map(|d| (d.link.clone(), d.rule.clone())).collect();
    write(&report, &out)?;
    Ok(Decided { report, out, stale })
}

/// Ctrl-C ends runs cleanly; once for the whole program, which may run links several times.
fn catch_interrupt() -> anyhow::Result<()> {
    static CAUGHT: OnceLock<Result<(), String>> = OnceLock::new();
    let caught = CAUGHT.get_or_init(|| ctrlc::set_handler(interrupt).map_err(|e| e.to_string()));
    caught.clone().map_err(|e| anyhow::anyhow!("cannot catch Ctrl-C: {e}"))
}

/// The known deviations of this file, or of the project's.
pub(super) fn read_deviations(file: Option<&Path>) -> anyhow::Result<Vec<deviation::Deviation>> {
    // They are the project's; without it there are none.
    let own = catalogue::workspace().ok().map(|p| p.join("conformance/deviations.toml"));
    let Some(file) = file.or(own.as_deref()) else { return Ok(Vec::new()) };
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    deviation::parse(&text).map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))
}

/// Links at a time: each mostly waits for what must not happen.
const AT_ONCE: usize = 3;

fn run_all(
    report: &mut Report,
    jobs: Vec<Job>,
    plan: (Plan, Depth, &Asked),
    folder: &Path,
    out: &Path,
) -> anyhow::Result<()> {
    let total = jobs.iter().map(|j| j.part.end - j.part.start).sum();
    let bar = ProgressBar::new(total).with_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} scenarios, {elapsed}, {msg}")
            .context("progress bar")?,
    );
    let queue = Mutex::new(VecDeque::from(jobs));
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for number in 0..AT_ONCE {
            let (queue, results, bar) = (&queue, &results, &bar);
            let folder = folder.join(number.to_string());
            scope.spawn(move || {
                // The queue is not held on to while the job is run.
                let next = || lock(queue).pop_front();
                while let Some(job) = next() {
                    bar.set_message(job.link.clone());
                    let link = job.link.clone();
                    let result = run_job(job, plan, &folder, bar);
                    lock(results).push((link, result));
                }
            });
        }
    });
    bar.finish_and_clear();
    if ipc_conformance::run::interrupted() {
        bail!("interrupted: no report was written; --resume goes on from here");
    }
    for (name, result) in results.into_inner().unwrap_or_else(PoisonError::into_inner) {
        let Some(link) = report.links.iter_mut().find(|l| l.name == name) else { continue };
        let Done { mut result, files } = match result {
            Ok(done) => done,
            Err(why) => {
                let cell = |rule: &ReportRule| Cell::broken(&link.name, &rule.id, &why);
                report.cells.extend(report.rules.iter().map(cell));
                continue;
            }
        };
        link.runs = result.runs;
        link.steps = std::mem::take(&mut result.steps);
        for cell in &mut result.cells {
            // Lying adapters may name themselves as they like; the report names what was run.
            cell.link.clone_from(&link.name);
            if let Some(replay) = files.get(&cell.rule) {
                let name = format!("replay/{}-{}.json", link.name.replace('/', "-"), cell.rule);
                let path = out.join(&name);
                std::fs::write(&path, replay).with_context(|| path.display().to_string())?;
                cell.replay = Some(name);
            }
        }
        report.cells.append(&mut result.cells);
    }
    strangers(report);
    report.sort();
    Ok(())
}

/// Links that carry messages, and rules of objects, have nothing to do with one another.
fn strangers(report: &mut Report) {
    let of_objects: BTreeSet<&str> = objects::rules().map(|rule| rule.id).collect();
    let mut cells = Vec::new();
    for link in &report.links {
        let strange = |rule: &&ReportRule| {
            of_objects.contains(rule.id.as_str()) == link.profile.is_some()
                && report.cell(&link.name, &rule.id).is_none()
        };
        let rules = report.rules.iter().filter(strange);
        cells.extend(rules.map(|rule| objects::another_model(&link.name, &rule.id)));
    }
    report.cells.append(&mut cells);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What came of one link.
struct Done {
    result: LinkResult,
    /// By rule, the files to do red cells again by.
    files: BTreeMap<String, String>,
}

fn run_job(
    job: Job,
    (plan, depth, asked): (Plan, Depth, &Asked),
    folder: &Path,
    bar: &ProgressBar,
) -> Result<Done, String> {
    let progress = |runs: u64| bar.inc(runs);
    let (program, claim, decided, kept) = match job.work {
        Work::Link { program, claim, decided, kept } => (program, claim, *decided, kept),
        Work::Objects { name, program, offer } => {
            let subject = objects::Subject { name, program: &program, offer: &offer };
            let programs = (plan.seed, job.part);
            let (result, files) = objects::decide(&subject, programs, asked, &progress)?;
            return Ok(Done { result, files });
        }
    };
    let mut host = Host::start(&program, folder)?;
    let plan = (plan, asked);
    let mut result = suite::run_part(&mut host, &claim, plan, job.part, (decided, kept), &progress);
    // Whoever steps is alone with its link.
    drop(host);
    let mut files = BTreeMap::new();
    for (rule, replay) in &result.replays {
        let text = serde_json::to_string_pretty(replay).map_err(|e| e.to_string())?;
        files.insert(rule.clone(), text);
    }
    if asked.is_stepped() {
        let folder = &folder.join("stepped");
        let (program, link, claim) = (&program, &job.link, &claim);
        let subject = stepping::Subject { program, link, claim, folder };
        let (stepped, replays) = stepping::run(subject, depth, asked);
        result.cells.extend(stepped);
        files.extend(replays);
    }
    Ok(Done { result, files })
}

fn write(report: &Report, out: &Path) -> anyhow::Result<()> {
    let missing = report.missing();
    if let Some((link, rule)) = missing.first() {
        bail!("{} cells have no verdict, the first is {link} × {rule}", missing.len());
    }
    for (name, text) in [
        ("report.json", serde_json::to_string_pretty(report)?),
        ("report.html", html::page(report)),
    ] {
        let path = out.join(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn print(report: &Report, out: &Path) {
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    super::say!("{}", text::matrix(report, colours));
    let folder = out.display().to_string();
    let mut told: Vec<(&str, &str)> = Vec::new();
    for cell in text::remarkable(report) {
        // One reason often breaks every rule of a link: it is told once.
        let reason = (cell.link.as_str(), cell.why.as_str());
        if cell.verdict == CellVerdict::Broken && told.contains(&reason) {
            continue;
        }
        told.push(reason);
        super::say!("{}", text::explain(report, cell, &folder));
    }
}

/// The exit code that the report deserves. `excused`: why cells may be inconclusive.
pub(super) fn exit_code(report: &Report, excused: &[&str], stale: bool) -> u8 {
    let unknown = || report.cells.iter().filter(|c| c.known.is_none());
    let inconclusive = |c: &&Cell| {
        c.verdict == CellVerdict::Inconclusive && !excused.contains(&c.why.as_str())
            // It says so, and whoever is not root can do nothing about it.
            && c.why != objects::ONE_USER
    };
    if stale || unknown().any(|c| c.verdict.is_red()) {
        FAILS
    } else if unknown().any(|c| c.verdict == CellVerdict::Broken) {
        USAGE
    } else if unknown().any(|c| inconclusive(&c)) {
        INCONCLUSIVE
    } else {
        WELL
    }
}

pub(super) fn list() -> anyhow::Result<u8> {
    let names = catalogue::adapters().map_err(anyhow::Error::msg)?;
    let programs = catalogue::build(&names).map_err(anyhow::Error::msg)?;
    let folder = temporary::folder()?;
    for (name, program) in names.iter().zip(programs) {
        let host = Host::start(&program, &folder.path().join(name))
            .map_err(|why| anyhow::anyhow!("adapter {name}: {why}"))?;
        for claim in &host.claims {
            let p = &claim.profile;
            let between = if claim.processes { "processes" } else { "threads" };
            super::say!(
                "{:<34} {:<10} between {between}, capacity {}, {:?}, {:?} → {:?}",
                format!("{}/{}", host.name, claim.link),
                host.version,
                p.capacity,
                p.order,
                p.senders,
                p.receivers,
            );
        }
    }
    Ok(WELL)
}
