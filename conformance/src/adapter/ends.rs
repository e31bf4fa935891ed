//! Where the ends of links between threads come from, and ends in common shapes.

use std::time::Duration;

use ipc_model::Process;

use super::{Created, Delivery, Endpoint, Failure, Parcel, Role};

/// Where the ends of one direction of a link come from.
pub enum Supply<E> {
    /// As many as asked for: each is made by this.
    Many(Box<dyn Fn() -> E>),
    /// One, until it is taken.
    One(Option<E>),
}

impl<E: Clone + 'static> Supply<E> {
    /// Clones of this end.
    pub fn clones(end: E) -> Self {
        Self::Many(Box::new(move || end.clone()))
    }
}

impl<E> Supply<E> {
    /// This end, once.
    pub fn one(end: E) -> Self {
        Self::One(Some(end))
    }

    fn next(&mut self) -> Result<E, Failure> {
        match self {
            Supply::Many(make) => Ok(make()),
            Supply::One(end) => {
                end.take().ok_or_else(|| Failure::Other("the link has only one such end".into()))
            }
        }
    }
}

/// A link between threads, as the ends it was created with.
pub struct Handles<S, R>(Option<(Supply<S>, Supply<R>)>);

impl<S: Endpoint + 'static, R: Endpoint + 'static> Handles<S, R> {
    /// The link whose ends come from here.
    pub fn boxed(senders: Supply<S>, receivers: Supply<R>) -> Box<dyn Created>
    where
        Self: Created,
    {
        Box::new(Self(Some((senders, receivers))))
    }
}

impl<S: Endpoint + 'static, R: Endpoint + 'static> Created for Handles<S, R> {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        let handed_over = || Failure::Other("the ends have been handed over".into());
        let (senders, receivers) = self.0.as_mut().ok_or_else(handed_over)?;
        ends(role, || senders.next(), || receivers.next())
    }

    fn hand_over(&mut self) {
        self.0 = None;
    }
}

/// The endpoint of this role, out of what makes its ends.
///
/// # Errors
/// What making them fails with.
pub fn ends<S, R>(
    role: Role,
    sender: impl FnOnce() -> Result<S, Failure>,
    receiver: impl FnOnce() -> Result<R, Failure>,
) -> Result<Box<dyn Endpoint>, Failure>
where
    S: Endpoint + 'static,
    R: Endpoint + 'static,
{
    match (role.sends, role.receives) {
        (true, false) => Ok(Box::new(sender()?)),
        (false, _) => Ok(Box::new(receiver()?)),
        (true, true) => Ok(Box::new(Both { sender: sender()?, receiver: receiver()? })),
    }
}

/// Tries until it works, for an end that can only be connected once the other side is there.
///
/// # Errors
/// What the last attempt fails with, after five seconds.
pub fn eventually<T, E: std::fmt::Display>(
    mut attempt: impl FnMut() -> Result<T, E>,
) -> Result<T, Failure> {
    let begun = std::time::Instant::now();
    loop {
        match attempt() {
            Err(error) if begun.elapsed() > Duration::from_secs(5) => {
                return Err(Failure::other(error));
            }
            Err(_) => std::thread::sleep(Duration::from_micros(200)),
            Ok(made) => return Ok(made),
        }
    }
}

/// Both ends in one hand.
pub struct Both<S, R> {
    /// What it sends through.
    pub sender: S,
    /// What it receives through.
    pub receiver: R,
}

impl<S: Endpoint, R: Endpoint> Endpoint for Both<S, R> {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.sender.send(parcel)
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.sender.try_send(parcel)
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        self.sender.send_timeout(parcel, timeout)
    }

    fn receive(&mut self, from: Option<Process>) -> Result<Delivery, Failure> {
        self.receiver.receive(from)
    }

    fn try_receive(&mut self, from: Option<Process>) -> Result<Delivery, Failure> {
        self.receiver.try_receive(from)
    }

    fn receive_timeout(
        &mut self,
        from: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        self.receiver.receive_timeout(from, timeout)
    }

    fn send_batch(&mut self, messages: &[Vec<u8>]) -> Result<usize, Failure> {
        self.sender.send_batch(messages)
    }

    fn receive_batch(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        self.receiver.receive_batch()
    }
}
