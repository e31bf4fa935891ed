//! What the ends of all buffered links have in common: how the blocking, the nonblocking and the
//! timed verb of one direction make the same attempt.

use std::time::Duration;

use super::{
    Damage, ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError,
    SendingEnd, TryReceiveError, TrySendError,
};
use crate::shm::event::{Deadline, Event, Look, Patience};
use crate::shm::lock::Until;
use crate::shm::object::{AttachError, Shape};
use crate::shm::roster::{Presence, Seat};

/// How an attempt is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way<'a> {
    /// How closely it looks at the peers.
    pub(crate) look: Look,
    /// How long it waits for a lock that another end holds.
    pub(crate) until: Until<'a>,
}

/// Why an attempt came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pending {
    /// There is no room, or no message.
    Peer,
    /// The holder of a lock is alive and does not go on.
    Lock,
}

/// What an attempt came to. The inner error is an answer of the verb.
pub(crate) type Attempt<T, E> = Result<Result<T, E>, Pending>;

/// What all algorithms of one side offer over a memory `M`.
pub(crate) trait Side<M>: Sized {
    /// Goes on where whoever sat here before stopped.
    fn new(memory: &M, seat: Seat, shape: &Shape) -> Result<Self, AttachError>;

    /// What tells this side that another attempt may succeed.
    fn event<'m>(&self, memory: &'m M) -> &'m Event;

    /// Whether the other side is there, for which the kernel is asked.
    fn peers(&mut self, memory: &M) -> Presence;

    /// Leaves in order.
    fn leave(&self, memory: &M);

    /// Whether the memory is not what it was any more.
    fn is_cut(memory: &M) -> bool;
}

/// A side that puts messages in.
pub(crate) trait Put<M>: Side<M> {
    /// Puts one message in if that takes no look at the other side. Whether it did.
    ///
    /// This is the fast path, apart from the other, because an answer that may be an error goes
    /// through memory, which takes longer than all the rest.
    #[inline]
    fn put_at_once(&mut self, _: &M, _: &[u8]) -> bool {
        false
    }

    /// Puts one message in, at once.
    fn put(&mut self, memory: &M, message: &[u8], way: Way<'_>) -> Attempt<(), SendError>;
}

/// A side that takes messages out.
pub(crate) trait Take<M>: Side<M> {
    /// Takes one message out if one is there, and nothing is to be said against it. As
    /// [`Put::put_at_once`].
    #[inline]
    fn take_at_once(&mut self, _: &M, _: &mut [u8]) -> Option<usize> {
        None
    }

    /// Takes one message out, at once, into the beginning of the buffer.
    fn take(&mut self, memory: &M, buffer: &mut [u8], way: Way<'_>)
    -> Attempt<usize, ReceiveError>;
}

/// What an attempt to receive came to, where finding nothing may mean that nothing will come.
#[inline]
pub(crate) fn or_the_end<S, T>(
    side: &mut S,
    mut take_now: impl FnMut(&mut S) -> Attempt<T, ReceiveError>,
    is_deserted: impl FnOnce(&mut S) -> bool,
) -> Attempt<T, ReceiveError> {
    let taken = take_now(side);
    if !matches!(taken, Err(Pending::Peer)) || !is_deserted(side) {
        return taken;
    }
    // The last sender may have sent between our look and its end.
    match take_now(side) {
        Err(Pending::Peer) => Ok(Err(ReceiveError::Disconnected)),
        taken => taken,
    }
}

/// An end of a link: one side, in its memory.
pub(crate) struct End<M, S: Side<M>> {
    pub(crate) memory: M,
    pub(crate) side: S,
    patience: Patience,
}

impl<M, S: Side<M>> End<M, S> {
    pub(crate) fn new(memory: M, seat: Seat, shape: &Shape) -> Result<Self, AttachError> {
        let side = S::new(&memory, seat, shape)?;
        Ok(End { memory, side, patience: Patience::default() })
    }

    pub(crate) fn peer_presence(&mut self) -> Presence {
        self.side.peers(&self.memory)
    }

