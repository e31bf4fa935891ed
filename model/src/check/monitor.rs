//! Monitors: decisions in near-linear time for links whose messages are unique.
//!
//! [`monitor_for`] chooses by what the link claims. A monitor either decides exactly or says that
//! it does not know; it never ignores a call that it does not understand. What no monitor covers
//! (killed processes whose death is reported to the last peer, calls that were seen asleep, direct
//! addressing) is left to the search over the model.

mod bounded;
mod closing;
mod coverage;
mod fifo;
mod fired;
mod forced;
mod lattice;
mod names;
mod orders;
mod priority;
mod progress;
mod reading;
mod rendezvous;
mod search;
mod single;
mod sorted;
mod windows;

use crate::check::Budget;
use crate::check::pattern::{Pattern, Shape};
use crate::history::{Calls, History, Timing};
use crate::profile::{Capacity, Order, Profile};
pub(crate) use fired::fired;
use lattice::Room;
pub(super) use windows::Windows;
use windows::{Lane, NONE, Unreadable};

/// A proof that a history is not legal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The shape of the proof.
    pub shape: Shape,
    /// The rule that it breaks, or nothing where that takes the search to say.
    pub rule: &'static str,
    /// The proof in a sentence.
    pub words: String,
    /// The operations of the history that prove it, by their places in it.
    pub operations: Vec<u32>,
}

impl Violation {
    fn new(
        shape: Shape,
        rule: &'static str,
        words: String,
        operations: impl IntoIterator<Item = u32>,
    ) -> Self {
        let mut proof: Vec<u32> = Vec::new();
        for operation in operations {
            if operation != NONE && !proof.contains(&operation) {
                proof.push(operation);
            }
        }
        Self { shape, rule, words, operations: proof }
    }

    /// The violation for those who read it.
    pub fn pattern(&self, history: &History) -> Pattern {
        let operation = |i: &u32| history.operations[*i as usize];
        Pattern {
            shape: self.shape,
            words: self.words.clone(),
            operations: self.operations.iter().map(operation).collect(),
        }
    }
}

/// What a monitor has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Some order explains the history.
    Legal,
    /// None does.
    Broken(Box<Violation>),
    /// It does not know; this is why.
    Unsure(&'static str),
}

impl Finding {
    fn broken(violation: Violation) -> Self {
        Finding::Broken(Box::new(violation))
    }
}

/// The monitors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Monitor {
    /// Unbounded, first in, first out for all, for each sender, or in no order.
    Fifo,
    /// Unbounded, by priority.
    Priority,
    /// Room for one, first in, first out.
    Single,
    /// Bounded.
    Bounded,
    /// No room: sender and receiver meet.
    Rendezvous,
    /// The search over what is inside: a link that does not state its capacity and answered
    /// `full`.
    Search,
}

/// The monitor for a link of this profile. `full` says whether any of its calls were answered
/// `full`.
pub fn monitor_for(profile: &Profile, full: bool) -> Monitor {
    match (profile.capacity, profile.order) {
        (Capacity::Zero, _) => Monitor::Rendezvous,
        (Capacity::Bounded(1), Order::Fifo) if !full => Monitor::Single,
        (Capacity::Bounded(_), _) => Monitor::Bounded,
        (Capacity::AtLeast(_), _) if full => Monitor::Search,
        (_, Order::Priority) => Monitor::Priority,
        _ => Monitor::Fifo,
    }
}

/// Decides a history by its monitors alone, link by link: with every timed call held to the strong
/// reading of its `timeout` (at the deadline or after it, the link could not serve the call).
pub fn monitor(profile: &Profile, history: &History, budget: Budget) -> Finding {
    decide(profile, history.into(), Timing::Strong, budget)
}

/// Decides by the search over what is inside alone, whatever faster monitor there is: what
/// monitors are measured against. Links without a buffer have no such search.
pub fn search_inside(profile: &Profile, history: &History, budget: Budget) -> Finding {
    let windows = match windows(profile, history.into(), Timing::Strong) {
        Ok(windows) => windows,
        Err(finding) => return finding,
    };
    if profile.capacity == Capacity::Zero {
        return Finding::Unsure("nothing is ever inside");
    }
    let search = |lane| bounded::by_search(profile, &windows, lane, room(profile), budget.states);
    let decided = windows.lanes.iter().map(search).find(|found| *found != Finding::Legal);
    decided.unwrap_or(Finding::Legal)
}

/// Why broadcasts and state cells are left to the search over the model.
const NO_QUEUE: &str = "monitors know queues only";

pub(super) fn decide(
    profile: &Profile,
    calls: Calls<'_>,
    timing: Timing,
    budget: Budget,
) -> Finding {
    let windows = match windows(profile, calls, timing) {
        Ok(windows) => windows,
        Err(finding) => return finding,
    };
    let links = 0..windows.lanes.len();
    let mut unsure = None;
    for found in links.map(|link| decide_link(profile, &windows, link, budget)) {
        match found {
            Finding::Legal => {}
            Finding::Broken(violation) => return Finding::Broken(violation),
            Finding::Unsure(why) => unsure = Some(why),
        }
    }
    unsure.map_or(Finding::Legal, Finding::Unsure)
}

/// The history taken apart, or what is known without.
pub(super) fn windows<'h>(
    profile: &Profile,
    calls: Calls<'h>,
    timing: Timing,
) -> Result<Windows<'h>, Finding> {
    if !profile.distribution.is_queue() {
        return Err(Finding::Unsure(NO_QUEUE));
    }
    Windows::read(profile, calls, timing).map_err(|unreadable| match unreadable {
        Unreadable::Outside(why) => Finding::Unsure(why),
        Unreadable::Broken(violation) => Finding::Broken(violation),
    })
}

/// Decides one link, progress included.
pub(super) fn decide_link(
    profile: &Profile,
    windows: &Windows<'_>,
    link: usize,
    budget: Budget,
) -> Finding {
    let lane = &windows.lanes[link];
    match decide_lane(profile, windows, lane, budget.states) {
        Finding::Legal if windows.calls.quiescent => progress::check(profile, windows, lane),
        found => found,
    }
}

fn room(profile: &Profile) -> Room {
    match profile.capacity {
        Capacity::Bounded(n) => Room { most: n, full: n },
        Capacity::AtLeast(n) => Room { most: u32::MAX, full: n },
        Capacity::Zero | Capacity::Unbounded => Room { most: u32::MAX, full: u32::MAX },
    }
}

fn decide_lane(profile: &Profile, windows: &Windows<'_>, lane: &Lane, budget: usize) -> Finding {
    let room = room(profile);
    let found = match monitor_for(profile, !lane.fulls.is_empty()) {
        Monitor::Fifo => fifo::check(profile, windows, lane),
        Monitor::Priority => priority::check(windows, lane),
        Monitor::Single => single::check(windows, lane),
        Monitor::Bounded => return bounded::check(profile, windows, lane, room, budget),
        Monitor::Rendezvous => return rendezvous::check(windows, lane),
        Monitor::Search => Finding::Unsure("`full` on a link that does not state its capacity"),
    };
    match found {
        Finding::Unsure(_) => bounded::by_search(profile, windows, lane, room, budget),
        decided => decided,
    }
}
