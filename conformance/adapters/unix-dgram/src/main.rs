//! Unix datagram sockets as an adapter: a pair, and a named one that many send to.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Endpoint, Failure, Place, Role, ends,
};
use ipc_conformance::descriptors::{Descriptors, PolledReceiver, PolledSender, inherited};
use ipc_conformance::sockets;
use ipc_model::{Capacity, Holders, Notice, Profile, Size};
use nix::sys::socket::{setsockopt, sockopt};

/// The largest message: as large as the receiver's buffer, beyond which a message is cut off.
const LARGEST: usize = 2048;

/// What is asked for as a sender's buffer: a few messages of the largest size.
const BUFFER: usize = 4 * LARGEST;

struct Dgram;

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
            return Ok(Descriptors::polled(send, receive).boxed(bounded(sender)?, receiver));
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
            return Descriptors::polled(send, receive).connect(address, role);
        }
        let missing = || Failure::other("a descriptor is missing");
        let receiver = || inherited(address).next().ok_or_else(missing).map(receiver);
        ends(role, || connected(Path::new(&address.text)), receiver)
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
            Some(made) => made.try_clone().map(|r| receiver(r.into())).map_err(Failure::other),
            None => Err(Failure::other("the ends have been handed over")),
        };
        ends(role, || connected(&self.path), receiver)
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

impl Drop for Named {
    fn drop(&mut self) {
        // unix(7): a bound path stays until somebody unlinks it. Where it fails, it is gone.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn bounded(socket: UnixDatagram) -> Result<OwnedFd, Failure> {
    setsockopt(&socket, sockopt::SndBuf, &BUFFER).map_err(Failure::other)?;
    Ok(socket.into())
}

fn connected(path: &Path) -> Result<PolledSender, Failure> {
    let socket = UnixDatagram::unbound().map_err(Failure::other)?;
    socket.connect(path).map_err(Failure::other)?;
    Ok(PolledSender(bounded(socket)?, send))
}

fn receiver(socket: OwnedFd) -> PolledReceiver {
    PolledReceiver(socket, receive)
}

fn send(socket: BorrowedFd<'_>, bytes: &[u8], wait: bool) -> Result<(), Failure> {
    if bytes.len() > LARGEST {
        return Err(Failure::TooBig);
    }
    sockets::send(socket, bytes, wait)
}

fn receive(socket: BorrowedFd<'_>, wait: bool) -> Result<Vec<u8>, Failure> {
    sockets::packet(socket, LARGEST, wait)
}

fn main() -> ExitCode {
    ipc_conformance::main(&Dgram)
}
