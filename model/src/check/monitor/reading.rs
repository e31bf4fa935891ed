//! Takes a history apart into windows.
//!
//! Times become *keys*, numbers whose order is the order of [`History::events`]: at equal times
//! calls come before returns, and a process's own calls never overlap. Keys need no sorting, which
//! is what makes this step linear.

use super::Violation;
use super::closing::{Closing, End};
use super::names::Names;
use super::windows::{Flow, Lane, Moment, NEVER, NONE, Outside, PENDING, Unreadable, Window, sent};
use crate::check::pattern::Shape;
use crate::history::{Calls, Operation, Timing};
use crate::op::{Message, Mode, Op, Process, Refusal, Ret};
use crate::profile::{Addressing, Capacity, Profile};
use crate::state::ProcessSet;

/// The lanes of a history, or why there are none.
pub(super) fn read(
    profile: &Profile,
    calls: Calls<'_>,
    timing: Timing,
) -> Result<Vec<Lane>, Unreadable> {
    Reader::new(profile, calls, timing)?.read()
}

/// Ranks at one time, as in [`History::events`].
const CALL: u64 = 0;
const EXPIRE: u64 = 1;
const CRASH: u64 = 3;
const RETURN: u64 = 4;
const RANKS: u64 = 5;
/// Bits of a key that hold the rank.
const RANK_BITS: u32 = 8;
/// How many calls of one process may begin and end in one instant.
const LONGEST_CHAIN: u64 = (1 << RANK_BITS) / RANKS - 1;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Unknown,
    Entered,
    Open,
    Refused,
}

/// What is known of a message beside its flow, while the history is read.
#[derive(Clone, Copy)]
struct Draft {
    fate: Fate,
    link: u8,
}

/// Where a process is while the history is read.
#[derive(Clone, Copy)]
struct Track {
    called: u64,
    returned: u64,
    chain: u64,
    any: bool,
    open: bool,
    killed: Option<u64>,
}

struct Reader<'a> {
    profile: &'a Profile,
    calls: Calls<'a>,
    timing: Timing,
    base: u64,
    names: Names,
    /// The messages, and beside each flow what else is known of it.
    flows: Vec<Flow>,
    drafts: Vec<Draft>,
    tracks: Vec<Track>,
    lanes: Vec<Lane>,
    closing: Closing,
}

impl<'a> Reader<'a> {
    fn new(profile: &'a Profile, calls: Calls<'a>, timing: Timing) -> Result<Self, Outside> {
        if profile.addressing != Addressing::Mailbox {
            return Err("direct addressing");
        }
        if calls.len() >= NONE as usize {
            return Err("too many calls");
        }
        let mut first = u64::MAX;
        let Ok(()) = calls.each(|_, o| {
            first = first.min(o.call);
            Ok::<_, std::convert::Infallible>(())
        });
        let first = calls.crashes.iter().map(|c| c.0).fold(first, u64::min);
        let track =
            Track { called: 0, returned: 0, chain: 0, any: false, open: false, killed: None };
        let mut reader = Self {
            profile,
            calls,
            timing,
            base: first,
            names: Names::new(calls.len()),
            flows: Vec::with_capacity(calls.len() / 2 + 1),
            drafts: Vec::with_capacity(calls.len() / 2 + 1),
            tracks: vec![track; ProcessSet::LIMIT as usize],
            lanes: Vec::new(),
            closing: Closing::new(calls.links),
        };
        for &(time, process) in calls.crashes {
            let key = reader.key(time, CRASH)?;
            let track = reader.tracks.get_mut(process.0 as usize).ok_or("too many processes")?;
            if track.killed.replace(key).is_some() {
                return Err("a process is killed twice");
            }
        }
        Ok(reader)
    }

    fn key(&self, time: u64, rank: u64) -> Result<u64, Outside> {
        match time.checked_sub(self.base) {
            Some(t) if t < 1 << (63 - RANK_BITS) => Ok(t << RANK_BITS | rank),
            _ => Err("times too far apart"),
        }
    }

