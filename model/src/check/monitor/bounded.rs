//! Bounded links, any number of senders and receivers.
//!
//! Where the order of the messages is forced, the decision is exact and fast ([`super::forced`],
//! [`super::lattice`]). Elsewhere no polynomial condition is known: fast tests that prove a
//! violation, fast tests that prove legality, and between them the search, with a budget.

use super::fifo;
use super::forced::{self, Forced};
use super::lattice::{self, Room, Walk};
use super::orders::{self, Puzzle, Sought};
use super::search::{self, Search};
use super::single::overfull;
use super::sorted::by_key;
use super::windows::{Flow, Lane, Moment, PENDING, Windows};
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
    // Among answers the search finds its way sooner; without them, an order is found sooner.
    let search = || by_search(profile, windows, lane, room, budget);
    let answers = !lane.fulls.is_empty() || !lane.empties.is_empty();
    let searched = answers.then(search);
    let sought = match (&searched, forced) {
        (Some(Finding::Legal), _) => return Finding::Legal,
        // What the messages alone prove is told in their names.
        (Some(Finding::Broken(_)), Forced::No) => {
            seek(windows, lane, fed, room, budget.min(1 << 12))
                .filter(|named| matches!(named, Finding::Broken(_)))
        }
        (_, Forced::No) => seek(windows, lane, fed, room, budget),
        _ => None,
    };
    sought.or(searched).unwrap_or_else(search)
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

/// Looks for an order that explains everything; what it finds is a proof either way, or nothing.
fn seek(
    windows: &Windows<'_>,
    lane: &Lane,
    fed: Vec<Flow>,
    room: Room,
    budget: usize,
) -> Option<Finding> {
    let endless = lane.hungry.iter().all(|h| h.window.to == PENDING);
    let (empties, fulls) = (lane.empties.clone(), lane.fulls.clone());
    let puzzle = Puzzle { flows: fed, empties, fulls, room: room.most as usize };
    match orders::seek(&puzzle, budget) {
        Sought::Found(_) if endless => Some(Finding::Legal),
        Sought::Found(order) => {
            let walk = lattice::walk(lane, &order, &[], room, 1 << 12);
            (walk == Walk::Arrives).then_some(Finding::Legal)
        }
        // What a pending call may have done makes the failure no proof.
        _ if !lane.hungry.is_empty() || !(lane.fulls.is_empty() || lane.ghosts.is_empty()) => None,
        Sought::None => blame(windows, puzzle, budget),
        Sought::GaveUp(start) => {
            around(&puzzle, &start, budget).map(|some| Finding::broken(entangled(windows, some)))
        }
    }
}

/// What a puzzle without a solution is to be blamed on: its messages, or its answers `full`.
fn blame(windows: &Windows<'_>, mut puzzle: Puzzle, budget: usize) -> Option<Finding> {
    let mut fulls = std::mem::take(&mut puzzle.fulls);
    if fulls.is_empty() || orders::seek(&puzzle, budget) == Sought::None {
        return Some(Finding::broken(entangled(windows, puzzle)));
    }
    // With how many of the answers, in the order of time, it begins to have no solution.
    fulls.sort_by_key(|f| f.window.to);
    let (mut good, mut bad) = (0, fulls.len());
    while bad - good > 1 {
        let middle = good.midpoint(bad);
        puzzle.fulls = fulls[..middle].to_vec();
        match orders::seek(&puzzle, budget) {
            Sought::None => bad = middle,
            _ => good = middle,
        }
    }
    let culprit = fulls[bad - 1].operation;
    let operation = windows.operation(culprit);
    let timed = operation.op.mode() == Mode::Timed;
    let rule = if timed { "send_timeout.room.accepts" } else { "try_send.room.accepts" };
    let words = format!(
        "this {} found no room, though fewer than {} can have been inside",
        operation.op, puzzle.room
    );
    Some(Finding::broken(Violation::new(Shape::NotFull, rule, words, [culprit])))
}

