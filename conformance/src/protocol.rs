//! The control protocol: JSON lines, one request and one answer at a time, on the adapter's
//! standard input and output. `docs/protocol.md` describes it for adapters in other languages.

use std::path::PathBuf;

use ipc_model::{Process, Scenario};
use serde::{Deserialize, Serialize};

use crate::adapter::{Address, Claim, Place};
use crate::futures::{Action, Seen};
use crate::look::{Facts, Task};

/// The name of this version of the protocol.
pub const PROTOCOL: &str = "ipc-adapter/1";

/// How the processes of a scenario are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Threads of the adapter's own process.
    Threads,
    /// Separate programs that share nothing but the link.
    Processes,
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Way::Threads => "threads",
            Way::Processes => "processes",
        })
    }
}

/// What the runner asks of an adapter.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// Who are you, and what do you claim?
    Hello,
    /// Create the links, hand out the endpoints, and start the workers. They wait for the
    /// arena's start word. Answered by `Started`.
    Run(Run),
    /// The scenario is over: let the workers go, end those that are stuck, remove what was
    /// created. Answered by `Finished`.
    Finish,
    /// Take a look from inside. Answered by `Looked`, or by `Error` where that is not offered.
    Look {
        /// The configuration.
        link: String,
        /// Where the link may put what it needs.
        place: Place,
        /// What to look at.
        #[serde(flatten)]
        task: Task,
    },
    /// Make a link whose calls are futures, and do this with them. Answered by `Polled`.
    Poll {
        /// The configuration.
        link: String,
        /// What is done, one after the other.
        actions: Vec<Action>,
    },
    /// Remove what a link created at this place has left behind. Answered by `Finished`.
    Remove {
        /// The configuration.
        link: String,
        /// Where it was created.
        place: Place,
    },
}

/// One scenario to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The configuration.
    pub link: String,
    /// What the processes do.
    pub scenario: Scenario,
    /// By threads or by processes.
    pub way: Way,
    /// The file of the arena.
    pub arena: PathBuf,
    /// Where the links may put what they need, one place a link.
    pub places: Vec<Place>,
    /// Whether a process that is through with its script exits at once, without giving up its ends
    /// before; processes that only receive begin when all others have gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leave: bool,
}

/// What an adapter answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Answer {
    /// To `Hello`.
    Adapter {
        /// [`PROTOCOL`].
        protocol: String,
        /// Name of the crate or facility.
        name: String,
        /// Its version.
        version: String,
        /// Its configurations.
        claims: Vec<Claim>,
    },
    /// To `Run`: every worker is on its way.
    Started,
    /// To `Finish` and `Remove`.
    Finished {
        /// Workers that ended by themselves, before the scenario was over and with no one having
        /// killed them on its behalf.
        #[serde(default)]
        deaths: Vec<Death>,
    },
    /// To `Look`.
    Looked {
        /// What was seen.
        facts: Facts,
    },
    /// To `Poll`: what was seen after each action.
    Polled {
        /// One for each.
        seen: Vec<Seen>,
    },
    /// To any: it could not be done.
    Error {
        /// Why, for people.
        why: String,
    },
}

/// How a worker ended that should not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// Which process of the scenario it was.
    pub process: Process,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Or the code it exited with.
    pub code: Option<i32>,
}

/// What a worker process finds in its environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerTask {
    /// Which process of the scenario it is.
    pub process: Process,
    /// The configuration.
    pub link: String,
    /// The scenario.
    pub scenario: Scenario,
    /// The file of the arena.
    pub arena: PathBuf,
    /// As in [`Run`].
    #[serde(default)]
    pub leave: bool,
    /// The address of each link that it holds an end of, with its number.
    pub addresses: Vec<(u8, Address)>,
}

/// Set, to any value, for an adapter that is to serve the control protocol.
pub const HOST_VARIABLE: &str = "IPC_CONFORM_HOST";
/// Set to a [`WorkerTask`] for an adapter that is to be a worker.
pub const WORKER_VARIABLE: &str = "IPC_CONFORM_WORKER";
/// Set to the number of an inherited descriptor, the control page's, for an adapter that is to be
/// the zygote of stepped runs.
pub const ZYGOTE_VARIABLE: &str = "IPC_CONFORM_ZYGOTE";
