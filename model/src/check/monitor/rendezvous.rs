//! Links without a buffer: a message passes only while its sender and its receiver are both in
//! their calls.
//!
//! With unique messages each received one needs its two windows to overlap, and each send that
//! completed unreceived needs a pending receive of its own that overlaps it. Pairs do not disturb
//! each other, so nothing else is needed (Lowe, *Testing for synchronisation linearisation*).
//! Without a record of who slept, the refusal of a call that does not wait is always possible:
//! whoever was in a call may not have been seen there yet.

use super::windows::{Flow, Lane, Moment, Windows};
use super::{Finding, Violation};
use crate::check::pattern::Shape;
use crate::op::Mode;

pub(super) fn check(windows: &Windows<'_>, lane: &Lane) -> Finding {
    let mut orphans = Vec::new();
    for flow in &lane.flows {
        if !flow.received() {
            orphans.push(flow);
            continue;
        }
        let apart = flow.receive.to < flow.send.from || flow.send.to < flow.receive.from;
        if apart || !may_meet(windows, flow.sender, flow.receiver) {
            return Finding::broken(never_met(windows, flow, apart));
        }
    }
    match unmatched(windows, &orphans, &lane.hungry) {
        None => Finding::Legal,
        Some(orphan) => {
            let message = windows.message(orphan);
            let words = format!("the send of {message} completed, yet nobody can have received it");
            let proof = [orphan.sender];
            let rule = "rendezvous.send.waits";
            Finding::broken(Violation::new(Shape::NeverMet, rule, words, proof))
        }
    }
}

/// Two calls of which neither waits never meet.
fn may_meet(windows: &Windows<'_>, a: u32, b: u32) -> bool {
    let waits = |i| windows.operation(i).op.mode() != Mode::Nonblocking;
    waits(a) || waits(b)
}

fn never_met(windows: &Windows<'_>, flow: &Flow, apart: bool) -> Violation {
    let message = windows.message(flow);
    let words = if apart {
        format!("{message} passed, yet its send and its receive were never in progress together")
    } else {
        format!("{message} passed between two calls neither of which waits for the other")
    };
    let proof = [flow.sender, flow.receiver];
    Violation::new(Shape::NeverMet, "rendezvous.meets", words, proof)
}

/// A send that has no pending receive left to go with, if there is one. There are at most as many
/// pending receives as processes, so plain augmenting paths do.
fn unmatched<'f>(
    windows: &Windows<'_>,
    orphans: &[&'f Flow],
    hungry: &[Moment],
) -> Option<&'f Flow> {
    if orphans.len() > hungry.len() {
        return orphans.last().copied();
    }
    let fits = |o: usize, h: usize| {
        let (send, mouth) = (orphans[o].send, hungry[h].window);
        send.from < mouth.to
            && mouth.from < send.to
            && may_meet(windows, orphans[o].sender, hungry[h].operation)
    };
    let mut partner: Vec<Option<usize>> = vec![None; hungry.len()];
    (0..orphans.len())
        .find(|&o| !augment(o, &fits, &mut partner, &mut vec![false; hungry.len()]))
        .map(|o| orphans[o])
}

fn augment(
    orphan: usize,
    fits: &impl Fn(usize, usize) -> bool,
    partner: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    for mouth in 0..partner.len() {
        if tried[mouth] || !fits(orphan, mouth) {
            continue;
        }
        tried[mouth] = true;
        if partner[mouth].is_none_or(|other| augment(other, fits, partner, tried)) {
            partner[mouth] = Some(orphan);
            return true;
        }
    }
    false
}
