//! Looks for an order of the messages on a bounded FIFO link, any number of senders and receivers.
//!
//! A history is legal exactly if its messages have an order in which, for i before j: i's send does
//! not begin after j's has ended, nor i's receive after j's; no send begins after its own or a
//! later message was received; and each message begins to be received before the send of the one
//! that comes a whole capacity later has ended. An answer `empty` has a place in that order too:
//! what is before it has left, what is after it has not entered, at one moment of its window. So
//! has an answer `full`: what is before it has entered, all but the last k of them have left.
//!
//! The order is built from its start. What may come next depends only on what is placed and on a
//! few numbers of the last k messages, so a start that failed is remembered and not tried twice.
//! An answer takes the first place that it may take, since it asks nothing of what comes later. The
//! conditions are ours; the tests hold them against all small histories.

use rustc_hash::FxHashSet;

use super::sorted::by_key;
use super::windows::{Flow, Moment, Window};

/// What came of looking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    /// Such an order.
    Found(Vec<u32>),
    /// There is none.
    None,
    /// The start that was tried when too many had failed.
    GaveUp(Vec<u32>),
}

/// What is to be put in order, on a link that holds `room`.
#[derive(Clone, Debug)]
pub(super) struct Puzzle {
    pub(super) flows: Vec<Flow>,
    pub(super) empties: Vec<Moment>,
    pub(super) fulls: Vec<Moment>,
    pub(super) room: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Message,
    Empty,
    Full,
}

#[derive(Clone, Copy)]
struct Item {
    kind: Kind,
    flow: Flow,
}

impl Puzzle {
    /// Messages first, so that an item's place is that of its message.
    fn items(&self) -> Vec<Item> {
        let messages = self.flows.iter().map(|&flow| Item { kind: Kind::Message, flow });
        let always = Window { from: 0, to: u64::MAX };
        let answer = |m: &Moment, kind, receive| {
            let (sender, receiver) = (m.operation, m.operation);
            Item { kind, flow: Flow { send: m.window, receive, sender, receiver } }
        };
        // Everything before an `empty` has been received; not so with `full`.
        let empties = self.empties.iter().map(|m| answer(m, Kind::Empty, m.window));
        let fulls = self.fulls.iter().map(|m| answer(m, Kind::Full, always));
        messages.chain(empties).chain(fulls).collect()
    }
}

/// One place of the order.
struct Step {
    chosen: u32,
    /// What else may come here, the best last.
    rest: Vec<u32>,
    /// The first items not placed, in the order of each list, before this step.
    firsts: [usize; 3],
    /// How many messages were placed before the last `empty`, before this step.
    emptied: usize,
}

/// What is known of a placed message and of those before it.
#[derive(Clone, Copy)]
struct Placed {
    /// When the last of them begins to be received.
    leaves: u64,
    /// When the last of them begins to be sent.
    enters: u64,
    /// When its own receive has ended.
    left: u64,
}

struct Orders {
    items: Vec<Item>,
    room: usize,
    fulls: bool,
    /// All items by when the send begins, when it ends, and when the receive ends.
    lists: [Vec<(u64, u32)>; 3],
    firsts: [usize; 3],
    taken: Vec<bool>,
    steps: Vec<Step>,
    /// The messages placed, without the answers.
    placed: Vec<Placed>,
    emptied: usize,
    failed: FxHashSet<Vec<u64>>,
}

const SEND_BEGINS: usize = 0;
const SEND_ENDS: usize = 1;
const RECEIVE_ENDS: usize = 2;

/// Looks for an order, remembering at most `budget` starts that failed.
pub(super) fn seek(puzzle: &Puzzle, budget: usize) -> Sought {
    // What may begin to leave first is most often the right one to come next. Where that soon
    // leads nowhere, the middle of the time inside is the better guide.
    let first = seek_by(puzzle, |f| f.receive.from, budget / 16);
    match first {
        Sought::GaveUp(_) => {
            seek_by(puzzle, |f| f.send.to / 2 + f.receive.from / 2, budget - budget / 16)
        }
        decided => decided,
    }
}

