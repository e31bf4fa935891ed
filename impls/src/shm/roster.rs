//! Who is attached to a link, and who has gone.
//!
//! Every end holds a *seat*. In the shared memory a seat is a word that says what its holder says
//! of itself; in the kernel it is a lock on one byte of the shared object, which belongs to the
//! end's open file description and which the kernel gives back when that ends, also by
//! `kill -9`. An end is dead when its word says that it is there and its lock is free. No process
//! id takes part, so the reuse of one cannot deceive.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::Memory;
use super::event::Look;
use crate::sync::{AtomicU32, SEATS};

/// What an end does on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Puts messages in.
    Sender,
    /// Takes messages out.
    Receiver,
}

impl Role {
    /// The role of those whom this one exchanges messages with.
    pub(crate) fn peers(self) -> Role {
        match self {
            Role::Sender => Role::Receiver,
            Role::Receiver => Role::Sender,
        }
    }

    /// The seats for this role when each role has `each`.
    pub(crate) fn seats(self, each: usize) -> std::ops::Range<usize> {
        let first = match self {
            Role::Sender => 0,
            Role::Receiver => SEATS,
        };
        first..first + each.min(SEATS)
    }
}

/// What is known of all ends of one role together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// None has ever come.
    Awaited,
    /// At least one is there.
    Here,
    /// Some came, and all have left or died.
    Gone,
}

/// The words of all seats.
#[derive(Default)]
#[repr(C, align(128))]
pub(crate) struct Roster {
    /// Counts arrivals and departures, so that an end can remember what it read below.
    changes: AtomicU32,
    /// Bits 0 and 1: 0 never taken, 1 taken, 2 left in order. Above: how often it was taken.
    /// The senders' seats, then the receivers'.
    seats: [[AtomicU32; SEATS]; 2],
}

const STATE: u32 = 3;
const TAKEN: u32 = 1;
const LEFT: u32 = 2;
const GENERATION: u32 = 4;

/// One end's hold on its seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) index: usize,
    /// The whole word, so that two holders of one seat, one after the other, differ.
    word: u32,
}

impl Seat {
    /// Bits 1 to 7: the seat, from 1 on. Bits 8 to 31: the generation, which repeats only after
    /// sixteen million newcomers. Never 0, and bit 0 is free for others.
    pub(crate) fn badge(self) -> u32 {
        badge(self.index, self.word)
    }
}

fn badge(index: usize, word: u32) -> u32 {
    // Seats are few; see `SEATS`.
    (word / GENERATION) << 8 | (index as u32 + 1) << 1
}

impl Roster {
    /// Sits down on a seat whose lock the caller has just got.
    pub(crate) fn enter(&self, index: usize) -> Seat {
        // Only the holder of the lock writes the word, so it cannot change meanwhile.
        let before = self.seat(index).load(Relaxed) & !STATE;
        let word = before.wrapping_add(GENERATION) | TAKEN;
        // sync: presence. Pairs with the loads in `presence`.
        self.seat(index).store(word, Release);
        // sync: roster-change. Pairs with the load in `Company::presence`.
        self.changes.fetch_add(1, AcqRel);
        Seat { index, word }
    }

    /// Leaves in order. The lock is given back afterwards.
    pub(crate) fn leave(&self, seat: Seat) {
        // sync: presence. Whoever sees us gone sees all that we sent before.
        self.seat(seat.index).store((seat.word & !STATE) | LEFT, Release);
        // sync: roster-change.
        self.changes.fetch_add(1, AcqRel);
    }

    fn seat(&self, index: usize) -> &AtomicU32 {
        &self.seats[index / SEATS][index % SEATS]
    }

