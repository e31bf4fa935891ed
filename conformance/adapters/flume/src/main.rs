//! `flume` as an adapter.

use std::process::ExitCode;
use std::time::Duration;

use flume::{
    Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError, TrySendError, bounded,
    unbounded,
};
use ipc_conformance::adapter::{
    Adapter, Claim, Created, Delivery, Endpoint, Failure, Handles, Parcel, Place, Supply,
};
use ipc_model::{Capacity, Process, Profile};

struct Flume;

#[derive(Clone)]
struct Tx(Sender<Vec<u8>>);

#[derive(Clone)]
struct Rx(Receiver<Vec<u8>>);

impl Adapter for Flume {
    fn name(&self) -> String {
        "flume".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("flume", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, capacity| {
            Claim::between_threads(link, Profile::mailbox(capacity))
                .documented("crate docs: a drop-in replacement for std::sync::mpsc, so FIFO")
                .documented("Receiver: may be cloned; a message goes to one receiver only")
                .documented("RecvError: all senders are gone and no messages are waiting")
                .documented("SendError: all receivers are gone")
        };
        let bounded = |link: &str, capacity| {
            claim(link, capacity)
                .documented("bounded: a maximum capacity; sends block until there is space")
                .documented("Sender::send_timeout: waits for space, the time, or disconnection")
        };
        vec![
            claim("unbounded", Capacity::Unbounded)
                .documented("unbounded: no maximum capacity")
                .documented("Sender::send, Sender::try_send: do not block on such a channel"),
            bounded("bounded-1", Capacity::Bounded(1)),
            bounded("bounded-2", Capacity::Bounded(2)),
            bounded("zero", Capacity::Zero)
                .documented("bounded: with capacity 0 senders wait for a receiver to take it"),
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
    ipc_conformance::main(&Flume)
}
