//! The algorithm of the ends, over any memory: a mailbox whose slots come and go by segments.
//!
//! As in the mailbox, either side has a lock that outlives its holder, a message is sent when its
//! mark is written, and received when the head is.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::layout::Control;
use super::segments::{Limit, Segments};
use crate::links::ends::{Attempt, End, Pending, Put, Side, Take, Way, or_the_end};
use crate::links::{Damage, ReceiveError, SendError, Size};
use crate::shm::Memory;
use crate::shm::event::{Event, Look};
use crate::shm::lock::Got;
use crate::shm::object::{AttachError, Shape};
use crate::shm::roster::{Company, Presence, Role, Seat};
use crate::shm::slots;
use crate::sync::SEATS;

/// A sending end.
pub(crate) type Sending<M> = End<M, Tail>;

/// A receiving end.
pub(crate) type Receiving<M> = End<M, Head>;

/// What a sender alone knows, out of reach of any other process.
pub(crate) struct Tail {
    seat: Seat,
    size: Size,
    budget: u64,
    segments: Segments,
    company: Company,
    /// How closely the next message looks at the receivers. It never waits, so nothing else would
    /// ever have it ask the kernel.
    look: Look,
}

/// What a receiver alone knows, out of reach of any other process.
pub(crate) struct Head {
    seat: Seat,
    size: Size,
    segments: Segments,
    company: Company,
}

impl<M: Memory<Control>> Side<M> for Tail {
    fn new(_: &M, seat: Seat, shape: &Shape) -> Result<Tail, AttachError> {
        let company = Company::new(Role::Receiver.seats(SEATS));
        let segments = Segments::new(shape.capacity);
        let (size, budget, look) = (shape.size, shape.budget(), Look::Thorough);
        Ok(Tail { seat, size, budget, segments, company, look })
    }

    /// A sender never waits, so nobody calls it.
    fn event<'m>(&self, memory: &'m M) -> &'m Event {
        &memory.control().message
    }

    fn peers(&mut self, memory: &M) -> Presence {
        self.company.presence(&memory.control().roster, memory, Look::Thorough)
    }

    fn leave(&self, memory: &M) {
        let control = memory.control();
        control.roster.leave(self.seat);
        control.message.call();
    }

    #[inline]
    fn is_cut(memory: &M) -> bool {
        memory.is_cut()
    }
}

impl<M: Memory<Control>> Put<M> for Tail {
    #[inline]
    fn put_at_once(&mut self, memory: &M, message: &[u8]) -> bool {
        let control = memory.control();
        let side = &control.sending;
        let known = self.size.admits(message.len())
            && self.look == Look::Glance
            && self.company.lasts(&control.roster);
        if !known || !side.lock.is_free_for(self.seat) {
            return false;
        }
        // As in `put_alone`.
        let position = side.tail.load(Relaxed);
        let at = self.segments.locate(memory, position);
        if let Some(at) = at {
            Tail::publish(memory, message, at);
        }
        side.lock.release();
        if at.is_some() {
            control.message.call();
        }
        at.is_some()
    }

    fn put(&mut self, memory: &M, message: &[u8], way: Way<'_>) -> Attempt<(), SendError> {
        if !self.size.admits(message.len()) {
            return Ok(Err(SendError::WrongSize { given: message.len(), allowed: self.size }));
        }
        let control = memory.control();
        if self.company.presence(&control.roster, memory, self.look) == Presence::Gone {
            return Ok(Err(SendError::Disconnected));
        }
        self.look = Look::Glance;
        let lock = &control.sending.lock;
        let got = lock.acquire(&control.roster, memory, self.seat, way.until);
        let got = got.ok_or(Pending::Lock)?;
        let put = self.put_alone(memory, message, got);
        lock.release();
        if put.is_ok() {
            control.message.call();
        }
        Ok(put)
    }
}

impl Tail {
    /// Puts one message in, by the holder of the lock.
    fn put_alone<M: Memory<Control>>(
        &mut self,
        memory: &M,
        message: &[u8],
        got: Got,
    ) -> Result<(), SendError> {
        let control = memory.control();
        // Only the holder of the lock writes it, so Relaxed sees the last holder's.
        let mut position = control.sending.tail.load(Relaxed);
        if got == Got::Inherited
            && let Some(at) = self.segments.locate(memory, position)
            && slots::length(memory, at).is_some()
        {
            // The dead sender has marked its message and not counted it.
            position = position.wrapping_add(1);
            control.sending.tail.store(position, Relaxed);
        }
        let at = match self.segments.locate(memory, position) {
            Some(at) => at,
            None => {
                // System calls are made now anyway.
                self.look = Look::Thorough;
                self.grow(memory, position)?
            }
        };
        Tail::publish(memory, message, at);
        Ok(())
    }

    /// Puts a message of a length that was admitted to where `locate` or `grow` said, by the holder
    /// of the lock.
    #[inline]
    fn publish<M: Memory<Control>>(memory: &M, message: &[u8], at: slots::Cursor) {
        // SAFETY: `locate` and `grow` give slots within the shape, the length was admitted, and
        // nobody else sends because we hold the lock; nobody reads a position without its mark.
        unsafe { slots::publish(memory, at, message) };
        memory.control().sending.tail.store(at.position.wrapping_add(1), Relaxed);
    }

    #[cold]
    fn grow<M: Memory<Control>>(
        &mut self,
        memory: &M,
        position: u64,
    ) -> Result<slots::Cursor, SendError> {
        // sync: slot-freed. Pairs with the store in `Head::take_alone`: receivers have copied
        // everything before the head out of the slots.
        let head = memory.control().receiving.head.load(Acquire);
        if head > position {
            let damage = Damage::Head { found: head, low: 0, high: position };
            return Err(SendError::Corrupt(damage));
        }
        self.segments.grow(memory, head, position).map_err(|limit| match limit {
            Limit::Budget => SendError::Exhausted { budget: self.budget },
            Limit::Memory(short) => SendError::NoRoom { bytes: short.bytes },
        })
    }
}

