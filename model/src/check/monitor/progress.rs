//! Progress at quiescence, by counting: nothing moves any more, so a pending receive is legal only
//! while nothing is inside, a pending send only while the link is full, and on a link without a
//! buffer the two never wait side by side (`docs/checking.md`).
//!
//! The calls that were watched are taken not to have had an effect: one that had may not stay
//! blocked. What is inside is then a plain count, except for calls of killed processes.

use super::windows::{Lane, Windows};
use super::{Finding, Violation};
use crate::check::pattern::Shape;
use crate::op::{Mode, Op};
use crate::profile::{Capacity, Profile};

pub(super) fn check(profile: &Profile, windows: &Windows<'_>, lane: &Lane) -> Finding {
    // A timed call of unknown deadline may wait for as long as a blocking one.
    let patient = |i: &u32| match windows.operation(*i) {
        o if o.op.mode() == Mode::Timed => o.timeout.is_none(),
        o => o.op.mode() == Mode::Blocking,
    };
    if let Some(&stuck) = lane.stuck.iter().find(|i| !patient(i)) {
        let words = "a call that does not wait for ever never returned".into();
        return Finding::broken(Violation::new(Shape::Stuck, "", words, [stuck]));
    }
    let sends = |i: &&u32| matches!(windows.operation(**i).op, Op::Send { .. });
    let send = lane.stuck.iter().find(sends).copied();
    let receive = lane.stuck.iter().find(|i| !sends(i)).copied();
    if profile.capacity == Capacity::Zero {
        return match (send, receive) {
            (Some(send), Some(receive)) => {
                let words = "a sender and a receiver both wait, and neither is let go".into();
                let proof = [receive, send];
                Finding::broken(Violation::new(Shape::Stuck, "rendezvous.meets", words, proof))
            }
            _ => Finding::Legal,
        };
    }
    let never_taken = lane.flows.iter().filter(|f| !f.received()).count();
    let least = never_taken.saturating_sub(lane.hungry.len());
    let most = never_taken + lane.ghosts.len();
    let receive_waits = |inside: usize| receive.is_none() || inside == 0;
    let send_waits = |inside: usize| match (send, profile.capacity) {
        (None, _) => true,
        (_, Capacity::Bounded(n) | Capacity::AtLeast(n)) => inside >= n as usize,
        _ => false,
    };
    let legal = (least..=most).filter(|&n| receive_waits(n) && send_waits(n)).count();
    if legal == most - least + 1 {
        return Finding::Legal;
    }
    if legal > 0 {
        return Finding::Unsure("calls of killed processes leave open how much is inside");
    }
    let (stuck, rule, why) = match (receive, send) {
        (Some(receive), _) if !receive_waits(least) => (
            receive,
            "receive.message.takes",
            match least {
                1 => "a message is inside".to_owned(),
                n => format!("{n} messages are inside"),
            },
        ),
        (_, Some(send)) => (send, "send.room.accepts", "there is room".into()),
        _ => unreachable!("nothing that waits is always legal"),
    };
    let words = format!("{} never returned, though {why}", windows.operation(stuck).op);
    let mut proof = vec![stuck];
    proof.extend(lane.flows.iter().filter(|f| !f.received()).map(|f| f.sender).take(8));
    Finding::broken(Violation::new(Shape::Stuck, rule, words, proof))
}
