//! Which versions of a crate there are: asked of the registry through cargo, so that mirrors,
//! proxies and offline use are as cargo is set up.

use std::process::Command;

use semver::Version;
use tame_index::index::{FileLock, IndexLocation, IndexUrl, SparseIndex};

use super::{cargo, package_of, target, write};

/// The published versions of the crate that the adapter is about, the oldest first. Versions that
/// were yanked are left out: cargo builds nothing new with them.
///
/// # Errors
/// The adapter is about no crate; or cargo's own reason why the registry cannot be asked.
pub fn published(adapter: &str) -> Result<Vec<Version>, String> {
    let name = package_of(adapter)?;
    refresh(&name)?;
    let mut versions = cached(&name).map_err(|e| format!("{name}: cargo's index: {e}"))?;
    versions.sort();
    Ok(versions)
}

/// Lets cargo bring its copy of the crate's entry in the index up to date, as it does whenever it
/// resolves a dependency.
fn refresh(name: &str) -> Result<(), String> {
    let folder = target().join("ipc-conform/versions").join(format!("{name}@any"));
    let manifest = format!(
        "[package]\nname = \"any\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         {name} = \"*\"\n"
    );
    let laid_out = std::fs::create_dir_all(folder.join("src"))
        .and_then(|()| write(&folder.join("Cargo.toml"), &manifest))
        .and_then(|()| write(&folder.join("src/lib.rs"), ""));
    laid_out.map_err(|e| format!("{}: {e}", folder.display()))?;
    let output = cargo(&folder)
        .arg("generate-lockfile")
        .output()
        .map_err(|e| format!("cannot run cargo: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "the registry cannot be asked which versions of {name} there are: {}; a single version is \
         run by its name, {name}@VERSION",
        why.trim()
    ))
}

/// What cargo's copy of the index says.
fn cached(name: &str) -> Result<Vec<Version>, tame_index::Error> {
    let url = IndexUrl::crates_io(None, None, cargo_version().as_deref())?;
    let index = SparseIndex::new(IndexLocation::new(url))?;
    let unlocked = FileLock::unlocked();
    let entry = index.cached_krate(name.try_into()?, &unlocked)?;
    let Some(entry) = entry else { return Ok(Vec::new()) };
    let published = entry.deserialize()?.versions;
    let usable = published.into_iter().filter(|v| !v.is_yanked());
    Ok(usable.filter_map(|v| v.version.parse().ok()).collect())
}

/// Cargo's version: where it keeps its copies depends on it.
fn cargo_version() -> Option<String> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program).arg("-V").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().nth(1).map(String::from)
}
