//! Zero-copy: a place in shared memory is lent to the sender, who fills and sends it, and a
//! message is lent to the receiver where it is.
//!
//! Another process may change the bytes at any time, whatever the rules, so nobody here gets a
//! `&[u8]` to them: a reference promises that they stay as they are. What is offered instead:
//! copies in and out of any part; the bytes as atomics; and a raw pointer, for whoever can say
//! why their use of it is sound.

#[cfg(all(test, loom))]
pub(crate) mod loom;

use std::time::Duration;

use super::ends::{Attempt, End, Pending, Side, Way};
use super::{
    ReceiveError, ReceiveTimeoutError, SendError, SendTimeoutError, TryReceiveError, TrySendError,
};

/// A side that lends places to send from.
pub(crate) trait Lend<M>: Side<M> {
    /// A slot that is the caller's until it is published.
    fn place(&mut self, memory: &M, length: usize, way: Way<'_>) -> Attempt<usize, SendError>;

    /// Sends what is in the slot that [`Lend::place`] gave.
    fn publish(&mut self, memory: &M, length: usize, way: Way<'_>) -> Attempt<(), SendError>;

    /// Copies into that slot.
    ///
    /// # Safety
    /// The end of the bytes is within the length that the slot was lent for.
    unsafe fn write(memory: &M, slot: usize, at: usize, bytes: &[u8]);
}

/// A side that lends messages.
pub(crate) trait Borrowed<M>: Side<M> {
    /// The slot and the length of the next message.
    fn next(&mut self, memory: &M, way: Way<'_>) -> Attempt<(usize, usize), ReceiveError>;

    /// The message is not looked at any more.
    fn give_back(&mut self, memory: &M);

    /// Copies out of that slot.
    ///
    /// # Safety
    /// The end of the bytes is within the length of the message.
    unsafe fn read(memory: &M, slot: usize, at: usize, buffer: &mut [u8]);
}

/// A place on loan. Dropping it sends nothing.
pub(crate) struct Lent<'a, M, S: Lend<M>> {
    end: &'a mut End<M, S>,
    pub(crate) slot: usize,
    pub(crate) length: usize,
}

/// A message on loan. Dropping it gives it back, and the message is received.
pub(crate) struct Held<'a, M, S: Borrowed<M>> {
    end: &'a mut End<M, S>,
    pub(crate) slot: usize,
    pub(crate) length: usize,
}

impl<M, S: Lend<M>> End<M, S> {
    pub(crate) fn loan(&mut self, length: usize) -> Result<Lent<'_, M, S>, SendError> {
        let slot = self.wait(|side, memory, way| side.place(memory, length, way))?;
        Ok(Lent { end: self, slot, length })
    }

    pub(crate) fn try_loan(&mut self, length: usize) -> Result<Lent<'_, M, S>, TrySendError> {
        let slot = match self.attempt(|side, memory, way| side.place(memory, length, way)) {
            Ok(slot) => slot?,
            Err(Pending::Peer) => return Err(TrySendError::Full),
            Err(Pending::Lock) => return Err(TrySendError::Busy),
        };
        Ok(Lent { end: self, slot, length })
    }

    pub(crate) fn loan_timeout(
        &mut self,
        length: usize,
        patience: Duration,
    ) -> Result<Lent<'_, M, S>, SendTimeoutError> {
        let slot = self.wait_timeout(patience, |side, memory, way| side.place(memory, length, way));
        let slot = slot.ok_or(SendTimeoutError::Timeout)??;
        Ok(Lent { end: self, slot, length })
    }
}

