//! The states that an exploration has seen, exactly, in a few bytes each.
//!
//! A state is written down as a string of bytes that no other state of the scenario has: what the
//! scenario says already (the calls of its scripts, its messages) is named by its place there. The
//! strings lie one behind the other, and a table of their numbers finds them again. Nothing is
//! left to a fingerprint.

use std::hash::Hasher;

use hashbrown::HashTable;
use rustc_hash::FxHasher;

use super::space::{Node, Space};
use crate::op::{Message, Op, Process, Ret};
use crate::scenario::Step;
use crate::state::Call;

/// The states seen so far, by their numbers: the first is 0.
pub(super) struct Seen<'a> {
    space: &'a Space<'a>,
    /// The messages of each process, in the order of their sequence numbers.
    messages: Vec<Vec<Message>>,
    /// All strings, one behind the other. None begins another one.
    bytes: Vec<u8>,
    /// Where each string begins.
    begins: Vec<usize>,
    table: HashTable<Entry>,
}

/// A string in the table, with half of its hash, which tells most of them apart.
struct Entry {
    hash: u32,
    number: u32,
}

// What a byte may begin. Behind the last of them come the messages of the sender.
const RUNNING: u8 = 0;
const DEAD: u8 = 1;
const RETURNING: u8 = 2;
/// With 1 added for a sleeping process, 2 for a deadline that has passed.
const PENDING: u8 = 3;
/// The same, of a call that the script does not have there.
const PENDING_OTHER: u8 = 7;

impl<'a> Seen<'a> {
    pub(super) fn new(space: &'a Space<'a>) -> Self {
        let mut messages = vec![Vec::new(); space.scenario.width()];
        for message in space.scenario.messages() {
            if let Some(own) = messages.get_mut(message.sender.0 as usize) {
                own.push(message);
            }
        }
        let (bytes, begins, table) = (Vec::new(), Vec::new(), HashTable::new());
        Self { space, messages, bytes, begins, table }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.begins.len()
    }

    /// The number of this state, and whether it is new.
    pub(super) fn insert(&mut self, node: &Node) -> (usize, bool) {
        // The string goes where it will stay, if it is new.
        let begin = self.bytes.len();
        let mut bytes = std::mem::take(&mut self.bytes);
        self.write(node, &mut bytes);
        self.bytes = bytes;
        let Self { bytes, begins, table, .. } = self;
        let (known, sought) = bytes.split_at(begin);
        let hash = hash(sought);
        let same = |entry: &Entry| {
            entry.hash == hash && known[begins[entry.number as usize]..].starts_with(sought)
        };
        if let Some(entry) = table.find(spread(hash), same) {
            let number = entry.number as usize;
            bytes.truncate(begin);
            return (number, false);
        }
        let number = u32::try_from(begins.len()).expect("memory holds fewer states than 2^32");
        table.insert_unique(spread(hash), Entry { hash, number }, |entry| spread(entry.hash));
        begins.push(begin);
        (number as usize, true)
    }

    fn write(&self, node: &Node, to: &mut Vec<u8>) {
        let state = &node.state;
        number(state.dying.bits(), to);
        for (i, call) in state.calls.iter().enumerate() {
            number(node.next[i].into(), to);
            self.write_call(node, i, call, to);
            for ret in self.space.told(node, Process(i as u16)) {
                self.write_ret(ret, to);
            }
            to.push(END);
        }
        for link in &state.links {
            number(link.senders.bits(), to);
            number(link.receivers.bits(), to);
            number(link.killed.bits(), to);
            to.push(u8::from(link.lost_sender) | u8::from(link.lost_receiver) << 1);
            number(link.queue.len() as u64, to);
            for waiting in &link.queue {
                self.write_message(waiting.message, to);
                number(waiting.to.map_or(0, |p| u64::from(p.0) + 1), to);
            }
        }
    }

    fn write_call(&self, node: &Node, i: usize, call: &Call, to: &mut Vec<u8>) {
        match *call {
            Call::Running => to.push(RUNNING),
            Call::Dead => to.push(DEAD),
            Call::Returning(ret) => {
                to.push(RETURNING);
                self.write_ret(ret, to);
            }
            Call::Pending { op, blocked, expired } => {
                let flags = u8::from(blocked) | u8::from(expired) << 1;
                let script = &self.space.scenario.processes[i].0;
                let step = (node.next[i] as usize).checked_sub(1).and_then(|n| script.get(n));
                if step == Some(&Step::Call(op)) {
                    to.push(PENDING + flags);
                } else {
                    to.push(PENDING_OTHER + flags);
                    self.write_op(op, to);
                }
            }
        }
    }

    fn write_op(&self, op: Op, to: &mut Vec<u8>) {
        let named = |p: Option<Process>| p.map_or(0, |p| u64::from(p.0) + 1);
        match op {
            Op::Send { link, to: recipient, message, mode } => {
                to.extend([0, link, mode as u8]);
                number(named(recipient), to);
                self.write_message(message, to);
            }
            Op::Receive { link, from, mode } => {
                to.extend([1, link, mode as u8]);
                number(named(from), to);
            }
            Op::Close { link } => to.extend([2, link]),
        }
    }

    fn write_ret(&self, ret: Ret, to: &mut Vec<u8>) {
        match ret {
            Ret::Done => to.push(1),
            Ret::Refused(refusal) => to.extend([2, refusal as u8]),
            Ret::Torn(message) => {
                to.push(3);
                self.write_message(message, to);
            }
            Ret::Received(message) => {
                to.push(4);
                self.write_message(message, to);
            }
        }
    }

    /// A message of the scenario by its sender and its place there, another one in full.
    fn write_message(&self, message: Message, to: &mut Vec<u8>) {
        let Message { sender, sequence, size, priority } = message;
        let own = self.messages.get(sender.0 as usize);
        if own.and_then(|own| own.get(sequence as usize)) == Some(&message) {
            number(u64::from(sender.0) + 1, to);
            number(sequence.into(), to);
        } else {
            to.push(0);
            number(sender.0.into(), to);
            [sequence, size, priority].into_iter().for_each(|n| number(n.into(), to));
        }
    }
}

/// Behind the last answer: no answer begins so.
const END: u8 = 0;

/// A number in as few bytes as it needs, seven bits in each (LEB128).
fn number(mut n: u64, to: &mut Vec<u8>) {
    while n >= 0x80 {
        to.push(n as u8 | 0x80);
        n >>= 7;
    }
    to.push(n as u8);
}

fn hash(bytes: &[u8]) -> u32 {
    let mut hasher = FxHasher::default();
    hasher.write(bytes);
    hasher.finish() as u32
}

/// The table looks at both ends of a hash (Fibonacci hashing, Knuth 6.4).
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
