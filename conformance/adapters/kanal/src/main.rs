//! `kanal` as an adapter.

use std::process::ExitCode;
use std::time::Duration;

use ipc_conformance::adapter::{
    Adapter, Claim, Created, Delivery, Endpoint, Failure, Handles, Parcel, Place, Supply,
};
use ipc_model::{Capacity, Process, Profile};
use kanal::{ReceiveErrorTimeout, Receiver, SendErrorTimeout, Sender, bounded, unbounded};

struct Kanal;

#[derive(Clone)]
struct Tx(Sender<Vec<u8>>);

#[derive(Clone)]
struct Rx(Receiver<Vec<u8>>);

impl Adapter for Kanal {
    fn name(&self) -> String {
        "kanal".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("kanal", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, capacity| {
            Claim::between_threads(link, Profile::mailbox(capacity))
                .documented("README: channels of many producers and many consumers, as in CSP")
                .documented("Sender::len: what waits is a queue")
                .documented("SendError::ReceiveClosed: all receivers are dropped")
                .documented("ReceiveError::SendClosed: all senders are dropped")
                .documented("bounded, unbounded, example: the rest is received after that")
                .documented("try_send, try_recv: do not wait; false and none are failures")
                .documented("send_timeout, recv_timeout: give up at a deadline")
        };
        vec![
            claim("unbounded", Capacity::Unbounded)
                .documented("unbounded, example: never blocks on send"),
            claim("bounded-1", Capacity::Bounded(1))
                .documented("Sender::is_full: full channels block, one of size 1 holds one"),
            claim("bounded-2", Capacity::Bounded(2))
                .documented("Sender::is_full: full channels block"),
            claim("zero", Capacity::Zero)
                .documented("bounded, example: of size 0 it blocks until send and receive succeed"),
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
        match self.0.try_send(parcel.bytes.into()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::Full),
            Err(_) => Err(Failure::Closed),
        }
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        self.0.send_timeout(parcel.bytes.into(), timeout).map_err(|e| match e {
            SendErrorTimeout::Timeout => Failure::Timeout,
            SendErrorTimeout::Closed | SendErrorTimeout::ReceiveClosed => Failure::Closed,
        })
    }
}

impl Endpoint for Rx {
    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.0.recv().map(Delivery::from).map_err(|_| Failure::Closed)
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        match self.0.try_recv() {
            Ok(Some(bytes)) => Ok(bytes.into()),
            Ok(None) => Err(Failure::Empty),
            Err(_) => Err(Failure::Closed),
        }
    }

    fn receive_timeout(
        &mut self,
        _: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        self.0.recv_timeout(timeout).map(Delivery::from).map_err(|e| match e {
            ReceiveErrorTimeout::Timeout => Failure::Timeout,
            ReceiveErrorTimeout::Closed | ReceiveErrorTimeout::SendClosed => Failure::Closed,
        })
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&Kanal)
}
