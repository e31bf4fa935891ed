//! What the links of the operating system have in common.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;

use crate::sys::{self, Fault};

/// Why a link of the operating system was not made or not reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Somebody has this name.
    #[error("{0} exists; open it, remove it, or choose another name")]
    Exists(String),
    /// Nobody made it, or somebody removed it.
    #[error("there is no {0}; make it first")]
    NotFound(String),
    /// Nobody listens there.
    #[error("nobody listens at {0}; start the other side first")]
    NobodyListens(String),
    /// It belongs to somebody else.
    #[error("permission for {0} is refused; it is for its owner alone")]
    Denied(String),
    /// It is something else.
    #[error("{0} is something else than this kind of link; choose another name")]
    OtherKind(String),
    /// This process has as many descriptors as it may.
    #[error("no descriptor is left in this process; close some, or see `ulimit -n`")]
    Descriptors,
    /// All processes together have as many descriptors as the system allows.
    #[error("no descriptor is left on this machine; see /proc/sys/fs/file-max")]
    SystemDescriptors,
    /// The kernel allows no longer name.
    #[error("the name {0} is too long for a socket; a path has at most 107 bytes")]
    LongName(String),
    /// The kernel allows no such link.
    #[error("{asked} is not possible here: {limit}")]
    Limit {
        /// What was asked for.
        asked: String,
        /// What stands against it, and where to change it.
        limit: String,
    },
    /// Anything else.
    #[error(transparent)]
    System(#[from] Fault),
}

impl LinkError {
    /// What a failed call on `name` means.
    pub(super) fn of(call: &'static str, name: &str, errno: Errno) -> LinkError {
        let name = name.to_owned();
        match errno {
            Errno::EEXIST | Errno::EADDRINUSE => LinkError::Exists(name),
            Errno::ENOENT => LinkError::NotFound(name),
            Errno::ECONNREFUSED => LinkError::NobodyListens(name),
            Errno::EACCES | Errno::EPERM => LinkError::Denied(name),
            Errno::EPROTOTYPE | Errno::ENOTSOCK => LinkError::OtherKind(name),
            Errno::EMFILE => LinkError::Descriptors,
            Errno::ENFILE => LinkError::SystemDescriptors,
            Errno::ENAMETOOLONG => LinkError::LongName(name),
            errno => LinkError::System(Fault { call, errno }),
        }
    }

    pub(super) fn io(call: &'static str, name: &str) -> impl Fn(std::io::Error) -> LinkError {
        move |error| match error.kind() {
            // The standard library looks at the length itself.
            std::io::ErrorKind::InvalidInput if error.raw_os_error().is_none() => {
                LinkError::LongName(name.to_owned())
            }
            _ => LinkError::of(call, name, sys::errno(&error)),
        }
    }
}

/// A path that is removed when this is dropped.
#[derive(Debug)]
pub(super) struct OwnPath(pub(super) PathBuf);

