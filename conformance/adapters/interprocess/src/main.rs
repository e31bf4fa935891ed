//! `interprocess` as an adapter: local sockets and unnamed pipes, which carry frames.

use std::io::{Error, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use interprocess::local_socket::prelude::*;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, Stream};
use interprocess::unnamed_pipe::{self, Recver, Sender};
use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Delivery, Endpoint, Failure, Parcel, Place, Role,
};
use ipc_conformance::descriptors::Descriptors;
use ipc_model::{Capacity, Holders, Modes, Notice, Process, Profile, Size};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{setsockopt, sockopt};

/// The largest message: well below the sender's buffer, so that a frame goes into it as a whole.
const LARGEST: usize = 2048;

/// What is asked for as a socket's buffer: a few messages of the largest size.
const BUFFER: usize = 4 * LARGEST;

/// The length of the message, in front of it.
const HEADER: usize = size_of::<u16>();

struct Interprocess;

struct SocketTx(Stream);

struct SocketRx(Stream);

struct PipeTx(Sender);

struct PipeRx(Recver);

type Sockets = Descriptors<SocketTx, SocketRx>;

type Pipes = Descriptors<PipeTx, PipeRx>;

impl Adapter for Interprocess {
    fn name(&self) -> String {
        "interprocess".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("interprocess", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, modes: Modes| {
            let profile = Profile {
                capacity: Capacity::AtLeast(1),
                size: Size::UpTo(LARGEST as u32),
                senders: Holders::One,
                receivers: Holders::One,
                send: modes,
                receive: modes,
                sender_killed: Some(Notice::Reported),
                receiver_killed: Some(Notice::Reported),
                ..Profile::default()
            };
            Claim::between_processes(link, profile)
                .documented("std::io::Read: 0 bytes are the end of the stream")
                .documented("_exit(2): the descriptors of a process that ends are closed")
        };
        vec![
            claim("local-socket", Modes::default())
                .documented("local_socket: a private connection, on Unix a Unix-domain socket")
                .documented("local_socket: the bytes written are exactly those that come out")
                .documented("Stream::set_nonblocking: WouldBlock with no data, or a full buffer")
                .documented("Stream::set_recv_timeout, set_send_timeout: by default, for ever"),
            claim("unnamed-pipe", Modes { blocking: true, nonblocking: false, timed: false })
                .documented("unnamed_pipe: a pipe, reached only through its two handles"),
        ]
    }

    fn create(&self, link: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        if link == "unnamed-pipe" {
            let (sender, receiver) = unnamed_pipe::pipe().map_err(Failure::other)?;
            // They come inheritable, but only their holders are to inherit them.
            fcntl(&sender, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(Failure::other)?;
            fcntl(&receiver, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(Failure::other)?;
            return Ok(Pipes::boxed(sender, receiver));
        }
        let (sender, receiver) = connected(&path(place)).map_err(Failure::other)?;
        let (Stream::UdSocket(sender), Stream::UdSocket(receiver)) = (sender, receiver);
        setsockopt(&sender, sockopt::SndBuf, &BUFFER).map_err(Failure::other)?;
        Ok(Sockets::boxed(sender, receiver))
    }

    fn connect(
        &self,
        link: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        match link {
            "unnamed-pipe" => Pipes::connect(address, role),
            _ => Sockets::connect(address, role),
        }
    }

    fn remove(&self, _: &str, place: &Place) {
        // Where it fails, the socket is not there.
        let _ = std::fs::remove_file(path(place));
    }
}

fn path(place: &Place) -> PathBuf {
    place.folder.join(&place.name)
}

/// A client's and a server's end of one connection. The listener removes its path again.
fn connected(path: &Path) -> Result<(Stream, Stream), Error> {
    let name = path.to_fs_name::<GenericFilePath>()?;
    let listener = ListenerOptions::new().name(name.clone()).create_sync()?;
    let client = Stream::connect(name)?;
    Ok((client, listener.accept()?))
}

impl From<OwnedFd> for SocketTx {
    fn from(socket: OwnedFd) -> Self {
        Self(Stream::UdSocket(socket.into()))
    }
}

impl From<OwnedFd> for SocketRx {
    fn from(socket: OwnedFd) -> Self {
        Self(Stream::UdSocket(socket.into()))
    }
}

impl From<OwnedFd> for PipeTx {
    fn from(pipe: OwnedFd) -> Self {
        Self(pipe.into())
    }
}

impl From<OwnedFd> for PipeRx {
    fn from(pipe: OwnedFd) -> Self {
        Self(pipe.into())
    }
}

/// Writes the message as a frame, where having to wait means `busy`.
fn write(stream: &mut impl Write, bytes: &[u8], busy: Failure) -> Result<(), Failure> {
    if bytes.len() > LARGEST {
        return Err(Failure::TooBig);
    }
    let frame = [&(bytes.len() as u16).to_ne_bytes(), bytes].concat();
    stream.write_all(&frame).map_err(|error| failure(error, busy))
}

/// Reads one frame; what follows its length has come with it.
fn read(stream: &mut impl Read, busy: Failure) -> Result<Delivery, Failure> {
    let mut length = [0; HEADER];
    stream.read_exact(&mut length).map_err(|error| failure(error, busy))?;
    let mut bytes = vec![0; u16::from_ne_bytes(length).into()];
    stream.read_exact(&mut bytes).map_err(Failure::other)?;
    Ok(bytes.into())
}

fn failure(error: Error, busy: Failure) -> Failure {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => busy,
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof => {
            Failure::Closed
        }
        _ => Failure::other(error),
    }
}

impl Endpoint for SocketTx {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.set_nonblocking(false).map_err(Failure::other)?;
        self.0.set_send_timeout(None).map_err(Failure::other)?;
        write(&mut self.0, parcel.bytes, Failure::Full)
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.set_nonblocking(true).map_err(Failure::other)?;
        write(&mut self.0, parcel.bytes, Failure::Full)
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        self.0.set_nonblocking(false).map_err(Failure::other)?;
        self.0.set_send_timeout(Some(timeout)).map_err(Failure::other)?;
        write(&mut self.0, parcel.bytes, Failure::Timeout)
    }
}

impl Endpoint for SocketRx {
    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.0.set_nonblocking(false).map_err(Failure::other)?;
        self.0.set_recv_timeout(None).map_err(Failure::other)?;
        read(&mut self.0, Failure::Empty)
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.0.set_nonblocking(true).map_err(Failure::other)?;
        read(&mut self.0, Failure::Empty)
    }

    fn receive_timeout(
        &mut self,
        _: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        self.0.set_nonblocking(false).map_err(Failure::other)?;
        self.0.set_recv_timeout(Some(timeout)).map_err(Failure::other)?;
        read(&mut self.0, Failure::Timeout)
    }
}

impl Endpoint for PipeTx {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        write(&mut self.0, parcel.bytes, Failure::Full)
    }
}

impl Endpoint for PipeRx {
    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        read(&mut self.0, Failure::Empty)
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&Interprocess)
}
