//! `thingbuf` as an adapter.

use std::process::ExitCode;
use std::time::Duration;

use ipc_conformance::adapter::{
    Adapter, Claim, Created, Delivery, Endpoint, Failure, Handles, Parcel, Place, Supply,
};
use ipc_model::{Capacity, Holders, Process, Profile};
use thingbuf::mpsc::blocking::{Receiver, Sender, channel};
use thingbuf::mpsc::errors::{RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError};

struct Thingbuf;

#[derive(Clone)]
struct Tx(Sender<Vec<u8>>);

struct Rx(Receiver<Vec<u8>>);

impl Adapter for Thingbuf {
    fn name(&self) -> String {
        "thingbuf".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("thingbuf", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, capacity| {
            let capacity = Capacity::Bounded(capacity);
            let profile = Profile { receivers: Holders::One, ..Profile::mailbox(capacity) };
            Claim::between_threads(link, profile)
                .documented("ThingBuf: a first-in, first-out structure of fixed capacity")
                .documented("mpsc: many producers, one consumer; send waits for capacity")
                .documented("mpsc, Disconnection: what remains is received, then none")
                .documented("mpsc, Disconnection: without the receiver every send is an error")
                .documented("blocking::Sender::try_send: never blocks; full or closed")
                .documented("blocking: send_timeout and recv_timeout wait for at most the timeout")
        };
        vec![claim("bounded-1", 1), claim("bounded-2", 2)]
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let capacity = if link == "bounded-1" { 1 } else { 2 };
        let (sender, receiver) = channel(capacity);
        Ok(Handles::boxed(Supply::clones(Tx(sender)), Supply::one(Rx(receiver))))
    }
}

impl Endpoint for Tx {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.send(parcel.bytes.into()).map_err(|_| Failure::Closed)
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.try_send(parcel.bytes.into()).map_err(|e| match e {
            TrySendError::Full(_) => Failure::Full,
            TrySendError::Closed(_) => Failure::Closed,
            error => Failure::other(error),
        })
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        self.0.send_timeout(parcel.bytes.into(), timeout).map_err(|e| match e {
            SendTimeoutError::Timeout(_) => Failure::Timeout,
            SendTimeoutError::Closed(_) => Failure::Closed,
            error => Failure::other(error),
        })
    }
}

impl Endpoint for Rx {
    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.0.recv().map(Delivery::from).ok_or(Failure::Closed)
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.0.try_recv().map(Delivery::from).map_err(|e| match e {
            TryRecvError::Empty => Failure::Empty,
            TryRecvError::Closed => Failure::Closed,
            error => Failure::other(error),
        })
    }

    fn receive_timeout(
        &mut self,
        _: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        self.0.recv_timeout(timeout).map(Delivery::from).map_err(|e| match e {
            RecvTimeoutError::Timeout => Failure::Timeout,
            RecvTimeoutError::Closed => Failure::Closed,
            error => Failure::other(error),
        })
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&Thingbuf)
}
