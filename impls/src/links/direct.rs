//! Direct links: the two sides name each other, not a mailbox between them (statement N2).
//!
//! A receiver has a Unix datagram socket at a path of its own, and a sender names it by that path
//! ([`unix::Dgram::connect`](super::unix::Dgram::connect)). With every message the kernel says
//! which process sent it, and with the rights of which user: nobody can speak in another's name.
//!
//! * **Asymmetric**: anybody who may open the path sends, and the receiver learns from whom each
//!   message came ([`Inbox::sender`]).
//! * **Symmetric**: the receiver names the sender too ([`Inbox::only_from`]). What anybody else
//!   sends is dropped.
//!
//! Everything else is as for [datagrams](super::unix).

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};

use super::os::{LinkError, OwnPath};
use super::unix;
use super::{
    Damage, ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError,
    SendingEnd, Size, TryReceiveError, TrySendError,
};
use crate::sys::{self, Fault};

/// An end that sends to one process, which it has named by its path.
#[derive(Debug)]
pub struct Sender(unix::Sender);

/// The end that receives.
#[derive(Debug)]
pub struct Inbox {
    socket: OwnedFd,
    longest: usize,
    only: Option<u32>,
    sender: Option<Peer>,
    control: Vec<u8>,
    _path: Option<OwnPath>,
}

/// Who sent a message, as the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its process.
    pub process: u32,
    /// Its user.
    pub user: u32,
}

impl Sender {
    /// Names the recipient by its path.
    ///
    /// # Errors
    /// That nobody is there, or permission is refused.
    pub fn to(path: &Path, longest: usize) -> Result<Sender, LinkError> {
        unix::Dgram::connect(path, longest).map(Sender)
    }

    fn put(&self, message: &[u8], flags: MsgFlags) -> Result<Option<()>, SendError> {
        self.0.put(message, flags)
    }

    fn asked(&self) -> (BorrowedFd<'_>, PollFlags) {
        self.0.asked()
    }
}

impl Inbox {
    /// A receiver at a path that must be new, for its owner alone (mode 0600). Dropping it removes
    /// the path.
    ///
    /// # Errors
    /// That the path exists, is too long, or is refused.
    pub fn bind(path: &Path, longest: usize) -> Result<Inbox, LinkError> {
        let (socket, path) = unix::bound(nix::sys::socket::SockType::Datagram, path)?;
        Inbox::new(socket, longest, Some(path))
    }

    /// The socket of an inbox that came as a descriptor. Dropping it leaves the path alone.
    ///
    /// # Errors
    /// That it is no socket.
    pub fn adopt(socket: OwnedFd, longest: usize) -> Result<Inbox, LinkError> {
        Inbox::new(socket, longest, None)
    }

    fn new(socket: OwnedFd, longest: usize, path: Option<OwnPath>) -> Result<Inbox, LinkError> {
        setsockopt(&socket, sockopt::PassCred, &true).map_err(Fault::of("setsockopt"))?;
        let control = nix::cmsg_space!(nix::sys::socket::UnixCredentials);
        Ok(Inbox { socket, longest, only: None, sender: None, control, _path: path })
    }

    /// Names the sender: what other processes send is dropped from now on.
    #[must_use]
    pub fn only_from(self, process: u32) -> Inbox {
        Inbox { only: Some(process), ..self }
    }

    /// Who sent the message that was received last.
    pub fn sender(&self) -> Option<Peer> {
        self.sender
    }

    /// Which lengths a message may have.
    pub fn size(&self) -> Size {
        Size::UpTo(self.longest)
    }

    fn take(&mut self, buffer: &mut [u8], flags: MsgFlags) -> Result<Option<usize>, ReceiveError> {
        let (room, size) = (buffer.len(), self.size());
        // The kernel cuts off what has no room, so we look first where that could be.
        let peek = if room < self.longest { MsgFlags::MSG_PEEK } else { MsgFlags::empty() };
        loop {
            let Some((whole, sender)) = self.receive_once(buffer, flags | peek)? else {
                return Ok(None);
            };
            let stranger = self.only.is_some_and(|only| sender.process != only);
            if !peek.is_empty() && (stranger || whole <= room) {
                self.receive_once(buffer, flags)?;
            }
            if stranger {
                continue;
            }
            if whole <= room {
                self.sender = Some(sender);
                return Ok(Some(whole));
            }
            return Err(if peek.is_empty() {
                ReceiveError::Corrupt(Damage::Length { found: whole, allowed: size })
            } else {
                ReceiveError::ShortBuffer { room, needed: whole }
            });
        }
    }

    /// One datagram: its whole length, and who sent it.
    fn receive_once(
        &mut self,
        buffer: &mut [u8],
        flags: MsgFlags,
    ) -> Result<Option<(usize, Peer)>, ReceiveError> {
        let socket = self.socket.as_raw_fd();
        let control = &mut self.control;
        let message = sys::again(|| {
            let mut parts = [IoSliceMut::new(buffer)];
            let flags = flags | MsgFlags::MSG_TRUNC;
            let message = recvmsg::<()>(socket, &mut parts, Some(&mut *control), flags)?;
            let peer = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::ScmCredentials(who) => {
                    Some(Peer { process: who.pid().unsigned_abs(), user: who.uid() })
                }
                _ => None,
            });
            Ok((message.bytes, peer))
        });
        match message {
            Ok((whole, Some(peer))) => Ok(Some((whole, peer))),
            // It was sent before the kernel was asked for names, which no end of ours does.
            Ok((_, None)) => Err(ReceiveError::Corrupt(Damage::Unmarked)),
            Err(Errno::EAGAIN) => Ok(None),
            Err(errno) => Err(ReceiveError::System(Fault { call: "recvmsg", errno })),
        }
    }

    fn asked(&self) -> (BorrowedFd<'_>, PollFlags) {
        (self.socket.as_fd(), PollFlags::POLLIN)
    }
}

impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

super::os::verbs!(Sender, Inbox, MsgFlags::empty(), MsgFlags::MSG_DONTWAIT);

#[cfg(all(test, not(loom)))]
mod tests;
