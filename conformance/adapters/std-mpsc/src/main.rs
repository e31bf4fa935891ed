//! `std::sync::mpsc` as an adapter.

use std::process::ExitCode;
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, TrySendError, channel,
    sync_channel,
};
use std::time::Duration;

use ipc_conformance::adapter::{
    Adapter, Claim, Created, Delivery, Endpoint, Failure, Handles, Parcel, Place, Supply,
};
use ipc_model::{Capacity, Holders, Modes, Process, Profile};

struct Mpsc;

#[derive(Clone)]
struct Tx(Sender<Vec<u8>>);

#[derive(Clone)]
struct SyncTx(SyncSender<Vec<u8>>);

struct Rx(Receiver<Vec<u8>>);

impl Adapter for Mpsc {
    fn name(&self) -> String {
        "std-mpsc".into()
    }

    fn version(&self) -> String {
        env!("RUSTC_VERSION").into()
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, capacity, nonblocking| {
            let send = Modes { blocking: true, nonblocking, timed: false };
            let profile = Profile { receivers: Holders::One, send, ..Profile::mailbox(capacity) };
            Claim::between_threads(link, profile)
                .documented("module docs: a FIFO queue of many producers and one consumer")
                .documented("Sender::send: fails where the receiver has hung up already")
                .documented("Receiver::recv: what was sent before the disconnect is still received")
                .documented("Receiver::recv_timeout: waits no longer than the time given")
        };
        let bounded = |link: &str, capacity| {
            claim(link, capacity, true)
                .documented("sync_channel: when the buffer of this bound is full, sends block")
                .documented("SyncSender::try_send: full and disconnected are reported at once")
        };
        vec![
            claim("unbounded", Capacity::Unbounded, false)
                .documented("channel: has an infinite buffer; no send blocks"),
            bounded("bounded-1", Capacity::Bounded(1)),
            bounded("bounded-2", Capacity::Bounded(2)),
            bounded("zero", Capacity::Zero)
                .documented("sync_channel: with a bound of 0 each send is paired with a receive"),
        ]
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let bound = match link {
            "unbounded" => {
                let (sender, receiver) = channel();
                return Ok(Handles::boxed(Supply::clones(Tx(sender)), Supply::one(Rx(receiver))));
            }
            "bounded-1" => 1,
            "bounded-2" => 2,
            _ => 0,
        };
        let (sender, receiver) = sync_channel(bound);
        Ok(Handles::boxed(Supply::clones(SyncTx(sender)), Supply::one(Rx(receiver))))
    }
}

impl Endpoint for Tx {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.send(parcel.bytes.into()).map_err(|_| Failure::Closed)
    }
}

impl Endpoint for SyncTx {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.send(parcel.bytes.into()).map_err(|_| Failure::Closed)
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.try_send(parcel.bytes.into()).map_err(|e| match e {
            TrySendError::Full(_) => Failure::Full,
            TrySendError::Disconnected(_) => Failure::Closed,
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
    ipc_conformance::main(&Mpsc)
}
