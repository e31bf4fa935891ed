//! Links whose ends are descriptors that another process inherits: pipes and socket pairs.

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ipc_model::Process;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::adapter::{Address, Created, Delivery, Endpoint, Failure, Parcel, Role, ends};

/// How the ends `S` and `R` of a link are made of one descriptor each, in whatever process.
pub struct Descriptors<S, R> {
    sender: Rc<dyn Fn(OwnedFd) -> S>,
    receiver: Rc<dyn Fn(OwnedFd) -> R>,
}

impl<S: Endpoint + 'static, R: Endpoint + 'static> Descriptors<S, R> {
    /// Ends that are made by these functions.
    pub fn new(
        sender: impl Fn(OwnedFd) -> S + 'static,
        receiver: impl Fn(OwnedFd) -> R + 'static,
    ) -> Self {
        Self { sender: Rc::new(sender), receiver: Rc::new(receiver) }
    }

    /// The link that has been created as these two descriptors, both close-on-exec.
    pub fn boxed(
        self,
        sender: impl Into<OwnedFd>,
        receiver: impl Into<OwnedFd>,
    ) -> Box<dyn Created> {
        Box::new(Pair { made: Some((sender.into(), receiver.into())), ends: self })
    }

    /// The endpoint of a process that has inherited the descriptors of this address.
    ///
    /// # Errors
    /// If the address lacks a descriptor of this role.
    pub fn connect(&self, address: &Address, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        let inherited = RefCell::new(inherited(address));
        let next = || {
            let descriptor = inherited.borrow_mut().next();
            descriptor.ok_or_else(|| Failure::other("a descriptor is missing"))
        };
        ends(role, || next().map(&*self.sender), || next().map(&*self.receiver))
    }
}

impl Descriptors<PolledSender, PolledReceiver> {
    /// Ends that have one call each, which waits or does not: the timed calls poll in between.
    pub fn polled(send: Send, receive: Receive) -> Self {
        Self::new(move |fd| PolledSender(fd, send), move |fd| PolledReceiver(fd, receive))
    }
}

/// A link of two descriptors: what to send and to receive through, until they are handed over.
struct Pair<S, R> {
    made: Option<(OwnedFd, OwnedFd)>,
    ends: Descriptors<S, R>,
}

impl<S, R> Pair<S, R> {
    fn made(&self) -> Result<&(OwnedFd, OwnedFd), Failure> {
        self.made.as_ref().ok_or_else(|| Failure::other("the ends have been handed over"))
    }
}

impl<S: Endpoint + 'static, R: Endpoint + 'static> Created for Pair<S, R> {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        let (sender, receiver) = self.made()?;
        let copy = |fd: &OwnedFd| fd.try_clone().map_err(Failure::other);
        let Descriptors { sender: send, receiver: receive } = &self.ends;
        ends(role, || copy(sender).map(&**send), || copy(receiver).map(&**receive))
    }

    fn address(&mut self, role: Role) -> Result<Address, Failure> {
        let (sender, receiver) = self.made()?;
        let sender = role.sends.then(|| sender.as_raw_fd());
        let receiver = role.receives.then(|| receiver.as_raw_fd());
        Ok(Address::inherited(&sender.into_iter().chain(receiver).collect::<Vec<_>>()))
    }

    fn hand_over(&mut self) {
        self.made = None;
    }
}

/// A send that waits for room if the last argument says so, and otherwise answers
/// [`Failure::Full`].
pub type Send = fn(BorrowedFd<'_>, &[u8], bool) -> Result<(), Failure>;

/// A receive that waits for a message if the last argument says so, and otherwise answers
/// [`Failure::Empty`].
pub type Receive = fn(BorrowedFd<'_>, bool) -> Result<Vec<u8>, Failure>;

/// A descriptor to send through by this one call.
pub struct PolledSender(pub OwnedFd, pub Send);

/// A descriptor to receive through by this one call.
pub struct PolledReceiver(pub OwnedFd, pub Receive);

impl Endpoint for PolledSender {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        (self.1)(self.0.as_fd(), parcel.bytes, true)
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        (self.1)(self.0.as_fd(), parcel.bytes, false)
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        let attempt = || (self.1)(self.0.as_fd(), parcel.bytes, false);
        until(self.0.as_fd(), PollFlags::POLLOUT, timeout, attempt)
    }
}

impl Endpoint for PolledReceiver {
    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        (self.1)(self.0.as_fd(), true).map(Delivery::from)
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        (self.1)(self.0.as_fd(), false).map(Delivery::from)
    }

    fn receive_timeout(
        &mut self,
        _: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        let attempt = || (self.1)(self.0.as_fd(), false).map(Delivery::from);
        until(self.0.as_fd(), PollFlags::POLLIN, timeout, attempt)
    }
}

/// The descriptors that this process has inherited with an address, in its order.
pub fn inherited(address: &Address) -> impl Iterator<Item = OwnedFd> + '_ {
    address.inherit.iter().map(|number| {
        // SAFETY: the address names descriptors that this process has inherited for this one
        // endpoint; it is connected once, so nothing else owns or closes them.
        unsafe { OwnedFd::from_raw_fd(*number) }
    })
}

/// Makes a timed call out of nonblocking ones, for a facility that has no timed call of its own:
/// between attempts it sleeps in poll until the descriptor is ready. It gives up at the deadline,
/// never before.
///
/// # Errors
/// [`Failure::Timeout`] at the deadline, or what an attempt fails with.
pub fn until<T>(
    fd: BorrowedFd<'_>,
    events: PollFlags,
    timeout: Duration,
    mut attempt: impl FnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    // A deadline beyond what the clock can say never comes.
    let deadline = Instant::now().checked_add(timeout);
    loop {
        match attempt() {
            Err(Failure::Full | Failure::Empty) => wait(fd, events, deadline)?,
            done => return done,
        }
    }
}

fn wait(fd: BorrowedFd<'_>, events: PollFlags, deadline: Option<Instant>) -> Result<(), Failure> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match ppoll(&mut [PollFd::new(fd, events)], left.map(TimeSpec::from), None) {
            Ok(0) if left == Some(Duration::ZERO) => return Err(Failure::Timeout),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(Failure::other(error)),
        }
    }
}