/// Messages near the end of a start that leads nowhere, and that have no order by themselves:
/// leaving the others out would have kept a legal history legal.
fn around(puzzle: &Puzzle, start: &[u32], budget: usize) -> Option<Puzzle> {
    let flows = &puzzle.flows;
    let mut placed = vec![false; flows.len()];
    start.iter().for_each(|&i| placed[i as usize] = true);
    let mut ahead: Vec<u32> = (0..flows.len() as u32).filter(|&i| !placed[i as usize]).collect();
    by_key(&mut ahead, |&i| flows[i as usize].send.from);
    [2, 8, 32].into_iter().map(|n| n * (puzzle.room + 16)).find_map(|reach| {
        let some = start.iter().rev().take(reach).chain(ahead.iter().take(reach));
        let flows: Vec<Flow> = some.map(|&i| flows[i as usize]).collect();
        let first = flows.iter().map(|f| f.send.from).min()?;
        let last = flows.iter().map(|f| f.send.from).max()?;
        let near = |m: &&Moment| first <= m.window.to && m.window.from <= last;
        let empties = puzzle.empties.iter().filter(near).copied().collect();
        let part = Puzzle { flows, empties, fulls: Vec::new(), room: puzzle.room };
        (orders::seek(&part, budget) == Sought::None).then_some(part)
    })
}

/// The fewest messages and answers `empty` that still have no order.
fn entangled(windows: &Windows<'_>, mut puzzle: Puzzle) -> Violation {
    let stays = |puzzle: &Puzzle| orders::seek(puzzle, 1 << 12) == Sought::None;
    fewest(&mut puzzle, |p| &mut p.empties, stays);
    fewest(&mut puzzle, |p| &mut p.flows, stays);
    puzzle.flows.sort_by_key(|f| f.send.from);
    let names: Vec<String> = puzzle.flows.iter().map(|f| windows.message(f).to_string()).collect();
    let (names, room) = (names.join(", "), puzzle.room);
    let mut proof: Vec<u32> = puzzle.flows.iter().flat_map(|f| [f.sender, f.receiver]).collect();
    proof.extend(puzzle.empties.iter().map(|m| m.operation));
    let (shape, rule, words) = if puzzle.empties.is_empty() {
        let words =
            format!("{names} have no order in which a link with room for {room} passes them");
        (Shape::NoOrder, "send.full.blocks", words)
    } else {
        let words = format!("`empty` was answered where one of {names} must have been inside");
        (Shape::NotEmpty, "try_receive.message.takes", words)
    };
    Violation::new(shape, rule, words, proof)
}

/// Leaves out as much of a part as may be left out, many at a time first.
fn fewest<T: Clone>(
    puzzle: &mut Puzzle,
    part: fn(&mut Puzzle) -> &mut Vec<T>,
    stays: impl Fn(&Puzzle) -> bool,
) {
    let mut size = part(puzzle).len();
    while size > 0 {
        let mut from = 0;
        while from < part(puzzle).len() {
            let mut fewer = puzzle.clone();
            let to = (from + size).min(part(puzzle).len());
            part(&mut fewer).drain(from..to);
            if stays(&fewer) {
                *puzzle = fewer;
            } else {
                from += size;
            }
        }
        size /= 2;
    }
}

/// The search, as a finding.
pub(super) fn by_search(
    profile: &Profile,
    windows: &Windows<'_>,
    lane: &Lane,
    room: Room,
    budget: usize,
) -> Finding {
    // A receive that never returned need not have taken anything, and mostly has not: without it
    // the search looks farther ahead.
    if !lane.hungry.is_empty() {
        let without = Lane { hungry: Vec::new(), ..lane.clone() };
        if search::search(windows, &without, profile.order, room, budget) == Search::Explains {
            return Finding::Legal;
        }
    }
    match search::search(windows, lane, profile.order, room, budget) {
        Search::Explains => Finding::Legal,
        Search::Fails(culprit) => Finding::broken(no_order(windows, lane, culprit, room)),
        Search::GivesUp => Finding::Unsure("more states than the budget allows"),
    }
}

/// The operation that cannot have returned as it did, and what it was told.
fn no_order(windows: &Windows<'_>, lane: &Lane, culprit: u32, room: Room) -> Violation {
    let Some(operation) = windows.calls.find(culprit) else {
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
