//! The algorithm of the ends, over any memory: a ring whose ends are lent out.
//!
//! Either side has a lock, and whoever holds it is for that moment the only sender, or the only
//! receiver, of a ring. The lock outlives its holder, and what it protects changes by single
//! stores, so there is hardly anything to repair: a message is sent when its mark is written, and
//! received when the head is.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::layout::Control;
use crate::links::ends::{Attempt, End, Pending, Put, Side, Take, Way, or_the_end};
use crate::links::{Damage, ReceiveError, SendError, Size};
use crate::shm::Memory;
use crate::shm::event::{Event, Look};
use crate::shm::lock::Got;
use crate::shm::object::{AttachError, Shape};
use crate::shm::roster::{Company, Presence, Role, Seat};
use crate::shm::slots::{self, Cursor};
use crate::sync::SEATS;

/// A sending end.
pub(crate) type Sending<M> = End<M, Tail>;

/// A receiving end.
pub(crate) type Receiving<M> = End<M, Head>;

/// What a sender alone knows, out of reach of any other process.
pub(crate) struct Tail {
    pub(super) seat: Seat,
    capacity: usize,
    size: Size,
    /// Where this end would go on if no other had sent meanwhile.
    cursor: Cursor,
    company: Company,
}

/// What a receiver alone knows, out of reach of any other process.
pub(crate) struct Head {
    seat: Seat,
    capacity: usize,
    size: Size,
    /// Where this end would go on if no other had received meanwhile.
    cursor: Cursor,
    company: Company,
}

/// `cursor` if it is at `position`, else another that is.
#[inline]
fn cursor_at(cursor: Cursor, position: u64, capacity: usize) -> Cursor {
    if cursor.position == position { cursor } else { Cursor::at(position, capacity) }
}

impl<M: Memory<Control>> Side<M> for Tail {
    fn new(_: &M, seat: Seat, shape: &Shape) -> Result<Tail, AttachError> {
        let &Shape { capacity, size, .. } = shape;
        let company = Company::new(Role::Receiver.seats(SEATS));
        Ok(Tail { seat, capacity, size, cursor: Cursor::at(0, capacity), company })
    }

    #[inline]
    fn event<'m>(&self, memory: &'m M) -> &'m Event {
        &memory.control().calls.room
    }

    fn peers(&mut self, memory: &M) -> Presence {
        self.company.presence(&memory.control().roster, memory, Look::Thorough)
    }

    fn leave(&self, memory: &M) {
        let control = memory.control();
        control.roster.leave(self.seat);
        control.calls.message.call();
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
        let known = self.size.admits(message.len()) && self.company.lasts(&control.roster);
        if !known || !side.lock.is_free_for(self.seat) {
            return false;
        }
        // As in `put_alone`.
        let position = side.tail.load(Relaxed);
        let fits = !is_full(position, side.head.load(Relaxed), self.capacity);
        if fits {
            self.publish(memory, message, position);
        }
        side.lock.release();
        if fits {
            control.calls.message.call();
        }
        fits
    }

    fn put(&mut self, memory: &M, message: &[u8], way: Way<'_>) -> Attempt<(), SendError> {
        if !self.size.admits(message.len()) {
            return Ok(Err(SendError::WrongSize { given: message.len(), allowed: self.size }));
        }
        let control = memory.control();
        if self.company.presence(&control.roster, memory, way.look) == Presence::Gone {
            return Ok(Err(SendError::Disconnected));
        }
        let lock = &control.sending.lock;
        let got = lock.acquire(&control.roster, memory, self.seat, way.until);
        let got = got.ok_or(Pending::Lock)?;
        let put = self.put_alone(memory, message, got);
        lock.release();
        match put {
            Ok(true) => {
                control.calls.message.call();
                Ok(Ok(()))
            }
            Ok(false) => Err(Pending::Peer),
            Err(damage) => Ok(Err(SendError::Corrupt(damage))),
        }
    }
}

impl Tail {
    /// Puts one message in, by the holder of the lock. Whether there was room.
    fn put_alone<M: Memory<Control>>(
        &mut self,
        memory: &M,
        message: &[u8],
        got: Got,
    ) -> Result<bool, Damage> {
        let side = &memory.control().sending;
        // Only the holder of the lock writes these two, so Relaxed sees the last holder's.
        let mut position = side.tail.load(Relaxed);
        if got == Got::Inherited {
            // The dead sender may have marked its message and not counted it.
            let at = Cursor::at(position, self.capacity);
            position = position.wrapping_add(u64::from(slots::length(memory, at).is_some()));
        }
        if is_full(position, side.head.load(Relaxed), self.capacity) {
            // sync: slot-freed. Pairs with the store in `Head::take_alone`: receivers have
            // copied everything before the head out of the slots.
            let head = memory.control().receiving.head.load(Acquire);
            if position.wrapping_sub(head) > self.capacity as u64 {
                let low = position.saturating_sub(self.capacity as u64);
                return Err(Damage::Head { found: head, low, high: position });
            }
            side.head.store(head, Relaxed);
            if is_full(position, head, self.capacity) {
                side.tail.store(position, Relaxed);
                return Ok(false);
            }
        }
        self.publish(memory, message, position);
        Ok(true)
    }

