//! Ends of a link as tables of calls: what an adapter says instead of two `impl Endpoint`.

mod like_std;

use std::time::Duration;

use ipc_model::Process;

use crate::adapter::{Delivery, Endpoint, Failure, Observation, Observer, Parcel};

type Send<E> = fn(&mut E, &[u8]) -> Result<(), Failure>;
type SendTimeout<E> = fn(&mut E, &[u8], Duration) -> Result<(), Failure>;
type Receive<E> = fn(&mut E) -> Result<Vec<u8>, Failure>;
type ReceiveTimeout<E> = fn(&mut E, Duration) -> Result<Vec<u8>, Failure>;
type SendBatch<E> = fn(&mut E, &[Vec<u8>]) -> Result<usize, Failure>;
type ReceiveBatch<E> = fn(&mut E) -> Result<Vec<Vec<u8>>, Failure>;
type Observe<E> = fn(&E, Observer) -> Option<Observation>;

/// A sending end of type `E`, and how it is used. Calls that are not given are `Unsupported`.
#[derive(Clone)]
pub struct Sends<E> {
    end: E,
    blocking: Option<Send<E>>,
    nonblocking: Option<Send<E>>,
    timed: Option<SendTimeout<E>>,
    batch: Option<SendBatch<E>>,
    observe: Option<Observe<E>>,
}

impl<E> Sends<E> {
    /// This end, of which no call is known yet.
    pub fn through(end: E) -> Self {
        let (blocking, nonblocking, timed) = (None, None, None);
        Self { end, blocking, nonblocking, timed, batch: None, observe: None }
    }

    /// The call that waits for as long as it takes.
    #[must_use]
    pub fn blocking(self, call: Send<E>) -> Self {
        Self { blocking: Some(call), ..self }
    }

    /// The call that never waits.
    #[must_use]
    pub fn nonblocking(self, call: Send<E>) -> Self {
        Self { nonblocking: Some(call), ..self }
    }

    /// The call that waits no longer than it is told.
    #[must_use]
    pub fn timed(self, call: SendTimeout<E>) -> Self {
        Self { timed: Some(call), ..self }
    }

    /// The call that sends several messages at once, and never waits.
    #[must_use]
    pub fn batch(self, call: SendBatch<E>) -> Self {
        Self { batch: Some(call), ..self }
    }

    /// What the end tells without a call; `None` for questions that it does not answer.
    #[must_use]
    pub fn observing(self, observe: Observe<E>) -> Self {
        Self { observe: Some(observe), ..self }
    }
}

impl<E: core::marker::Send> Endpoint for Sends<E> {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.blocking.map_or(Err(Failure::Unsupported), |call| call(&mut self.end, parcel.bytes))
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.nonblocking.map_or(Err(Failure::Unsupported), |call| call(&mut self.end, parcel.bytes))
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        let call = self.timed.ok_or(Failure::Unsupported)?;
        call(&mut self.end, parcel.bytes, timeout)
    }

    fn send_batch(&mut self, messages: &[Vec<u8>]) -> Result<usize, Failure> {
        self.batch.map_or(Err(Failure::Unsupported), |call| call(&mut self.end, messages))
    }

    fn observe(&self, what: Observer) -> Result<Observation, Failure> {
        self.observe.and_then(|ask| ask(&self.end, what)).ok_or(Failure::Unsupported)
    }
}

/// A receiving end of type `E`, and how it is used. Calls that are not given are `Unsupported`.
#[derive(Clone)]
pub struct Receives<E> {
    end: E,
    blocking: Option<Receive<E>>,
    nonblocking: Option<Receive<E>>,
    timed: Option<ReceiveTimeout<E>>,
    batch: Option<ReceiveBatch<E>>,
    observe: Option<Observe<E>>,
}

impl<E> Receives<E> {
    /// This end, of which no call is known yet.
    pub fn through(end: E) -> Self {
        let (blocking, nonblocking, timed) = (None, None, None);
        Self { end, blocking, nonblocking, timed, batch: None, observe: None }
    }

    /// The call that waits for as long as it takes.
    #[must_use]
    pub fn blocking(self, call: Receive<E>) -> Self {
        Self { blocking: Some(call), ..self }
    }

    /// The call that never waits.
    #[must_use]
    pub fn nonblocking(self, call: Receive<E>) -> Self {
        Self { nonblocking: Some(call), ..self }
    }

    /// The call that waits no longer than it is told.
    #[must_use]
    pub fn timed(self, call: ReceiveTimeout<E>) -> Self {
        Self { timed: Some(call), ..self }
    }

    /// The call that receives all that is there at once, and never waits.
    #[must_use]
    pub fn batch(self, call: ReceiveBatch<E>) -> Self {
        Self { batch: Some(call), ..self }
    }

    /// What the end tells without a call; `None` for questions that it does not answer.
    #[must_use]
    pub fn observing(self, observe: Observe<E>) -> Self {
        Self { observe: Some(observe), ..self }
    }
}

impl<E: core::marker::Send> Endpoint for Receives<E> {
    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        let call = self.blocking.ok_or(Failure::Unsupported)?;
        call(&mut self.end).map(Delivery::from)
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        let call = self.nonblocking.ok_or(Failure::Unsupported)?;
        call(&mut self.end).map(Delivery::from)
    }

    fn receive_timeout(
        &mut self,
        _: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        let call = self.timed.ok_or(Failure::Unsupported)?;
        call(&mut self.end, timeout).map(Delivery::from)
    }

    fn receive_batch(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        self.batch.map_or(Err(Failure::Unsupported), |call| call(&mut self.end))
    }

    fn observe(&self, what: Observer) -> Result<Observation, Failure> {
        self.observe.and_then(|ask| ask(&self.end, what)).ok_or(Failure::Unsupported)
    }
}

/// The capacity in the name of a configuration: `bounded-2` has 2, `zero` 0, `unbounded` none.
///
/// # Errors
/// For any other name.
pub fn capacity(link: &str) -> Result<Option<usize>, Failure> {
    let number = link.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
    match (link.rsplit('-').next(), number) {
        (_, Some(number)) => Ok(Some(number)),
        (Some("zero"), _) => Ok(Some(0)),
        (Some("unbounded"), _) => Ok(None),
        _ => Err(Failure::Other(format!("{link:?} names no capacity"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_not_given_is_unsupported() {
        let mut end = Receives::through(7).nonblocking(|byte| Ok(vec![*byte]));
        assert_eq!(end.try_receive(None).map(|d| d.bytes), Ok(vec![7]));
        assert_eq!(end.receive(None), Err(Failure::Unsupported));
        let mut end = Sends::through(Vec::new()).blocking(|all, bytes| {
            all.extend_from_slice(bytes);
            Ok(())
        });
        let parcel = Parcel { bytes: b"ab", priority: 0, to: None };
        assert_eq!(end.send(parcel), Ok(()));
        assert_eq!(end.end, b"ab");
        assert_eq!(end.try_send(parcel), Err(Failure::Unsupported));
    }

    #[test]
    fn a_configurations_name_says_its_capacity() {
        assert_eq!(capacity("bounded-2"), Ok(Some(2)));
        assert_eq!(capacity("mpmc-bounded-1"), Ok(Some(1)));
        assert_eq!(capacity("zero"), Ok(Some(0)));
        assert_eq!(capacity("spsc-unbounded"), Ok(None));
        assert!(capacity("frames").is_err());
    }
}
