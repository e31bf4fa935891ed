//! The kernel's own queues, by the bare system calls: nothing around them that a link would need.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::mqueue::{MQ_OFlag, MqAttr, MqdT};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::stat::Mode;

use crate::link::{Cell, Link, Receives, Sends};

/// Two descriptors, the one to write and the other to read.
pub(super) struct Descriptors<K> {
    write: OwnedFd,
    read: OwnedFd,
    kind: std::marker::PhantomData<fn() -> K>,
}

/// How such a pair is made, and whether it keeps the boundaries of messages.
pub(super) trait Kind {
    const KEEPS_BOUNDARIES: bool;
    fn make() -> Result<(OwnedFd, OwnedFd)>;
}

pub(super) struct Pipe;
/// A pipe that keeps the boundaries of what is written to it, so that each write takes a page.
pub(super) struct Packets;
pub(super) struct Stream;
pub(super) struct Dgram;
pub(super) struct Seqpacket;
pub(super) struct Tcp;

impl Kind for Pipe {
    const KEEPS_BOUNDARIES: bool = false;

    fn make() -> Result<(OwnedFd, OwnedFd)> {
        let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        Ok((write, read))
    }
}

impl Kind for Packets {
    // Those of its packets, and a message may be longer than one.
    const KEEPS_BOUNDARIES: bool = false;

    fn make() -> Result<(OwnedFd, OwnedFd)> {
        let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_DIRECT)?;
        fcntl(&write, FcntlArg::F_SETPIPE_SZ(super::ours_os::PACKETS as i32 * 4096))?;
        Ok((write, read))
    }
}

fn pair(kind: SockType) -> Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC)?)
}

impl Kind for Stream {
    const KEEPS_BOUNDARIES: bool = false;

    fn make() -> Result<(OwnedFd, OwnedFd)> {
        pair(SockType::Stream)
    }
}

impl Kind for Dgram {
    const KEEPS_BOUNDARIES: bool = true;

    fn make() -> Result<(OwnedFd, OwnedFd)> {
        pair(SockType::Datagram)
    }
}

impl Kind for Seqpacket {
    const KEEPS_BOUNDARIES: bool = true;

    fn make() -> Result<(OwnedFd, OwnedFd)> {
        pair(SockType::SeqPacket)
    }
}

impl Kind for Tcp {
    const KEEPS_BOUNDARIES: bool = false;

    fn make() -> Result<(OwnedFd, OwnedFd)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let write = TcpStream::connect(listener.local_addr()?)?;
        let (read, _) = listener.accept()?;
        write.set_nodelay(true)?;
        Ok((write.into(), read.into()))
    }
}

pub(super) struct Write<K>(OwnedFd, std::marker::PhantomData<fn() -> K>);

pub(super) struct Read<K>(OwnedFd, std::marker::PhantomData<fn() -> K>);

impl<K: Kind> Link for Descriptors<K> {
    type Sender = Write<K>;
    type Receiver = Read<K>;

    fn make(cell: &Cell) -> Result<Self> {
        let (write, read) = K::make()?;
        if cell.spins() {
            fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Self { write, read, kind: std::marker::PhantomData })
    }

    fn sender(&self) -> Result<Write<K>> {
        Ok(Write(self.write.try_clone()?, std::marker::PhantomData))
    }

    fn receiver(&self) -> Result<Read<K>> {
        Ok(Read(self.read.try_clone()?, std::marker::PhantomData))
    }
}

impl<K: Kind> Sends for Write<K> {
    fn send(&mut self, message: &[u8]) -> Result<()> {
        let written = nix::unistd::write(&self.0, message)?;
        ensure!(written == message.len(), "{written} bytes were written");
        Ok(())
    }
}

