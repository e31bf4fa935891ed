//! The algorithm of the two ends, over any memory.

use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;

use super::layout::Control;
use crate::links::{
    Damage, ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError,
    SendingEnd, Size, TryReceiveError, TrySendError,
};
use crate::shm::Memory;
use crate::shm::event::{Look, Patience};
use crate::shm::object::AttachError;
use crate::shm::roster::{Company, Presence, Role, Seat};
use crate::shm::slots::{self, Cursor};

/// The sending end.
pub(crate) struct Sending<M: Memory<Control>> {
    memory: M,
    seat: Seat,
    patience: Patience,
    tail: Tail,
}

/// What the sender alone knows, out of reach of any other process.
///
/// Invariants:
/// * S1: nobody else sends, because we hold the sender's seat.
/// * S2: the slot at `cursor` is free while `cursor` is less than a capacity ahead of `head`.
/// * S3: `head` is at most the shared head, and that is at most `cursor`.
struct Tail {
    capacity: usize,
    size: Size,
    /// Where the next message goes.
    cursor: Cursor,
    /// The shared head as last read, so that most messages read only their own slot.
    head: u64,
    company: Company,
}

/// The receiving end.
pub(crate) struct Receiving<M: Memory<Control>> {
    memory: M,
    seat: Seat,
    patience: Patience,
    head: Head,
}

/// What the receiver alone knows, out of reach of any other process.
///
/// Invariants:
/// * R1: nobody else receives, because we hold the receiver's seat.
/// * R2: a slot whose mark bears the stamp of `cursor` is not written until the shared head
///   passes `cursor`.
struct Head {
    capacity: usize,
    size: Size,
    /// Where the next message comes from. Its position is the shared head.
    cursor: Cursor,
    company: Company,
}

impl<M: Memory<Control>> Sending<M> {
    /// Goes on where the sender before stopped, at whatever instruction that was: a message
    /// without its mark was never sent.
    pub(crate) fn new(
        memory: M,
        seat: Seat,
        capacity: usize,
        size: Size,
    ) -> Result<Sending<M>, AttachError> {
        let head = shared_head(&memory)?;
        let cursor = slots::first_free(&memory, head, capacity);
        let company = Company::new(Role::Receiver.seats(1));
        let tail = Tail { capacity, size, cursor, head, company };
        Ok(Sending { memory, seat, patience: Patience::default(), tail })
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
        if self.is_full() {
            if let Err(damage) = self.look_at_head(control) {
                return Some(Err(SendError::Corrupt(damage)));
            }
            if self.is_full() {
                return None;
            }
        }
        // SAFETY: the cursor's slot is below the capacity, the length was admitted, the slot is
        // free (S2), and nobody else sends (S1).
        unsafe { slots::publish(memory, self.cursor, message) };
        self.cursor = self.cursor.next(self.capacity);
        control.calls.message.call();
        Some(Ok(()))
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.cursor.position - self.head >= self.capacity as u64
    }

    fn look_at_head(&mut self, control: &Control) -> Result<(), Damage> {
        // sync: slot-freed. Pairs with the store in `Head::take`: the receiver has copied
        // everything before its head out of the slots, so that S2 holds again.
        let found = control.head.load(Acquire);
        let (low, high) = (self.head, self.cursor.position);
        if found < low || found > high {
            return Err(Damage::Head { found, low, high });
        }
        self.head = found;
        Ok(())
    }
}

impl<M: Memory<Control>> Receiving<M> {
    /// Goes on where the receiver before stopped: a message whose slot was not given back was
    /// never received.
    pub(crate) fn new(
        memory: M,
        seat: Seat,
        capacity: usize,
        size: Size,
    ) -> Result<Receiving<M>, AttachError> {
        let cursor = Cursor::at(shared_head(&memory)?, capacity);
        let company = Company::new(Role::Sender.seats(1));
        let head = Head { capacity, size, cursor, company };
        Ok(Receiving { memory, seat, patience: Patience::default(), head })
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
        let length = match slots::length(memory, self.cursor) {
            Some(length) => length,
            None => match self.length_or_end(memory, look)? {
                Ok(length) => length,
                Err(end) => return Some(Err(end)),
            },
        } as usize;
        if !self.size.admits(length) {
            let damage = Damage::Length { found: length, allowed: self.size };
            return Some(Err(ReceiveError::Corrupt(damage)));
        }
        let room = buffer.len();
        let Some(buffer) = buffer.get_mut(..length) else {
            return Some(Err(ReceiveError::ShortBuffer { room, needed: length }));
        };
        // SAFETY: the cursor's slot is below the capacity, the length was just checked in
        // private memory, and the slot is not written before we give it back (R2).
        unsafe { memory.copy(self.cursor.slot, buffer) };
        self.cursor = self.cursor.next(self.capacity);
        let control = memory.control();
        // sync: slot-freed. Pairs with the load in `Tail::look_at_head`. Relaxed would let the
        // sender write the slot while we still copy.
        control.head.store(self.cursor.position, Release);
        control.calls.room.call();
        Some(Ok(length))
    }

    /// What an empty ring means: nothing yet, or nothing any more.
    #[inline]
    fn length_or_end<M: Memory<Control>>(
        &mut self,
        memory: &M,
        look: Look,
    ) -> Option<Result<u32, ReceiveError>> {
        let roster = &memory.control().roster;
        if self.company.presence(roster, memory, look) != Presence::Gone {
            return None;
        }
        // The sender may have sent between our look at the slot and its end.
        let last = slots::length(memory, self.cursor);
        Some(last.ok_or(ReceiveError::Disconnected))
    }
}

#[cfg(all(test, not(loom)))]
impl<M: Memory<Control>> Receiving<M> {
    /// What a hostile peer would write to.
    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }
}

/// The number of received messages, unless it is one that no count reaches.
fn shared_head<M: Memory<Control>>(memory: &M) -> Result<u64, AttachError> {
    /// Leaves room for adding a capacity, and takes centuries to reach.
    const HIGH: u64 = u64::MAX / 2;
    // sync: slot-freed. A sender reads here as in `Tail::look_at_head`.
    match memory.control().head.load(Acquire) {
        found @ HIGH.. => Err(AttachError::Corrupt(Damage::Head { found, low: 0, high: HIGH })),
        found => Ok(found),
    }
}

impl<M: Memory<Control>> Drop for Sending<M> {
    fn drop(&mut self) {
        let control = self.memory.control();
        control.roster.leave(self.seat);
        control.calls.message.call();
    }
}

impl<M: Memory<Control>> Drop for Receiving<M> {
    fn drop(&mut self) {
        let control = self.memory.control();
        control.roster.leave(self.seat);
        control.calls.room.call();
    }
}
