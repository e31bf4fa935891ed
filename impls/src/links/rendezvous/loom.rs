//! Every interleaving of two and three ends, each judged by the model.

use ipc_model::{Capacity, Holders, Profile};

use super::endpoint::{Receiving, Sending};
use super::layout::Control;
use crate::links::Size;
use crate::links::parties::{Party, receives, sends, sweep, tested};
use crate::links::record::Verb::{Receive, Send, TryReceive, TrySend};
use crate::links::record::{LONGEST, bounded};
use crate::shm::object::{Kind, Shape};
use crate::sync::SEATS;

tested! {
    Link, seats SEATS,
    |_| {
        let shape = Shape { kind: Kind::Rendezvous, capacity: 0, size: Size::UpTo(LONGEST) };
        (Profile { capacity: Capacity::Zero, ..bounded(1, Holders::Many) }, shape)
    },
    |control| {
        control.meeting.lock.death();
        for seat in 0..2 * SEATS {
            control.answered(seat).death();
        }
    }
}

fn explore(preemptions: usize, parties: &[Party]) {
    crate::links::parties::explore::<Link>(preemptions, 0, parties);
}

fn stop_at_every_step(preemptions: usize, parties: &[Party]) {
    crate::links::parties::stop_at_every_step::<Link>(preemptions, 0, parties);
}

#[test]
fn loom_send_and_receive_take_effect_together() {
    explore(2, &[sends(&[Send, Send]), receives(&[Receive, Receive])]);
    explore(2, &[sends(&[Send]), receives(&[Receive, Receive])]);
    explore(2, &[sends(&[Send, Send]), receives(&[Receive])]);
}

#[test]
fn loom_calls_that_do_not_wait_succeed_only_if_a_peer_waits() {
    explore(2, &[sends(&[TrySend, TrySend]), receives(&[Receive])]);
    explore(2, &[sends(&[Send]), receives(&[TryReceive, TryReceive])]);
    explore(2, &[sends(&[TrySend]), receives(&[TryReceive])]);
}

#[test]
fn loom_two_senders_meet_one_receiver() {
    explore(2, &[sends(&[Send]), sends(&[TrySend]), receives(&[Receive])]);
    explore(1, &[sends(&[Send]), sends(&[Send]), receives(&[Receive, Receive])]);
}

#[test]
fn loom_two_receivers_meet_one_sender() {
    explore(2, &[receives(&[Receive]), receives(&[TryReceive]), sends(&[Send])]);
    explore(1, &[receives(&[Receive]), receives(&[Receive]), sends(&[Send, TrySend])]);
}

#[test]
fn loom_an_end_that_stops_for_good_holds_nobody_up() {
    stop_at_every_step(2, &[sends(&[Send, Send]), receives(&[Receive, Receive])]);
    stop_at_every_step(2, &[sends(&[TrySend]), receives(&[Receive])]);
}

#[test]
fn loom_the_lock_of_an_end_that_stopped_for_good_is_inherited() {
    stop_at_every_step(1, &[sends(&[Send]), sends(&[Send]), receives(&[Receive, Receive])]);
}

#[test]
fn loom_whatever_dead_ends_leave_behind_their_successors_go_on_with() {
    for capacity in [0] {
        let states = sweep::<Link>(capacity);
        assert!(states > 300, "{states}");
    }
}
