//! Direct links: processes name each other by their pids, which the kernel vouches for.

use std::collections::HashMap;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipc_conformance::adapter::{
    Address, Created, Delivery, Endpoint, Failure, Parcel, Role, ends, remove_files,
};
use ipc_conformance::descriptors::inherited;
use ipc_impls::links::direct::{Inbox, Sender};
use ipc_model::Process;

use crate::LONGEST;
use crate::end::{Rx, Tx};

/// An inbox that is bound to a path, and the cards that say which process of the scenario has
/// which pid, beside it.
struct Made {
    path: PathBuf,
    /// Until it is handed over; the path stays for the senders that come.
    socket: Option<UnixDatagram>,
    /// Who is named as the receiver, and, if both name each other, as the sender.
    named: [Option<Process>; 2],
    symmetric: bool,
}

/// A sender, which has left its card.
struct From(Tx<Sender>);

/// A receiver, which reads the cards.
struct To {
    end: Rx<Inbox>,
    path: PathBuf,
    known: HashMap<u32, Process>,
    symmetric: bool,
}

pub(crate) fn create(path: PathBuf, symmetric: bool) -> Result<Box<dyn Created>, Failure> {
    let socket = Some(UnixDatagram::bind(&path).map_err(Failure::other)?);
    Ok(Box::new(Made { path, socket, named: [None; 2], symmetric }))
}

fn card(path: &Path, pid: u32) -> PathBuf {
    PathBuf::from(format!("{}.{pid}", path.display()))
}

pub(crate) fn connect(
    address: &Address,
    role: Role,
    symmetric: bool,
) -> Result<Box<dyn Endpoint>, Failure> {
    let path = PathBuf::from(&address.text);
    let send = || {
        let number = role.process.0.to_string();
        std::fs::write(card(&path, std::process::id()), number).map_err(Failure::other)?;
        Sender::to(&path, LONGEST).map(|end| From(Tx(end))).map_err(Failure::other)
    };
    let receive = || {
        let socket = inherited(address).next();
        let socket = socket.ok_or_else(|| Failure::other("a descriptor is missing"))?;
        let inbox = Inbox::adopt(socket, LONGEST).map_err(Failure::other)?;
        let end = Rx::new(inbox, LONGEST);
        Ok(To { end, path: path.clone(), known: HashMap::new(), symmetric })
    };
    ends(role, send, receive)
}

impl Created for Made {
    fn endpoint(&mut self, _: Role) -> Result<Box<dyn Endpoint>, Failure> {
        Err(Failure::Unsupported)
    }

    fn address(&mut self, role: Role) -> Result<Address, Failure> {
        if role.receives || self.symmetric {
            let named = *self.named[usize::from(role.receives)].get_or_insert(role.process);
            if named != role.process {
                let why = format!("{named} is named; {} needs a link of its own", role.process);
                return Err(Failure::Other(why));
            }
        }
        let socket = self.socket.as_ref().filter(|_| role.receives);
        let inherit = socket.map(AsRawFd::as_raw_fd).into_iter().collect();
        Ok(Address { text: self.path.to_string_lossy().into(), inherit })
    }

    fn hand_over(&mut self) {
        self.socket = None;
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        remove_files(&self.path);
    }
}

impl To {
    /// Adds who sent it, and checks that it is who was named.
    fn signed(&mut self, delivery: Delivery, from: Option<Process>) -> Result<Delivery, Failure> {
        let peer = self.end.end.sender().ok_or_else(|| Failure::other("nobody sent it"))?;
        let sender = match self.known.get(&peer.process) {
            Some(sender) => *sender,
            None => {
                let card = std::fs::read_to_string(card(&self.path, peer.process));
                let number = card.map_err(Failure::other)?.parse().map_err(Failure::other)?;
                *self.known.entry(peer.process).or_insert(Process(number))
            }
        };
        if self.symmetric && from.is_some_and(|from| from != sender) {
            return Err(Failure::Other(format!("{sender} sent, and another was named")));
        }
        Ok(Delivery { sender: Some(sender), ..delivery })
    }
}

impl Endpoint for From {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.send(parcel)
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.try_send(parcel)
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        self.0.send_timeout(parcel, timeout)
    }
}

impl Endpoint for To {
    fn receive(&mut self, from: Option<Process>) -> Result<Delivery, Failure> {
        let delivery = self.end.receive(from)?;
        self.signed(delivery, from)
    }

    fn try_receive(&mut self, from: Option<Process>) -> Result<Delivery, Failure> {
        let delivery = self.end.try_receive(from)?;
        self.signed(delivery, from)
    }

    fn receive_timeout(
        &mut self,
        from: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        let delivery = self.end.receive_timeout(from, timeout)?;
        self.signed(delivery, from)
    }
}
