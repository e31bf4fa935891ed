//! OS pipes as an adapter: a byte stream that carries frames, and the packet mode of Linux.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Delivery, Endpoint, Failure, Parcel, Place, Role,
};
use ipc_conformance::descriptors::{Descriptors, until};
use ipc_model::{Capacity, Holders, Notice, Process, Profile, Size};
use nix::poll::PollFlags;
use rustix::io::{Errno, ReadWriteFlags, preadv2, pwritev2, retry_on_intr};
use rustix::pipe::{PIPE_BUF, PipeFlags, fcntl_setpipe_size, pipe_with};

/// The smallest pipe there is: a page, so that a few messages fill it.
const PIPE_SIZE: usize = 4096;

/// The largest message in a frame. A frame of at most `PIPE_BUF` bytes is written whole or not at
/// all, whoever else writes.
const LARGEST: usize = PIPE_BUF / 4 - HEADER;

/// The length of the message, in front of it.
const HEADER: usize = size_of::<u16>();

/// Where a pipe is read and written: it has no other place.
const HERE: u64 = u64::MAX;

struct Pipe;

struct Tx<const PACKETS: bool>(OwnedFd);

struct Rx<const PACKETS: bool>(OwnedFd);

type Frames = Descriptors<Tx<false>, Rx<false>>;

type Packets = Descriptors<Tx<true>, Rx<true>>;

impl Adapter for Pipe {
    fn name(&self) -> String {
        "pipe".into()
    }

    fn version(&self) -> String {
        ipc_conformance::kernel_version()
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, size, receivers| {
            let profile = Profile {
                capacity: Capacity::AtLeast(1),
                size,
                receivers,
                sender_killed: Some(Notice::Reported),
                receiver_killed: Some(Notice::Reported),
                ..Profile::default()
            };
            Claim::between_processes(link, profile)
                .documented("pipe(7): what is written is buffered until read, in the order written")
                .documented("pipe(7): a write blocks while the pipe is full; F_SETPIPE_SZ sizes it")
                .documented("pipe(7): end of file once every write end is closed")
                .documented("pipe(7): EPIPE once every read end is closed")
                .documented("preadv2(2), RWF_NOWAIT: EAGAIN where a call would have to wait")
                .documented("poll(2): POLLIN, POLLOUT and a timeout, for the timed calls")
                .documented("_exit(2): the descriptors of a process that ends are closed")
        };
        vec![
            claim("frames", Size::UpTo(LARGEST as u32), Holders::One)
                .documented("pipe(7), PIPE_BUF: a write of at most so many bytes is atomic"),
            claim("packets", Size::NonemptyUpTo(PIPE_BUF as u32), Holders::Many)
                .documented("pipe2(2), O_DIRECT: each write is a packet, read by itself")
                .documented("pipe2(2), O_DIRECT: not above PIPE_BUF bytes, and not empty"),
        ]
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let packets = if link == "packets" { PipeFlags::DIRECT } else { PipeFlags::empty() };
        let pipe = pipe_with(PipeFlags::CLOEXEC | packets).map_err(Failure::other)?;
        fcntl_setpipe_size(&pipe.1, PIPE_SIZE).map_err(Failure::other)?;
        Ok(match link {
            "packets" => Packets::boxed(pipe.1, pipe.0),
            _ => Frames::boxed(pipe.1, pipe.0),
        })
    }

    fn connect(
        &self,
        link: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        match link {
            "packets" => Packets::connect(address, role),
            _ => Frames::connect(address, role),
        }
    }
}

impl<const PACKETS: bool> From<OwnedFd> for Tx<PACKETS> {
    fn from(pipe: OwnedFd) -> Self {
        Self(pipe)
    }
}

impl<const PACKETS: bool> From<OwnedFd> for Rx<PACKETS> {
    fn from(pipe: OwnedFd) -> Self {
        Self(pipe)
    }
}

impl<const PACKETS: bool> Tx<PACKETS> {
    fn call(&self, bytes: &[u8], flags: ReadWriteFlags) -> Result<(), Failure> {
        let length = (bytes.len() as u16).to_ne_bytes();
        match bytes.len() {
            0 if PACKETS => Err(Failure::WrongSize),
            1..=PIPE_BUF if PACKETS => self.write(&[bytes], flags),
            0..=LARGEST if !PACKETS => self.write(&[&length, bytes], flags),
            _ => Err(Failure::TooBig),
        }
    }

    /// Writes the parts as one.
    fn write(&self, parts: &[&[u8]], flags: ReadWriteFlags) -> Result<(), Failure> {
        let all: usize = parts.iter().map(|part| part.len()).sum();
        let parts: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        match retry_on_intr(|| pwritev2(&self.0, &parts, HERE, flags)) {
            Ok(written) if written == all => Ok(()),
            Ok(written) => Err(Failure::Other(format!("{written} of {all} bytes written"))),
            Err(Errno::AGAIN) => Err(Failure::Full),
            Err(Errno::PIPE) => Err(Failure::Closed),
            Err(error) => Err(Failure::other(error)),
        }
    }
}

impl<const PACKETS: bool> Rx<PACKETS> {
    fn call(&self, flags: ReadWriteFlags) -> Result<Delivery, Failure> {
        if PACKETS {
            let mut bytes = vec![0; PIPE_BUF];
            let length = self.read(&mut bytes, flags)?;
            bytes.truncate(length);
            return Ok(bytes.into());
        }
        let mut length = [0; HEADER];
        self.fill(&mut length, flags)?;
        // The rest of the frame has come with its first byte, so this does not wait.
        let mut bytes = vec![0; u16::from_ne_bytes(length).into()];
        self.fill(&mut bytes, ReadWriteFlags::empty())?;
        Ok(bytes.into())
    }

    fn fill(&self, buffer: &mut [u8], flags: ReadWriteFlags) -> Result<(), Failure> {
        if buffer.is_empty() || self.read(buffer, flags)? == buffer.len() {
            return Ok(());
        }
        Err(Failure::other("half a frame"))
    }

    fn read(&self, buffer: &mut [u8], flags: ReadWriteFlags) -> Result<usize, Failure> {
        match retry_on_intr(|| preadv2(&self.0, &mut [IoSliceMut::new(buffer)], HERE, flags)) {
            Ok(0) => Err(Failure::Closed),
            Ok(length) => Ok(length),
            Err(Errno::AGAIN) => Err(Failure::Empty),
            Err(error) => Err(Failure::other(error)),
        }
    }
}

impl<const PACKETS: bool> Endpoint for Tx<PACKETS> {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.call(parcel.bytes, ReadWriteFlags::empty())
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.call(parcel.bytes, ReadWriteFlags::NOWAIT)
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        let attempt = || self.call(parcel.bytes, ReadWriteFlags::NOWAIT);
        until(self.0.as_fd(), PollFlags::POLLOUT, timeout, attempt)
    }
}

impl<const PACKETS: bool> Endpoint for Rx<PACKETS> {
    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.call(ReadWriteFlags::empty())
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.call(ReadWriteFlags::NOWAIT)
    }

    fn receive_timeout(
        &mut self,
        _: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        let attempt = || self.call(ReadWriteFlags::NOWAIT);
        until(self.0.as_fd(), PollFlags::POLLIN, timeout, attempt)
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&Pipe)
}
