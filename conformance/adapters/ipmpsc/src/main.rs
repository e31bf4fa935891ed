//! `ipmpsc` as an adapter.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Delivery, Endpoint, Failure, Parcel, Place, Role, ends,
};
use ipc_model::{Capacity, Holders, Modes, Notice, Process, Profile, Size};
use ipmpsc::{Error, Receiver, Sender, SharedRingBuffer};

/// The largest message.
const LARGEST: u32 = 1024;

/// The ring's size. A message waits for contiguous space, so an empty ring need not take one as long
/// as itself; of one that is several times as long, something always is free in one piece.
const RING: u32 = 4 * (LARGEST + 8);

struct Ipmpsc;

/// The ring's file, removed when it is dropped.
struct Ring(PathBuf);

struct Tx(Sender);

struct Rx(Receiver);

impl Adapter for Ipmpsc {
    fn name(&self) -> String {
        "ipmpsc".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("ipmpsc", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let profile = Profile {
            capacity: Capacity::AtLeast(1),
            size: Size::UpTo(LARGEST),
            receivers: Holders::One,
            send: Modes { blocking: true, nonblocking: false, timed: true },
            sender_closed: Notice::Silent,
            receiver_closed: Notice::Silent,
            ..Profile::default()
        };
        vec![
            Claim::between_processes("ring", profile)
                .documented("crate docs: a channel of many senders and one receiver, a ring buffer")
                .documented("Sender::send: waits for enough contiguous space in the ring")
                .documented("Sender::send_timeout: false if it timed out while waiting")
                .documented("Receiver::recv, recv_timeout: block until a message is available")
                .documented("Receiver::try_recv: none if no message is immediately available")
                .documented("Error: no word for a peer that is gone"),
        ]
    }

    fn create(&self, _: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        let ring = Ring(path(place));
        SharedRingBuffer::create(&ring.0.to_string_lossy(), RING).map_err(Failure::other)?;
        Ok(Box::new(ring))
    }

    fn connect(
        &self,
        _: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        let ring = || SharedRingBuffer::open(&address.text).map_err(Failure::other);
        ends(role, || Ok(Tx(Sender::new(ring()?))), || Ok(Rx(Receiver::new(ring()?))))
    }

    fn remove(&self, _: &str, place: &Place) {
        drop(Ring(path(place)));
    }
}

fn path(place: &Place) -> PathBuf {
    place.folder.join(&place.name)
}

impl Created for Ring {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        Ipmpsc.connect("", &self.address(role)?, role)
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Ok(Address::named(self.0.to_string_lossy()))
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Where it fails, the file is not there.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A message that the link is not claimed for is refused here: whether the crate takes it depends on
/// where in the ring the last one ended.
fn fitting(parcel: Parcel<'_>) -> Result<(), Failure> {
    if parcel.bytes.len() > LARGEST as usize { Err(Failure::TooBig) } else { Ok(()) }
}

fn failure(error: Error) -> Failure {
    match error {
        Error::MessageTooLarge => Failure::TooBig,
        error => Failure::other(error),
    }
}

impl Endpoint for Tx {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        fitting(parcel)?;
        self.0.send(&parcel.bytes).map_err(failure)
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        fitting(parcel)?;
        let sent = self.0.send_timeout(&parcel.bytes, timeout).map_err(failure)?;
        if sent { Ok(()) } else { Err(Failure::Timeout) }
    }
}

impl Endpoint for Rx {
    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.0.recv::<Vec<u8>>().map(Delivery::from).map_err(failure)
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        let received = self.0.try_recv::<Vec<u8>>().map_err(failure)?;
        received.map(Delivery::from).ok_or(Failure::Empty)
    }

    fn receive_timeout(
        &mut self,
        _: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        let received = self.0.recv_timeout::<Vec<u8>>(timeout).map_err(failure)?;
        received.map(Delivery::from).ok_or(Failure::Timeout)
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&Ipmpsc)
}
