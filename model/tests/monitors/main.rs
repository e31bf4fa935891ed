//! Every monitor against brute force, on all small histories and on random larger ones.
//!
//! Four decisions are compared: the monitor's; the search over what is inside; the search over the
//! model of this crate; and the plainest one, all orders played on a list, so that model and monitor cannot share a mistake
//! about what a queue is. `IPC_EXHAUSTIVE=1` raises the bounds by one call.

mod closing;
mod enumerate;
mod generate;
mod messages;
mod naive;
mod random;

use enumerate::{Bounds, Move};
use ipc_model::check::monitor::{Finding, monitor, search_inside};
use ipc_model::check::{Budget, explains};
use ipc_model::{Capacity, History, Mode, Order, Profile, Spec, write_jsonl};

const BLOCKING: (Mode, Mode) = (Mode::Blocking, Mode::Blocking);

/// How many calls more than by default.
fn more() -> usize {
    usize::from(std::env::var("IPC_EXHAUSTIVE").is_ok_and(|v| v != "0"))
}

/// One call fewer where unoptimised code would take long, unless more is asked for.
fn fewer(calls: usize) -> usize {
    calls - usize::from(cfg!(debug_assertions) && more() == 0)
}

#[derive(Default)]
struct Tally {
    histories: u64,
    legal: u64,
    unsure: u64,
    by_model: u64,
}

/// Compares on all histories within the bounds; every `stride`th of them with the model too.
fn compare(name: &str, profile: &Profile, bounds: &Bounds<'_>, stride: u64) {
    let spec = Spec::new(*profile);
    let mut tally = Tally::default();
    enumerate::all(bounds, |history| {
        let found = monitor(profile, history, Budget::default());
        tally.histories += 1;
        let legal = match &found {
            Finding::Legal => true,
            Finding::Broken(_) => false,
            Finding::Unsure(_) => {
                tally.unsure += 1;
                return;
            }
        };
        tally.legal += u64::from(legal);
        if tally.histories % 4 == 0 && !bounds.quiescent && profile.capacity != Capacity::Zero {
            let inside = search_inside(profile, history, Budget::default());
            assert_eq!(legal, inside == Finding::Legal, "{found:?} against {inside:?}");
        }
        let show = |history: &History| write_jsonl(Some(profile), history);
        if !bounds.quiescent {
            let naive = naive::explains(profile, history);
            assert_eq!(legal, naive, "{found:?} against all orders:\n{}", show(history));
        }
        if tally.histories % stride == 0 {
            tally.by_model += 1;
            let model = explains(&spec, history, Budget::default());
            assert_eq!(Some(legal), model, "{found:?} against the model:\n{}", show(history));
        }
    });
    println!(
        "{name}: {} histories of up to {} calls compared ({} legal, {} by the model too), {} unsure",
        tally.histories, bounds.calls, tally.legal, tally.by_model, tally.unsure
    );
    // Only what killed processes took may leave open, at the end, how much is inside.
    let open = bounds.quiescent && bounds.moves.contains(&Move::OpenReceive(true));
    assert!(tally.unsure == 0 || open, "no history is so large that the search gives up");
    assert!(tally.legal > 0 && tally.legal < tally.histories, "{name} compares nothing");
}

fn small(name: &str, profile: Profile, calls: usize, moves: &[Move], stride: u64) {
    let calls = calls + more();
    let bounds = Bounds { calls, processes: 3, moves, quiescent: false, modes: BLOCKING };
    compare(name, &profile, &bounds, stride);
}

fn mailbox(capacity: Capacity) -> Profile {
    Profile::mailbox(capacity)
}

const SEND: Move = Move::Send(None, 0);

#[test]
fn unbounded_fifo_with_empty() {
    small("unbounded, empty", mailbox(Capacity::Unbounded), 5, &[SEND, Move::Empty], 20);
}

#[test]
fn unbounded_fifo_with_pending_calls() {
    let moves = [SEND, Move::OpenSend(false), Move::OpenReceive(false), Move::Empty];
    small("unbounded, pending", mailbox(Capacity::Unbounded), 4, &moves, 20);
}

