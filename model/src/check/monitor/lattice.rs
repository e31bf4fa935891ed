//! Bounded FIFO links along one order of the messages: just-in-time linearisation where only the
//! number of messages sent and the number taken are left to choose.
//!
//! With the order given, a state of the link is two numbers, and a history is a staircase through
//! their lattice. So answers `full` and `empty`, and calls that never returned, cost little more
//! than nothing: a handful of states at a time. Along a forced order the walk is exact; along any
//! other, reaching the end proves the history legal and failing proves nothing. Just-in-time
//! linearisation is Lowe's (*Testing for linearizability*, 2017); the restriction is ours.

use rustc_hash::FxHashSet;

use super::sorted::by_key;
use super::windows::{Flow, Lane, Moment, NONE, PENDING};

/// How much the link holds, and when it may say that it is full.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// No more than this many messages are inside.
    pub(super) most: u32,
    /// `full` needs at least this many inside.
    pub(super) full: u32,
}

/// What came of one walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    /// A staircase explains everything.
    Arrives,
    /// None does: this operation cannot return as it did.
    Ends(u32),
    /// Too many staircases.
    GivesUp,
}

#[derive(Clone, Copy)]
enum Kind {
    SendBegins(u32),
    TakeBegins(u32),
    MouthOpens(u32),
    AnswerBegins(u32),
    SendEnds(u32),
    TakeEnds(u32),
    MouthShuts(u32),
    GhostVanishes(u32),
    AnswerEnds(u32),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    sent: u32,
    taken: u32,
    /// Which pending receives have taken a message.
    ate: u64,
    /// Which of the answers in progress have had their moment.
    seen: u64,
}

struct Lattice<'a> {
    lane: &'a Lane,
    room: Room,
    /// The messages in their order; `None` for a pending send that nobody received.
    receivers: Vec<bool>,
    sends: Vec<bool>,
    takes: Vec<bool>,
    mouths: u64,
    /// Answers in progress, by slot: all, those of `empty`, those of `full`.
    slots: u64,
    empties: u64,
    fulls: u64,
    places: Vec<Place>,
    visited: FxHashSet<Place>,
}

/// Walks along `order`, the indices of flows, with the pending sends in `ghosts` behind them.
pub(super) fn walk(
    lane: &Lane,
    order: &[u32],
    ghosts: &[Moment],
    room: Room,
    budget: usize,
) -> Walk {
    if lane.hungry.len() > 64 {
        return Walk::GivesUp;
    }
    let flow = |&i: &u32| &lane.flows[i as usize];
    let total = order.len() + ghosts.len();
    let mut lattice = Lattice {
        lane,
        room,
        receivers: order
            .iter()
            .map(|i| flow(i).received())
            .chain(ghosts.iter().map(|_| false))
            .collect(),
        sends: vec![false; total],
        takes: vec![false; total],
        mouths: 0,
        slots: 0,
        empties: 0,
        fulls: 0,
        places: vec![Place { sent: 0, taken: 0, ate: 0, seen: 0 }],
        visited: FxHashSet::default(),
    };
    let answers: Vec<Moment> = lane.empties.iter().chain(&lane.fulls).copied().collect();
    let mut slot_of = vec![0u8; answers.len()];
    for (_, kind) in events(lane, order.iter().map(flow), ghosts, &answers) {
        let ended = lattice.step(kind, &answers, &mut slot_of, budget);
        match ended {
            Some(true) => {}
            Some(false) => return Walk::Ends(culprit(kind, lane, order, &answers)),
            None => return Walk::GivesUp,
        }
    }
    Walk::Arrives
}

fn culprit(kind: Kind, lane: &Lane, order: &[u32], answers: &[Moment]) -> u32 {
    let flow = |place: u32| &lane.flows[order[place as usize] as usize];
    match kind {
        Kind::SendEnds(place) => flow(place).sender,
        Kind::TakeEnds(place) => flow(place).receiver,
        Kind::AnswerEnds(answer) => answers[answer as usize].operation,
        _ => NONE,
    }
}

fn events<'f>(
    lane: &Lane,
    flows: impl Iterator<Item = &'f Flow>,
    ghosts: &[Moment],
    answers: &[Moment],
) -> Vec<(u64, Kind)> {
    let mut sends = Vec::new();
    let mut takes = Vec::new();
    let mut place = 0;
    for flow in flows {
        sends.push((flow.send.from, Kind::SendBegins(place)));
        if flow.send.to != PENDING {
            sends.push((flow.send.to, Kind::SendEnds(place)));
        }
        if flow.received() {
            takes.push((flow.receive.from, Kind::TakeBegins(place)));
            takes.push((flow.receive.to, Kind::TakeEnds(place)));
        }
        place += 1;
    }
    for ghost in ghosts {
        sends.push((ghost.window.from, Kind::SendBegins(place)));
        if ghost.window.to != PENDING {
            sends.push((ghost.window.to, Kind::GhostVanishes(place)));
        }
        place += 1;
    }
    let mut others = Vec::new();
    for (i, answer) in answers.iter().enumerate() {
        others.push((answer.window.from, Kind::AnswerBegins(i as u32)));
        others.push((answer.window.to, Kind::AnswerEnds(i as u32)));
    }
    for (i, mouth) in lane.hungry.iter().enumerate() {
        others.push((mouth.window.from, Kind::MouthOpens(i as u32)));
        if mouth.window.to != PENDING {
            others.push((mouth.window.to, Kind::MouthShuts(i as u32)));
        }
    }
    let mut events = merge(sends, takes);
    if !others.is_empty() {
        events = merge(events, others);
    }
    events
}

