//! Mailboxes that no faster monitor decides: just-in-time linearisation over what is inside and
//! which calls in progress have taken effect.
//!
//! Depth first, undone step by step instead of copied (Wing and Gong 1993; Lowe 2017; Porcupine),
//! so that a legal history takes no more memory than its calls. What failed is remembered. Since
//! every message is unique, it is known when each will be received, and that is used three times:
//!
//! * *Look-ahead.* On a first in, first out link, nothing is let in that begins to leave only after
//!   something not let in yet has left: it would be ahead of it.
//! * *Forced moves.* A message that may leave leaves as soon as its receiver has called: the queue
//!   is then shorter until it would have left anyway, and nothing but an answer `full` asks for a
//!   longer one.
//! * *Canonical states.* The i-th message inside leaves not before any ahead of it begins to be
//!   received, nor after any behind it has been. Two orders of the same messages that agree on
//!   these two times, place by place, are explained by the same futures, and are one state.

mod moves;

use std::collections::VecDeque;

use rustc_hash::FxHashSet;

use super::lattice::Room;
use super::sorted::by_key;
use super::windows::{Lane, Moment, NEVER, PENDING, Window, Windows};
use crate::op::Process;
use crate::profile::Order;

/// What came of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// An order explains everything.
    Explains,
    /// None does: this operation cannot return as it did.
    Fails(u32),
    /// Too many states.
    GivesUp,
}

/// So many words of states that failed are remembered for each state of the budget.
const WORDS: usize = 256;

/// What a call in progress is to do. Messages are numbered: flows first, then pending sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Put(u32),
    Take(u32),
    Eat,
    FindEmpty,
    FindFull,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Begins(Task),
    Ends(Task),
    Vanishes(Task),
}

#[derive(Clone, Copy)]
struct Event {
    key: u64,
    process: Process,
    operation: u32,
    kind: Kind,
}

/// What the search needs to know of a message.
#[derive(Clone, Copy)]
struct Item {
    /// When its send or its receive has ended; `None` if it may never have entered.
    enters_by: Option<u64>,
    receive: Window,
    class: u32,
}

/// What may come next.
#[derive(Clone, Copy)]
enum Step {
    /// The process's call takes effect, on the message at this place.
    Effect(u8, u32),
    /// The killed process's call never took effect.
    Pass,
}

/// How to go back.
#[derive(Clone, Copy)]
enum Undo {
    Begun(u8),
    Closed(u8, Task),
    Put(u32),
    Took(u32, u32),
}

/// A state with its choices.
struct Frame {
    at: At,
    undo: usize,
    /// What was not tried yet, the best last.
    rest: Vec<Step>,
}

/// The parts of a state that are small.
#[derive(Clone, Copy)]
struct At {
    /// The next event.
    event: usize,
    /// Whose call in progress has taken effect.
    done: u64,
    /// The call that is to vanish here must have taken effect.
    committed: bool,
    /// The first message, of those sorted by the end of their receive, that has not entered.
    first: usize,
    /// The same for those sorted by when they must have entered.
    next: usize,
}

struct Queue {
    order: Order,
    room: Room,
    items: Vec<Item>,
    events: Vec<Event>,
    /// Some pending receive may take what seems never received.
    mouths: bool,
    /// When the next answer `full` begins, event by event; empty if there is none.
    next_full: Vec<u64>,
    /// The next event that ends an answer `empty`, event by event; empty if there is none.
    next_empty: Vec<u32>,
    /// Messages by the end of their receive, where that tells who enters first.
    by_leaving: Vec<u32>,
    /// Messages by when they must have entered, where that tells when room is needed.
    by_entering: Vec<u32>,
    entered: Vec<bool>,
    /// The messages inside, oldest first.
    inside: VecDeque<u32>,
    open: [Option<Task>; 64],
    /// Who is in a call.
    calling: u64,
    at: At,
    undo: Vec<Undo>,
    frames: Vec<Frame>,
    failed: FxHashSet<Box<[u32]>>,
    /// How much was ever remembered there, and how much of it is forgotten.
    words: usize,
    forgotten: usize,
}

