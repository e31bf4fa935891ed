//! A state of the model: what waits in every link, who holds which end, and where each process is.

use crate::op::{Message, Op, Process, Ret};

/// A set of processes, numbers 0 to 63.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessSet(u64);

impl ProcessSet {
    /// How many processes a scenario or history may have at most.
    pub const LIMIT: u16 = 64;

    /// Puts a process in.
    ///
    /// # Panics
    /// For a process number of 64 or above; [`crate::Scenario`] and [`crate::History`] refuse
    /// those when they are built.
    pub fn insert(&mut self, process: Process) {
        assert!(process.0 < Self::LIMIT, "{process} is beyond the limit of 64 processes");
        self.0 |= 1 << process.0;
    }

    /// Takes a process out.
    pub fn remove(&mut self, process: Process) {
        self.0 &= !(1 << process.0);
    }

    /// Whether the process is in.
    pub fn contains(self, process: Process) -> bool {
        self.0 >> process.0 & 1 == 1
    }

    /// Whether nobody is in.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set as a number: bit n is process n.
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// Those in both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The members, lowest number first.
    pub fn iter(self) -> impl Iterator<Item = Process> {
        (0..Self::LIMIT).map(Process).filter(move |p| self.contains(*p))
    }
}

impl FromIterator<Process> for ProcessSet {
    fn from_iter<I: IntoIterator<Item = Process>>(processes: I) -> Self {
        let mut set = Self::default();
        processes.into_iter().for_each(|p| set.insert(p));
        set
    }
}

/// A message that rests in a link, with the recipient it is addressed to, on a direct link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Waiting {
    /// The message.
    pub message: Message,
    /// The recipient, where the sender names one.
    pub to: Option<Process>,
}

/// One link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Link {
    /// What waits in it, oldest first (statement B1).
    pub queue: Vec<Waiting>,
    /// Who holds a sending end.
    pub senders: ProcessSet,
    /// Who holds a receiving end.
    pub receivers: ProcessSet,
    /// Who of them was killed, its end not yet given up on its behalf.
    pub killed: ProcessSet,
    /// Whether an end was ever lost by a kill: the rules on reporting a death look at it.
    pub lost_sender: bool,
    /// The same for receiving ends.
    pub lost_receiver: bool,
}

/// Where a process is between its call and its return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Not in a call.
    Running,
    /// In a call that has not taken effect.
    Pending {
        /// What was asked.
        op: Op,
        /// The process is known to sleep in the call: a rule of kind `Blocks` has fired.
        blocked: bool,
        /// The deadline of a timed call has passed.
        expired: bool,
    },
    /// In a call that has taken effect; this is what it will be told.
    Returning(Ret),
    /// Killed.
    Dead,
}

/// A state of the whole system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// One entry a process.
    pub calls: Vec<Call>,
    /// One entry a link.
    pub links: Vec<Link>,
    /// Who has been sent SIGKILL and is not dead yet.
    pub dying: ProcessSet,
}

impl State {
    /// All processes running, all links empty; `ends` lists the holders of each link's ends.
    pub fn new(processes: usize, ends: &[Ends]) -> Self {
        let links = ends.iter().map(|e| Link {
            senders: e.senders,
            receivers: e.receivers,
            ..Link::default()
        });
        let dying = ProcessSet::default();
        Self { calls: vec![Call::Running; processes], links: links.collect(), dying }
    }

    /// The process's pending operation, if it is in a call that has not taken effect.
    pub fn pending(&self, process: Process) -> Option<&Op> {
        match &self.calls[process.0 as usize] {
            Call::Pending { op, .. } => Some(op),
            _ => None,
        }
    }

    /// Every process in a call that has not taken effect, with its operation and whether it is
    /// known to sleep.
    pub fn pending_calls(&self) -> impl Iterator<Item = (Process, &Op, bool)> {
        self.calls.iter().enumerate().filter_map(|(p, call)| match call {
            Call::Pending { op, blocked, .. } => Some((Process(p as u16), op, *blocked)),
            _ => None,
        })
    }

    /// Where the process is.
    pub fn call(&self, process: Process) -> &Call {
        &self.calls[process.0 as usize]
    }

    /// The state after the process's death, wherever it was. Its pending call has taken effect or
    /// has not: that was decided by the steps before.
    pub fn crash(&self, process: Process) -> State {
        let mut next = self.clone();
        next.dying.remove(process);
        next.set(process, Call::Dead);
        for link in &mut next.links {
            if link.senders.contains(process) || link.receivers.contains(process) {
                link.killed.insert(process);
            }
        }
        next
    }

    /// Puts the process somewhere else.
    pub fn set(&mut self, process: Process, call: Call) {
        self.calls[process.0 as usize] = call;
    }
}

/// Who holds the ends of one link at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(from = "EndsText", into = "EndsText")]
pub struct Ends {
    /// The processes that may send.
    pub senders: ProcessSet,
    /// The processes that may receive.
    pub receivers: ProcessSet,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct EndsText {
    senders: Vec<Process>,
    receivers: Vec<Process>,
}

impl From<EndsText> for Ends {
    fn from(text: EndsText) -> Self {
        let small = |all: Vec<Process>| all.into_iter().filter(|p| p.0 < ProcessSet::LIMIT);
        Self { senders: small(text.senders).collect(), receivers: small(text.receivers).collect() }
    }
}

impl From<Ends> for EndsText {
    fn from(ends: Ends) -> Self {
        Self { senders: ends.senders.iter().collect(), receivers: ends.receivers.iter().collect() }
    }
}
