//! Every interleaving of two and three attachments, one of which may stop for good at any step.

use std::sync::Arc;

use loom::cell::UnsafeCell;

use super::{Barrier, Condition, Mutex, RwLock, Semaphore, Signal, attachment};
use crate::shm::Memory;
use crate::shm::boxed::{Boxed, World};
use crate::shm::object;
use crate::shm::roster::{Roster, Seat};
use crate::sync::modelled;

struct Parts {
    roster: Roster,
    mutex: Mutex<()>,
    condition: Condition,
    rwlock: RwLock<()>,
    semaphore: Semaphore,
    barrier: Barrier,
    /// What only the holder of a lock may touch; loom reports two at once.
    inside: UnsafeCell<u32>,
}

impl Default for Parts {
    fn default() -> Parts {
        Parts {
            roster: Roster::default(),
            mutex: Mutex::new(),
            condition: Condition::default(),
            rwlock: RwLock::new(),
            semaphore: Semaphore::default(),
            barrier: Barrier::default(),
            inside: UnsafeCell::new(0),
        }
    }
}

// SAFETY: the cell is touched under one of the locks only, or loom reports it.
unsafe impl object::Control for Parts {
    fn roster(&self) -> &Roster {
        &self.roster
    }
}

struct Process {
    memory: Boxed<Parts>,
    seat: Seat,
}

attachment!(Process);

impl Process {
    fn parts(&self) -> &Parts {
        self.memory.control()
    }

    fn write(&self) {
        // SAFETY: loom reports any access at the same time.
        self.parts().inside.with_mut(|inside| unsafe { *inside += 1 });
    }

    fn read(&self) {
        // SAFETY: loom reports any write at the same time.
        self.parts().inside.with(|inside| unsafe { std::ptr::read(inside) });
    }
}

/// Runs the lives at once, the first of them stopped in front of step number `steps`; each holds
/// a seat. Returns whether it was stopped.
fn explore(steps: u64, before: fn(&Parts), lives: &'static [fn(&Process)]) -> bool {
    let stopped = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let any = Arc::clone(&stopped);
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(move || {
        let world = World::<Parts>::new(0, 0);
        before(world.control());
        let sit = |(index, life): (usize, &fn(&Process))| {
            let memory = world.attach(index);
            let seat = world.control().roster.enter(index);
            let (world, life, process) = (Arc::clone(&world), *life, Process { memory, seat });
            move || {
                let steps = if index == 0 { steps } else { u64::MAX };
                let dead = modelled::stop_after(steps, || {
                    life(&process);
                    process.parts().roster.leave(process.seat);
                });
                world.release(index);
                let parts = world.control();
                if dead {
                    parts.mutex.death();
                    parts.condition.death();
                    parts.rwlock.death();
                    parts.semaphore.death();
                    parts.barrier.death();
                }
                dead
            }
        };
        let mut all: Vec<_> = lives.iter().enumerate().map(sit).collect();
        let own = all.pop();
        let threads: Vec<_> = all.into_iter().map(loom::thread::spawn).collect();
        let mut dead = own.is_some_and(|life| life());
        for thread in threads {
            dead |= thread.join().unwrap();
        }
        if dead {
            any.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    });
    stopped.load(std::sync::atomic::Ordering::Relaxed)
}

/// Nobody stopped, and then the first stopped in front of each of its steps.
fn live_and_die(before: fn(&Parts), lives: &'static [fn(&Process)]) {
    explore(u64::MAX, before, lives);
    let steps = (0..).take_while(|&step| explore(step, before, lives)).count();
    assert!(steps >= 4, "{steps}");
}

fn locks(process: &Process) {
    let guard = process.parts().mutex.lock(process);
    process.write();
    drop(guard);
}

#[test]
fn loom_a_mutex_excludes_and_is_inherited() {
    live_and_die(|_| {}, &[locks, locks]);
    explore(u64::MAX, |_| {}, &[locks, locks, locks]);
}

fn reads(process: &Process) {
    let guard = process.parts().rwlock.read(process);
    process.read();
    drop(guard);
}

fn writes(process: &Process) {
    let guard = process.parts().rwlock.write(process);
    process.write();
    drop(guard);
}

#[test]
fn loom_a_writer_excludes_readers_and_outlives_them() {
    live_and_die(|_| {}, &[reads, writes]);
    live_and_die(|_| {}, &[writes, reads]);
    live_and_die(|_| {}, &[writes, writes]);
    explore(u64::MAX, |_| {}, &[reads, reads, writes]);
}

fn uses_a_permit(process: &Process) {
    let permit = process.parts().semaphore.acquire(process);
    process.write();
    drop(permit);
}

#[test]
fn loom_a_permit_is_one_holders_and_comes_back() {
    live_and_die(|parts| parts.semaphore.add_permits(1), &[uses_a_permit, uses_a_permit]);
}

fn meets(process: &Process) {
    // Broken if the other died, which is an answer too; nobody waits for ever.
    let _ = process.parts().barrier.wait(process, 2);
}

#[test]
fn loom_two_meet_at_a_barrier_or_are_told() {
    live_and_die(|_| {}, &[meets, meets]);
}

fn calls(process: &Process) {
    let guard = process.parts().mutex.lock(process);
    process.write();
    process.parts().condition.notify_all();
    drop(guard);
}

fn waits(process: &Process) {
    let mut guard = process.parts().mutex.lock(process);
    // SAFETY: we hold the lock.
    while process.parts().inside.with(|inside| unsafe { *inside }) == 0 {
        let (again, signal) = process.parts().condition.wait(guard);
        guard = again;
        if signal == Signal::Alone {
            break;
        }
    }
    drop(guard);
}

#[test]
fn loom_a_condition_is_not_missed_and_not_waited_for_alone() {
    live_and_die(|_| {}, &[calls, waits]);
}
