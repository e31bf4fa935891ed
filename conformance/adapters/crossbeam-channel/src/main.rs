//! `crossbeam-channel` as an adapter.

use std::process::ExitCode;

use crossbeam_channel::{
    Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError, TrySendError, bounded,
    unbounded,
};
use ipc_conformance::adapter::{
    Adapter, Claim, Created, Failure, Handles, Observer, Place, Supply,
};
use ipc_conformance::calls::{Receives, Sends, capacity};
use ipc_conformance::values::{Carries, Values};
use ipc_model::{Capacity, Profile};

struct Crossbeam;

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
                .observers([Observer::Len, Observer::IsEmpty, Observer::IsFull, Observer::Capacity])
                .documented("Sender and Receiver: len, is_empty, is_full, capacity")
                .values()
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
        let (tx, rx) = match capacity(link)? {
            None => unbounded(),
            Some(n) => bounded(n),
        };
        Ok(Handles::boxed(Supply::clones(sender(tx)), Supply::clones(receiver(rx))))
    }

    fn values(&self, link: &str) -> Option<Box<dyn Values>> {
        let ends = match capacity(link).ok()? {
            None => unbounded(),
            Some(n) => bounded(n),
        };
        let try_send = |end: &Sender<_>, value| end.try_send(value).map_err(Failure::other);
        let try_receive = |end: &Receiver<_>| end.try_recv().map_err(Failure::other);
        Carries::new(ends, try_send, try_receive)
            .timed(|end, value, timeout| end.send_timeout(value, timeout).map_err(Failure::other))
            .boxed()
    }
}

fn sender(end: Sender<Vec<u8>>) -> Sends<Sender<Vec<u8>>> {
    Sends::through(end)
        .observing(|end, what| match what {
            Observer::Len => Some(end.len().into()),
            Observer::IsEmpty => Some(end.is_empty().into()),
            Observer::IsFull => Some(end.is_full().into()),
            Observer::Capacity => Some(end.capacity().into()),
            Observer::IsDisconnected => None,
        })
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
        .observing(|end, what| match what {
            Observer::Len => Some(end.len().into()),
            Observer::IsEmpty => Some(end.is_empty().into()),
            Observer::IsFull => Some(end.is_full().into()),
            Observer::Capacity => Some(end.capacity().into()),
            Observer::IsDisconnected => None,
        })
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
    ipc_conformance::main(&Crossbeam)
}
