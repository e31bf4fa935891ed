//! Our links over the operating system's queues and sockets, those of `ipc-impls`, as an adapter.

mod direct;
#[path = "../../own/src/end.rs"]
mod end;
mod pair;

use std::path::PathBuf;
use std::process::ExitCode;

use end::{Rx, Tx};
use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Endpoint, Failure, Place, Role, ends,
};
use ipc_impls::links::{pipe, sysv};
use ipc_model::{Addressing, Capacity, Holders, Notice, Profile, Size};
use pair::Pair;

struct OwnOs;

/// The longest message of the sockets here: a few of them fill a buffer.
const LONGEST: usize = 2048;

/// Pipes for messages of one packet hold so many.
const PACKETS: usize = 4;

/// Longer than a packet.
const LONG: usize = 3 * pipe::LONGEST_PACKET;

const PIPE: pipe::Options = pipe::Options { packets: PACKETS, longest: pipe::LONGEST_PACKET };
const LONG_PIPE: pipe::Options = pipe::Options { packets: 8, longest: LONG };

/// One configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Two descriptors that are inherited.
    Pair(Pair),
    /// A FIFO at a path.
    Fifo,
    /// A System V queue, by its id.
    SysV,
    /// Direct: the receiver learns who sent, or names the sender.
    Direct { symmetric: bool },
}

const LINKS: &[(&str, Link)] = &[
    ("pipe", Link::Pair(Pair::Pipe)),
    ("pipe-long", Link::Pair(Pair::LongPipe)),
    ("fifo", Link::Fifo),
    ("seqpacket", Link::Pair(Pair::Seqpacket)),
    ("dgram", Link::Pair(Pair::Dgram)),
    ("stream", Link::Pair(Pair::Stream)),
    ("tcp", Link::Pair(Pair::Tcp)),
    ("sysv", Link::SysV),
    ("direct-symmetric", Link::Direct { symmetric: true }),
    ("direct-asymmetric", Link::Direct { symmetric: false }),
];

fn find(name: &str) -> Result<Link, Failure> {
    let link = LINKS.iter().find(|(n, _)| *n == name).map(|(_, link)| *link);
    link.ok_or_else(|| Failure::Other(format!("there is no link {name}")))
}

fn claim(name: &str, link: Link) -> Claim {
    let (one, told, silent) = (Holders::One, Some(Notice::Reported), Notice::Silent);
    let told = Profile { sender_killed: told, receiver_killed: told, ..Profile::default() };
    let socket = Profile {
        capacity: Capacity::AtLeast(1),
        size: Size::UpTo(LONGEST as u32),
        senders: one,
        receivers: one,
        ..told
    };
    // Nobody learns that a datagram's senders are gone.
    let datagrams = Profile { sender_closed: silent, sender_killed: Some(silent), ..socket };
    let packets = Profile {
        capacity: Capacity::Bounded(PACKETS as u32),
        size: Size::UpTo(pipe::LONGEST_PACKET as u32),
        ..told
    };
    let (profile, place) = match link {
        Link::Pair(Pair::Pipe) | Link::Fifo => (packets, "pipe.rs"),
        Link::Pair(Pair::LongPipe) => {
            let (capacity, size) = (Capacity::AtLeast(1), Size::UpTo(LONG as u32));
            (Profile { capacity, size, senders: one, receivers: one, ..told }, "pipe.rs")
        }
        Link::Pair(Pair::Dgram) => (datagrams, "unix.rs"),
        Link::Pair(Pair::Seqpacket | Pair::Stream) => (socket, "unix.rs"),
        Link::Pair(Pair::Tcp) => (socket, "tcp.rs"),
        Link::SysV => {
            let (longest, whole) = (limit("msgmax"), limit("msgmnb"));
            let queue = Profile {
                capacity: Capacity::AtLeast(whole / longest),
                size: Size::UpTo(longest),
                sender_closed: silent,
                receiver_closed: silent,
                sender_killed: Some(silent),
                receiver_killed: Some(silent),
                ..Profile::default()
            };
            (queue, "sysv.rs")
        }
        Link::Direct { symmetric: true } => {
            (Profile { addressing: Addressing::Symmetric, ..datagrams }, "direct.rs")
        }
        Link::Direct { symmetric: false } => {
            let addressing = Addressing::Asymmetric;
            (Profile { addressing, senders: Holders::Many, ..datagrams }, "direct.rs")
        }
    };
    let place = format!("ipc-impls, links/{place}: capacity, order, closing, death");
    let claim = Claim::between_processes(name, profile).documented(&place);
    // The threads of one process have one name.
    Claim { threads: !matches!(link, Link::Direct { .. }), ..claim }
}