fn seek_by(puzzle: &Puzzle, taste: fn(&Flow) -> u64, budget: usize) -> Sought {
    let items = puzzle.items();
    let list = |end: fn(&Flow) -> u64| {
        let mut list: Vec<(u64, u32)> =
            (0u32..).zip(&items).map(|(i, item)| (end(&item.flow), i)).collect();
        by_key(&mut list, |e| e.0);
        list
    };
    let lists = [list(|f| f.send.from), list(|f| f.send.to), list(|f| f.receive.to)];
    let total = items.len();
    let mut orders = Orders {
        room: puzzle.room,
        fulls: !puzzle.fulls.is_empty(),
        lists,
        firsts: [0; 3],
        taken: vec![false; total],
        steps: Vec::with_capacity(total),
        placed: Vec::with_capacity(puzzle.flows.len()),
        emptied: 0,
        failed: FxHashSet::default(),
        items,
    };
    while orders.steps.len() < total {
        let known = !orders.failed.is_empty() && orders.failed.contains(&orders.start());
        let next = if known { Vec::new() } else { orders.candidates(taste) };
        if orders.advance(next) {
            continue;
        }
        if orders.failed.len() > budget {
            return Sought::GaveUp(orders.order());
        }
        if !orders.back_up() {
            return Sought::None;
        }
    }
    Sought::Found(orders.order())
}

impl Orders {
    /// The messages in their order, without the answers.
    fn order(&self) -> Vec<u32> {
        let message = |i: &u32| self.items[*i as usize].kind == Kind::Message;
        self.steps.iter().map(|s| s.chosen).filter(message).collect()
    }

    /// The least key of a list that belongs to an item not placed yet.
    fn least(&self, list: usize) -> u64 {
        self.lists[list].get(self.firsts[list]).map_or(u64::MAX, |e| e.0)
    }

    /// When the last of the first `count` messages begins to be received.
    fn leaves(&self, count: usize) -> u64 {
        count.checked_sub(1).map_or(0, |last| self.placed[last].leaves)
    }

    /// What may come next, the best last.
    fn candidates(&self, taste: fn(&Flow) -> u64) -> Vec<u32> {
        let (sends_end, receives_end) = (self.least(SEND_ENDS), self.least(RECEIVE_ENDS));
        let limit = sends_end.min(receives_end);
        let room = match (self.placed.len() + 1).checked_sub(self.room) {
            Some(far) => self.leaves(far) <= sends_end,
            None => true,
        };
        let mut candidates = Vec::new();
        let begun = self.lists[SEND_BEGINS][self.firsts[SEND_BEGINS]..].iter();
        for &(_, i) in begun.take_while(|e| e.0 <= limit) {
            if self.taken[i as usize] {
                continue;
            }
            let item = &self.items[i as usize];
            match item.kind {
                // A message does not have to wait for its own receive to end.
                Kind::Message => {
                    let receive = item.flow.receive;
                    if room && (receive.from <= receives_end || receive.to == receives_end) {
                        candidates.push(i);
                    }
                }
                Kind::Empty if self.leaves(self.placed.len()) <= sends_end => return vec![i],
                Kind::Full if self.is_full(item.flow.send.from) => return vec![i],
                Kind::Empty | Kind::Full => {}
            }
        }
        if candidates.len() > 1 {
            self.drop_dominated(&mut candidates);
            let key = |i: &u32| std::cmp::Reverse(taste(&self.items[*i as usize].flow));
            candidates.sort_by_key(key);
        }
        candidates
    }

    /// Whether an answer `full` that was called at `from` may come next.
    fn is_full(&self, from: u64) -> bool {
        let Some(left) = self.placed.len().checked_sub(self.room) else { return false };
        let enters = self.placed.last().map_or(0, |p| p.enters);
        let moment = from.max(enters).max(self.leaves(left));
        self.emptied <= left
            && moment <= self.least(SEND_ENDS)
            && moment <= self.least(RECEIVE_ENDS)
            && self.placed[left..].iter().all(|p| moment <= p.left)
    }

