//! A pipe without a name, and a FIFO, which has a path.
//!
//! * **Packets.** Every write is one packet of at most `PIPE_BUF` bytes (Linux keeps the boundaries
//!   for a pipe that was opened with `O_DIRECT`), so it is there whole or not at all, whoever else
//!   writes and whoever is killed. A longer message goes out as several packets. Each names its
//!   sender and its place in the message, so that those of several senders can be told apart, and
//!   a message whose sender was killed half-way is never taken for one.
//! * **Ends.** Many senders. Many receivers too, unless a message may be longer than a packet.
//! * **Capacity.** Exactly as many packets as asked for, rounded up to a power of two. A message
//!   of several packets that must not wait goes out only when the pipe is empty: the kernel does
//!   not say how many packets have room, and what has gone out cannot be taken back. Let only one
//!   process send such messages without waiting. **Sizes** go from 0 up to the longest. **Order** is first in, first out.
//! * **Cost.** One system call for each packet, on either side.
//! * **Closing** and death are reported to both sides by the kernel, at once.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::PollFlags;
use nix::sys::stat::Mode;

use super::os::{LinkError, ask_again, persist, sleep, unlink};
use super::{
    Damage, ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError,
    SendingEnd, Size, TryReceiveError, TrySendError,
};
use crate::sys::{self, Fault};

/// The longest packet that a pipe takes whole.
const PACKET: usize = libc::PIPE_BUF;

/// In front of the bytes of each packet: who sent it, how long its message is, and where in it the
/// bytes belong. All processes are on one machine, so numbers are as it writes them.
const HEADER: usize = 16;

/// The longest message that goes as one packet.
pub const LONGEST_PACKET: usize = PACKET - HEADER;

/// How a pipe is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many packets can wait.
    pub packets: usize,
    /// The longest message.
    pub longest: usize,
}

/// A pipe without a name. It travels to another process as two descriptors.
#[derive(Debug)]
pub struct Pipe {
    write: OwnedFd,
    read: OwnedFd,
    longest: usize,
}

/// A pipe with a path. Dropping it removes nothing, but as long as it is there, nobody finds the
/// other side gone.
#[derive(Debug)]
pub struct Fifo {
    hold: File,
    longest: usize,
}

/// An end that sends.
#[derive(Debug)]
pub struct Sender {
    waiting: File,
    asking: File,
    longest: usize,
    /// Names this end in the packets of a long message.
    name: u64,
}

/// An end that receives.
#[derive(Debug)]
pub struct Receiver {
    waiting: File,
    asking: File,
    longest: usize,
    /// A message that has come whole and did not fit into the caller's buffer.
    held: Option<Vec<u8>>,
    /// The packet that came last.
    packet: Box<[u8; PACKET]>,
    /// Long messages of which some packets have come.
    parts: Vec<Part>,
    torn: u64,
}

/// The beginning of a long message.
#[derive(Debug)]
struct Part {
    sender: u64,
    bytes: Vec<u8>,
}

impl Pipe {
    /// Makes a pipe.
    ///
    /// # Errors
    /// That no descriptor is left, or that the system allows no pipe that long.
    pub fn anonymous(options: Options) -> Result<Pipe, LinkError> {
        let flags = OFlag::O_CLOEXEC | OFlag::O_DIRECT;
        let made = nix::unistd::pipe2(flags);
        let (read, write) = made.map_err(|errno| LinkError::of("pipe2", "a pipe", errno))?;
        resize(&write, options)?;
        Ok(Pipe { write, read, longest: options.longest })
    }

    /// Takes over the two sides of a pipe that came as descriptors.
    pub fn adopt(write: OwnedFd, read: OwnedFd, longest: usize) -> Pipe {
        Pipe { write, read, longest }
    }

    /// The side that senders write to, for another process.
    pub fn write_side(&self) -> BorrowedFd<'_> {
        self.write.as_fd()
    }

    /// The side that receivers read from, for another process.
    pub fn read_side(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }

    /// One more sender.
    ///
    /// # Errors
    /// That no descriptor is left.
    pub fn sender(&self) -> Result<Sender, LinkError> {
        Sender::adopt(copy(&self.write)?, self.longest)
    }

    /// One more receiver.
    ///
    /// # Errors
    /// That no descriptor is left.
    pub fn receiver(&self) -> Result<Receiver, LinkError> {
        Receiver::adopt(copy(&self.read)?, self.longest)
    }
}

