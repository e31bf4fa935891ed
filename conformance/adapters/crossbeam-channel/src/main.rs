//! `crossbeam-channel` as an adapter.

use std::process::ExitCode;
use std::time::Duration;

use crossbeam_channel::{
    Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError, TrySendError, bounded,
    unbounded,
};
use ipc_conformance::adapter::{
    Adapter, Claim, Created, Delivery, Endpoint, Failure, Handles, Parcel, Place, Supply,
};
use ipc_model::{Capacity, Process, Profile};

struct Crossbeam;

#[derive(Clone)]
struct Tx(Sender<Vec<u8>>);

#[derive(Clone)]
struct Rx(Receiver<Vec<u8>>);

impl Adapter for Crossbeam {
    fn name(&self) -> String {
        "crossbeam-channel".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("crossbeam-channel", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, capacity| {
            Claim::between_threads(link, Profile::mailbox(capacity))
                .documented("crate docs, Disconnection: remaining messages can still be received")
                .documented("crate docs, Disconnection: a disconnected channel never blocks")
        };
        vec![
            claim("unbounded", Capacity::Unbounded)
                .documented("unbounded: can hold any number of messages at a time"),
            claim("bounded-1", Capacity::Bounded(1))
                .documented("bounded: can hold at most `cap` messages at a time"),
            claim("bounded-2", Capacity::Bounded(2))
                .documented("bounded: can hold at most `cap` messages at a time"),
            claim("zero", Capacity::Zero)
                .documented("bounded(0): send and receive must appear at the same time"),
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
    ipc_conformance::main(&Crossbeam)
}
