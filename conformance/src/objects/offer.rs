//! What a system or a crate offers, and where that is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::{memory, names};
use crate::catalogue;

/// What is held against a model: facilities of this system, and crates that share memory.
pub const NAMES: [&str; 6] =
    ["posix-shm", "posix-mq", "shared_memory", "memmap2-file", "memmap2-memfd", "own-region"];

/// The package of the program that uses the crate; `None` for facilities of the system, which
/// `ipc-conform` uses itself.
pub fn package(name: &str) -> Option<&'static str> {
    match name {
        "shared_memory" => Some("objects-shared-memory"),
        "memmap2-file" | "memmap2-memfd" => Some("objects-memmap2"),
        "own-region" => Some("objects-own"),
        _ => None,
    }
}

/// Those of [`NAMES`] that can be used here: the programs of crates are built from the project's
/// source.
pub fn usable() -> Vec<&'static str> {
    let source = catalogue::workspace().is_ok();
    NAMES.into_iter().filter(|name| source || package(name).is_none()).collect()
}

/// Builds what these names need; answers the program of each. `own` is this program.
///
/// # Errors
/// The compiler's first error, or that the project's source is not here.
pub fn build(names: &[&str], own: &Path) -> Result<Vec<PathBuf>, String> {
    let mut packages: Vec<String> =
        names.iter().filter_map(|name| package(name)).map(String::from).collect();
    packages.sort();
    packages.dedup();
    let built = match packages.is_empty() {
        true => Vec::new(),
        false => catalogue::build_packages(&packages, "release")?,
    };
    let program = |name: &&str| {
        let at = package(name).and_then(|p| packages.iter().position(|built| built == p));
        at.map_or(own, |at| built[at].as_path()).to_path_buf()
    };
    Ok(names.iter().map(program).collect())
}

/// What a system or a crate offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Of the crate, or the kernel's.
    pub version: String,
    /// What it claims, in words.
    pub claims: BTreeMap<String, String>,
    /// Where that is written.
    pub documented: Vec<String>,
    /// Rules that it does not claim, as globs, each with the reason.
    pub unclaimed: Vec<(String, String)>,
    /// Whether it claims anything about other users.
    pub users: bool,
    /// Whether its calls are one step of the model each.
    pub all_at_once: bool,
    /// Whether every process has an object without a name from the beginning, and no other.
    pub nameless: bool,
}

impl Offer {
    /// Claims in words.
    #[must_use]
    pub fn claiming(mut self, claims: &[(&str, &str)]) -> Self {
        let owned = claims.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.claims.extend(owned);
        self
    }

    /// Where it is documented.
    #[must_use]
    pub fn documented(mut self, places: &[&str]) -> Self {
        self.documented.extend(places.iter().map(ToString::to_string));
        self
    }

    /// Rules that it does not claim: globs, and the reason.
    #[must_use]
    pub fn without(mut self, rules: &[&str], reason: &str) -> Self {
        self.unclaimed.extend(rules.iter().map(|rule| ((*rule).to_owned(), reason.to_owned())));
        self
    }

    /// Why the rule is not claimed, if it is not.
    pub fn unclaimed(&self, rule: &str) -> Option<&str> {
        let named = self.unclaimed.iter().find(|(glob, _)| catalogue::matches(glob, rule));
        named.map(|(_, reason)| reason.as_str())
    }
}

/// What `name` offers; `program` is the one of its [`package`].
///
/// # Errors
/// If there is nothing of this name, or the program does not say what it offers.
pub fn offer(name: &str, program: &Path) -> Result<Offer, String> {
    match name {
        "posix-shm" => Ok(posix_shm()),
        "posix-mq" => Ok(posix_mq()),
        _ if package(name).is_none() => {
            Err(format!("nothing is called {name:?}; there are: {}", NAMES.join(", ")))
        }
        _ => {
            let output = Command::new(program).args([super::OFFER, name]).output();
            let output = output.map_err(|e| format!("{}: {e}", program.display()))?;
            let text = String::from_utf8_lossy(&output.stdout);
            let told = serde_json::from_str(&text);
            told.map_err(|e| format!("{} {}: {e}: {text}", program.display(), super::OFFER))
        }
    }
}

fn posix_shm() -> Offer {
    let system = Offer { users: true, all_at_once: true, ..Offer::default() };
    let page = format!("{} bytes", memory().page);
    Offer { version: crate::kernel_version(), ..system }
        .claiming(&[("Page", page.as_str())])
        .claiming(&[("Change of size", "a mapping follows the object's size at once")])
        .documented(&[
            "POSIX.1-2024 shm_open, shm_unlink, ftruncate, mmap, munmap, close",
            "https://man7.org/linux/man-pages/man7/shm_overview.7.html",
        ])
}

fn posix_mq() -> Offer {
    let system = Offer { users: true, all_at_once: true, ..Offer::default() };
    let longest = format!("up to {} bytes behind a slash; others are refused", names().longest);
    let places = format!("{} messages", names().places);
    Offer { version: crate::kernel_version(), ..system }
        .claiming(&[("Names", longest.as_str()), ("Capacity", places.as_str())])
        .claiming(&[
            (
                "Notification",
                "taken back by any close of the process, not only by that of the handle it was \
                 asked through, as POSIX has it",
            ),
            ("A name used again", "makes another mailbox beside the one that lost it"),
        ])
        .documented(&[
            "POSIX.1-2024 mq_open, mq_close, mq_unlink, mq_send, mq_receive, mq_notify",
            "https://man7.org/linux/man-pages/man7/mq_overview.7.html",
        ])
}
