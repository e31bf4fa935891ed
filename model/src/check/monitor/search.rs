//! Mailboxes that no faster monitor decides: just-in-time linearisation over what is inside and
//! which calls in progress have taken effect.
//!
//! The same walk as the search over the model ([`crate::check::frontier`]), on states of a few
//! words instead of whole system states, and it looks ahead: since every message is unique, it is
//! known when each will be received, so a message that would have to leave before one ahead of it
//! is not let in. Wing and Gong (1993), Lowe (2017).

use rustc_hash::{FxHashMap, FxHashSet};

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

/// What a call in progress is to do. Messages are numbered: flows first, then pending sends.
#[derive(Clone, Copy)]
enum Task {
    Put(u32),
    Take(u32),
    Eat,
    FindEmpty,
    FindFull,
}

#[derive(Clone, Copy)]
enum Kind {
    Begins(Task),
    Ends,
    Vanishes,
}

#[derive(Clone, Copy)]
struct Event {
    key: u64,
    process: Process,
    operation: u32,
    kind: Kind,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Inside {
    /// Whose call in progress has taken effect.
    done: u64,
    /// The messages inside, oldest first.
    queue: Vec<u32>,
}

/// What the search needs to know of a message.
#[derive(Clone, Copy)]
struct Item {
    /// When its send ends; `None` if that may never have entered.
    send_ends: Option<u64>,
    receive: Window,
    class: u32,
}

struct Queue {
    order: Order,
    room: Room,
    items: Vec<Item>,
    /// Some pending receive may take what seems never received.
    mouths: bool,
    open: Vec<Option<Task>>,
    states: FxHashSet<Inside>,
}

pub(super) fn search(
    windows: &Windows<'_>,
    lane: &Lane,
    order: Order,
    room: Room,
    budget: usize,
) -> Search {
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
        send_ends: Some(f.send.to),
        receive: f.receive,
        class: class(f.sender),
    });
    let ghosts = lane.ghosts.iter().map(|g| Item {
        send_ends: None,
        receive: never,
        class: class(g.operation),
    });
    let mut queue = Queue {
        order,
        room,
        items: flows.chain(ghosts).collect(),
        mouths: !lane.hungry.is_empty(),
        open: vec![None; 64],
        states: FxHashSet::from_iter([Inside { done: 0, queue: Vec::new() }]),
    };
    for event in events(windows, lane) {
        let process = event.process.0 as usize;
        match event.kind {
            Kind::Begins(task) => {
                queue.open[process] = Some(task);
                queue.look_all();
            }
            Kind::Ends | Kind::Vanishes => {
                let untouched = match event.kind {
                    Kind::Vanishes => Some(queue.states.clone()),
                    _ => None,
                };
                if queue.reach(process, budget).is_none() {
                    return Search::GivesUp;
                }
                if queue.states.is_empty() && untouched.is_none() {
                    return Search::Fails(event.operation);
                }
                queue.open[process] = None;
                let bit = 1u64 << process;
                let states = std::mem::take(&mut queue.states);
                let all = states.into_iter().chain(untouched.into_iter().flatten());
                queue.states = all.map(|s| Inside { done: s.done & !bit, ..s }).collect();
                queue.drop_dominated();
            }
        }
    }
    Search::Explains
}