    /// Repeats an attempt until it comes to something.
    #[inline]
    pub(crate) fn wait<T, E: From<Damaged>>(
        &mut self,
        mut attempt: impl FnMut(&mut S, &M, Way<'_>) -> Attempt<T, E>,
    ) -> Result<T, E> {
        let End { memory, side, .. } = self;
        let event = side.event(memory);
        event.wait(|look| {
            let way = Way { look, until: Until::Free };
            intact::<M, S, T, E>(memory, attempt(side, memory, way)).ok()
        })
    }

    /// Makes one attempt.
    #[inline]
    pub(crate) fn attempt<T, E: From<Damaged>>(
        &mut self,
        attempt: impl FnOnce(&mut S, &M, Way<'_>) -> Attempt<T, E>,
    ) -> Attempt<T, E> {
        let End { memory, side, patience } = self;
        patience.attempt(|look| {
            let way = Way { look, until: Until::Soon };
            intact::<M, S, T, E>(memory, attempt(side, memory, way))
        })
    }

    /// Repeats an attempt for no longer than `patience`. `None` if it came to nothing.
    pub(crate) fn wait_timeout<T, E: From<Damaged>>(
        &mut self,
        patience: Duration,
        mut attempt: impl FnMut(&mut S, &M, Way<'_>) -> Attempt<T, E>,
    ) -> Option<Result<T, E>> {
        let End { memory, side, .. } = self;
        let event = side.event(memory);
        let deadline = Deadline::after(patience);
        event.wait_timeout(&deadline, |look| {
            let way = Way { look, until: Until::At(&deadline) };
            intact::<M, S, T, E>(memory, attempt(side, memory, way)).ok()
        })
    }
}

/// What was done in a memory that is cut off is done nowhere.
#[inline]
fn intact<M, S: Side<M>, T, E: From<Damaged>>(memory: &M, attempt: Attempt<T, E>) -> Attempt<T, E> {
    if S::is_cut(memory) { Ok(Err(Damaged(Damage::Truncated).into())) } else { attempt }
}

/// A damage, on its way into the error of a verb.
pub(crate) struct Damaged(pub(crate) Damage);

impl From<Damaged> for SendError {
    fn from(Damaged(damage): Damaged) -> SendError {
        SendError::Corrupt(damage)
    }
}

impl From<Damaged> for ReceiveError {
    fn from(Damaged(damage): Damaged) -> ReceiveError {
        ReceiveError::Corrupt(damage)
    }
}

impl<M, S: Put<M>> End<M, S> {
    /// What is put into a memory that is cut off is put nowhere, which the other path tells.
    #[inline]
    fn sends_at_once(&mut self, message: &[u8]) -> bool {
        self.side.put_at_once(&self.memory, message) && !S::is_cut(&self.memory)
    }

    #[cold]
    fn send_patiently(&mut self, message: &[u8]) -> Result<(), SendError> {
        self.wait(|side, memory, way| side.put(memory, message, way))
    }
}

impl<M, S: Take<M>> End<M, S> {
    /// As for a send.
    #[inline]
    fn receives_at_once(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let taken = self.side.take_at_once(&self.memory, buffer)?;
        (!S::is_cut(&self.memory)).then_some(taken)
    }

    #[cold]
    fn receive_patiently(&mut self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        self.wait(|side, memory, way| side.take(memory, buffer, way))
    }
}

impl<M, S: Put<M>> SendingEnd for End<M, S> {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        if self.sends_at_once(message) {
            return Ok(());
        }
        self.send_patiently(message)
    }

    #[inline]
    fn try_send(&mut self, message: &[u8]) -> Result<(), TrySendError> {
        if self.sends_at_once(message) {
            self.patience.satisfied();
            return Ok(());
        }
        match self.attempt(|side, memory, way| side.put(memory, message, way)) {
            Ok(put) => Ok(put?),
            Err(Pending::Peer) => Err(TrySendError::Full),
            Err(Pending::Lock) => Err(TrySendError::Busy),
        }
    }

    fn send_timeout(&mut self, message: &[u8], patience: Duration) -> Result<(), SendTimeoutError> {
        let put = self.wait_timeout(patience, |side, memory, way| side.put(memory, message, way));
        Ok(put.ok_or(SendTimeoutError::Timeout)??)
    }
}

impl<M, S: Take<M>> ReceivingEnd for End<M, S> {
    #[inline]
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        match self.receives_at_once(buffer) {
            Some(length) => Ok(length),
            None => self.receive_patiently(buffer),
        }
    }

    #[inline]
    fn try_receive(&mut self, buffer: &mut [u8]) -> Result<usize, TryReceiveError> {
        if let Some(length) = self.receives_at_once(buffer) {
            self.patience.satisfied();
            return Ok(length);
        }
        match self.attempt(|side, memory, way| side.take(memory, buffer, way)) {
            Ok(taken) => Ok(taken?),
            Err(Pending::Peer) => Err(TryReceiveError::Empty),
            Err(Pending::Lock) => Err(TryReceiveError::Busy),
        }
    }

    fn receive_timeout(
        &mut self,
        buffer: &mut [u8],
        patience: Duration,
    ) -> Result<usize, ReceiveTimeoutError> {
        let taken = self.wait_timeout(patience, |side, memory, way| side.take(memory, buffer, way));
        Ok(taken.ok_or(ReceiveTimeoutError::Timeout)??)
    }
}

impl<M, S: Side<M>> Drop for End<M, S> {
    fn drop(&mut self) {
        self.side.leave(&self.memory);
    }
}