    fn read(mut self) -> Result<Vec<Lane>, Unreadable> {
        let calls = self.calls;
        if in_order(calls) {
            calls.each(|i, o| self.take(i, o))?;
        } else {
            let mut order: Vec<u32> = (0..calls.len() as u32).collect();
            order.sort_by_cached_key(|&i| {
                let o = calls.operation(i);
                (o.process, o.call, o.ret.map_or(u64::MAX, |(t, _)| t))
            });
            order.into_iter().try_for_each(|i| self.take(i, &calls.operation(i)))?;
        }
        let tracks = &self.tracks;
        let killed = |p: Process| tracks[usize::from(p.0)].killed.is_some();
        let gone = self.closing.gone(self.profile, &self.lanes, killed)?;
        self.finish()?;
        let Self { profile, calls, closing, mut lanes, .. } = self;
        closing.apply(profile, calls, &gone, &mut lanes)?;
        Ok(lanes)
    }

    fn lane(&mut self, link: u8) -> &mut Lane {
        let link = link as usize;
        if self.lanes.len() <= link {
            self.lanes.resize_with(link + 1, Lane::default);
        }
        &mut self.lanes[link]
    }

    fn take(&mut self, index: u32, o: &Operation) -> Result<(), Unreadable> {
        if o.blocked.is_some() {
            return Err("a call that was seen asleep".into());
        }
        let track = self.tracks.get_mut(o.process.0 as usize).ok_or("too many processes")?;
        if track.open || (track.any && o.call < track.returned) {
            return Err("a process calls while in a call".into());
        }
        track.chain = match track.any && track.returned == o.call {
            true if track.called == o.call => track.chain + 1,
            true => 1,
            false => 0,
        };
        if track.chain >= LONGEST_CHAIN {
            return Err("too many calls in one instant".into());
        }
        track.any = true;
        track.called = o.call;
        let (chain, killed) = (track.chain * RANKS, track.killed);
        let rank = |time: u64, rank: u64| if time == o.call { chain + rank } else { rank };
        match o.ret {
            Some((time, _)) if time < o.call => return Err("a return before its call".into()),
            Some((time, _)) => track.returned = time,
            None => track.open = true,
        }
        let from = self.key(o.call, chain + CALL)?;
        let to = match o.ret {
            Some((time, _)) => self.key(time, rank(time, RETURN))?,
            None => killed.unwrap_or(PENDING),
        };
        if killed.is_some_and(|k| from > k || (o.ret.is_some() && to > k)) {
            return Err("a killed process goes on".into());
        }
        let window = Window { from, to };
        if self.closing.has_closed(o.op.link(), o.process) {
            return Err("a call after the process has closed its end".into());
        }
        match o.op {
            Op::Close { link } => {
                if !matches!(o.ret, None | Some((_, Ret::Done))) {
                    return Err(no_such_answer(index, o).into());
                }
                self.lane(link);
                self.closing.closes(link, o.process, Moment { window, operation: index });
                Ok(())
            }
            Op::Send { link, to, message, mode } => {
                if to.is_some() || !self.profile.send.offers(mode) {
                    return Err("a way to send that the link does not offer".into());
                }
                self.send(index, o, link, &message, window, killed.is_some())
            }
            Op::Receive { link, from, mode } => {
                if from.is_some() || !self.profile.receive.offers(mode) {
                    return Err("a way to receive that the link does not offer".into());
                }
                self.receive(index, o, link, window, killed.is_some())
            }
        }
    }

    fn send(
        &mut self,
        index: u32,
        o: &Operation,
        link: u8,
        message: &Message,
        window: Window,
        killed: bool,
    ) -> Result<(), Unreadable> {
        if !self.profile.takes_size(message.size) {
            return Err("a message of a size that the link refuses".into());
        }
        // From now on there is such a link, whatever came of the call.
        self.lane(link);
        self.closing.holds(link, End::Senders, o.process);
        let stuck = o.ret.is_none() && self.calls.quiescent && !killed;
        let fate = match o.ret {
            Some((_, Ret::Done)) => Fate::Entered,
            None => Fate::Open,
            Some((_, Ret::Refused(Refusal::Full | Refusal::Timeout)))
                if self.profile.capacity != Capacity::Unbounded =>
            {
                let window = self.refused(index, o, window, Refusal::Full)?;
                self.lane(link).fulls.push(Moment { window, operation: index });
                Fate::Refused
            }
            Some((_, Ret::Refused(Refusal::Closed))) => {
                self.closing.told(link, End::Senders, Moment { window, operation: index });
                Fate::Refused
            }
            Some(_) => return Err(no_such_answer(index, o).into()),
        };
        let place = self.draft(message, link);
        let draft = &mut self.drafts[place];
        let fate = if stuck { Fate::Refused } else { fate };
        // A refused send left nothing, so the same message may be tried again.
        match (draft.fate, fate) {
            (Fate::Unknown | Fate::Refused, _) => {}
            (_, Fate::Refused) if !stuck => return Ok(()),
            _ => return Err("a message is sent twice".into()),
        }
        draft.fate = fate;
        let flow = &mut self.flows[place];
        flow.send = window;
        flow.sender = index;
        if flow.receiver != NONE {
            let flow = *flow;
            self.compare(&flow, link)?;
        }
        if stuck {
            self.lane(link).stuck.push(index);
        }
        Ok(())
    }

