//! POSIX message queues, through `nix`, as an adapter.

use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::time::Duration;

use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Delivery, Endpoint, Failure, Parcel, Place, Role, ends,
};
use ipc_model::{Capacity, Notice, Order, Process, Profile, Size};
use nix::errno::Errno;
use nix::mqueue::{
    MQ_OFlag, MqAttr, MqdT, mq_attr_member_t, mq_close, mq_open, mq_receive, mq_send,
    mq_timedreceive, mq_unlink,
};
use nix::sys::stat::Mode;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

/// The size of message that queues are created for.
const LARGEST: usize = 256;

struct PosixMq;

/// Removes the name when it is dropped.
struct Queue(String);

/// A descriptor, closed when it is dropped.
struct Descriptor(Option<MqdT>);

/// Whether calls wait is a property of the open description, so each end has two.
struct End {
    waiting: Descriptor,
    not_waiting: Descriptor,
}

struct Tx(End);

struct Rx(End);

impl Adapter for PosixMq {
    fn name(&self) -> String {
        "posix-mq".into()
    }

    fn version(&self) -> String {
        ipc_conformance::kernel_version()
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
                .documented(
                    "mq_overview(7): holds up to mq_maxmsg messages until they are received",
                )
                .documented("mq_overview(7): highest priority first, the oldest of them first")
                .documented("mq_overview(7): a queue persists until unlinked, whoever has it open")
                .documented("mq_send(3), mq_receive(3): wait while full, empty; O_NONBLOCK: EAGAIN")
                .documented("mq_send(3): EMSGSIZE above mq_msgsize; empty messages are allowed")
                .documented("mq_timedsend(3), mq_timedreceive(3): ETIMEDOUT, not if it can be done")
        };
        vec![claim("capacity-2", 2), claim("capacity-10", 10)]
    }

    fn create(&self, link: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        let capacity = if link == "capacity-2" { 2 } else { 10 };
        let name = name(place);
        let size = LARGEST as mq_attr_member_t;
        let attributes = MqAttr::new(0, capacity, size, 0);
        let flags = MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL | MQ_OFlag::O_RDWR;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let descriptor = mq_open(name.as_str(), flags, mode, Some(&attributes));
        drop(Descriptor(Some(descriptor.map_err(too_low)?)));
        Ok(Box::new(Queue(name)))
    }

    fn connect(
        &self,
        _: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        let end = |access| End::open(&address.text, access);
        ends(role, || end(MQ_OFlag::O_WRONLY).map(Tx), || end(MQ_OFlag::O_RDONLY).map(Rx))
    }

    fn remove(&self, _: &str, place: &Place) {
        drop(Queue(name(place)));
    }
}

fn name(place: &Place) -> String {
    format!("/{}", place.name)
}

/// Names the limit that keeps a queue from being created, and how to raise it.
fn too_low(error: Errno) -> Failure {
    let limit = match error {
        Errno::EINVAL => "/proc/sys/fs/mqueue/msg_max or msgsize_max is too low: write 10, 256",
        Errno::ENOSPC => "/proc/sys/fs/mqueue/queues_max is too low: write a higher number",
        Errno::EMFILE => "RLIMIT_MSGQUEUE (ulimit -q) or RLIMIT_NOFILE (ulimit -n) is too low",
        _ => "no queue can be created",
    };
    Failure::Other(format!("mq_open: {error}: {limit}"))
}

impl Created for Queue {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        PosixMq.connect("", &self.address(role)?, role)
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Ok(Address::named(&self.0))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // Where it fails, the queue is not there.
        let _ = mq_unlink(self.0.as_str());
    }
}

impl Descriptor {
    fn open(name: &str, flags: MQ_OFlag) -> Result<Self, Failure> {
        let flags = flags | MQ_OFlag::O_CLOEXEC;
        mq_open(name, flags, Mode::empty(), None).map(|d| Self(Some(d))).map_err(Failure::other)
    }

    fn get(&self) -> &MqdT {
        self.0.as_ref().expect("open until dropped")
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // Closing can only fail for what is not open.
        let _ = self.0.take().map(mq_close);
    }
}

impl End {
    fn open(name: &str, access: MQ_OFlag) -> Result<Self, Failure> {
        let waiting = Descriptor::open(name, access)?;
        Ok(Self { waiting, not_waiting: Descriptor::open(name, access | MQ_OFlag::O_NONBLOCK)? })
    }
}

/// The longest wait that is asked for: a deadline must fit into a timespec.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// The deadline of a timed call: queues count on the clock of the wall.
fn deadline(timeout: Duration) -> Result<TimeSpec, Failure> {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).map_err(Failure::other)?;
    Ok(now + TimeSpec::from(timeout.min(LONGEST)))
}

fn sending(mut call: impl FnMut() -> Result<(), Errno>) -> Result<(), Failure> {
    loop {
        return Err(match call() {
            Ok(()) => return Ok(()),
            Err(Errno::EINTR) => continue,
            Err(Errno::EAGAIN) => Failure::Full,
            Err(Errno::ETIMEDOUT) => Failure::Timeout,
            Err(Errno::EMSGSIZE) => Failure::TooBig,
            Err(error) => Failure::other(error),
        });
    }
}

fn receiving(mut call: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Delivery, Failure> {
    let mut bytes = vec![0; LARGEST];
    loop {
        return Err(match call(&mut bytes) {
            Ok(length) => return Ok(bytes[..length].to_vec().into()),
            Err(Errno::EINTR) => continue,
            Err(Errno::EAGAIN) => Failure::Empty,
            Err(Errno::ETIMEDOUT) => Failure::Timeout,
            Err(error) => Failure::other(error),
        });
    }
}

/// `mq_timedsend`, which nix does not have.
fn mq_timedsend(
    queue: &MqdT,
    bytes: &[u8],
    priority: u32,
    deadline: &TimeSpec,
) -> Result<(), Errno> {
    let (data, length) = (bytes.as_ptr().cast(), bytes.len());
    let (descriptor, deadline) = (queue.as_raw_fd(), deadline.as_ref());
    // SAFETY: `data` points at `length` bytes and `deadline` at a timespec, both borrowed for as
    // long as the call; it writes to neither.
    let result = unsafe { libc::mq_timedsend(descriptor, data, length, priority, deadline) };
    Errno::result(result).map(drop)
}

impl Endpoint for Tx {
    fn send(&mut self, Parcel { bytes, priority, .. }: Parcel<'_>) -> Result<(), Failure> {
        sending(|| mq_send(self.0.waiting.get(), bytes, priority))
    }

    fn try_send(&mut self, Parcel { bytes, priority, .. }: Parcel<'_>) -> Result<(), Failure> {
        sending(|| mq_send(self.0.not_waiting.get(), bytes, priority))
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        let Parcel { bytes, priority, .. } = parcel;
        let deadline = deadline(timeout)?;
        sending(|| mq_timedsend(self.0.waiting.get(), bytes, priority, &deadline))
    }
}

impl Endpoint for Rx {
    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        receiving(|buffer| mq_receive(self.0.waiting.get(), buffer, &mut 0))
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        receiving(|buffer| mq_receive(self.0.not_waiting.get(), buffer, &mut 0))
    }

    fn receive_timeout(
        &mut self,
        _: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        let deadline = deadline(timeout)?;
        receiving(|buffer| mq_timedreceive(self.0.waiting.get(), buffer, &mut 0, &deadline))
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&PosixMq)
}
