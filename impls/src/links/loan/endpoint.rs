//! The algorithm of the ends, over any memory: buffers change hands by one store each.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::buffers;
use super::layout::{Control, Entry, Round};
use crate::links::ends::{Attempt, End, Pending, Put, Side, Take, Way, or_the_end};
use crate::links::loans::{Borrowed, Lend};
use crate::links::{Damage, ReceiveError, SendError, Size};
use crate::shm::Memory;
use crate::shm::event::{Event, Look};
use crate::shm::object::{AttachError, LOAN_SEATS, Shape};
use crate::shm::roster::{Company, Presence, Role, Seat};

/// A sending end.
pub(crate) type Sending<M> = End<M, Tail>;

/// A receiving end.
pub(crate) type Receiving<M> = End<M, Head>;

/// What an end alone knows, out of reach of any other process.
struct Own {
    seat: Seat,
    capacity: usize,
    buffers: usize,
    size: Size,
    /// The buffer that is ours: no well-behaved end uses it.
    spare: usize,
    company: Company,
}

/// A sender.
pub(crate) struct Tail(Own);

/// A receiver.
pub(crate) struct Head(Own);

impl Own {
    fn new<M: Memory<Control>>(
        memory: &M,
        seat: Seat,
        shape: &Shape,
        peers: Role,
    ) -> Result<Own, AttachError> {
        let &Shape { capacity, size, .. } = shape;
        let buffers = shape.slots();
        let spare = buffers::claim(memory, seat, capacity, buffers)?;
        let company = Company::new(peers.seats(LOAN_SEATS));
        Ok(Own { seat, capacity, buffers, size, spare, company })
    }

    fn peers<M: Memory<Control>>(&mut self, memory: &M, look: Look) -> Presence {
        self.company.presence(&memory.control().roster, memory, look)
    }

    /// The number of the entry of a position, and the entry.
    #[inline]
    fn entry<M: Memory<Control>>(&self, memory: &M, position: u64) -> (usize, Entry) {
        // The remainder is below the capacity, so it fits.
        let number = (position % self.capacity as u64) as usize;
        // sync: entry. Pairs with the store in `exchange`: whoever had the buffer has done with it.
        (number, Entry::of(memory.mark(number).load(Acquire), number))
    }

    /// Puts our buffer into the entry and takes the one in it for ours. With the lock only.
    #[inline]
    fn exchange<M: Memory<Control>>(
        &mut self,
        memory: &M,
        number: usize,
        entry: Entry,
        new: Entry,
    ) -> Result<(), Damage> {
        let theirs = entry.buffer;
        if theirs >= self.buffers {
            return Err(Damage::Place { found: theirs });
        }
        // If we die between the two stores, the buffer of ours is in nobody's hands, and theirs is
        // where it was.
        memory.control().spare(self.seat.index).store(theirs as u32 + 1, Relaxed);
        // sync: entry. Pairs with the load in `entry`. This store is what sending or receiving is.
        memory.mark(number).store(new.word(), Release);
        self.spare = theirs;
        Ok(())
    }
}

impl<M: Memory<Control>> Side<M> for Tail {
    fn new(memory: &M, seat: Seat, shape: &Shape) -> Result<Tail, AttachError> {
        Own::new(memory, seat, shape, Role::Receiver).map(Tail)
    }

    #[inline]
    fn event<'m>(&self, memory: &'m M) -> &'m Event {
        &memory.control().calls.room
    }

    fn peers(&mut self, memory: &M) -> Presence {
        self.0.peers(memory, Look::Thorough)
    }

    fn leave(&self, memory: &M) {
        memory.control().roster.leave(self.0.seat);
        memory.control().calls.message.call();
    }

    #[inline]
    fn is_cut(memory: &M) -> bool {
        memory.is_cut()
    }
}

impl<M: Memory<Control>> Lend<M> for Tail {
    /// Our own buffer, at any time.
    fn place(&mut self, memory: &M, length: usize, way: Way<'_>) -> Attempt<usize, SendError> {
        let Own { size, spare, .. } = self.0;
        if !size.admits(length) {
            return Ok(Err(SendError::WrongSize { given: length, allowed: size }));
        }
        if self.0.peers(memory, way.look) == Presence::Gone {
            return Ok(Err(SendError::Disconnected));
        }
        Ok(Ok(spare))
    }

