//! The commands of `ipc-conform`.

mod bench;
mod bisect;
mod check;
mod diff;
mod explore;
mod merge;
mod new;
mod objects;
mod prepare;
mod replay;
mod report;
mod rules;
mod run;
mod step;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ipc_conformance::bench::BenchArguments;
use ipc_conformance::campaign::{Campaign, Shard};
use ipc_conformance::catalogue::{self, matches};
use ipc_conformance::rulebook;
use ipc_conformance::stepping::Depth;
use ipc_conformance::suite::Plan;
use semver::Version;

/// Is this inter-process communication correct? Holds links against an executable formal model.
///
/// Without a command: builds and checks the default links, prints the matrix of rules and links,
/// and writes report.json and report.html.
#[derive(Parser)]
#[command(name = "ipc-conform", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the links with what they claim.
    List,
    /// Lists the rules: what they say, what they rest on, what shows and what breaks them.
    Rules {
        /// Only rules that match, such as `send.*`.
        #[arg(default_value = "*")]
        glob: String,
        /// By statement of the text instead: which rules rest on each.
        #[arg(long)]
        statements: bool,
        /// Adds on how many links of a report each rule was seen, and what came of it:
        /// `report.json` of a run.
        #[arg(long)]
        report: Option<PathBuf>,
    },
    /// Explains one rule in full.
    Explain {
        /// Name of the rule, such as `send.full.blocks`.
        rule: String,
    },
    /// Runs the suite on links.
    Run(RunArguments),
    /// Judges a counterexample again.
    Replay {
        /// A replay file that a run has written.
        file: PathBuf,
        /// Runs its scenario, or its program on objects, again, too, as they are now.
        #[arg(long)]
        run: bool,
        /// How many times a stepped counterexample is run.
        #[arg(long, default_value_t = 1)]
        times: usize,
    },
    /// Steps through a link's own program, and kills it at every point.
    Step(step::StepArguments),
    /// Decides whether a recorded history is legal.
    Check(CheckArguments),
    /// Walks every behaviour of small scenarios: states, endings, promises, and the graph.
    Explore(explore::ExploreArguments),
    /// Holds shared memory and mailbox names, of this system and through crates, against the
    /// models of memory and of names.
    Objects(objects::ObjectsArguments),
    #[command(hide = true)]
    ObjectsWorker {
        /// The system.
        system: String,
        /// What the names of objects begin with.
        prefix: String,
        /// That it has no standard input of its own.
        #[arg(value_parser = [ipc_conformance::objects::WITHOUT_INPUT])]
        without_input: Option<String>,
    },
    /// Writes a test crate: a small link with a mistake in it, every rule a test.
    New(NewArguments),
    /// Writes a report in another format; several files are merged first.
    Report(ReportArguments),
    /// Joins the reports of shards: of two verdicts on one cell, the worse one stays. Exits as the
    /// whole run would.
    Merge(MergeArguments),
    /// Tells what changed between two reports, or between two versions of a crate, which are run
    /// for it. Exit code 1: a cell became red.
    Diff(DiffArguments),
    /// Finds the first version of a crate where the verdict on a rule changes.
    Bisect(BisectArguments),
    /// Measures what links cost, side by side in one run: time and system calls a message.
    Bench(BenchArguments),
}

#[derive(Args)]
pub(crate) struct NewArguments {
    /// The folder to write it to; it must be empty or not there yet.
    pub(crate) path: PathBuf,
    /// Name of the crate. Default: that of the folder.
    #[arg(long)]
    pub(crate) name: Option<String>,
}

#[derive(Args, Default)]
pub(crate) struct RunArguments {
    /// `adapter`, `adapter/configuration`, either with `@version` behind the adapter, or the path
    /// of an adapter program. Default: the links of the main job.
    pub(crate) links: Vec<String>,
    #[command(flatten)]
    pub(crate) asked: Asked,
    /// Only this part of the runs: K of N, such as `3/8`. `merge` joins the reports of all N.
    #[arg(long, value_name = "K/N", default_value_t)]
    pub(crate) shard: Shard,
    /// Goes on where a run into the same folder was interrupted or killed; begins, if there was
    /// none.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Steps through the links' own programs, too: killed at every instruction, and interleaved at
    /// every access to what they share (x86-64 Linux).
    #[arg(long, conflicts_with = "resume")]
    pub(crate) stepped: bool,
    /// Where the report goes. Default: `target/ipc-conform` of the project.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// The file of known deviations. Default: the project's own.
    #[arg(long)]
    pub(crate) deviations: Option<PathBuf>,
}

