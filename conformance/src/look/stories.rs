//! Stories: what one thread does with the ends of a link, one call after the other, written down as
//! the model reads it. They show what scenarios have no words for: handles that are leaked, calls
//! that pass several messages, a fork.

use std::collections::BTreeMap;
use std::time::Duration;

use ipc_model::{
    Addressing, Capacity, Ends, History, Holders, Message, Mode, Op, Operation, Process,
    ProcessSet, Profile, Ret,
};
use serde::{Deserialize, Serialize};

use super::{RECEIVER, SENDER, largest};
use crate::adapter::{Adapter, Claim, Created, Endpoint, Failure, Parcel, Place, Role};
use crate::arena::now;
use crate::payload;
use crate::worker::{recognise, refusal};

/// How long a call may wait that has no nonblocking form.
const SHORT: Duration = Duration::from_millis(5);

/// One call of a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Whose end it was made on.
    pub process: Process,
    /// What was asked.
    pub op: Op,
    /// What was answered.
    pub ret: Ret,
    /// When it was called, and when it had returned, in nanoseconds.
    pub time: (u64, u64),
}

/// What was done with a fresh link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story {
    /// What it is about.
    pub name: String,
    /// Who held which ends.
    pub holders: Vec<Role>,
    /// The calls, in order.
    pub calls: Vec<Told>,
}

impl Story {
    /// Its history.
    pub fn history(&self) -> History {
        let holding = |test: fn(&Role) -> bool| {
            ProcessSet::from_iter(self.holders.iter().filter(|r| test(r)).map(|r| r.process))
        };
        let ends = Ends { senders: holding(|r| r.sends), receivers: holding(|r| r.receives) };
        let operations = self.calls.iter().map(|told| Operation {
            process: told.process,
            op: told.op,
            call: told.time.0,
            ret: Some((told.time.1, told.ret)),
            timeout: is_timed(&told.op).then_some(SHORT.as_nanos() as u64),
            blocked: None,
        });
        let operations = operations.collect();
        History { operations, links: vec![ends], quiescent: true, ..History::default() }
    }
}

/// Whether there may be several handles of the sending end.
pub(crate) fn many_senders(claim: &Claim) -> bool {
    claim.profile.senders == Holders::Many
}

/// Whether there may be several handles of the receiving end, of which one gets a message.
pub(crate) fn many_receivers(claim: &Claim) -> bool {
    claim.profile.receivers == Holders::Many && claim.profile.distribution.is_queue()
}

fn is_timed(op: &Op) -> bool {
    matches!(op, Op::Send { mode: Mode::Timed, .. } | Op::Receive { mode: Mode::Timed, .. })
}

/// Tells one story.
pub(super) struct Teller {
    created: Box<dyn Created>,
    ends: BTreeMap<Process, Box<dyn Endpoint>>,
    profile: Profile,
    story: Story,
    sent: Vec<Message>,
    clock: u64,
}

/// A further sender, and a further receiver.
pub(super) const SECOND_SENDER: Role = Role { process: Process(2), sends: true, receives: false };
pub(super) const SECOND_RECEIVER: Role = Role { process: Process(3), sends: false, receives: true };

impl Teller {
    /// A fresh link whose ends are held so.
    pub(super) fn new(
        (adapter, claim, place): (&dyn Adapter, &Claim, &Place),
        name: &str,
        holders: &[Role],
    ) -> Result<Self, Failure> {
        let place = Place { name: format!("{}-{}", place.name, name.len()), ..place.clone() };
        let mut created = adapter.create(&claim.link, &place)?;
        let mut ends = BTreeMap::new();
        for role in holders {
            ends.insert(role.process, created.endpoint(*role)?);
        }
        created.hand_over();
        let story = Story { name: name.into(), holders: holders.into(), calls: Vec::new() };
        Ok(Self { created, ends, profile: claim.profile, story, sent: Vec::new(), clock: 0 })
    }

    /// How many messages surely fit, up to three.
    pub(super) fn room(&self) -> u32 {
        match self.profile.capacity {
            Capacity::Zero => 0,
            Capacity::Bounded(n) | Capacity::AtLeast(n) => n.min(3),
            Capacity::Unbounded => 3,
        }
    }

    fn now(&mut self) -> u64 {
        self.clock = now().max(self.clock + 1);
        self.clock
    }

    fn note(&mut self, process: Process, op: Op, call: u64, ret: Ret) {
        let time = (call, self.now());
        self.story.calls.push(Told { process, op, ret, time });
    }

    /// The next message of this sender.
    fn message(&mut self, sender: Process) -> Message {
        let size = largest(self.profile.size);
        let size =
            if let ipc_model::Size::Fixed(_) = self.profile.size { size } else { size.min(16) };
        let message = Message::new(sender.0, self.sent.len() as u32, size);
        self.sent.push(message);
        message
    }

