//! Bounded links, any number of senders and receivers.
//!
//! Where the order of the messages is forced, the decision is exact and fast ([`super::forced`],
//! [`super::lattice`]). Elsewhere no polynomial condition is known: fast tests that prove a
//! violation, fast tests that prove legality, and between them the search, with a budget.

use super::fifo;
use super::forced::{self, Forced};
use super::lattice::{self, Room, Walk};
use super::search::{self, Search};
use super::single::overfull;
use super::sorted::by_key;
use super::windows::{Flow, Lane, Moment, Windows};
use super::{Finding, Violation};
use crate::check::pattern::Shape;
use crate::op::{Mode, Op};
use crate::profile::{Order, Profile};

pub(super) fn check(
    profile: &Profile,
    windows: &Windows<'_>,
    lane: &Lane,
    room: Room,
    budget: usize,
) -> Finding {
    let fed = fifo::feed(&lane.flows, &lane.hungry);
    if let Some(violation) = crowded(windows, &fed, room) {
        return Finding::broken(violation);
    }
    if profile.order != Order::Fifo {
        return by_search(profile, windows, lane, room, budget);
    }
    if let Finding::Broken(violation) = fifo::check(profile, windows, lane) {
        return Finding::Broken(violation);
    }
    let ghosts: &[Moment] = if forced::ghosts_matter(&lane.fulls) { &lane.ghosts } else { &[] };
    let (order, forced) = forced::order(lane);
    let plain = lane.hungry.is_empty() && lane.fulls.is_empty() && lane.empties.is_empty();
    if plain {
        match forced::fits(&lane.flows, &order, room.most as usize) {
            Ok(()) => return Finding::Legal,
            Err(misfit) if forced != Forced::No => {
                let most = room.most as usize;
                let found = forced::misfit(windows, &lane.flows, &order, most, misfit);
                return Finding::broken(found);
            }
            Err(_) => {}
        }
    } else {
        match lattice::walk(lane, &order, ghosts, room, budget) {
            Walk::Arrives => return Finding::Legal,
            Walk::Ends(culprit) if is_exact(lane, forced, ghosts) => {
                return Finding::broken(no_order(windows, lane, culprit, room));
            }
            _ => {}
        }
    }
    if forced == Forced::No && guess(lane, ghosts, room, plain) {
        return Finding::Legal;
    }
    by_search(profile, windows, lane, room, budget)
}

/// Whether a walk along a forced order that fails proves a violation.
fn is_exact(lane: &Lane, forced: Forced, ghosts: &[Moment]) -> bool {
    match forced {
        Forced::No => false,
        Forced::BySends => match ghosts {
            [] => true,
            [ghost] => lane.flows.iter().all(|f| f.send.to < ghost.window.from),
            _ => false,
        },
        Forced::ByReceives => {
            let loose = lane.flows.iter().filter(|f| !f.received()).count() + ghosts.len();
            loose <= 1 || (lane.fulls.is_empty() && lane.hungry.is_empty())
        }
    }
}

/// More messages certainly inside at one moment than there is room for.
fn crowded(windows: &Windows<'_>, flows: &[Flow], room: Room) -> Option<Violation> {
    if flows.len() <= room.most as usize {
        return None;
    }
    let mut edges: Vec<(u64, bool)> = Vec::with_capacity(2 * flows.len());
    edges.extend(flows.iter().filter_map(|f| f.inner()).map(|w| (w.from, true)));
    let enters = edges.len();
    edges.extend(flows.iter().filter_map(|f| f.inner()).map(|w| (w.to, false)));
    by_key(&mut edges[..enters], |e| e.0);
    by_key(&mut edges[enters..], |e| e.0);
    let (enter, mut leave) = (&edges[..enters], edges[enters..].iter().peekable());
    let mut inside = 0;
    for &(now, _) in enter {
        while leave.next_if(|l| l.0 < now).is_some() {
            inside -= 1;
        }
        inside += 1;
        if inside > room.most as usize {
            let there = |f: &&Flow| f.inner().is_some_and(|w| w.from <= now && now < w.to);
            let mut crowd: Vec<&Flow> = flows.iter().filter(there).collect();
            crowd.sort_by_key(|f| f.send.to);
            return Some(overfull(windows, &crowd, room.most as usize));
        }
    }
    None
}

