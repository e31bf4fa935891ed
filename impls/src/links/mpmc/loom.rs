//! Every interleaving of two and three ends, each judged by the model.

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
use crate::sync::SEATS;

/// One process: what it does, and in front of which step it is stopped for good.
#[derive(Clone, Copy)]
struct Party {
    role: Role,
    script: &'static [Verb],
    steps: u64,
}

/// More steps than any script here takes.
const FOREVER: u64 = u64::MAX;

fn sends(script: &'static [Verb]) -> Party {
    Party { role: Role::Sender, script, steps: FOREVER }
}

fn receives(script: &'static [Verb]) -> Party {
    Party { role: Role::Receiver, script, steps: FOREVER }
}

enum End {
    Sending(Sending<Boxed<Control>>),
    Receiving(Receiving<Boxed<Control>>),
}

/// All parties at once. Each end is closed after its script. Returns whether one was stopped.
fn explore(preemptions: usize, capacity: usize, parties: &[Party]) -> bool {
    let stopped = Arc::new(AtomicBool::new(false));
    let any_stopped = Arc::clone(&stopped);
    let parties = parties.to_vec();
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(move || {
        let world = World::<Control>::new(capacity, LONGEST);
        let record = Arc::new(Record::default());
        let mut taken = [0, 0];
        let mut lives = Vec::new();
        for (process, party) in (0..).zip(parties.clone()) {
            let count = &mut taken[party.role as usize];
            let index = party.role.seats(SEATS).start + *count;
            *count += 1;
            let memory = world.attach(index);
            let seat = world.control().roster.enter(index);
            let size = Size::UpTo(LONGEST);
            let end = match party.role {
                Role::Sender => End::Sending(Sending::new(memory, seat, capacity, size)),
                Role::Receiver => End::Receiving(Receiving::new(memory, seat, capacity, size)),
            };
            let (world, record) = (Arc::clone(&world), Arc::clone(&record));
            lives.push(move || {
                let script = |end: &mut End| match end {
                    End::Sending(end) => record.sends(process, end, party.script),
                    End::Receiving(end) => record.receives(process, end, party.script),
                };
                let close = |close: &mut dyn FnMut()| record.close(process, close);
                let dies = || record.crash(process);
                live(&world, party.steps, (index, end), script, close, dies, tell_sleepers)
            });
        }
        // One of them in this thread, the others in their own.
        let own = lives.pop();
        let threads: Vec<_> = lives.into_iter().map(loom::thread::spawn).collect();
        let mut dead = own.is_some_and(|live| live());
        for thread in threads {
            dead |= thread.join().unwrap();
        }
        if dead {
            any_stopped.store(true, Relaxed);
        }
        let of = |role: Role| -> Vec<u16> {
            (0..)
                .zip(&parties)
                .filter(|(_, p)| p.role == role)
                .map(|(process, _)| process)
                .collect()
        };
        let profile = bounded(capacity, Holders::Many);
        record.judge(&profile, &of(Role::Sender), &of(Role::Receiver));
    });
    stopped.load(Relaxed)
}

fn tell_sleepers(control: &Control) {
    control.calls.message.death();
    control.calls.room.death();
    control.sending.lock.death();
    control.receiving.lock.death();
}

/// Stops each party in front of each of its steps in turn; the others must come to an end by
/// themselves.
fn stop_at_every_step(preemptions: usize, capacity: usize, parties: &[Party]) {
    for victim in 0..parties.len() {
        let mut parties = parties.to_vec();
        let steps = (0..).take_while(|&step| {
            parties[victim].steps = step;
            explore(preemptions, capacity, &parties)
        });
        // One call alone takes more; fewer would mean that hardly anything was stopped.
        assert!(steps.count() > 8);
    }
}

#[test]
fn loom_one_to_one_wraps_around() {
    explore(2, 1, &[sends(&[Send, Send, Send]), receives(&[Receive, Receive, Receive])]);
    explore(2, 2, &[sends(&[Send, Send, Send]), receives(&[Receive, Receive, TryReceive])]);
}

#[test]
fn loom_two_senders_share_one_place() {
    explore(2, 1, &[sends(&[Send]), sends(&[TrySend]), receives(&[Receive, TryReceive])]);
}

#[test]
fn loom_two_senders_keep_one_order() {
    explore(2, 2, &[sends(&[Send]), sends(&[Send]), receives(&[Receive, Receive])]);
}

#[test]
fn loom_two_receivers_share_what_one_sender_sends() {
    explore(2, 1, &[receives(&[Receive]), receives(&[Receive]), sends(&[Send, Send])]);
    explore(2, 2, &[receives(&[TryReceive]), receives(&[Receive]), sends(&[Send, TrySend])]);
}

#[test]
fn loom_the_last_sender_to_close_lets_every_receiver_go() {
    explore(2, 1, &[receives(&[Receive]), receives(&[Receive]), sends(&[Send])]);
}

#[test]
fn loom_a_receiver_that_is_overtaken_does_not_take_the_link_for_empty() {
    let one = receives(&[TryReceive]);
    let parties = [one, one, sends(&[TrySend, TrySend, Send])];
    explore(3, 2, &parties);
}

#[test]
fn loom_each_of_three_senders_gets_the_lock_in_the_end() {
    let sender = sends(&[Send]);
    explore(1, 3, &[sender, sender, sender, receives(&[Receive, Receive, Receive])]);
}

#[test]
fn loom_an_end_that_stops_for_good_holds_nobody_up() {
    stop_at_every_step(2, 1, &[sends(&[Send, Send]), receives(&[Receive, Receive])]);
    stop_at_every_step(2, 2, &[sends(&[TrySend, Send]), receives(&[Receive, TryReceive])]);
}

#[test]
fn loom_a_sender_inherits_the_lock_of_one_that_stopped_for_good() {
    stop_at_every_step(1, 2, &[sends(&[Send]), sends(&[Send]), receives(&[TryReceive, Receive])]);
}

#[test]
fn loom_a_receiver_inherits_the_lock_of_one_that_stopped_for_good() {
    stop_at_every_step(1, 2, &[receives(&[Receive]), receives(&[Receive]), sends(&[Send, Send])]);
}
