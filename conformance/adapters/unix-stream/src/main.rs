//! Unix `SOCK_STREAM` socket pairs, which carry frames, as an adapter.

use std::os::fd::BorrowedFd;
use std::process::ExitCode;

use ipc_conformance::adapter::{Adapter, Address, Claim, Created, Endpoint, Failure, Place, Role};
use ipc_conformance::descriptors::Descriptors;
use ipc_conformance::frames;
use ipc_conformance::sockets::{self, Stream};
use ipc_model::{Capacity, Holders, Notice, Profile, Size};
use nix::sys::socket::SockType;

/// The largest message: well below the sender's buffer, so that a frame goes into it as a whole.
const LARGEST: usize = 2048;

/// What is asked for as the sender's buffer: a few messages of the largest size.
const BUFFER: usize = 4 * LARGEST;

struct UnixStream;

impl Adapter for UnixStream {
    fn name(&self) -> String {
        "unix-stream".into()
    }

    fn version(&self) -> String {
        ipc_conformance::kernel_version()
    }

    fn claims(&self) -> Vec<Claim> {
        let profile = Profile {
            capacity: Capacity::AtLeast(1),
            size: Size::UpTo(LARGEST as u32),
            senders: Holders::One,
            receivers: Holders::One,
            sender_killed: Some(Notice::Reported),
            receiver_killed: Some(Notice::Reported),
            ..Profile::default()
        };
        vec![
            Claim::between_processes("pair", profile)
                .documented("socket(2), SOCK_STREAM: a sequenced, reliable stream of bytes")
                .documented("socket(7), SO_SNDBUF: what waits is bounded by a buffer in bytes")
                .documented("send(2): blocks while there is no room; MSG_DONTWAIT: EAGAIN")
                .documented("send(2): EPIPE once the other end of a connection is closed")
                .documented("recv(2): 0 once the peer has closed in an orderly way")
                .documented("poll(2): POLLIN, POLLOUT and a timeout, for the timed calls")
                .documented("_exit(2): the descriptors of a process that ends are closed"),
        ]
    }

    fn create(&self, _: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let (sender, receiver) = sockets::pair(SockType::Stream, BUFFER)?;
        Ok(Descriptors::polled(send, receive).boxed(sender, receiver))
    }

    fn connect(
        &self,
        _: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        Descriptors::polled(send, receive).connect(address, role)
    }
}

fn send(socket: BorrowedFd<'_>, bytes: &[u8], wait: bool) -> Result<(), Failure> {
    sockets::send(socket, &frames::frame(bytes, LARGEST)?, wait)
}

fn receive(socket: BorrowedFd<'_>, wait: bool) -> Result<Vec<u8>, Failure> {
    // The rest of a frame was sent with its first byte, so only the first read may have to wait.
    let length = frames::length(&mut Stream { socket, wait }, Failure::Empty)?;
    frames::rest(&mut Stream { socket, wait: true }, length)
}

fn main() -> ExitCode {
    ipc_conformance::main(&UnixStream)
}
