//! `flume` as an adapter.

use std::process::ExitCode;

use flume::{Receiver, Sender, bounded, unbounded};
use ipc_conformance::adapter::{
    Adapter, Batches, Cancelling, Claim, Created, Failure, Handles, Observer, Place, Supply,
};
use ipc_conformance::calls::{Receives, Sends, capacity};
use ipc_conformance::futures::Futures;
use ipc_conformance::values::Values;
use ipc_conformance::{carries_like_std, observing, receives_like_std, sends_like_std};
use ipc_model::{Capacity, Profile};

/// So that stepped runs can interleave it between processes.
#[global_allocator]
static HEAP: ipc_conformance::SharedHeap = ipc_conformance::SharedHeap;

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
                .observers(Observer::ALL)
                .documented("Sender, Receiver: len, is_empty, is_full, capacity, is_disconnected")
                .batches(Batches::RECEIVE)
                .documented("Receiver::drain: takes all messages that are in the channel")
                .values()
                .any_length()
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
        let (tx, rx) = channel(link)?;
        Ok(Handles::boxed(Supply::clones(sender(tx)), Supply::clones(receiver(rx))))
    }

    fn values(&self, link: &str) -> Option<Box<dyn Values>> {
        carries_like_std!(channel(link).ok()?, timed).boxed()
    }

    fn futures(&self, link: &str) -> Result<Futures, Failure> {
        let (tx, rx) = channel(link)?;
        let send = async |tx: &mut Sender<_>, bytes| {
            tx.send_async(bytes).await.map_err(|_| Failure::Closed)
        };
        let receive =
            async |rx: &mut Receiver<_>| rx.recv_async().await.map_err(|_| Failure::Closed);
        let senders = Futures::default().sender(tx.clone(), send).sender(tx, send);
        Ok(senders.receiver(rx.clone(), receive).receiver(rx, receive))
    }
}

fn channel<T>(link: &str) -> Result<(Sender<T>, Receiver<T>), Failure> {
    Ok(capacity(link)?.map_or_else(unbounded, bounded))
}

fn sender(end: Sender<Vec<u8>>) -> Sends<Sender<Vec<u8>>> {
    sends_like_std!(end, flume, timed).observing(observing!(
        len,
        is_empty,
        is_full,
        capacity,
        is_disconnected
    ))
}

fn receiver(end: Receiver<Vec<u8>>) -> Receives<Receiver<Vec<u8>>> {
    receives_like_std!(end, flume).batch(|end| Ok(end.drain().collect())).observing(observing!(
        len,
        is_empty,
        is_full,
        capacity,
        is_disconnected
    ))
}

fn main() -> ExitCode {
    ipc_conformance::main(&Flume)
}
