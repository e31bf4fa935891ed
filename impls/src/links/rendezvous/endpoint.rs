//! The algorithm of the ends, over any memory.
//!
//! Each end has a slot of its own. An end that has to wait *opens* its slot, a sender with its
//! message in it, and sleeps. An end of the other role *answers*: it takes the message out, or
//! puts one in. Slots are opened and answered only with the lock, and each of these is one store
//! of the slot's mark, so a holder that dies leaves nothing half-done. Its owner can withdraw an
//! open slot without the lock, so that a holder that is stopped cannot keep it past its time.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::Duration;

use super::layout::Control;
use crate::links::ends::{Attempt, Damaged, Pending};
use crate::links::{
    Damage, ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError,
    SendingEnd, Size, TryReceiveError, TrySendError,
};
use crate::shm::Memory;
use crate::shm::event::{Deadline, Look};
use crate::shm::lock::Until;
use crate::shm::object::{AttachError, Shape};
use crate::shm::roster::{Company, Presence, Role, Seat};
use crate::sync::{SEATS, hint, spins};

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
        Party { role, seat, size, company: Company::new(role.peers().seats(SEATS)) }
    }

    /// Does something as the only one. What a holder before us left needs no repair.
    fn alone<M: Memory<Control>, T>(
        &mut self,
        memory: &M,
        until: Until<'_>,
        act: impl FnOnce(&mut Party) -> Result<T, Pending>,
    ) -> Result<T, Pending> {
        let control = memory.control();
        let got = control.meeting.lock.acquire(&control.roster, memory, self.seat, until);
        got.ok_or(Pending::Lock)?;
        let done = act(self);
        control.meeting.lock.release();
        done
    }

    /// The next slot that is open. With the lock only.
    fn find<M: Memory<Control>>(&self, memory: &M) -> Option<Waiting> {
        let control = memory.control();
        let peers = self.role.peers();
        let (peers, first) = (control.open(peers), peers.seats(SEATS).start);
        let (mut open, turn) = (peers.load(Relaxed), control.meeting.turn.load(Relaxed));
        while open != 0 {
            // By turns: the first bit from ours on, round the end.
            let turn = turn % u32::BITS;
            let bit = (open.rotate_right(turn).trailing_zeros() + turn) % u32::BITS;
            let slot = first + bit as usize % SEATS;
            // sync: slot-opened. Pairs with the store in `open`.
            if let Mark::Open { badge, length } = Mark::of(memory.mark(slot).load(Acquire)) {
                return Some(Waiting { slot, badge, length });
            }
            open &= !(1 << bit);
            peers.store(open, Relaxed);
        }
        None
    }

    /// Joins our call with that of the peer, unless it has withdrawn or died before. With the lock
    /// only.
    fn answer<M: Memory<Control>>(&self, memory: &M, peer: &Waiting, length: u32) -> bool {
        let Waiting { slot, badge, .. } = *peer;
        let open = Mark::Open { badge, length: peer.length };
        let answered = Mark::Answered { badge, length };
        if !exchange(memory, slot, open, answered) {
            return false;
        }
        let turn = &memory.control().meeting.turn;
        turn.store(turn.load(Relaxed).wrapping_add(1), Relaxed);
        // Nothing may be handed to the dead, or taken from them. A peer that lives now was in its
        // call when we joined it with ours. If it died before, nobody has seen our answer, and we
        // take it back; if that fails, the peer saw it before it died.
        self.gives_a_sign(memory, slot, answered)
            || memory.control().roster.is_badge_alive(memory, badge)
            || !exchange(memory, slot, answered, Mark::Closed)
    }

    /// Whether the owner of the slot is seen to close it: one that is awake does at once, and
    /// saves us asking the kernel whether it lives. With the lock only, or it might be another's.
    fn gives_a_sign<M: Memory<Control>>(&self, memory: &M, slot: usize, answered: Mark) -> bool {
        let looks = match memory.control().answered(slot).is_slept_on() {
            true => 0,
            false => spins().min(Self::LOOKS),
        };
        (0..=looks).any(|_| {
            hint::spin_loop();
            memory.mark(slot).load(Relaxed) != answered.word()
        })
    }

    /// About the time that asking the kernel takes.
    const LOOKS: u32 = 64;

    /// Begins to wait. With the lock only.
    fn open<M: Memory<Control>>(&self, memory: &M, length: u32) {
        let (open, seat) = (memory.control().open(self.role), self.seat.index % SEATS);
        open.store(open.load(Relaxed) | 1 << seat, Relaxed);
        let open = Mark::Open { badge: self.seat.badge(), length };
        // sync: slot-opened. Pairs with the load in `find`.
        memory.mark(self.seat.index).store(open.word(), Release);
    }

    /// Whether our call was joined with another; then what the slot says, and it is ours again.
    /// Closing it is the sign that whoever answered waits for.
    fn answered<M: Memory<Control>>(&self, memory: &M) -> Option<u32> {
        let mark = memory.mark(self.seat.index);
        // sync: slot-answered.
        let Mark::Answered { length, .. } = Mark::of(mark.load(Acquire)) else { return None };
        mark.store(Mark::Closed.word(), Relaxed);
        Some(length)
    }

    /// Waits no longer, unless our call was joined with another before.
    fn withdraw<M: Memory<Control>>(&self, memory: &M) -> Option<u32> {
        let mark = memory.mark(self.seat.index);
        let open = mark.load(Relaxed);
        if let Mark::Open { badge, length } = Mark::of(open)
            && exchange(memory, self.seat.index, Mark::Open { badge, length }, Mark::Closed)
        {
            return None;
        }
        self.answered(memory)
    }

    fn is_deserted<M: Memory<Control>>(&mut self, memory: &M, look: Look) -> bool {
        self.company.presence(&memory.control().roster, memory, look) == Presence::Gone
    }

    /// What happened to our open slot. `None` while it waits.
    fn settle<M: Memory<Control>>(
        &mut self,
        memory: &M,
        look: Look,
    ) -> Option<Result<u32, Parting>> {
        if memory.is_cut() {
            return Some(Err(Parting::Cut));
        }
        if let Some(length) = self.answered(memory) {
            return Some(Ok(length));
        }
        if !self.is_deserted(memory, look) {
            return None;
        }
        Some(self.withdraw(memory).ok_or(Parting::Deserted))
    }

    /// Waits until our open slot is answered.
    fn wait<M: Memory<Control>>(&mut self, memory: &M) -> Result<u32, Parting> {
        let answered = memory.control().answered(self.seat.index);
        answered.wait(|look| self.settle(memory, look))
    }

    /// Waits likewise, and withdraws when the time is up. `None` if it was.
    fn wait_timeout<M: Memory<Control>>(
        &mut self,
        memory: &M,
        deadline: &Deadline,
    ) -> Option<Result<u32, Parting>> {
        let answered = memory.control().answered(self.seat.index);
        let settled = answered.wait_timeout(deadline, |look| self.settle(memory, look));
        settled.or_else(|| self.withdraw(memory).map(Ok))
    }

    fn leave<M: Memory<Control>>(&self, memory: &M) {
        let control = memory.control();
        control.roster.leave(self.seat);
        for seat in self.role.peers().seats(SEATS) {
            control.answered(seat).call();
        }
    }
}

