//! Unix sockets: packets in order ([`Seqpacket`]), datagrams ([`Dgram`]), or a framed stream
//! ([`Stream`]).
//!
//! * **Ends.** A pair joins one sender and one receiver, without a name. A name is a path:
//!   receivers are bound to it, senders connect. Any number may send to a [`Dgram`]; every
//!   connection to a [`Seqpacket`] or [`Stream`] listener is a link of its own.
//! * **Capacity** is what the kernel accounts to the sending socket, which it does not state in
//!   messages. **Sizes** go from 0 to the longest that both sides agree on. **Order** is first in,
//!   first out.
//! * **Cost.** One system call for each message, on either side.
//! * **Closing** and death. Over packets and streams a receiver gets all that was sent, then
//!   `Disconnected`; a sender gets `Disconnected` at once. Receivers of datagrams never learn that
//!   nobody sends any more.
//! * **Permissions.** The path of a bound socket has mode 0600.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, bind, connect, listen,
    setsockopt, socket, socketpair, sockopt,
};

use super::os::{LinkError, unlink};
use super::stream::{self, check, is_loss};
use super::{
    ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError, SendingEnd, Size,
    TryReceiveError, TrySendError,
};
use crate::sys::{self, Fault};

/// Packets in order over a connection.
#[derive(Debug)]
pub struct Seqpacket;

/// Datagrams: many senders, one receiver.
#[derive(Debug)]
pub struct Dgram;

/// A framed stream, for messages of any length; its ends are those of [`stream`].
#[derive(Debug)]
pub struct Stream;

/// A path that connections come to. Dropping it removes the path and ends no connection.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    _path: super::os::OwnPath,
    longest: usize,
}

/// An end that sends packets or datagrams.
#[derive(Debug)]
pub struct Sender {
    socket: OwnedFd,
    longest: usize,
    /// What stands in front of a message: a mark, or nothing.
    mark: &'static [u8],
}

/// An end that receives packets or datagrams.
#[derive(Debug)]
pub struct Receiver {
    socket: OwnedFd,
    longest: usize,
    /// Datagrams have no end, so an empty one is a message and needs no mark.
    ends: bool,
    _path: Option<super::os::OwnPath>,
}

/// In front of every packet, so that an empty message is not taken for the end. Datagrams have no
/// end and need no mark.
const MARK: [u8; 1] = [0];

impl Seqpacket {
    /// Two ends without a name.
    ///
    /// # Errors
    /// That no descriptor is left.
    pub fn pair(longest: usize) -> Result<(Sender, Receiver), LinkError> {
        let (send, receive) = pair(SockType::SeqPacket)?;
        Ok((Self::sender(send, longest)?, Self::receiver(receive, longest)))
    }

    /// Listens at a path that must be new.
    ///
    /// # Errors
    /// That the path exists, is too long, or is refused.
    pub fn listen(path: &Path, longest: usize) -> Result<Listener, LinkError> {
        listener(SockType::SeqPacket, path, longest)
    }

    /// Connects to a listener, to send.
    ///
    /// # Errors
    /// That nobody listens there, or permission is refused.
    pub fn connect(path: &Path, longest: usize) -> Result<Sender, LinkError> {
        Self::sender(connected(SockType::SeqPacket, path)?, longest)
    }

    /// An end that came as a descriptor.
    ///
    /// # Errors
    /// That the kernel does not let a message of that length through.
    pub fn sender(socket: OwnedFd, longest: usize) -> Result<Sender, LinkError> {
        Sender { socket, longest, mark: &MARK }.with_room()
    }

    /// An end that came as a descriptor.
    pub fn receiver(socket: OwnedFd, longest: usize) -> Receiver {
        Receiver { socket, longest, ends: true, _path: None }
    }
}

impl Dgram {
    /// Two ends without a name.
    ///
    /// # Errors
    /// That no descriptor is left.
    pub fn pair(longest: usize) -> Result<(Sender, Receiver), LinkError> {
        let (send, receive) = pair(SockType::Datagram)?;
        Ok((Self::sender(send, longest)?, Self::receiver(receive, longest)))
    }

    /// A receiver at a path that must be new. Dropping it removes the path.
    ///
    /// # Errors
    /// That the path exists, is too long, or is refused.
    pub fn bind(path: &Path, longest: usize) -> Result<Receiver, LinkError> {
        let (socket, path) = bound(SockType::Datagram, path)?;
        Ok(Receiver { socket, longest, ends: false, _path: Some(path) })
    }

    /// One more sender to the receiver at this path.
    ///
    /// # Errors
    /// That nobody is bound there, or permission is refused.
    pub fn connect(path: &Path, longest: usize) -> Result<Sender, LinkError> {
        Self::sender(connected(SockType::Datagram, path)?, longest)
    }

