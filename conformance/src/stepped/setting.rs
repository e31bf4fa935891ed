//! What a link is called with in every world: its processes, their ends, and their calls.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use ipc_model::{
    Addressing, Capacity, Ends, History, Message, Mode, Modes, Notice, Op, Process, ProcessSet,
    Profile, Size,
};

use super::control::Known;
use super::course::Call;
use super::world::{Ended, Setup};
use super::{Finding, Trouble};
use crate::adapter::{Claim, Place, Role};

/// Sends.
pub(super) const SENDER: Process = Process(0);
/// Receives.
pub(super) const RECEIVER: Process = Process(1);
/// Takes the role of a process that was killed, or stands beside it.
pub(super) const HEIR: Process = Process(2);
/// Takes the role after the heir has closed.
pub(super) const LATER: Process = Process(3);

/// Messages that each process may send.
const MESSAGES: u32 = 32;

/// A link, and where its worlds are.
pub(super) struct Setting<'a> {
    pub(super) claim: &'a Claim,
    pub(super) place: Place,
    profile: Profile,
    /// What is left behind when both sides have connected, and nobody called.
    left: OnceCell<Vec<String>>,
    /// Where the role of the sender (or else of the receiver) can be taken again after an orderly
    /// end, with so many messages waiting.
    rejoined: RefCell<BTreeSet<(bool, u32)>>,
    /// Histories that the model explains: most worlds of a sweep have the same few.
    explained: RefCell<VecDeque<History>>,
}

/// The end that a process holds.
pub(super) fn role(process: Process, sends: bool) -> Role {
    Role { process, sends, receives: !sends }
}

impl<'a> Setting<'a> {
    /// A link that says nothing about killed processes is held to what is least: that they are as
    /// good as quiet. What comes of it is no verdict on the link, see [`Sweep::observed`].
    ///
    /// [`Sweep::observed`]: super::Sweep::observed
    pub(super) fn new(claim: &'a Claim, place: Place) -> Self {
        let mut profile = claim.profile;
        if !crate::stepping::claims_deaths(claim) {
            profile.sender_killed = Some(Notice::Silent);
            profile.receiver_killed = Some(Notice::Silent);
        }
        if !claim.processes {
            // Between processes that share its heap, threads of a link can do all but wait for each
            // other: they would sleep on futexes that are private to a process.
            // Sends to a link without a limit never wait, whatever they are called.
            let blocking = profile.send.blocking && profile.capacity == Capacity::Unbounded;
            profile.send = Modes { blocking, timed: false, ..profile.send };
            profile.receive = Modes { blocking: false, timed: false, ..profile.receive };
        }
        let (left, rejoined) = (OnceCell::new(), RefCell::default());
        Self { claim, place, profile, left, rejoined, explained: RefCell::default() }
    }

    pub(super) fn profile(&self) -> &Profile {
        &self.profile
    }

    /// What the model says to a world.
    pub(super) fn judge(&self, ended: &Ended) -> Finding {
        /// More than a sweep has outcomes.
        const KEPT: usize = 32;
        if ended.odd.is_none() && self.explained.borrow().contains(&ended.history) {
            return Finding::Allowed;
        }
        let finding = ended.judge(&self.profile);
        if matches!(finding, Finding::Allowed) {
            let mut explained = self.explained.borrow_mut();
            explained.truncate(KEPT - 1);
            explained.push_front(ended.history.clone());
        }
        finding
    }

    /// What is left behind without a kill: found out once.
    pub(super) fn left_in_order(
        &self,
        find: impl FnOnce() -> Result<Vec<String>, Trouble>,
    ) -> Result<Vec<String>, Trouble> {
        if let Some(left) = self.left.get() {
            return Ok(left.clone());
        }
        find().map(|left| self.left.get_or_init(|| left).clone())
    }

    /// Whether the role has been seen to be taken again without a kill.
    pub(super) fn is_rejoined(&self, sends: bool, waiting: u32) -> bool {
        self.rejoined.borrow().contains(&(sends, waiting))
    }

    /// It has.
    pub(super) fn note_rejoined(&self, sends: bool, waiting: u32) {
        self.rejoined.borrow_mut().insert((sends, waiting));
    }

    pub(super) fn claims_deaths(&self) -> bool {
        crate::stepping::claims_deaths(self.claim)
    }

    /// How long a message is: short, since some links take a step for every byte.
    fn size(&self) -> u32 {
        match self.profile().size {
            Size::Fixed(n) => n,
            Size::UpTo(n) | Size::NonemptyUpTo(n) => n.min(16),
        }
    }

    /// The worlds in which these processes hold ends.
    pub(super) fn setup(&self, senders: &[Process], receivers: &[Process]) -> Setup {
        let set = |processes: &[Process]| processes.iter().copied().collect::<ProcessSet>();
        Setup {
            link: self.claim.link.clone(),
            place: self.place.clone(),
            ends: Ends { senders: set(senders), receivers: set(receivers) },
            known: Known { processes: LATER.0 + 1, each: MESSAGES, size: self.size() },
        }
    }

    /// A send of the `sequence`-th message of this process.
    pub(super) fn send(
        &self,
        (from, to): (Process, Process),
        sequence: u32,
        mode: Mode,
        timeout: Duration,
    ) -> Call {
        let named = self.profile().addressing != Addressing::Mailbox;
        let message = Message::new(from.0, sequence, self.size());
        let op = Op::Send { link: 0, to: named.then_some(to), message, mode };
        Call::Op { op, timeout: timeout.as_nanos() as u64 }
    }

    /// A receive of what this process sends.
    pub(super) fn receive(&self, from: Process, mode: Mode, timeout: Duration) -> Call {
        let named = self.profile().addressing == Addressing::Symmetric;
        let op = Op::Receive { link: 0, from: named.then_some(from), mode };
        Call::Op { op, timeout: timeout.as_nanos() as u64 }
    }

    /// The mode of sending that comes back soonest.
    pub(super) fn quick_send(&self) -> Result<Mode, Trouble> {
        quick(&self.profile().send)
    }

    /// The mode of receiving that comes back soonest.
    pub(super) fn quick_receive(&self) -> Result<Mode, Trouble> {
        quick(&self.profile().receive)
    }

    /// How many messages may wait; of a link that does not say, few.
    pub(super) fn capacity(&self) -> u32 {
        match self.profile().capacity {
            Capacity::Zero => 0,
            Capacity::Bounded(n) => n,
            Capacity::AtLeast(n) => n.min(2),
            Capacity::Unbounded => 2,
        }
    }

    /// How many messages fill it, if it can be filled with few: above that, a sweep takes long
    /// and shows what a shorter one shows.
    pub(super) fn full(&self) -> Option<u32> {
        match self.profile().capacity {
            Capacity::Bounded(n @ 1..=8) => Some(n),
            _ => None,
        }
    }
}

/// The time that a timed call is given which is not to wait.
pub(super) const SHORT: Duration = Duration::from_millis(1);

fn quick(modes: &Modes) -> Result<Mode, Trouble> {
    let known = [Mode::Nonblocking, Mode::Timed, Mode::Blocking];
    let offered = known.into_iter().find(|mode| modes.offers(*mode));
    offered.ok_or_else(|| Trouble::Refused("the link has no such call".into()))
}

/// Closing.
pub(super) fn close() -> Call {
    Call::Op { op: Op::Close { link: 0 }, timeout: 0 }
}
