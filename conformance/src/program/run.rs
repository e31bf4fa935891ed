//! The main job: builds links, runs the suite on them, prints the matrix, writes the report.

use std::collections::{BTreeMap, VecDeque};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use ipc_conformance::adapter::Claim;
use ipc_conformance::catalogue::{self, Selection};
use ipc_conformance::deviation;
use ipc_conformance::replay::Replay;
use ipc_conformance::report::{Cell, CellVerdict, Report, ReportLink, ReportRule, html, text};
use ipc_conformance::rulebook::{self, Asked};
use ipc_conformance::run::{Host, interrupt};
use ipc_conformance::stepping::{self, Depth};
use ipc_conformance::suite::{self, LinkResult, Plan};
use ipc_conformance::{temporary, versions};

use super::{FAILS, INCONCLUSIVE, RunArguments, USAGE, WELL};

/// One link that is going to be run.
struct Job {
    program: PathBuf,
    claim: Claim,
    place: usize,
}

pub(super) fn run(arguments: &RunArguments) -> anyhow::Result<u8> {
    let begun = Instant::now();
    let asked = match &arguments.rule {
        Some(glob) => super::select_rules(glob)?.into_iter().collect(),
        None => Asked::EVERYTHING,
    };
    let asked = if arguments.stepped { asked.and_stepped() } else { asked };
    let deviations = read_deviations(arguments.deviations.as_deref())?;
    let out = arguments.out.clone().unwrap_or_else(|| versions::target().join("ipc-conform"));
    std::fs::create_dir_all(out.join("replay"))
        .with_context(|| format!("cannot write to {}", out.display()))?;
    ctrlc::set_handler(interrupt).context("cannot catch Ctrl-C")?;

    let folder = temporary::folder()?;
    let (mut report, jobs) = prepare(arguments, &asked, folder.path())?;
    let plan = arguments.level.plan(arguments.seed);
    let depth = arguments.level.depth(arguments.seed);
    run_all(&mut report, jobs, (plan, depth), &asked, folder.path(), &out)?;
    drop(folder);

    let stale = deviation::apply(&deviations, &mut report);
    write(&report, &out)?;
    print(&report, &out);
    for deviation in &stale {
        let (link, rule) = (&deviation.link, &deviation.rule);
        eprintln!("stale: {link} no longer deviates from {rule}: remove the deviation");
    }
    super::say!("report: {} and report.json", out.join("report.html").display());
    super::say!(
        "seed {}, level {}, {:.1} s",
        report.seed,
        report.level,
        begun.elapsed().as_secs_f64()
    );
    Ok(exit_code(&report, !asked.is_everything(), !stale.is_empty()))
}

fn read_deviations(file: Option<&Path>) -> anyhow::Result<Vec<deviation::Deviation>> {
    let own = catalogue::workspace().join("conformance/deviations.toml");
    let file = file.unwrap_or(&own);
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    deviation::parse(&text).map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))
}

