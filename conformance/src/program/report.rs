//! `report`: a report file in another format.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use ipc_conformance::report::cost::Costs;
use ipc_conformance::report::{Report, badge, html, junit, markdown};

use super::{ReportArguments, ReportFormat, WELL, merge};

pub(super) fn report(arguments: &ReportArguments) -> anyhow::Result<u8> {
    let to = arguments.out.as_deref();
    let folder = to.map_or_else(|| Path::new("."), folder_of);
    let report = merge::joined(&arguments.files, folder)?;
    report.complete().map_err(|e| anyhow!("{}: {e}", names(&arguments.files)))?;
    let text = match arguments.format {
        ReportFormat::Html => {
            let costs = arguments.bench.as_deref().map(costs).transpose()?;
            html::page_with(&report, costs.as_ref())
        }
        ReportFormat::Json => serde_json::to_string_pretty(&report)? + "\n",
        ReportFormat::Junit => junit::junit(&report).map_err(|e| anyhow!("JUnit: {e}"))?,
        ReportFormat::Markdown => markdown::markdown(&report),
        ReportFormat::Badge => badge::badge(&report),
    };
    write(to, &text)?;
    Ok(WELL)
}

fn costs(file: &Path) -> anyhow::Result<Costs> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    Costs::parse(&text).map_err(|e| anyhow!("{}: {e}", file.display()))
}

fn names(files: &[PathBuf]) -> String {
    files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The folder that a file lies in.
pub(super) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Reads a report file.
///
/// # Errors
/// The file's name, and what is wrong with it.
pub(super) fn read(file: &Path) -> anyhow::Result<Report> {
    let name = file.display();
    let bytes = std::fs::read(file).with_context(|| name.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("{name}: not UTF-8 text"))?;
    if text.trim().is_empty() {
        bail!("{name}: the file is empty");
    }
    Report::parse(&text).map_err(|e| anyhow!("{name}: {e}"))
}

/// Writes to the file, or to standard output.
pub(super) fn write(to: Option<&Path>, text: &str) -> anyhow::Result<()> {
    let Some(path) = to else {
        let written = std::io::stdout().write_all(text.as_bytes());
        // A reader that has seen enough, such as `head`, is not an error.
        return match written {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => other.context("standard output"),
        };
    };
    std::fs::create_dir_all(folder_of(path))
        .and_then(|()| std::fs::write(path, text))
        .with_context(|| format!("cannot write {}", path.display()))
}
