//! `unix-ipc` as an adapter.

use std::io::ErrorKind;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::process::ExitCode;

use ipc_conformance::adapter::{Adapter, Address, Claim, Created, Endpoint, Failure, Place, Role};
use ipc_conformance::calls::{Receives, Sends};
use ipc_conformance::descriptors::Descriptors;
use ipc_model::{Capacity, Holders, Modes, Notice, Profile};
use unix_ipc::{Receiver, Sender, channel};

struct UnixIpc;

impl Adapter for UnixIpc {
    fn name(&self) -> String {
        "unix-ipc".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("unix-ipc", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let profile = Profile {
            capacity: Capacity::AtLeast(1),
            senders: Holders::One,
            receivers: Holders::One,
            send: Modes { blocking: true, nonblocking: false, timed: false },
            receive: Modes { blocking: true, nonblocking: true, timed: false },
            sender_killed: Some(Notice::Reported),
            receiver_killed: Some(Notice::Reported),
            ..Profile::default()
        };
        vec![
            Claim::between_processes("channel", profile)
                .documented("crate docs: a minimal abstraction over Unix domain sockets for IPC")
                .documented("Receiver::recv: a structured message from the socket")
                .documented("Receiver::try_recv: if there is a message available")
                .documented("unix(7), SOCK_STREAM: in order, blocking while its buffer is full")
                .documented("unix(7), EPIPE, end of file: once the other end is closed")
                .documented("_exit(2): the descriptors of a process that ends are closed"),
        ]
    }

    fn create(&self, _: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let (sender, receiver) = channel::<Vec<u8>>().map_err(Failure::other)?;
        Ok(ends().boxed(owned(sender), owned(receiver)))
    }

    fn connect(
        &self,
        _: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        ends().connect(address, role)
    }
}

fn owned(end: impl IntoRawFd) -> OwnedFd {
    // SAFETY: the end gives up its descriptor, which nobody else holds.
    unsafe { OwnedFd::from_raw_fd(end.into_raw_fd()) }
}

fn ends() -> Descriptors<impl Endpoint, impl Endpoint> {
    Descriptors::new(
        // SAFETY: the descriptor is given up to the sender.
        |fd| sender(unsafe { Sender::from_raw_fd(fd.into_raw_fd()) }),
        // SAFETY: the descriptor is given up to the receiver.
        |fd| receiver(unsafe { Receiver::from_raw_fd(fd.into_raw_fd()) }),
    )
}

fn failure(error: std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
            Failure::Closed
        }
        _ => Failure::other(error),
    }
}

fn sender(end: Sender<Vec<u8>>) -> Sends<Sender<Vec<u8>>> {
    Sends::through(end).blocking(|end, bytes| end.send(bytes.into()).map_err(failure))
}

fn receiver(end: Receiver<Vec<u8>>) -> Receives<Receiver<Vec<u8>>> {
    Receives::through(end)
        .blocking(|end| end.recv().map_err(failure))
        .nonblocking(|end| end.try_recv().map_err(failure)?.ok_or(Failure::Empty))
}

fn main() -> ExitCode {
    ipc_conformance::main(&UnixIpc)
}