    fn to(&self) -> Option<Process> {
        (self.profile.addressing != Addressing::Mailbox).then_some(RECEIVER.process)
    }

    fn from(&self) -> Option<Process> {
        (self.profile.addressing == Addressing::Symmetric).then_some(SENDER.process)
    }

    fn end(&mut self, process: Process) -> Result<&mut Box<dyn Endpoint>, Failure> {
        self.ends.get_mut(&process).ok_or_else(|| Failure::other("the end is closed already"))
    }

    /// Sends one message by a call that comes back: one that may wait is only made where it need
    /// not.
    pub(super) fn send(&mut self, sender: Role) -> Result<(), Failure> {
        let (process, to) = (sender.process, self.to());
        let mode = prompt(self.profile.send).unwrap_or(Mode::Blocking);
        let message = self.message(process);
        let bytes = payload::bytes(&message);
        let parcel = Parcel { bytes: &bytes, priority: 0, to };
        let call = self.now();
        let end = self.end(process)?;
        let result = match mode {
            Mode::Blocking => end.send(parcel),
            Mode::Nonblocking => end.try_send(parcel),
            Mode::Timed => end.send_timeout(parcel, SHORT),
        };
        let ret = told(result.map(|()| Ret::Done))?;
        self.note(process, Op::Send { link: 0, to, message, mode }, call, ret);
        Ok(())
    }

    /// Receives by a call that comes back.
    pub(super) fn receive(&mut self, receiver: Role) -> Result<(), Failure> {
        let (process, from) = (receiver.process, self.from());
        let mode = prompt(self.profile.receive).ok_or(Failure::Unsupported)?;
        let call = self.now();
        let end = self.end(process)?;
        let result = match mode {
            Mode::Timed => end.receive_timeout(from, SHORT),
            _ => end.try_receive(from),
        };
        let ret = told(result.map(|delivery| recognise(&delivery, &self.sent)))?;
        self.note(process, Op::Receive { link: 0, from, mode }, call, ret);
        Ok(())
    }

    /// Sends so many messages in one call. What it takes is written down as that many calls; what it
    /// does not take, as one that finds no room.
    pub(super) fn send_batch(&mut self, sender: Role, count: u32) -> Result<(), Failure> {
        let (process, to) = (sender.process, self.to());
        let messages: Vec<Message> = (0..count).map(|_| self.message(process)).collect();
        let bytes: Vec<Vec<u8>> = messages.iter().map(payload::bytes).collect();
        let taken = self.end(process)?.send_batch(&bytes)?;
        let mode = Mode::Nonblocking;
        for (number, message) in messages.into_iter().enumerate().take(taken + 1) {
            let full = Ret::Refused(ipc_model::Refusal::Full);
            let ret = if number < taken { Ret::Done } else { full };
            let call = self.now();
            self.note(process, Op::Send { link: 0, to, message, mode }, call, ret);
        }
        Ok(())
    }

    /// Receives all that is there in one call: written down as a call for each message, and one
    /// that finds no more.
    pub(super) fn receive_batch(&mut self, receiver: Role) -> Result<(), Failure> {
        let (process, from) = (receiver.process, self.from());
        let all = self.end(process)?.receive_batch()?;
        let received = all.iter().map(|bytes| payload::recognise(bytes, &self.sent));
        let empty = Ret::Refused(ipc_model::Refusal::Empty);
        let rets: Vec<Ret> = received.chain([empty]).collect();
        for ret in rets {
            let call = self.now();
            let op = Op::Receive { link: 0, from, mode: Mode::Nonblocking };
            self.note(process, op, call, ret);
        }
        Ok(())
    }

    /// Drops the end.
    pub(super) fn close(&mut self, role: Role) {
        let call = self.now();
        drop(self.ends.remove(&role.process));
        self.note(role.process, Op::Close { link: 0 }, call, Ret::Done);
    }

    /// Forgets the end without dropping it.
    pub(super) fn leak(&mut self, role: Role) {
        if let Some(end) = self.ends.remove(&role.process) {
            std::mem::forget(end);
        }
    }

    /// Drops every end without writing it down, as a copy of this process does.
    pub(super) fn drop_copies(&mut self) {
        self.ends.clear();
    }

    pub(super) fn end_of_story(self) -> Story {
        let Self { created, ends, story, .. } = self;
        // The ends before what made them, as when a scenario ends.
        drop(ends);
        drop(created);
        story
    }
}

/// A call that never waits for long.
fn prompt(modes: ipc_model::Modes) -> Option<Mode> {
    [Mode::Nonblocking, Mode::Timed].into_iter().find(|m| modes.offers(*m))
}

fn told(result: Result<Ret, Failure>) -> Result<Ret, Failure> {
    result.or_else(|failure| refusal(&failure).map(Ret::Refused).ok_or(failure))
}