/// Builds the adapters and asks them what they claim.
fn prepare(
    arguments: &RunArguments,
    asked: &Asked,
    folder: &Path,
) -> anyhow::Result<(Report, Vec<Job>)> {
    let selections = select(&arguments.links)?;
    let mut names: Vec<String> =
        selections.iter().filter(|s| is_ours(s)).map(|s| s.adapter.clone()).collect();
    names.sort();
    names.dedup();
    let built: BTreeMap<String, PathBuf> = if names.is_empty() {
        BTreeMap::new()
    } else {
        let programs = catalogue::build(&names).map_err(anyhow::Error::msg)?;
        names.into_iter().zip(programs).collect()
    };
    let mut report = empty_report(arguments, asked);
    let mut jobs = Vec::new();
    for selection in &selections {
        let program = match &selection.version {
            Some(version) => versions::build(&selection.adapter, version),
            None => {
                let built = built.get(&selection.adapter).cloned();
                Ok(built.unwrap_or_else(|| PathBuf::from(&selection.adapter)))
            }
        };
        let started = program.and_then(|program| {
            let host = Host::start(&program, &folder.join("hello"))?;
            match &selection.version {
                Some(version) if *version != host.version => {
                    Err(format!("it was to be built with {version} and says {}", host.version))
                }
                _ => Ok((program, host)),
            }
        });
        let (program, host) = match started {
            Ok(started) => started,
            Err(why) => {
                broken(&mut report, asked, selection, &why);
                continue;
            }
        };
        let wanted = |c: &&Claim| selection.link.as_ref().is_none_or(|l| *l == c.link);
        let claims: Vec<&Claim> = host.claims.iter().filter(wanted).collect();
        if claims.is_empty() {
            let link = selection.link.clone().unwrap_or_default();
            let known = host.claims.iter().map(|c| c.link.as_str());
            let nearest = catalogue::nearest(&link, known).join(", ");
            bail!("{} has no link {link:?}; the nearest are: {nearest}", selection.adapter);
        }
        for claim in claims {
            let mut name = format!("{}/{}", host.name, claim.link);
            if report.links.iter().any(|l| l.name == name) {
                // Two programs may call themselves the same.
                name = format!("{}/{}", selection.program(), claim.link);
            }
            report.links.push(ReportLink {
                name,
                version: host.version.clone(),
                profile: claim.profile,
                documented: claim.documented.clone(),
                ways: claim.ways().collect(),
                runs: 0,
            });
            let (program, claim) = (program.clone(), claim.clone());
            jobs.push(Job { program, claim, place: report.links.len() - 1 });
        }
    }
    Ok((report, jobs))
}

/// Whether it is an adapter of this project, with the versions of the project's lock file.
fn is_ours(selection: &Selection) -> bool {
    !selection.is_program() && selection.version.is_none()
}

/// An adapter that cannot even be asked what it claims has a broken cell for every rule.
fn broken(report: &mut Report, asked: &Asked, selection: &Selection, why: &str) {
    let link = selection.link.as_ref();
    let name = link.map_or(selection.program(), |l| format!("{}/{l}", selection.program()));
    report.cells.extend(asked.rows().map(|entry| Cell::broken(&name, entry.about.id, why)));
    report.links.push(ReportLink {
        name,
        version: "unknown".into(),
        profile: ipc_model::Profile::default(),
        documented: Vec::new(),
        ways: Vec::new(),
        runs: 0,
    });
}

fn select(links: &[String]) -> anyhow::Result<Vec<Selection>> {
    let known = catalogue::adapters().map_err(anyhow::Error::msg)?;
    if links.is_empty() {
        return Ok(catalogue::DEFAULT.iter().map(|name| Selection::parse(name)).collect());
    }
    let selections: Vec<Selection> = links.iter().map(|l| Selection::parse(l)).collect();
    for selection in &selections {
        if selection.is_program() {
            if !Path::new(&selection.adapter).exists() {
                bail!("{}: there is no such program", selection.adapter);
            }
        } else if !known.contains(&selection.adapter) {
            let names = catalogue::nearest(&selection.adapter, known.iter().map(String::as_str));
            let nearest = if names.is_empty() { known.join(", ") } else { names.join(", ") };
            bail!("no adapter is called {:?}; the nearest are: {nearest}", selection.adapter);
        }
    }
    Ok(selections)
}

fn empty_report(arguments: &RunArguments, asked: &Asked) -> Report {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let environment = [
        ("kernel", ipc_conformance::kernel_version()),
        ("architecture", std::env::consts::ARCH.into()),
        ("processors", cores.to_string()),
    ];
    Report {
        format: Report::FORMAT.into(),
        suite: env!("CARGO_PKG_VERSION").into(),
        seed: arguments.seed,
        level: arguments.level.word().into(),
        environment: environment.into_iter().map(|(k, v)| (k.into(), v)).collect(),
        links: Vec::new(),
        rules: asked.rows().map(|entry| ReportRule::of(&entry.about)).collect(),
        cells: Vec::new(),
    }
}

