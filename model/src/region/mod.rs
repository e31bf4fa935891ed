//! Shared memory (statements C1, C7, M1 to M7): regions that are established, attached, read and
//! written, detached and removed.
//!
//! An object has a name, an owner, permission bits, a size and bytes. A process opens it, which
//! gives a handle, and attaches it, which gives a mapping; through a mapping, bytes are read and
//! written without asking the system. Names, handles and mappings are independent of one another:
//! an object lives until it has none of them.
//!
//! A read or a write takes effect **byte by byte**, in any order: the system promises no more, and
//! two accesses at once to the same bytes may tear. Whether they should have happened at once is
//! not this model's business, but that of [`crate::race`].
//!
//! ```
//! use ipc_model::machine::{Errno, History, User};
//! use ipc_model::region::{Access, Creation, Op, Region, Ret, check};
//! let open = |creation| Op::Open {
//!     name: "/a".into(),
//!     creation,
//!     access: Access::ReadWrite,
//!     truncate: false,
//!     mode: 0o600,
//!     handle: 0,
//! };
//! let history = History::sequential(
//!     Region::default(),
//!     &[User(7), User(8)],
//!     [(0, open(Creation::Exclusive), Ret::Done), (1, open(Creation::Never), Ret::Done)],
//! );
//! let verdict = check(&history);
//! let counterexample = verdict.counterexample().unwrap();
//! assert_eq!(counterexample.rule, "region.open.forbidden.refused");
//! assert_eq!(counterexample.allowed[0].0, Ret::Refused(Errno::Access));
//! ```
//!
//! # What it takes for granted
//! * A recorded access has really happened between its call and its return: whoever records puts
//!   a full fence before the time of the return, or a store may still sit in the store buffer.
//! * Names are ones that the system takes; [`crate::namespace`] has the rules for others.
//! * Mappings are shared ones of whole pages; nothing else lies beside a mapping.

use serde::{Deserialize, Serialize};

use crate::check::Budget;
use crate::machine::{self, Machine, Rule, User, Verdict};
use crate::op::Process;

mod content;
mod memory;
mod op;
mod rules;
mod slots;
mod state;

pub use content::{Cell, Content};
pub use memory::Progress;
pub use op::{Access, Creation, Fault, Op, Ret};
pub use state::{Handle, Holder, Mapping, Object, State, Zone, zone};

/// One call on a region, as it was recorded.
pub type RegionOperation = machine::Operation<Region>;
/// The calls of one execution on regions.
pub type RegionHistory = machine::History<Region>;
/// A rule of the region model.
pub type RegionRule = Rule<Region>;
/// Where a rule of the region model is asked.
pub type At<'a> = machine::At<'a, Region>;
/// A condition of a rule of the region model.
pub type Condition = machine::Condition<Region>;

/// What a system claims about its regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Region {
    /// The size of a page, in bytes.
    pub page: u64,
    /// What an access does in a part of the object that was added or cut off after it was mapped.
    pub resized: Resized,
}

/// What an access does in a part of the object that was added or cut off after it was mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resized {
    /// POSIX leaves it open.
    Unspecified,
    /// The object's present size alone counts, as on Linux.
    Current,
}

impl Default for Region {
    /// Pages of 4096 bytes, and what POSIX promises.
    fn default() -> Self {
        Self { page: 4096, resized: Resized::Unspecified }
    }
}

/// Whether the region model explains a recorded history, sequential or concurrent.
pub fn check(history: &RegionHistory) -> Verdict<Region> {
    match slots::twice_used(history) {
        Some(why) => Verdict::Inconclusive(why),
        None => machine::check(history),
    }
}

/// The same for any specification, a mutated one too, and any budget.
pub fn check_spec(
    spec: &machine::Spec<Region>,
    history: &RegionHistory,
    budget: Budget,
) -> Verdict<Region> {
    match slots::twice_used(history) {
        Some(why) => Verdict::Inconclusive(why),
        None => machine::check_spec(spec, history, budget),
    }
}

impl Machine for Region {
    type Op = Op;
    type Ret = Ret;
    type State = State;
    type Progress = Progress;

    fn rules() -> &'static [RegionRule] {
        rules::all()
    }

    fn initial(&self, users: &[User]) -> State {
        let holder = |user: &User| Holder { user: *user, ..Holder::default() };
        State { holders: users.iter().map(holder).collect(), ..State::default() }
    }

    fn parts(
        &self,
        state: &State,
        process: Process,
        op: &Op,
        progress: &Progress,
        alone: bool,
    ) -> Vec<usize> {
        memory::parts(self, state, process, op, progress, alone)
    }

    fn kill(&self, state: &mut State, process: Process, pending: Option<(&Op, &Progress)>) {
        if let Some((op, progress)) = pending {
            memory::settle(self, state, process, op, progress);
        }
        let user = state.holder(process).user;
        *state.holder_mut(process) = Holder { user, ..Holder::default() };
        state.collect();
    }

    fn settled_by_kill(&self, op: &Op) -> bool {
        matches!(op, Op::Read { .. } | Op::Write { .. })
    }

    /// A read is not among them: what it saw may have settled what a store that was cut short
    /// left behind.
    fn effectless(op: &Op, ret: &Ret) -> bool {
        matches!(op, Op::GetSize { .. }) || matches!(ret, Ret::Refused(_))
    }

    fn explains(predicted: &Ret, seen: &Ret) -> bool {
        match (predicted, seen) {
            (Ret::Read(predicted), Ret::Read(seen)) => {
                predicted.len() == seen.len()
                    && predicted.iter().zip(seen).all(|(p, s)| p.is_none() || p == s)
            }
            _ => predicted == seen,
        }
    }

    fn without_system_call(op: &Op) -> Option<&'static str> {
        let access = matches!(op, Op::Read { .. } | Op::Write { .. });
        access.then_some("region.access.no-system-call")
    }

    fn remains(state: &State) -> String {
        let alive: Vec<&Object> = state.objects.iter().flatten().collect();
        let names: Vec<&str> = state.names.keys().map(String::as_str).collect();
        let sizes: Vec<u64> = alive.iter().map(|o| o.size).collect();
        format!("names {names:?}, objects of {sizes:?} bytes")
    }
}
