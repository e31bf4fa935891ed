//! Unix `SOCK_SEQPACKET` socket pairs as an adapter.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Delivery, Endpoint, Failure, Parcel, Place, Role,
};
use ipc_conformance::descriptors::{Descriptors, until};
use ipc_model::{Capacity, Holders, Notice, Process, Profile, Size};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, recv, send, setsockopt, socketpair, sockopt,
};

/// The largest message: as large as the receiver's buffer, beyond which a message is cut off.
const LARGEST: usize = 2048;

/// What is asked for as the sender's buffer: a few messages of the largest size.
const BUFFER: usize = 4 * LARGEST;

struct Seqpacket;

struct Tx(OwnedFd);

struct Rx(OwnedFd);

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
        let (kind, flags) = (SockType::SeqPacket, SockFlag::SOCK_CLOEXEC);
        let pair = socketpair(AddressFamily::Unix, kind, None, flags).map_err(Failure::other)?;
        setsockopt(&pair.0, sockopt::SndBuf, &BUFFER).map_err(Failure::other)?;
        Ok(Descriptors::<Tx, Rx>::boxed(pair.0, pair.1))
    }

    fn connect(
        &self,
        _: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        Descriptors::<Tx, Rx>::connect(address, role)
    }
}

impl From<OwnedFd> for Tx {
    fn from(socket: OwnedFd) -> Self {
        Self(socket)
    }
}

impl From<OwnedFd> for Rx {
    fn from(socket: OwnedFd) -> Self {
        Self(socket)
    }
}

impl Tx {
    fn call(&self, bytes: &[u8], flags: MsgFlags) -> Result<(), Failure> {
        match bytes.len() {
            0 => return Err(Failure::WrongSize),
            1..=LARGEST => {}
            _ => return Err(Failure::TooBig),
        }
        loop {
            match send(self.0.as_raw_fd(), bytes, flags | MsgFlags::MSG_NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Err(Failure::Full),
                Err(Errno::EPIPE | Errno::ECONNRESET) => return Err(Failure::Closed),
                Err(error) => return Err(Failure::other(error)),
            }
        }
    }
}

impl Rx {
    fn call(&self, flags: MsgFlags) -> Result<Delivery, Failure> {
        let mut bytes = vec![0; LARGEST];
        loop {
            match recv(self.0.as_raw_fd(), &mut bytes, flags) {
                Ok(0) => return Err(Failure::Closed),
                Ok(length) => return Ok(bytes[..length].to_vec().into()),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Err(Failure::Empty),
                Err(error) => return Err(Failure::other(error)),
            }
        }
    }
}

impl Endpoint for Tx {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.call(parcel.bytes, MsgFlags::empty())
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.call(parcel.bytes, MsgFlags::MSG_DONTWAIT)
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        let attempt = || self.call(parcel.bytes, MsgFlags::MSG_DONTWAIT);
        until(self.0.as_fd(), PollFlags::POLLOUT, timeout, attempt)
    }
}

impl Endpoint for Rx {
    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.call(MsgFlags::empty())
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.call(MsgFlags::MSG_DONTWAIT)
    }

    fn receive_timeout(
        &mut self,
        _: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        until(self.0.as_fd(), PollFlags::POLLIN, timeout, || self.call(MsgFlags::MSG_DONTWAIT))
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&Seqpacket)
}
