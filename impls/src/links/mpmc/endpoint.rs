//! The algorithm of the ends, over any memory: a ring whose ends are lent out.
//!
//! Either side has a lock, and whoever holds it is for that moment the only sender, or the only
//! receiver, of a ring. The lock outlives its holder, and what it protects changes by single
//! stores, so there is hardly anything to repair: a message is sent when its mark is written, and
//! received when the head is.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use super::layout::Control;
use crate::links::{
    Damage, ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError,
    SendingEnd, Size, TryReceiveError, TrySendError,
};
use crate::shm::Memory;
use crate::shm::event::{Look, Patience};
use crate::shm::lock::Got;
use crate::shm::roster::{Company, Presence, Role, Seat};
use crate::shm::slots::{self, Cursor};
use crate::sync::SEATS;

/// A sending end.
pub(crate) struct Sending<M: Memory<Control>> {
    memory: M,
    patience: Patience,
    tail: Tail,
}

/// What a sender alone knows, out of reach of any other process.
struct Tail {
    seat: Seat,
    capacity: usize,
    size: Size,
    /// Where this end would go on if no other had sent meanwhile.
    cursor: Cursor,
    company: Company,
}

/// A receiving end.
pub(crate) struct Receiving<M: Memory<Control>> {
    memory: M,
    patience: Patience,
    head: Head,
}

/// What a receiver alone knows, out of reach of any other process.
struct Head {
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

impl<M: Memory<Control>> Sending<M> {
    pub(crate) fn new(memory: M, seat: Seat, capacity: usize, size: Size) -> Sending<M> {
        let company = Company::new(Role::Receiver.seats(SEATS));
        let tail = Tail { seat, capacity, size, cursor: Cursor::at(0, capacity), company };
        Sending { memory, patience: Patience::default(), tail }
    }

    pub(crate) fn peer_presence(&mut self) -> Presence {
        let roster = &self.memory.control().roster;
        self.tail.company.presence(roster, &self.memory, Look::Thorough)
    }
}

impl<M: Memory<Control>> SendingEnd for Sending<M> {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        let room = &self.memory.control().calls.room;
        room.wait(|look| self.tail.put(&self.memory, message, look))
    }

    #[inline]
    fn try_send(&mut self, message: &[u8]) -> Result<(), TrySendError> {
        let put = self.patience.attempt(|look| self.tail.put(&self.memory, message, look));
        Ok(put.ok_or(TrySendError::Full)??)
    }

    fn send_timeout(&mut self, message: &[u8], patience: Duration) -> Result<(), SendTimeoutError> {
        let room = &self.memory.control().calls.room;
        let put = room.wait_timeout(patience, |look| self.tail.put(&self.memory, message, look));
        Ok(put.ok_or(SendTimeoutError::Timeout)??)
    }
}

impl Tail {
    /// Puts one message in. `None` if there is no room.
    #[inline]
    fn put<M: Memory<Control>>(
        &mut self,
        memory: &M,
        message: &[u8],
        look: Look,
    ) -> Option<Result<(), SendError>> {
        if !self.size.admits(message.len()) {
            let error = SendError::WrongSize { given: message.len(), allowed: self.size };
            return Some(Err(error));
        }
        let control = memory.control();
        if self.company.presence(&control.roster, memory, look) == Presence::Gone {
            return Some(Err(SendError::Disconnected));
        }
        let lock = &control.sending.lock;
        let got = lock.acquire(&control.roster, memory, self.seat);
        let put = self.put_alone(memory, message, got);
        lock.release();
        if let Ok(true) = put {
            control.calls.message.call();
        }
        match put {
            Ok(true) => Some(Ok(())),
            Ok(false) => None,
            Err(damage) => Some(Err(SendError::Corrupt(damage))),
        }
    }

    /// Puts one message in, by the holder of the lock. Whether there was room.
    #[inline]
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
        let at = cursor_at(self.cursor, position, self.capacity);
        // SAFETY: the cursor's slot is below the capacity, the length was admitted, the slot is
        // free because the head is less than a capacity behind, and nobody else sends because we
        // hold the lock.
        unsafe { slots::publish(memory, at, message) };
        self.cursor = at.next(self.capacity);
        side.tail.store(self.cursor.position, Relaxed);
        Ok(true)
    }
}