/// Why a call was not joined with another.
enum Parting {
    Deserted,
    Cut,
}

impl From<Parting> for SendError {
    fn from(parting: Parting) -> SendError {
        match parting {
            Parting::Deserted => SendError::Disconnected,
            Parting::Cut => Damaged(Damage::Truncated).into(),
        }
    }
}

impl From<Parting> for ReceiveError {
    fn from(parting: Parting) -> ReceiveError {
        match parting {
            Parting::Deserted => ReceiveError::Disconnected,
            Parting::Cut => Damaged(Damage::Truncated).into(),
        }
    }
}

/// Changes what a mark says, if it says what we think.
fn exchange<M: Memory<Control>>(memory: &M, slot: usize, from: Mark, to: Mark) -> bool {
    // sync: slot-answered. Pairs with the load in `answered`; Acquire so that the owner of a
    // slot that was just closed writes it only after whoever looked into it.
    memory.mark(slot).compare_exchange(from.word(), to.word(), AcqRel, Relaxed).is_ok()
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
    pub(crate) fn new(memory: M, seat: Seat, shape: &Shape) -> Result<Sending<M>, AttachError> {
        Ok(Sending { memory, party: Party::new(Role::Sender, seat, shape.size) })
    }

    pub(crate) fn peer_presence(&mut self) -> Presence {
        let roster = &self.memory.control().roster;
        self.party.company.presence(roster, &self.memory, Look::Thorough)
    }

    /// Hands the message to a receiver that waits. If there is none, and `wait` says so, leaves
    /// it open for one to come.
    fn meet(&mut self, message: &[u8], wait: bool, until: Until<'_>) -> Attempt<(), SendError> {
        let allowed = self.party.size;
        if !allowed.admits(message.len()) {
            return Ok(Err(SendError::WrongSize { given: message.len(), allowed }));
        }
        let memory = &self.memory;
        // The longest message has a length that fits.
        let length = message.len() as u32;
        let met = self.party.alone(memory, until, |party| {
            // One that withdraws cannot open again, so nobody is met twice, unless by malice.
            for _ in 0..SEATS {
                let Some(peer) = party.find(memory) else { break };
                // SAFETY: the slot is there, the length was admitted, and the slot is open and
                // we hold the lock: its owner touches it only when it is answered, or to open it
                // anew, which takes the lock.
                unsafe { memory.fill(peer.slot, 0, message) };
                if party.answer(memory, &peer, length) {
                    return Ok(Ok(peer.slot));
                }
            }
            if party.is_deserted(memory, Look::Glance) {
                return Ok(Err(SendError::Disconnected));
            }
            if wait {
                // SAFETY: the seat has a slot, the length was admitted, and nobody reads or
                // writes a slot that is not open without the lock.
                unsafe { memory.fill(party.seat.index, 0, message) };
                party.open(memory, length);
            }
            Err(Pending::Peer)
        });
        if memory.is_cut() {
            return Ok(Err(Parting::Cut.into()));
        }
        Ok(met?.map(|slot| memory.control().answered(slot).call()))
    }
}