/// A limit of the kernel, in bytes.
fn limit(name: &str) -> u32 {
    let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}"));
    let limit = text.ok().and_then(|text| text.trim().parse().ok());
    limit.unwrap_or_else(|| panic!("/proc/sys/kernel/{name} holds no number"))
}

impl Adapter for OwnOs {
    fn name(&self) -> String {
        "own-os".into()
    }

    fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").into()
    }

    fn claims(&self) -> Vec<Claim> {
        LINKS.iter().map(|(name, link)| claim(name, *link)).collect()
    }

    fn create(&self, link: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        let path = place.folder.join(&place.name);
        match find(link)? {
            Link::Pair(pair) => pair.create(),
            Link::Fifo => {
                let hold = Some(pipe::Fifo::create(&path, PIPE).map_err(Failure::other)?);
                Ok(Box::new(Fifo { hold, path }))
            }
            Link::SysV => {
                // By its key a later process removes it if this one is killed, at whatever point.
                let queue = sysv::Queue::create(place.key()).map_err(Failure::other)?;
                Ok(Box::new(SysV(queue)))
            }
            Link::Direct { symmetric } => direct::create(path, symmetric),
        }
    }

    fn connect(
        &self,
        link: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        match find(link)? {
            Link::Pair(pair) => pair.connect(address, role),
            Link::Fifo => fifo_end(&PathBuf::from(&address.text), role),
            Link::SysV => {
                let id = address.text.parse().map_err(Failure::other)?;
                sysv_end(sysv::Queue::by_id(id).map_err(Failure::other)?, role)
            }
            Link::Direct { symmetric } => direct::connect(address, role, symmetric),
        }
    }

    fn remove(&self, link: &str, place: &Place) {
        if matches!(find(link), Ok(Link::SysV)) {
            drop(sysv::Queue::open(place.key()).map(SysV));
        }
        // Where it fails, the path is not there.
        let _ = std::fs::remove_file(place.folder.join(&place.name));
    }
}

/// A FIFO, removed when it is dropped, and held open until every end is handed out.
struct Fifo {
    hold: Option<pipe::Fifo>,
    path: PathBuf,
}

fn fifo_end(path: &std::path::Path, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
    let fifo = pipe::Fifo::open(path, PIPE).map_err(Failure::other)?;
    let receiver = || fifo.receiver().map(|end| Rx::new(end, PIPE.longest));
    ends(
        role,
        || fifo.sender().map(Tx).map_err(Failure::other),
        || receiver().map_err(Failure::other),
    )
}

impl Created for Fifo {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        fifo_end(&self.path, role)
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Ok(Address::named(self.path.to_string_lossy()))
    }

    fn hand_over(&mut self) {
        self.hold = None;
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        // Where it fails, the FIFO is not there.
        let _ = pipe::Fifo::unlink(&self.path);
    }
}

/// A queue, removed when it is dropped.
struct SysV(sysv::Queue);

fn sysv_end(queue: sysv::Queue, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
    let longest = queue.size().longest();
    ends(role, || Ok(Tx(queue.sender())), || Ok(Rx::new(queue.receiver(), longest)))
}

impl Created for SysV {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        sysv_end(self.0, role)
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Ok(Address::named(self.0.id().to_string()))
    }
}

impl Drop for SysV {
    fn drop(&mut self) {
        // Where it fails, the queue is gone already.
        let _ = self.0.remove();
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&OwnOs)
}
