//! Links whose ends are descriptors that another process inherits: pipes and socket pairs.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::adapter::{Address, Created, Endpoint, Failure, Role, ends};

/// A link made of one descriptor to send through and one to receive through, which become the
/// ends `S` and `R`. Both descriptors must have been created close-on-exec.
pub struct Descriptors<S, R> {
    /// To send and to receive through, until they are handed over.
    pair: Option<(OwnedFd, OwnedFd)>,
    ends: PhantomData<(S, R)>,
}

impl<S, R> Descriptors<S, R>
where
    S: Endpoint + From<OwnedFd> + 'static,
    R: Endpoint + From<OwnedFd> + 'static,
{
    /// The link that has been created as these two descriptors.
    pub fn boxed(sender: impl Into<OwnedFd>, receiver: impl Into<OwnedFd>) -> Box<dyn Created> {
        Box::new(Self { pair: Some((sender.into(), receiver.into())), ends: PhantomData })
    }

    /// The endpoint of a process that has inherited the descriptors of this address.
    ///
    /// # Errors
    /// If the address lacks a descriptor of this role.
    pub fn connect(address: &Address, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        let inherited = RefCell::new(inherited(address));
        let next = || {
            let descriptor = inherited.borrow_mut().next();
            descriptor.ok_or_else(|| Failure::other("a descriptor is missing"))
        };
        ends(role, || next().map(S::from), || next().map(R::from))
    }

    fn pair(&self) -> Result<&(OwnedFd, OwnedFd), Failure> {
        self.pair.as_ref().ok_or_else(|| Failure::other("the ends have been handed over"))
    }
}

impl<S, R> Created for Descriptors<S, R>
where
    S: Endpoint + From<OwnedFd> + 'static,
    R: Endpoint + From<OwnedFd> + 'static,
{
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        let (sender, receiver) = self.pair()?;
        let copy = |fd: &OwnedFd| fd.try_clone().map_err(Failure::other);
        ends(role, || copy(sender).map(S::from), || copy(receiver).map(R::from))
    }

    fn address(&mut self, role: Role) -> Result<Address, Failure> {
        let (sender, receiver) = self.pair()?;
        let sender = role.sends.then(|| sender.as_raw_fd());
        let receiver = role.receives.then(|| receiver.as_raw_fd());
        Ok(Address::inherited(&sender.into_iter().chain(receiver).collect::<Vec<_>>()))
    }

    fn hand_over(&mut self) {
        self.pair = None;
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