    fn receive(
        &mut self,
        index: u32,
        o: &Operation,
        link: u8,
        window: Window,
        killed: bool,
    ) -> Result<(), Unreadable> {
        self.lane(link);
        self.closing.holds(link, End::Receivers, o.process);
        let message = match o.ret {
            Some((_, Ret::Received(message))) => message,
            Some((_, Ret::Torn(_))) => {
                let words = format!("{} handed out bytes that nobody sent", o.op);
                return Err(
                    Violation::new(Shape::Altered, "message.bytes-kept", words, [index]).into()
                );
            }
            Some((_, Ret::Refused(Refusal::Empty | Refusal::Timeout))) => {
                let window = self.refused(index, o, window, Refusal::Empty)?;
                self.lane(link).empties.push(Moment { window, operation: index });
                return Ok(());
            }
            Some((_, Ret::Refused(Refusal::Closed))) => {
                self.closing.told(link, End::Receivers, Moment { window, operation: index });
                return Ok(());
            }
            Some(_) => return Err(no_such_answer(index, o).into()),
            None if self.calls.quiescent && !killed => {
                self.lane(link).stuck.push(index);
                return Ok(());
            }
            None => {
                self.lane(link).hungry.push(Moment { window, operation: index });
                return Ok(());
            }
        };
        let place = self.draft(&message, link);
        let flow = &mut self.flows[place];
        if flow.receiver != NONE {
            let words = format!("{message} was received twice");
            let proof = [flow.sender, flow.receiver, index];
            return Err(Violation::new(Shape::Twice, "delivery.once", words, proof).into());
        }
        flow.receive = window;
        flow.receiver = index;
        let draft = self.drafts[place];
        if draft.fate != Fate::Unknown {
            let flow = *flow;
            self.compare(&flow, draft.link)?;
        }
        Ok(())
    }

    /// The place of a message among the flows, where it is put if it is new.
    fn draft(&mut self, message: &Message, link: u8) -> usize {
        let slot = self.names.slot(message);
        if *slot == NONE {
            *slot = self.flows.len() as u32;
            let never = Window { from: NEVER, to: NEVER };
            self.flows.push(Flow { send: never, receive: never, sender: NONE, receiver: NONE });
            self.drafts.push(Draft { fate: Fate::Unknown, link });
        }
        *slot as usize
    }

    /// Send and receive of a message are both known: it must be the same message on one link.
    fn compare(&mut self, flow: &Flow, sent_on: u8) -> Result<(), Unreadable> {
        let sent = sent(self.calls, flow.sender);
        let receive = self.calls.operation(flow.receiver);
        let Some((_, Ret::Received(received))) = receive.ret else { unreachable!("it received") };
        if sent != received {
            let words = format!("{sent} arrived with another length or priority than it was sent");
            let proof = [flow.sender, flow.receiver];
            return Err(Violation::new(Shape::Altered, "message.size-kept", words, proof).into());
        }
        if self.calls.operation(flow.sender).op.link() != receive.op.link() {
            let words = format!("{sent} was sent on link {sent_on} and arrived on another");
            let proof = [flow.sender, flow.receiver];
            let rule = "mailbox.own-messages-only";
            return Err(Violation::new(Shape::WrongLink, rule, words, proof).into());
        }
        Ok(())
    }

