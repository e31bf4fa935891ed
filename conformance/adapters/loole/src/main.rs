//! `loole` as an adapter.

use std::process::ExitCode;
use std::time::Duration;

use ipc_conformance::adapter::{
    Adapter, Claim, Created, Delivery, Endpoint, Failure, Handles, Parcel, Place, Supply,
};
use ipc_model::{Capacity, Process, Profile};
use loole::{
    Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError, TrySendError, bounded,
    unbounded,
};

struct Loole;

#[derive(Clone)]
struct Tx(Sender<Vec<u8>>);

#[derive(Clone)]
struct Rx(Receiver<Vec<u8>>);

impl Adapter for Loole {
    fn name(&self) -> String {
        "loole".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("loole", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, capacity| {
            Claim::between_threads(link, Profile::mailbox(capacity))
                .documented("crate docs: many producers and consumers, one of whom gets a message")
                .documented("crate docs: closed once all senders or all receivers are dropped")
                .documented("crate docs: what remains can still be received after that")
                .documented("SendTimeoutError, RecvTimeoutError: the time is up, or disconnected")
        };
        let bounded = |link: &str, capacity| {
            claim(link, capacity)
                .documented("Sender::try_send: an error if the channel is bounded and full")
                .documented("Sender::send_timeout: if it is full, blocks until there is space")
        };
        vec![
            claim("unbounded", Capacity::Unbounded)
                .documented("unbounded: received in the same order as sent")
                .documented("Sender::try_send: on an unbounded channel the same as send"),
            bounded("bounded-1", Capacity::Bounded(1)),
            bounded("bounded-2", Capacity::Bounded(2)),
            bounded("zero", Capacity::Zero)
                .documented("bounded: of capacity 0 it blocks senders until a receiver takes it"),
        ]
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let (sender, receiver) = match link {
            "unbounded" => unbounded(),
            "bounded-1" => bounded(1),
            "bounded-2" => bounded(2),
            _ => bounded(0),
        };
        Ok(Handles::boxed(Supply::clones(Tx(sender)), Supply::clones(Rx(receiver))))
    }
}

impl Endpoint for Tx {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.send(parcel.bytes.into()).map_err(|_| Failure::Closed)
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.try_send(parcel.bytes.into()).map_err(|e| match e {
            TrySendError::Full(_) => Failure::Full,
            TrySendError::Disconnected(_) => Failure::Closed,
        })
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        self.0.send_timeout(parcel.bytes.into(), timeout).map_err(|e| match e {
            SendTimeoutError::Timeout(_) => Failure::Timeout,
            SendTimeoutError::Disconnected(_) => Failure::Closed,
        })
    }
}

impl Endpoint for Rx {
    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.0.recv().map(Delivery::from).map_err(|_| Failure::Closed)
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.0.try_recv().map(Delivery::from).map_err(|e| match e {
            TryRecvError::Empty => Failure::Empty,
            TryRecvError::Disconnected => Failure::Closed,
        })
    }

    fn receive_timeout(
        &mut self,
        _: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        self.0.recv_timeout(timeout).map(Delivery::from).map_err(|e| match e {
            RecvTimeoutError::Timeout => Failure::Timeout,
            RecvTimeoutError::Disconnected => Failure::Closed,
        })
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&Loole)
}