impl<M, S: Lend<M>> Lent<'_, M, S> {
    pub(crate) fn memory(&self) -> &M {
        &self.end.memory
    }

    /// # Panics
    /// If the bytes reach beyond the place.
    pub(crate) fn write(&mut self, at: usize, bytes: &[u8]) {
        assert!(within(at, bytes.len(), self.length), "the bytes reach beyond the place");
        // SAFETY: just checked.
        unsafe { S::write(&self.end.memory, self.slot, at, bytes) };
    }

    pub(crate) fn send(self) -> Result<(), SendError> {
        let length = self.length;
        self.end.wait(|side, memory, way| side.publish(memory, length, way))
    }

    pub(crate) fn try_send(self) -> Result<(), (TrySendError, Self)> {
        let length = self.length;
        match self.end.attempt(|side, memory, way| side.publish(memory, length, way)) {
            Ok(sent) => sent.map_err(|error| (error.into(), self)),
            Err(Pending::Peer) => Err((TrySendError::Full, self)),
            Err(Pending::Lock) => Err((TrySendError::Busy, self)),
        }
    }

    pub(crate) fn send_timeout(self, patience: Duration) -> Result<(), (SendTimeoutError, Self)> {
        let length = self.length;
        let publish = |side: &mut S, memory: &M, way: Way<'_>| side.publish(memory, length, way);
        match self.end.wait_timeout(patience, publish) {
            Some(sent) => sent.map_err(|error| (error.into(), self)),
            None => Err((SendTimeoutError::Timeout, self)),
        }
    }
}

impl<M, S: Borrowed<M>> End<M, S> {
    pub(crate) fn borrow(&mut self) -> Result<Held<'_, M, S>, ReceiveError> {
        let (slot, length) = self.wait(|side, memory, way| side.next(memory, way))?;
        Ok(Held { end: self, slot, length })
    }

    pub(crate) fn try_borrow(&mut self) -> Result<Held<'_, M, S>, TryReceiveError> {
        let (slot, length) = match self.attempt(|side, memory, way| side.next(memory, way)) {
            Ok(next) => next?,
            Err(Pending::Peer) => return Err(TryReceiveError::Empty),
            Err(Pending::Lock) => return Err(TryReceiveError::Busy),
        };
        Ok(Held { end: self, slot, length })
    }

    pub(crate) fn borrow_timeout(
        &mut self,
        patience: Duration,
    ) -> Result<Held<'_, M, S>, ReceiveTimeoutError> {
        let next = self.wait_timeout(patience, |side, memory, way| side.next(memory, way));
        let (slot, length) = next.ok_or(ReceiveTimeoutError::Timeout)??;
        Ok(Held { end: self, slot, length })
    }
}

impl<M, S: Borrowed<M>> Held<'_, M, S> {
    pub(crate) fn memory(&self) -> &M {
        &self.end.memory
    }

    /// # Panics
    /// If that is more than there is behind `at`.
    pub(crate) fn read(&self, at: usize, buffer: &mut [u8]) {
        assert!(within(at, buffer.len(), self.length), "the buffer reaches beyond the message");
        // SAFETY: just checked.
        unsafe { S::read(&self.end.memory, self.slot, at, buffer) };
    }
}

impl<M, S: Borrowed<M>> Drop for Held<'_, M, S> {
    fn drop(&mut self) {
        let End { memory, side, .. } = &mut *self.end;
        side.give_back(memory);
    }
}

fn within(at: usize, length: usize, all: usize) -> bool {
    at.checked_add(length).is_some_and(|end| end <= all)
}

