//! `thingbuf` as an adapter.

use std::process::ExitCode;

use ipc_conformance::adapter::{
    Adapter, Cancelling, Claim, Created, Failure, Handles, Observer, Place, Supply,
};
use ipc_conformance::calls::{Receives, Sends, capacity};
use ipc_conformance::futures::Futures;
use ipc_conformance::observing;
use ipc_model::{Capacity, Holders, Modes, Profile};
use thingbuf::mpsc;
use thingbuf::mpsc::blocking::{Receiver, Sender, channel};
use thingbuf::mpsc::errors::{RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError};

/// So that stepped runs can interleave it between processes.
#[global_allocator]
static HEAP: ipc_conformance::SharedHeap = ipc_conformance::SharedHeap;

struct Thingbuf;

impl Adapter for Thingbuf {
    fn name(&self) -> String {
        "thingbuf".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("thingbuf", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, capacity, timed| {
            let capacity = Capacity::Bounded(capacity);
            let send = Modes { timed, ..Modes::default() };
            let profile = Profile { receivers: Holders::One, send, ..Profile::mailbox(capacity) };
            Claim::between_threads(link, profile)
                .with_futures(Cancelling::UNDOCUMENTED)
                .documented("ThingBuf: a first-in, first-out structure of fixed capacity")
                .documented("mpsc: many producers, one consumer; send waits for capacity")
                .documented("mpsc, Disconnection: what remains is received, then none")
                .documented("mpsc, Disconnection: without the receiver every send is an error")
                .observers([Observer::Len, Observer::IsEmpty, Observer::Capacity])
                .documented("blocking::Sender, Receiver: len, is_empty, capacity")
                .any_length()
                .documented("blocking::Sender::try_send: never blocks; full or closed")
                .documented("blocking: send_timeout and recv_timeout wait for at most the timeout")
        };
        // A send that times out corrupts memory, so it has links, and a process, of its own.
        vec![
            claim("bounded-1", 1, false),
            claim("bounded-2", 2, false),
            claim("timed-1", 1, true),
            claim("timed-2", 2, true),
        ]
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let capacity = capacity(link)?.unwrap_or(1);
        let (tx, rx) = channel(capacity);
        Ok(Handles::boxed(Supply::clones(sender(tx)), Supply::one(receiver(rx))))
    }

    fn futures(&self, link: &str) -> Result<Futures, Failure> {
        let (tx, rx) = mpsc::channel(capacity(link)?.unwrap_or(1));
        let send = async |tx: &mut mpsc::Sender<Vec<u8>>, bytes| {
            tx.send(bytes).await.map_err(|_| Failure::Closed)
        };
        let receive =
            async |rx: &mut mpsc::Receiver<Vec<u8>>| rx.recv().await.ok_or(Failure::Closed);
        Ok(Futures::default().sender(tx.clone(), send).sender(tx, send).receiver(rx, receive))
    }
}

fn sender(end: Sender<Vec<u8>>) -> Sends<Sender<Vec<u8>>> {
    Sends::through(end)
        .observing(observing!(len, is_empty, capacity))
        .blocking(|end, bytes| end.send(bytes.into()).map_err(|_| Failure::Closed))
        .nonblocking(|end, bytes| {
            end.try_send(bytes.into()).map_err(|e| match e {
                TrySendError::Full(_) => Failure::Full,
                TrySendError::Closed(_) => Failure::Closed,
                error => Failure::other(error),
            })
        })
        .timed(|end, bytes, timeout| {
            end.send_timeout(bytes.into(), timeout).map_err(|e| match e {
                SendTimeoutError::Timeout(_) => Failure::Timeout,
                SendTimeoutError::Closed(_) => Failure::Closed,
                error => Failure::other(error),
            })
        })
}

fn receiver(end: Receiver<Vec<u8>>) -> Receives<Receiver<Vec<u8>>> {
    Receives::through(end)
        .observing(observing!(len, is_empty, capacity))
        .blocking(|end| end.recv().ok_or(Failure::Closed))
        .nonblocking(|end| {
            end.try_recv().map_err(|e| match e {
                TryRecvError::Empty => Failure::Empty,
                TryRecvError::Closed => Failure::Closed,
                error => Failure::other(error),
            })
        })
        .timed(|end, timeout| {
            end.recv_timeout(timeout).map_err(|e| match e {
                RecvTimeoutError::Timeout => Failure::Timeout,
                RecvTimeoutError::Closed => Failure::Closed,
                error => Failure::other(error),
            })
        })
}

fn main() -> ExitCode {
    ipc_conformance::main(&Thingbuf)
}