    /// An end that came as a descriptor.
    ///
    /// # Errors
    /// That the kernel does not let a message of that length through.
    pub fn sender(socket: OwnedFd, longest: usize) -> Result<Sender, LinkError> {
        Sender { socket, longest, mark: &[] }.with_room()
    }

    /// An end that came as a descriptor.
    pub fn receiver(socket: OwnedFd, longest: usize) -> Receiver {
        Receiver { socket, longest, ends: false, _path: None }
    }
}

impl Stream {
    /// Two ends without a name.
    ///
    /// # Errors
    /// That no descriptor is left.
    pub fn pair(longest: usize) -> Result<(stream::Sender, stream::Receiver), LinkError> {
        let (send, receive) = pair(SockType::Stream)?;
        Ok((Self::sender(send, longest)?, Self::receiver(receive, longest)?))
    }

    /// Listens at a path that must be new.
    ///
    /// # Errors
    /// That the path exists, is too long, or is refused.
    pub fn listen(path: &Path, longest: usize) -> Result<Listener, LinkError> {
        check(longest)?;
        listener(SockType::Stream, path, longest)
    }

    /// Connects to a listener, to send.
    ///
    /// # Errors
    /// That nobody listens there, or permission is refused.
    pub fn connect(path: &Path, longest: usize) -> Result<stream::Sender, LinkError> {
        Self::sender(connected(SockType::Stream, path)?, longest)
    }

    /// An end that came as a descriptor.
    ///
    /// # Errors
    /// That no frame has room for so long a message.
    pub fn sender(socket: OwnedFd, longest: usize) -> Result<stream::Sender, LinkError> {
        check(longest)?;
        Ok(stream::Sender::new(socket, longest, stream::Manner::Told))
    }

    /// An end that came as a descriptor.
    ///
    /// # Errors
    /// That no frame has room for so long a message.
    pub fn receiver(socket: OwnedFd, longest: usize) -> Result<stream::Receiver, LinkError> {
        check(longest)?;
        Ok(stream::Receiver::new(socket, longest))
    }
}

impl Listener {
    /// Waits for the next who connects, to receive packets from it.
    ///
    /// # Errors
    /// That no descriptor is left.
    pub fn accept(&self) -> Result<Receiver, LinkError> {
        Ok(Seqpacket::receiver(self.accepted()?, self.longest))
    }

    /// Likewise over a stream.
    ///
    /// # Errors
    /// That no descriptor is left.
    pub fn accept_stream(&self) -> Result<stream::Receiver, LinkError> {
        Stream::receiver(self.accepted()?, self.longest)
    }

    fn accepted(&self) -> Result<OwnedFd, LinkError> {
        let accepted = sys::again(|| sys::accept(self.socket.as_fd()));
        accepted.map_err(|errno| LinkError::of("accept4", "the listener", errno))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn made(kind: SockType) -> Result<OwnedFd, LinkError> {
    let made = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None);
    made.map_err(|errno| LinkError::of("socket", "a socket", errno))
}

fn pair(kind: SockType) -> Result<(OwnedFd, OwnedFd), LinkError> {
    let pair = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC);
    pair.map_err(|errno| LinkError::of("socketpair", "a pair", errno))
}

fn address(path: &Path) -> Result<(UnixAddr, String), LinkError> {
    let name = path.display().to_string();
    let address = UnixAddr::new(path).map_err(|errno| LinkError::of("bind", &name, errno))?;
    Ok((address, name))
}

pub(super) fn bound(
    kind: SockType,
    path: &Path,
) -> Result<(OwnedFd, super::os::OwnPath), LinkError> {
    let (address, name) = address(path)?;
    let socket = made(kind)?;
    // Nobody can connect to a datagram socket while its own mode is that of nobody: the mode of
    // the path comes from it and from the umask.
    nix::sys::stat::fchmod(&socket, nix::sys::stat::Mode::from_bits_truncate(0o600))
        .map_err(Fault::of("fchmod"))?;
    bind(socket.as_raw_fd(), &address).map_err(|errno| LinkError::of("bind", &name, errno))?;
    let own = super::os::OwnPath(path.to_owned());
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mode).map_err(LinkError::io("chmod", &name))?;
    Ok((socket, own))
}

fn listener(kind: SockType, path: &Path, longest: usize) -> Result<Listener, LinkError> {
    let (socket, path) = bound(kind, path)?;
    listen(&socket, Backlog::MAXCONN).map_err(Fault::of("listen"))?;
    Ok(Listener { socket, _path: path, longest })
}

