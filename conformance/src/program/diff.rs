//! `diff`: what changed between two reports.

use ipc_conformance::report::diff::{self, Diff};

use super::report::{read, write};
use super::{DiffArguments, DiffFormat, FAILS, WELL};

pub(super) fn diff(arguments: &DiffArguments) -> anyhow::Result<u8> {
    let before = read(&arguments.before)?;
    let after = read(&arguments.after)?;
    for (file, report) in [(&arguments.before, &before), (&arguments.after, &after)] {
        report.complete().map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))?;
    }
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