impl Drop for OwnPath {
    fn drop(&mut self) {
        // Where it fails, somebody else has removed it.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Removes a name in the file system.
pub(super) fn unlink(path: &Path) -> Result<(), LinkError> {
    let name = path.display().to_string();
    std::fs::remove_file(path).map_err(LinkError::io("unlink", &name))
}

/// Repeats a nonblocking `attempt` until it gives something, and sleeps in poll in between.
/// `None` once `patience` has run out, after a last attempt.
pub(super) fn persist<T, E: From<Fault>>(
    patience: Duration,
    mut attempt: impl FnMut() -> Result<Option<T>, E>,
    asleep: impl Fn(Option<Duration>) -> Result<(), Fault>,
) -> Result<Option<T>, E> {
    // The clock is not read if there is no need to wait.
    if let Some(done) = attempt()? {
        return Ok(Some(done));
    }
    let deadline = sys::now().saturating_add(patience);
    loop {
        let left = deadline.saturating_sub(sys::now());
        if left.is_zero() {
            return attempt();
        }
        asleep(Some(left))?;
        if let Some(done) = attempt()? {
            return Ok(Some(done));
        }
    }
}

/// Sleeps until the descriptor is ready, or until the time is up.
pub(super) fn sleep(
    (fd, events): (BorrowedFd<'_>, PollFlags),
    left: Option<Duration>,
) -> Result<(), Fault> {
    sys::poll(fd, events, left).map(drop).map_err(Fault::of("ppoll"))
}

/// Attempts at growing intervals until `patience` has run out, where there is nothing to sleep for.
pub(super) fn ask_again<T, E>(
    patience: Duration,
    mut attempt: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    const SHORTEST: Duration = Duration::from_micros(50);
    const LONGEST: Duration = Duration::from_millis(4);
    let deadline = sys::now().saturating_add(patience);
    let mut pause = SHORTEST;
    loop {
        let left = deadline.saturating_sub(sys::now());
        if let Some(done) = attempt()? {
            return Ok(Some(done));
        }
        if left.is_zero() {
            return Ok(None);
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(LONGEST);
    }
}

/// The verbs of two ends, out of `put`, `take` and `asked`, which say how to attempt once, waiting
/// or not, and what to sleep for.
macro_rules! verbs {
    ($sender:ty, $receiver:ty, $wait:expr, $ask:expr) => {
        crate::links::os::receiving!($receiver, $wait, $ask);

        impl SendingEnd for $sender {
            fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
                while self.put(message, $wait)?.is_none() {
                    crate::links::os::sleep(self.asked(), None).map_err(SendError::System)?;
                }
                Ok(())
            }

            fn try_send(&mut self, message: &[u8]) -> Result<(), TrySendError> {
                self.put(message, $ask)?.ok_or(TrySendError::Full)
            }

            fn send_timeout(
                &mut self,
                message: &[u8],
                patience: Duration,
            ) -> Result<(), SendTimeoutError> {
                let this = std::cell::RefCell::new(self);
                let sent = crate::links::os::persist(
                    patience,
                    || this.borrow_mut().put(message, $ask),
                    |left| crate::links::os::sleep(this.borrow().asked(), left),
                );
                sent?.ok_or(SendTimeoutError::Timeout)
            }
        }
    };
}
pub(super) use verbs;

/// The receiving half of them.
macro_rules! receiving {
    ($receiver:ty, $wait:expr, $ask:expr) => {
        impl ReceivingEnd for $receiver {
            fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
                loop {
                    if let Some(length) = self.take(buffer, $wait)? {
                        return Ok(length);
                    }
                    crate::links::os::sleep(self.asked(), None).map_err(ReceiveError::System)?;
                }
            }

            fn try_receive(&mut self, buffer: &mut [u8]) -> Result<usize, TryReceiveError> {
                self.take(buffer, $ask)?.ok_or(TryReceiveError::Empty)
            }

            fn receive_timeout(
                &mut self,
                buffer: &mut [u8],
                patience: Duration,
            ) -> Result<usize, ReceiveTimeoutError> {
                let this = std::cell::RefCell::new(self);
                let taken = crate::links::os::persist(
                    patience,
                    || this.borrow_mut().take(buffer, $ask),
                    |left| crate::links::os::sleep(this.borrow().asked(), left),
                );
                taken?.ok_or(ReceiveTimeoutError::Timeout)
            }
        }
    };
}
pub(super) use receiving;

impl From<Fault> for super::SendError {
    fn from(fault: Fault) -> Self {
        super::SendError::System(fault)
    }
}

impl From<Fault> for super::ReceiveError {
    fn from(fault: Fault) -> Self {
        super::ReceiveError::System(fault)
    }
}

/// A path of a test's own, gone when the test ends.
#[cfg(all(test, not(loom)))]
pub(super) fn own_path(test: &str) -> TestPath {
    TestPath(OwnPath(std::env::temp_dir().join(format!("ipc-impls-{test}-{}", std::process::id()))))
}

/// See [`own_path`].
#[cfg(all(test, not(loom)))]
pub(super) struct TestPath(OwnPath);

#[cfg(all(test, not(loom)))]
impl std::ops::Deref for TestPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0.0
    }
}