fn connected(kind: SockType, path: &Path) -> Result<OwnedFd, LinkError> {
    let (address, name) = address(path)?;
    let socket = made(kind)?;
    sys::again(|| connect(socket.as_raw_fd(), &address))
        .map_err(|errno| LinkError::of("connect", &name, errno))?;
    Ok(socket)
}

/// Removes a path. Whoever is bound to it or connected keeps what it has.
///
/// # Errors
/// That there is none, or permission is refused.
pub fn remove(path: &Path) -> Result<(), LinkError> {
    unlink(path)
}

impl Sender {
    /// Which lengths a message may have.
    pub fn size(&self) -> Size {
        Size::UpTo(self.longest)
    }

    /// The kernel refuses a packet that is longer than its whole buffer.
    fn with_room(self) -> Result<Sender, LinkError> {
        let needed = 2 * (self.longest + 1024);
        let room = || nix::sys::socket::getsockopt(&self.socket, sockopt::SndBuf);
        if room().map_err(Fault::of("getsockopt"))? >= needed {
            return Ok(self);
        }
        setsockopt(&self.socket, sockopt::SndBuf, &needed).map_err(Fault::of("setsockopt"))?;
        if room().map_err(Fault::of("getsockopt"))? >= needed {
            return Ok(self);
        }
        let asked = format!("a longest message of {} bytes", self.longest);
        let limit = "the socket's buffer is smaller; see /proc/sys/net/core/wmem_max".into();
        Err(LinkError::Limit { asked, limit })
    }

    pub(super) fn put(&self, message: &[u8], flags: MsgFlags) -> Result<Option<()>, SendError> {
        if message.len() > self.longest {
            let (given, allowed) = (message.len(), self.size());
            return Err(SendError::WrongSize { given, allowed });
        }
        match sys::send_parts(self.socket.as_fd(), [self.mark, message], flags) {
            Ok(_) => Ok(Some(())),
            Err(Errno::EAGAIN) => Ok(None),
            Err(Errno::ECONNREFUSED | Errno::ENOTCONN) => Err(SendError::Disconnected),
            Err(errno) if is_loss(errno) => Err(SendError::Disconnected),
            Err(errno) => Err(SendError::System(Fault { call: "sendmsg", errno })),
        }
    }

    pub(super) fn asked(&self) -> (BorrowedFd<'_>, PollFlags) {
        (self.socket.as_fd(), PollFlags::POLLOUT)
    }
}

impl Receiver {
    /// Which lengths a message may have.
    pub fn size(&self) -> Size {
        Size::UpTo(self.longest)
    }

    fn take(&self, buffer: &mut [u8], flags: MsgFlags) -> Result<Option<usize>, ReceiveError> {
        let room = buffer.len();
        // A packet that is cut off is lost, so we look first where that could be.
        let look = if room < self.longest { MsgFlags::MSG_PEEK } else { MsgFlags::empty() };
        let whole = match self.receive_once(buffer, flags | look) {
            Ok(Some(whole)) => whole,
            Ok(None) => return Err(ReceiveError::Disconnected),
            Err(Errno::EAGAIN) => return Ok(None),
            Err(errno) if self.ends && is_loss(errno) => return Err(ReceiveError::Disconnected),
            Err(errno) => return Err(ReceiveError::System(Fault { call: "recvmsg", errno })),
        };
        if whole > room {
            return if look.is_empty() {
                let (found, allowed) = (whole, self.size());
                Err(ReceiveError::Corrupt(super::Damage::Length { found, allowed }))
            } else {
                Err(ReceiveError::ShortBuffer { room, needed: whole })
            };
        }
        if !look.is_empty() {
            let taken = self.receive_once(buffer, flags);
            taken.map_err(|errno| ReceiveError::System(Fault { call: "recvmsg", errno }))?;
        }
        Ok(Some(whole))
    }

    /// The length of one message, of which as much is received as there is room; `None` at the end.
    fn receive_once(&self, buffer: &mut [u8], flags: MsgFlags) -> nix::Result<Option<usize>> {
        if !self.ends {
            return sys::receive(self.socket.as_fd(), buffer, flags | MsgFlags::MSG_TRUNC)
                .map(Some);
        }
        let mut mark = MARK;
        let whole = sys::receive_parts(self.socket.as_fd(), [&mut mark, buffer], flags)?;
        Ok(whole.checked_sub(MARK.len()))
    }

    fn asked(&self) -> (BorrowedFd<'_>, PollFlags) {
        (self.socket.as_fd(), PollFlags::POLLIN)
    }
}

super::os::verbs!(Sender, Receiver, MsgFlags::empty(), MsgFlags::MSG_DONTWAIT);

#[cfg(all(test, not(loom)))]
mod tests;
