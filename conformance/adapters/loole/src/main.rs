//! `loole` as an adapter.

use std::process::ExitCode;

use ipc_conformance::adapter::{
    Adapter, Claim, Created, Failure, Handles, Observer, Place, Supply,
};
use ipc_conformance::calls::{Receives, Sends, capacity};
use ipc_conformance::values::Values;
use ipc_conformance::{carries_like_std, observing, receives_like_std, sends_like_std};
use ipc_model::{Capacity, Profile};
use loole::{Receiver, Sender, bounded, unbounded};

/// So that stepped runs can interleave it between processes.
#[global_allocator]
static HEAP: ipc_conformance::SharedHeap = ipc_conformance::SharedHeap;

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
                .observers([Observer::Len, Observer::IsEmpty, Observer::IsFull, Observer::Capacity])
                .documented("Sender and Receiver: len, is_empty, is_full, capacity")
                .values()
                .any_length()
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
        let (tx, rx) = channel(link)?;
        Ok(Handles::boxed(Supply::clones(sender(tx)), Supply::clones(receiver(rx))))
    }

    fn values(&self, link: &str) -> Option<Box<dyn Values>> {
        carries_like_std!(channel(link).ok()?, timed).boxed()
    }
}

fn channel<T>(link: &str) -> Result<(Sender<T>, Receiver<T>), Failure> {
    Ok(capacity(link)?.map_or_else(unbounded, bounded))
}

fn sender(end: Sender<Vec<u8>>) -> Sends<Sender<Vec<u8>>> {
    sends_like_std!(end, loole, timed).observing(observing!(len, is_empty, is_full, capacity))
}

fn receiver(end: Receiver<Vec<u8>>) -> Receives<Receiver<Vec<u8>>> {
    receives_like_std!(end, loole).observing(observing!(len, is_empty, is_full, capacity))
}

fn main() -> ExitCode {
    ipc_conformance::main(&Loole)
}