fn copy(side: &OwnedFd) -> Result<OwnedFd, LinkError> {
    side.try_clone().map_err(LinkError::io("dup", "a pipe"))
}

impl Fifo {
    /// Makes a FIFO at a path that must be new, for its owner alone (mode 0600).
    ///
    /// # Errors
    /// That the path exists or is refused, or that the system allows no pipe that long.
    pub fn create(path: &Path, options: Options) -> Result<Fifo, LinkError> {
        let name = path.display().to_string();
        nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(|errno| LinkError::of("mkfifo", &name, errno))?;
        Fifo::open(path, options).inspect_err(|_| {
            // It is ours and not as it should be. That it could not be made is what to report.
            let _ = unlink(path);
        })
    }

    /// Opens the FIFO at a path. The kernel forgets how much a FIFO holds when nobody has it open,
    /// so everybody who opens it says so.
    ///
    /// # Errors
    /// That there is none, that it is something else, or that permission is refused.
    pub fn open(path: &Path, options: Options) -> Result<Fifo, LinkError> {
        let name = path.display().to_string();
        // Open in both ways, it waits for nobody.
        let hold = OpenOptions::new().read(true).write(true).open(path);
        let hold = hold.map_err(LinkError::io("open", &name))?;
        let kind = hold.metadata().map_err(LinkError::io("fstat", &name))?.file_type();
        if !kind.is_fifo() {
            return Err(LinkError::OtherKind(name));
        }
        resize(&hold, options)?;
        Ok(Fifo { hold, longest: options.longest })
    }

    /// Opens the FIFO at a path, or makes it.
    ///
    /// # Errors
    /// Those of the two.
    pub fn open_or_create(path: &Path, options: Options) -> Result<Fifo, LinkError> {
        loop {
            match Fifo::create(path, options) {
                Err(LinkError::Exists(_)) => {}
                other => return other,
            }
            match Fifo::open(path, options) {
                // Somebody removed it in between.
                Err(LinkError::NotFound(_)) => {}
                other => return other,
            }
        }
    }

    /// Removes the path. Whoever has the FIFO open keeps it.
    ///
    /// # Errors
    /// That there is none, or permission is refused.
    pub fn unlink(path: &Path) -> Result<(), LinkError> {
        unlink(path)
    }

    /// One more sender, also when the path is gone by now.
    ///
    /// # Errors
    /// That no descriptor is left.
    pub fn sender(&self) -> Result<Sender, LinkError> {
        Sender::adopt(self.side(OpenOptions::new().write(true))?, self.longest)
    }

    /// One more receiver.
    ///
    /// # Errors
    /// That no descriptor is left.
    pub fn receiver(&self) -> Result<Receiver, LinkError> {
        Receiver::adopt(self.side(OpenOptions::new().read(true))?, self.longest)
    }

    fn side(&self, options: &OpenOptions) -> Result<OwnedFd, LinkError> {
        sys::open_again(self.hold.as_fd(), options).map(OwnedFd::from).map_err(LinkError::System)
    }
}

/// A pipe keeps as many packets as it has pages.
fn resize(side: impl AsFd, options: Options) -> Result<(), LinkError> {
    let page = 4096;
    let needed = options.longest.div_ceil(LONGEST_PACKET).max(1);
    let packets = options.packets.max(needed).max(1);
    let limit = |limit: &str| LinkError::Limit {
        asked: format!("a pipe of {packets} packets"),
        limit: limit.into(),
    };
    let bytes = i32::try_from(packets * page).map_err(|_| limit("it has at most 2 GiB"))?;
    match fcntl(side, FcntlArg::F_SETPIPE_SZ(bytes)) {
        Ok(_) => Ok(()),
        // More than that wait in it, so somebody has made it larger.
        Err(Errno::EBUSY) => Ok(()),
        Err(Errno::EPERM) => Err(limit("see /proc/sys/fs/pipe-max-size, pipe-user-pages-soft")),
        Err(errno) => Err(Fault { call: "F_SETPIPE_SZ", errno }.into()),
    }
}

