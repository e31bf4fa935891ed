//! Broadcasts and state cells: what sets them apart from queues, history by history.

use ipc_model::{
    Capacity, Distribution, History, Message, Mode, Modes, Notice, Op, Operation, Process, Profile,
    Refusal, Ret, Verdict, check,
};

fn broadcast(n: u32) -> Profile {
    Profile { distribution: Distribution::ToEach, ..Profile::mailbox(Capacity::Bounded(n)) }
}

fn cell() -> Profile {
    Profile {
        distribution: Distribution::Latest,
        receive: Modes { blocking: false, nonblocking: true, timed: false },
        sender_closed: Notice::Silent,
        receiver_closed: Notice::Silent,
        ..Profile::mailbox(Capacity::Bounded(1))
    }
}

/// The sender, and two receivers.
const P0: u16 = 0;
const P1: u16 = 1;
const P2: u16 = 2;

fn message(sequence: u32) -> Message {
    Message::new(P0, sequence, 16)
}

fn send(sequence: u32, ret: Ret) -> (u16, Op, Ret) {
    let (message, mode) = (message(sequence), Mode::Nonblocking);
    (P0, Op::Send { link: 0, to: None, message, mode }, ret)
}

fn receive(process: u16, ret: Ret) -> (u16, Op, Ret) {
    (process, Op::Receive { link: 0, from: None, mode: Mode::Nonblocking }, ret)
}

fn close(process: u16) -> (u16, Op, Ret) {
    (process, Op::Close { link: 0 }, Ret::Done)
}

fn got(sequence: u32) -> Ret {
    Ret::Received(message(sequence))
}

const SENT: Ret = Ret::Done;
const EMPTY: Ret = Ret::Refused(Refusal::Empty);
const FULL: Ret = Ret::Refused(Refusal::Full);

/// One call after the other, each over before the next begins.
fn history(calls: &[(u16, Op, Ret)]) -> History {
    let one = |(i, (process, op, ret)): (usize, &(u16, Op, Ret))| Operation {
        process: Process(*process),
        op: *op,
        call: 10 * i as u64,
        ret: Some((10 * i as u64 + 5, *ret)),
        timeout: None,
        blocked: None,
    };
    let ends = ipc_model::Ends {
        senders: [Process(P0)].into_iter().collect(),
        receivers: [Process(P1), Process(P2)].into_iter().collect(),
    };
    let operations = calls.iter().enumerate().map(one).collect();
    History { operations, links: vec![ends], ..History::default() }
}

/// The rule that the calls break, if they break one.
fn breaks(profile: Profile, calls: &[(u16, Op, Ret)]) -> Option<String> {
    match check::check(&profile, &history(calls)) {
        Verdict::Pass { .. } => None,
        Verdict::Fail(found) => Some(found.rule.to_string()),
        Verdict::Inconclusive(why) => panic!("{why}"),
    }
}

#[test]
fn each_receiver_of_a_broadcast_gets_each_message_once_and_in_order() {
    let sends = [send(0, SENT), send(1, SENT)];
    let both = |rest: &[_]| breaks(broadcast(2), &[&sends[..], rest].concat());
    let legal = [
        receive(P1, got(0)),
        receive(P2, got(0)),
        receive(P2, got(1)),
        receive(P1, got(1)),
        receive(P1, EMPTY),
        receive(P2, EMPTY),
    ];
    assert_eq!(both(&legal), None);
    assert_eq!(
        breaks(Profile::mailbox(Capacity::Bounded(2)), &[&sends[..], &legal].concat()),
        Some("delivery.once".into())
    );
    assert_eq!(both(&[receive(P1, got(1))]), Some("order.fifo".into()));
    assert_eq!(both(&[receive(P1, got(0)), receive(P1, got(0))]), Some("delivery.once".into()));
    let missed = [receive(P1, got(0)), receive(P2, EMPTY)];
    assert_eq!(both(&missed), Some("broadcast.to-each".into()));
}

#[test]
fn a_broadcast_is_as_full_as_for_its_slowest_receiver() {
    let taken = [send(0, SENT), receive(P1, got(0))];
    let then = |rest: &[_]| breaks(broadcast(1), &[&taken[..], rest].concat());
    assert_eq!(then(&[send(1, FULL)]), None);
    assert_eq!(then(&[send(1, SENT)]), Some("try_send.full.refuses".into()));
    assert_eq!(then(&[receive(P2, got(0)), send(1, SENT)]), None);
    assert_eq!(then(&[close(P2), send(1, SENT), receive(P1, got(1))]), None);
    let held = [close(P2), send(1, FULL)];
    assert_eq!(then(&held), Some("broadcast.close-makes-room".into()));
}

#[test]
fn a_state_cell_holds_what_was_written_last() {
    let legal = [
        receive(P1, EMPTY),
        send(0, SENT),
        send(1, SENT),
        receive(P1, got(1)),
        receive(P2, got(1)),
        receive(P1, got(1)),
        close(P0),
        receive(P2, got(1)),
    ];
    assert_eq!(breaks(cell(), &legal), None);
    let stale = [send(0, SENT), send(1, SENT), receive(P1, got(0))];
    assert_eq!(breaks(cell(), &stale), Some("cell.read.latest".into()));
    let taken = [send(0, SENT), receive(P1, got(0)), receive(P2, EMPTY)];
    assert_eq!(breaks(cell(), &taken), Some("cell.read.latest".into()));
    let early = [receive(P1, got(0)), send(0, SENT)];
    assert_eq!(breaks(cell(), &early), Some("delivery.nothing-invented".into()));
    let full = [send(0, SENT), send(1, FULL)];
    assert_eq!(breaks(cell(), &full), Some("cell.write.replaces".into()));
}

#[test]
fn a_profile_that_is_neither_is_refused() {
    let clash = |profile: Profile| profile.validate().unwrap_err().to_string();
    let zero = Profile { capacity: Capacity::Zero, ..broadcast(1) };
    assert!(clash(zero).contains("distribution=to-each and capacity=0"));
    let blocking = Profile { receive: Modes::default(), ..cell() };
    assert!(clash(blocking).contains("distribution=latest and receive"));
    let told = Profile { sender_closed: Notice::Reported, ..cell() };
    assert!(clash(told).contains("distribution=latest and sender_closed=reported"));
    assert_eq!(broadcast(3).validate(), Ok(()));
    assert_eq!(cell().validate(), Ok(()));
}
