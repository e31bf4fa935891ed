//! What may come next in a state, what must, and which states are one.

use super::{At, Event, Item, Queue, Step, Task};
use crate::check::monitor::windows::NEVER;
use crate::profile::Order;

impl Queue {
    /// Calls in progress that have not taken effect.
    fn pending(&self) -> impl Iterator<Item = (u8, Task)> {
        let mut left = self.calling & !self.at.done;
        std::iter::from_fn(move || {
            let p = left.trailing_zeros() as u8;
            left &= left.wrapping_sub(1);
            self.open.get(usize::from(p)).map(|task| (p, task.expect("it is in a call")))
        })
    }

    /// Takes the forced moves: answers that this state allows have had their moment, and what may
    /// leave leaves.
    pub(super) fn settle(&mut self) {
        loop {
            let inside = self.inside.len();
            let (mut seen, mut leaves) = (0, None);
            for (p, task) in self.pending() {
                let sees = match task {
                    Task::FindEmpty => inside == 0,
                    Task::FindFull => inside >= self.room.full as usize,
                    Task::Take(item) if leaves.is_none() && self.is_free(item) => {
                        leaves = self.takable(item).map(|place| (p, place));
                        false
                    }
                    _ => false,
                };
                seen |= u64::from(sees) << p;
            }
            self.at.done |= seen;
            let Some((p, place)) = leaves else { return };
            self.effect(p, place);
        }
    }

    /// Whether no answer `full` can ask for this message to stay.
    fn is_free(&self, item: u32) -> bool {
        if self.next_full.is_empty() {
            return true;
        }
        let next = self.next_full.get(self.at.event).copied().unwrap_or(u64::MAX);
        next > self.items[item as usize].receive.to
            && self.pending().all(|(_, task)| task != Task::FindFull)
    }

    /// Whether nothing matters but which message enters before which.
    pub(super) fn is_ordered_only(&self) -> bool {
        let endless = self.room.most == u32::MAX && self.next_full.is_empty();
        self.order == Order::Fifo && endless && !self.mouths
    }

    /// What may come next where only the order matters: the message that must enter now, or else
    /// the one that must enter before it because it leaves first. Nothing else is let in, since a
    /// link that is empty sooner explains no less.
    pub(super) fn only_step(&self, goal: u8) -> Option<Step> {
        let (Task::Put(item) | Task::Take(item)) = self.open[usize::from(goal)]? else {
            return None;
        };
        let first = *self.by_leaving.get(self.at.first).unwrap_or(&item);
        let receive = |item: u32| self.items[item as usize].receive;
        let enters = if receive(item).from <= receive(first).to { item } else { first };
        let sends = |(p, task)| (task == Task::Put(enters)).then_some(p);
        let place = self.inside.len() as u32;
        self.pending().find_map(sends).map(|p| Step::Effect(p, place))
    }

    /// What may come next, the best last: what serves the call that is to return, then what leaves
    /// first.
    pub(super) fn steps(&self, goal: u8) -> Vec<Step> {
        let mut steps: Vec<(bool, u64, Step)> = Vec::new();
        let fifo = self.order == Order::Fifo;
        let fills = matches!(self.open[usize::from(goal)], Some(Task::Put(_) | Task::FindFull));
        for (p, task) in self.pending() {
            match task {
                Task::Put(item) if self.admits(item) => {
                    // Without any order, what is inside is a set: one sequence stands for it.
                    let place = match self.order {
                        Order::Unordered => self.inside.partition_point(|&i| i < item),
                        _ => self.inside.len(),
                    };
                    // What leaves first most likely enters first.
                    let receive = self.items[item as usize].receive;
                    let leaves = receive.from.midpoint(receive.to);
                    let first = if fifo { fills } else { p == goal };
                    steps.push((first, leaves, Step::Effect(p, place as u32)));
                }
                Task::Take(item) => {
                    let leaves = self.items[item as usize].receive.to;
                    let first = if fifo { !fills } else { p == goal };
                    let step = |place| (first, leaves, Step::Effect(p, place));
                    steps.extend(self.takable(item).map(step));
                }
                Task::Eat => {
                    let free =
                        |&(_, i): &(usize, &u32)| self.items[*i as usize].receive.from == NEVER;
                    let places =
                        self.inside.iter().enumerate().filter(free).map(|(place, _)| place);
                    let places = places.filter(|&place| self.leads(place));
                    let first = if fifo { !fills } else { p == goal };
                    steps.extend(places.map(|at| (first, NEVER, Step::Effect(p, at as u32))));
                }
                _ => {}
            }
        }
        steps.sort_by_key(|&(first, leaves, _)| (first, std::cmp::Reverse(leaves)));
        steps.into_iter().map(|(_, _, step)| step).collect()
    }

    /// Whether there is room, and nothing that this message would have to overtake.
    fn admits(&self, item: u32) -> bool {
        if self.inside.len() >= self.room.most as usize {
            return false;
        }
        let new = self.items[item as usize];
        let stays = |i: &Item| i.receive.from == NEVER && self.mouths;
        match self.order {
            Order::Fifo => {
                let first = self.by_leaving.get(self.at.first);
                let leaves = first.map_or(NEVER, |&i| self.items[i as usize].receive.to);
                (new.receive.from <= leaves || stays(&new))
                    && (self.mouths || new.receive.from <= self.next_emptied())
                    && self.leaves_room(item)
                    && !self.yields(item)
            }
            Order::PerSender => !self.inside.iter().any(|&old| {
                let old = self.items[old as usize];
                old.class == new.class && !stays(&old) && new.receive.to < old.receive.from
            }),
            Order::Priority | Order::Unordered => true,
        }
    }

