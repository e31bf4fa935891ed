//! The algorithm of the two ends, over any memory.

use std::sync::atomic::Ordering::{Acquire, Release};

use super::layout::Control;
use crate::links::ends::{Attempt, End, Pending, Put, Side, Take, Way};
use crate::links::loans::{Borrowed, Lend};
use crate::links::{Damage, ReceiveError, SendError, Size};
use crate::shm::Memory;
use crate::shm::event::{Event, Look};
use crate::shm::object::{AttachError, Shape};
use crate::shm::roster::{Company, Presence, Role, Seat};
use crate::shm::slots::{self, Cursor};

/// The sending end.
pub(crate) type Sending<M> = End<M, Tail>;

/// The receiving end.
pub(crate) type Receiving<M> = End<M, Head>;

/// What the sender alone knows, out of reach of any other process.
///
/// Invariants:
/// * S1: nobody else sends, because we hold the sender's seat.
/// * S2: the slot at `cursor` is free while `cursor` is less than a capacity ahead of `head`.
/// * S3: `head` is at most the shared head, and that is at most `cursor`.
pub(crate) struct Tail {
    seat: Seat,
    capacity: usize,
    size: Size,
    /// Where the next message goes.
    cursor: Cursor,
    /// The shared head as last read, so that most messages read only their own slot.
    head: u64,
    company: Company,
}

/// What the receiver alone knows, out of reach of any other process.
///
/// Invariants:
/// * R1: nobody else receives, because we hold the receiver's seat.
/// * R2: a slot whose mark bears the stamp of `cursor` is not written until the shared head
///   passes `cursor`.
pub(crate) struct Head {
    seat: Seat,
    capacity: usize,
    size: Size,
    /// Where the next message comes from. Its position is the shared head.
    cursor: Cursor,
    company: Company,
}

