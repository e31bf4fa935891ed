//! A TCP connection, so that the two ends can be on two machines (statement C4).
//!
//! * **Ends.** One sender, one receiver, joined when one connects to the other's [`Listener`]. A
//!   [`Connection`] may also be split into both ends on either side.
//! * **Capacity** is what the two kernels buffer, which neither states. **Order** is first in,
//!   first out. **Frames** are as in [`stream`](super::stream).
//! * **Closing** and death: the receiver gets all that was sent, then `Disconnected`. So does it
//!   when the connection is lost, at the latest after [`PATIENCE`]: a silent peer is asked whether
//!   it lives. A sender is told at its next call; what was sent before and not received is gone,
//!   and nobody can tell how much it was. On a [`Connection`] that is used in both ways a sender
//!   may be told one call later.
//! * **Security.** TCP names no user: whoever reaches the port may connect. Listen on an address
//!   that only friends reach, or put a tunnel around it.

use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};

use super::os::LinkError;
use super::stream::{Manner, check};
pub use super::stream::{Receiver, Sender};
use crate::sys::Fault;

/// How long a connection may be silent in the network before it counts as lost.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A place to which others connect. Dropping it ends no connection.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    longest: usize,
}

/// Both directions, before one is chosen.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    longest: usize,
}

impl Listener {
    /// Listens at this address; port 0 is any that is free. Messages have at most `longest` bytes.
    ///
    /// # Errors
    /// That the address is taken, not of this machine, or not allowed.
    pub fn bind(address: impl ToSocketAddrs, longest: usize) -> Result<Listener, LinkError> {
        check(longest)?;
        let listener = TcpListener::bind(address).map_err(LinkError::io("bind", "the address"))?;
        Ok(Listener { listener, longest })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn address(&self) -> Result<SocketAddr, LinkError> {
        self.listener.local_addr().map_err(LinkError::io("getsockname", "the address"))
    }

    /// Waits for the next who connects.
    ///
    /// # Errors
    /// That no descriptor is left, or what the kernel says.
    pub fn accept(&self) -> Result<Connection, LinkError> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => return Connection::new(stream, self.longest),
                // It was gone again before we came to it.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(LinkError::io("accept", "the listener")(error)),
            }
        }
    }

    /// Which lengths messages may have.
    pub fn longest(&self) -> usize {
        self.longest
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Connection {
    /// Connects to a listener; both sides must agree on the longest message.
    ///
    /// # Errors
    /// That nobody listens there, or cannot be reached.
    pub fn connect(address: impl ToSocketAddrs, longest: usize) -> Result<Connection, LinkError> {
        check(longest)?;
        let stream = TcpStream::connect(address);
        Connection::new(stream.map_err(LinkError::io("connect", "the address"))?, longest)
    }

    /// A connection that was made elsewhere, such as an inherited descriptor.
    ///
    /// # Errors
    /// That it is no TCP connection.
    pub fn adopt(socket: OwnedFd, longest: usize) -> Result<Connection, LinkError> {
        check(longest)?;
        Connection::new(socket.into(), longest)
    }

    fn new(stream: TcpStream, longest: usize) -> Result<Connection, LinkError> {
        let set = || {
            // A message goes out when it is sent, not when more come.
            setsockopt(&stream, sockopt::TcpNoDelay, &true)?;
            setsockopt(&stream, sockopt::KeepAlive, &true)?;
            setsockopt(&stream, sockopt::TcpKeepIdle, &10)?;
            setsockopt(&stream, sockopt::TcpKeepInterval, &5)?;
            setsockopt(&stream, sockopt::TcpKeepCount, &4)?;
            setsockopt(&stream, sockopt::TcpUserTimeout, &(PATIENCE.as_millis() as u32))
        };
        set().map_err(Fault::of("setsockopt"))?;
        Ok(Connection { stream, longest })
    }

    /// Only to send.
    pub fn sender(self) -> Sender {
        Sender::new(self.stream.into(), self.longest, Manner::Asks)
    }

    /// Only to receive.
    pub fn receiver(self) -> Receiver {
        Receiver::new(self.stream.into(), self.longest)
    }

    /// Both ends of the two directions. Dropping the sender ends its direction alone.
    ///
    /// # Errors
    /// That no descriptor is left.
    pub fn both(self) -> Result<(Sender, Receiver), LinkError> {
        let copy = self.stream.try_clone().map_err(LinkError::io("dup", "the connection"))?;
        let sender = Sender::new(self.stream.into(), self.longest, Manner::HalfOfTwo);
        Ok((sender, Receiver::new(copy.into(), self.longest)))
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