    /// When the link must have been empty, at the latest, once more.
    fn next_emptied(&self) -> u64 {
        let (mut event, mut met) = (self.at.event, self.at.done);
        while let Some(&end) = self.next_empty.get(event).filter(|&&end| end != u32::MAX) {
            let Event { key, process, .. } = self.events[end as usize];
            let p = process.0 as usize;
            if met >> p & 1 == 0 || self.open[p] != Some(Task::FindEmpty) {
                return key;
            }
            // This one has had its moment; what the process calls later has not.
            met &= !(1 << p);
            event = end as usize + 1;
        }
        NEVER
    }

    /// Whether everything that is still to enter finds room in time if this message enters now:
    /// the one that must enter next but n needs all but as many to have left, and what is behind
    /// a message leaves no sooner than that.
    fn leaves_room(&self, item: u32) -> bool {
        if self.by_entering.is_empty() {
            return true;
        }
        let begins = |i: u32| self.items[i as usize].receive.from;
        let most = self.room.most as usize;
        let mut others = self.by_entering[self.at.next..].iter().copied();
        let mut others = others.by_ref().filter(|&i| i != item && !self.entered[i as usize]);
        let inside = self.inside.iter().copied().chain([item]);
        let free = most - self.inside.len() - 1;
        if free > 0 && others.nth(free - 1).is_none() {
            return true;
        }
        let mut left = 0;
        inside.zip(others).all(|(leaver, enters)| {
            left = left.max(begins(leaver));
            left <= self.items[enters as usize].enters_by.unwrap_or(NEVER)
        })
    }

    /// Whether another message that is being sent had better enter before this one: it must enter
    /// no later and may leave in its place, so that in whatever explains the history with this one
    /// first the two may change places.
    fn yields(&self, item: u32) -> bool {
        let Some(ends) = self.items[item as usize].enters_by else { return false };
        let better = |other: u32| {
            let earlier = self.items[other as usize].enters_by.is_some_and(|e| e <= ends);
            let alike = other > item && self.may_lead(item, other) && {
                self.items[other as usize].enters_by == Some(ends)
            };
            earlier && self.may_lead(other, item) && !alike
        };
        self.pending().any(|(_, task)| match task {
            Task::Put(other) => other != item && better(other),
            _ => false,
        })
    }

    /// Whether whatever explains one message behind another explains it ahead of it too, once both
    /// are inside.
    fn may_lead(&self, a: u32, b: u32) -> bool {
        let (a, b) = (self.items[a as usize].receive, self.items[b as usize].receive);
        // When a pending receive takes a message, nobody knows.
        let known = !self.mouths || (a.from != NEVER && b.from != NEVER);
        known && a.from <= b.from && a.to <= b.to
    }

    /// Where a message is that the link's order lets leave next.
    fn takable(&self, item: u32) -> Option<u32> {
        let place = match self.order {
            Order::Fifo => (self.inside.front() == Some(&item)).then_some(0),
            _ => self.inside.iter().position(|&i| i == item).filter(|&place| self.leads(place)),
        };
        place.map(|place| place as u32)
    }

    /// Whether the link's order lets the message at this place leave next.
    fn leads(&self, place: usize) -> bool {
        let class = |place: usize| self.items[self.inside[place] as usize].class;
        let mine = class(place);
        match self.order {
            Order::Fifo => place == 0,
            Order::Unordered => true,
            Order::PerSender => (0..place).all(|p| class(p) != mine),
            Order::Priority => {
                (0..place).all(|p| class(p) < mine)
                    && (place..self.inside.len()).all(|p| class(p) <= mine)
            }
        }
    }

    /// All that the rest depends on, the same for states that the same futures explain.
    pub(super) fn key(&self) -> Box<[u32]> {
        let At { event, done, committed, .. } = self.at;
        let mut key = Vec::with_capacity(4 + 3 * self.inside.len());
        key.extend([event as u32, done as u32, (done >> 32) as u32, u32::from(committed)]);
        let start = key.len();
        match self.order {
            Order::Fifo if self.mouths => {
                // Of what nobody received, each is as good as any other.
                let never = |i: u32| self.items[i as usize].receive.from == NEVER;
                key.extend(self.inside.iter().map(|&i| if never(i) { u32::MAX } else { i }));
            }
            Order::Fifo => {
                key.extend(&self.inside);
                key[start..].sort_unstable();
                let receive = |i: &u32| self.items[*i as usize].receive;
                if self.room.most != u32::MAX || !self.next_full.is_empty() {
                    let inside = self.inside.iter().copied();
                    let later =
                        |a: u32, b: u32| if receive(&b).from > receive(&a).from { b } else { a };
                    key.extend(running(inside, later));
                }
                if !self.next_full.is_empty() {
                    let inside = self.inside.iter().rev().copied();
                    let sooner =
                        |a: u32, b: u32| if receive(&b).to < receive(&a).to { b } else { a };
                    key.extend(running(inside, sooner));
                }
            }
            Order::PerSender | Order::Priority => {
                // What is of different classes passes by each other.
                key.extend(&self.inside);
                key[start..].sort_by_key(|&i| self.items[i as usize].class);
            }
            Order::Unordered => key.extend(&self.inside),
        }
        key.into()
    }
}

/// The best message so far, place by place.
fn running(
    inside: impl Iterator<Item = u32>,
    better: impl Fn(u32, u32) -> u32,
) -> impl Iterator<Item = u32> {
    inside.scan(None, move |best, item| {
        *best = Some(best.map_or(item, |best| better(best, item)));
        *best
    })
}
