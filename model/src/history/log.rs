//! A history packed into 24 bytes a call, as it is read from a file of millions of them.

use rustc_hash::FxHashMap;

use super::{History, Operation};
use crate::op::{Message, Mode, Op, Process, Refusal, Ret};
use crate::state::{Ends, ProcessSet};

/// A history of many calls in little memory: the same as a [`History`], call by call.
///
/// What hardly any call has (a wait of more than four seconds, having been seen asleep) is kept
/// apart, and sizes, priorities and timeouts, of which a history has few different ones, are kept
/// once each.
#[derive(Clone, Debug, Default)]
pub struct Log {
    calls: Vec<Packed>,
    attributes: Vec<Attributes>,
    numbered: FxHashMap<Attributes, u16>,
    /// The attributes of calls for which there were no numbers left.
    rare: FxHashMap<u32, Attributes>,
    late: FxHashMap<u32, u64>,
    asleep: FxHashMap<u32, u64>,
    /// See [`History::crashes`].
    pub crashes: Vec<(u64, Process)>,
    /// See [`History::kills`].
    pub kills: Vec<(u64, Process)>,
    /// See [`History::links`].
    pub links: Vec<Ends>,
    /// See [`History::quiescent`].
    pub quiescent: bool,
}

#[derive(Clone, Copy, Debug)]
struct Packed {
    call: u64,
    /// From the call to the return; [`LATE`] where that is more, [`OPEN`] where it never did.
    took: u32,
    sequence: u32,
    sender: u16,
    attributes: u16,
    process: u8,
    link: u8,
    /// Which call, and what it was told.
    asked: u8,
    told: u8,
}

/// What most calls of a history have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Attributes {
    size: u32,
    priority: u32,
    timeout: Option<u64>,
    peer: Option<Process>,
}

const OPEN: u32 = u32::MAX;
const LATE: u32 = u32::MAX - 1;
const RARE: u16 = u16::MAX;

const CLOSE: u8 = 6;
const MODES: [Mode; 3] = [Mode::Blocking, Mode::Nonblocking, Mode::Timed];

/// Bits of what a call was told: the line that told it left the size out, or the priority.
const NO_SIZE: u8 = 0x40;
const NO_PRIORITY: u8 = 0x80;

const DONE: u8 = 0;
const RECEIVED: u8 = 1;
const TORN: u8 = 2;
const REFUSED: u8 = 3;

fn place<T: PartialEq>(all: &[T], one: &T) -> u8 {
    all.iter().position(|x| x == one).expect("all are listed") as u8
}

