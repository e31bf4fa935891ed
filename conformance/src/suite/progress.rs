//! What has been decided of a link so far: kept in a file while it is run, so that a run that was
//! interrupted or killed can go on where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ipc_model::Profile;
use serde::{Deserialize, Serialize};

use crate::replay::Replay;
use crate::report::{Cell, CellVerdict, Trace};

/// Between two times that the file is written: what a kill can cost.
const OFTEN: Duration = Duration::from_secs(1);

/// What has been decided of one link.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Decided {
    /// The first run that is not decided.
    pub(super) next: u64,
    /// How many scenarios were run.
    pub(super) runs: u32,
    /// By rule: how many runs needed it and kept it.
    pub(super) evidence: BTreeMap<String, u32>,
    /// By rule: how many runs fired it, on some sequence of steps that explains them.
    pub(super) fired: BTreeMap<String, u32>,
    /// By rule: what calls about it came to, where no race decides that.
    pub(super) observed: BTreeMap<String, BTreeSet<String>>,
    /// By rule: the best counterexample.
    pub(super) findings: BTreeMap<String, Finding>,
    /// By rule: why runs about it tell nothing.
    pub(super) troubles: BTreeMap<String, (CellVerdict, String)>,
    /// By rule: what a probe has found.
    pub(super) probed: BTreeMap<String, Cell>,
    /// How long runs that broke have taken.
    pub(super) wasted: Duration,
    /// Why the link is not run any more.
    pub(super) given_up: Option<String>,
}

/// A broken rule, and how it was seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Finding {
    pub(super) verdict: CellVerdict,
    pub(super) why: String,
    pub(super) observed: String,
    pub(super) picture: String,
    pub(super) trace: Trace,
    pub(super) replay: Replay,
    /// Whether it hangs on a race, and how many calls it takes: less is better.
    pub(super) rank: (bool, usize),
}

/// The file of a link's progress, or none.
#[derive(Debug)]
pub struct Progress {
    file: Option<(PathBuf, Identity)>,
    written: Instant,
}

/// What the progress is about: another version of the link is another link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Identity {
    version: String,
    profile: Profile,
}

#[derive(Serialize)]
struct Written<'a> {
    identity: &'a Identity,
    decided: &'a Decided,
}

#[derive(Deserialize)]
struct Read {
    identity: Identity,
    decided: Decided,
}

impl Progress {
    /// Nothing is kept.
    pub fn nowhere() -> Self {
        Self { file: None, written: Instant::now() }
    }

    /// Kept in this file, for a link of this version and profile.
    pub fn kept(file: PathBuf, version: &str, profile: &Profile) -> Self {
        let identity = Identity { version: version.into(), profile: *profile };
        Self { file: Some((file, identity)), written: Instant::now() }
    }

    /// What the file says; nothing is decided where there is none.
    ///
    /// # Errors
    /// The file cannot be read, or is about another version of the link.
    pub fn read(&self) -> Result<Decided, String> {
        let Some((file, identity)) = &self.file else { return Ok(Decided::default()) };
        let text = match std::fs::read_to_string(file) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Decided::default()),
            text => text.map_err(|e| format!("{}: {e}", file.display()))?,
        };
        let read: Read = serde_json::from_str(&text)
            .map_err(|e| format!("{}: no progress of a run: {e}", file.display()))?;
        if read.identity != *identity {
            return Err(format!(
                "{} was of version {} and is of {}, or claims something else: run it anew, \
                 without --resume",
                file.display(),
                read.identity.version,
                identity.version
            ));
        }
        Ok(read.decided)
    }

    /// Writes the file now and then.
    pub(super) fn note(&mut self, decided: &Decided) {
        if self.written.elapsed() >= OFTEN {
            self.write(decided);
        }
    }

    /// Writes the file. Whoever reads it meets the old one or the new one, whole. A disk that is
    /// full ends the keeping, and not the run.
    pub(super) fn write(&mut self, decided: &Decided) {
        let Some((file, identity)) = &self.file else { return };
        let text = serde_json::to_string(&Written { identity, decided });
        let new = file.with_extension("new");
        let written = text
            .map_err(std::io::Error::other)
            .and_then(|text| std::fs::write(&new, text))
            .and_then(|()| std::fs::rename(&new, file));
        self.written = Instant::now();
        if let Err(why) = written {
            eprintln!("{}: {why}: this link cannot be resumed", file.display());
            self.file = None;
        }
    }
}