impl<M: Memory<Control>> Side<M> for Tail {
    /// Goes on where the sender before stopped, at whatever instruction that was: a message
    /// without its mark was never sent.
    fn new(memory: &M, seat: Seat, shape: &Shape) -> Result<Tail, AttachError> {
        let &Shape { capacity, size, .. } = shape;
        let head = shared_head(memory)?;
        let cursor = slots::first_free(memory, head, capacity);
        let company = Company::new(Role::Receiver.seats(1));
        Ok(Tail { seat, capacity, size, cursor, head, company })
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

impl<M: Memory<Control>> Lend<M> for Tail {
    /// The slot of the next message, which is not sent before its mark is written.
    #[inline]
    fn place(&mut self, memory: &M, length: usize, way: Way<'_>) -> Attempt<usize, SendError> {
        Tail::place(self, memory, length, way)
    }

    fn publish(&mut self, memory: &M, length: usize, way: Way<'_>) -> Attempt<(), SendError> {
        if self.company.presence(&memory.control().roster, memory, way.look) == Presence::Gone {
            return Ok(Err(SendError::Disconnected));
        }
        Tail::publish(self, memory, length);
        Ok(Ok(()))
    }

    unsafe fn write(memory: &M, slot: usize, at: usize, bytes: &[u8]) {
        // SAFETY: the caller keeps to the length, and the slot is ours while it is lent.
        unsafe { memory.fill(slot, at, bytes) };
    }
}

impl<M: Memory<Control>> Put<M> for Tail {
    #[inline]
    fn put_at_once(&mut self, memory: &M, message: &[u8]) -> bool {
        let ours = self.size.admits(message.len())
            && self.company.lasts(&memory.control().roster)
            && !self.is_full();
        if ours {
            self.fill(memory, message);
        }
        ours
    }

    fn put(&mut self, memory: &M, message: &[u8], way: Way<'_>) -> Attempt<(), SendError> {
        if let Err(refusal) = Tail::place(self, memory, message.len(), way)? {
            return Ok(Err(refusal));
        }
        self.fill(memory, message);
        Ok(Ok(()))
    }
}

impl Tail {
    /// Makes sure that the slot at the cursor is ours to write a message of this length into,
    /// and gives it.
    fn place<M: Memory<Control>>(
        &mut self,
        memory: &M,
        length: usize,
        way: Way<'_>,
    ) -> Attempt<usize, SendError> {
        if !self.size.admits(length) {
            return Ok(Err(SendError::WrongSize { given: length, allowed: self.size }));
        }
        let control = memory.control();
        if self.company.presence(&control.roster, memory, way.look) == Presence::Gone {
            return Ok(Err(SendError::Disconnected));
        }
        if self.is_full() {
            if let Err(damage) = self.look_at_head(control) {
                return Ok(Err(SendError::Corrupt(damage)));
            }
            if self.is_full() {
                return Err(Pending::Peer);
            }
        }
        // Free because we are less than a capacity ahead (S2); ours because nobody else sends (S1).
        Ok(Ok(self.cursor.slot))
    }

    /// Sends a message of a length that was admitted, from a place that is ours.
    #[inline]
    fn fill<M: Memory<Control>>(&mut self, memory: &M, message: &[u8]) {
        // SAFETY: the cursor's slot is within the shape, the length was admitted, and the slot is
        // free because we are less than a capacity ahead (S2), and ours because nobody else sends
        // (S1).
        unsafe { memory.fill(self.cursor.slot, 0, message) };
        Tail::publish(self, memory, message.len());
    }

    /// Sends what was written into the place.
    #[inline]
    fn publish<M: Memory<Control>>(&mut self, memory: &M, length: usize) {
        slots::mark(memory, self.cursor, length);
        self.cursor = self.cursor.next(self.capacity);
        memory.control().calls.message.call();
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

impl<M: Memory<Control>> Side<M> for Head {
    /// Goes on where the receiver before stopped: a message whose slot was not given back was
    /// never received.
    fn new(memory: &M, seat: Seat, shape: &Shape) -> Result<Head, AttachError> {
        let &Shape { capacity, size, .. } = shape;
        let cursor = Cursor::at(shared_head(memory)?, capacity);
        let company = Company::new(Role::Sender.seats(1));
        Ok(Head { seat, capacity, size, cursor, company })
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

impl<M: Memory<Control>> Borrowed<M> for Head {
    #[inline]
    fn next(&mut self, memory: &M, way: Way<'_>) -> Attempt<(usize, usize), ReceiveError> {
        Head::next(self, memory, way)
    }

    #[inline]
    fn give_back(&mut self, memory: &M) {
        Head::give_back(self, memory);
    }

    unsafe fn read(memory: &M, slot: usize, at: usize, buffer: &mut [u8]) {
        // SAFETY: the caller keeps to the length, and the slot is not written before it is given
        // back (R2).
        unsafe { memory.copy(slot, at, buffer) };
    }
}

impl<M: Memory<Control>> Take<M> for Head {
    #[inline]
    fn take_at_once(&mut self, memory: &M, buffer: &mut [u8]) -> Option<usize> {
        let length = slots::length(memory, self.cursor)? as usize;
        if !self.size.admits(length) {
            return None;
        }
        let buffer = buffer.get_mut(..length)?;
        self.copy_out(memory, buffer);
        Some(length)
    }

    fn take(
        &mut self,
        memory: &M,
        buffer: &mut [u8],
        way: Way<'_>,
    ) -> Attempt<usize, ReceiveError> {
        let length = match Head::next(self, memory, way)? {
            Ok((_, length)) => length,
            Err(end) => return Ok(Err(end)),
        };
        let room = buffer.len();
        let Some(buffer) = buffer.get_mut(..length) else {
            return Ok(Err(ReceiveError::ShortBuffer { room, needed: length }));
        };
        self.copy_out(memory, buffer);
        Ok(Ok(length))
    }
}

impl Head {
    /// The slot and the length of the next message, which stays in the link.
    #[inline]
    fn next<M: Memory<Control>>(
        &mut self,
        memory: &M,
        way: Way<'_>,
    ) -> Attempt<(usize, usize), ReceiveError> {
        let length = match slots::length(memory, self.cursor) {
            Some(length) => length,
            None => match self.length_or_end(memory, way.look).ok_or(Pending::Peer)? {
                Ok(length) => length,
                Err(end) => return Ok(Err(end)),
            },
        } as usize;
        if !self.size.admits(length) {
            let damage = Damage::Length { found: length, allowed: self.size };
            return Ok(Err(ReceiveError::Corrupt(damage)));
        }
        Ok(Ok((self.cursor.slot, length)))
    }

    /// Receives the next message, which is there, into a buffer of its length.
    #[inline]
    fn copy_out<M: Memory<Control>>(&mut self, memory: &M, buffer: &mut [u8]) {
        // SAFETY: the cursor's slot is within the shape, the length was checked in private memory,
        // and the slot is not written before we give it back (R2).
        unsafe { memory.copy(self.cursor.slot, 0, buffer) };
        Head::give_back(self, memory);
    }

    /// Receives the message that [`Head::next`] found: its slot is the sender's again.
    #[inline]
    fn give_back<M: Memory<Control>>(&mut self, memory: &M) {
        self.cursor = self.cursor.next(self.capacity);
        let control = memory.control();
        // sync: slot-freed. Pairs with the load in `Tail::look_at_head`. Relaxed would let the
        // sender write the slot while we still read.
        control.head.store(self.cursor.position, Release);
        control.calls.room.call();
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