#[test]
fn unbounded_fifo_with_killed_processes() {
    let moves = [SEND, Move::OpenSend(true), Move::OpenReceive(true), Move::Empty];
    small("unbounded, killed", mailbox(Capacity::Unbounded), 4, &moves, 20);
}

#[test]
fn unordered_and_per_sender() {
    let unordered = Profile { order: Order::Unordered, ..Profile::default() };
    small("unordered, empty", unordered, 5, &[SEND, Move::Empty], 40);
    let per_sender = Profile { order: Order::PerSender, ..Profile::default() };
    let moves = [Move::Send(Some(0), 0), Move::Send(Some(1), 0), Move::Empty];
    small("per sender, empty", per_sender, 5, &moves, 100);
}

#[test]
fn priority_then_fifo() {
    let profile = Profile { order: Order::Priority, ..Profile::default() };
    let moves = [SEND, Move::Send(None, 1), Move::Empty];
    small("priority, empty", profile, fewer(5), &moves, 100);
}

#[test]
fn capacity_one() {
    let one = mailbox(Capacity::Bounded(1));
    small("capacity 1", one, 6, &[SEND], 50);
    small("capacity 1, empty and full", one, 4, &[SEND, Move::Empty, Move::Full], 20);
    let moves = [SEND, Move::OpenSend(false), Move::OpenReceive(false), Move::Empty];
    small("capacity 1, pending", one, 4, &moves, 20);
}

#[test]
fn bounded() {
    let two = mailbox(Capacity::Bounded(2));
    small("capacity 2", two, 6, &[SEND], 50);
    small("capacity 2, empty and full", two, fewer(5), &[SEND, Move::Empty, Move::Full], 100);
    let moves = [SEND, Move::OpenSend(false), Move::OpenReceive(false), Move::Full];
    small("capacity 2, pending", two, 4, &moves, 20);
    let moves = [SEND, Move::OpenSend(true), Move::OpenReceive(true), Move::Full];
    small("capacity 2, killed", two, 4, &moves, 20);
    let at_least = mailbox(Capacity::AtLeast(2));
    small("capacity at least 2", at_least, fewer(5), &[SEND, Move::Empty, Move::Full], 100);
}

#[test]
fn rendezvous() {
    let zero = mailbox(Capacity::Zero);
    let moves = [SEND, Move::OpenSend(false), Move::OpenReceive(false), Move::Empty, Move::Full];
    small("rendezvous, pending", zero, 4, &moves, 20);
    let moves = [SEND, Move::OpenSend(true), Move::OpenReceive(true)];
    small("rendezvous, killed", zero, 4, &moves, 20);
    let waits = [Mode::Blocking, Mode::Nonblocking];
    for modes in waits.iter().flat_map(|a| waits.map(|b| (*a, b))).skip(1) {
        let moves = [SEND, Move::OpenSend(false), Move::OpenReceive(true)];
        let calls = 4 + more();
        let bounds = Bounds { calls, processes: 3, moves: &moves, quiescent: false, modes };
        compare(&format!("rendezvous, {modes:?}"), &zero, &bounds, 20);
    }
}

#[test]
fn timeouts() {
    let moves = [SEND, Move::ReceiveTimeout(2), Move::ReceiveTimeout(4)];
    small("unbounded, timeouts", mailbox(Capacity::Unbounded), 4, &moves, 20);
    let moves = [SEND, Move::SendTimeout(2), Move::ReceiveTimeout(3)];
    small("capacity 1, timeouts", mailbox(Capacity::Bounded(1)), 4, &moves, 20);
}

#[test]
fn progress_at_quiescence() {
    let pending = [SEND, Move::OpenSend(false), Move::OpenReceive(false), Move::OpenReceive(true)];
    for capacity in [Capacity::Unbounded, Capacity::Bounded(1), Capacity::Zero] {
        let bounds = Bounds {
            calls: 4 + more(),
            processes: 3,
            moves: &pending,
            quiescent: true,
            modes: BLOCKING,
        };
        compare(&format!("quiescent, capacity {capacity}"), &mailbox(capacity), &bounds, 10);
    }
}
