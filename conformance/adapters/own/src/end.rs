//! Our ends as the suite's endpoints: the verbs are the same, only the errors need words.

use std::time::Duration;

use ipc_conformance::adapter::{Delivery, Endpoint, Failure, Parcel};
use ipc_impls::links::{
    ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError, SendingEnd, Size,
    TryReceiveError, TrySendError,
};
use ipc_model::Process;

/// A sending end.
pub(crate) struct Tx<S>(pub(crate) S);

/// A receiving end, with a buffer for the longest message.
pub(crate) struct Rx<R> {
    pub(crate) end: R,
    buffer: Vec<u8>,
}

impl<R> Rx<R> {
    pub(crate) fn new(end: R, longest: usize) -> Self {
        Self { end, buffer: vec![0; longest] }
    }

    fn deliver<E>(&self, length: Result<usize, E>) -> Result<Delivery, Failure>
    where
        E: Into<Word>,
    {
        length.map(|n| self.buffer[..n].to_vec().into()).map_err(|e| e.into().0)
    }
}

/// A failure in the suite's words.
struct Word(Failure);

fn wrong_size(allowed: Size) -> Failure {
    match allowed {
        Size::Fixed(_) => Failure::WrongSize,
        Size::UpTo(_) => Failure::TooBig,
    }
}

macro_rules! words {
    ($error:ident: $($variant:ident => $failure:ident),*; sizes $($size:ident)?) => {
        impl From<$error> for Word {
            fn from(error: $error) -> Self {
                Self(match error {
                    $($error::$variant => Failure::$failure,)*
                    $($error::$size { allowed, .. } => wrong_size(allowed),)?
                    other => Failure::other(other),
                })
            }
        }
    };
}

words!(SendError: Disconnected => Closed; sizes WrongSize);
words!(TrySendError: Full => Full, Disconnected => Closed; sizes WrongSize);
words!(SendTimeoutError: Timeout => Timeout, Disconnected => Closed; sizes WrongSize);
words!(ReceiveError: Disconnected => Closed; sizes);
words!(TryReceiveError: Empty => Empty, Disconnected => Closed; sizes);
words!(ReceiveTimeoutError: Timeout => Timeout, Disconnected => Closed; sizes);

impl<S: SendingEnd + Send> Endpoint for Tx<S> {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.send(parcel.bytes).map_err(|e| Word::from(e).0)
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.try_send(parcel.bytes).map_err(|e| Word::from(e).0)
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        self.0.send_timeout(parcel.bytes, timeout).map_err(|e| Word::from(e).0)
    }
}

impl<R: ReceivingEnd + Send> Endpoint for Rx<R> {
    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        let length = self.end.receive(&mut self.buffer);
        self.deliver(length)
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        let length = self.end.try_receive(&mut self.buffer);
        self.deliver(length)
    }

    fn receive_timeout(
        &mut self,
        _: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        let length = self.end.receive_timeout(&mut self.buffer, timeout);
        self.deliver(length)
    }
}
