//! Bounded FIFO links where the order of the messages is forced, without answers `full` and
//! `empty`: conditions on prefixes of that order.
//!
//! Let the messages be numbered in their order, and the link hold k. The history is legal exactly
//! if, for every j, no send or receive before number j begins only after that of j has ended; no
//! message up to j begins to be sent after j was received; and number j - k begins to be received
//! before the send of j has ended. Each is a running maximum. The conditions are ours; the tests
//! hold them against all small histories.

use super::Violation;
use super::sorted::by_key;
use super::windows::{Flow, Lane, Moment, Windows};
use crate::check::pattern::Shape;

/// Why an order is the only one there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forced {
    /// No two sends overlap.
    BySends,
    /// No two receives overlap; what was never received comes last.
    ByReceives,
    /// Not at all: the order is one of several.
    No,
}

/// The order of the messages as their indices, and whether it is forced.
pub(super) fn order(lane: &Lane) -> (Vec<u32>, Forced) {
    let flows = &lane.flows;
    let mut order: Vec<u32> = (0..flows.len() as u32).collect();
    let at = |i: &u32| &flows[*i as usize];
    by_key(&mut order, |i| at(i).send.from);
    if order.windows(2).all(|p| at(&p[0]).send.to < at(&p[1]).send.from) {
        return (order, Forced::BySends);
    }
    // By receive, and what was never received, by the end of its send.
    by_key(&mut order, |i| at(i).send.to);
    order.sort_by_key(|i| at(i).receive.from);
    let received = order.partition_point(|i| at(i).received());
    let apart = order[..received].windows(2).all(|p| at(&p[0]).receive.to < at(&p[1]).receive.from);
    // A pending receive may have taken what seems never received, from the middle.
    let last = order[..received].last().map_or(0, |i| at(i).receive.to);
    let follow = lane.hungry.iter().all(|h| last < h.window.from);
    (order, if apart && follow { Forced::ByReceives } else { Forced::No })
}

/// Whether a link of this capacity passes the messages in this order.
pub(super) fn fits(flows: &[Flow], order: &[u32], capacity: usize) -> Result<(), Misfit> {
    let at = |place: usize| &flows[order[place] as usize];
    let (mut sends, mut receives, mut far) = ((0, 0), (0, 0), (0, 0));
    for place in 0..order.len() {
        let flow = at(place);
        if sends.0 > flow.send.to {
            return Err(Misfit { first: sends.1, second: order[place], room: false });
        }
        if receives.0 > flow.receive.to {
            return Err(Misfit { first: receives.1, second: order[place], room: false });
        }
        sends = sends.max((flow.send.from, order[place]));
        receives = receives.max((flow.receive.from, order[place]));
        if sends.0 > flow.receive.to {
            return Err(Misfit { first: sends.1, second: order[place], room: false });
        }
        if let Some(behind) = place.checked_sub(capacity) {
            far = far.max((at(behind).receive.from, order[behind]));
            if far.0 > flow.send.to {
                return Err(Misfit { first: far.1, second: order[place], room: true });
            }
        }
    }
    Ok(())
}

/// Two messages that do not fit the order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Misfit {
    first: u32,
    second: u32,
    /// It is room that lacks, not the order that is wrong.
    room: bool,
}

/// The misfit as a violation.
pub(super) fn misfit(
    windows: &Windows<'_>,
    flows: &[Flow],
    order: &[u32],
    capacity: usize,
    misfit: Misfit,
) -> Violation {
    let flow = |i: u32| &flows[i as usize];
    let (first, second) = (flow(misfit.first), flow(misfit.second));
    let (a, b) = (windows.message(first), windows.message(second));
    if !misfit.room {
        let words = format!("{a} and {b} entered in one order and left in the other");
        let proof = [first.sender, second.sender, first.receiver, second.receiver];
        return Violation::new(Shape::Overtaking, "order.fifo", words, proof);
    }
    let place = order.iter().position(|&i| i == misfit.first).expect("it is in the order");
    let until = order.iter().position(|&i| i == misfit.second).expect("it is in the order");
    // Everything between the two is ahead of the second, and none has left before the first.
    let inside: Vec<&Flow> = order[place..=until].iter().map(|&i| flow(i)).collect();
    let words = format!(
        "message {b} entered while {} were certainly inside, in room for {capacity}: {a} had not \
         begun to leave",
        until - place
    );
    let proof = inside.iter().flat_map(|f| [f.sender, f.receiver]);
    Violation::new(Shape::Overfull, "send.full.blocks", words, proof)
}

/// Whether a pending send may matter at all: only `full` is made possible by one that entered.
pub(super) fn ghosts_matter(fulls: &[Moment]) -> bool {
    !fulls.is_empty()
}
