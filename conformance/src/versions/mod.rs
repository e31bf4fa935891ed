//! Adapters with another version of their crate than the project's lock file pins.
//!
//! The adapter's source is copied into a small workspace of its own, in which the crate is asked
//! for at exactly that version, and which lies in folders of the same names: an adapter that reads
//! its version from the lock file four folders above reads the one it was really built with.

mod bisect;
mod published;

use std::path::{Path, PathBuf};
use std::process::Command;

pub use bisect::{Bisected, bisect};
pub use published::published;

use toml::{Table, Value};

use crate::catalogue;

/// Builds the adapter with this version of its crate, and answers where its program is.
///
/// # Errors
/// Why it cannot be built: there is no such version, or the compiler's first error.
pub fn build(adapter: &str, version: &str) -> Result<PathBuf, String> {
    let parts = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
    if !version.starts_with(|c: char| c.is_ascii_digit()) || !version.chars().all(parts) {
        return Err(format!("{version:?} is no version; give one such as 0.5.8"));
    }
    let versions = target().join("ipc-conform/versions");
    let folder = versions.join(format!("{adapter}@{version}"));
    let project = catalogue::workspace()?;
    let _alone = alone(&versions).map_err(|e| format!("{}: {e}", versions.display()))?;
    lay_out(&project, adapter, version, &folder)
        .map_err(|e| format!("cannot lay out {}: {e}", folder.display()))??;
    let package = format!("adapter-{adapter}");
    let mut command = cargo(&folder);
    command.args(["build", "--release", "--message-format=json", "-p", &package]);
    let output = command.output().map_err(|e| format!("cannot run cargo: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let messages =
        || text.lines().filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok());
    if !output.status.success() {
        let error = messages().find(|m| m["message"]["level"] == "error");
        let compiler = error.and_then(|m| m["message"]["rendered"].as_str().map(String::from));
        let cargo = String::from_utf8_lossy(&output.stderr).into_owned();
        let why = compiler.unwrap_or(cargo);
        return Err(format!("it cannot be built with {version}: {}", why.trim()));
    }
    let built = messages().find(|m| m["target"]["name"] == package.as_str());
    let built = built.and_then(|m| m["executable"].as_str().map(PathBuf::from));
    let built = built.ok_or_else(|| format!("cargo built no program {package}"))?;
    // The next version is built to the same place.
    keep(&built, &folder, &package).map_err(|e| format!("{}: {e}", folder.display()))
}

/// Waits until nobody else builds versions here: between the building of one and its being kept, no
/// other may be built.
fn alone(versions: &Path) -> std::io::Result<std::fs::File> {
    std::fs::create_dir_all(versions)?;
    let lock = std::fs::File::create(versions.join("lock"))?;
    lock.lock()?;
    Ok(lock)
}

/// Under its name at once: one that somebody else is running cannot be written.
fn keep(built: &Path, folder: &Path, package: &str) -> std::io::Result<PathBuf> {
    let (new, kept) = (folder.join(format!("{package}.new")), folder.join(package));
    std::fs::copy(built, &new)?;
    std::fs::rename(&new, &kept)?;
    Ok(kept)
}

/// Cargo in this folder. All versions are built in one place: what they have in common is built
/// once.
fn cargo(folder: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target().join("ipc-conform/versions/target"));
    command
}

/// The name of the crate that the adapter is about.
///
/// # Errors
/// It is about none, or about several.
fn package_of(adapter: &str) -> Result<String, String> {
    let place = catalogue::workspace()?.join("conformance/adapters").join(adapter);
    let mut package = read(&place.join("Cargo.toml")).map_err(|e| e.to_string())?;
    pin(&mut package, adapter, "0.0.0")
}

/// Where cargo builds the project; for a program that has no project, `target` of where it runs.
pub fn target() -> PathBuf {
    let own = || catalogue::workspace().unwrap_or_default().join("target");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(own, PathBuf::from)
}

