//! `cloudtoid-interprocess` as an adapter.

use std::process::ExitCode;

use cloudtoid_interprocess::{Error, Options, Publisher, Subscriber};
use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Endpoint, Failure, Place, Role, ends,
};
use ipc_conformance::calls::{Receives, Sends};
use ipc_model::{Capacity, Holders, Modes, Notice, Profile};

/// The largest message that scenarios send where they do not ask for a refusal.
const LARGEST: usize = 64 * 1024;

/// Each message has eight bytes in front of it, and takes a multiple of eight.
const BUFFER: usize = 2 * (LARGEST + 8);

struct Cloudtoid;

/// The queue lives as long as anybody has it open: this keeps it until all ends are handed out.
struct Queue {
    options: Options,
    hold: Option<Publisher>,
}

impl Adapter for Cloudtoid {
    fn name(&self) -> String {
        "cloudtoid-interprocess".into()
    }

    fn version(&self) -> String {
        let lock = include_str!("../../../../Cargo.lock");
        ipc_conformance::version_of("cloudtoid-interprocess", lock)
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, holders, receive| {
            let profile = Profile {
                capacity: Capacity::AtLeast(2),
                senders: holders,
                receivers: holders,
                send: Modes { blocking: false, nonblocking: true, timed: false },
                receive,
                sender_closed: Notice::Silent,
                receiver_closed: Notice::Silent,
                ..Profile::default()
            };
            Claim::between_processes(link, profile)
                .documented("Options::capacity: bytes of messages, a multiple of 8")
                .documented("crate docs: publishers reserve concurrently, readers serialize")
                .documented("Subscriber: several compete for messages; no broadcast")
                .documented("Publisher::try_send: Full where there is insufficient space")
                .documented(
                    "Subscriber::try_recv, recv, recv_timeout: now, for ever, or for a time",
                )
                .documented("Error: no word for a peer that is gone")
        };
        // One that does not wait may find another reader at work, or a publisher whose place comes
        // first, and answers none.
        let waiting = Modes { nonblocking: false, ..Modes::default() };
        vec![
            claim("one-to-one", Holders::One, Modes::default()),
            claim("many-to-many", Holders::Many, waiting),
        ]
    }

    fn create(&self, _: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        let options = Options::new(name(place), BUFFER).with_path(&place.folder);
        let hold = Some(Publisher::open(&options).map_err(Failure::other)?);
        Ok(Box::new(Queue { options, hold }))
    }

    fn connect(
        &self,
        _: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        let (folder, name) = address.text.rsplit_once('/').ok_or(Failure::Closed)?;
        open(role, &Options::new(name, BUFFER).with_path(folder))
    }

    fn remove(&self, _: &str, place: &Place) {
        forget_semaphore(&name(place));
    }
}

/// Names of queues are short: they become names of semaphores.
fn name(place: &Place) -> String {
    place.name.replace("ipc-conform-", "")
}

/// The crate leaves the name of its semaphore behind; what is not there needs no removing.
fn forget_semaphore(name: &str) {
    let _ = std::fs::remove_file(format!("/dev/shm/sem.ct3ip.{name}"));
}

fn open(role: Role, options: &Options) -> Result<Box<dyn Endpoint>, Failure> {
    ends(
        role,
        || Publisher::open(options).map(sender).map_err(Failure::other),
        || Subscriber::open(options).map(receiver).map_err(Failure::other),
    )
}

impl Created for Queue {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        open(role, &self.options)
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        let Options { path, name, .. } = &self.options;
        Ok(Address::named(path.join(name).to_string_lossy()))
    }

    fn hand_over(&mut self) {
        // The queue goes with its last holder, and workers may still be on their way to it.
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.hold = None;
        forget_semaphore(&self.options.name);
        // Its folders stay, too; one that is not empty is another queue's as well.
        let root = self.options.path.join(".cloudtoid");
        for folder in ["interprocess/v3/mmf", "interprocess/v3/readers", "interprocess/v3"] {
            let _ = std::fs::remove_dir(root.join(folder));
        }
        let _ = std::fs::remove_dir(root.join("interprocess"));
        let _ = std::fs::remove_dir(root);
    }
}

fn sender(end: Publisher) -> Sends<Publisher> {
    Sends::through(end).nonblocking(|end, bytes| match end.try_send(bytes) {
        Err(Error::Full) => Err(Failure::Full),
        sent => sent.map_err(Failure::other),
    })
}

fn receiver(end: Subscriber) -> Receives<Subscriber> {
    Receives::through(end)
        .blocking(|end| end.recv().map_err(Failure::other))
        .nonblocking(|end| end.try_recv().map_err(Failure::other)?.ok_or(Failure::Empty))
        .timed(|end, timeout| {
            end.recv_timeout(timeout).map_err(Failure::other)?.ok_or(Failure::Timeout)
        })
}

fn main() -> ExitCode {
    ipc_conformance::main(&Cloudtoid)
}