/// Also true of a head that cannot be, which is then looked at.
#[inline]
fn is_full(tail: u64, head: u64, capacity: usize) -> bool {
    tail.wrapping_sub(head) >= capacity as u64
}

impl<M: Memory<Control>> Receiving<M> {
    pub(crate) fn new(memory: M, seat: Seat, capacity: usize, size: Size) -> Receiving<M> {
        let company = Company::new(Role::Sender.seats(SEATS));
        let head = Head { seat, capacity, size, cursor: Cursor::at(0, capacity), company };
        Receiving { memory, patience: Patience::default(), head }
    }

    pub(crate) fn peer_presence(&mut self) -> Presence {
        let roster = &self.memory.control().roster;
        self.head.company.presence(roster, &self.memory, Look::Thorough)
    }
}

impl<M: Memory<Control>> ReceivingEnd for Receiving<M> {
    #[inline]
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        let message = &self.memory.control().calls.message;
        message.wait(|look| self.head.take(&self.memory, buffer, look))
    }

    #[inline]
    fn try_receive(&mut self, buffer: &mut [u8]) -> Result<usize, TryReceiveError> {
        let taken = self.patience.attempt(|look| self.head.take(&self.memory, buffer, look));
        Ok(taken.ok_or(TryReceiveError::Empty)??)
    }

    fn receive_timeout(
        &mut self,
        buffer: &mut [u8],
        patience: Duration,
    ) -> Result<usize, ReceiveTimeoutError> {
        let message = &self.memory.control().calls.message;
        let taken =
            message.wait_timeout(patience, |look| self.head.take(&self.memory, buffer, look));
        Ok(taken.ok_or(ReceiveTimeoutError::Timeout)??)
    }
}

impl Head {
    /// Takes one message out. `None` if there is none.
    #[inline]
    fn take<M: Memory<Control>>(
        &mut self,
        memory: &M,
        buffer: &mut [u8],
        look: Look,
    ) -> Option<Result<usize, ReceiveError>> {
        let taken = self.take_now(memory, buffer);
        if taken.is_some() {
            return taken;
        }
        let roster = &memory.control().roster;
        if self.company.presence(roster, memory, look) != Presence::Gone {
            return None;
        }
        // The last sender may have sent between our look at the slot and its end.
        Some(self.take_now(memory, buffer).unwrap_or(Err(ReceiveError::Disconnected)))
    }

    #[inline]
    fn take_now<M: Memory<Control>>(
        &mut self,
        memory: &M,
        buffer: &mut [u8],
    ) -> Option<Result<usize, ReceiveError>> {
        let control = memory.control();
        if self.is_empty(memory) {
            return None;
        }
        let lock = &control.receiving.lock;
        // The head is all there is to repair, and it is written at once.
        lock.acquire(&control.roster, memory, self.seat);
        let taken = self.take_alone(memory, buffer);
        lock.release();
        if let Some(Ok(_)) = taken {
            control.calls.room.call();
        }
        taken
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
    #[inline]
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
        // SAFETY: the cursor's slot is below the capacity, the length was just checked in
        // private memory, and no sender writes the slot before the head passes it.
        unsafe { memory.copy(at.slot, buffer) };
        self.cursor = at.next(self.capacity);
        // sync: slot-freed. Pairs with the load in `Tail::put_alone`. Relaxed would let a sender
        // write the slot while we still copy.
        side.head.store(self.cursor.position, Release);
        Some(Ok(length))
    }
}

impl<M: Memory<Control>> Drop for Sending<M> {
    fn drop(&mut self) {
        let control = self.memory.control();
        control.roster.leave(self.tail.seat);
        control.calls.message.call();
    }
}

impl<M: Memory<Control>> Drop for Receiving<M> {
    fn drop(&mut self) {
        let control = self.memory.control();
        control.roster.leave(self.head.seat);
        control.calls.room.call();
    }
}
