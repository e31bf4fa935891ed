//! `shmem-ipc` as an adapter: its ring buffer of items of one size.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::ExitCode;

use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Delivery, Endpoint, Failure, Parcel, Place, Role, ends,
};
use ipc_conformance::descriptors::inherited;
use ipc_model::{Capacity, Holders, Modes, Notice, Process, Profile, Size};
use shmem_ipc::sharedring::{Receiver, Sender};

/// What the ring holds.
type Item = [u8; SIZE];

const SIZE: usize = 1024;

/// How many items it is created for.
const CAPACITY: usize = 3;

struct ShmemIpc;

/// The memory of the ring, and the signals that it is not empty or not full any more.
struct Ring([File; 3]);

struct Tx(Sender<Item>);

struct Rx(Receiver<Item>);

impl Adapter for ShmemIpc {
    fn name(&self) -> String {
        "shmem-ipc".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("shmem-ipc", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let untimed = Modes { blocking: true, nonblocking: true, timed: false };
        let profile = Profile {
            capacity: Capacity::AtLeast(CAPACITY as u32),
            size: Size::Fixed(SIZE as u32),
            senders: Holders::One,
            receivers: Holders::One,
            send: untimed,
            receive: untimed,
            sender_closed: Notice::Silent,
            receiver_closed: Notice::Silent,
            ..Profile::default()
        };
        vec![
            Claim::between_processes("sharedring", profile)
                .documented("README: a bounded queue of one producer and one consumer")
                .documented("sharedring: made of a capacity, a memfd and two signals")
                .documented("Sender::send_raw: if the buffer is full, the closure is not called")
                .documented("Receiver::receive_raw: nor is it called if the buffer is empty")
                .documented("block_until_writable, block_until_readable: for blocking scenarios")
                .documented("Error: no word for a peer that is gone"),
        ]
    }

    fn create(&self, _: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let made = Sender::<Item>::new(CAPACITY).map_err(Failure::other)?;
        let files = [made.memfd().as_file(), made.empty_signal(), made.full_signal()];
        Ok(Box::new(Ring(copies(files)?)))
    }

    fn connect(
        &self,
        _: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        let files: Vec<File> = inherited(address).map(File::from).collect();
        let [memory, not_empty, not_full] = &files[..] else {
            return Err(Failure::other("a descriptor is missing"));
        };
        open(role, [memory, not_empty, not_full])
    }
}

fn copies(files: [&File; 3]) -> Result<[File; 3], Failure> {
    let [memory, not_empty, not_full] = files.map(|file| file.try_clone().map_err(Failure::other));
    Ok([memory?, not_empty?, not_full?])
}

fn open(role: Role, files: [&File; 3]) -> Result<Box<dyn Endpoint>, Failure> {
    let sender = || {
        let [memory, not_empty, not_full] = copies(files)?;
        Sender::open(CAPACITY, memory, not_empty, not_full).map(Tx).map_err(Failure::other)
    };
    let receiver = || {
        let [memory, not_empty, not_full] = copies(files)?;
        Receiver::open(CAPACITY, memory, not_empty, not_full).map(Rx).map_err(Failure::other)
    };
    ends(role, sender, receiver)
}

impl Created for Ring {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        open(role, self.0.each_ref())
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Ok(Address::inherited(&self.0.each_ref().map(AsRawFd::as_raw_fd)))
    }
}

fn item(bytes: &[u8]) -> Result<Item, Failure> {
    bytes.try_into().map_err(|_| Failure::WrongSize)
}

impl Endpoint for Tx {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        item(parcel.bytes)?;
        self.0.block_until_writable().map_err(Failure::other)?;
        self.try_send(parcel)
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        let item = item(parcel.bytes)?;
        let mut sent = Err(Failure::Full);
        self.0
            .send_raw(|place, _| {
                // SAFETY: the ring lends room for at least one item, to this, its only sender.
                unsafe { place.write(item) };
                sent = Ok(());
                1
            })
            .map_err(Failure::other)?;
        sent
    }
}

impl Endpoint for Rx {
    fn receive(&mut self, from: Option<Process>) -> Result<Delivery, Failure> {
        self.0.block_until_readable().map_err(Failure::other)?;
        self.try_receive(from)
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        let mut received = Err(Failure::Empty);
        self.0
            .receive_raw(|place, _| {
                // SAFETY: the ring lends at least one whole item, to this, its only receiver.
                let item = unsafe { place.read() };
                received = Ok(item.to_vec().into());
                1
            })
            .map_err(Failure::other)?;
        received
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&ShmemIpc)
}
