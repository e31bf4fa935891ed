//! Every interleaving of several ends of a link, each judged by the model; with any of them
//! stopped for good at any step; and all that can be left behind after stops, one after another.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use ipc_model::Profile;

use super::record::{LONGEST, Record, Verb};
use super::{ReceivingEnd, SendingEnd};
use crate::shm::boxed::{Boxed, World, live};
use crate::shm::object::{self, Shape};
use crate::shm::roster::Role;
use crate::sync::modelled;

/// A link, as these tests want it.
pub(crate) trait Tested: 'static {
    type Control: object::Control + Default + 'static;
    type Sending: SendingEnd;
    type Receiving: ReceivingEnd;

    /// The claim with this capacity, and the memory for it.
    fn made(capacity: usize) -> (Profile, Shape);
    /// Seats for each role.
    const SEATS: usize;
    fn sending(memory: Boxed<Self::Control>, seat: usize, shape: &Shape) -> Self::Sending;
    fn receiving(memory: Boxed<Self::Control>, seat: usize, shape: &Shape) -> Self::Receiving;
    /// Has whoever sleeps look whether somebody died.
    fn tell_sleepers(control: &Self::Control);
}

/// Declares a [`Tested`] over the `Control`, `Sending` and `Receiving` in scope.
macro_rules! tested {
    ($Link:ident, seats $seats:expr, $made:expr, |$control:ident| $tell:expr) => {
        struct $Link;

        impl crate::links::parties::Tested for $Link {
            type Control = Control;
            type Sending = Sending<crate::shm::boxed::Boxed<Control>>;
            type Receiving = Receiving<crate::shm::boxed::Boxed<Control>>;

            const SEATS: usize = $seats;

            fn made(capacity: usize) -> (ipc_model::Profile, crate::shm::object::Shape) {
                $made(capacity)
            }

            fn sending(
                memory: crate::shm::boxed::Boxed<Control>,
                seat: usize,
                shape: &crate::shm::object::Shape,
            ) -> Self::Sending {
                let seat = crate::links::parties::sit::<Control>(&memory, seat);
                Sending::new(memory, seat, shape).unwrap()
            }

            fn receiving(
                memory: crate::shm::boxed::Boxed<Control>,
                seat: usize,
                shape: &crate::shm::object::Shape,
            ) -> Self::Receiving {
                let seat = crate::links::parties::sit::<Control>(&memory, seat);
                Receiving::new(memory, seat, shape).unwrap()
            }

            fn tell_sleepers($control: &Control) {
                $tell
            }
        }
    };
}

pub(crate) use tested;

/// Sits down on a seat.
pub(crate) fn sit<C: object::Control>(
    memory: &impl crate::shm::Memory<C>,
    seat: usize,
) -> crate::shm::roster::Seat {
    memory.control().roster().enter(seat)
}

/// One process: what it does, and in front of which step it is stopped for good.
#[derive(Clone, Copy)]
pub(crate) struct Party {
    role: Role,
    script: &'static [Verb],
    steps: u64,
}

/// More steps than any script here takes.
const FOREVER: u64 = u64::MAX;

pub(crate) fn sends(script: &'static [Verb]) -> Party {
    Party { role: Role::Sender, script, steps: FOREVER }
}

pub(crate) fn receives(script: &'static [Verb]) -> Party {
    Party { role: Role::Receiver, script, steps: FOREVER }
}

enum End<T: Tested> {
    Sending(T::Sending),
    Receiving(T::Receiving),
}

impl<T: Tested> End<T> {
    fn new(world: &Arc<World<T::Control>>, shape: &Shape, role: Role, index: usize) -> Self {
        let memory = world.attach(index);
        match role {
            Role::Sender => End::Sending(T::sending(memory, index, shape)),
            Role::Receiver => End::Receiving(T::receiving(memory, index, shape)),
        }
    }

    fn follow(&mut self, record: &Record, process: u16, script: &[Verb]) {
        match self {
            End::Sending(end) => record.sends(process, end, script),
            End::Receiving(end) => record.receives(process, end, script),
        }
    }
}

