//! `diff`: what changed between two reports, or two versions of a crate.

use std::path::{Path, PathBuf};

use anyhow::bail;
use ipc_conformance::catalogue::{self, Selection};
use ipc_conformance::report::Report;
use ipc_conformance::report::diff::{self, Diff};
use ipc_conformance::versions;

use super::report::{read, write};
use super::run::decide;
use super::{Asked, DiffArguments, DiffFormat, FAILS, RunArguments, WELL};

pub(super) fn diff(arguments: &DiffArguments) -> anyhow::Result<u8> {
    let (before, after) = (Side::parse(&arguments.before)?, Side::parse(&arguments.after)?);
    let kept = || versions::target().join("ipc-conform/diff");
    let kept = arguments.keep.clone().unwrap_or_else(kept);
    let before = before.report(&arguments.asked, &kept)?;
    let after = after.report(&arguments.asked, &kept)?;
    let diff = Diff::between(&before, &after);
    let text = match arguments.format {
        DiffFormat::Text => diff::text(&diff),
        DiffFormat::Json => serde_json::to_string_pretty(&diff)? + "\n",
        DiffFormat::Markdown => diff::markdown(&diff),
        DiffFormat::Html => diff::html(&diff),
    };
    write(arguments.out.as_deref(), &text)?;
    Ok(if diff.became_red().next().is_some() { FAILS } else { WELL })
}

/// Where one side of the difference comes from.
enum Side {
    /// A report on file.
    File(PathBuf),
    /// Links that have to be run.
    Links(String),
}

impl Side {
    /// A file, if there is one of this name; else links of an adapter.
    fn parse(text: &str) -> anyhow::Result<Self> {
        if Path::new(text).is_file() {
            return Ok(Self::File(text.into()));
        }
        let named = Selection::parse(text);
        let known = catalogue::adapters().unwrap_or_default();
        if known.contains(&named.adapter) {
            return Ok(Self::Links(text.into()));
        }
        if named.version.is_some() && !known.is_empty() {
            return Err(super::no_adapter(&named.adapter, known.iter().map(String::as_str)));
        }
        bail!("{text}: there is no such file, and no adapter of that name");
    }

    /// The report: read, or made and kept in a folder of its own in `kept`.
    fn report(&self, asked: &Asked, kept: &Path) -> anyhow::Result<Report> {
        match self {
            Self::File(file) => {
                let report = read(file)?;
                report.complete().map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))?;
                Ok(report)
            }
            Self::Links(link) => {
                let decided = run_kept(link, asked, kept)?;
                decided.complete()?;
                eprintln!("{link}: {}", decided.out.join("report.json").display());
                Ok(decided.report)
            }
        }
    }
}

/// Runs links, and keeps the report in a folder of their name.
pub(super) fn run_kept(
    link: &str,
    asked: &Asked,
    kept: &Path,
) -> anyhow::Result<super::run::Decided> {
    let out = Some(kept.join(link.replace('/', "-")));
    let links = vec![link.to_string()];
    decide(&RunArguments { links, asked: asked.clone(), out, ..RunArguments::default() })
}