fn events(windows: &Windows<'_>, lane: &Lane) -> Vec<Event> {
    let mut events = Vec::new();
    let mut push = |operation: u32, window: Window, task: Task, required: bool| {
        let process = windows.operation(operation).process;
        let event = |key, kind| Event { key, process, operation, kind };
        events.push(event(window.from, Kind::Begins(task)));
        if window.to != PENDING {
            events.push(event(window.to, if required { Kind::Ends } else { Kind::Vanishes }));
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
    fn look_all(&mut self) {
        let states = std::mem::take(&mut self.states);
        self.states = states
            .into_iter()
            .map(|mut state| {
                self.look(&mut state);
                state
            })
            .collect();
    }

    /// Every answer in progress that this state allows has had its moment.
    fn look(&self, state: &mut Inside) {
        let inside = state.queue.len();
        for (process, task) in self.open.iter().enumerate() {
            let seen = match task {
                Some(Task::FindEmpty) => inside == 0,
                Some(Task::FindFull) => inside >= self.room.full as usize,
                _ => false,
            };
            state.done |= u64::from(seen) << process;
        }
    }

    /// Goes on from every state, as little as it takes, until the process's call has taken effect.
    fn reach(&mut self, process: usize, budget: usize) -> Option<()> {
        let done = |s: &Inside| s.done >> process & 1 == 1;
        if self.states.iter().all(done) {
            return Some(());
        }
        let mut open: Vec<Inside> = self.states.drain().collect();
        let mut visited: FxHashSet<Inside> = open.iter().cloned().collect();
        let mut found = FxHashSet::default();
        while let Some(state) = open.pop() {
            if done(&state) {
                found.insert(state);
                continue;
            }
            self.steps(&state, |next| {
                if visited.insert(next.clone()) {
                    open.push(next);
                }
            });
            if visited.len() > budget {
                return None;
            }
        }
        self.states = found;
        Some(())
    }

    /// Of states that differ in the order of what is inside alone, drops those that lead nowhere
    /// where another does not lead: two messages may change places if the one that is then ahead
    /// begins and ends to be received no later than the other.
    fn drop_dominated(&mut self) {
        if self.order != Order::Fifo || self.states.len() < 2 {
            return;
        }
        let mut alike: FxHashMap<Inside, Vec<Inside>> = FxHashMap::default();
        for state in self.states.drain() {
            let mut key = state.clone();
            key.queue.sort_unstable();
            alike.entry(key).or_default().push(state);
        }
        for states in alike.into_values() {
            let mut kept: Vec<Inside> = Vec::new();
            for state in states {
                if !kept.iter().any(|k| self.dominates(k, &state)) {
                    kept.retain(|k| !self.dominates(&state, k));
                    kept.push(state);
                }
            }
            self.states.extend(kept);
        }
    }

    fn dominates(&self, better: &Inside, worse: &Inside) -> bool {
        // Both hold the same messages, most of them at the same places.
        let differs = |(i, item): (usize, &u32)| (worse.queue[i] != *item).then_some(i);
        let Some(first) = better.queue.iter().enumerate().find_map(differs) else { return true };
        let last = better.queue.iter().enumerate().rev().find_map(differs).unwrap_or(first);
        let (better, worse) = (&better.queue[first..=last], &worse.queue[first..=last]);
        let place = |item: u32| worse.iter().position(|&i| i == item);
        let places: Vec<_> = better.iter().map(|&item| (item, place(item))).collect();
        let may_follow = |(a, at), &(b, bt): &(u32, Option<usize>)| at < bt || self.may_lead(a, b);
        let leads = |i: usize| places[i + 1..].iter().all(|later| may_follow(places[i], later));
        (0..places.len()).all(leads)
    }

    /// Whether whatever explains one message behind another explains it ahead of it too, once both
    /// are inside.
    fn may_lead(&self, a: u32, b: u32) -> bool {
        let (a, b) = (self.items[a as usize].receive, self.items[b as usize].receive);
        // When a pending receive takes a message, nobody knows.
        let known = !self.mouths || (a.from != NEVER && b.from != NEVER);
        known && a.from <= b.from && a.to <= b.to
    }

    /// Whether another message that is being sent had better enter before this one: it must enter
    /// no later and may leave in its place, so that in whatever explains the history with this one
    /// first the two may change places.
    fn yields(&self, state: &Inside, item: u32) -> bool {
        let Some(ends) = self.items[item as usize].send_ends else { return false };
        let better = |other: u32| {
            let earlier = self.items[other as usize].send_ends.is_some_and(|e| e <= ends);
            let alike = other > item && self.may_lead(item, other) && {
                self.items[other as usize].send_ends == Some(ends)
            };
            earlier && self.may_lead(other, item) && !alike
        };
        self.open.iter().enumerate().any(|(process, task)| match task {
            Some(Task::Put(other)) => {
                *other != item && state.done >> process & 1 == 0 && better(*other)
            }
            _ => false,
        })
    }

    fn steps(&self, state: &Inside, mut visit: impl FnMut(Inside)) {
        let mut effect = |process: usize, change: &dyn Fn(&mut Vec<u32>)| {
            let mut next = state.clone();
            change(&mut next.queue);
            next.done |= 1 << process;
            self.look(&mut next);
            visit(next);
        };
        for (process, task) in self.open.iter().enumerate() {
            let Some(task) = task else { continue };
            if state.done >> process & 1 == 1 {
                continue;
            }
            match *task {
                Task::Put(item) if self.admits(state, item) => {
                    let last = state.queue.len();
                    // Without any order, what is inside is a set: one sequence stands for it.
                    let place = match self.order {
                        Order::Unordered => state.queue.partition_point(|&i| i < item),
                        _ => last,
                    };
                    effect(process, &|queue| queue.insert(place, item));
                }
                Task::Take(item) => {
                    let place = state.queue.iter().position(|&i| i == item);
                    if let Some(place) = place.filter(|&p| self.takable(state, p)) {
                        effect(process, &|queue| {
                            queue.remove(place);
                        });
                    }
                }
                Task::Eat => {
                    for (place, &item) in state.queue.iter().enumerate() {
                        let free = self.items[item as usize].receive.from == NEVER;
                        if free && self.takable(state, place) {
                            effect(process, &|queue| {
                                queue.remove(place);
                            });
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether there is room, and nothing ahead that this message would have to overtake.
    fn admits(&self, state: &Inside, item: u32) -> bool {
        let new = self.items[item as usize];
        let overtakes = |old: &Item| {
            let ordered = match self.order {
                Order::Fifo => true,
                Order::PerSender => old.class == new.class,
                Order::Priority | Order::Unordered => false,
            };
            let stays = old.receive.from == NEVER && self.mouths;
            ordered && !stays && new.receive.to < old.receive.from
        };
        state.queue.len() < self.room.most as usize
            && !(self.order == Order::Fifo && self.yields(state, item))
            && !state.queue.iter().any(|&old| overtakes(&self.items[old as usize]))
    }

    /// Whether the link's order lets the message at this place leave next.
    fn takable(&self, state: &Inside, place: usize) -> bool {
        let class = |place: usize| self.items[state.queue[place] as usize].class;
        let mine = class(place);
        match self.order {
            Order::Fifo => place == 0,
            Order::Unordered => true,
            Order::PerSender => (0..place).all(|p| class(p) != mine),
            Order::Priority => {
                (0..place).all(|p| class(p) < mine)
                    && (place..state.queue.len()).all(|p| class(p) <= mine)
            }
        }
    }
}
