//! What a link has to offer to be checked: the two traits that an adapter implements.

mod claim;
mod ends;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipc_model::Process;
use serde::{Deserialize, Serialize};

pub use self::claim::{Batches, Cancelling, Claim, Extras, Observation, Observer};
pub use self::ends::{Both, Handles, Supply, ends, eventually};
use crate::futures::Futures;
use crate::values::Values;

/// Why a call did not take effect, or could not even be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No room now.
    #[error("full")]
    Full,
    /// No message now.
    #[error("empty")]
    Empty,
    /// The time was up.
    #[error("timeout")]
    Timeout,
    /// Nobody is left at the other end.
    #[error("closed")]
    Closed,
    /// The message is larger than the link takes.
    #[error("too big")]
    TooBig,
    /// The link takes messages of another size only.
    #[error("wrong size")]
    WrongSize,
    /// The link has no such call.
    #[error("the link has no such call")]
    Unsupported,
    /// Anything else: the suite reports it as it is, and never takes it for an answer.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// Wraps an error that has no word of its own.
    pub fn other(error: impl std::fmt::Display) -> Self {
        Self::Other(error.to_string())
    }
}

/// A message on its way out.
#[derive(Clone, Copy, Debug)]
pub struct Parcel<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Higher is sooner, on a link that orders by priority.
    pub priority: u32,
    /// The recipient, on a direct link.
    pub to: Option<Process>,
}

/// A message that came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Who sent it, where the link tells (asymmetric addressing).
    pub sender: Option<Process>,
}

impl From<Vec<u8>> for Delivery {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, sender: None }
    }
}

/// A process's hold on a link. Dropping it closes the process's ends.
#[expect(unused_variables, reason = "the defaults ignore what they are given")]
pub trait Endpoint: Send {
    /// Sends, and waits for as long as it takes.
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        Err(Failure::Unsupported)
    }

    /// Sends now or not at all.
    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        Err(Failure::Unsupported)
    }

    /// Sends, and waits no longer than `timeout`.
    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        Err(Failure::Unsupported)
    }

    /// Receives, and waits for as long as it takes; on a symmetric link only `from` this process.
    fn receive(&mut self, from: Option<Process>) -> Result<Delivery, Failure> {
        Err(Failure::Unsupported)
    }

    /// Receives now or not at all.
    fn try_receive(&mut self, from: Option<Process>) -> Result<Delivery, Failure> {
        Err(Failure::Unsupported)
    }

    /// Receives, and waits no longer than `timeout`.
    fn receive_timeout(
        &mut self,
        from: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        Err(Failure::Unsupported)
    }

    /// Sends now, in order, as many of these as find room, and tells how many that were.
    fn send_batch(&mut self, messages: &[Vec<u8>]) -> Result<usize, Failure> {
        Err(Failure::Unsupported)
    }

    /// Receives now all that is there, in order; nothing is no failure.
    fn receive_batch(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        Err(Failure::Unsupported)
    }

    /// What the end tells of the link without changing it.
    fn observe(&self, what: Observer) -> Result<Observation, Failure> {
        Err(Failure::Unsupported)
    }
}

/// Which ends a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Which process of the scenario it is.
    pub process: Process,
    /// It sends.
    pub sends: bool,
    /// It receives.
    pub receives: bool,
}

/// How another process finds the link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// A name, a path, an id, or numbers of inherited descriptors: the adapter's own business.
    pub text: String,
    /// Descriptors that the other process inherits under the same numbers.
    #[serde(default)]
    pub inherit: Vec<RawFd>,
}

impl Address {
    /// An address that is text alone.
    pub fn named(text: impl Into<String>) -> Self {
        Self { text: text.into(), inherit: Vec::new() }
    }

    /// The address of inherited descriptors: their numbers, as text too.
    pub fn inherited(descriptors: &[RawFd]) -> Self {
        let text: Vec<String> = descriptors.iter().map(RawFd::to_string).collect();
        Self { text: text.join(","), inherit: descriptors.into() }
    }

    /// The numbers that [`Address::inherited`] wrote.
    ///
    /// # Errors
    /// If the text holds anything else.
    pub fn descriptors(&self) -> Result<Vec<RawFd>, Failure> {
        let read = |n: &str| n.parse().map_err(|_| Failure::Other(format!("{n:?} is no number")));
        self.text.split(',').map(read).collect()
    }
}

/// Where a link may put what it needs while it lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// A name that nothing else on this machine has: a prefix for mailboxes and objects.
    pub name: String,
    /// A folder of its own, removed after the run.
    pub folder: PathBuf,
}

impl Place {
    /// A number that hardly anything else on this machine has, and never zero: a key for what the
    /// kernel finds by numbers. Create it exclusively: two places may share one.
    pub fn key(&self) -> i32 {
        let mut hasher = DefaultHasher::new();
        (&self.name, &self.folder).hash(&mut hasher);
        // The lower 31 bits fit.
        (hasher.finish() & 0x7fff_ffff).max(1) as i32
    }
}

/// Removes what lies at this path, and the files beside it that are named after it: whose names go
/// on with anything but a letter or a digit. What is not there needs no removing.
pub fn remove_files(path: &Path) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return };
    let named_after = |other: &std::ffi::OsStr| {
        let rest = other.as_encoded_bytes().strip_prefix(name.as_encoded_bytes());
        rest.is_some_and(|rest| !rest.first().is_some_and(u8::is_ascii_alphanumeric))
    };
    for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        if named_after(&entry.file_name()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A link that has been created, in the process that created it. Dropping it removes what the
/// link left behind: names, files, kernel objects.
pub trait Created {
    /// An endpoint for a thread of this process.
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure>;

    /// How another process of this role finds the link.
    fn address(&mut self, _role: Role) -> Result<Address, Failure> {
        Err(Failure::Unsupported)
    }

    /// Every endpoint has been handed out: give up the ends that only served to make them, so
    /// that the last one handed out is really the last.
    fn hand_over(&mut self) {}
}

/// A family of links: a crate, or an OS facility, in each of its configurations.
pub trait Adapter {
    /// Name of the crate or facility.
    fn name(&self) -> String;

    /// Its version; for an OS facility, the kernel's.
    fn version(&self) -> String;

    /// The configurations it comes in, each with its claim.
    fn claims(&self) -> Vec<Claim>;

    /// Creates a link of the configuration `link`.
    fn create(&self, link: &str, place: &Place) -> Result<Box<dyn Created>, Failure>;

    /// Connects, from another process, to the link that was created there.
    fn connect(
        &self,
        _link: &str,
        _address: &Address,
        _role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        Err(Failure::Unsupported)
    }

    /// A fresh link of the configuration `link` that carries values; `None` if it carries bytes
    /// alone.
    fn values(&self, _link: &str) -> Option<Box<dyn Values>> {
        None
    }

    /// Creates a link of the configuration `link` whose calls are futures, with two ends of each
    /// kind of which there may be many.
    fn futures(&self, _link: &str) -> Result<Futures, Failure> {
        Err(Failure::Unsupported)
    }

    /// Removes what a link created at this place has left behind, its process having been killed.
    fn remove(&self, _link: &str, _place: &Place) {}
}