/// Gives the ends of a link their verbs of loan, over the `Tail`, `Head` and `Control` in scope.
macro_rules! by_loan {
    () => {
        /// A place in shared memory to write a message into, and to send it from. Dropping it
        /// sends nothing.
        pub struct Loan<'a>(
            crate::links::loans::Lent<'a, crate::shm::mapping::Mapping<Control>, Tail>,
        );

        /// A message where it is in shared memory. Dropping it gives the place back.
        pub struct Borrow<'a>(
            crate::links::loans::Held<'a, crate::shm::mapping::Mapping<Control>, Head>,
        );

        impl Sender {
            /// A place for a message of this length; waits until there is one. It holds whatever
            /// was in it before.
            pub fn loan(&mut self, length: usize) -> Result<Loan<'_>, crate::links::SendError> {
                self.0.loan(length).map(Loan)
            }

            /// A place at once or not at all.
            pub fn try_loan(
                &mut self,
                length: usize,
            ) -> Result<Loan<'_>, crate::links::TrySendError> {
                self.0.try_loan(length).map(Loan)
            }

            /// Waits for a place no longer than `patience`.
            pub fn loan_timeout(
                &mut self,
                length: usize,
                patience: std::time::Duration,
            ) -> Result<Loan<'_>, crate::links::SendTimeoutError> {
                self.0.loan_timeout(length, patience).map(Loan)
            }
        }

        impl Receiver {
            /// The next message where it is; waits until there is one.
            pub fn borrow(&mut self) -> Result<Borrow<'_>, crate::links::ReceiveError> {
                self.0.borrow().map(Borrow)
            }

            /// The next message at once or not at all.
            pub fn try_borrow(&mut self) -> Result<Borrow<'_>, crate::links::TryReceiveError> {
                self.0.try_borrow().map(Borrow)
            }

            /// Waits for a message no longer than `patience`.
            pub fn borrow_timeout(
                &mut self,
                patience: std::time::Duration,
            ) -> Result<Borrow<'_>, crate::links::ReceiveTimeoutError> {
                self.0.borrow_timeout(patience).map(Borrow)
            }
        }

        impl Loan<'_> {
            /// In bytes.
            #[expect(clippy::len_without_is_empty, reason = "it has a length, and holds nothing")]
            pub fn len(&self) -> usize {
                self.0.length
            }

            /// Copies `bytes` to where `at` is.
            ///
            /// # Panics
            /// If they reach beyond the place.
            pub fn write(&mut self, at: usize, bytes: &[u8]) {
                self.0.write(at, bytes);
            }

            /// The place as atomics, because other processes have it mapped.
            pub fn bytes(&self) -> &[std::sync::atomic::AtomicU8] {
                self.0.memory().bytes(self.0.slot, self.0.length)
            }

            /// Where the place begins; at a multiple of 8. Good while the loan lasts. No
            /// well-behaved process uses it meanwhile, but any process may.
            pub fn as_mut_ptr(&mut self) -> *mut u8 {
                self.0.memory().bytes(self.0.slot, self.0.length).as_ptr().cast_mut().cast()
            }

            /// Sends what is in the place; waits if the link has to.
            pub fn send(self) -> Result<(), crate::links::SendError> {
                self.0.send()
            }

            /// Sends at once, or gives the place back to the caller.
            pub fn try_send(self) -> Result<(), (crate::links::TrySendError, Self)> {
                self.0.try_send().map_err(|(error, loan)| (error, Loan(loan)))
            }

            /// Waits no longer than `patience`, and then gives the place back to the caller.
            pub fn send_timeout(
                self,
                patience: std::time::Duration,
            ) -> Result<(), (crate::links::SendTimeoutError, Self)> {
                self.0.send_timeout(patience).map_err(|(error, loan)| (error, Loan(loan)))
            }
        }

        impl Borrow<'_> {
            /// In bytes.
            pub fn len(&self) -> usize {
                self.0.length
            }

            /// Whether the message has no bytes.
            pub fn is_empty(&self) -> bool {
                self.0.length == 0
            }

            /// Copies from where `at` is, as much as `buffer` is long.
            ///
            /// # Panics
            /// If that is more than there is.
            pub fn read(&self, at: usize, buffer: &mut [u8]) {
                self.0.read(at, buffer);
            }

            /// The message as atomics, because other processes have it mapped.
            pub fn bytes(&self) -> &[std::sync::atomic::AtomicU8] {
                self.0.memory().bytes(self.0.slot, self.0.length)
            }

            /// Where the message begins; at a multiple of 8. Good while the borrow lasts. No
            /// well-behaved process writes there meanwhile, but any process may.
            pub fn as_ptr(&self) -> *const u8 {
                self.0.memory().bytes(self.0.slot, self.0.length).as_ptr().cast()
            }
        }
    };
}

pub(crate) use by_loan;
