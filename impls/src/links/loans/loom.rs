//! Ends that send and receive by loan, under the verbs that the record knows.

use std::time::Duration;

use super::{Borrowed, Lend, Side};
use crate::links::ends::End;
use crate::links::{
    ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError, SendingEnd,
    TryReceiveError, TrySendError,
};
use crate::shm::object::{AttachError, Shape};
use crate::shm::roster::Seat;

pub(crate) struct ByLoan<E>(E);

impl<M, S: Side<M>> ByLoan<End<M, S>> {
    pub(crate) fn new(memory: M, seat: Seat, shape: &Shape) -> Result<Self, AttachError> {
        End::new(memory, seat, shape).map(ByLoan)
    }
}

impl<M, S: Lend<M>> SendingEnd for ByLoan<End<M, S>> {
    fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        let mut loan = self.0.loan(message.len())?;
        loan.write(0, message);
        loan.send()
    }

    fn try_send(&mut self, message: &[u8]) -> Result<(), TrySendError> {
        let mut loan = self.0.try_loan(message.len())?;
        let half = message.len() / 2;
        loan.write(half, &message[half..]);
        loan.write(0, &message[..half]);
        loan.try_send().map_err(|(error, _)| error)
    }

    fn send_timeout(&mut self, message: &[u8], patience: Duration) -> Result<(), SendTimeoutError> {
        let mut loan = self.0.loan_timeout(message.len(), patience)?;
        loan.write(0, message);
        loan.send_timeout(patience).map_err(|(error, _)| error)
    }
}

impl<M, S: Borrowed<M>> ReceivingEnd for ByLoan<End<M, S>> {
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        let held = self.0.borrow()?;
        held.read(0, &mut buffer[..held.length]);
        Ok(held.length)
    }

    fn try_receive(&mut self, buffer: &mut [u8]) -> Result<usize, TryReceiveError> {
        let held = self.0.try_borrow()?;
        held.read(0, &mut buffer[..held.length]);
        Ok(held.length)
    }

    fn receive_timeout(
        &mut self,
        buffer: &mut [u8],
        patience: Duration,
    ) -> Result<usize, ReceiveTimeoutError> {
        let held = self.0.borrow_timeout(patience)?;
        held.read(0, &mut buffer[..held.length]);
        Ok(held.length)
    }
}