/// Writes the workspace. The outer error is the file system's, the inner one says what is asked
/// for in vain.
fn lay_out(
    project: &Path,
    adapter: &str,
    version: &str,
    folder: &Path,
) -> std::io::Result<Result<(), String>> {
    let member = format!("conformance/adapters/{adapter}");
    let mut package = read(&project.join(&member).join("Cargo.toml"))?;
    let pinned = match pin(&mut package, adapter, version) {
        Ok(pinned) => pinned,
        Err(why) => return Ok(Err(why)),
    };
    let mut root = read(&project.join("Cargo.toml"))?;
    root.retain(|key, _| key == "workspace" || key == "profile");
    if let Some(Value::Table(workspace)) = root.get_mut("workspace") {
        workspace.insert("members".into(), Value::from(vec![member.clone()]));
        workspace.remove("default-members");
        let shared = workspace.get_mut("dependencies").and_then(Value::as_table_mut);
        for (_, dependency) in shared.into_iter().flatten() {
            make_absolute(dependency, project);
        }
    }
    std::fs::create_dir_all(folder.join(&member))?;
    copy(&project.join(&member).join("src"), &folder.join(&member).join("src"))?;
    write(&folder.join(&member).join("Cargo.toml"), &package.to_string())?;
    write(&folder.join("Cargo.toml"), &root.to_string())?;
    // Everything but the crate stays at the version that the project is tested with.
    if !folder.join("Cargo.lock").exists() {
        let lock = std::fs::read_to_string(project.join("Cargo.lock"))?;
        write(&folder.join("Cargo.lock"), &without(&lock, &pinned))?;
    }
    Ok(Ok(()))
}

/// Asks for exactly this version of the crate that the adapter is about. Answers its name.
fn pin(package: &mut Table, adapter: &str, version: &str) -> Result<String, String> {
    let dependencies = package.get_mut("dependencies").and_then(Value::as_table_mut);
    let dependencies = dependencies.ok_or("it depends on nothing")?;
    let own = |value: &Value| value.get("workspace").is_none();
    let same = |name: &str| name.replace('_', "-") == adapter;
    let named = dependencies.keys().find(|name| same(name)).cloned();
    let crates: Vec<String> =
        dependencies.iter().filter(|(_, v)| own(v)).map(|(name, _)| name.clone()).collect();
    let name = match (named, crates.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only.clone(),
        (None, []) => return Err(format!("{adapter} is no crate, so it has no other versions")),
        (None, several) => {
            return Err(format!("which of {} has that version?", several.join(", ")));
        }
    };
    let exact = Value::from(format!("={version}"));
    match dependencies.get_mut(&name) {
        Some(Value::Table(details)) => {
            details.insert("version".into(), exact);
            let renamed = details.get("package").and_then(Value::as_str);
            return Ok(renamed.map_or(name, String::from));
        }
        Some(plain) => *plain = exact,
        None => {}
    }
    Ok(name)
}

fn make_absolute(dependency: &mut Value, project: &Path) {
    if let Some(path) = dependency.get_mut("path") {
        let there = path.as_str().map(|p| project.join(p).display().to_string());
        *path = Value::from(there.unwrap_or_default());
    }
}

/// The lock file without the crate, so that cargo looks for the version that is asked for.
fn without(lock: &str, name: &str) -> String {
    let entry = format!("name = \"{name}\"");
    let packages = lock.split("\n\n").filter(|package| !package.lines().any(|l| l == entry));
    packages.collect::<Vec<_>>().join("\n\n")
}

fn read(path: &Path) -> std::io::Result<Table> {
    let text = std::fs::read_to_string(path)?;
    text.parse().map_err(|e| std::io::Error::other(format!("{}: {e}", path.display())))
}

/// Writes the file unless it says so already: cargo builds anew what is newer.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    match std::fs::read_to_string(path) {
        Ok(before) if before == text => Ok(()),
        _ => std::fs::write(path, text),
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let there = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &there)?;
        } else {
            write(&there, &std::fs::read_to_string(entry.path())?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pinned(adapter: &str, dependencies: &str) -> Result<(String, String), String> {
        let mut package: Table = format!("[dependencies]\n{dependencies}").parse().unwrap();
        let name = pin(&mut package, adapter, "1.2.3")?;
        Ok((name, package.to_string()))
    }

    #[test]
    fn the_crate_is_the_dependency_of_the_adapters_name_or_the_only_one_of_its_own() {
        let own = "ipc-model.workspace = true\nos_pipe = \"1\"\nother = \"2\"";
        let (name, text) = pinned("os-pipe", own).unwrap();
        assert_eq!(name, "os_pipe");
        assert!(text.contains("os_pipe = \"=1.2.3\"") && text.contains("other = \"2\""), "{text}");
        let tokio = "tokio = { version = \"1\", features = [\"sync\"] }";
        let (name, text) = pinned("tokio-mpsc", tokio).unwrap();
        assert_eq!(name, "tokio");
        assert!(text.contains("version = \"=1.2.3\"") && text.contains("sync"), "{text}");
        let renamed = "own = { package = \"theirs\", version = \"1\" }";
        assert_eq!(pinned("own", renamed).unwrap().0, "theirs");
        assert!(pinned("pipe", "nix.workspace = true").unwrap_err().contains("is no crate"));
    }
}
