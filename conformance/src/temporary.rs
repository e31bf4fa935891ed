//! The folder of a run, which nothing outlives.

use std::path::Path;

use anyhow::Context;
use tempfile::TempDir;

const PREFIX: &str = "ipc-conform-";

/// A folder of its own for this run. Folders of runs that were killed are removed on the way.
///
/// # Errors
/// If the folder for temporary files is full or read-only.
pub fn folder() -> anyhow::Result<TempDir> {
    let parent = std::env::temp_dir();
    sweep(&parent);
    let prefix = format!("{PREFIX}{}-", std::process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir_in(&parent).with_context(|| {
        format!("cannot create a folder in {}; is it full, or read-only?", parent.display())
    })
}

fn sweep(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok) {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|n| n.strip_prefix(PREFIX)?.split('-').next())
        else {
            continue;
        };
        let gone = pid.parse::<u32>().is_ok_and(|p| !Path::new(&format!("/proc/{p}")).exists());
        if gone {
            // Somebody else's, then: left alone.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
