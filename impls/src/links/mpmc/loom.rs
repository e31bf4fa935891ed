//! Every interleaving of two and three ends, each judged by the model.

use ipc_model::Holders;

use super::endpoint::{Receiving, Sending};
use super::layout::Control;
use crate::links::Size;
use crate::links::parties::{explore, receives, sends, stop_at_every_step, sweep, tested};
use crate::links::record::Verb::{Receive, Send, TryReceive, TrySend};
use crate::links::record::{LONGEST, bounded};
use crate::shm::object::{Kind, Shape};
use crate::sync::SEATS;

tested! {
    Link, seats SEATS,
    |capacity| {
        let shape = Shape { kind: Kind::Mpmc, capacity, size: Size::UpTo(LONGEST) };
        (bounded(capacity, Holders::Many), shape)
    },
    |control| {
        control.calls.message.death();
        control.calls.room.death();
        control.sending.lock.death();
        control.receiving.lock.death();
    }
}

#[test]
fn loom_one_to_one_wraps_around() {
    explore::<Link>(2, 1, &[sends(&[Send, Send, Send]), receives(&[Receive, Receive, Receive])]);
    explore::<Link>(2, 2, &[sends(&[Send, Send, Send]), receives(&[Receive, Receive, TryReceive])]);
}

#[test]
fn loom_two_senders_share_one_place() {
    explore::<Link>(2, 1, &[sends(&[Send]), sends(&[TrySend]), receives(&[Receive, TryReceive])]);
}

#[test]
fn loom_two_senders_keep_one_order() {
    explore::<Link>(2, 2, &[sends(&[Send]), sends(&[Send]), receives(&[Receive, Receive])]);
}

#[test]
fn loom_two_receivers_share_what_one_sender_sends() {
    explore::<Link>(2, 1, &[receives(&[Receive]), receives(&[Receive]), sends(&[Send, Send])]);
    explore::<Link>(
        2,
        2,
        &[receives(&[TryReceive]), receives(&[Receive]), sends(&[Send, TrySend])],
    );
}

#[test]
fn loom_the_last_sender_to_close_lets_every_receiver_go() {
    explore::<Link>(2, 1, &[receives(&[Receive]), receives(&[Receive]), sends(&[Send])]);
}

#[test]
fn loom_a_receiver_that_is_overtaken_does_not_take_the_link_for_empty() {
    let one = receives(&[TryReceive]);
    let parties = [one, one, sends(&[TrySend, TrySend, Send])];
    explore::<Link>(3, 2, &parties);
}

#[test]
fn loom_each_of_three_senders_gets_the_lock_in_the_end() {
    let sender = sends(&[Send]);
    explore::<Link>(1, 3, &[sender, sender, sender, receives(&[Receive, Receive, Receive])]);
}

#[test]
fn loom_an_end_that_stops_for_good_holds_nobody_up() {
    stop_at_every_step::<Link>(2, 1, &[sends(&[Send, Send]), receives(&[Receive, Receive])]);
    stop_at_every_step::<Link>(2, 2, &[sends(&[TrySend, Send]), receives(&[Receive, TryReceive])]);
}

#[test]
fn loom_a_sender_inherits_the_lock_of_one_that_stopped_for_good() {
    stop_at_every_step::<Link>(
        1,
        2,
        &[sends(&[Send]), sends(&[Send]), receives(&[TryReceive, Receive])],
    );
}

#[test]
fn loom_a_receiver_inherits_the_lock_of_one_that_stopped_for_good() {
    stop_at_every_step::<Link>(
        1,
        2,
        &[receives(&[Receive]), receives(&[Receive]), sends(&[Send, Send])],
    );
}

#[test]
fn loom_whatever_dead_ends_leave_behind_their_successors_go_on_with() {
    for capacity in [1, 2] {
        let states = sweep::<Link>(capacity);
        assert!(states > 300, "{states}");
    }
}
