//! Calls on sockets, which wait or do not, and what their errors mean.

use std::io::{ErrorKind, Read};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, MsgFlags, SockFlag, SockType, setsockopt, socketpair, sockopt,
};

use crate::adapter::Failure;

/// A connected pair of Unix sockets, of which the first has a buffer of about so many bytes.
///
/// # Errors
/// The system's.
pub fn pair(kind: SockType, buffer: usize) -> Result<(OwnedFd, OwnedFd), Failure> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let pair = socketpair(AddressFamily::Unix, kind, None, flags).map_err(Failure::other)?;
    setsockopt(&pair.0, sockopt::SndBuf, &buffer).map_err(Failure::other)?;
    Ok(pair)
}

/// Sends all of `bytes` by one call.
///
/// # Errors
/// [`Failure::Full`] where a call that does not wait would have to; [`Failure::Closed`] where
/// nobody is at the other end.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], wait: bool) -> Result<(), Failure> {
    let flags = MsgFlags::MSG_NOSIGNAL | flags(wait);
    loop {
        return Err(match socket::send(socket.as_raw_fd(), bytes, flags) {
            Ok(sent) if sent == bytes.len() => return Ok(()),
            Ok(sent) => Failure::Other(format!("{sent} of {} bytes sent", bytes.len())),
            Err(Errno::EINTR) => continue,
            Err(Errno::EAGAIN) => Failure::Full,
            Err(Errno::EPIPE | Errno::ECONNRESET | Errno::ECONNREFUSED | Errno::ENOTCONN) => {
                Failure::Closed
            }
            Err(error) => Failure::other(error),
        });
    }
}

/// Receives one packet of at most `largest` bytes; nothing at all is an empty packet, or the end.
///
/// # Errors
/// [`Failure::Empty`] where a call that does not wait would have to.
pub fn packet(socket: BorrowedFd<'_>, largest: usize, wait: bool) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![0; largest];
    loop {
        match (Stream { socket, wait }).read(&mut bytes) {
            Ok(length) => {
                bytes.truncate(length);
                return Ok(bytes);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(Failure::Empty),
            Err(error) => return Err(Failure::other(error)),
        }
    }
}

/// A socket to read from, by calls that wait or do not.
pub struct Stream<'a> {
    /// The socket.
    pub socket: BorrowedFd<'a>,
    /// Whether a read waits until there is something to be read.
    pub wait: bool,
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        Ok(socket::recv(self.socket.as_raw_fd(), buffer, flags(self.wait))?)
    }
}

fn flags(wait: bool) -> MsgFlags {
    if wait { MsgFlags::empty() } else { MsgFlags::MSG_DONTWAIT }
}
