//! Finds adapters, and builds them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the main job runs: adapters, and the named objects of this system. Crates that share memory
/// are run where they are asked for.
pub const DEFAULT: &[&str] = &[
    "std-mpsc",
    "crossbeam-channel",
    "flume",
    "ipc-channel",
    "pipe",
    "seqpacket",
    "posix-mq",
    "own",
    "objects/posix-shm",
    "objects/posix-mq",
];

/// What a user names: an adapter and perhaps one of its configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Name of the adapter's folder, or path of an adapter program.
    pub adapter: String,
    /// The version of its crate; `None` for the one that the project's lock file pins.
    pub version: Option<String>,
    /// The configuration; `None` for all of them.
    pub link: Option<String>,
}

impl Selection {
    /// Reads `adapter`, `adapter/configuration`, either with `@version` behind the adapter, or the
    /// path of a program (it begins with `.` or `/`).
    pub fn parse(text: &str) -> Self {
        if text.starts_with(['.', '/']) {
            return Self { adapter: text.into(), version: None, link: None };
        }
        let (program, link) = text.split_once('/').map_or((text, None), |(p, l)| (p, Some(l)));
        let (adapter, version) =
            program.split_once('@').map_or((program, None), |(a, v)| (a, Some(v)));
        let owned = |text: Option<&str>| text.map(String::from);
        Self { adapter: adapter.into(), version: owned(version), link: owned(link) }
    }

    /// The program, as the user names it: the adapter, with its version if one was asked for.
    pub fn program(&self) -> String {
        match &self.version {
            Some(version) => format!("{}@{version}", self.adapter),
            None => self.adapter.clone(),
        }
    }

    /// Whether it is named objects, which need no adapter.
    pub fn is_objects(&self) -> bool {
        self.adapter == crate::objects::ADAPTER
    }

    /// Whether it is the path of a program rather than the name of an adapter.
    pub fn is_program(&self) -> bool {
        self.adapter.starts_with(['.', '/'])
    }
}

/// Names the folder that holds the project, for a program that was not built there.
const PROJECT_VARIABLE: &str = "IPC_CONFORM_PROJECT";

/// The folder that holds the project with its adapters: where this program was built, or where
/// `IPC_CONFORM_PROJECT` says.
///
/// # Errors
/// It is not there, as it is not where the program was installed from a registry; what works all
/// the same.
pub fn workspace() -> Result<PathBuf, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = here.parent().unwrap_or(here).to_path_buf();
    let folder = std::env::var_os(PROJECT_VARIABLE).map_or(built, PathBuf::from);
    if folder.join("conformance/adapters").is_dir() {
        return Ok(folder);
    }
    Err(format!(
        "{} does not hold the project's adapters: get the project's source and set \
         {PROJECT_VARIABLE} to its folder. Programs that are adapters themselves are run without \
         it, by their paths: ipc-conform run ./my-adapter",
        folder.display()
    ))
}

/// The names of all adapters of this project, sorted.
///
/// # Errors
/// If the folder of the adapters cannot be read.
pub fn adapters() -> Result<Vec<String>, String> {
    let folder = workspace()?.join("conformance/adapters");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|e| e.path().join("Cargo.toml").exists())
        .filter_map(|e| e.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// More names than these are not listed to somebody who has asked for none of them.
const MANY: usize = 50;

/// What to say of a name that is none: which are nearest to it, or all that there are where none is
/// near.
pub fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(name, known.iter().copied()) {
        near if near.is_empty() && known.len() > MANY => {
            format!("none of the {} that there are is near it", known.len())
        }
        near if near.is_empty() => format!("there are: {}", known.join(", ")),
        near => format!("the nearest are: {}", near.join(", ")),
    }
}

/// Those of `known` that are nearest to `name`, the best first.
fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut scored: Vec<(f64, &str)> =
        known.into_iter().map(|k| (strsim::jaro_winkler(name, k), k)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take_while(|(score, _)| *score > 0.6).take(3).map(|(_, k)| k).collect()
}

/// Builds these adapters and answers where their programs are, in the same order.
///
/// # Errors
/// The compiler's first error, or that there is no compiler.
pub fn build(names: &[String]) -> Result<Vec<PathBuf>, String> {
    let packages: Vec<_> = names.iter().map(|name| format!("adapter-{name}")).collect();
    build_packages(&packages, "release")
}

/// Builds these packages of the project, each of which is a program of the same name, by a profile
/// of the project's `Cargo.toml`.
///
/// # Errors
/// The compiler's first error, or that there is no compiler.
pub fn build_packages(packages: &[String], profile: &str) -> Result<Vec<PathBuf>, String> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace()?).args(["build", "--message-format=json"]);
    command.args(["--profile", profile]);
    for package in packages {
        command.args(["-p", package]);
    }
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cannot run cargo to build {}: {e}", packages.join(", ")))?;
    let messages: Vec<serde_json::Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    if !output.status.success() {
        let error = messages.iter().find(|m| m["message"]["level"] == "error");
        let text = error.and_then(|m| m["message"]["rendered"].as_str()).unwrap_or("see above");
        return Err(format!("a program does not compile: {text}"));
    }
    let program = |package: &String| {
        let built = messages.iter().find(|m| m["target"]["name"] == package.as_str());
        let path = built.and_then(|m| m["executable"].as_str()).map(PathBuf::from);
        path.ok_or_else(|| format!("cargo built no program {package}"))
    };
    packages.iter().map(program).collect()
}

/// Whether the name matches the glob, in which `*` stands for anything.
pub fn matches(glob: &str, name: &str) -> bool {
    match glob.split_once('*') {
        None => glob == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).any(|i| rest.is_char_boundary(i) && matches(tail, &rest[i..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{matches, suggest};

    #[test]
    fn a_name_that_is_none_is_told_what_is() {
        let known = ["ring-1", "ring-2", "mailbox"];
        assert_eq!(suggest("ring-3", known), "the nearest are: ring-1, ring-2");
        assert_eq!(suggest("xyz", known), "there are: ring-1, ring-2, mailbox");
    }

    #[test]
    fn a_star_stands_for_anything() {
        assert!(matches("*", "send.full.blocks"));
        assert!(matches("send.*", "send.full.blocks"));
        assert!(matches("*.full.*", "send.full.blocks"));
        assert!(!matches("send.*", "try_send.full.refuses"));
        assert!(!matches("send", "send.full.blocks"));
    }
}
