//! `merge`: joins the reports of shards.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, anyhow};
use ipc_conformance::campaign;
use ipc_conformance::objects;
use ipc_conformance::replay::Replay;
use ipc_conformance::report::{Report, html, merge, text};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use ipc_conformance::stepped::Stepped;
use ipc_conformance::{NOT_ASKED, NOT_NEEDED};

use super::MergeArguments;
use super::report::{folder_of, read, write};
use super::run::exit_code;

pub(super) fn merge(arguments: &MergeArguments) -> anyhow::Result<u8> {
    let out = &arguments.out;
    let mut report = joined(&arguments.files, out)?;
    report.complete()?;
    if !arguments.partial {
        campaign::complete(&report.shards)?;
    }
    // What lies beside it is found from there.
    std::fs::create_dir_all(out).with_context(|| format!("cannot write to {}", out.display()))?;
    gather(&mut report, out)?;
    write(Some(&out.join("report.json")), &(serde_json::to_string_pretty(&report)? + "\n"))?;
    write(Some(&out.join("report.html")), &html::page(&report))?;
    super::say!("{}", text::matrix(&report, false));
    super::say!("report: {} and report.json", out.join("report.html").display());
    let excused: &[&str] = if arguments.partial { &[NOT_ASKED, NOT_NEEDED] } else { &[NOT_ASKED] };
    Ok(exit_code(&report, excused, false))
}

/// All files as one report, whose replay files are named as seen from `folder`.
///
/// # Errors
/// The file that is broken or does not belong to the first one, and the reason.
pub(super) fn joined(files: &[PathBuf], folder: &Path) -> anyhow::Result<Report> {
    let mut all: Option<Report> = None;
    for file in files {
        let mut report = read(file)?;
        for cell in &mut report.cells {
            if let Some(replay) = &cell.replay {
                let path = folder_of(file).join(replay);
                cell.replay = Some(seen_from(folder, &path).to_string_lossy().into_owned());
            }
        }
        match &mut all {
            None => all = Some(report),
            Some(all) => merge::merge(all, &report)
                .map_err(|e| anyhow!("{} and {}: {e}", files[0].display(), file.display()))?,
        }
    }
    all.ok_or_else(|| anyhow!(merge::MergeError::Nothing))
}

/// Copies the replay files of the cells into the folder of the report, so that the folder can be
/// moved and sent as a whole. Shards may use one name for two files: each keeps its own.
fn gather(report: &mut Report, out: &Path) -> anyhow::Result<()> {
    let mut taken = std::collections::HashMap::<PathBuf, PathBuf>::new();
    for cell in &mut report.cells {
        let Some(replay) = &cell.replay else { continue };
        let from = out.join(replay);
        // A report names its files as it likes: only what is a replay file is taken along.
        let judged = std::fs::read_to_string(&from).map_err(|e| e.to_string());
        if let Err(why) = judged.and_then(|text| is_replay(&text)) {
            eprintln!("merge: {}: left out: {why}", from.display());
            cell.replay = None;
            continue;
        }
        let name = from.file_name().map(PathBuf::from).unwrap_or_default();
        let mut to = Path::new("replay").join(&name);
        let mut number = 2;
        while taken.get(&to).is_some_and(|other| *other != from) {
            to = Path::new("replay").join(format!("{number}-{}", name.display()));
            number += 1;
        }
        let path = out.join(&to);
        let same = path.canonicalize().is_ok_and(|p| from.canonicalize().is_ok_and(|f| f == p));
        // Copying a file onto itself would empty it.
        if !same {
            std::fs::create_dir_all(folder_of(&path))
                .and_then(|()| std::fs::copy(&from, &path).map(|_| ()))
                .with_context(|| format!("cannot copy {}", from.display()))?;
        }
        taken.insert(to.clone(), from);
        cell.replay = Some(to.to_string_lossy().into_owned());
    }
    Ok(())
}

/// Whether the text is a replay file, of whatever kind.
///
/// # Errors
/// What is wrong with it.
fn is_replay(text: &str) -> Result<(), String> {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    if Stepped::is_one(text) {
        return Stepped::parse(text).map(drop);
    }
    if objects::Replay::is_one(text) {
        return objects::Replay::parse(text).map(drop);
    }
    Replay::parse(text).map(drop)
}

/// `path` as a program whose folder is `folder` names it.
fn seen_from(folder: &Path, path: &Path) -> PathBuf {
    let absolute = |p: &Path| std::path::absolute(p).map(|p| without_dots(&p));
    let (Ok(folder), Ok(path)) = (absolute(folder), absolute(path)) else {
        return path.to_path_buf();
    };
    let common = folder.components().zip(path.components()).take_while(|(a, b)| a == b).count();
    let up = folder.components().skip(common).map(|_| Component::ParentDir);
    up.chain(path.components().skip(common)).collect()
}

/// Without `..`, which would be taken for folders to climb out of.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_file_is_named_from_where_the_report_is() {
        let seen = |folder, path| seen_from(Path::new(folder), Path::new(path));
        assert_eq!(seen("/a/out", "/a/shard/replay/x.json"), Path::new("../shard/replay/x.json"));
        assert_eq!(seen("out", "out/replay/x.json"), Path::new("replay/x.json"));
        assert_eq!(seen(".", "a/../b/x.json"), Path::new("b/x.json"));
    }
}
