//! The names of mailboxes (statement N5): each has a unique identification, by which processes
//! create it, open it and remove it.
//!
//! What rests in a mailbox matters here only because it tells two mailboxes apart; the rules on
//! sending and receiving proper are those of links. The names of shared-memory objects follow the
//! same rules, with [`Recreation::Succeeds`]; [`crate::region`] has those that concern memory.
//!
//! ```
//! use ipc_model::machine::{Errno, History, User, check};
//! use ipc_model::namespace::{Access, Creation, Namespace, Op, Ret};
//! let open = |name: &str, handle| Op::Open {
//!     name: name.into(),
//!     creation: Creation::OrOpen,
//!     access: Access::Both,
//!     mode: 0o600,
//!     handle,
//! };
//! // Two names are two mailboxes: what is put into one is not in the other.
//! let history = History::sequential(
//!     Namespace::default(),
//!     &[User(0)],
//!     [
//!         (0, open("/a", 0), Ret::Done),
//!         (0, open("/b", 1), Ret::Done),
//!         (0, Op::Put { handle: 0, value: 7 }, Ret::Done),
//!         (0, Op::Take { handle: 1 }, Ret::Taken(7)),
//!     ],
//! );
//! let verdict = check(&history);
//! assert_eq!(verdict.counterexample().unwrap().rule, "name.take.empty.refused");
//! ```

use serde::{Deserialize, Serialize};

use crate::machine::{self, Machine, Rule, User};
use crate::op::Process;

mod op;
mod rules;
mod state;

pub use op::{Access, Creation, Op, Ret};
pub use state::{Handle, Holder, Mailbox, State};

/// A rule of the naming model.
pub type NameRule = Rule<Namespace>;
/// Where a rule of the naming model is asked.
pub type At<'a> = machine::At<'a, Namespace>;
/// A condition of a rule of the naming model.
pub type Condition = machine::Condition<Namespace>;
/// The calls of one execution on named mailboxes.
pub type NameHistory = machine::History<Namespace>;

/// What a system claims about its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespace {
    /// How many bytes a name may have behind its slash (`NAME_MAX`).
    pub longest: u16,
    /// What it does with a name that is not one slash and something without a slash.
    pub odd_names: OddNames,
    /// What it does with a create of a name whose last bearer has been unlinked and is still held.
    pub recreation: Recreation,
    /// How many messages may rest in a mailbox (`mq_maxmsg`).
    pub places: u16,
    /// Which close takes a registration for notification back.
    pub withdrawal: Withdrawal,
}

/// Which `mq_close` takes a process's registration for notification back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withdrawal {
    /// That of the handle through which it was made, as POSIX says.
    OfItsHandle,
    /// That of any handle of the process to the mailbox, as Linux does.
    OfAnyHandle,
}

/// What a system does with a name that is not one slash and something without a slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OddNames {
    /// It refuses them.
    Refused,
    /// POSIX leaves it to the system.
    Unspecified,
}

/// What a system does with a create of a name whose last bearer has been unlinked and is still
/// held by somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recreation {
    /// It makes another mailbox, as `shm_open` must, and as Linux does for `mq_open`.
    Succeeds,
    /// It may refuse until the old one is gone, as POSIX allows `mq_open`.
    MayFail,
}

impl Default for Namespace {
    /// Names of 255 bytes, ten messages, and what POSIX promises of message queues.
    fn default() -> Self {
        Self {
            longest: 255,
            odd_names: OddNames::Unspecified,
            recreation: Recreation::MayFail,
            places: 10,
            withdrawal: Withdrawal::OfItsHandle,
        }
    }
}

impl Machine for Namespace {
    type Op = Op;
    type Ret = Ret;
    type State = State;
    /// Whether the call waits.
    type Progress = bool;

    fn rules() -> &'static [NameRule] {
        rules::all()
    }

    fn initial(&self, users: &[User]) -> State {
        let holder = |user: &User| Holder { user: *user, ..Holder::default() };
        State { holders: users.iter().map(holder).collect(), ..State::default() }
    }

    fn parts(&self, _: &State, _: Process, _: &Op, _: &bool, _: bool) -> Vec<usize> {
        vec![0]
    }

    fn kill(&self, state: &mut State, process: Process, _: Option<(&Op, &bool)>) {
        state.release(process);
    }

    fn settled_by_kill(&self, _: &Op) -> bool {
        false
    }

    fn effectless(_: &Op, ret: &Ret) -> bool {
        matches!(ret, Ret::Refused(_))
    }

    fn remains(state: &State) -> String {
        let names: Vec<&str> = state.names.keys().map(String::as_str).collect();
        let contents: Vec<&[u32]> =
            state.mailboxes.iter().flatten().map(|m| m.content.as_slice()).collect();
        format!("names {names:?}, mailboxes with {contents:?}")
    }
}
