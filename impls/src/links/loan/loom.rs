//! Every interleaving of two and three ends, each judged by the model.

use ipc_model::Holders;

use super::endpoint::{Receiving, Sending};
use super::layout::Control;
use crate::links::Size;
use crate::links::parties::{explore, receives, sends, stop_at_every_step, sweep, tested};
use crate::links::record::Verb::{Receive, Send, TryReceive, TrySend};
use crate::links::record::{LONGEST, bounded};
use crate::shm::object::{Kind, LOAN_SEATS, Shape};

tested! {
    Link, seats LOAN_SEATS,
    |capacity| {
        let shape = Shape { kind: Kind::Loan, capacity, size: Size::UpTo(LONGEST) };
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
    explore::<Link>(2, 2, &[sends(&[Send, Send, Send]), receives(&[Receive, TryReceive])]);
}

#[test]
fn loom_two_senders_share_one_place() {
    explore::<Link>(2, 1, &[sends(&[Send]), sends(&[TrySend]), receives(&[Receive, TryReceive])]);
}

#[test]
fn loom_two_receivers_share_what_one_sender_sends() {
    let parties = [receives(&[TryReceive]), receives(&[Receive]), sends(&[Send, TrySend])];
    explore::<Link>(2, 1, &parties);
}

#[test]
fn loom_an_end_that_stops_for_good_holds_nobody_up() {
    stop_at_every_step::<Link>(2, 1, &[sends(&[Send, Send]), receives(&[Receive, Receive])]);
}

#[test]
fn loom_a_lock_is_inherited_from_an_end_that_stopped_for_good() {
    let parties = [sends(&[Send]), sends(&[Send]), receives(&[TryReceive, Receive])];
    stop_at_every_step::<Link>(1, 2, &parties);
    let parties = [receives(&[Receive]), receives(&[Receive]), sends(&[Send, Send])];
    stop_at_every_step::<Link>(1, 2, &parties);
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
    use crate::links::loan::endpoint::{Head, Tail};
    use crate::links::loans::loom::ByLoan;

    type Sending<M> = ByLoan<End<M, Tail>>;
    type Receiving<M> = ByLoan<End<M, Head>>;

    tested! {
        Link, seats LOAN_SEATS,
        |capacity| {
            let shape = Shape { kind: Kind::Loan, capacity, size: Size::UpTo(LONGEST) };
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
