//! Frames over a connected byte stream, which keeps no boundaries itself: a Unix stream socket or
//! a TCP connection.
//!
//! A frame is the length of the message in four bytes, least significant first, the message, and
//! one byte that says whether it counts. A nonblocking or timed send that finds no room half-way
//! returns `Full` or `Timeout`: what is left of its frame is sent as zeros before the next frame,
//! and its last byte says that it does not count. So a message is there whole or not at all, and
//! what a sender that was killed half-way left behind is never taken for a message.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{MsgFlags, Shutdown, shutdown};

use super::os::LinkError;
use super::{
    Damage, ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError,
    SendingEnd, Size, TryReceiveError, TrySendError,
};
use crate::sys::{self, Fault};

const LENGTH: usize = size_of::<u32>();
const COUNTS: u8 = 1;

/// The sending end of a stream. Dropping it ends the stream; what was sent is still received.
#[derive(Debug)]
pub struct Sender {
    socket: OwnedFd,
    longest: usize,
    /// What is left of a frame that was begun and given up.
    owed: usize,
    manner: Manner,
}

/// How a sender treats the kernel's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// The kernel says at once when the receiver is gone.
    Told,
    /// It says so only after one more send, so we ask before each.
    Asks,
    /// The other direction has a life of its own: its end is not the receiver's, and dropping the
    /// sender ends this direction alone.
    HalfOfTwo,
}

impl Drop for Sender {
    fn drop(&mut self) {
        if self.manner == Manner::HalfOfTwo {
            // Where it fails, the connection is gone already.
            let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Write);
        }
    }
}

/// The receiving end of a stream.
#[derive(Debug)]
pub struct Receiver {
    socket: OwnedFd,
    longest: usize,
    /// Bytes that have come and belong to frames not received yet: `read[start..end]`. One call
    /// to the kernel brings as many frames as are there.
    read: Box<[u8]>,
    start: usize,
    end: usize,
    over: bool,
    torn: bool,
}

/// The longest message that any stream takes.
pub const LONGEST: usize = 1 << 30;

impl Sender {
    pub(super) fn new(socket: OwnedFd, longest: usize, manner: Manner) -> Sender {
        Sender { socket, longest, owed: 0, manner }
    }

    /// Which lengths a message may have.
    pub fn size(&self) -> Size {
        Size::UpTo(self.longest)
    }

    /// `None` if there is no room now.
    fn put(&mut self, message: &[u8], flags: MsgFlags) -> Result<Option<()>, SendError> {
        if message.len() > self.longest {
            let (given, allowed) = (message.len(), self.size());
            return Err(SendError::WrongSize { given, allowed });
        }
        if self.manner == Manner::Asks && self.is_unheard()? {
            return Err(SendError::Disconnected);
        }
        while self.owed > 0 {
            let zeros = [0; 4096];
            let part = &zeros[..self.owed.min(zeros.len())];
            match self.write([part], flags)? {
                Some(sent) => self.owed -= sent,
                None => return Ok(None),
            }
        }
        // Not longer than LONGEST, which fits.
        let length = (message.len() as u32).to_le_bytes();
        let whole = LENGTH + message.len() + 1;
        let mut sent = 0;
        while sent < whole {
            let parts = [&length[..], message, &[COUNTS]];
            match self.write(rest(parts, sent), flags)? {
                Some(count) => sent += count,
                None if sent == 0 => return Ok(None),
                None => {
                    self.owed = whole - sent;
                    return Ok(None);
                }
            }
        }
        Ok(Some(()))
    }

    /// Whether the receiver has closed: it never sends anything, so the end of its direction is
    /// all that can come from it.
    fn is_unheard(&self) -> Result<bool, SendError> {
        let (fd, closed) = (self.socket.as_fd(), PollFlags::from_bits_retain(libc::POLLRDHUP));
        let asked = sys::poll(fd, closed, Some(Duration::ZERO));
        asked.map_err(|errno| SendError::System(Fault { call: "ppoll", errno }))
    }

    fn write<const N: usize>(
        &self,
        parts: [&[u8]; N],
        flags: MsgFlags,
    ) -> Result<Option<usize>, SendError> {
        match sys::send_parts(self.socket.as_fd(), parts, flags) {
            Ok(sent) => Ok(Some(sent)),
            Err(Errno::EAGAIN) => Ok(None),
            Err(errno) if is_loss(errno) => Err(SendError::Disconnected),
            Err(errno) => Err(SendError::System(Fault { call: "sendmsg", errno })),
        }
    }

