//! What the models of memory and of names have in common: calls that never wait.
//!
//! A [`Machine`] is a model of named objects, such as shared-memory objects or mailboxes. Each of
//! its [`Rule`]s is data: a list of named [`Condition`]s and one pure effect, which yields a *set*
//! of outcomes. Because the conditions are data as well, every single one of them can be dropped
//! or negated ([`Mutation`]), and every state can be asked whether the rules leave a call without
//! an answer or give it two that exclude one another ([`Spec::consistent`]).
//!
//! [`check`] decides whether a recorded [`History`] is a behaviour of the machine; [`explore`]
//! walks every behaviour of a small [`Scenario`].

use std::fmt;
use std::hash::Hash;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::op::Process;
use crate::rule::{Force, Kind};
use crate::source::Source;

pub mod catalogue;
mod check;
mod errno;
mod explore;
mod history;
mod spec;

pub use catalogue::Described;
pub use check::{BUDGET, Counterexample, Verdict, check, check_spec};
pub use errno::Errno;
pub use explore::{Explored, Outcome, Scenario, Script, Transition, explore};
pub use history::{History, HistoryError, Operation};
pub use spec::{Mutation, Part, Patience, Spec, mutations};

/// A user of the system. No user is privileged, and no two belong to one group: what an
/// administrator may do to other users' objects is left to the system by POSIX, and not modelled;
/// nor are the permission bits of groups.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct User(pub u16);

/// A model of named objects. The value itself is the profile: what the system claims where the
/// standard leaves it a choice.
pub trait Machine: Copy + Eq + Hash + fmt::Debug + Serialize + DeserializeOwned + 'static {
    /// What a process may ask.
    type Op: Clone + Eq + Hash + fmt::Debug + fmt::Display + Serialize + DeserializeOwned;
    /// What a process may be told.
    type Ret: Clone + Eq + Ord + Hash + fmt::Debug + fmt::Display + Serialize + DeserializeOwned;
    /// The objects, their names, and what each process holds of them.
    type State: Clone + Eq + Hash + fmt::Debug;
    /// How far a call that takes effect in several steps has come.
    type Progress: Clone + Eq + Hash + fmt::Debug + Default;

    /// Every rule, in the order in which reports list them.
    fn rules() -> &'static [Rule<Self>];

    /// Nothing exists; one process a user.
    fn initial(&self, users: &[User]) -> Self::State;

    /// The parts of a pending call that may take effect next, each a step of its own. With
    /// `alone`, no other call is pending, so that one order of the parts stands for all.
    fn parts(
        &self,
        state: &Self::State,
        process: Process,
        op: &Self::Op,
        progress: &Self::Progress,
        alone: bool,
    ) -> Vec<usize>;

    /// What the system does to `state` when `process` is killed; `pending` is its call, had it
    /// not yet taken effect as a whole.
    fn kill(
        &self,
        state: &mut Self::State,
        process: Process,
        pending: Option<(&Self::Op, &Self::Progress)>,
    );

    /// Whether [`Machine::kill`] itself accounts for every part of `op` that may have taken
    /// effect before the kill.
    fn settled_by_kill(&self, op: &Self::Op) -> bool;

    /// Whether the call changes nothing but what its caller is told, given what it was told.
    fn effectless(op: &Self::Op, ret: &Self::Ret) -> bool;

    /// Whether the model's answer `predicted` covers the recorded answer `seen`: an answer may
    /// hold values that the standard leaves open.
    fn explains(predicted: &Self::Ret, seen: &Self::Ret) -> bool {
        predicted == seen
    }

    /// The rule that forbids a system call on the way of `op`, if one does.
    fn without_system_call(_op: &Self::Op) -> Option<&'static str> {
        None
    }

    /// What is left over in a state, as an administrator would see it: part of what a scenario's
    /// outcome is compared by.
    fn remains(state: &Self::State) -> String;
}

