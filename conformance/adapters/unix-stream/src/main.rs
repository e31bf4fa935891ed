//! Unix `SOCK_STREAM` socket pairs, which carry frames, as an adapter.

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

/// The largest message: well below the sender's buffer, so that a frame goes into it as a whole.
const LARGEST: usize = 2048;

/// What is asked for as the sender's buffer: a few messages of the largest size.
const BUFFER: usize = 4 * LARGEST;

/// The length of the message, in front of it.
const HEADER: usize = size_of::<u16>();

struct UnixStream;

struct Tx(OwnedFd);

struct Rx(OwnedFd);

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
        let (kind, flags) = (SockType::Stream, SockFlag::SOCK_CLOEXEC);
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
        if bytes.len() > LARGEST {
            return Err(Failure::TooBig);
        }
        let frame = [&(bytes.len() as u16).to_ne_bytes(), bytes].concat();
        loop {
            match send(self.0.as_raw_fd(), &frame, flags | MsgFlags::MSG_NOSIGNAL) {
                Ok(sent) if sent == frame.len() => return Ok(()),
                Ok(sent) => return Err(Failure::Other(format!("{sent} of {} bytes", frame.len()))),
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
        let mut length = [0; HEADER];
        self.fill(&mut length, flags)?;
        // The rest of the frame was sent with its first byte, so this waits at most for a copy.
        let mut bytes = vec![0; u16::from_ne_bytes(length).into()];
        self.fill(&mut bytes, MsgFlags::MSG_WAITALL)?;
        Ok(bytes.into())
    }

    fn fill(&self, buffer: &mut [u8], flags: MsgFlags) -> Result<(), Failure> {
        if buffer.is_empty() {
            // The call would wait for the next frame, though it takes nothing of it.
            return Ok(());
        }
        loop {
            match recv(self.0.as_raw_fd(), buffer, flags) {
                Ok(read) if read == buffer.len() => return Ok(()),
                Ok(0) => return Err(Failure::Closed),
                Ok(_) => return Err(Failure::other("half a frame")),
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
    ipc_conformance::main(&UnixStream)
}