    fn asked(&self) -> (BorrowedFd<'_>, PollFlags) {
        (self.socket.as_fd(), PollFlags::POLLOUT)
    }
}

/// What is left of three parts once so many bytes are sent.
fn rest(parts: [&[u8]; 3], mut sent: usize) -> [&[u8]; 3] {
    parts.map(|part| {
        let done = sent.min(part.len());
        sent -= done;
        &part[done..]
    })
}

/// Whether the kernel says that the other side, or the way to it, is gone.
pub(super) fn is_loss(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EPIPE
            | Errno::ECONNRESET
            | Errno::ECONNABORTED
            | Errno::ETIMEDOUT
            | Errno::EHOSTUNREACH
            | Errno::ENETUNREACH
            | Errno::ENETDOWN
    )
}

impl Receiver {
    pub(super) fn new(socket: OwnedFd, longest: usize) -> Receiver {
        let frame = LENGTH + longest + 1;
        let read = vec![0; frame + (3 * frame).clamp(READ_AHEAD, MOST_AHEAD)].into_boxed_slice();
        Receiver { socket, longest, read, start: 0, end: 0, over: false, torn: false }
    }

    /// Which lengths a message may have.
    pub fn size(&self) -> Size {
        Size::UpTo(self.longest)
    }

    /// Whether the stream ended in the middle of a frame: its sender was killed in a send, or the
    /// connection was lost.
    pub fn is_torn(&self) -> bool {
        self.torn
    }

    /// `None` if no message is there now.
    fn take(&mut self, buffer: &mut [u8], flags: MsgFlags) -> Result<Option<usize>, ReceiveError> {
        loop {
            if let Some(length) = self.frame()? {
                let message = self.start + LENGTH;
                let after = message + length;
                if self.read[after] != COUNTS {
                    self.start = after + 1;
                    continue;
                }
                let (room, needed) = (buffer.len(), length);
                let Some(buffer) = buffer.get_mut(..length) else {
                    return Err(ReceiveError::ShortBuffer { room, needed });
                };
                buffer.copy_from_slice(&self.read[message..after]);
                self.start = after + 1;
                return Ok(Some(length));
            }
            if self.over {
                return Err(ReceiveError::Disconnected);
            }
            if !self.fill(flags)? {
                return Ok(None);
            }
        }
    }

    /// The length of the message in front, if all of its frame is there.
    fn frame(&self) -> Result<Option<usize>, ReceiveError> {
        let come = &self.read[self.start..self.end];
        let Some(length) = come.first_chunk() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > self.longest {
            let (found, allowed) = (length, self.size());
            return Err(ReceiveError::Corrupt(Damage::Length { found, allowed }));
        }
        Ok((come.len() > LENGTH + length).then_some(length))
    }

    /// Reads more. `false` if nothing is there now.
    fn fill(&mut self, flags: MsgFlags) -> Result<bool, ReceiveError> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.read.len() - self.start < LENGTH + self.longest + 1 {
            // Half a frame moves to the front, so that the rest of it has room.
            self.read.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        match sys::receive(self.socket.as_fd(), &mut self.read[self.end..], flags) {
            Ok(0) => {
                self.over = true;
                self.torn = self.end > 0;
                Ok(true)
            }
            Ok(read) => {
                self.end += read;
                Ok(true)
            }
            Err(Errno::EAGAIN) => Ok(false),
            Err(errno) if is_loss(errno) => {
                self.over = true;
                self.torn = self.end > 0;
                Ok(true)
            }
            Err(errno) => Err(ReceiveError::System(Fault { call: "recv", errno })),
        }
    }

    fn asked(&self) -> (BorrowedFd<'_>, PollFlags) {
        (self.socket.as_fd(), PollFlags::POLLIN)
    }
}

/// How much is read beyond one frame: at least so much, for many small messages with one call.
const READ_AHEAD: usize = 64 << 10;

/// And at most so much: large messages are moved and copied seldom enough.
const MOST_AHEAD: usize = 1 << 20;

super::os::verbs!(Sender, Receiver, MsgFlags::empty(), MsgFlags::MSG_DONTWAIT);

/// Refuses a length that no frame can have.
pub(super) fn check(longest: usize) -> Result<(), LinkError> {
    if longest > LONGEST {
        let asked = format!("a longest message of {longest} bytes");
        let limit = format!("a frame has room for {LONGEST}");
        return Err(LinkError::Limit { asked, limit });
    }
    Ok(())
}