    /// Puts a message of a length that was admitted to a position less than a capacity ahead of the
    /// head, by the holder of the lock.
    #[inline]
    fn publish<M: Memory<Control>>(&mut self, memory: &M, message: &[u8], position: u64) {
        let at = cursor_at(self.cursor, position, self.capacity);
        // SAFETY: the cursor's slot is below the capacity, the length was admitted, the slot is
        // free because the head is less than a capacity behind, and nobody else sends because we
        // hold the lock.
        unsafe { slots::publish(memory, at, message) };
        self.cursor = at.next(self.capacity);
        memory.control().sending.tail.store(self.cursor.position, Relaxed);
    }
}

/// Also true of a head that cannot be, which is then looked at.
#[inline]
fn is_full(tail: u64, head: u64, capacity: usize) -> bool {
    tail.wrapping_sub(head) >= capacity as u64
}

impl<M: Memory<Control>> Side<M> for Head {
    fn new(_: &M, seat: Seat, shape: &Shape) -> Result<Head, AttachError> {
        let &Shape { capacity, size, .. } = shape;
        let company = Company::new(Role::Sender.seats(SEATS));
        Ok(Head { seat, capacity, size, cursor: Cursor::at(0, capacity), company })
    }

    #[inline]
    fn event<'m>(&self, memory: &'m M) -> &'m Event {
        &memory.control().calls.message
    }

    fn peers(&mut self, memory: &M) -> Presence {
        self.company.presence(&memory.control().roster, memory, Look::Thorough)
    }

    fn leave(&self, memory: &M) {
        let control = memory.control();
        control.roster.leave(self.seat);
        control.calls.room.call();
    }

    #[inline]
    fn is_cut(memory: &M) -> bool {
        memory.is_cut()
    }
}

impl<M: Memory<Control>> Take<M> for Head {
    #[inline]
    fn take_at_once(&mut self, memory: &M, buffer: &mut [u8]) -> Option<usize> {
        let control = memory.control();
        let side = &control.receiving;
        if self.is_empty(memory) || !side.lock.is_free_for(self.seat) {
            return None;
        }
        // As in `take_alone`.
        let at = cursor_at(self.cursor, side.head.load(Relaxed), self.capacity);
        let length = slots::length(memory, at).map(|length| length as usize);
        let length = length.filter(|length| self.size.admits(*length) && *length <= buffer.len());
        if let Some(length) = length {
            self.copy_out(memory, at, &mut buffer[..length]);
        }
        side.lock.release();
        if length.is_some() {
            control.calls.room.call();
        }
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
        // The head is all there is to repair, and it is written at once.
        let got = lock.acquire(&control.roster, memory, self.seat, way.until);
        got.ok_or(Pending::Lock)?;
        let taken = self.take_alone(memory, buffer);
        lock.release();
        if let Some(Ok(_)) = taken {
            control.calls.room.call();
        }
        taken.ok_or(Pending::Peer)
    }

    /// Whether there was no message at one moment of this call. Without the lock, so that
    /// receivers that wait do not hold up one that works.
    #[inline]
    fn is_empty<M: Memory<Control>>(&mut self, memory: &M) -> bool {
        let head = &memory.control().receiving.head;
        // sync: head-read. Acquire keeps the look at the mark behind it.
        let position = head.load(Acquire);
        self.cursor = cursor_at(self.cursor, position, self.capacity);
        // If the head stayed where it was, the mark was that of the next message to receive.
        slots::length(memory, self.cursor).is_none() && head.load(Relaxed) == position
    }

    /// Takes one message out, by the holder of the lock.
    fn take_alone<M: Memory<Control>>(
        &mut self,
        memory: &M,
        buffer: &mut [u8],
    ) -> Option<Result<usize, ReceiveError>> {
        let side = &memory.control().receiving;
        // Only the holder of the lock writes it, so Relaxed sees the last holder's.
        let at = cursor_at(self.cursor, side.head.load(Relaxed), self.capacity);
        let length = slots::length(memory, at)? as usize;
        if !self.size.admits(length) {
            let damage = Damage::Length { found: length, allowed: self.size };
            return Some(Err(ReceiveError::Corrupt(damage)));
        }
        let room = buffer.len();
        let Some(buffer) = buffer.get_mut(..length) else {
            return Some(Err(ReceiveError::ShortBuffer { room, needed: length }));
        };
        self.copy_out(memory, at, buffer);
        Some(Ok(length))
    }

    /// Takes out a message that is there, of a length that was admitted, by the holder of the lock.
    #[inline]
    fn copy_out<M: Memory<Control>>(&mut self, memory: &M, at: Cursor, buffer: &mut [u8]) {
        // SAFETY: the cursor's slot is below the capacity, the length was checked in private
        // memory, and no sender writes the slot before the head passes it.
        unsafe { memory.copy(at.slot, 0, buffer) };
        self.cursor = at.next(self.capacity);
        // sync: slot-freed. Pairs with the load in `Tail::put_alone`. Relaxed would let a sender
        // write the slot while we still copy.
        memory.control().receiving.head.store(self.cursor.position, Release);
    }
}
