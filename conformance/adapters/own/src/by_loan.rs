//! The ends of links by loan under the verbs of those that copy: what is sent is written into a
//! place on loan, and what is received is read where it is.

use std::time::Duration;

use ipc_impls::links::{
    ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError, SendingEnd,
    TryReceiveError, TrySendError, loan, ring,
};

/// Sends by loan.
pub(crate) struct Lends<S>(pub(crate) S);

/// Receives by borrow.
pub(crate) struct Borrows<R>(pub(crate) R);

macro_rules! by_loan {
    ($link:ident) => {
        impl SendingEnd for Lends<$link::Sender> {
            fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
                let mut loan = self.0.loan(message.len())?;
                loan.write(0, message);
                loan.send()
            }

            fn try_send(&mut self, message: &[u8]) -> Result<(), TrySendError> {
                let mut loan = self.0.try_loan(message.len())?;
                loan.write(0, message);
                loan.try_send().map_err(|(error, _)| error)
            }

            fn send_timeout(
                &mut self,
                message: &[u8],
                patience: Duration,
            ) -> Result<(), SendTimeoutError> {
                // A link waits either for the place or for the sending, not for both.
                let mut loan = self.0.loan_timeout(message.len(), patience)?;
                loan.write(0, message);
                loan.send_timeout(patience).map_err(|(error, _)| error)
            }
        }

        impl ReceivingEnd for Borrows<$link::Receiver> {
            fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
                Ok(copy_out!(self.0.borrow()?, buffer))
            }

            fn try_receive(&mut self, buffer: &mut [u8]) -> Result<usize, TryReceiveError> {
                Ok(copy_out!(self.0.try_borrow()?, buffer))
            }

            fn receive_timeout(
                &mut self,
                buffer: &mut [u8],
                patience: Duration,
            ) -> Result<usize, ReceiveTimeoutError> {
                Ok(copy_out!(self.0.borrow_timeout(patience)?, buffer))
            }
        }
    };
}

/// The suite wants the bytes; its buffer has room for the longest message.
macro_rules! copy_out {
    ($borrowed:expr, $buffer:expr) => {{
        let borrowed = $borrowed;
        let length = borrowed.len();
        borrowed.read(0, &mut $buffer[..length]);
        length
    }};
}

by_loan!(ring);
by_loan!(loan);
