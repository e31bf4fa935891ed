//! What a run does before it runs anything: builds the adapters, asks them what they claim, and
//! finds which of their runs are this shard's and not done yet.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use ipc_conformance::adapter::Claim;
use ipc_conformance::campaign::Shard;
use ipc_conformance::catalogue::{self, Selection, suggest};
use ipc_conformance::report::{Cell, Report, ReportLink, ReportRule, Steps};
use ipc_conformance::rulebook;
use ipc_conformance::run::Host;
use ipc_conformance::suite::{self, Decided, Plan, Progress};
use ipc_conformance::versions;

use super::RunArguments;

/// One link that is going to be run.
pub(super) struct Job {
    pub(super) program: PathBuf,
    pub(super) claim: Claim,
    /// Its name in the report.
    pub(super) link: String,
    /// Which of its runs are to be done.
    pub(super) part: Range<u64>,
    /// What has been decided of it before.
    pub(super) decided: Decided,
    /// Where that is kept.
    pub(super) kept: Progress,
}

/// Builds the adapters and asks them what they claim.
pub(super) fn prepare(
    arguments: &RunArguments,
    plan: Plan,
    folder: &Path,
) -> anyhow::Result<(Report, Vec<Job>)> {
    let mut selections = select(&arguments.links)?;
    let mut programs: Vec<String> = selections.iter().map(Selection::program).collect();
    programs.sort();
    programs.dedup();
    let number = |s: &Selection| programs.binary_search(&s.program()).unwrap_or_default();
    selections.retain(|s| arguments.shard.needs(number(s), programs.len()));
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
    let mut report = empty_report(arguments);
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
                broken(&mut report, selection, &why);
                continue;
            }
        };
        let wanted = |c: &&Claim| selection.link.as_ref().is_none_or(|l| *l == c.link);
        let claims: Vec<&Claim> = host.claims.iter().filter(wanted).collect();
        if claims.is_empty() {
            let link = selection.link.clone().unwrap_or_default();
            let known = host.claims.iter().map(|c| c.link.as_str());
            bail!("{} has no link {link:?}; {}", selection.adapter, suggest(&link, known));
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
                steps: Steps::default(),
            });
            let (program, claim) = (program.clone(), claim.clone());
            let (decided, kept) = (Decided::default(), Progress::nowhere());
            let link = report.links[report.links.len() - 1].name.clone();
            jobs.push((number(selection), Job { program, claim, link, part: 0..0, decided, kept }));
        }
    }
    let jobs = share(&mut report, jobs, arguments.shard, programs.len(), plan);
    Ok((report, jobs))
}

/// Gives every job the runs that are this shard's, and leaves out links of which it has none.
/// Beside each job stands the number of its adapter.
fn share(
    report: &mut Report,
    jobs: Vec<(usize, Job)>,
    shard: Shard,
    adapters: usize,
    plan: Plan,
) -> Vec<Job> {
    let mut runs: BTreeMap<usize, u64> = BTreeMap::new();
    for (adapter, job) in &jobs {
        *runs.entry(*adapter).or_default() += suite::size(&job.claim, plan);
    }
    let mut before: BTreeMap<usize, u64> = BTreeMap::new();
    let (mut due, mut idle) = (Vec::new(), Vec::new());
    for (adapter, mut job) in jobs {
        let size = suite::size(&job.claim, plan);
        let part = shard.part(adapter, adapters, runs[&adapter]);
        let before = before.entry(adapter).or_default();
        let within = |edge: u64| edge.saturating_sub(*before).min(size);
        job.part = within(part.start)..within(part.end);
        *before += size;
        if job.part.is_empty() { idle.push(job.link) } else { due.push(job) }
    }
    report.links.retain(|link| !idle.contains(&link.name));
    due
}