    fn presence<C>(
        &self,
        memory: &impl Memory<C>,
        seats: std::ops::Range<usize>,
        look: Look,
    ) -> Presence {
        let mut presence = Presence::Awaited;
        for index in seats {
            // sync: presence.
            let word = self.seat(index).load(Acquire);
            match word & STATE {
                0 => {}
                TAKEN if look == Look::Glance || self.is_alive(memory, Seat { index, word }) => {
                    return Presence::Here;
                }
                _ => presence = Presence::Gone,
            }
        }
        presence
    }

    /// How many living ends there are besides the one that asks.
    pub(crate) fn others<C>(&self, memory: &impl Memory<C>, me: Seat) -> usize {
        let others = (0..2 * SEATS).filter(|index| *index != me.index);
        others.filter(|index| self.is_occupied(memory, *index)).count()
    }

    /// Whether an end died that nobody has replaced.
    pub(crate) fn has_dead<C>(&self, memory: &impl Memory<C>, me: Seat) -> bool {
        (0..2 * SEATS).filter(|index| *index != me.index).any(|index| {
            // sync: presence.
            let word = self.seat(index).load(Acquire);
            word & STATE == TAKEN && !self.is_alive(memory, Seat { index, word })
        })
    }

    /// Whether a living end sits here, or is about to.
    pub(crate) fn is_occupied<C>(&self, memory: &impl Memory<C>, index: usize) -> bool {
        // sync: presence.
        self.seat(index).load(Acquire) & STATE == TAKEN && memory.is_held(index)
    }

    /// Whether the end that wears this badge lives. One that nobody can wear does not.
    pub(crate) fn is_badge_alive<C>(&self, memory: &impl Memory<C>, worn: u32) -> bool {
        let index = (worn >> 1 & 0x7F) as usize;
        if !(1..=2 * SEATS).contains(&index) {
            return false;
        }
        let index = index - 1;
        // sync: presence.
        let word = self.seat(index).load(Acquire);
        badge(index, word) == worn && word & STATE == TAKEN && memory.is_held(index)
    }

    /// Whether the process that sat down as `seat` still lives and sits there.
    pub(crate) fn is_alive<C>(&self, memory: &impl Memory<C>, seat: Seat) -> bool {
        // The order matters. A newcomer takes the lock before it writes the word: if the lock was
        // free and the word afterwards is still the same, then its writer has died.
        memory.is_held(seat.index) || self.seat(seat.index).load(Acquire) != seat.word
    }
}

/// What one end remembers about the ends of the other role, so that the fast path reads one word
/// that hardly ever changes.
#[derive(Debug)]
pub(crate) struct Company {
    seats: std::ops::Range<usize>,
    changes: u32,
    presence: Option<Presence>,
}

impl Company {
    pub(crate) fn new(seats: std::ops::Range<usize>) -> Company {
        Company { seats, changes: 0, presence: None }
    }

    /// Whether, at a glance, nobody has come or gone since these were seen last, and they have not
    /// all gone.
    #[inline]
    pub(crate) fn lasts(&self, roster: &Roster) -> bool {
        let there = matches!(self.presence, Some(Presence::Awaited | Presence::Here));
        // sync: roster-change. As in `presence`.
        there && roster.changes.load(Acquire) == self.changes
    }

    #[inline]
    pub(crate) fn presence<C>(
        &mut self,
        roster: &Roster,
        memory: &impl Memory<C>,
        look: Look,
    ) -> Presence {
        // sync: roster-change. Read before the seats: a change that the seats do not show yet
        // moves the count later, and makes us look again.
        let changes = roster.changes.load(Acquire);
        match self.presence {
            Some(known) if changes == self.changes && look == Look::Glance => known,
            _ => self.survey(roster, memory, look, changes),
        }
    }

    #[cold]
    fn survey<C>(
        &mut self,
        roster: &Roster,
        memory: &impl Memory<C>,
        look: Look,
        changes: u32,
    ) -> Presence {
        let presence = roster.presence(memory, self.seats.clone(), look);
        self.changes = changes;
        self.presence = Some(presence);
        presence
    }
}