    fn publish(&mut self, memory: &M, length: usize, way: Way<'_>) -> Attempt<(), SendError> {
        if self.0.peers(memory, way.look) == Presence::Gone {
            return Ok(Err(SendError::Disconnected));
        }
        if self.is_full(memory) {
            return Err(Pending::Peer);
        }
        let control = memory.control();
        let lock = &control.sending.lock;
        let got = lock.acquire(&control.roster, memory, self.0.seat, way.until);
        got.ok_or(Pending::Lock)?;
        let sent = self.publish_alone(memory, length);
        lock.release();
        if let Ok(Ok(())) = sent {
            control.calls.message.call();
        }
        sent
    }

    unsafe fn write(memory: &M, slot: usize, at: usize, bytes: &[u8]) {
        // SAFETY: the caller keeps to the length, and the slot is our own buffer.
        unsafe { memory.fill(slot, at, bytes) };
    }
}

impl Tail {
    /// Whether there was no room at one moment of this call. Without the lock.
    fn is_full<M: Memory<Control>>(&self, memory: &M) -> bool {
        let count = &memory.control().sending.count;
        // sync: count-read. Acquire keeps the look at the entry behind it.
        let position = count.load(Acquire);
        let (_, entry) = self.0.entry(memory, position);
        let round = Round::of(position, self.0.capacity);
        round.follows(entry) && count.load(Relaxed) == position
    }

    fn publish_alone<M: Memory<Control>>(
        &mut self,
        memory: &M,
        length: usize,
    ) -> Attempt<(), SendError> {
        let own = &mut self.0;
        let count = &memory.control().sending.count;
        // Only the holder of the lock writes it, so Relaxed sees the last holder's.
        let mut position = count.load(Relaxed);
        let (mut number, mut entry) = own.entry(memory, position);
        if Round::of(position, own.capacity).has_reached(entry) {
            // A sender died between its entry and the count; its message may be received already.
            position = position.wrapping_add(1);
            (number, entry) = own.entry(memory, position);
        }
        let round = Round::of(position, own.capacity);
        if round.follows(entry) {
            count.store(position, Relaxed);
            return Err(Pending::Peer);
        }
        // The length was admitted, so it fits.
        let length = length as u32;
        let new = Entry { full: true, round: round.number(), buffer: own.spare, length };
        if let Err(damage) = own.exchange(memory, number, entry, new) {
            return Ok(Err(SendError::Corrupt(damage)));
        }
        count.store(position.wrapping_add(1), Relaxed);
        Ok(Ok(()))
    }
}

impl<M: Memory<Control>> Put<M> for Tail {
    fn put(&mut self, memory: &M, message: &[u8], way: Way<'_>) -> Attempt<(), SendError> {
        let slot = match self.place(memory, message.len(), way)? {
            Ok(slot) => slot,
            Err(refusal) => return Ok(Err(refusal)),
        };
        // Not copied in vain while there is no room.
        if self.is_full(memory) {
            return Err(Pending::Peer);
        }
        // SAFETY: the length was admitted, and the slot is our own buffer.
        unsafe { memory.fill(slot, 0, message) };
        self.publish(memory, message.len(), way)
    }
}

impl<M: Memory<Control>> Side<M> for Head {
    fn new(memory: &M, seat: Seat, shape: &Shape) -> Result<Head, AttachError> {
        Own::new(memory, seat, shape, Role::Sender).map(Head)
    }

    #[inline]
    fn event<'m>(&self, memory: &'m M) -> &'m Event {
        &memory.control().calls.message
    }

    fn peers(&mut self, memory: &M) -> Presence {
        self.0.peers(memory, Look::Thorough)
    }

    fn leave(&self, memory: &M) {
        memory.control().roster.leave(self.0.seat);
        memory.control().calls.room.call();
    }

    #[inline]
    fn is_cut(memory: &M) -> bool {
        memory.is_cut()
    }
}