impl<M: Memory<Control>> Side<M> for Head {
    fn new(_: &M, seat: Seat, shape: &Shape) -> Result<Head, AttachError> {
        let company = Company::new(Role::Sender.seats(SEATS));
        Ok(Head { seat, size: shape.size, segments: Segments::new(shape.capacity), company })
    }

    #[inline]
    fn event<'m>(&self, memory: &'m M) -> &'m Event {
        &memory.control().message
    }

    fn peers(&mut self, memory: &M) -> Presence {
        self.company.presence(&memory.control().roster, memory, Look::Thorough)
    }

    /// Senders see it when they next look; they do not sleep.
    fn leave(&self, memory: &M) {
        memory.control().roster.leave(self.seat);
    }

    #[inline]
    fn is_cut(memory: &M) -> bool {
        memory.is_cut()
    }
}

impl<M: Memory<Control>> Take<M> for Head {
    #[inline]
    fn take_at_once(&mut self, memory: &M, buffer: &mut [u8]) -> Option<usize> {
        let side = &memory.control().receiving;
        if self.is_empty(memory) || !side.lock.is_free_for(self.seat) {
            return None;
        }
        // As in `take_alone`. The last of a segment takes longer.
        let position = side.head.load(Relaxed);
        let at = self.segments.locate(memory, position);
        let at = at.filter(|_| !self.segments.is_last(position));
        let length = at.and_then(|at| slots::length(memory, at)).map(|length| length as usize);
        let length = length.filter(|length| self.size.admits(*length) && *length <= buffer.len());
        if let (Some(at), Some(length)) = (at, length) {
            Head::copy_out(memory, at, &mut buffer[..length]);
        }
        side.lock.release();
        length
    }

    fn take(
        &mut self,
        memory: &M,
        buffer: &mut [u8],
        way: Way<'_>,
    ) -> Attempt<usize, ReceiveError> {
        let roster = &memory.control().roster;
        or_the_end(
            self,
            |side| side.take_now(memory, buffer, way),
            |side| side.company.presence(roster, memory, way.look) == Presence::Gone,
        )
    }
}

impl Head {
    fn take_now<M: Memory<Control>>(
        &mut self,
        memory: &M,
        buffer: &mut [u8],
        way: Way<'_>,
    ) -> Attempt<usize, ReceiveError> {
        let control = memory.control();
        if self.is_empty(memory) {
            return Err(Pending::Peer);
        }
        let lock = &control.receiving.lock;
        let got = lock.acquire(&control.roster, memory, self.seat, way.until);
        let got = got.ok_or(Pending::Lock)?;
        let taken = self.take_alone(memory, buffer, got);
        lock.release();
        taken.ok_or(Pending::Peer)
    }

    /// Whether there was no message at one moment of this call. Without the lock, so that
    /// receivers that wait do not hold up one that works.
    #[inline]
    fn is_empty<M: Memory<Control>>(&mut self, memory: &M) -> bool {
        let head = &memory.control().receiving.head;
        // sync: head-read. Acquire keeps the look at the mark behind it.
        let position = head.load(Acquire);
        let at = self.segments.locate(memory, position);
        // If the head stayed where it was, the mark was that of the next message to receive.
        at.and_then(|at| slots::length(memory, at)).is_none() && head.load(Relaxed) == position
    }

    /// Takes one message out, by the holder of the lock.
    fn take_alone<M: Memory<Control>>(
        &mut self,
        memory: &M,
        buffer: &mut [u8],
        got: Got,
    ) -> Option<Result<usize, ReceiveError>> {
        let side = &memory.control().receiving;
        // Only the holder of the lock writes it, so Relaxed sees the last holder's.
        let position = side.head.load(Relaxed);
        if got == Got::Inherited {
            // The dead receiver may have been giving memory back.
            self.shrink(memory, position, true);
        }
        let at = self.segments.locate(memory, position)?;
        let length = slots::length(memory, at)? as usize;
        if !self.size.admits(length) {
            let damage = Damage::Length { found: length, allowed: self.size };
            return Some(Err(ReceiveError::Corrupt(damage)));
        }
        let room = buffer.len();
        let Some(buffer) = buffer.get_mut(..length) else {
            return Some(Err(ReceiveError::ShortBuffer { room, needed: length }));
        };
        Head::copy_out(memory, at, buffer);
        if self.segments.is_last(position) {
            self.shrink(memory, position.wrapping_add(1), false);
        }
        Some(Ok(length))
    }

    /// Takes out a message that is there, of a length that was admitted, by the holder of the lock.
    #[inline]
    fn copy_out<M: Memory<Control>>(memory: &M, at: slots::Cursor, buffer: &mut [u8]) {
        // SAFETY: `locate` gives slots within the shape, the length was checked in private memory,
        // and no sender writes the slot before the head has left its segment.
        unsafe { memory.copy(at.slot, 0, buffer) };
        // sync: slot-freed. Pairs with the load in `Tail::grow`. Relaxed would let a sender write
        // the slot while we still copy.
        memory.control().receiving.head.store(at.position.wrapping_add(1), Release);
    }

    /// Gives memory back, if no sender is at work; else a later receiver will.
    #[cold]
    fn shrink<M: Memory<Control>>(&self, memory: &M, head: u64, all: bool) {
        let lock = &memory.control().sending.lock;
        if lock.is_free_for(self.seat) {
            self.segments.shrink(memory, head, all);
            lock.release();
        }
    }
}
