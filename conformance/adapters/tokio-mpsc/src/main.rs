//! `tokio::sync::mpsc` as an adapter.

use std::process::ExitCode;
use std::time::Duration;

use ipc_conformance::adapter::{
    Adapter, Claim, Created, Delivery, Endpoint, Failure, Handles, Parcel, Place, Supply,
};
use ipc_model::{Capacity, Holders, Modes, Process, Profile};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::error::{SendTimeoutError, TryRecvError, TrySendError};
use tokio::sync::mpsc::{
    Receiver, Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel,
};
use tokio::time;

struct TokioMpsc;

struct Tx(Sender<Vec<u8>>, Runtime);

#[derive(Clone)]
struct UnboundedTx(UnboundedSender<Vec<u8>>);

struct Rx(Receiver<Vec<u8>>, Runtime);

struct UnboundedRx(UnboundedReceiver<Vec<u8>>, Runtime);

impl Adapter for TokioMpsc {
    fn name(&self) -> String {
        "tokio-mpsc".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("tokio", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, capacity, send| {
            let profile = Profile { receivers: Holders::One, send, ..Profile::mailbox(capacity) };
            Claim::between_threads(link, profile)
                .documented("mpsc: many producers, one consumer")
                .documented("mpsc, Disconnection: what remains is received, then none")
                .documented("mpsc, Disconnection: without the receiver every send is an error")
                .documented("Receiver::recv: cancel safe, so it can be given a timeout")
                .documented("time::timeout: an error if the future has not completed by then")
        };
        let bounded = |link: &str, capacity| {
            claim(link, Capacity::Bounded(capacity), Modes::default())
                .documented("channel: in the order sent; holds up to `buffer` messages")
                .documented("Sender::blocking_send: send, outside of asynchronous contexts")
                .documented("Sender::try_send: an error at once if full or closed")
                .documented("Sender::send_timeout: waits for capacity, but no longer than that")
        };
        let never_waits = Modes { blocking: true, nonblocking: false, timed: false };
        vec![
            claim("unbounded", Capacity::Unbounded, never_waits)
                .documented("unbounded_channel: an infinite capacity; send completes at once"),
            bounded("bounded-1", 1),
            bounded("bounded-2", 2),
        ]
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let capacity = match link {
            "unbounded" => {
                let (sender, receiver) = unbounded_channel();
                let sender = Supply::clones(UnboundedTx(sender));
                return Ok(Handles::boxed(sender, Supply::one(UnboundedRx(receiver, runtime()))));
            }
            "bounded-1" => 1,
            _ => 2,
        };
        let (sender, receiver) = channel(capacity);
        let senders = Supply::Many(Box::new(move || Tx(sender.clone(), runtime())));
        Ok(Handles::boxed(senders, Supply::one(Rx(receiver, runtime()))))
    }
}

/// A runtime of an end's own, on the thread that holds it: the clock of its timed calls.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime without a driver")
}

impl Endpoint for UnboundedTx {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.send(parcel.bytes.into()).map_err(|_| Failure::Closed)
    }
}

impl Endpoint for Tx {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.blocking_send(parcel.bytes.into()).map_err(|_| Failure::Closed)
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.try_send(parcel.bytes.into()).map_err(|e| match e {
            TrySendError::Full(_) => Failure::Full,
            TrySendError::Closed(_) => Failure::Closed,
        })
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        let sent = self.0.send_timeout(parcel.bytes.into(), timeout);
        self.1.block_on(sent).map_err(|e| match e {
            SendTimeoutError::Timeout(_) => Failure::Timeout,
            SendTimeoutError::Closed(_) => Failure::Closed,
        })
    }
}

/// The two kinds of receiver offer the same calls under the same names.
macro_rules! receiver {
    ($end:ty) => {
        impl Endpoint for $end {
            fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
                self.0.blocking_recv().map(Delivery::from).ok_or(Failure::Closed)
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
                let received = async { time::timeout(timeout, self.0.recv()).await };
                let received = self.1.block_on(received).map_err(|_| Failure::Timeout)?;
                received.map(Delivery::from).ok_or(Failure::Closed)
            }
        }
    };
}

receiver!(Rx);
receiver!(UnboundedRx);

fn main() -> ExitCode {
    ipc_conformance::main(&TokioMpsc)
}
