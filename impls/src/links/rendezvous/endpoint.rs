//! The algorithm of the ends, over any memory.
//!
//! Each end has a slot of its own. An end that has to wait *opens* its slot, a sender with its
//! message in it, and sleeps. An end of the other role *answers*: it takes the message out, or
//! puts one in. Slots are opened, answered and withdrawn only with the lock, and each of these is
//! one store of the slot's mark, so a holder that dies leaves nothing half-done.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use super::layout::Control;
use crate::links::{
    Damage, ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError,
    SendingEnd, Size, TryReceiveError, TrySendError,
};
use crate::shm::Memory;
use crate::shm::event::Look;
use crate::shm::roster::{Company, Presence, Role, Seat};
use crate::sync::SEATS;

/// What the mark of a slot says. In memory: 0 when closed; else bits 1 to 31 the badge of the end
/// that opened it, bit 0 whether it was answered, and above them the length of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Closed,
    Open { badge: u32, length: u32 },
    Answered { badge: u32, length: u32 },
}

impl Mark {
    const ANSWERED: u32 = 1;

    fn word(self) -> u64 {
        let (low, length) = match self {
            Mark::Closed => (0, 0),
            Mark::Open { badge, length } => (badge, length),
            Mark::Answered { badge, length } => (badge | Mark::ANSWERED, length),
        };
        u64::from(length) << 32 | u64::from(low)
    }

    fn of(word: u64) -> Mark {
        let (badge, length) = (word as u32 & !Mark::ANSWERED, (word >> 32) as u32);
        match word as u32 & Mark::ANSWERED {
            _ if badge == 0 => Mark::Closed,
            0 => Mark::Open { badge, length },
            _ => Mark::Answered { badge, length },
        }
    }
}

/// One end, of either role.
struct Party {
    role: Role,
    seat: Seat,
    size: Size,
    company: Company,
}

/// A peer that waits: its slot, its badge, and the length that its slot speaks of.
struct Waiting {
    slot: usize,
    badge: u32,
    length: u32,
}

impl Party {
    fn new(role: Role, seat: Seat, size: Size) -> Party {
        let peers = match role {
            Role::Sender => Role::Receiver,
            Role::Receiver => Role::Sender,
        };
        Party { role, seat, size, company: Company::new(peers.seats(SEATS)) }
    }

    /// Does something as the only one. What a holder before us left needs no repair.
    fn alone<M: Memory<Control>, T>(&mut self, memory: &M, act: impl FnOnce(&mut Party) -> T) -> T {
        let control = memory.control();
        control.meeting.lock.acquire(&control.roster, memory, self.seat);
        let done = act(self);
        control.meeting.lock.release();
        done
    }

    /// The next peer that waits and lives. With the lock only.
    ///
    /// It is alive *after* its slot was seen open, so its call was under way at one moment of
    /// ours; it may die right after, as any process may.
    fn find<M: Memory<Control>>(&self, memory: &M) -> Option<Waiting> {
        let control = memory.control();
        let first = match self.role {
            Role::Sender => SEATS,
            Role::Receiver => 0,
        };
        let turn = control.meeting.turn.load(Relaxed) as usize;
        (0..SEATS).map(|i| first + turn.wrapping_add(i) % SEATS).find_map(|slot| {
            // sync: slot-opened. Pairs with the store in `open`.
            let Mark::Open { badge, length } = Mark::of(memory.mark(slot).load(Acquire)) else {
                return None;
            };
            if !control.roster.is_badge_alive(memory, badge) {
                memory.mark(slot).store(Mark::Closed.word(), Relaxed);
                return None;
            }
            Some(Waiting { slot, badge, length })
        })
    }

