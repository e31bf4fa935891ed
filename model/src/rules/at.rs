//! Where a rule is asked: one process in one state. Guards answer `None` where they do not hold,
//! so that a rule reads as a sentence of guards with `?` between them, and its effect at the end.
//! Every guard goes through [`At::guard`], by its name: so the guards of a rule can be listed, and
//! each of them broken by itself ([`crate::defect`]).

use crate::defect::Asking;
use crate::op::{Message, Mode, Op, Process, Refusal, Ret};
use crate::profile::{Addressing, Capacity, Distribution, Notice, Order, Profile, Size};
use crate::rule::Outcomes;
use crate::state::{Call, Link, ProcessSet, State, Waiting};

/// One process in one state of a link's model.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// What the link claims.
    pub profile: &'a Profile,
    /// The state.
    pub state: &'a State,
    /// The process that is asked about.
    pub process: Process,
    /// How its guards are asked, where that is not the right way.
    pub(crate) asking: Option<&'a Asking>,
}

/// A pending send.
#[derive(Clone, Copy)]
pub struct Send {
    /// Which link.
    pub link: u8,
    /// The recipient it names.
    pub to: Option<Process>,
    /// What it sends.
    pub message: Message,
}

/// A pending receive.
#[derive(Clone, Copy)]
pub struct Receive {
    /// Which link.
    pub link: u8,
    /// The sender it names.
    pub from: Option<Process>,
}

impl<'a> At<'a> {
    /// The process in the state, its guards asked the right way.
    pub fn new(profile: &'a Profile, state: &'a State, process: Process) -> Self {
        Self { profile, state, process, asking: None }
    }

    /// A guard: `Some(())` where it `holds`. `says` is how it reads after "when".
    pub fn guard(&self, says: &'static str, holds: bool) -> Option<()> {
        let holds = match self.asking {
            None => holds,
            Some(asking) => asking.answer(says, holds),
        };
        holds.then_some(())
    }

    /// The process is in a send of this mode that has not taken effect, with a message of a size
    /// that the link takes.
    pub fn sends(&self, mode: Mode) -> Option<Send> {
        let (send, its_mode) = self.send()?;
        self.guard(of_mode(mode), its_mode == mode)?;
        self.takes_size(send)?;
        Some(send)
    }

    /// The process is in a send that waits, with a message of a size that the link takes.
    pub fn waiting_send(&self) -> Option<Send> {
        let (send, mode) = self.send()?;
        self.guard("the call waits", mode != Mode::Nonblocking)?;
        self.takes_size(send)?;
        Some(send)
    }

    /// The link takes messages of this length.
    pub fn takes_size(&self, send: Send) -> Option<()> {
        self.guard("the link takes the size", self.profile.takes_size(send.message.size))
    }

    /// The process is in a send of any mode, of any size.
    pub fn send(&self) -> Option<(Send, Mode)> {
        match *self.state.pending(self.process)? {
            Op::Send { link, to, message, mode } => Some((Send { link, to, message }, mode)),
            _ => None,
        }
    }

    /// The process is in a receive of this mode that has not taken effect.
    pub fn receives(&self, mode: Mode) -> Option<Receive> {
        let (receive, its_mode) = self.receive()?;
        self.guard(of_mode(mode), its_mode == mode)?;
        Some(receive)
    }

    /// The process is in a receive that waits.
    pub fn waiting_receive(&self) -> Option<Receive> {
        let (receive, mode) = self.receive()?;
        self.guard("the call waits", mode != Mode::Nonblocking)?;
        Some(receive)
    }

    /// The process is in a receive of any mode.
    pub fn receive(&self) -> Option<(Receive, Mode)> {
        match *self.state.pending(self.process)? {
            Op::Receive { link, from, mode } => Some((Receive { link, from }, mode)),
            _ => None,
        }
    }

