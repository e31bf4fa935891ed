//! `async-channel` as an adapter.

use std::process::ExitCode;

use async_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded, unbounded};
use ipc_conformance::adapter::{
    Adapter, Cancelling, Claim, Created, Failure, Handles, Observer, Place, Supply,
};
use ipc_conformance::calls::{Receives, Sends, capacity};
use ipc_conformance::futures::Futures;
use ipc_conformance::values::Values;
use ipc_conformance::{carries_like_std, observing};
use ipc_model::{Capacity, Modes, Profile};

/// So that stepped runs can interleave it between processes.
#[global_allocator]
static HEAP: ipc_conformance::SharedHeap = ipc_conformance::SharedHeap;

struct AsyncChannel;

impl Adapter for AsyncChannel {
    fn name(&self) -> String {
        "async-channel".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("async-channel", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, capacity| {
            let untimed = Modes { blocking: true, nonblocking: true, timed: false };
            let profile = Profile { send: untimed, receive: untimed, ..Profile::mailbox(capacity) };
            Claim::between_threads(link, profile)
                .with_futures(Cancelling::UNDOCUMENTED)
                .documented("crate docs: many producers and consumers, one of whom gets a message")
                .documented("crate docs: closed once all senders or all receivers are dropped")
                .documented("crate docs: what remains can still be received after that")
                .documented("unbounded, force_send, examples: received in the order sent")
                .observers([Observer::Len, Observer::IsEmpty, Observer::IsFull, Observer::Capacity])
                .documented("Sender and Receiver: len, is_empty, is_full, capacity")
                .values()
                .any_length()
        };
        let bounded = |link: &str, capacity| {
            claim(link, capacity)
                .documented("bounded: has space for at most so many messages")
                .documented("Sender::send_blocking: if full, blocks until there is room")
                .documented("Sender::try_send: if full, returns an error")
        };
        vec![
            claim("unbounded", Capacity::Unbounded)
                .documented("unbounded: holds an unlimited number of messages"),
            bounded("bounded-1", Capacity::Bounded(1)),
            bounded("bounded-2", Capacity::Bounded(2)),
        ]
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let (tx, rx) = channel(link)?;
        Ok(Handles::boxed(Supply::clones(sender(tx)), Supply::clones(receiver(rx))))
    }

    fn values(&self, link: &str) -> Option<Box<dyn Values>> {
        carries_like_std!(channel(link).ok()?).boxed()
    }

    fn futures(&self, link: &str) -> Result<Futures, Failure> {
        let (tx, rx) = channel(link)?;
        let send =
            async |tx: &mut Sender<_>, bytes| tx.send(bytes).await.map_err(|_| Failure::Closed);
        let receive = async |rx: &mut Receiver<_>| rx.recv().await.map_err(|_| Failure::Closed);
        let senders = Futures::default().sender(tx.clone(), send).sender(tx, send);
        Ok(senders.receiver(rx.clone(), receive).receiver(rx, receive))
    }
}

fn channel<T>(link: &str) -> Result<(Sender<T>, Receiver<T>), Failure> {
    Ok(capacity(link)?.map_or_else(unbounded, bounded))
}

fn sender(end: Sender<Vec<u8>>) -> Sends<Sender<Vec<u8>>> {
    Sends::through(end)
        .observing(observing!(len, is_empty, is_full, capacity))
        .blocking(|end, bytes| end.send_blocking(bytes.into()).map_err(|_| Failure::Closed))
        .nonblocking(|end, bytes| {
            end.try_send(bytes.into()).map_err(|e| match e {
                TrySendError::Full(_) => Failure::Full,
                TrySendError::Closed(_) => Failure::Closed,
            })
        })
}

fn receiver(end: Receiver<Vec<u8>>) -> Receives<Receiver<Vec<u8>>> {
    Receives::through(end)
        .observing(observing!(len, is_empty, is_full, capacity))
        .blocking(|end| end.recv_blocking().map_err(|_| Failure::Closed))
        .nonblocking(|end| {
            end.try_recv().map_err(|e| match e {
                TryRecvError::Empty => Failure::Empty,
                TryRecvError::Closed => Failure::Closed,
            })
        })
}

fn main() -> ExitCode {
    ipc_conformance::main(&AsyncChannel)
}