/// Tries a few likely orders.
fn guess(lane: &Lane, ghosts: &[Moment], room: Room, plain: bool) -> bool {
    type Key = fn(&Flow) -> u64;
    let likely: [Key; 6] = [
        |f| f.send.to / 2 + f.receive.from / 2,
        |f| f.send.to,
        |f| f.receive.from,
        |f| f.send.from / 2 + f.receive.to / 2,
        |f| f.receive.to,
        |f| f.send.from,
    ];
    likely.into_iter().any(|key| {
        let order = topological(&lane.flows, key);
        if plain {
            forced::fits(&lane.flows, &order, room.most as usize).is_ok()
        } else {
            lattice::walk(lane, &order, ghosts, room, 1 << 12) == Walk::Arrives
        }
    })
}

/// The messages in the order of `key`, except where one certainly entered or left before another:
/// of those that nothing has to precede, the least comes next.
fn topological(flows: &[Flow], key: fn(&Flow) -> u64) -> Vec<u32> {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;
    let sorted = |end: fn(&Flow) -> u64| {
        let mut all: Vec<(u64, u32)> =
            flows.iter().enumerate().map(|(i, f)| (end(f), i as u32)).collect();
        by_key(&mut all, |e| e.0);
        all
    };
    // A message may come next if no other waits whose send or receive ended before its began.
    let (send_ends, receive_ends) = (sorted(|f| f.send.to), sorted(|f| f.receive.to));
    let (send_begins, receive_begins) = (sorted(|f| f.send.from), sorted(|f| f.receive.from));
    let mut out = vec![false; flows.len()];
    let mut blocked = vec![2u8; flows.len()];
    let mut ready = BinaryHeap::new();
    let mut order = Vec::with_capacity(flows.len());
    let mut at = [0usize; 4];
    while order.len() < flows.len() {
        let sides = [(&send_ends, &send_begins), (&receive_ends, &receive_begins)];
        for (side, (ends, begins)) in sides.into_iter().enumerate() {
            let (end, begin) = (2 * side, 2 * side + 1);
            while at[end] < ends.len() && out[ends[at[end]].1 as usize] {
                at[end] += 1;
            }
            let limit = ends.get(at[end]).map_or(u64::MAX, |e| e.0);
            while at[begin] < begins.len() && begins[at[begin]].0 <= limit {
                let i = begins[at[begin]].1;
                at[begin] += 1;
                blocked[i as usize] -= 1;
                if blocked[i as usize] == 0 {
                    ready.push(Reverse((key(&flows[i as usize]), i)));
                }
            }
        }
        // Messages that overtake each other leave nothing ready; any order will fail then.
        let next = match ready.pop() {
            Some(Reverse((_, i))) => i,
            None => send_ends[at[0]].1,
        };
        if !std::mem::replace(&mut out[next as usize], true) {
            order.push(next);
        }
    }
    order
}

/// The search, as a finding.
pub(super) fn by_search(
    profile: &Profile,
    windows: &Windows<'_>,
    lane: &Lane,
    room: Room,
    budget: usize,
) -> Finding {
    match search::search(windows, lane, profile.order, room, budget) {
        Search::Explains => Finding::Legal,
        Search::Fails(culprit) => Finding::broken(no_order(windows, lane, culprit, room)),
        Search::GivesUp => Finding::Unsure("more states than the budget allows"),
    }
}

/// The operation that cannot have returned as it did, and what it was told.
fn no_order(windows: &Windows<'_>, lane: &Lane, culprit: u32, room: Room) -> Violation {
    let Some(operation) = windows.history.operations.get(culprit as usize) else {
        let words = "no order of the messages explains the calls".into();
        return Violation::new(Shape::NoOrder, "order.fifo", words, []);
    };
    let told = operation.ret.map(|(_, r)| r.to_string()).unwrap_or_default();
    let answered = |moments: &[Moment]| moments.iter().any(|m| m.operation == culprit);
    let timed = operation.op.mode() == Mode::Timed;
    let (shape, rule, why) = if answered(&lane.fulls) {
        let rule = if timed { "send_timeout.room.accepts" } else { "try_send.room.accepts" };
        (Shape::NotFull, rule, format!("fewer than {} can have been inside", room.full))
    } else if answered(&lane.empties) {
        let rule =
            if timed { "receive_timeout.message.takes" } else { "try_receive.message.takes" };
        (Shape::NotEmpty, rule, "some message must have been inside".into())
    } else if matches!(operation.op, Op::Send { .. }) {
        let rule = "send.full.blocks";
        (Shape::Overfull, rule, format!("{} must have been inside already", room.most))
    } else {
        let why = "no order of the messages explains it and what came before";
        (Shape::NoOrder, "order.fifo", why.into())
    };
    let words = format!("this {} returned {told}, though {why}", operation.op.name());
    Violation::new(shape, rule, words, [culprit])
}