/// Two links at a time: each takes little more than a processor, and mostly waits.
const AT_ONCE: usize = 2;

fn run_all(
    report: &mut Report,
    jobs: Vec<Job>,
    extent: (Plan, Depth),
    asked: &Asked,
    folder: &Path,
    out: &Path,
) -> anyhow::Result<()> {
    let total = jobs.iter().map(|j| suite::size(&j.claim, extent.0)).sum();
    let bar = ProgressBar::new(total).with_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} scenarios, {elapsed}, {msg}")
            .context("progress bar")?,
    );
    let queue = Mutex::new(VecDeque::from(jobs));
    let results = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for number in 0..AT_ONCE {
            let (queue, results, bar) = (&queue, &results, &bar);
            let folder = folder.join(number.to_string());
            scope.spawn(move || {
                while let Some(job) = lock(queue).pop_front() {
                    bar.set_message(job.claim.link.clone());
                    let place = job.place;
                    let result = run_job(&job, extent, asked, &folder, bar);
                    lock(results).insert(place, result);
                }
            });
        }
    });
    bar.finish_and_clear();
    if ipc_conformance::run::interrupted() {
        bail!("interrupted: nothing is left behind, and no report was written");
    }
    for (place, result) in results.into_inner().unwrap_or_else(PoisonError::into_inner) {
        let link = &mut report.links[place];
        let mut result = match result {
            Ok(result) => result,
            Err(why) => {
                let cell = |entry: rulebook::Entry| Cell::broken(&link.name, entry.about.id, &why);
                report.cells.extend(asked.rows().map(cell));
                continue;
            }
        };
        link.runs = result.runs;
        for cell in &mut result.cells {
            // Lying adapters may name themselves as they like; the report names what was run.
            cell.link.clone_from(&link.name);
            if let Some(replay) = result.replays.get(&cell.rule) {
                let name = format!("replay/{}-{}.json", link.name.replace('/', "-"), cell.rule);
                let path = out.join(&name);
                std::fs::write(&path, replay).with_context(|| path.display().to_string())?;
                cell.replay = Some(name);
            }
        }
        report.cells.append(&mut result.cells);
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run_job(
    job: &Job,
    (plan, depth): (Plan, Depth),
    asked: &Asked,
    folder: &Path,
    bar: &ProgressBar,
) -> Result<Done, String> {
    let mut host = Host::start(&job.program, folder)?;
    let progress = |scenarios: u32| bar.inc(scenarios.into());
    let LinkResult { mut cells, replays, runs } =
        suite::run_link(&mut host, &job.claim, plan, asked, &progress);
    let link = format!("{}/{}", host.name, job.claim.link);
    // Whoever steps is alone with its link.
    drop(host);
    let file = |replay: &Replay| serde_json::to_string_pretty(replay).map_err(|e| e.to_string());
    let mut files = BTreeMap::new();
    for (rule, replay) in &replays {
        files.insert(rule.clone(), file(replay)?);
    }
    if asked.is_stepped() {
        let (program, claim) = (&job.program, &job.claim);
        let folder = &folder.join("stepped");
        let subject = stepping::Subject { program, link: &link, claim, folder };
        let (stepped, replays) = stepping::run(subject, depth, asked);
        cells.extend(stepped);
        files.extend(replays);
    }
    Ok(Done { cells, replays: files, runs })
}

/// What came of one link: its cells, and by rule the files to do red ones again by.
struct Done {
    cells: Vec<Cell>,
    replays: BTreeMap<String, String>,
    runs: u32,
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

fn exit_code(report: &Report, selected: bool, stale: bool) -> u8 {
    let unknown = || report.cells.iter().filter(|c| c.known.is_none());
    let inconclusive = |c: &&Cell| {
        c.verdict == CellVerdict::Inconclusive && !(selected && c.why == ipc_conformance::NOT_ASKED)
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