pub(super) fn search(
    windows: &Windows<'_>,
    lane: &Lane,
    order: Order,
    room: Room,
    budget: usize,
) -> Search {
    let mut queue = Queue::new(windows, lane, order, room);
    let limit = budget.saturating_mul(WORDS);
    let (mut farthest, mut since) = (0, 0);
    while queue.at.event < queue.events.len() {
        if queue.advance() {
            continue;
        }
        if queue.at.event > farthest {
            (farthest, since) = (queue.at.event, queue.words);
        }
        if !queue.back_up() {
            return Search::Fails(queue.events[farthest].operation);
        }
        // The budget is for one obstacle. What is remembered of those before may be forgotten.
        if queue.words - since > limit {
            return Search::GivesUp;
        }
        if queue.words - queue.forgotten > limit {
            queue.failed.clear();
            queue.forgotten = queue.words;
        }
    }
    Search::Explains
}

fn items(windows: &Windows<'_>, lane: &Lane, order: Order) -> Vec<Item> {
    let class = |operation: u32| {
        let message = windows.operation(operation).op.message().expect("it sends");
        match order {
            Order::PerSender => u32::from(message.sender.0),
            Order::Priority => message.priority,
            Order::Fifo | Order::Unordered => 0,
        }
    };
    let never = Window { from: NEVER, to: NEVER };
    let flows = lane.flows.iter().map(|f| Item {
        enters_by: Some(f.send.to.min(f.receive.to)),
        receive: f.receive,
        class: class(f.sender),
    });
    let ghosts = lane.ghosts.iter().map(|g| Item {
        enters_by: None,
        receive: never,
        class: class(g.operation),
    });
    flows.chain(ghosts).collect()
}

fn events(windows: &Windows<'_>, lane: &Lane) -> Vec<Event> {
    let mut events = Vec::new();
    let mut push = |operation: u32, window: Window, task: Task, required: bool| {
        let process = windows.operation(operation).process;
        let event = |key, kind| Event { key, process, operation, kind };
        events.push(event(window.from, Kind::Begins(task)));
        if window.to != PENDING {
            let kind = if required { Kind::Ends(task) } else { Kind::Vanishes(task) };
            events.push(event(window.to, kind));
        }
    };
    for (i, flow) in lane.flows.iter().enumerate() {
        push(flow.sender, flow.send, Task::Put(i as u32), true);
        if flow.received() {
            push(flow.receiver, flow.receive, Task::Take(i as u32), true);
        }
    }
    for (i, ghost) in lane.ghosts.iter().enumerate() {
        let item = (lane.flows.len() + i) as u32;
        push(ghost.operation, ghost.window, Task::Put(item), false);
    }
    let mut moments = |moments: &[Moment], task: Task, required: bool| {
        for moment in moments {
            push(moment.operation, moment.window, task, required);
        }
    };
    moments(&lane.hungry, Task::Eat, false);
    moments(&lane.empties, Task::FindEmpty, true);
    moments(&lane.fulls, Task::FindFull, true);
    by_key(&mut events, |e| e.key);
    events
}

impl Queue {
    fn new(windows: &Windows<'_>, lane: &Lane, order: Order, room: Room) -> Self {
        let (items, events) = (items(windows, lane, order), events(windows, lane));
        let mut next = u64::MAX;
        let begins_full = |e: &Event| matches!(e.kind, Kind::Begins(Task::FindFull));
        let mut next_full = Vec::new();
        if !lane.fulls.is_empty() {
            next_full.extend(events.iter().rev().map(|e| {
                next = if begins_full(e) { e.key } else { next };
                next
            }));
            next_full.reverse();
        }
        let mut by_leaving = Vec::new();
        if order == Order::Fifo {
            let received = |i: &u32| items[*i as usize].receive.from != NEVER;
            by_leaving.extend((0..items.len() as u32).filter(received));
            by_key(&mut by_leaving, |i| items[*i as usize].receive.to);
        }
        let mut by_entering = Vec::new();
        if order == Order::Fifo && lane.hungry.is_empty() && room.most != u32::MAX {
            by_entering.extend(0..lane.flows.len() as u32);
            by_key(&mut by_entering, |i| items[*i as usize].enters_by.unwrap_or(u64::MAX));
        }
        let mut next_empty = Vec::new();
        if !lane.empties.is_empty() {
            let mut next = u32::MAX;
            next_empty.extend((0..events.len()).rev().map(|i| {
                next = if events[i].kind == Kind::Ends(Task::FindEmpty) { i as u32 } else { next };
                next
            }));
            next_empty.reverse();
        }
        Self {
            order,
            room,
            entered: vec![false; items.len()],
            items,
            events,
            mouths: !lane.hungry.is_empty(),
            next_full,
            next_empty,
            by_leaving,
            by_entering,
            inside: VecDeque::new(),
            open: [None; 64],
            calling: 0,
            at: At { event: 0, done: 0, committed: false, first: 0, next: 0 },
            undo: Vec::new(),
            frames: Vec::new(),
            failed: FxHashSet::default(),
            words: 0,
            forgotten: 0,
        }
    }

