//! `flume` as an adapter.

use std::process::ExitCode;

use flume::{
    Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError, TrySendError, bounded,
    unbounded,
};
use ipc_conformance::adapter::{
    Adapter, Cancelling, Claim, Created, Failure, Handles, Place, Supply,
};
use ipc_conformance::calls::{Receives, Sends, capacity};
use ipc_conformance::futures::Futures;
use ipc_model::{Capacity, Profile};

struct Flume;

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
                .with_futures(Cancelling::UNDOCUMENTED)
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
        let (tx, rx) = match capacity(link)? {
            None => unbounded(),
            Some(n) => bounded(n),
        };
        Ok(Handles::boxed(Supply::clones(sender(tx)), Supply::clones(receiver(rx))))
    }

    fn futures(&self, link: &str) -> Result<Futures, Failure> {
        let (tx, rx) = match capacity(link)? {
            None => unbounded(),
            Some(n) => bounded(n),
        };
        let send = async |tx: &mut Sender<_>, bytes| {
            tx.send_async(bytes).await.map_err(|_| Failure::Closed)
        };
        let receive =
            async |rx: &mut Receiver<_>| rx.recv_async().await.map_err(|_| Failure::Closed);
        let senders = Futures::default().sender(tx.clone(), send).sender(tx, send);
        Ok(senders.receiver(rx.clone(), receive).receiver(rx, receive))
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
    ipc_conformance::main(&Flume)
}
