//! Unix `SOCK_SEQPACKET` socket pairs as an adapter.

use std::os::fd::BorrowedFd;
use std::process::ExitCode;

use ipc_conformance::adapter::{Adapter, Address, Claim, Created, Endpoint, Failure, Place, Role};
use ipc_conformance::descriptors::Descriptors;
use ipc_conformance::sockets;
use ipc_model::{Capacity, Holders, Notice, Profile, Size};
use nix::sys::socket::SockType;

/// The largest message: as large as the receiver's buffer, beyond which a message is cut off.
const LARGEST: usize = 2048;

/// What is asked for as the sender's buffer: a few messages of the largest size.
const BUFFER: usize = 4 * LARGEST;

struct Seqpacket;

impl Adapter for Seqpacket {
    fn name(&self) -> String {
        "seqpacket".into()
    }

    fn version(&self) -> String {
        ipc_conformance::kernel_version()
    }

    fn claims(&self) -> Vec<Claim> {
        let profile = Profile {
            capacity: Capacity::AtLeast(1),
            size: Size::NonemptyUpTo(LARGEST as u32),
            senders: Holders::One,
            receivers: Holders::One,
            sender_killed: Some(Notice::Reported),
            receiver_killed: Some(Notice::Reported),
            ..Profile::default()
        };
        vec![
            Claim::between_processes("pair", profile)
                .documented("unix(7): keeps message boundaries and delivers in the order sent")
                .documented("socket(7), SO_SNDBUF: what waits is bounded by a buffer in bytes")
                .documented("send(2): blocks while there is no room; MSG_DONTWAIT: EAGAIN")
                .documented("send(2): EPIPE once the other end of a connection is closed")
                .documented("recv(2): 0 is the end of the stream, and so would be an empty message")
                .documented("poll(2): POLLIN, POLLOUT and a timeout, for the timed calls")
                .documented("_exit(2): the descriptors of a process that ends are closed"),
        ]
    }

    fn create(&self, _: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let (sender, receiver) = sockets::pair(SockType::SeqPacket, BUFFER)?;
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
    match bytes.len() {
        0 => Err(Failure::WrongSize),
        1..=LARGEST => sockets::send(socket, bytes, wait),
        _ => Err(Failure::TooBig),
    }
}

fn receive(socket: BorrowedFd<'_>, wait: bool) -> Result<Vec<u8>, Failure> {
    let bytes = sockets::packet(socket, LARGEST, wait)?;
    if bytes.is_empty() { Err(Failure::Closed) } else { Ok(bytes) }
}

fn main() -> ExitCode {
    ipc_conformance::main(&Seqpacket)
}
