//! What a run does before it runs anything: builds the adapters, asks them what they claim, and
//! finds which of their runs are this shard's and not done yet.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use ipc_conformance::adapter::Claim;
use ipc_conformance::campaign::Shard;
use ipc_conformance::catalogue::{self, Selection, suggest};
use ipc_conformance::objects::{self, Offer};
use ipc_conformance::protocol::Way;
use ipc_conformance::report::{Cell, Report, ReportLink, ReportRule, Steps};
use ipc_conformance::rulebook;
use ipc_conformance::run::Host;
use ipc_conformance::suite::{self, Decided, Plan, Progress};
use ipc_conformance::versions;

use super::RunArguments;

/// One link that is going to be run.
pub(super) struct Job {
    /// Its name in the report.
    pub(super) link: String,
    /// Which of its runs are to be done.
    pub(super) part: Range<u64>,
    /// What is run.
    pub(super) work: Work,
}

/// What a job runs.
pub(super) enum Work {
    /// The suite, on a link that carries messages.
    Link {
        program: PathBuf,
        claim: Box<Claim>,
        /// What has been decided of it before.
        decided: Box<Decided>,
        /// Where that is kept.
        kept: Progress,
    },
    /// Programs on named objects.
    Objects {
        /// What they are called.
        name: &'static str,
        /// The program that uses them.
        program: PathBuf,
        offer: Box<Offer>,
    },
}

impl Job {
    /// How many runs it has in all shards together.
    fn size(&self, plan: Plan) -> u64 {
        match &self.work {
            Work::Link { claim, .. } => suite::size(claim, plan),
            Work::Objects { .. } => objects::size(plan),
        }
    }
}

/// Builds the adapters and asks them what they claim.
pub(super) fn prepare(
    arguments: &RunArguments,
    plan: Plan,
    folder: &Path,
) -> anyhow::Result<(Report, Vec<Job>)> {
    let mut selections = select(&arguments.links)?;
    // Also where another shard has them: all shards hold the same rules.
    let with_objects = selections.iter().any(Selection::is_objects);
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
    let mut report = empty_report(arguments, with_objects);
    let mut jobs = Vec::new();
    for selection in &selections {
        if selection.is_objects() {
            let more = add_objects(&mut report, selection)?;
            jobs.extend(more.into_iter().map(|job| (number(selection), job)));
            continue;
        }
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
                profile: Some(claim.profile),
                claims: BTreeMap::new(),
                documented: claim.documented.clone(),
                ways: claim.ways().collect(),
                runs: 0,
                steps: Steps::default(),
            });
            let work = Work::Link {
                program: program.clone(),
                claim: Box::new(claim.clone()),
                decided: Box::default(),
                kept: Progress::nowhere(),
            };
            let link = report.links[report.links.len() - 1].name.clone();
            jobs.push((number(selection), Job { link, part: 0..0, work }));
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
        *runs.entry(*adapter).or_default() += job.size(plan);
    }
    let mut before: BTreeMap<usize, u64> = BTreeMap::new();
    let (mut due, mut idle) = (Vec::new(), Vec::new());
    for (adapter, mut job) in jobs {
        let size = job.size(plan);
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
        let Work::Link { claim, decided, kept, .. } = &mut job.work else { return Ok(job) };
        let version = report.links.iter().find(|l| l.name == job.link).map(|l| l.version.as_str());
        let file = folder.join(format!("{}.json", job.link.replace('/', "~")));
        *kept = Progress::kept(file, version.unwrap_or_default(), &claim.profile);
        **decided = kept.read().map_err(anyhow::Error::msg)?;
        Ok(job)
    });
    resumed.collect()
}

/// Whether it is an adapter of this project, with the versions of the project's lock file.
fn is_ours(selection: &Selection) -> bool {
    !selection.is_program() && !selection.is_objects() && selection.version.is_none()
}

/// Lists the objects that are meant, with a job for each.
///
/// # Errors
/// That there are none of this name, that they are asked for in a version, or that a crate's
/// program cannot be built.
fn add_objects(report: &mut Report, selection: &Selection) -> anyhow::Result<Vec<Job>> {
    if selection.version.is_some() {
        bail!("{}: objects come in one version alone", selection.program());
    }
    let names: Vec<&'static str> = match &selection.link {
        None => objects::usable(),
        Some(link) => objects::NAMES.into_iter().filter(|name| name == link).collect(),
    };
    if let (true, Some(link)) = (names.is_empty(), &selection.link) {
        let there = objects::NAMES.join(", ");
        bail!("{} has no link {link:?}; there are: {there}", objects::ADAPTER);
    }
    let own = std::env::current_exe()?;
    let programs = objects::build(&names, &own).map_err(anyhow::Error::msg)?;
    let mut jobs = Vec::new();
    for (name, program) in names.into_iter().zip(programs) {
        let link = format!("{}/{name}", objects::ADAPTER);
        let offer = objects::offer(name, &program).map_err(anyhow::Error::msg)?;
        report.links.push(ReportLink {
            name: link.clone(),
            version: offer.version.clone(),
            profile: None,
            claims: offer.claims.clone(),
            documented: offer.documented.clone(),
            ways: vec![Way::Processes],
            runs: 0,
            steps: Steps::default(),
        });
        let work = Work::Objects { name, program, offer: Box::new(offer) };
        jobs.push(Job { link, part: 0..0, work });
    }
    Ok(jobs)
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
        profile: Some(ipc_model::Profile::default()),
        claims: BTreeMap::new(),
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
    let needs_none = |s: &Selection| s.is_program() || s.is_objects();
    let known = if selections.iter().all(needs_none) {
        Vec::new()
    } else {
        catalogue::adapters().map_err(anyhow::Error::msg)?
    };
    for selection in &selections {
        if selection.is_program() {
            if !Path::new(&selection.adapter).exists() {
                bail!("{}: there is no such program", selection.adapter);
            }
        } else if !selection.is_objects() && !known.contains(&selection.adapter) {
            let all = known.iter().map(String::as_str).chain([objects::ADAPTER]);
            return Err(super::no_adapter(&selection.adapter, all));
        }
    }
    Ok(selections)
}

fn empty_report(arguments: &RunArguments, with_objects: bool) -> Report {
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
            .chain(rulebook::objects().filter(|_| with_objects))
            .chain(rulebook::stepped().filter(|_| arguments.is_stepped()))
            .map(|entry| ReportRule::of(&entry.about))
            .collect(),
        cells: Vec::new(),
    }
}
