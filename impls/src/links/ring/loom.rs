//! Every interleaving of one sender and one receiver, each judged by the model.

use ipc_model::Holders;

use super::endpoint::{Receiving, Sending};
use super::layout::Control;
use crate::links::Size;
use crate::links::parties::{explore, receives, sends, stop_at_every_step, sweep, tested};
use crate::links::record::Verb::{Receive, Send, TryReceive, TrySend};
use crate::links::record::{LONGEST, bounded};
use crate::shm::object::{Kind, Shape};

tested! {
    Link, seats 1,
    |capacity| {
        let shape = Shape { kind: Kind::Ring, capacity, size: Size::UpTo(LONGEST) };
        (bounded(capacity, Holders::One), shape)
    },
    |control| {
        control.calls.message.death();
        control.calls.room.death();
    }
}

#[test]
fn loom_capacity_one_wraps_around() {
    explore::<Link>(2, 1, &[sends(&[Send, Send, Send]), receives(&[Receive, Receive, Receive])]);
}

#[test]
fn loom_capacity_two_wraps_around() {
    explore::<Link>(2, 2, &[sends(&[Send, Send, Send]), receives(&[Receive, Receive, Receive])]);
}

#[test]
fn loom_what_was_sent_before_the_close_is_received_and_then_the_end_is_seen() {
    explore::<Link>(2, 2, &[sends(&[Send, TrySend]), receives(&[Receive, Receive, Receive])]);
}

#[test]
fn loom_a_close_wakes_a_sender_that_waits_for_room() {
    explore::<Link>(2, 1, &[sends(&[Send, Send, Send]), receives(&[Receive])]);
}

#[test]
fn loom_nonblocking_calls_are_refused_only_when_full_or_empty() {
    explore::<Link>(2, 1, &[sends(&[TrySend, TrySend]), receives(&[TryReceive, TryReceive])]);
    explore::<Link>(2, 2, &[sends(&[TrySend, TrySend, TrySend]), receives(&[TryReceive, Receive])]);
}

#[test]
fn loom_an_end_that_stops_for_good_holds_nobody_up_with_capacity_one() {
    stop_at_every_step::<Link>(2, 1, &[sends(&[Send, Send]), receives(&[Receive, Receive])]);
}

#[test]
fn loom_an_end_that_stops_for_good_holds_nobody_up_with_capacity_two() {
    stop_at_every_step::<Link>(2, 2, &[sends(&[Send, Send, Send]), receives(&[Receive, Receive])]);
}

#[test]
fn loom_whatever_dead_ends_leave_behind_their_successors_go_on_with() {
    for capacity in [1, 2, 3] {
        let states = sweep::<Link>(capacity);
        assert!(states > 300, "{states}");
    }
}

mod by_loan {
    //! The same without a copy.

    use super::*;
    use crate::links::ends::End;
    use crate::links::loans::loom::ByLoan;
    use crate::links::ring::endpoint::{Head, Tail};

    type Sending<M> = ByLoan<End<M, Tail>>;
    type Receiving<M> = ByLoan<End<M, Head>>;

    tested! {
        Link, seats 1,
        |capacity| {
            let shape = Shape { kind: Kind::Ring, capacity, size: Size::UpTo(LONGEST) };
            (bounded(capacity, Holders::One), shape)
        },
        |control| {
            control.calls.message.death();
            control.calls.room.death();
        }
    }

    #[test]
    fn loom_a_loan_is_sent_whole() {
        let parties = [sends(&[Send, TrySend, Send]), receives(&[Receive, TryReceive, Receive])];
        explore::<Link>(2, 2, &parties);
        explore::<Link>(2, 1, &[sends(&[Send, Send]), receives(&[Receive, Receive])]);
    }

    #[test]
    fn loom_death_with_a_loan_out_holds_nobody_up() {
        let parties = [sends(&[TrySend, Send]), receives(&[Receive, TryReceive])];
        stop_at_every_step::<Link>(2, 1, &parties);
    }

    #[test]
    fn loom_whatever_dead_ends_leave_behind_their_successors_go_on_with() {
        for capacity in [1, 2] {
            let states = sweep::<Link>(capacity);
            assert!(states > 300, "{states}");
        }
    }
}
