//! The commands of `ipc-conform`.

mod check;
mod diff;
mod merge;
mod new;
mod replay;
mod report;
mod rules;
mod run;
mod step;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ipc_conformance::rulebook;
use ipc_conformance::stepping::Depth;
use ipc_conformance::suite::Plan;

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
        /// Runs its scenario again, too, on the link as it is now.
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
    /// Writes a test crate: a small link with a mistake in it, every rule a test.
    New(NewArguments),
    /// Writes a report in another format; several files are merged first.
    Report(ReportArguments),
    /// Joins the reports of shards: of two verdicts on one cell, the worse one stays.
    Merge(MergeArguments),
    /// Tells what changed between two reports. Exit code 1: a cell became red.
    Diff(DiffArguments),
}

#[derive(Args)]
pub(crate) struct NewArguments {
    /// The folder to write it to; it must be empty or not there yet.
    pub(crate) path: PathBuf,
    /// Name of the crate. Default: that of the folder.
    #[arg(long)]
    pub(crate) name: Option<String>,
}

#[derive(Args)]
pub(crate) struct RunArguments {
    /// `adapter`, `adapter/configuration`, either with `@version` behind the adapter, or the path
    /// of an adapter program. Default: the links of the main job.
    pub(crate) links: Vec<String>,
    /// Only rules that match, such as `order.*`.
    #[arg(long)]
    pub(crate) rule: Option<String>,
    /// Steps through the links' own programs, too: killed at every instruction, and interleaved at
    /// every access to what they share (x86-64 Linux).
    #[arg(long)]
    pub(crate) stepped: bool,
    /// How much is run.
    #[arg(long, value_enum, default_value_t = Level::Quick)]
    pub(crate) level: Level,
    /// The seed of the random scenarios: the same seed gives the same ones.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Where the report goes. Default: `target/ipc-conform` of the project.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// The file of known deviations. Default: the project's own.
    #[arg(long)]
    pub(crate) deviations: Option<PathBuf>,
}

impl Default for RunArguments {
    fn default() -> Self {
        Self {
            links: Vec::new(),
            rule: None,
            stepped: false,
            level: Level::Quick,
            seed: 1,
            out: None,
            deviations: None,
        }
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
}

#[derive(Args)]
pub(crate) struct DiffArguments {
    /// The report before.
    pub(crate) before: PathBuf,
    /// The report after.
    pub(crate) after: PathBuf,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = DiffFormat::Text)]
    pub(crate) format: DiffFormat,
    /// The file to write. Default: standard output.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
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
            Some(Command::Rules { statements: true, .. }) => Ok(rules::by_statement()),
            Some(Command::Rules { glob, .. }) => rules::list(&glob),
            Some(Command::Explain { rule }) => rules::explain(&rule),
            Some(Command::Run(arguments)) => run::run(&arguments),
            Some(Command::Replay { file, run, times }) => replay::replay(&file, run, times),
            Some(Command::Step(arguments)) => step::step(&arguments),
            Some(Command::Check(arguments)) => check::check(&arguments),
            Some(Command::New(arguments)) => new::new(&arguments),
            Some(Command::Report(arguments)) => report::report(&arguments),
            Some(Command::Merge(arguments)) => merge::merge(&arguments),
            Some(Command::Diff(arguments)) => diff::diff(&arguments),
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

/// Whether the name matches the glob, in which `*` stands for anything.
fn matches(glob: &str, name: &str) -> bool {
    match glob.split_once('*') {
        None => glob == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).any(|i| rest.is_char_boundary(i) && matches(tail, &rest[i..]))
        }),
    }
}

/// The rules that match.
///
/// # Errors
/// That none does, with the nearest names.
fn select_rules(glob: &str) -> anyhow::Result<Vec<rulebook::Entry>> {
    let all = || rulebook::all().chain(rulebook::stepped());
    let selected: Vec<_> = all().filter(|entry| matches(glob, entry.about.id)).collect();
    if selected.is_empty() {
        let known = all().map(|entry| entry.about.id);
        let nearest = ipc_conformance::catalogue::nearest(glob, known).join(", ");
        anyhow::bail!("no rule is called {glob:?}; the nearest are: {nearest}");
    }
    Ok(selected)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(matches("*", "send.full.blocks"));
        assert!(matches("send.*", "send.full.blocks"));
        assert!(matches("*.full.*", "send.full.blocks"));
        assert!(!matches("send.*", "try_send.full.refuses"));
        assert!(!matches("send", "send.full.blocks"));
    }
}
