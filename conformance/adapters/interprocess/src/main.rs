//! `interprocess` as an adapter: local sockets and unnamed pipes, which carry frames.

use std::io::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use interprocess::local_socket::prelude::*;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, Stream};
use interprocess::unnamed_pipe::{self, Recver, Sender};
use ipc_conformance::adapter::{Adapter, Address, Claim, Created, Endpoint, Failure, Place, Role};
use ipc_conformance::calls::{Receives, Sends};
use ipc_conformance::descriptors::Descriptors;
use ipc_conformance::frames::{read, write};
use ipc_model::{Capacity, Holders, Modes, Notice, Profile, Size};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{setsockopt, sockopt};

/// The largest message: well below the sender's buffer, so that a frame goes into it as a whole.
const LARGEST: usize = 2048;

/// What is asked for as a socket's buffer: a few messages of the largest size.
const BUFFER: usize = 4 * LARGEST;

struct Interprocess;

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
            return Ok(pipes().boxed(sender, receiver));
        }
        let (sender, receiver) = connected(&path(place)).map_err(Failure::other)?;
        let (Stream::UdSocket(sender), Stream::UdSocket(receiver)) = (sender, receiver);
        setsockopt(&sender, sockopt::SndBuf, &BUFFER).map_err(Failure::other)?;
        Ok(sockets().boxed(sender, receiver))
    }

    fn connect(
        &self,
        link: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        match link {
            "unnamed-pipe" => pipes().connect(address, role),
            _ => sockets().connect(address, role),
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

fn sockets() -> Descriptors<impl Endpoint, impl Endpoint> {
    Descriptors::new(
        |socket| {
            Sends::through(Stream::UdSocket(socket.into()))
                .blocking(|socket, bytes| {
                    socket.set_nonblocking(false).map_err(Failure::other)?;
                    socket.set_send_timeout(None).map_err(Failure::other)?;
                    write(socket, bytes, LARGEST, Failure::Full)
                })
                .nonblocking(|socket, bytes| {
                    socket.set_nonblocking(true).map_err(Failure::other)?;
                    write(socket, bytes, LARGEST, Failure::Full)
                })
                .timed(|socket, bytes, timeout| {
                    // A time limit of zero is refused by the crate, as by the standard library.
                    socket.set_nonblocking(timeout.is_zero()).map_err(Failure::other)?;
                    if timeout.is_zero() {
                        return write(socket, bytes, LARGEST, Failure::Timeout);
                    }
                    socket.set_send_timeout(Some(timeout)).map_err(Failure::other)?;
                    write(socket, bytes, LARGEST, Failure::Timeout)
                })
        },
        |socket| {
            Receives::through(Stream::UdSocket(socket.into()))
                .blocking(|socket| {
                    socket.set_nonblocking(false).map_err(Failure::other)?;
                    socket.set_recv_timeout(None).map_err(Failure::other)?;
                    read(socket, Failure::Empty)
                })
                .nonblocking(|socket| {
                    socket.set_nonblocking(true).map_err(Failure::other)?;
                    read(socket, Failure::Empty)
                })
                .timed(|socket, timeout| {
                    // A time limit of zero is refused by the crate, as by the standard library.
                    socket.set_nonblocking(timeout.is_zero()).map_err(Failure::other)?;
                    if timeout.is_zero() {
                        return read(socket, Failure::Timeout);
                    }
                    socket.set_recv_timeout(Some(timeout)).map_err(Failure::other)?;
                    read(socket, Failure::Timeout)
                })
        },
    )
}

fn pipes() -> Descriptors<impl Endpoint, impl Endpoint> {
    Descriptors::new(
        |pipe| {
            Sends::through(Sender::from(pipe))
                .blocking(|pipe, bytes| write(pipe, bytes, LARGEST, Failure::Full))
        },
        |pipe| Receives::through(Recver::from(pipe)).blocking(|pipe| read(pipe, Failure::Empty)),
    )
}

fn main() -> ExitCode {
    ipc_conformance::main(&Interprocess)
}
