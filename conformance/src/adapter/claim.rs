//! What a link promises.

use std::collections::BTreeSet;

use ipc_model::Profile;
use serde::{Deserialize, Serialize};

use crate::protocol::Way;

/// A link in one configuration, and what its documentation promises of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Short name of the configuration, such as `bounded-2`.
    pub link: String,
    /// What is promised.
    pub profile: Profile,
    /// Whether its ends can be held by threads of one process.
    pub threads: bool,
    /// Whether its ends can be held by separate processes.
    pub processes: bool,
    /// What is promised of its calls as futures, if it has such calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub futures: Option<Cancelling>,
    /// Where the documentation promises it: one line a promise.
    #[serde(default)]
    pub documented: Vec<String>,
    /// What is promised or offered beyond messages.
    #[serde(default)]
    pub extras: Extras,
}

/// What a link promises or offers beyond its messages: what probes may look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extras {
    /// Which observers its ends have.
    #[serde(default)]
    pub observers: BTreeSet<Observer>,
    /// Whether [`super::Adapter::values`] gives links that carry values.
    #[serde(default)]
    pub values: bool,
    /// At most how many system calls a message takes, sent and received, where nobody has to wait.
    #[serde(default)]
    pub system_calls: Option<u32>,
    /// Whether no other user can open what it creates.
    #[serde(default)]
    pub private: bool,
    /// Whether a message may be of any length that memory has room for.
    #[serde(default)]
    pub any_length: bool,
    /// Which of its calls pass several messages at once.
    #[serde(default)]
    pub batches: Batches,
}

/// Calls that pass several messages at once, and never wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batches {
    /// [`super::Endpoint::send_batch`].
    pub send: bool,
    /// [`super::Endpoint::receive_batch`].
    pub receive: bool,
}

/// A question that an end answers without changing the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observer {
    /// How many messages wait in the link.
    Len,
    /// Whether none does.
    IsEmpty,
    /// Whether there is room for none more.
    IsFull,
    /// How many may wait; `None` if any number may.
    Capacity,
    /// Whether nobody is left at the other end.
    IsDisconnected,
}

/// The answer to such a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// Yes or no.
    Yes(bool),
    /// A number; `None` if there is no limit.
    Number(Option<usize>),
}

impl From<bool> for Observation {
    fn from(yes: bool) -> Self {
        Self::Yes(yes)
    }
}

impl From<usize> for Observation {
    fn from(number: usize) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<usize>> for Observation {
    fn from(number: Option<usize>) -> Self {
        Self::Number(number)
    }
}

impl std::fmt::Display for Observation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Observation::Yes(yes) => write!(f, "{yes}"),
            Observation::Number(Some(number)) => write!(f, "{number}"),
            Observation::Number(None) => write!(f, "unbounded"),
        }
    }
}

impl Observer {
    /// Every one of them.
    pub const ALL: [Self; 5] =
        [Self::Len, Self::IsEmpty, Self::IsFull, Self::Capacity, Self::IsDisconnected];

    /// The word that files use.
    pub fn word(self) -> &'static str {
        match self {
            Observer::Len => "len",
            Observer::IsEmpty => "is_empty",
            Observer::IsFull => "is_full",
            Observer::Capacity => "capacity",
            Observer::IsDisconnected => "is_disconnected",
        }
    }
}

impl Claim {
    /// A link between threads only.
    pub fn between_threads(link: &str, profile: Profile) -> Self {
        let (documented, extras) = (Vec::new(), Extras::default());
        let (threads, processes, futures) = (true, false, None);
        Self { link: link.into(), profile, threads, processes, futures, documented, extras }
    }

    /// A link between processes, which threads may use too.
    pub fn between_processes(link: &str, profile: Profile) -> Self {
        Self { processes: true, ..Self::between_threads(link, profile) }
    }

    /// A link that has its calls as futures, too ([`super::Adapter::futures`]).
    #[must_use]
    pub fn with_futures(self, cancelling: Cancelling) -> Self {
        Self { futures: Some(cancelling), ..self }
    }

    /// The ways to run it.
    pub fn ways(&self) -> impl Iterator<Item = Way> + use<> {
        let ways = [(Way::Threads, self.threads), (Way::Processes, self.processes)];
        ways.into_iter().filter_map(|(way, offered)| offered.then_some(way))
    }

    /// Its ends have these observers.
    #[must_use]
    pub fn observers(mut self, observers: impl IntoIterator<Item = Observer>) -> Self {
        self.extras.observers.extend(observers);
        self
    }

    /// [`super::Adapter::values`] gives links of this configuration.
    #[must_use]
    pub fn values(mut self) -> Self {
        self.extras.values = true;
        self
    }

    /// A message takes at most this many system calls where nobody has to wait.
    #[must_use]
    pub fn system_calls(mut self, most: u32) -> Self {
        self.extras.system_calls = Some(most);
        self
    }

    /// No other user can open what it creates.
    #[must_use]
    pub fn private(mut self) -> Self {
        self.extras.private = true;
        self
    }

    /// A message may be of any length that memory has room for.
    #[must_use]
    pub fn any_length(mut self) -> Self {
        self.extras.any_length = true;
        self
    }

    /// These calls pass several messages at once.
    #[must_use]
    pub fn batches(mut self, batches: Batches) -> Self {
        self.extras.batches = batches;
        self
    }

    /// Adds where the documentation promises something.
    #[must_use]
    pub fn documented(mut self, place: &str) -> Self {
        self.documented.push(place.into());
        self
    }
}

impl Batches {
    /// Both ends have such a call.
    pub const BOTH: Self = Self { send: true, receive: true };
    /// The receiving end has one.
    pub const RECEIVE: Self = Self { send: false, receive: true };
}

/// What is promised of a future that is dropped before it is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelling {
    /// A `send` has sent nothing.
    pub send: bool,
    /// A `receive` has taken nothing.
    pub receive: bool,
}

impl Cancelling {
    /// The documentation says nothing.
    pub const UNDOCUMENTED: Self = Self { send: false, receive: false };
    /// Both are safe.
    pub const SAFE: Self = Self { send: true, receive: true };
}