    /// Joins our call with that of the peer. With the lock only.
    fn answer<M: Memory<Control>>(&self, memory: &M, peer: &Waiting, length: u32) {
        let answered = Mark::Answered { badge: peer.badge, length };
        // sync: slot-answered. Pairs with the load in `answered`.
        memory.mark(peer.slot).store(answered.word(), Release);
        let turn = &memory.control().meeting.turn;
        turn.store(turn.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Begins to wait. With the lock only.
    fn open<M: Memory<Control>>(&self, memory: &M, length: u32) {
        let open = Mark::Open { badge: self.seat.badge(), length };
        // sync: slot-opened. Pairs with the load in `find`.
        memory.mark(self.seat.index).store(open.word(), Release);
    }

    /// Whether our call was joined with another; then what the slot says, and it is ours again.
    fn answered<M: Memory<Control>>(&self, memory: &M) -> Option<u32> {
        let mark = memory.mark(self.seat.index);
        // sync: slot-answered.
        match Mark::of(mark.load(Acquire)) {
            Mark::Answered { length, .. } => Some(length),
            _ => None,
        }
    }

    /// Waits no longer, unless our call was joined with another before.
    fn withdraw<M: Memory<Control>>(&mut self, memory: &M) -> Option<u32> {
        self.alone(memory, |party| {
            let answered = party.answered(memory);
            if answered.is_none() {
                party.close(memory);
            }
            answered
        })
    }

    fn close<M: Memory<Control>>(&self, memory: &M) {
        memory.mark(self.seat.index).store(Mark::Closed.word(), Relaxed);
    }

    fn is_deserted<M: Memory<Control>>(&mut self, memory: &M, look: Look) -> bool {
        self.company.presence(&memory.control().roster, memory, look) == Presence::Gone
    }

    /// What happened to our open slot. `None` while it waits.
    fn settle<M: Memory<Control>>(&mut self, memory: &M, look: Look) -> Option<Option<u32>> {
        if let Some(length) = self.answered(memory) {
            return Some(Some(length));
        }
        self.is_deserted(memory, look).then(|| self.withdraw(memory))
    }

    fn leave<M: Memory<Control>>(&self, memory: &M) {
        let control = memory.control();
        control.roster.leave(self.seat);
        let peers = match self.role {
            Role::Sender => Role::Receiver,
            Role::Receiver => Role::Sender,
        };
        for seat in peers.seats(SEATS) {
            control.answered(seat).call();
        }
    }
}

/// A sending end.
pub(crate) struct Sending<M: Memory<Control>> {
    memory: M,
    party: Party,
}

/// A receiving end.
pub(crate) struct Receiving<M: Memory<Control>> {
    memory: M,
    party: Party,
}

impl<M: Memory<Control>> Sending<M> {
    pub(crate) fn new(memory: M, seat: Seat, size: Size) -> Sending<M> {
        Sending { memory, party: Party::new(Role::Sender, seat, size) }
    }

    pub(crate) fn peer_presence(&mut self) -> Presence {
        let roster = &self.memory.control().roster;
        self.party.company.presence(roster, &self.memory, Look::Thorough)
    }

    /// Hands the message to a receiver that waits. If there is none, and `wait` says so, leaves
    /// it open for one to come.
    fn meet(&mut self, message: &[u8], wait: bool) -> Option<Result<(), SendError>> {
        let allowed = self.party.size;
        if !allowed.admits(message.len()) {
            return Some(Err(SendError::WrongSize { given: message.len(), allowed }));
        }
        let memory = &self.memory;
        // The longest message has a length that fits.
        let length = message.len() as u32;
        let peer = self.party.alone(memory, |party| {
            let Some(peer) = party.find(memory) else {
                if party.is_deserted(memory, Look::Glance) {
                    return Some(Err(SendError::Disconnected));
                }
                if wait {
                    // SAFETY: the seat has a slot, the length was admitted, and nobody reads or
                    // writes a slot that is not open.
                    unsafe { memory.fill(party.seat.index, message) };
                    party.open(memory, length);
                }
                return None;
            };
            // SAFETY: as above; the slot is open, and we hold the lock, without which nobody
            // answers or withdraws.
            unsafe { memory.fill(peer.slot, message) };
            party.answer(memory, &peer, length);
            Some(Ok(peer.slot))
        });
        Some(peer?.map(|slot| memory.control().answered(slot).call()))
    }

    fn end(&self, answered: bool) -> Result<(), SendError> {
        if !answered {
            return Err(SendError::Disconnected);
        }
        self.party.close(&self.memory);
        Ok(())
    }
}

impl<M: Memory<Control>> SendingEnd for Sending<M> {
    fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        if let Some(done) = self.meet(message, true) {
            return done;
        }
        let answered = self.memory.control().answered(self.party.seat.index);
        let settled = answered.wait(|look| self.party.settle(&self.memory, look));
        self.end(settled.is_some())
    }

    fn try_send(&mut self, message: &[u8]) -> Result<(), TrySendError> {
        Ok(self.meet(message, false).ok_or(TrySendError::Full)??)
    }

    fn send_timeout(&mut self, message: &[u8], patience: Duration) -> Result<(), SendTimeoutError> {
        if let Some(done) = self.meet(message, true) {
            return Ok(done?);
        }
        let answered = self.memory.control().answered(self.party.seat.index);
        match answered.wait_timeout(patience, |look| self.party.settle(&self.memory, look)) {
            Some(settled) => Ok(self.end(settled.is_some())?),
            None if self.party.withdraw(&self.memory).is_some() => Ok(self.end(true)?),
            None => Err(SendTimeoutError::Timeout),
        }
    }
}

impl<M: Memory<Control>> Receiving<M> {
    pub(crate) fn new(memory: M, seat: Seat, size: Size) -> Receiving<M> {
        Receiving { memory, party: Party::new(Role::Receiver, seat, size) }
    }

