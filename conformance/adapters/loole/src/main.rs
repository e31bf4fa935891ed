//! `loole` as an adapter.

use std::process::ExitCode;

use ipc_conformance::adapter::{Adapter, Claim, Created, Failure, Handles, Place, Supply};
use ipc_conformance::calls::{Receives, Sends, capacity};
use ipc_model::{Capacity, Profile};
use loole::{
    Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError, TrySendError, bounded,
    unbounded,
};

struct Loole;

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
        let (tx, rx) = match capacity(link)? {
            None => unbounded(),
            Some(n) => bounded(n),
        };
        Ok(Handles::boxed(Supply::clones(sender(tx)), Supply::clones(receiver(rx))))
    }
}

fn sender(end: Sender<Vec<u8>>) -> Sends<Sender<Vec<u8>>> {
    Sends::through(end)
        .blocking(|end, bytes| end.send(bytes.into()).map_err(|_| Failure::Closed))
        .nonblocking(|end, bytes| {
            end.try_send(bytes.into()).map_err(|e| match e {
                TrySendError::Full(_) => Failure::Full,
                TrySendError::Disconnected(_) => Failure::Closed,
            })
        })
        .timed(|end, bytes, timeout| {
            end.send_timeout(bytes.into(), timeout).map_err(|e| match e {
                SendTimeoutError::Timeout(_) => Failure::Timeout,
                SendTimeoutError::Disconnected(_) => Failure::Closed,
            })
        })
}

fn receiver(end: Receiver<Vec<u8>>) -> Receives<Receiver<Vec<u8>>> {
    Receives::through(end)
        .blocking(|end| end.recv().map_err(|_| Failure::Closed))
        .nonblocking(|end| {
            end.try_recv().map_err(|e| match e {
                TryRecvError::Empty => Failure::Empty,
                TryRecvError::Disconnected => Failure::Closed,
            })
        })
        .timed(|end, timeout| {
            end.recv_timeout(timeout).map_err(|e| match e {
                RecvTimeoutError::Timeout => Failure::Timeout,
                RecvTimeoutError::Disconnected => Failure::Closed,
            })
        })
}

fn main() -> ExitCode {
    ipc_conformance::main(&Loole)
}