    /// The process is in a send whose deadline has passed, with a message of a size that the link
    /// takes. Only timed calls have a deadline.
    pub fn late_send(&self) -> Option<Send> {
        let (send, _) = self.send()?;
        self.expired()?;
        self.takes_size(send)?;
        Some(send)
    }

    /// The process is in a receive whose deadline has passed.
    pub fn late_receive(&self) -> Option<Receive> {
        let (receive, _) = self.receive()?;
        self.expired()?;
        Some(receive)
    }

    /// The deadline of the process's call has passed.
    pub fn expired(&self) -> Option<()> {
        self.guard("its deadline has passed", self.is_late())
    }

    /// The deadline of the process's call, if it has one, is ahead.
    pub fn early(&self) -> Option<()> {
        self.guard("its deadline is ahead", !self.is_late())
    }

    fn is_late(&self) -> bool {
        matches!(self.state.call(self.process), Call::Pending { expired: true, .. })
    }

    /// The process is not yet known to sleep.
    pub fn awake(&self) -> Option<()> {
        let call = self.state.call(self.process);
        self.guard("the process is awake", matches!(call, Call::Pending { blocked: false, .. }))
    }

    fn link(&self, link: u8) -> &'a Link {
        &self.state.links[link as usize]
    }

    // Buffering.

    /// How many messages wait where this send would put its own: on a broadcast, for the receiver
    /// that is furthest behind.
    fn occupancy(&self, send: Send) -> usize {
        let link = self.link(send.link);
        if self.profile.distribution == Distribution::ToEach {
            let behind = |p| link.queue.iter().filter(|w| w.to == Some(p)).count();
            return link.receivers.iter().map(behind).max().unwrap_or(0);
        }
        link.queue.iter().filter(|w| self.same_place(w, send)).count()
    }

    /// Whether a waiting message lies in the queue that `send` goes to: on a direct link every
    /// pair (symmetric) or every recipient (asymmetric) has a queue of its own.
    fn same_place(&self, waiting: &Waiting, send: Send) -> bool {
        match self.profile.addressing {
            Addressing::Mailbox => true,
            Addressing::Asymmetric => waiting.to == send.to,
            Addressing::Symmetric => {
                waiting.to == send.to && waiting.message.sender == send.message.sender
            }
        }
    }

    /// The buffer takes one more message (statement B4).
    pub fn room(&self, send: Send) -> Option<()> {
        let room = match self.profile.capacity {
            Capacity::Zero => false,
            Capacity::Bounded(n) => self.occupancy(send) < n as usize,
            Capacity::AtLeast(_) | Capacity::Unbounded => true,
        };
        self.guard("there is room", room)
    }

    /// The buffer may be full (statement B5).
    pub fn full(&self, send: Send) -> Option<()> {
        let full = match self.profile.capacity {
            Capacity::Zero | Capacity::Unbounded => false,
            Capacity::Bounded(n) | Capacity::AtLeast(n) => self.occupancy(send) >= n as usize,
        };
        self.guard("the buffer may be full", full)
    }

    /// Whether this receive may take that message at all, order aside.
    fn concerns(&self, waiting: &Waiting, receive: Receive, receiver: Process) -> bool {
        waiting.to.is_none_or(|to| to == receiver)
            && receive.from.is_none_or(|from| from == waiting.message.sender)
    }

    /// The places in the queue that the link's order allows this receive to take from.
    pub fn takable(&self, receive: Receive) -> Vec<usize> {
        let queue = &self.link(receive.link).queue;
        let mine = || {
            let concerns = |w: &Waiting| self.concerns(w, receive, self.process);
            queue.iter().enumerate().filter(move |(_, w)| concerns(w))
        };
        match self.profile.order {
            Order::Fifo => mine().map(|(i, _)| i).take(1).collect(),
            Order::Unordered => mine().map(|(i, _)| i).collect(),
            Order::Priority => {
                let highest = mine().map(|(_, w)| w.message.priority).max();
                let oldest = mine().find(|(_, w)| Some(w.message.priority) == highest);
                oldest.map(|(i, _)| i).into_iter().collect()
            }
            Order::PerSender => {
                let mut seen = ProcessSet::default();
                let first = |(_, w): &(usize, &Waiting)| {
                    let first = !seen.contains(w.message.sender);
                    seen.insert(w.message.sender);
                    first
                };
                mine().filter(first).map(|(i, _)| i).collect()
            }
        }
    }

    /// No message is there for this receive.
    pub fn empty(&self, receive: Receive) -> Option<()> {
        let concerns = |w: &Waiting| self.concerns(w, receive, self.process);
        let empty = !self.link(receive.link).queue.iter().any(concerns);
        self.guard("no message is there", empty)
    }

    // Rendezvous.

    /// The receivers that wait for what this send brings, in a call that is willing to wait.
    pub fn waiting_receivers(&self, send: Send) -> impl Iterator<Item = (Process, bool)> {
        let offered = Waiting { message: send.message, to: send.to };
        let at = *self;
        self.state.pending_calls().filter_map(move |(receiver, op, blocked)| match *op {
            Op::Receive { link, from, mode } => {
                let receive = Receive { link, from };
                let meets = link == send.link
                    && mode != Mode::Nonblocking
                    && at.concerns(&offered, receive, receiver);
                meets.then_some((receiver, blocked))
            }
            _ => None,
        })
    }

    /// The senders that wait with a message for this receive, in a call that is willing to wait.
    pub fn waiting_senders(
        &self,
        receive: Receive,
    ) -> impl Iterator<Item = (Process, Message, bool)> {
        let at = *self;
        self.state.pending_calls().filter_map(move |(sender, op, blocked)| match *op {
            Op::Send { link, to, message, mode } => {
                let meets = link == receive.link
                    && mode != Mode::Nonblocking
                    && at.profile.takes_size(message.size)
                    && at.concerns(&Waiting { message, to }, receive, at.process);
                meets.then_some((sender, message, blocked))
            }
            _ => None,
        })
    }

    // Ends.

    /// Somebody who could take what this send brings still holds an end, or nobody would be told.
    pub fn heard(&self, send: Send) -> Option<()> {
        self.guard("somebody could receive it", !self.is_unheard(send))
    }

    /// Nobody who could take what this send brings holds an end any more, and that is reported;
    /// the last one was lost by a kill, or closed.
    pub fn unheard(&self, send: Send, by_kill: bool) -> Option<()> {
        let so = self.is_unheard(send) && self.link(send.link).lost_receiver == by_kill;
        let says =
            if by_kill { "the last receiver was killed" } else { "the last receiver closed" };
        self.guard(says, so)
    }

    fn is_unheard(&self, send: Send) -> bool {
        let link = self.link(send.link);
        let gone = self.gone(link.receivers, send.to);
        gone && self.notice_of_receivers(link) == Notice::Reported
    }

    /// Somebody who could send to this receive still holds an end, or nobody would be told.
    pub fn expecting(&self, receive: Receive) -> Option<()> {
        self.guard("somebody could send to it", !self.is_abandoned(receive))
    }

    /// Nobody who could send to this receive holds an end any more, and that is reported; the last
    /// one was lost by a kill, or closed.
    pub fn abandoned(&self, receive: Receive, by_kill: bool) -> Option<()> {
        let so = self.is_abandoned(receive) && self.link(receive.link).lost_sender == by_kill;
        let says = if by_kill { "the last sender was killed" } else { "the last sender closed" };
        self.guard(says, so)
    }

    fn is_abandoned(&self, receive: Receive) -> bool {
        let link = self.link(receive.link);
        let gone = self.gone(link.senders, receive.from);
        gone && self.notice_of_senders(link) == Notice::Reported
    }

    fn gone(&self, holders: ProcessSet, named: Option<Process>) -> bool {
        named.map_or(holders.is_empty(), |p| !holders.contains(p))
    }

    fn notice_of_senders(&self, link: &Link) -> Notice {
        if link.lost_sender {
            self.profile.sender_killed.unwrap_or(Notice::Silent)
        } else {
            self.profile.sender_closed
        }
    }

    fn notice_of_receivers(&self, link: &Link) -> Notice {
        if link.lost_receiver {
            self.profile.receiver_killed.unwrap_or(Notice::Silent)
        } else {
            self.profile.receiver_closed
        }
    }

    // Sizes.

    /// The message is larger than the link takes.
    pub fn too_big(&self, send: Send) -> Option<()> {
        let too_big = match self.profile.size {
            Size::UpTo(n) | Size::NonemptyUpTo(n) => send.message.size > n,
            Size::Fixed(_) => false,
        };
        self.guard("the message is too big", too_big)
    }

    /// The link takes messages of one size, and this is another; or takes no empty ones.
    pub fn wrong_size(&self, send: Send) -> Option<()> {
        let wrong = match self.profile.size {
            Size::Fixed(n) => send.message.size != n,
            Size::NonemptyUpTo(_) => send.message.size == 0,
            Size::UpTo(_) => false,
        };
        self.guard("the message has a size that the link never takes", wrong)
    }

    // Effects.

    /// The call is told `ret`; nothing else changes.
    pub fn returns(&self, ret: Ret) -> Outcomes {
        let mut next = self.state.clone();
        next.set(self.process, Call::Returning(ret));
        Some(vec![next])
    }

    /// The call is refused; nothing else changes.
    pub fn refuses(&self, refusal: Refusal) -> Outcomes {
        self.returns(Ret::Refused(refusal))
    }

    /// The message is placed in the buffer, and the sender goes on.
    pub fn places(&self, send: Send) -> Outcomes {
        if self.profile.distribution == Distribution::ToEach {
            return self.places_for_each(send);
        }
        let mut next = self.state.clone();
        let waiting = Waiting { message: send.message, to: send.to };
        next.links[send.link as usize].queue.push(waiting);
        next.set(self.process, Call::Returning(Ret::Done));
        Some(vec![next])
    }

    /// A copy of the message is placed for every receiver that holds an end, and the sender goes
    /// on.
    pub fn places_for_each(&self, send: Send) -> Outcomes {
        let mut next = self.state.clone();
        let link = &mut next.links[send.link as usize];
        for receiver in link.receivers.iter() {
            link.queue.push(Waiting { message: send.message, to: Some(receiver) });
        }
        next.set(self.process, Call::Returning(Ret::Done));
        Some(vec![next])
    }

    /// A message that the order allows is taken out of the buffer: one outcome for each.
    pub fn takes(&self, receive: Receive) -> Outcomes {
        let take = |place| {
            let mut next = self.state.clone();
            let waiting = next.links[receive.link as usize].queue.remove(place);
            next.set(self.process, Call::Returning(Ret::Received(waiting.message)));
            next
        };
        let outcomes: Vec<State> = self.takable(receive).into_iter().map(take).collect();
        (!outcomes.is_empty()).then_some(outcomes)
    }

    /// Sender and receiver meet: both calls take effect in this one step.
    pub fn meet(&self, sender: Process, message: Message, receiver: Process) -> State {
        let mut next = self.state.clone();
        next.set(sender, Call::Returning(Ret::Done));
        next.set(receiver, Call::Returning(Ret::Received(message)));
        next
    }

    /// The process sleeps in its call.
    pub fn sleeps(&self) -> Outcomes {
        let mut next = self.state.clone();
        if let Call::Pending { blocked, .. } = &mut next.calls[self.process.0 as usize] {
            *blocked = true;
        }
        Some(vec![next])
    }
}

fn of_mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Blocking => "the call blocks",
        Mode::Nonblocking => "the call does not wait",
        Mode::Timed => "the call is timed",
    }
}
