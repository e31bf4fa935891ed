//! `ringfire` as an adapter: a lossless broadcast and a blackboard, both in shared memory.

use std::path::PathBuf;
use std::process::ExitCode;

use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Endpoint, Failure, Place, Role, ends, eventually,
};
use ipc_conformance::calls::{Receives, Sends};
use ipc_model::{Capacity, Distribution, Holders, Modes, Notice, Profile, Size};
use ringfire::{
    BlackboardConsumer, BlackboardProducer, FlowControl, FutexWait, RingConsumer, RingProducer,
    RingProducerBuilder, RingfireError,
};

/// What is sent: rings and blackboards hold values of one size.
type Item = [u8; SIZE];

const SIZE: usize = 64;

struct Ringfire;

/// The file, which the producer makes and removes.
struct Made {
    link: String,
    file: PathBuf,
}

impl Adapter for Ringfire {
    fn name(&self) -> String {
        "ringfire".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("ringfire", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, distribution, capacity, send, receive| {
            let profile = Profile {
                distribution,
                send,
                receive,
                size: Size::Fixed(SIZE as u32),
                senders: Holders::One,
                sender_closed: Notice::Silent,
                receiver_closed: Notice::Silent,
                ..Profile::mailbox(Capacity::Bounded(capacity))
            };
            Claim::between_processes(link, profile)
        };
        let untimed = Modes { blocking: true, nonblocking: true, timed: false };
        let write = Modes { blocking: true, nonblocking: false, timed: false };
        let read = Modes { blocking: false, nonblocking: true, timed: false };
        vec![
            claim("lossless-2", Distribution::ToEach, 2, untimed, untimed)
                .documented(
                    "LosslessBackpressure: waits for the slowest reader; guaranteed delivery",
                )
                .documented("RingProducer::try_push: an error if the buffer is full, never blocks")
                .documented("RingConsumer::try_recv: a new message, or none if it has caught up"),
            claim("blackboard", Distribution::Latest, 1, write, read)
                .documented("BlackboardProducer::write: writes or updates the value of a key")
                .documented("BlackboardConsumer::read: none if the slot has never been written")
                .documented("README, State Blackboard: the latest state, by a sequence lock"),
        ]
    }

    fn create(&self, link: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        Ok(Box::new(Made { link: link.into(), file: place.folder.join(&place.name) }))
    }

    fn connect(
        &self,
        link: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        let file = &address.text;
        // The producer makes the file; consumers may come first.
        match link {
            "blackboard" => ends(
                role,
                || BlackboardProducer::create(file, 1).map(writer).map_err(Failure::other),
                || eventually(|| BlackboardConsumer::attach(file)).map(reader),
            ),
            _ => ends(
                role,
                || ring(2).build(file).map(sender).map_err(Failure::other),
                || eventually(|| from_the_start(file)).map(receiver),
            ),
        }
    }
}

fn ring(capacity: u64) -> RingProducerBuilder {
    RingProducerBuilder::new(capacity).flow_control(FlowControl::LosslessBackpressure)
}

fn from_the_start(file: &str) -> Result<RingConsumer<Item>, RingfireError> {
    RingConsumer::builder().start_from_oldest().attach(file)
}

impl Created for Made {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        let address = self.address(role)?;
        Ringfire.connect(&self.link, &address, role)
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Ok(Address::named(self.file.to_string_lossy()))
    }
}

fn item(bytes: &[u8]) -> Result<Item, Failure> {
    bytes.try_into().map_err(|_| Failure::WrongSize)
}

fn sender(end: RingProducer<Item>) -> Sends<RingProducer<Item>> {
    Sends::through(end)
        .blocking(|end, bytes| {
            end.push(&item(bytes)?);
            Ok(())
        })
        .nonblocking(|end, bytes| {
            end.try_push(&item(bytes)?).map_err(|e| match e {
                RingfireError::BackpressureBufferFull => Failure::Full,
                error => Failure::other(error),
            })
        })
}

fn receiver(end: RingConsumer<Item>) -> Receives<RingConsumer<Item>> {
    Receives::through(end)
        .blocking(|end| Ok(end.recv_blocking(&mut FutexWait::default()).into()))
        .nonblocking(|end| end.try_recv().map(Vec::from).ok_or(Failure::Empty))
}

fn writer(end: BlackboardProducer<Item>) -> Sends<BlackboardProducer<Item>> {
    Sends::through(end).blocking(|end, bytes| end.write(0, &item(bytes)?).map_err(Failure::other))
}

fn reader(end: BlackboardConsumer<Item>) -> Receives<BlackboardConsumer<Item>> {
    Receives::through(end).nonblocking(|end| {
        end.read(0).map_err(Failure::other)?.map(Vec::from).ok_or(Failure::Empty)
    })
}

fn main() -> ExitCode {
    ipc_conformance::main(&Ringfire)
}