impl Log {
    /// How many calls there are.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether nobody called.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The call at this place.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn operation(&self, index: usize) -> Operation {
        let packed = self.calls[index];
        let key = index as u32;
        let Attributes { size, priority, timeout, peer } = match packed.attributes {
            RARE => self.rare[&key],
            number => self.attributes[usize::from(number)],
        };
        let message =
            Message { sender: Process(packed.sender), sequence: packed.sequence, size, priority };
        let (link, mode) = (packed.link, MODES[usize::from(packed.asked % 3)]);
        let op = match packed.asked {
            0..3 => Op::Send { link, to: peer, message, mode },
            3..CLOSE => Op::Receive { link, from: peer, mode },
            _ => Op::Close { link },
        };
        let ret = match packed.told & !(NO_SIZE | NO_PRIORITY) {
            DONE => Ret::Done,
            RECEIVED => Ret::Received(message),
            TORN => Ret::Torn(message),
            told => Ret::Refused(Refusal::ALL[usize::from(told - REFUSED)]),
        };
        let returned = match packed.took {
            OPEN => None,
            LATE => Some(self.late[&key]),
            took => Some(packed.call + u64::from(took)),
        };
        Operation {
            process: Process(u16::from(packed.process)),
            op,
            call: packed.call,
            ret: returned.map(|time| (time, ret)),
            timeout,
            blocked: self.asleep.get(&key).copied(),
        }
    }

    /// Adds a call.
    ///
    /// # Panics
    /// For a process beyond [`ProcessSet::LIMIT`], for a send that is told anything but `ok` and a
    /// refusal, and for the call after the four thousand millionth: no reader lets them through.
    pub fn push(&mut self, o: &Operation) {
        assert!(o.process.0 < ProcessSet::LIMIT && self.calls.len() < OPEN as usize);
        let index = self.calls.len() as u32;
        let (asked, link, peer, message) = match o.op {
            Op::Send { link, to, message, mode } => (place(&MODES, &mode), link, to, Some(message)),
            Op::Receive { link, from, mode } => (3 + place(&MODES, &mode), link, from, None),
            Op::Close { link } => (CLOSE, link, None, None),
        };
        self.calls.push(Packed {
            call: o.call,
            took: OPEN,
            sequence: message.map_or(0, |m| m.sequence),
            sender: message.map_or(0, |m| m.sender.0),
            attributes: 0,
            process: o.process.0 as u8,
            link,
            asked,
            told: DONE,
        });
        let (size, priority) = message.map_or((0, 0), |m| (m.size, m.priority));
        self.describe(index, Attributes { size, priority, timeout: o.timeout, peer });
        if let Some(time) = o.blocked {
            self.sleeps(index as usize, time);
        }
        if let Some((time, ret)) = o.ret {
            self.returns(index as usize, time, ret);
        }
    }

    /// The call at this place returns.
    pub(super) fn returns(&mut self, index: usize, time: u64, ret: Ret) {
        let packed = &mut self.calls[index];
        let took = time.saturating_sub(packed.call);
        packed.took = u32::try_from(took).unwrap_or(LATE).min(LATE);
        if packed.took == LATE {
            self.late.insert(index as u32, time);
        }
        let (told, message) = match ret {
            Ret::Done => (DONE, None),
            Ret::Received(message) => (RECEIVED, Some(message)),
            Ret::Torn(message) => (TORN, Some(message)),
            Ret::Refused(refusal) => (REFUSED + place(&Refusal::ALL, &refusal), None),
        };
        packed.told = told;
        let Some(message) = message else { return };
        assert!(packed.asked >= 3, "only a receive is given a message");
        (packed.sender, packed.sequence) = (message.sender.0, message.sequence);
        self.give(index, Some(message.size), Some(message.priority));
    }

    /// The line that told what the receive at this place took left these out.
    pub(super) fn misses(&mut self, index: usize, size: bool, priority: bool) {
        let told = &mut self.calls[index].told;
        *told |= if size { NO_SIZE } else { 0 } | if priority { NO_PRIORITY } else { 0 };
    }

    /// Gives received messages the size and priority that their line left out: those they were
    /// sent with.
    pub(super) fn fill_in(&mut self) {
        // Most histories say nothing of either, and then nothing is to be filled in.
        let plain = |a: &Attributes| a.size == 0 && a.priority == 0;
        if self.rare.is_empty() && self.attributes.iter().all(plain) {
            return;
        }
        let sent: FxHashMap<(Process, u32), (u32, u32)> = self
            .operations()
            .filter_map(|o| o.op.message())
            .map(|m| ((m.sender, m.sequence), (m.size, m.priority)))
            .collect();
        for index in 0..self.len() {
            let Packed { told, sender, sequence, .. } = self.calls[index];
            if told & (NO_SIZE | NO_PRIORITY) == 0 {
                continue;
            }
            if let Some(&(size, priority)) = sent.get(&(Process(sender), sequence)) {
                let size = (told & NO_SIZE != 0).then_some(size);
                let priority = (told & NO_PRIORITY != 0).then_some(priority);
                self.give(index, size, priority);
            }
        }
    }

    /// The message that the receive at this place took has this size and this priority.
    fn give(&mut self, index: usize, size: Option<u32>, priority: Option<u32>) {
        let before = match self.calls[index].attributes {
            RARE => self.rare[&(index as u32)],
            number => self.attributes[usize::from(number)],
        };
        let size = size.unwrap_or(before.size);
        let priority = priority.unwrap_or(before.priority);
        self.describe(index as u32, Attributes { size, priority, ..before });
    }

    fn describe(&mut self, index: u32, attributes: Attributes) {
        // Neighbours are alike.
        let known = self.attributes.first().filter(|a| **a == attributes).map(|_| 0);
        let number = known.or_else(|| self.numbered.get(&attributes).copied());
        let number = number.unwrap_or_else(|| match u16::try_from(self.attributes.len()) {
            Ok(next) if next < RARE => {
                self.attributes.push(attributes);
                self.numbered.insert(attributes, next);
                next
            }
            _ => {
                self.rare.insert(index, attributes);
                RARE
            }
        });
        self.calls[index as usize].attributes = number;
    }

    /// The process was seen asleep in the call at this place.
    pub(super) fn sleeps(&mut self, index: usize, time: u64) {
        self.asleep.insert(index as u32, time);
    }

    /// All calls, in the order in which they were added.
    pub fn operations(&self) -> impl Iterator<Item = Operation> {
        (0..self.len()).map(|i| self.operation(i))
    }

    /// The calls for which `keep` holds, as a history.
    pub fn history(&self, keep: impl Fn(usize, &Operation) -> bool) -> History {
        let kept = self.operations().enumerate().filter(|(i, o)| keep(*i, o)).map(|(_, o)| o);
        History {
            operations: kept.collect(),
            crashes: self.crashes.clone(),
            kills: self.kills.clone(),
            links: self.links.clone(),
            quiescent: self.quiescent,
        }
    }
}

impl From<&History> for Log {
    fn from(history: &History) -> Self {
        let mut log = Log {
            crashes: history.crashes.clone(),
            kills: history.kills.clone(),
            links: history.links.clone(),
            quiescent: history.quiescent,
            ..Log::default()
        };
        history.operations.iter().for_each(|o| log.push(o));
        log
    }
}