/// The same side twice: whether calls wait is a property of what was opened.
fn both(side: OwnedFd, options: &mut OpenOptions) -> Result<(File, File), LinkError> {
    let options = options.custom_flags(libc::O_NONBLOCK);
    let asking = sys::open_again(side.as_fd(), options).map_err(LinkError::System)?;
    Ok((File::from(side), asking))
}

impl Sender {
    /// An end that came as the descriptor of a pipe's write side.
    ///
    /// # Errors
    /// That no descriptor is left.
    pub fn adopt(side: OwnedFd, longest: usize) -> Result<Sender, LinkError> {
        let (waiting, asking) = both(side, OpenOptions::new().write(true))?;
        for file in [&waiting, &asking] {
            let flags = fcntl(file, FcntlArg::F_GETFL).map_err(Fault::of("F_GETFL"))?;
            let flags = OFlag::from_bits_retain(flags) | OFlag::O_DIRECT;
            fcntl(file, FcntlArg::F_SETFL(flags)).map_err(Fault::of("F_SETFL"))?;
        }
        Ok(Sender { waiting, asking, longest, name: sys::random() })
    }

    /// Which lengths a message may have.
    pub fn size(&self) -> Size {
        Size::UpTo(self.longest)
    }

    fn put(&self, message: &[u8], wait: bool) -> Result<Option<()>, SendError> {
        if message.len() > self.longest {
            let (given, allowed) = (message.len(), self.size());
            return Err(SendError::WrongSize { given, allowed });
        }
        let file = if wait { &self.waiting } else { &self.asking };
        if !wait && self.is_long(message) && !self.is_empty()? {
            return Ok(None);
        }
        let mut at = 0;
        loop {
            let part = &message[at..message.len().min(at + LONGEST_PACKET)];
            let header = header(self.name, message.len(), at);
            match sys::write_parts(file.as_fd(), [&header, part]) {
                Ok(_) => at += part.len(),
                // Another sender was faster. What has gone out is given up with the first packet
                // of the next message.
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EPIPE) => return Err(SendError::Disconnected),
                Err(errno) => return Err(SendError::System(Fault { call: "write", errno })),
            }
            if at == message.len() {
                return Ok(Some(()));
            }
        }
    }

    /// Whether nothing waits in the pipe.
    fn is_empty(&self) -> Result<bool, SendError> {
        if sys::unread(&self.asking).map_err(Fault::of("FIONREAD"))? == 0 {
            return Ok(true);
        }
        // What waits there waits in vain if nobody reads any more: that is an event by itself.
        let none = PollFlags::empty();
        let unread = sys::poll(self.asking.as_fd(), none, Some(Duration::ZERO));
        if unread.map_err(Fault::of("ppoll"))? {
            return Err(SendError::Disconnected);
        }
        Ok(false)
    }

    /// Whether a message goes as several packets.
    fn is_long(&self, message: &[u8]) -> bool {
        message.len() > LONGEST_PACKET
    }

    fn asked(&self) -> (BorrowedFd<'_>, PollFlags) {
        (self.asking.as_fd(), PollFlags::POLLOUT)
    }
}

impl SendingEnd for Sender {
    fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        while self.put(message, true)?.is_none() {}
        Ok(())
    }

    fn try_send(&mut self, message: &[u8]) -> Result<(), TrySendError> {
        self.put(message, false)?.ok_or(TrySendError::Full)
    }

    fn send_timeout(&mut self, message: &[u8], patience: Duration) -> Result<(), SendTimeoutError> {
        let attempt = || self.put(message, false);
        let sent = if self.is_long(message) {
            // Poll says when one packet has room, not when the pipe is empty.
            ask_again(patience, attempt)
        } else {
            persist(patience, attempt, |left| sleep(self.asked(), left))
        };
        sent?.ok_or(SendTimeoutError::Timeout)
    }
}

fn header(sender: u64, whole: usize, at: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&sender.to_ne_bytes());
    // No longer message was admitted than such numbers count.
    header[8..12].copy_from_slice(&(whole as u32).to_ne_bytes());
    header[12..].copy_from_slice(&(at as u32).to_ne_bytes());
    header
}