/// Where the run's progress is kept: empty, or, to go on, what a run that was asked for the same
/// has left there.
///
/// # Errors
/// The run was asked for something else, or the folder cannot be written to.
pub(super) fn keep_progress(arguments: &RunArguments, out: &Path) -> anyhow::Result<PathBuf> {
    let folder = out.join("progress");
    let file = folder.join("campaign.json");
    let (suite, campaign) = (env!("CARGO_PKG_VERSION"), arguments.campaign());
    let campaign = serde_json::to_string(&serde_json::json!({"suite": suite, "asked": campaign}))?;
    let failed = || format!("cannot write to {}", folder.display());
    match std::fs::read_to_string(&file) {
        Ok(before) if arguments.resume && before == campaign => return Ok(folder),
        Ok(before) if arguments.resume => bail!(
            "{} has a run of something else, which cannot be resumed: it was asked for {before}, \
             and this is {campaign}",
            folder.display()
        ),
        Ok(_) => std::fs::remove_dir_all(&folder).with_context(failed)?,
        Err(_) => {}
    }
    std::fs::create_dir_all(&folder).with_context(failed)?;
    std::fs::write(&file, campaign).with_context(failed)?;
    Ok(folder)
}

/// Gives every job the file of its progress, and what has been decided before.
pub(super) fn resume(jobs: Vec<Job>, report: &Report, folder: &Path) -> anyhow::Result<Vec<Job>> {
    let resumed = jobs.into_iter().map(|mut job| {
        let version = report.links.iter().find(|l| l.name == job.link).map(|l| l.version.as_str());
        let file = folder.join(format!("{}.json", job.link.replace('/', "~")));
        job.kept = Progress::kept(file, version.unwrap_or_default(), &job.claim.profile);
        job.decided = job.kept.read().map_err(anyhow::Error::msg)?;
        Ok(job)
    });
    resumed.collect()
}

/// Whether it is an adapter of this project, with the versions of the project's lock file.
fn is_ours(selection: &Selection) -> bool {
    !selection.is_program() && selection.version.is_none()
}

/// An adapter that cannot even be asked what it claims has a broken cell for every rule.
fn broken(report: &mut Report, selection: &Selection, why: &str) {
    let link = selection.link.as_ref();
    let name = link.map_or(selection.program(), |l| format!("{}/{l}", selection.program()));
    let cells: Vec<Cell> = report.rules.iter().map(|r| Cell::broken(&name, &r.id, why)).collect();
    report.cells.extend(cells);
    report.links.push(ReportLink {
        name,
        version: "unknown".into(),
        profile: ipc_model::Profile::default(),
        documented: Vec::new(),
        ways: Vec::new(),
        runs: 0,
        steps: Steps::default(),
    });
}

fn select(links: &[String]) -> anyhow::Result<Vec<Selection>> {
    if links.is_empty() {
        return Ok(catalogue::DEFAULT.iter().map(|name| Selection::parse(name)).collect());
    }
    let selections: Vec<Selection> = links.iter().map(|l| Selection::parse(l)).collect();
    let known = if selections.iter().all(Selection::is_program) {
        Vec::new()
    } else {
        catalogue::adapters().map_err(anyhow::Error::msg)?
    };
    for selection in &selections {
        if selection.is_program() {
            if !Path::new(&selection.adapter).exists() {
                bail!("{}: there is no such program", selection.adapter);
            }
        } else if !known.contains(&selection.adapter) {
            let known = suggest(&selection.adapter, known.iter().map(String::as_str));
            bail!("no adapter is called {:?}; {known}", selection.adapter);
        }
    }
    Ok(selections)
}

fn empty_report(arguments: &RunArguments) -> Report {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let environment = [
        ("kernel", ipc_conformance::kernel_version()),
        ("architecture", std::env::consts::ARCH.into()),
        ("processors", cores.to_string()),
    ];
    Report {
        format: Report::FORMAT.into(),
        suite: env!("CARGO_PKG_VERSION").into(),
        seed: arguments.asked.seed,
        level: arguments.asked.level.word().into(),
        environment: environment.into_iter().map(|(k, v)| (k.into(), v)).collect(),
        shards: if arguments.shard.is_whole() { Vec::new() } else { vec![arguments.campaign()] },
        links: Vec::new(),
        rules: rulebook::all()
            .chain(rulebook::stepped().filter(|_| arguments.is_stepped()))
            .map(|entry| ReportRule::of(&entry.about))
            .collect(),
        cells: Vec::new(),
    }
}
