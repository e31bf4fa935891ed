//! Unix datagram sockets as an adapter: a pair, and a named one that many send to.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Delivery, Endpoint, Failure, Parcel, Place, Role, ends,
};
use ipc_conformance::descriptors::{Descriptors, inherited, until};
use ipc_model::{Capacity, Holders, Notice, Process, Profile, Size};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{MsgFlags, recv, send, setsockopt, sockopt};

/// The largest message: as large as the receiver's buffer, beyond which a message is cut off.
const LARGEST: usize = 2048;

/// What is asked for as a sender's buffer: a few messages of the largest size.
const BUFFER: usize = 4 * LARGEST;

struct Dgram;

struct Tx(OwnedFd);

struct Rx(OwnedFd);

/// A receiver that is bound to a path, which every sender connects to.
struct Named {
    receiver: Option<UnixDatagram>,
    path: PathBuf,
}

impl Adapter for Dgram {
    fn name(&self) -> String {
        "unix-dgram".into()
    }

    fn version(&self) -> String {
        ipc_conformance::kernel_version()
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, senders| {
            let profile = Profile {
                capacity: Capacity::AtLeast(1),
                size: Size::UpTo(LARGEST as u32),
                senders,
                receivers: Holders::One,
                sender_closed: Notice::Silent,
                sender_killed: Some(Notice::Silent),
                receiver_killed: Some(Notice::Reported),
                ..Profile::default()
            };
            Claim::between_processes(link, profile)
                .documented("unix(7): keeps boundaries; always reliable, does not reorder")
                .documented("socket(7), SO_SNDBUF: what waits is bounded by a buffer in bytes")
                .documented("send(2): blocks while there is no room; MSG_DONTWAIT: EAGAIN")
                .documented("recv(2): empty datagrams are allowed, so there is no end of file")
                .documented("unix(7), ECONNREFUSED: nobody is at the peer's address")
                .documented("poll(2): POLLIN, POLLOUT and a timeout, for the timed calls")
                .documented("_exit(2): the descriptors of a process that ends are closed")
        };
        vec![
            claim("pair", Holders::One),
            claim("named", Holders::Many)
                .documented("unix(7), max_dgram_qlen: and by how many wait at the receiver"),
        ]
    }

    fn create(&self, link: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        if link == "pair" {
            let (sender, receiver) = UnixDatagram::pair().map_err(Failure::other)?;
            return Ok(Descriptors::<Tx, Rx>::boxed(bounded(sender)?, receiver));
        }
        let path = path(place);
        let receiver = Some(UnixDatagram::bind(&path).map_err(Failure::other)?);
        Ok(Box::new(Named { receiver, path }))
    }

    fn connect(
        &self,
        link: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        if link == "pair" {
            return Descriptors::<Tx, Rx>::connect(address, role);
        }
        let missing = || Failure::other("a descriptor is missing");
        let receiver = || inherited(address).next().map(Rx).ok_or_else(missing);
        ends(role, || Tx::connect(Path::new(&address.text)), receiver)
    }

    fn remove(&self, _: &str, place: &Place) {
        // Where it fails, the socket is not there.
        let _ = std::fs::remove_file(path(place));
    }
}

fn path(place: &Place) -> PathBuf {
    place.folder.join(&place.name)
}

impl Created for Named {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        let receiver = || match &self.receiver {
            Some(receiver) => receiver.try_clone().map(|r| Rx(r.into())).map_err(Failure::other),
            None => Err(Failure::other("the ends have been handed over")),
        };
        ends(role, || Tx::connect(&self.path), receiver)
    }

    fn address(&mut self, role: Role) -> Result<Address, Failure> {
        let receiver = self.receiver.as_ref().filter(|_| role.receives);
        let inherit = receiver.map(AsRawFd::as_raw_fd).into_iter().collect();
        Ok(Address { text: self.path.to_string_lossy().into(), inherit })
    }

    fn hand_over(&mut self) {
        self.receiver = None;
    }
}

fn bounded(socket: UnixDatagram) -> Result<OwnedFd, Failure> {
    setsockopt(&socket, sockopt::SndBuf, &BUFFER).map_err(Failure::other)?;
    Ok(socket.into())
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
    fn connect(path: &Path) -> Result<Self, Failure> {
        let socket = UnixDatagram::unbound().map_err(Failure::other)?;
        socket.connect(path).map_err(Failure::other)?;
        bounded(socket).map(Self)
    }

    fn call(&self, bytes: &[u8], flags: MsgFlags) -> Result<(), Failure> {
        if bytes.len() > LARGEST {
            return Err(Failure::TooBig);
        }
        loop {
            match send(self.0.as_raw_fd(), bytes, flags | MsgFlags::MSG_NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Err(Failure::Full),
                Err(Errno::ECONNREFUSED | Errno::ENOTCONN) => return Err(Failure::Closed),
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
    ipc_conformance::main(&Dgram)
}
