//! Every interleaving of one sender and one receiver, each judged by the model.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use ipc_model::Holders;

use super::endpoint::{Receiving, Sending};
use super::layout::Control;
use crate::links::Size;
use crate::links::record::Verb::{self, Receive, Send, TryReceive, TrySend};
use crate::links::record::{LONGEST, Record, bounded};
use crate::shm::boxed::{Boxed, World, live};
use crate::shm::roster::Role;
use crate::sync::modelled;

const SENDER: u16 = 0;
const RECEIVER: u16 = 1;
const SUCCESSOR: u16 = 2;

/// More steps than any script here takes.
const FOREVER: u64 = u64::MAX;

/// Errors of this kind show with two switches between threads that nothing forced; more only cost
/// time.
const PREEMPTIONS: usize = 2;

fn check(execution: impl Fn() + Sync + std::marker::Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(PREEMPTIONS);
    model.check(execution);
}

fn seat(role: Role) -> usize {
    role.seats(1).start
}

fn sender(world: &Arc<World<Control>>, capacity: usize) -> Sending<Boxed<Control>> {
    let memory = world.attach(seat(Role::Sender));
    let seat = world.control().roster.enter(seat(Role::Sender));
    Sending::new(memory, seat, capacity, Size::UpTo(LONGEST)).unwrap()
}

fn receiver(world: &Arc<World<Control>>, capacity: usize) -> Receiving<Boxed<Control>> {
    let memory = world.attach(seat(Role::Receiver));
    let seat = world.control().roster.enter(seat(Role::Receiver));
    Receiving::new(memory, seat, capacity, Size::UpTo(LONGEST)).unwrap()
}

fn tell_sleepers(control: &Control) {
    control.calls.message.death();
    control.calls.room.death();
}

/// Both scripts at once. Each end is closed after its script, unless it is stopped for good in
/// front of the given step. Returns whether one was.
fn explore(
    capacity: usize,
    sends: &'static [Verb],
    receives: &'static [Verb],
    lives: (u64, u64),
) -> bool {
    let stopped = Arc::new(AtomicBool::new(false));
    let any_stopped = Arc::clone(&stopped);
    check(move || {
        let world = World::<Control>::new(capacity, LONGEST);
        let record = Arc::new(Record::default());
        let sending = sender(&world, capacity);
        let receiving = receiver(&world, capacity);
        let theirs = (Arc::clone(&world), Arc::clone(&record));
        let sender = loom::thread::spawn(move || {
            let (world, record) = theirs;
            let script = |end: &mut Sending<_>| record.sends(SENDER, end, sends);
            let close = |close: &mut dyn FnMut()| record.close(SENDER, close);
            let end = (seat(Role::Sender), sending);
            let dies = || record.crash(SENDER);
            live(&world, lives.0, end, script, close, dies, tell_sleepers)
        });
        let script = |end: &mut Receiving<_>| record.receives(RECEIVER, end, receives);
        let close = |close: &mut dyn FnMut()| record.close(RECEIVER, close);
        let end = (seat(Role::Receiver), receiving);
        let dies = || record.crash(RECEIVER);
        let dead = live(&world, lives.1, end, script, close, dies, tell_sleepers);
        if sender.join().unwrap() || dead {
            any_stopped.store(true, Relaxed);
        }
        record.judge(&bounded(capacity, Holders::One), &[SENDER], &[RECEIVER]);
    });
    stopped.load(Relaxed)
}

/// Stops one end in front of each of its steps in turn; the other must come to an end by itself.
fn stop_at_every_step(capacity: usize, sends: &'static [Verb], receives: &'static [Verb]) {
    let steps = |explore: &dyn Fn(u64) -> bool| (0..).take_while(|&step| explore(step)).count();
    let sender_steps = steps(&|step| explore(capacity, sends, receives, (step, FOREVER)));
    let receiver_steps = steps(&|step| explore(capacity, sends, receives, (FOREVER, step)));
    // One call alone takes more; fewer would mean that hardly anything was stopped.
    assert!(sender_steps > 8, "{sender_steps}");
    assert!(receiver_steps > 8, "{receiver_steps}");
}