/// All parties at once. Each end is closed after its script. Returns whether one was stopped.
pub(crate) fn explore<T: Tested>(preemptions: usize, capacity: usize, parties: &[Party]) -> bool {
    let stopped = Arc::new(AtomicBool::new(false));
    let any_stopped = Arc::clone(&stopped);
    let parties = parties.to_vec();
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(move || {
        let (profile, shape) = T::made(capacity);
        let world = World::<T::Control>::new(shape.slots(), LONGEST);
        let record = Arc::new(Record::default());
        let mut taken = [0, 0];
        let mut lives = Vec::new();
        for (process, party) in (0..).zip(parties.clone()) {
            let count = &mut taken[party.role as usize];
            let index = party.role.seats(T::SEATS).start + *count;
            *count += 1;
            let end = End::<T>::new(&world, &shape, party.role, index);
            let (world, record) = (Arc::clone(&world), Arc::clone(&record));
            lives.push(move || {
                let script = |end: &mut End<T>| end.follow(&record, process, party.script);
                let close = |close: &mut dyn FnMut()| record.close(process, close);
                let dies = || record.crash(process);
                live(&world, party.steps, (index, end), script, close, dies, T::tell_sleepers)
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
        record.judge(&profile, &of(&parties, Role::Sender), &of(&parties, Role::Receiver));
    });
    stopped.load(Relaxed)
}

fn of(parties: &[Party], role: Role) -> Vec<u16> {
    (0..).zip(parties).filter(|(_, p)| p.role == role).map(|(process, _)| process).collect()
}

/// Stops each party in front of each of its steps in turn; the others must come to an end by
/// themselves.
pub(crate) fn stop_at_every_step<T: Tested>(
    preemptions: usize,
    capacity: usize,
    parties: &[Party],
) {
    for victim in 0..parties.len() {
        let mut parties = parties.to_vec();
        let steps = (0..).take_while(|&step| {
            parties[victim].steps = step;
            explore::<T>(preemptions, capacity, &parties)
        });
        // One call alone takes more; fewer would mean that hardly anything was stopped.
        assert!(steps.count() > 8);
    }
}

/// What is left behind by parties that live one after another, each stopped in front of its step:
/// after the last, a fresh sender and a fresh receiver must find a link in which all that the
/// model says is there, and nothing else. Whether the last of them was stopped.
///
/// Where there are seats for them, the fresh ends are attached from the beginning, as the model has
/// it: an end that asks the kernel who is there must not be told that nobody is.
fn leave_behind<T: Tested>(capacity: usize, parties: &[Party]) -> bool {
    let stopped = Arc::new(AtomicBool::new(false));
    let last_stopped = Arc::clone(&stopped);
    let mut all = parties.to_vec();
    // More than fits, and more than is there.
    all.push(sends(&[Verb::TrySend, Verb::SendTimed, Verb::TrySend, Verb::TrySend]));
    all.push(receives(&[Verb::TryReceive; 4]));
    loom::model(move || {
        let (profile, shape) = T::made(capacity);
        let world = World::<T::Control>::new(shape.slots(), LONGEST);
        let record = Record::default();
        let fresh = all.len() - 2;
        let spare = usize::from(T::SEATS > 1);
        let attach_fresh = || -> Vec<(u16, End<T>)> {
            let fresh = (0..).zip(&all).skip(fresh);
            let attach = |(process, party): (u16, &Party)| {
                let index = party.role.seats(T::SEATS).start + spare;
                (process, End::<T>::new(&world, &shape, party.role, index))
            };
            fresh.map(attach).collect()
        };
        let early = (spare > 0).then(attach_fresh);
        for (process, party) in (0..).zip(&all).take(fresh) {
            // Whoever takes the place of a dead end takes its seat.
            let index = party.role.seats(T::SEATS).start;
            let birth = modelled::stop_after(party.steps, || {
                let mut end =
                    std::mem::ManuallyDrop::new(End::<T>::new(&world, &shape, party.role, index));
                end.follow(&record, process, party.script);
                modelled::done();
            });
            if usize::from(process) + 1 == fresh {
                last_stopped.store(birth, Relaxed);
            }
            world.release(index);
            record.crash(process);
            T::tell_sleepers(world.control());
        }
        let mut ends = early.unwrap_or_else(attach_fresh);
        for (process, end) in &mut ends {
            let script = all[usize::from(*process)].script;
            end.follow(&record, *process, script);
        }
        record.judge(&profile, &of(&all, Role::Sender), &of(&all, Role::Receiver));
        drop(ends);
    });
    stopped.load(Relaxed)
}

/// Every state that one stop leaves, after every way to fill the link; and every state that a
/// second stop leaves, in the successor's work on each of those. Returns how many there were.
pub(crate) fn sweep<T: Tested>(capacity: usize) -> usize {
    use Verb::{ReceiveTimed, SendTimed, TryReceive, TrySend};
    let states = AtomicUsize::new(0);
    let every_step = |before: &[Party], party: Party, then: &mut dyn FnMut(&[Party])| {
        let mut parties = before.to_vec();
        parties.push(party);
        for step in 0.. {
            parties.last_mut().unwrap().steps = step;
            let stopped = leave_behind::<T>(capacity, &parties);
            states.fetch_add(1, Relaxed);
            then(&parties);
            if !stopped {
                break;
            }
        }
    };
    // Empty, filled, and filled again after the first round.
    let fillings: [&[Party]; 3] = [
        &[],
        &[sends(&[TrySend, TrySend])],
        &[sends(&[TrySend, TrySend]), receives(&[TryReceive]), sends(&[TrySend])],
    ];
    for filling in fillings {
        for victim in [sends(&[TrySend, SendTimed]), receives(&[TryReceive, ReceiveTimed])] {
            every_step(filling, victim, &mut |parties| {
                // The successors of either kind, only where the first stop left something new.
                if filling.len() == 3 {
                    return;
                }
                for successor in [sends(&[SendTimed]), receives(&[ReceiveTimed])] {
                    every_step(parties, successor, &mut |_| {});
                }
            });
        }
    }
    states.into_inner()
}