impl<M: Memory<Control>> SendingEnd for Sending<M> {
    fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        if let Ok(done) = self.meet(message, true, Until::Free) {
            return done;
        }
        self.party.wait(&self.memory)?;
        Ok(())
    }

    fn try_send(&mut self, message: &[u8]) -> Result<(), TrySendError> {
        match self.meet(message, false, Until::Soon) {
            Ok(sent) => Ok(sent?),
            Err(Pending::Peer) => Err(TrySendError::Full),
            Err(Pending::Lock) => Err(TrySendError::Busy),
        }
    }

    fn send_timeout(&mut self, message: &[u8], patience: Duration) -> Result<(), SendTimeoutError> {
        let deadline = Deadline::after(patience);
        match self.meet(message, true, Until::At(&deadline)) {
            Ok(done) => return Ok(done?),
            Err(Pending::Lock) => return Err(SendTimeoutError::Timeout),
            Err(Pending::Peer) => {}
        }
        let settled = self.party.wait_timeout(&self.memory, &deadline);
        settled.ok_or(SendTimeoutError::Timeout)?.map_err(SendError::from)?;
        Ok(())
    }
}

impl<M: Memory<Control>> Receiving<M> {
    pub(crate) fn new(memory: M, seat: Seat, shape: &Shape) -> Result<Receiving<M>, AttachError> {
        Ok(Receiving { memory, party: Party::new(Role::Receiver, seat, shape.size) })
    }

    pub(crate) fn peer_presence(&mut self) -> Presence {
        let roster = &self.memory.control().roster;
        self.party.company.presence(roster, &self.memory, Look::Thorough)
    }

    /// Takes the message of a sender that waits. If there is none, and `wait` says so, waits open
    /// for one to come.
    fn meet(
        &mut self,
        buffer: &mut [u8],
        wait: bool,
        until: Until<'_>,
    ) -> Attempt<usize, ReceiveError> {
        let size = self.party.size;
        let (room, needed) = (buffer.len(), size.longest());
        if room < needed {
            return Ok(Err(ReceiveError::ShortBuffer { room, needed }));
        }
        let memory = &self.memory;
        let met = self.party.alone(memory, until, |party| {
            // As in `Sending::meet`.
            for _ in 0..SEATS {
                let Some(peer) = party.find(memory) else { break };
                let length = match copy(memory, peer.slot, size, peer.length, buffer) {
                    Ok(length) => length,
                    Err(damage) => return Ok(Err(damage)),
                };
                if party.answer(memory, &peer, peer.length) {
                    return Ok(Ok((length, peer.slot)));
                }
            }
            if party.is_deserted(memory, Look::Glance) {
                return Ok(Err(ReceiveError::Disconnected));
            }
            if wait {
                party.open(memory, 0);
            }
            Err(Pending::Peer)
        });
        if memory.is_cut() {
            return Ok(Err(Parting::Cut.into()));
        }
        Ok(met?.map(|(length, slot)| {
            memory.control().answered(slot).call();
            length
        }))
    }

    fn end(&self, settled: Result<u32, Parting>, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        let slot = self.party.seat.index;
        // The slot is closed already: nobody touches it before we open it again.
        let copied = copy(&self.memory, slot, self.party.size, settled?, buffer);
        if self.memory.is_cut() { Err(Parting::Cut.into()) } else { copied }
    }
}

/// Copies a message out of a slot that nobody else uses now: one that is open, by the holder of
/// the lock, or our own after it was answered.
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
    unsafe { memory.copy(slot, 0, &mut buffer[..found]) };
    Ok(found)
}

impl<M: Memory<Control>> ReceivingEnd for Receiving<M> {
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        if let Ok(done) = self.meet(buffer, true, Until::Free) {
            return done;
        }
        let settled = self.party.wait(&self.memory);
        self.end(settled, buffer)
    }

    fn try_receive(&mut self, buffer: &mut [u8]) -> Result<usize, TryReceiveError> {
        match self.meet(buffer, false, Until::Soon) {
            Ok(received) => Ok(received?),
            Err(Pending::Peer) => Err(TryReceiveError::Empty),
            Err(Pending::Lock) => Err(TryReceiveError::Busy),
        }
    }

    fn receive_timeout(
        &mut self,
        buffer: &mut [u8],
        patience: Duration,
    ) -> Result<usize, ReceiveTimeoutError> {
        let deadline = Deadline::after(patience);
        match self.meet(buffer, true, Until::At(&deadline)) {
            Ok(done) => return Ok(done?),
            Err(Pending::Lock) => return Err(ReceiveTimeoutError::Timeout),
            Err(Pending::Peer) => {}
        }
        let settled = self.party.wait_timeout(&self.memory, &deadline);
        Ok(self.end(settled.ok_or(ReceiveTimeoutError::Timeout)?, buffer)?)
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