/// What a header says.
fn read_header(header: &[u8; HEADER]) -> (u64, usize, usize) {
    let [a, b, c, d, e, f, g, h, whole @ ..] = *header;
    let [i, j, k, l, at @ ..] = whole;
    let sender = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
    (sender, u32::from_ne_bytes([i, j, k, l]) as usize, u32::from_ne_bytes(at) as usize)
}

impl Receiver {
    /// An end that came as the descriptor of a pipe's read side.
    ///
    /// # Errors
    /// That no descriptor is left.
    pub fn adopt(side: OwnedFd, longest: usize) -> Result<Receiver, LinkError> {
        let (waiting, asking) = both(side, OpenOptions::new().read(true))?;
        let packet = Box::new([0; PACKET]);
        Ok(Receiver { waiting, asking, longest, held: None, packet, parts: Vec::new(), torn: 0 })
    }

    /// Which lengths a message may have.
    pub fn size(&self) -> Size {
        Size::UpTo(self.longest)
    }

    /// How many messages ended half-way: their senders were killed, or gave up.
    pub fn torn(&self) -> u64 {
        self.torn
    }

    fn take(&mut self, buffer: &mut [u8], wait: bool) -> Result<Option<usize>, ReceiveError> {
        if let Some(held) = self.held.take() {
            return self.deliver(held, buffer);
        }
        loop {
            let file = if wait { &self.waiting } else { &self.asking };
            let read = match sys::again(|| nix::unistd::read(file, &mut self.packet[..])) {
                Ok(0) => {
                    self.torn += self.parts.len() as u64;
                    self.parts.clear();
                    return Err(ReceiveError::Disconnected);
                }
                Ok(read) => read,
                Err(Errno::EAGAIN) => return Ok(None),
                Err(errno) => return Err(ReceiveError::System(Fault { call: "read", errno })),
            };
            let Some((header, bytes)) = self.packet[..read].split_first_chunk() else {
                return Err(ReceiveError::Corrupt(Damage::Unmarked));
            };
            let (sender, whole, at) = read_header(header);
            let length = bytes.len();
            if whole > self.longest || length > whole {
                let (found, allowed) = (whole.max(length), self.size());
                return Err(ReceiveError::Corrupt(Damage::Length { found, allowed }));
            }
            if at == 0
                && whole == length
                && self.parts.is_empty()
                && let Some(buffer) = buffer.get_mut(..length)
            {
                buffer.copy_from_slice(bytes);
                return Ok(Some(length));
            }
            if let Some(message) = self.join(sender, whole, at, length) {
                return self.deliver(message, buffer);
            }
        }
    }

    /// Adds the packet that came last to what has come of its message; the message, if that
    /// completes it.
    fn join(&mut self, sender: u64, whole: usize, at: usize, length: usize) -> Option<Vec<u8>> {
        let known = self.parts.iter().position(|part| part.sender == sender);
        let mut part = known.map(|place| self.parts.swap_remove(place));
        if at == 0 {
            // Its sender has begun anew, so the message before was given up.
            self.torn += u64::from(part.is_some());
            part = Some(Part { sender, bytes: Vec::with_capacity(whole) });
        }
        let Some(mut part) = part.filter(|part| part.bytes.len() == at) else {
            // The beginning went to a receiver that is dead.
            self.torn += 1;
            return None;
        };
        part.bytes.extend_from_slice(&self.packet[HEADER..HEADER + length]);
        if part.bytes.len() >= whole {
            return Some(part.bytes);
        }
        self.parts.push(part);
        None
    }

    fn deliver(
        &mut self,
        message: Vec<u8>,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, ReceiveError> {
        let (room, needed) = (buffer.len(), message.len());
        match buffer.get_mut(..needed) {
            Some(buffer) => {
                buffer.copy_from_slice(&message);
                Ok(Some(needed))
            }
            None => {
                self.held = Some(message);
                Err(ReceiveError::ShortBuffer { room, needed })
            }
        }
    }

    fn asked(&self) -> (BorrowedFd<'_>, PollFlags) {
        (self.asking.as_fd(), PollFlags::POLLIN)
    }
}

super::os::receiving!(Receiver, true, false);

#[cfg(all(test, not(loom)))]
mod tests;