/// Where the conditions and the effect of a rule are asked: one process's call in one state.
pub struct At<'a, M: Machine> {
    /// What the system claims.
    pub machine: &'a M,
    /// The objects, names and holders.
    pub state: &'a M::State,
    /// Who is in the call.
    pub process: Process,
    /// The call.
    pub op: &'a M::Op,
    /// How far it has come.
    pub progress: &'a M::Progress,
    /// The part of it that is asked about.
    pub part: usize,
    /// What the call is known to return, where the check looks for exactly that: an effect may
    /// leave out outcomes that contradict it.
    pub seen: Option<&'a M::Ret>,
}

/// A named condition of a rule.
#[derive(Clone, Copy)]
pub struct Condition<M: Machine> {
    /// What it asks, as it reads after "when".
    pub says: &'static str,
    /// Whether the rule asks for the opposite.
    pub negated: bool,
    /// The question.
    pub holds: fn(&At<'_, M>) -> bool,
}

impl<M: Machine> Condition<M> {
    /// The condition of this name.
    pub const fn new(says: &'static str, holds: fn(&At<'_, M>) -> bool) -> Self {
        Self { says, negated: false, holds }
    }

    /// The opposite.
    pub const fn not(self) -> Self {
        Self { negated: !self.negated, ..self }
    }

    /// Whether it is met.
    pub fn met(&self, at: &At<'_, M>) -> bool {
        (self.holds)(at) != self.negated
    }
}

impl<M: Machine> fmt::Display for Condition<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.negated { "not: " } else { "" }, self.says)
    }
}

/// Where one step of a call leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<M: Machine> {
    /// The call has taken effect and will be told this.
    Done(M::State, M::Ret),
    /// A part of the call has taken effect.
    More(M::State, M::Progress),
}

/// The set of all that a step may lead to; `None` where the effect has no meaning.
pub type Effects<M> = Option<Vec<Effect<M>>>;

/// One rule of a machine.
#[derive(Clone, Copy)]
pub struct Rule<M: Machine> {
    /// Its permanent name: never renumbered, never used again.
    pub id: &'static str,
    /// What it says, in one sentence.
    pub says: &'static str,
    /// What it rests on; never empty.
    pub sources: &'static [Source],
    /// How binding it is.
    pub force: Force,
    /// What firing it does.
    pub kind: Kind,
    /// The calls that it speaks of.
    pub on: fn(&M::Op) -> bool,
    /// All of these must be met.
    pub when: &'static [Condition<M>],
    /// What it does.
    pub effect: fn(&At<'_, M>) -> Effects<M>,
}

impl<M: Machine> Rule<M> {
    /// A rule that is not a step, but a property that every execution has.
    pub const fn property(
        id: &'static str,
        says: &'static str,
        sources: &'static [Source],
        force: Force,
    ) -> Self {
        let kind = Kind::Property;
        Self { id, says, sources, force, kind, on: |_| false, when: &[], effect: |_| None }
    }
}

impl<M: Machine> fmt::Debug for Rule<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

/// Where a process is between its call and its return.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call<M: Machine> {
    /// Not in a call.
    Running,
    /// In a call that has not, or not as a whole, taken effect.
    Pending(M::Op, M::Progress),
    /// In a call that has taken effect; this is what it will be told.
    Returning(M::Ret),
    /// Killed.
    Dead,
}

/// A state of the whole system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct System<M: Machine> {
    /// One entry a process.
    pub calls: Vec<Call<M>>,
    /// The objects, names and holders.
    pub state: M::State,
}

impl<M: Machine> System<M> {
    /// Where the process is.
    pub fn call(&self, process: Process) -> &Call<M> {
        &self.calls[process.0 as usize]
    }

    /// Puts the process somewhere else.
    pub fn set(&mut self, process: Process, call: Call<M>) {
        self.calls[process.0 as usize] = call;
    }

    /// Every process.
    pub fn processes(&self) -> impl Iterator<Item = Process> + use<M> {
        (0..self.calls.len() as u16).map(Process)
    }
}