#[test]
fn loom_capacity_one_wraps_around() {
    explore(1, &[Send, Send, Send], &[Receive, Receive, Receive], (FOREVER, FOREVER));
}

#[test]
fn loom_capacity_two_wraps_around() {
    explore(2, &[Send, Send, Send], &[Receive, Receive, Receive], (FOREVER, FOREVER));
}

#[test]
fn loom_what_was_sent_before_the_close_is_received_and_then_the_end_is_seen() {
    explore(2, &[Send, TrySend], &[Receive, Receive, Receive], (FOREVER, FOREVER));
}

#[test]
fn loom_a_close_wakes_a_sender_that_waits_for_room() {
    explore(1, &[Send, Send, Send], &[Receive], (FOREVER, FOREVER));
}

#[test]
fn loom_nonblocking_calls_are_refused_only_when_full_or_empty() {
    explore(1, &[TrySend, TrySend], &[TryReceive, TryReceive], (FOREVER, FOREVER));
    explore(2, &[TrySend, TrySend, TrySend], &[TryReceive, Receive], (FOREVER, FOREVER));
}

#[test]
fn loom_an_end_that_stops_for_good_holds_nobody_up_with_capacity_one() {
    stop_at_every_step(1, &[Send, Send], &[Receive, Receive]);
}

#[test]
fn loom_an_end_that_stops_for_good_holds_nobody_up_with_capacity_two() {
    stop_at_every_step(2, &[Send, Send, Send], &[Receive, Receive]);
}

/// The sender is stopped in front of `step`, or after its script, and another goes on where it
/// stopped. The receiver makes no call that waits, so it does not see the gap between the two.
fn replace_sender(step: u64) {
    check(move || {
        let world = World::<Control>::new(2, LONGEST);
        let record = Arc::new(Record::default());
        let sending = sender(&world, 2);
        let mut receiving = receiver(&world, 2);
        let theirs = (Arc::clone(&world), Arc::clone(&record));
        let first = loom::thread::spawn(move || {
            let (world, record) = theirs;
            let script = |end: &mut Sending<_>| {
                record.sends(SENDER, end, &[TrySend, TrySend]);
                modelled::stop();
            };
            let end = (seat(Role::Sender), sending);
            let dies = || record.crash(SENDER);
            live(&world, step, end, script, |close| close(), dies, tell_sleepers);
        });
        record.receives(RECEIVER, &mut receiving, &[TryReceive]);
        first.join().unwrap();
        let mut next = sender(&world, 2);
        record.sends(SUCCESSOR, &mut next, &[TrySend]);
        record.receives(RECEIVER, &mut receiving, &[TryReceive; 4]);
        record.judge(&bounded(2, Holders::One), &[SENDER, SUCCESSOR], &[RECEIVER]);
        drop((next, receiving));
    });
}

/// The same for the receiver.
fn replace_receiver(step: u64) {
    check(move || {
        let world = World::<Control>::new(2, LONGEST);
        let record = Arc::new(Record::default());
        let mut sending = sender(&world, 2);
        let receiving = receiver(&world, 2);
        let theirs = (Arc::clone(&world), Arc::clone(&record));
        let first = loom::thread::spawn(move || {
            let (world, record) = theirs;
            let script = |end: &mut Receiving<_>| {
                record.receives(RECEIVER, end, &[TryReceive, TryReceive]);
                modelled::stop();
            };
            let end = (seat(Role::Receiver), receiving);
            let dies = || record.crash(RECEIVER);
            live(&world, step, end, script, |close| close(), dies, tell_sleepers);
        });
        record.sends(SENDER, &mut sending, &[TrySend, TrySend, TrySend]);
        first.join().unwrap();
        let mut next = receiver(&world, 2);
        record.receives(SUCCESSOR, &mut next, &[TryReceive; 4]);
        record.judge(&bounded(2, Holders::One), &[SENDER], &[RECEIVER, SUCCESSOR]);
        drop((next, sending));
    });
}

#[test]
fn loom_a_new_end_goes_on_where_a_dead_one_stopped() {
    // Beyond the last step of the script, the end dies right after it.
    for step in 0..24 {
        replace_sender(step);
        replace_receiver(step);
    }
}