    /// Passes an event, or takes a step towards it; `false` where there is none.
    fn advance(&mut self) -> bool {
        let Event { process, kind, .. } = self.events[self.at.event];
        let p = process.0 as u8;
        match kind {
            Kind::Begins(task) => {
                self.open(p, Some(task));
                self.record(Undo::Begun(p));
                self.at.event += 1;
                self.settle();
            }
            Kind::Ends(task) | Kind::Vanishes(task) if self.is_done(p) => self.close(p, task),
            Kind::Ends(_) | Kind::Vanishes(_) => {
                let may_pass = matches!(kind, Kind::Vanishes(_)) && !self.at.committed;
                return self.choose(p, may_pass);
            }
        }
        true
    }

    fn close(&mut self, p: u8, task: Task) {
        self.open(p, None);
        self.record(Undo::Closed(p, task));
        self.at.done &= !(1 << p);
        self.at.event += 1;
        self.at.committed = false;
    }

    fn open(&mut self, p: u8, task: Option<Task>) {
        self.open[usize::from(p)] = task;
        self.calling = self.calling & !(1 << p) | u64::from(task.is_some()) << p;
    }

    fn is_done(&self, p: u8) -> bool {
        self.at.done >> p & 1 == 1
    }

    /// Takes the best step that the state allows; `false` where there is none.
    fn choose(&mut self, goal: u8, may_pass: bool) -> bool {
        if !self.failed.is_empty() && self.failed.contains(&self.key()) {
            return false;
        }
        let mut steps = if self.is_ordered_only() {
            self.only_step(goal).into_iter().collect()
        } else {
            self.steps(goal)
        };
        if may_pass {
            steps.push(Step::Pass);
        }
        let Some(best) = steps.pop() else { return false };
        if !steps.is_empty() {
            self.frames.push(Frame { at: self.at, undo: self.undo.len(), rest: steps });
        }
        self.take_step(best);
        true
    }

    fn take_step(&mut self, step: Step) {
        match step {
            Step::Pass => {
                let Event { process, kind, .. } = self.events[self.at.event];
                let (Kind::Vanishes(task) | Kind::Ends(task) | Kind::Begins(task)) = kind;
                self.close(process.0 as u8, task);
            }
            Step::Effect(p, place) => {
                self.at.committed = true;
                self.effect(p, place);
                self.settle();
            }
        }
    }

    /// The process's call takes effect, on the message at `place` if it takes one.
    fn effect(&mut self, p: u8, place: u32) {
        self.at.done |= 1 << p;
        match self.open[usize::from(p)] {
            Some(Task::Put(item)) => {
                self.inside.insert(place as usize, item);
                self.entered[item as usize] = true;
                self.record(Undo::Put(place));
                let entered = |i: &u32| self.entered[*i as usize];
                while self.by_leaving.get(self.at.first).is_some_and(entered) {
                    self.at.first += 1;
                }
                while self.by_entering.get(self.at.next).is_some_and(entered) {
                    self.at.next += 1;
                }
            }
            Some(Task::Take(_) | Task::Eat) => {
                let item = self.inside.remove(place as usize).expect("it is inside");
                self.record(Undo::Took(place, item));
            }
            _ => {}
        }
    }

    fn record(&mut self, undo: Undo) {
        if !self.frames.is_empty() {
            self.undo.push(undo);
        }
    }

    /// Goes back to the last state with a choice left, and takes that; `false` if there is none.
    fn back_up(&mut self) -> bool {
        while let Some(frame) = self.frames.last_mut() {
            let (at, length, next) = (frame.at, frame.undo, frame.rest.pop());
            self.go_back(length);
            self.at = at;
            if let Some(step) = next {
                self.take_step(step);
                return true;
            }
            let key = self.key();
            // The place in the table counts too.
            self.words += key.len() + 8;
            self.failed.insert(key);
            self.frames.pop();
        }
        false
    }

    fn go_back(&mut self, length: usize) {
        while self.undo.len() > length {
            match self.undo.pop().expect("there is more") {
                Undo::Begun(p) => self.open(p, None),
                Undo::Closed(p, task) => self.open(p, Some(task)),
                Undo::Took(place, item) => self.inside.insert(place as usize, item),
                Undo::Put(place) => {
                    let item = self.inside.remove(place as usize).expect("it was put there");
                    self.entered[item as usize] = false;
                }
            }
        }
    }
}
