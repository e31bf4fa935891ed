//! Histories of any size, from a plain simulation: processes call, take effect and return at
//! random, so that they overlap as much as their number allows.

use ipc_model::{Ends, History, Message, Mode, Op, Operation, Process, Refusal, Ret};
use std::collections::VecDeque;

/// A small generator of random numbers (splitmix64): the same seed gives the same history.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.roll() % n.max(1) as u64) as usize
    }
}

/// What to generate.
#[derive(Clone, Copy)]
pub(crate) struct Recipe {
    /// Processes that send, and that receive; `0, n`: every one of n does both.
    pub(crate) senders: usize,
    pub(crate) receivers: usize,
    /// Calls.
    pub(crate) calls: usize,
    /// Room; `None` is unbounded, `Some(0)` rendezvous.
    pub(crate) room: Option<usize>,
    /// Percentage of calls that do not wait, and may be answered `empty` or `full`.
    pub(crate) hasty: usize,
    /// How many processes are killed on the way.
    pub(crate) killed: usize,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum At {
    Idle,
    Called(usize),
    Done(usize, Ret),
    Dead,
}

/// A legal history.
pub(crate) fn legal(recipe: Recipe, seed: u64) -> History {
    let mut dice = Dice(seed);
    let width = recipe.senders + recipe.receivers;
    let mut at = vec![At::Idle; width];
    let mut sent = vec![0u32; width];
    let mut queue: VecDeque<Message> = VecDeque::new();
    let everybody = || (0..width as u16).map(Process).collect();
    let mut history = History {
        links: vec![Ends { senders: everybody(), receivers: everybody() }],
        operations: Vec::with_capacity(recipe.calls),
        ..History::default()
    };
    let mut now = 0;
    let mut stalled = 0;
    let mut kills = recipe.killed.min(width.saturating_sub(4));
    let most = if recipe.room == Some(0) { 0 } else { recipe.room.unwrap_or(64) };
    loop {
        let made = history.operations.len();
        if made >= recipe.calls && at.iter().all(|a| !matches!(a, At::Done(..))) {
            break;
        }
        // Everybody waits for somebody else: what is pending stays so.
        if stalled > 64 * width {
            break;
        }
        let p = dice.below(width);
        now += 1;
        stalled += 1;
        if kills > 0 && made * (recipe.killed + 1) / recipe.calls.max(1) > recipe.killed - kills {
            kills -= 1;
            at[p] = At::Dead;
            history.crashes.push((now, Process(p as u16)));
            continue;
        }
        match at[p] {
            At::Idle if made < recipe.calls => {
                let sends = match recipe.senders {
                    // What nobody takes would only pile up.
                    0 => queue.len() < most.max(1) && dice.below(2) == 0 || dice.below(4) == 0,
                    senders => p < senders,
                };
                let hasty = dice.below(100) < recipe.hasty;
                let mode = if hasty { Mode::Nonblocking } else { Mode::Blocking };
                let op = if sends {
                    let message = Message::new(p as u16, sent[p], 0);
                    sent[p] += 1;
                    Op::Send { link: 0, to: None, message, mode }
                } else {
                    Op::Receive { link: 0, from: None, mode }
                };
                stalled = 0;
                at[p] = At::Called(made);
                let process = Process(p as u16);
                let (ret, timeout, blocked) = (None, None, None);
                let call = now;
                history.operations.push(Operation { process, op, call, ret, timeout, blocked });
            }
            At::Called(i) => {
                let hasty = history.operations[i].op.mode() == Mode::Nonblocking;
                let op = history.operations[i].op;
                let told = if recipe.room == Some(0) {
                    meet(&history, &mut at, p, i)
                } else {
                    alone(op, &mut queue, recipe.room)
                };
                match (told, hasty) {
                    (Some(ret), _) => at[p] = At::Done(i, ret),
                    (None, true) => {
                        let sends = op.message().is_some();
                        let refusal = if sends { Refusal::Full } else { Refusal::Empty };
                        at[p] = At::Done(i, Ret::Refused(refusal));
                    }
                    _ => {}
                }
            }
            At::Done(i, ret) => {
                stalled = 0;
                history.operations[i].ret = Some((now, ret));
                at[p] = At::Idle;
            }
            At::Idle | At::Dead => {}
        }
    }
    history
}

pub(crate) fn alone(op: Op, queue: &mut VecDeque<Message>, room: Option<usize>) -> Option<Ret> {
    match op.message() {
        Some(message) if room.is_none_or(|room| queue.len() < room) => {
            queue.push_back(message);
            Some(Ret::Done)
        }
        Some(_) => None,
        None => queue.pop_front().map(Ret::Received),
    }
}

fn meet(history: &History, at: &mut [At], p: usize, i: usize) -> Option<Ret> {
    let mine = history.operations[i].op;
    let partner = at.iter().enumerate().find_map(|(q, a)| match *a {
        At::Called(j) if q != p => {
            let theirs = history.operations[j].op;
            let opposite = mine.message().is_some() != theirs.message().is_some();
            let waits = mine.mode() != Mode::Nonblocking || theirs.mode() != Mode::Nonblocking;
            (opposite && waits).then_some((q, j, theirs))
        }
        _ => None,
    });
    let (q, j, theirs) = partner?;
    let told = |op: Op, other: Op| match other.message() {
        Some(message) if op.message().is_none() => Ret::Received(message),
        _ => Ret::Done,
    };
    at[q] = At::Done(j, told(theirs, mine));
    Some(told(mine, theirs))
}

/// Exchanges what two neighbouring receives were told, the one near `place`, and so makes the
/// history wrong, if they do not overlap too much.
pub(crate) fn swap_receives(history: &mut History, place: usize) {
    let received = |o: &Operation| matches!(o.ret, Some((_, Ret::Received(_))));
    let rest: Vec<usize> =
        (place..history.operations.len()).filter(|&i| received(&history.operations[i])).collect();
    let Some(&first) = rest.first() else { return };
    let end = history.operations[first].ret.map_or(0, |(t, _)| t);
    let Some(&second) = rest.iter().find(|&&i| history.operations[i].call > end) else { return };
    let told = |i: usize| history.operations[i].ret.map(|(_, r)| r);
    let (a, b) = (told(first), told(second));
    for (i, told) in [(first, b), (second, a)] {
        let ret = history.operations[i].ret;
        history.operations[i].ret = ret.zip(told).map(|((t, _), r)| (t, r));
    }
}
