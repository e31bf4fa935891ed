//! Looks for an order of the messages on a bounded FIFO link, any number of senders and receivers.
//!
//! A history without answers `full` and `empty` is legal exactly if its messages have an order in
//! which, for i before j: i's send does not begin after j's has ended, nor i's receive after j's;
//! no send begins after its own or a later message was received; and each message begins to be
//! received before the send of the one that comes a whole capacity later has ended. The order is
//! built from its start. What may come next depends only on which messages are placed and on when
//! the last few begin to leave, so a start that failed is remembered and not tried twice. The
//! condition is ours; the tests hold it against all small histories.

use rustc_hash::FxHashSet;

use super::sorted::by_key;
use super::windows::Flow;

/// What came of looking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    /// Such an order.
    Found(Vec<u32>),
    /// There is none.
    None,
    /// The longest start that was found before too many had failed.
    GaveUp(Vec<u32>),
}

/// What to prefer where several messages may come next.
pub(super) type Taste = fn(&Flow) -> u64;

/// Between the end of the send and the beginning of the receive.
pub(super) fn by_inner(flow: &Flow) -> u64 {
    flow.send.to / 2 + flow.receive.from / 2
}

/// The one that must be received first.
pub(super) fn by_deadline(flow: &Flow) -> u64 {
    flow.receive.to
}

/// One place of the order.
struct Step {
    chosen: u32,
    /// What else may come here, the best last.
    rest: Vec<u32>,
    /// The first messages not placed, in the order of each list, before this step.
    firsts: [usize; 3],
}

struct Orders<'f> {
    flows: &'f [Flow],
    capacity: usize,
    /// All messages by when the send begins, when it ends, and when the receive ends.
    lists: [Vec<(u64, u32)>; 3],
    firsts: [usize; 3],
    placed: Vec<bool>,
    steps: Vec<Step>,
    /// For each place, when the last of the messages up to it begins to be received.
    leaves: Vec<u64>,
    failed: FxHashSet<Vec<u64>>,
}

const SEND_BEGINS: usize = 0;
const SEND_ENDS: usize = 1;
const RECEIVE_ENDS: usize = 2;

/// Looks for an order, remembering at most `budget` starts that failed.
pub(super) fn seek(flows: &[Flow], capacity: usize, taste: Taste, budget: usize) -> Sought {
    let list = |end: fn(&Flow) -> u64| {
        let mut list: Vec<(u64, u32)> = (0u32..).zip(flows).map(|(i, f)| (end(f), i)).collect();
        by_key(&mut list, |e| e.0);
        list
    };
    let mut orders = Orders {
        flows,
        capacity,
        lists: [list(|f| f.send.from), list(|f| f.send.to), list(|f| f.receive.to)],
        firsts: [0; 3],
        placed: vec![false; flows.len()],
        steps: Vec::with_capacity(flows.len()),
        leaves: Vec::with_capacity(flows.len()),
        failed: FxHashSet::default(),
    };
    let mut longest = Vec::new();
    while orders.steps.len() < flows.len() {
        let next = if orders.failed.is_empty() || !orders.failed.contains(&orders.start()) {
            orders.candidates(taste)
        } else {
            Vec::new()
        };
        if orders.advance(next) {
            continue;
        }
        if orders.steps.len() > longest.len() {
            longest = orders.order();
        }
        if !orders.back_up() {
            return Sought::None;
        }
        if orders.failed.len() > budget {
            return Sought::GaveUp(longest);
        }
    }
    Sought::Found(orders.order())
}