impl Default for Asked {
    fn default() -> Self {
        Self { rule: None, level: Level::Quick, seed: 1 }
    }
}

impl RunArguments {
    /// Whether links are stepped: by the flag, or because a rule is asked for that needs it.
    fn is_stepped(&self) -> bool {
        let glob = self.asked.rule.as_deref();
        let named = |glob: &str| rulebook::stepped().any(|e| matches(glob, e.about.id));
        self.stepped || glob.is_some_and(named)
    }

    /// What is asked for, as reports and progress keep it.
    fn campaign(&self) -> Campaign {
        let Asked { rule, level, seed } = self.asked.clone();
        let (links, level) = (self.links.clone(), level.word().into());
        Campaign { links, rule, level, seed, shard: self.shard }
    }
}

/// How much of the suite is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// Seconds for a link.
    Quick,
    /// A minute for a link.
    Standard,
    /// As long as it takes to see rare races.
    Deep,
}

impl Level {
    fn plan(self, seed: u64) -> Plan {
        Plan::of_level(self.word(), seed).expect("every level has a plan")
    }

    fn depth(self, seed: u64) -> Depth {
        Depth::of_level(self.word(), seed).expect("every level has a depth")
    }

    fn word(self) -> &'static str {
        match self {
            Level::Quick => "quick",
            Level::Standard => "standard",
            Level::Deep => "deep",
        }
    }
}

#[derive(Args)]
pub(crate) struct CheckArguments {
    /// The history; `-` for standard input.
    pub(crate) history: PathBuf,
    /// What the link claims: `unbounded`, `rendezvous`, `bounded:N`, or a JSON object. Default:
    /// the profile in the history's first line.
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// How the verdict is printed.
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub(crate) format: CheckFormat,
    /// Also write the verdict and the history as a page: lanes with zoom, hover and keys.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Also write the picture alone, as SVG.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

/// How a verdict is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// In words, with the picture.
    Text,
    /// As one JSON object.
    Json,
}

#[derive(Args)]
pub(crate) struct ReportArguments {
    /// The files, `report.json` of a run.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = ReportFormat::Html)]
    pub(crate) format: ReportFormat,
    /// What the links cost: `bench.json` of a measurement. For the HTML page.
    #[arg(long)]
    pub(crate) bench: Option<PathBuf>,
    /// The file to write. Default: standard output.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

/// The formats of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// One self-contained page.
    Html,
    /// The format `ipc-report/1`.
    Json,
    /// JUnit XML, for continuous integration.
    Junit,
    /// For pull requests.
    Markdown,
    /// A small SVG picture.
    Badge,
}

#[derive(Args)]
pub(crate) struct MergeArguments {
    /// The files, `report.json` of each shard.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The folder that gets report.json, report.html and the replay files.
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// Joins what there is, although shards are missing.
    #[arg(long)]
    pub(crate) partial: bool,
}

#[derive(Args)]
pub(crate) struct DiffArguments {
    /// What was before: a report file, or links to run, such as `crossbeam-channel@0.5.8`.
    pub(crate) before: String,
    /// What came after.
    pub(crate) after: String,
    /// Where both sides' reports are kept, if links are run. Default: `target/ipc-conform/diff` of
    /// the project.
    #[arg(long)]
    pub(crate) keep: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) asked: Asked,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = DiffFormat::Text)]
    pub(crate) format: DiffFormat,
    /// The file to write. Default: standard output.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct BisectArguments {
    /// `adapter`, or `adapter/configuration`.
    pub(crate) link: String,
    /// Name of the rule, such as `send.full.blocks`; or several, such as `send.*`.
    pub(crate) rule: String,
    /// The version to begin with. Default: the oldest.
    #[arg(long)]
    pub(crate) from: Option<Version>,
    /// The version to end with. Default: the newest.
    #[arg(long)]
    pub(crate) to: Option<Version>,
    /// How much is run of each version.
    #[arg(long, value_enum, default_value_t = Level::Quick)]
    pub(crate) level: Level,
    /// The seed of the random scenarios.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Runs every version instead of halving: changes that were taken back show, too.
    #[arg(long)]
    pub(crate) every: bool,
    /// Where each version's report is kept. Default: `target/ipc-conform/bisect` of the project.
    #[arg(long)]
    pub(crate) keep: Option<PathBuf>,
}