/// Each part is nearly sorted; their concatenation would not be.
fn merge(mut a: Vec<(u64, Kind)>, mut b: Vec<(u64, Kind)>) -> Vec<(u64, Kind)> {
    by_key(&mut a, |e| e.0);
    by_key(&mut b, |e| e.0);
    let mut merged = Vec::with_capacity(a.len() + b.len());
    let mut rest = b.into_iter().peekable();
    for event in a {
        while let Some(earlier) = rest.next_if(|e| e.0 < event.0) {
            merged.push(earlier);
        }
        merged.push(event);
    }
    merged.extend(rest);
    merged
}

impl Lattice<'_> {
    /// Takes one event in: `Some(false)` if no place is left, `None` over budget.
    fn step(
        &mut self,
        kind: Kind,
        answers: &[Moment],
        slot_of: &mut [u8],
        budget: usize,
    ) -> Option<bool> {
        match kind {
            Kind::SendBegins(place) => self.sends[place as usize] = true,
            Kind::GhostVanishes(place) => {
                // Whether it entered in time is decided here, as at a kill.
                let before = self.places.clone();
                self.reach(|p| p.sent > place, budget)?;
                let entered = std::mem::replace(&mut self.places, before);
                self.unite(entered);
                self.sends[place as usize] = false;
            }
            Kind::TakeBegins(place) => self.takes[place as usize] = true,
            Kind::MouthOpens(mouth) => self.mouths |= 1 << mouth,
            Kind::MouthShuts(mouth) => {
                let before = self.places.clone();
                self.reach(|p| p.ate >> mouth & 1 == 1, budget)?;
                let fed = std::mem::replace(&mut self.places, before);
                self.unite(fed);
                self.mouths &= !(1 << mouth);
            }
            Kind::AnswerBegins(answer) => {
                let slot = (!self.slots).trailing_zeros();
                if slot >= 64 {
                    return None;
                }
                slot_of[answer as usize] = slot as u8;
                self.slots |= 1 << slot;
                if (answer as usize) < self.lane.empties.len() {
                    self.empties |= 1 << slot;
                } else {
                    self.fulls |= 1 << slot;
                }
                let mut places = std::mem::take(&mut self.places);
                places.iter_mut().for_each(|p| self.look(p));
                self.places = places;
            }
            Kind::AnswerEnds(answer) => {
                let bit = 1u64 << slot_of[answer as usize];
                debug_assert!(answers.len() > answer as usize);
                self.reach(|p| p.seen & bit != 0, budget)?;
                self.slots &= !bit;
                self.empties &= !bit;
                self.fulls &= !bit;
                self.places.iter_mut().for_each(|p| p.seen &= !bit);
                if self.places.len() > 1 {
                    self.unite(Vec::new());
                }
            }
            Kind::SendEnds(place) => self.reach(|p| p.sent > place, budget)?,
            Kind::TakeEnds(place) => self.reach(|p| p.taken > place, budget)?,
        }
        Some(!self.places.is_empty())
    }

    /// Goes on from every place, as little as it takes, until `goal` holds.
    fn reach(&mut self, goal: impl Fn(&Place) -> bool, budget: usize) -> Option<()> {
        if self.places.iter().all(&goal) {
            return Some(());
        }
        self.visited.clear();
        let mut open = std::mem::take(&mut self.places);
        self.visited.extend(&open);
        while let Some(place) = open.pop() {
            if goal(&place) {
                self.places.push(place);
                continue;
            }
            for next in [self.send(place), self.take(place)].into_iter().flatten() {
                if self.visited.insert(next) {
                    open.push(next);
                }
            }
            if self.visited.len() > budget {
                return None;
            }
        }
        Some(())
    }

    fn send(&self, mut place: Place) -> Option<Place> {
        let next = place.sent as usize;
        let may = next < self.sends.len()
            && self.sends[next]
            && place.sent - place.taken < self.room.most;
        may.then(|| {
            place.sent += 1;
            self.look(&mut place);
            place
        })
    }

    fn take(&self, mut place: Place) -> Option<Place> {
        if place.taken == place.sent {
            return None;
        }
        let next = place.taken as usize;
        if self.receivers[next] {
            if !self.takes[next] {
                return None;
            }
        } else {
            // Of the pending receives that are still there, the one that is killed first.
            let open = (0..self.lane.hungry.len())
                .filter(|&m| (self.mouths & !place.ate) >> m & 1 == 1)
                .min_by_key(|&m| self.lane.hungry[m].window.to)?;
            place.ate |= 1 << open;
        }
        place.taken += 1;
        self.look(&mut place);
        Some(place)
    }

    /// Every answer in progress that this place allows has had its moment.
    fn look(&self, place: &mut Place) {
        let inside = place.sent - place.taken;
        if inside == 0 {
            place.seen |= self.empties;
        }
        if inside >= self.room.full {
            place.seen |= self.fulls;
        }
    }

    fn unite(&mut self, others: Vec<Place>) {
        self.visited.clear();
        let mut places = std::mem::take(&mut self.places);
        places.extend(others);
        places.retain(|p| self.visited.insert(*p));
        self.places = places;
    }
}