    /// Where one message must enter and leave no later than another, and may begin to leave no
    /// later, any order that begins with the other stays one if the two change places. To stay
    /// one around an answer `full`, it may begin to enter no later either.
    fn drop_dominated(&self, candidates: &mut Vec<u32>) {
        let key = |i: u32| {
            let flow = &self.items[i as usize].flow;
            let begins = if self.fulls { flow.send.from } else { 0 };
            ([flow.send.to, flow.receive.from, flow.receive.to, begins], i)
        };
        let dominates = |a: u32, b: u32| {
            let (a, b) = (key(a), key(b));
            a.0.iter().zip(&b.0).all(|(a, b)| a <= b) && a < b
        };
        let all = candidates.clone();
        candidates.retain(|&b| !all.iter().any(|&a| dominates(a, b)));
    }

    /// Places the best of these; `false` if there is none.
    fn advance(&mut self, mut candidates: Vec<u32>) -> bool {
        let Some(chosen) = candidates.pop() else { return false };
        let (firsts, emptied) = (self.firsts, self.emptied);
        self.steps.push(Step { chosen, rest: candidates, firsts, emptied });
        self.place(chosen);
        true
    }

    fn place(&mut self, chosen: u32) {
        self.taken[chosen as usize] = true;
        let Item { kind, flow } = self.items[chosen as usize];
        match kind {
            Kind::Message => {
                let none = Placed { leaves: 0, enters: 0, left: 0 };
                let before = self.placed.last().copied().unwrap_or(none);
                self.placed.push(Placed {
                    leaves: before.leaves.max(flow.receive.from),
                    enters: before.enters.max(flow.send.from),
                    left: flow.receive.to,
                });
            }
            Kind::Empty => self.emptied = self.placed.len(),
            Kind::Full => {}
        }
        for (list, first) in self.lists.iter().zip(&mut self.firsts) {
            while list.get(*first).is_some_and(|e| self.taken[e.1 as usize]) {
                *first += 1;
            }
        }
    }

    /// Goes back to the last place where something else may come, and places that; `false` if
    /// there is none.
    fn back_up(&mut self) -> bool {
        loop {
            let start = self.start();
            self.failed.insert(start);
            let Some(mut step) = self.steps.pop() else { return false };
            self.taken[step.chosen as usize] = false;
            if self.items[step.chosen as usize].kind == Kind::Message {
                self.placed.pop();
            }
            self.firsts = step.firsts;
            self.emptied = step.emptied;
            if let Some(chosen) = step.rest.pop() {
                self.steps.push(Step { chosen, ..step });
                self.place(chosen);
                return true;
            }
        }
    }

    /// All that the rest depends on: what is placed, and a few numbers of the last messages.
    fn start(&self) -> Vec<u64> {
        let first = self.firsts[SEND_BEGINS];
        let mut start = vec![self.steps.len() as u64, first as u64];
        let mut seen = first;
        let beyond = self.lists[SEND_BEGINS][first..].iter().map(|e| self.taken[e.1 as usize]);
        for (i, taken) in beyond.enumerate() {
            // As many items are placed as there are places.
            if seen == self.steps.len() {
                break;
            }
            if taken {
                start.push(i as u64);
                seen += 1;
            }
        }
        start.push(u64::MAX);
        let recent = &self.placed[self.placed.len().saturating_sub(self.room)..];
        // What leaves before any send that is to come must have ended is no obstacle.
        let sends_end = self.least(SEND_ENDS);
        start.extend(recent.iter().map(|p| if p.leaves <= sends_end { 0 } else { p.leaves }));
        if self.fulls {
            start.extend(recent.iter().map(|p| p.left));
            start.push((self.placed.len() - self.emptied).min(self.room) as u64);
        }
        start
    }
}