impl<M: Memory<Control>> Borrowed<M> for Head {
    /// Receives the message: its buffer is ours from now on.
    fn next(&mut self, memory: &M, way: Way<'_>) -> Attempt<(usize, usize), ReceiveError> {
        self.fetch(memory, usize::MAX, way)
    }

    /// It is ours anyway.
    fn give_back(&mut self, _: &M) {}

    unsafe fn read(memory: &M, slot: usize, at: usize, buffer: &mut [u8]) {
        // SAFETY: the caller keeps to the length, and the slot is our own buffer.
        unsafe { memory.copy(slot, at, buffer) };
    }
}

impl<M: Memory<Control>> Take<M> for Head {
    fn take(
        &mut self,
        memory: &M,
        buffer: &mut [u8],
        way: Way<'_>,
    ) -> Attempt<usize, ReceiveError> {
        let (slot, length) = match self.fetch(memory, buffer.len(), way)? {
            Ok(fetched) => fetched,
            Err(refusal) => return Ok(Err(refusal)),
        };
        // SAFETY: the length was checked in private memory, and the slot is our own buffer.
        unsafe { memory.copy(slot, 0, &mut buffer[..length]) };
        Ok(Ok(length))
    }
}

impl Head {
    /// Receives the next message, if it is no longer than `room`.
    fn fetch<M: Memory<Control>>(
        &mut self,
        memory: &M,
        room: usize,
        way: Way<'_>,
    ) -> Attempt<(usize, usize), ReceiveError> {
        or_the_end(
            self,
            |side| side.fetch_now(memory, room, way),
            |side| side.0.peers(memory, way.look) == Presence::Gone,
        )
    }

    fn fetch_now<M: Memory<Control>>(
        &mut self,
        memory: &M,
        room: usize,
        way: Way<'_>,
    ) -> Attempt<(usize, usize), ReceiveError> {
        if self.is_empty(memory) {
            return Err(Pending::Peer);
        }
        let control = memory.control();
        let lock = &control.receiving.lock;
        let got = lock.acquire(&control.roster, memory, self.0.seat, way.until);
        got.ok_or(Pending::Lock)?;
        let fetched = self.fetch_alone(memory, room);
        lock.release();
        if let Ok(Ok(_)) = fetched {
            control.calls.room.call();
        }
        fetched
    }

    /// Whether there was no message at one moment of this call. Without the lock.
    fn is_empty<M: Memory<Control>>(&self, memory: &M) -> bool {
        let count = &memory.control().receiving.count;
        // sync: count-read. Acquire keeps the look at the entry behind it.
        let position = count.load(Acquire);
        let (_, entry) = self.0.entry(memory, position);
        let round = Round::of(position, self.0.capacity);
        !round.fills(entry) && !round.is_over(entry) && count.load(Relaxed) == position
    }

    fn fetch_alone<M: Memory<Control>>(
        &mut self,
        memory: &M,
        room: usize,
    ) -> Attempt<(usize, usize), ReceiveError> {
        let own = &mut self.0;
        let count = &memory.control().receiving.count;
        // Only the holder of the lock writes it, so Relaxed sees the last holder's.
        let mut position = count.load(Relaxed);
        let (mut number, mut entry) = own.entry(memory, position);
        if Round::of(position, own.capacity).is_over(entry) {
            // A receiver died between its entry and the count.
            position = position.wrapping_add(1);
            count.store(position, Release);
            (number, entry) = own.entry(memory, position);
        }
        let round = Round::of(position, own.capacity);
        if !round.fills(entry) {
            return Err(Pending::Peer);
        }
        let length = entry.length as usize;
        if !own.size.admits(length) {
            let damage = Damage::Length { found: length, allowed: own.size };
            return Ok(Err(ReceiveError::Corrupt(damage)));
        }
        if length > room {
            return Ok(Err(ReceiveError::ShortBuffer { room, needed: length }));
        }
        let new = Entry { full: false, round: round.number(), buffer: own.spare, length: 0 };
        if let Err(damage) = own.exchange(memory, number, entry, new) {
            return Ok(Err(ReceiveError::Corrupt(damage)));
        }
        // sync: count-read.
        count.store(position.wrapping_add(1), Release);
        Ok(Ok((own.spare, length)))
    }
}