    pub(crate) fn peer_presence(&mut self) -> Presence {
        let roster = &self.memory.control().roster;
        self.party.company.presence(roster, &self.memory, Look::Thorough)
    }

    /// Takes the message of a sender that waits. If there is none, and `wait` says so, waits open
    /// for one to come.
    fn meet(&mut self, buffer: &mut [u8], wait: bool) -> Option<Result<usize, ReceiveError>> {
        let size = self.party.size;
        let (room, needed) = (buffer.len(), size.longest());
        if room < needed {
            return Some(Err(ReceiveError::ShortBuffer { room, needed }));
        }
        let memory = &self.memory;
        let taken = self.party.alone(memory, |party| {
            let Some(peer) = party.find(memory) else {
                if party.is_deserted(memory, Look::Glance) {
                    return Some(Err(ReceiveError::Disconnected));
                }
                if wait {
                    party.open(memory, 0);
                }
                return None;
            };
            let copied = copy(memory, peer.slot, size, peer.length, buffer);
            if copied.is_ok() {
                party.answer(memory, &peer, peer.length);
            }
            Some(copied.map(|length| (length, peer.slot)))
        });
        Some(taken?.map(|(length, slot)| {
            memory.control().answered(slot).call();
            length
        }))
    }

    fn end(&self, answered: Option<u32>, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        let length = answered.ok_or(ReceiveError::Disconnected)?;
        let slot = self.party.seat.index;
        let copied = copy(&self.memory, slot, self.party.size, length, buffer);
        self.party.close(&self.memory);
        copied
    }
}

/// Copies a message out of a slot that nobody else uses now: one that is open, by the holder of
/// the lock, or our own once it is answered.
fn copy<M: Memory<Control>>(
    memory: &M,
    slot: usize,
    allowed: Size,
    length: u32,
    buffer: &mut [u8],
) -> Result<usize, ReceiveError> {
    let found = length as usize;
    if !allowed.admits(found) {
        return Err(ReceiveError::Corrupt(Damage::Length { found, allowed }));
    }
    // `meet` has made sure that the buffer has room for the longest.
    // SAFETY: every seat has a slot, the length was just checked in private memory, and see above.
    unsafe { memory.copy(slot, &mut buffer[..found]) };
    Ok(found)
}

impl<M: Memory<Control>> ReceivingEnd for Receiving<M> {
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        if let Some(done) = self.meet(buffer, true) {
            return done;
        }
        let answered = self.memory.control().answered(self.party.seat.index);
        let settled = answered.wait(|look| self.party.settle(&self.memory, look));
        self.end(settled, buffer)
    }

    fn try_receive(&mut self, buffer: &mut [u8]) -> Result<usize, TryReceiveError> {
        Ok(self.meet(buffer, false).ok_or(TryReceiveError::Empty)??)
    }

    fn receive_timeout(
        &mut self,
        buffer: &mut [u8],
        patience: Duration,
    ) -> Result<usize, ReceiveTimeoutError> {
        if let Some(done) = self.meet(buffer, true) {
            return Ok(done?);
        }
        let answered = self.memory.control().answered(self.party.seat.index);
        match answered.wait_timeout(patience, |look| self.party.settle(&self.memory, look)) {
            Some(settled) => Ok(self.end(settled, buffer)?),
            None => match self.party.withdraw(&self.memory) {
                Some(length) => Ok(self.end(Some(length), buffer)?),
                None => Err(ReceiveTimeoutError::Timeout),
            },
        }
    }
}

impl<M: Memory<Control>> Drop for Sending<M> {
    fn drop(&mut self) {
        self.party.leave(&self.memory);
    }
}

impl<M: Memory<Control>> Drop for Receiving<M> {
    fn drop(&mut self) {
        self.party.leave(&self.memory);
    }
}