impl<K: Kind> Receives for Read<K> {
    fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match nix::unistd::read(&self.0, &mut buffer[filled..]) {
                Ok(0) => anyhow::bail!("the sender is gone"),
                Ok(length) if K::KEEPS_BOUNDARIES => {
                    ensure!(length == buffer.len(), "a message of {length} bytes");
                    return Ok(());
                }
                Ok(length) => filled += length,
                Err(Errno::EAGAIN) => std::hint::spin_loop(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// As many messages as the system allows in one POSIX queue.
pub(super) fn mq_capacity() -> usize {
    let text = std::fs::read_to_string("/proc/sys/fs/mqueue/msg_max");
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(10)
}

/// A POSIX message queue, as long as the system allows.
pub(super) struct Mq {
    name: String,
    spins: bool,
}

pub(super) struct MqEnd(MqdT);

impl Mq {
    fn open(&self, flags: MQ_OFlag) -> Result<MqEnd> {
        let flags = flags | MQ_OFlag::O_CLOEXEC;
        Ok(MqEnd(nix::mqueue::mq_open(self.name.as_str(), flags, Mode::empty(), None)?))
    }
}

impl Link for Mq {
    type Sender = MqEnd;
    type Receiver = MqEnd;

    fn make(cell: &Cell) -> Result<Self> {
        let name = format!("/{}", cell.name);
        let attributes = MqAttr::new(0, mq_capacity() as i64, cell.size as i64, 0);
        let flags = MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL | MQ_OFlag::O_RDWR | MQ_OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        nix::mqueue::mq_open(name.as_str(), flags, mode, Some(&attributes))
            .context("mq_open; see /proc/sys/fs/mqueue/msgsize_max")?;
        Ok(Self { name, spins: cell.spins() })
    }

    fn sender(&self) -> Result<MqEnd> {
        self.open(MQ_OFlag::O_WRONLY)
    }

    fn receiver(&self) -> Result<MqEnd> {
        let waiting = if self.spins { MQ_OFlag::O_NONBLOCK } else { MQ_OFlag::empty() };
        self.open(MQ_OFlag::O_RDONLY | waiting)
    }

    fn attached(&self) {
        // Where it fails, the name is gone already.
        let _ = nix::mqueue::mq_unlink(self.name.as_str());
    }
}

impl Drop for Mq {
    fn drop(&mut self) {
        self.attached();
    }
}

impl Sends for MqEnd {
    fn send(&mut self, message: &[u8]) -> Result<()> {
        Ok(nix::mqueue::mq_send(&self.0, message, 0)?)
    }
}

impl Receives for MqEnd {
    fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
        loop {
            match nix::mqueue::mq_receive(&self.0, buffer, &mut 0) {
                Ok(_) => return Ok(()),
                Err(Errno::EAGAIN) => std::hint::spin_loop(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A System V message queue. Its id stands in a file too: no name that could be removed early.
pub(super) struct SysV {
    id: i32,
    note: PathBuf,
    size: usize,
    spins: bool,
}

/// A queue by its id, with a message in the shape that the kernel wants: a type, then the text.
pub(super) struct SysVEnd {
    id: i32,
    message: Vec<i64>,
    flags: i32,
}

/// Removes a queue, by the file that holds its id.
pub(crate) fn remove_sysv(note: &std::path::Path) {
    let id = std::fs::read_to_string(note).ok().and_then(|id| id.parse().ok());
    if let Some(id) = id {
        // SAFETY: IPC_RMID takes no buffer, so a null pointer is never followed.
        unsafe { libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
        // Where it fails, the file is gone already.
        let _ = std::fs::remove_file(note);
    }
}

impl SysV {
    fn end(&self, flags: i32) -> SysVEnd {
        let message = vec![1; 1 + self.size.div_ceil(8)];
        SysVEnd { id: self.id, message, flags }
    }
}

impl Link for SysV {
    type Sender = SysVEnd;
    type Receiver = SysVEnd;

    fn make(cell: &Cell) -> Result<Self> {
        let most = std::fs::read_to_string("/proc/sys/kernel/msgmax")?;
        let most: usize = most.trim().parse()?;
        ensure!(cell.size <= most, "/proc/sys/kernel/msgmax allows {most} bytes a message");
        // SAFETY: msgget takes numbers only.
        let id = Errno::result(unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) })?;
        let note = cell.folder.join(format!("{}.sysv", cell.name));
        std::fs::write(&note, id.to_string())?;
        Ok(Self { id, note, size: cell.size, spins: cell.spins() })
    }

    fn sender(&self) -> Result<SysVEnd> {
        Ok(self.end(0))
    }

    fn receiver(&self) -> Result<SysVEnd> {
        Ok(self.end(if self.spins { libc::IPC_NOWAIT } else { 0 }))
    }
}

impl Drop for SysV {
    fn drop(&mut self) {
        remove_sysv(&self.note);
    }
}

/// The bare call is given the message where it wants it: only the number is new.
impl Sends for SysVEnd {
    fn send(&mut self, message: &[u8]) -> Result<()> {
        let first = message.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes));
        self.message[1] = first;
        let start = self.message.as_ptr().cast();
        // SAFETY: the message is a type and as many bytes behind it, which the call only reads.
        let sent = unsafe { libc::msgsnd(self.id, start, message.len(), self.flags) };
        Errno::result(sent)?;
        Ok(())
    }
}

impl Receives for SysVEnd {
    fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
        loop {
            let start = self.message.as_mut_ptr().cast();
            // SAFETY: the message has room for a type and so many bytes, and nobody else has it.
            let read = unsafe { libc::msgrcv(self.id, start, buffer.len(), 0, self.flags) };
            match Errno::result(read) {
                Ok(_) => break,
                Err(Errno::ENOMSG) => std::hint::spin_loop(),
                Err(error) => return Err(error.into()),
            }
        }
        buffer[..8].copy_from_slice(&self.message[1].to_le_bytes());
        Ok(())
    }
}