    /// The moments at which a refused call must have found the link unable to serve it.
    fn refused(
        &mut self,
        index: u32,
        o: &Operation,
        window: Window,
        at_once: Refusal,
    ) -> Result<Window, Unreadable> {
        let Some((returned, Ret::Refused(refusal))) = o.ret else { unreachable!("it was refused") };
        let fits = match o.op.mode() {
            Mode::Blocking => false,
            Mode::Nonblocking => refusal == at_once,
            Mode::Timed => refusal == Refusal::Timeout && o.timeout.is_some(),
        };
        if !fits {
            return Err(no_such_answer(index, o).into());
        }
        if o.op.mode() == Mode::Nonblocking {
            return Ok(window);
        }
        let deadline = o.call.saturating_add(o.timeout.unwrap_or_default());
        if returned < deadline {
            let words = format!("{} gave up {} ns before its deadline", o.op, deadline - returned);
            return Err(Violation::new(Shape::Early, "timeout.never-early", words, [index]).into());
        }
        self.lane(o.op.link()).timeouts = true;
        let from = match self.timing {
            Timing::Strong if deadline > o.call => self.key(deadline, EXPIRE)?,
            _ => window.from + EXPIRE,
        };
        Ok(Window { from, ..window })
    }

    fn finish(&mut self) -> Result<(), Unreadable> {
        self.names = Names::default();
        let (mut flows, drafts) =
            (std::mem::take(&mut self.flows), std::mem::take(&mut self.drafts));
        for (flow, &Draft { fate, link }) in flows.iter().zip(&drafts) {
            match fate {
                Fate::Unknown => {
                    let words = match self.calls.operation(flow.receiver).ret {
                        Some((_, Ret::Received(message))) => {
                            format!("{message} was received, and nobody sent it")
                        }
                        _ => unreachable!("it was received"),
                    };
                    let rule = "delivery.nothing-invented";
                    return Err(
                        Violation::new(Shape::Invented, rule, words, [flow.receiver]).into()
                    );
                }
                Fate::Refused if flow.received() => return Err(self.refused_arrived(flow).into()),
                Fate::Open if !flow.received() => {
                    let ghost = Moment { window: flow.send, operation: flow.sender };
                    self.lane(link).ghosts.push(ghost);
                }
                Fate::Open | Fate::Entered if flow.receive.to < flow.send.from => {
                    let message = sent(self.calls, flow.sender);
                    let words = format!("{message} had been received before its send began");
                    let rule = "delivery.nothing-invented";
                    let proof = [flow.receiver, flow.sender];
                    return Err(Violation::new(Shape::BeforeSent, rule, words, proof).into());
                }
                Fate::Open | Fate::Entered | Fate::Refused => {}
            }
        }
        // With one link, as most histories have, the flows stay where they are.
        let mut stays = drafts.iter();
        flows.retain(|flow| match stays.next().map(|d| d.fate) {
            Some(Fate::Entered) => true,
            Some(Fate::Open) => flow.received(),
            _ => false,
        });
        if let [only] = self.lanes.as_mut_slice() {
            only.flows = flows;
            return Ok(());
        }
        for flow in flows {
            let link = self.calls.operation(flow.sender).op.link();
            self.lane(link).flows.push(flow);
        }
        Ok(())
    }

    fn refused_arrived(&self, flow: &Flow) -> Violation {
        let message = sent(self.calls, flow.sender);
        let proof = [flow.sender, flow.receiver];
        if self.calls.operation(flow.sender).ret.is_none() {
            let words = format!("{message} was received, yet its send never returned");
            return Violation::new(Shape::Stuck, "send.room.accepts", words, proof);
        }
        let words = format!("the send of {message} was refused, yet it was received");
        Violation::new(Shape::RefusedArrived, "delivery.refused-leaves-nothing", words, proof)
    }
}

/// Whether each process's calls are listed in the order in which it made them.
fn in_order(calls: Calls<'_>) -> bool {
    let mut last = [0; ProcessSet::LIMIT as usize];
    let follows = |_, o: &Operation| {
        let Some(last) = last.get_mut(o.process.0 as usize) else { return Ok(()) };
        let follows = *last <= o.call;
        *last = o.ret.map_or(u64::MAX, |(t, _)| t);
        if follows { Ok(()) } else { Err(()) }
    };
    calls.each(follows).is_ok()
}

pub(super) fn no_such_answer(index: u32, o: &Operation) -> Violation {
    let ret = o.ret.map(|(_, r)| r.to_string()).unwrap_or_default();
    let words = format!("no rule lets {} answer {ret} here", o.op);
    Violation::new(Shape::NoSuchAnswer, "", words, [index])
}
