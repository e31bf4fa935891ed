//! `posixmq` as an adapter.

use std::io::{Error, ErrorKind};
use std::process::ExitCode;
use std::time::Duration;

use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Delivery, Endpoint, Failure, Parcel, Place, Role, ends,
};
use ipc_model::{Capacity, Notice, Order, Process, Profile, Size};
use posixmq::{OpenOptions, PosixMq, remove_queue};

/// The size of message that queues are created for.
const LARGEST: usize = 256;

/// The longest that is waited: "timeout is too long / not representable" is a documented error.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

struct Posixmq;

/// Removes the name when it is dropped.
struct Queue(String);

/// Whether calls wait is an option of opening the queue, so each end opens it twice.
struct End {
    waiting: PosixMq,
    not_waiting: PosixMq,
}

struct Tx(End);

struct Rx(End);

impl Adapter for Posixmq {
    fn name(&self) -> String {
        "posixmq".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("posixmq", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, capacity| {
            let profile = Profile {
                capacity: Capacity::Bounded(capacity),
                size: Size::UpTo(LARGEST as u32),
                order: Order::Priority,
                sender_closed: Notice::Silent,
                receiver_closed: Notice::Silent,
                sender_killed: Some(Notice::Silent),
                receiver_killed: Some(Notice::Silent),
                ..Profile::default()
            };
            Claim::between_processes(link, profile)
                .documented("crate docs: safe to read by several processes; sorted by priority")
                .documented("crate docs, example: in order within a priority")
                .documented("crate docs: a queue remains until it is removed")
                .documented("OpenOptions::capacity: the maximum number of messages in the queue")
                .documented("PosixMq::send, recv: WouldBlock where full, empty and nonblocking")
                .documented("PosixMq::send: an error for a message that is too big")
                .documented("PosixMq::send_timeout, recv_timeout: cancelled after the duration")
        };
        vec![claim("capacity-2", 2), claim("capacity-10", 10)]
    }

    fn create(&self, link: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        let name = name(place);
        let capacity = if link == "capacity-2" { 2 } else { 10 };
        let mut options = OpenOptions::readwrite();
        options.create_new().capacity(capacity).max_msg_len(LARGEST);
        options.open(&name).map_err(|error| {
            let limits = "limits: /proc/sys/fs/mqueue/msg_max, msgsize_max, queues_max; ulimit -q";
            Failure::Other(format!("{error} ({limits})"))
        })?;
        Ok(Box::new(Queue(name)))
    }

    fn connect(
        &self,
        _: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        let end = |options: OpenOptions| End::open(options, &address.text);
        let (send, receive) = (OpenOptions::writeonly(), OpenOptions::readonly());
        ends(role, || end(send).map(Tx), || end(receive).map(Rx))
    }

    fn remove(&self, _: &str, place: &Place) {
        drop(Queue(name(place)));
    }
}

fn name(place: &Place) -> String {
    format!("/{}", place.name)
}

impl Created for Queue {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        Posixmq.connect("", &self.address(role)?, role)
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Ok(Address::named(&self.0))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // Where it fails, the queue is not there.
        let _ = remove_queue(&self.0);
    }
}

impl End {
    fn open(mut options: OpenOptions, name: &str) -> Result<Self, Failure> {
        let waiting = options.open(name).map_err(Failure::other)?;
        let not_waiting = options.nonblocking().open(name).map_err(Failure::other)?;
        Ok(Self { waiting, not_waiting })
    }
}

/// A send or receive that found the queue in the way: `busy` says how.
fn failure(error: Error, busy: Failure) -> Failure {
    match error.kind() {
        ErrorKind::WouldBlock => busy,
        ErrorKind::TimedOut => Failure::Timeout,
        _ if error.raw_os_error() == Some(libc::EMSGSIZE) => Failure::TooBig,
        _ => Failure::other(error),
    }
}

impl Endpoint for Tx {
    fn send(&mut self, Parcel { bytes, priority, .. }: Parcel<'_>) -> Result<(), Failure> {
        self.0.waiting.send(priority, bytes).map_err(|e| failure(e, Failure::Full))
    }

    fn try_send(&mut self, Parcel { bytes, priority, .. }: Parcel<'_>) -> Result<(), Failure> {
        self.0.not_waiting.send(priority, bytes).map_err(|e| failure(e, Failure::Full))
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        let Parcel { bytes, priority, .. } = parcel;
        let sent = self.0.waiting.send_timeout(priority, bytes, timeout.min(LONGEST));
        sent.map_err(|e| failure(e, Failure::Full))
    }
}

/// Receives into a buffer of the size that a queue insists on.
fn received(
    receive: impl FnOnce(&mut [u8]) -> Result<(u32, usize), Error>,
) -> Result<Delivery, Failure> {
    let mut bytes = vec![0; LARGEST];
    let (_, length) = receive(&mut bytes).map_err(|e| failure(e, Failure::Empty))?;
    bytes.truncate(length);
    Ok(bytes.into())
}

impl Endpoint for Rx {
    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        received(|buffer| self.0.waiting.recv(buffer))
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        received(|buffer| self.0.not_waiting.recv(buffer))
    }

    fn receive_timeout(
        &mut self,
        _: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        received(|buffer| self.0.waiting.recv_timeout(buffer, timeout.min(LONGEST)))
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&Posixmq)
}