/// What is asked of links that a command runs.
#[derive(Args, Clone)]
pub(crate) struct Asked {
    /// Only rules that match, such as `order.*`.
    #[arg(long)]
    pub(crate) rule: Option<String>,
    /// How much is run.
    #[arg(long, value_enum, default_value_t = Level::Quick)]
    pub(crate) level: Level,
    /// The seed of the random scenarios: the same seed gives the same ones.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// The formats of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffFormat {
    /// One line a change.
    Text,
    /// The format `ipc-diff/1`.
    Json,
    /// For pull requests.
    Markdown,
    /// One self-contained page.
    Html,
}

/// Prints a line on standard output. Who reads it may have seen enough (`| head`): that ends the
/// program, and is no error.
macro_rules! say {
    ($($text:tt)*) => { $crate::program::print_line(format_args!($($text)*)) };
}
use say;

fn print_line(text: std::fmt::Arguments<'_>) {
    if writeln!(std::io::stdout(), "{text}").is_err() {
        std::process::exit(WELL.into());
    }
}

/// All is well.
const WELL: u8 = 0;
/// A rule fails.
const FAILS: u8 = 1;
/// The command line or the environment is at fault.
const USAGE: u8 = 2;
/// Nothing fails, but something could not be decided.
const INCONCLUSIVE: u8 = 3;

impl Arguments {
    /// Carries the command out; what went wrong is on standard error.
    pub(crate) fn run(self) -> ExitCode {
        let result = match self.command {
            None => run::run(&RunArguments::default()),
            Some(Command::List) => run::list(),
            Some(Command::Rules { statements: true, report, .. }) => {
                rules::by_statement(report.as_deref())
            }
            Some(Command::Rules { glob, report, .. }) => rules::list(&glob, report.as_deref()),
            Some(Command::Explain { rule }) => rules::explain(&rule),
            Some(Command::Run(arguments)) => run::run(&arguments),
            Some(Command::Replay { file, run, times }) => replay::replay(&file, run, times),
            Some(Command::Step(arguments)) => step::step(&arguments),
            Some(Command::Check(arguments)) => check::check(&arguments),
            Some(Command::Explore(arguments)) => explore::explore(&arguments),
            Some(Command::Objects(arguments)) => objects::objects(&arguments),
            Some(Command::ObjectsWorker { system, prefix, without_input }) => {
                objects::worker(&system, &prefix, without_input.is_some())
            }
            Some(Command::New(arguments)) => new::new(&arguments),
            Some(Command::Report(arguments)) => report::report(&arguments),
            Some(Command::Merge(arguments)) => merge::merge(&arguments),
            Some(Command::Diff(arguments)) => diff::diff(&arguments),
            Some(Command::Bisect(arguments)) => bisect::bisect(&arguments),
            Some(Command::Bench(arguments)) => bench::bench(&arguments),
        };
        match result {
            Ok(code) => ExitCode::from(code),
            Err(why) => {
                eprintln!("ipc-conform: {why:#}");
                ExitCode::from(USAGE)
            }
        }
    }
}

/// The rules that match.
///
/// # Errors
/// That none does, with the nearest names.
/// That no adapter is called so, and which are.
fn no_adapter<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> anyhow::Error {
    anyhow::anyhow!("no adapter is called {name:?}; {}", catalogue::suggest(name, known))
}

fn select_rules(glob: &str) -> anyhow::Result<Vec<rulebook::Entry>> {
    let all = rulebook::everything;
    let selected: Vec<_> = all().filter(|entry| matches(glob, entry.about.id)).collect();
    if selected.is_empty() {
        let known = all().map(|entry| entry.about.id);
        let known = catalogue::suggest(glob, known);
        anyhow::bail!("no rule is called {glob:?}; {known}");
    }
    Ok(selected)
}