impl Orders<'_> {
    fn order(&self) -> Vec<u32> {
        self.steps.iter().map(|s| s.chosen).collect()
    }

    /// The least key of a list that belongs to a message not placed yet.
    fn least(&self, list: usize) -> u64 {
        self.lists[list].get(self.firsts[list]).map_or(u64::MAX, |e| e.0)
    }

    /// What may come next, the best last.
    fn candidates(&self, taste: Taste) -> Vec<u32> {
        let place = self.steps.len();
        let sends_end = self.least(SEND_ENDS);
        let receives_end = self.least(RECEIVE_ENDS);
        let room = place.checked_sub(self.capacity).is_none_or(|far| self.leaves[far] <= sends_end);
        if !room {
            return Vec::new();
        }
        let limit = sends_end.min(receives_end);
        let mut candidates: Vec<u32> = self.lists[SEND_BEGINS][self.firsts[SEND_BEGINS]..]
            .iter()
            .take_while(|e| e.0 <= limit)
            .map(|e| e.1)
            .filter(|&i| !self.placed[i as usize])
            .filter(|&i| {
                // A message does not have to wait for its own receive to end.
                let flow = &self.flows[i as usize];
                flow.receive.from <= receives_end || flow.receive.to == receives_end
            })
            .collect();
        if candidates.len() > 1 {
            self.drop_dominated(&mut candidates);
            candidates.sort_by_key(|&i| std::cmp::Reverse(taste(&self.flows[i as usize])));
        }
        candidates
    }

    /// Where one message must enter and leave no later than another, and may begin to leave no
    /// later, any order that begins with the other stays one if the two change places.
    fn drop_dominated(&self, candidates: &mut Vec<u32>) {
        let key = |i: u32| {
            let flow = &self.flows[i as usize];
            (flow.send.to, flow.receive.from, flow.receive.to, i)
        };
        let dominates = |a: u32, b: u32| {
            let (a, b) = (key(a), key(b));
            let no_later = a.0 <= b.0 && a.1 <= b.1 && a.2 <= b.2;
            no_later && ((a.0, a.1, a.2) != (b.0, b.1, b.2) || a.3 < b.3)
        };
        let all = candidates.clone();
        candidates.retain(|&b| !all.iter().any(|&a| dominates(a, b)));
    }

    /// Places the best of these; `false` if there is none.
    fn advance(&mut self, mut candidates: Vec<u32>) -> bool {
        let Some(chosen) = candidates.pop() else { return false };
        self.steps.push(Step { chosen, rest: candidates, firsts: self.firsts });
        self.place(chosen);
        true
    }

    fn place(&mut self, chosen: u32) {
        self.placed[chosen as usize] = true;
        let leaves = self.flows[chosen as usize].receive.from;
        self.leaves.push(leaves.max(self.leaves.last().copied().unwrap_or(0)));
        for (list, first) in self.lists.iter().zip(&mut self.firsts) {
            while list.get(*first).is_some_and(|e| self.placed[e.1 as usize]) {
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
            self.placed[step.chosen as usize] = false;
            self.leaves.pop();
            self.firsts = step.firsts;
            if let Some(chosen) = step.rest.pop() {
                self.steps.push(Step { chosen, ..step });
                self.place(chosen);
                return true;
            }
        }
    }

    /// All that the rest depends on: which messages are placed, and when the last of them leave.
    fn start(&self) -> Vec<u64> {
        let first = self.firsts[SEND_BEGINS];
        let mut start = vec![self.steps.len() as u64, first as u64];
        let mut seen = first;
        let beyond = self.lists[SEND_BEGINS][first..].iter().map(|e| self.placed[e.1 as usize]);
        for (i, placed) in beyond.enumerate() {
            // As many messages are placed as there are places.
            if seen == self.steps.len() {
                break;
            }
            if placed {
                start.push(i as u64);
                seen += 1;
            }
        }
        start.push(u64::MAX);
        let sends_end = self.least(SEND_ENDS);
        let recent = self.leaves.len().saturating_sub(self.capacity);
        // What leaves before any send that is to come must have ended is no obstacle.
        let ahead = self.leaves[recent..].iter().map(|&l| if l <= sends_end { 0 } else { l });
        start.extend(ahead);
        start
    }
}
