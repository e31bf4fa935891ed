//! Every interleaving of two and three ends, each judged by the model.

use ipc_model::{Capacity, Holders, Profile};

use super::endpoint::{Receiving, Sending};
use super::layout::Control;
use crate::links::Size;
use crate::links::parties::{explore, receives, sends, stop_at_every_step, sweep, tested};
use crate::links::record::Verb::{Receive, Send, TryReceive, TrySend};
use crate::links::record::{LONGEST, bounded};
use crate::shm::object::{Kind, Shape};
use crate::sync::{SEATS, SEGMENTS};

tested! {
    Growing, seats SEATS,
    |each| (Profile { capacity: Capacity::Unbounded, ..bounded(1, Holders::Many) }, shape(each)),
    |control| tell(control)
}

// With one message to a segment the real limit is exact: the link is a bounded one.
tested! {
    AtTheLimit, seats SEATS,
    |each: usize| (bounded(each * SEGMENTS, Holders::Many), shape(each)),
    |control| tell(control)
}

fn shape(each: usize) -> Shape {
    Shape { kind: Kind::Unbounded, capacity: each * SEGMENTS, size: Size::UpTo(LONGEST) }
}

fn tell(control: &Control) {
    control.message.death();
    control.sending.lock.death();
    control.receiving.lock.death();
}

#[test]
fn loom_segments_come_and_go() {
    explore::<Growing>(2, 1, &[sends(&[Send, Send, Send]), receives(&[Receive, Receive, Receive])]);
    explore::<Growing>(2, 2, &[sends(&[Send, Send, Send]), receives(&[Receive, TryReceive])]);
}

#[test]
fn loom_the_real_limit_is_told_and_nothing_is_lost() {
    let parties = [sends(&[TrySend, TrySend, TrySend, TrySend]), receives(&[TryReceive, Receive])];
    explore::<AtTheLimit>(2, 1, &parties);
}

#[test]
fn loom_two_senders_keep_one_order() {
    explore::<Growing>(2, 1, &[sends(&[Send]), sends(&[TrySend]), receives(&[Receive, Receive])]);
}

#[test]
fn loom_two_receivers_share_what_one_sender_sends() {
    let parties = [receives(&[TryReceive]), receives(&[Receive]), sends(&[Send, TrySend])];
    explore::<Growing>(2, 1, &parties);
}

#[test]
fn loom_an_end_that_stops_for_good_holds_nobody_up() {
    stop_at_every_step::<Growing>(2, 1, &[sends(&[Send, Send]), receives(&[Receive, Receive])]);
}

#[test]
fn loom_a_lock_is_inherited_from_an_end_that_stopped_for_good() {
    let parties = [sends(&[Send]), sends(&[Send]), receives(&[TryReceive, Receive])];
    stop_at_every_step::<Growing>(1, 1, &parties);
    let parties = [receives(&[Receive]), receives(&[Receive]), sends(&[Send, Send])];
    stop_at_every_step::<Growing>(1, 1, &parties);
}

#[test]
fn loom_whatever_dead_ends_leave_behind_their_successors_go_on_with() {
    let states = sweep::<AtTheLimit>(1) + sweep::<Growing>(4);
    assert!(states > 600, "{states}");
}
