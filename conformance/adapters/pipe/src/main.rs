//! OS pipes as an adapter: a byte stream that carries frames, and the packet mode of Linux.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::os::fd::BorrowedFd;
use std::process::ExitCode;

use ipc_conformance::adapter::{Adapter, Address, Claim, Created, Endpoint, Failure, Place, Role};
use ipc_conformance::descriptors::{Descriptors, PolledReceiver, PolledSender};
use ipc_conformance::frames::{self, HEADER};
use ipc_model::{Capacity, Holders, Notice, Profile, Size};
use rustix::io::{Errno, ReadWriteFlags, preadv2, pwritev2, retry_on_intr};
use rustix::pipe::{PIPE_BUF, PipeFlags, fcntl_setpipe_size, pipe_with};

/// The smallest pipe there is: a page, so that a few messages fill it.
const PIPE_SIZE: usize = 4096;

/// The largest message in a frame. A frame of at most `PIPE_BUF` bytes is written whole or not at
/// all, whoever else writes.
const LARGEST: usize = PIPE_BUF / 4 - HEADER;

/// Where a pipe is read and written: it has no other place.
const HERE: u64 = u64::MAX;

struct Pipe;

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
        Ok(ends(link).boxed(pipe.1, pipe.0))
    }

    fn connect(
        &self,
        link: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        ends(link).connect(address, role)
    }
}

fn ends(link: &str) -> Descriptors<PolledSender, PolledReceiver> {
    match link {
        "packets" => Descriptors::polled(send_packet, receive_packet),
        _ => Descriptors::polled(send_frame, receive_frame),
    }
}

fn send_frame(pipe: BorrowedFd<'_>, bytes: &[u8], wait: bool) -> Result<(), Failure> {
    write(pipe, &frames::frame(bytes, LARGEST)?, wait)
}

fn send_packet(pipe: BorrowedFd<'_>, bytes: &[u8], wait: bool) -> Result<(), Failure> {
    match bytes.len() {
        0 => Err(Failure::WrongSize),
        1..=PIPE_BUF => write(pipe, bytes, wait),
        _ => Err(Failure::TooBig),
    }
}

fn receive_frame(pipe: BorrowedFd<'_>, wait: bool) -> Result<Vec<u8>, Failure> {
    // The rest of a frame has come with its first byte, so only the first read may have to wait.
    let length = frames::length(&mut Stream { pipe, wait }, Failure::Empty)?;
    frames::rest(&mut Stream { pipe, wait: true }, length)
}

fn receive_packet(pipe: BorrowedFd<'_>, wait: bool) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![0; PIPE_BUF];
    match (Stream { pipe, wait }).read(&mut bytes) {
        Ok(0) => return Err(Failure::Closed),
        Ok(length) => bytes.truncate(length),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(Failure::Empty),
        Err(error) => return Err(Failure::other(error)),
    }
    Ok(bytes)
}

fn flags(wait: bool) -> ReadWriteFlags {
    if wait { ReadWriteFlags::empty() } else { ReadWriteFlags::NOWAIT }
}

fn write(pipe: BorrowedFd<'_>, bytes: &[u8], wait: bool) -> Result<(), Failure> {
    match retry_on_intr(|| pwritev2(pipe, &[IoSlice::new(bytes)], HERE, flags(wait))) {
        Ok(written) if written == bytes.len() => Ok(()),
        Ok(written) => Err(Failure::Other(format!("{written} of {} bytes", bytes.len()))),
        Err(Errno::AGAIN) => Err(Failure::Full),
        Err(Errno::PIPE) => Err(Failure::Closed),
        Err(error) => Err(Failure::other(error)),
    }
}

/// The pipe as a stream to read, which waits or does not.
struct Stream<'a> {
    pipe: BorrowedFd<'a>,
    wait: bool,
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = || preadv2(self.pipe, &mut [IoSliceMut::new(buffer)], HERE, flags(self.wait));
        Ok(retry_on_intr(read)?)
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&Pipe)
}
