//! Every interleaving of two and three ends, each judged by the model.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use ipc_model::{Capacity, Holders, Profile};

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
fn explore(preemptions: usize, parties: &[Party]) -> bool {
    let stopped = Arc::new(AtomicBool::new(false));
    let any_stopped = Arc::clone(&stopped);
    let parties = parties.to_vec();
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(move || {
        let world = World::<Control>::new(2 * SEATS, LONGEST);
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
                Role::Sender => End::Sending(Sending::new(memory, seat, size)),
                Role::Receiver => End::Receiving(Receiving::new(memory, seat, size)),
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
        let profile = Profile { capacity: Capacity::Zero, ..bounded(1, Holders::Many) };
        record.judge(&profile, &of(Role::Sender), &of(Role::Receiver));
    });
    stopped.load(Relaxed)
}

fn tell_sleepers(control: &Control) {
    control.meeting.lock.death();
    for seat in 0..2 * SEATS {
        control.answered(seat).death();
    }
}

/// Stops each party in front of each of its steps in turn; the others must come to an end by
/// themselves.
fn stop_at_every_step(preemptions: usize, parties: &[Party]) {
    for victim in 0..parties.len() {
        let mut parties = parties.to_vec();
        let steps = (0..).take_while(|&step| {
            parties[victim].steps = step;
            explore(preemptions, &parties)
        });
        // One call alone takes more; fewer would mean that hardly anything was stopped.
        assert!(steps.count() > 8);
    }
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
