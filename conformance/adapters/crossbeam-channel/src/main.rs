//! `crossbeam-channel` as an adapter.

use std::process::ExitCode;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use ipc_conformance::adapter::{
    Adapter, Claim, Created, Failure, Handles, Observer, Place, Supply,
};
use ipc_conformance::calls::{Receives, Sends, capacity};
use ipc_conformance::values::Values;
use ipc_conformance::{carries_like_std, observing, receives_like_std, sends_like_std};
use ipc_model::{Capacity, Profile};

/// So that stepped runs can interleave it between processes.
#[global_allocator]
static HEAP: ipc_conformance::SharedHeap = ipc_conformance::SharedHeap;

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
                .any_length()
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
    sends_like_std!(end, crossbeam_channel, timed)
        .observing(observing!(len, is_empty, is_full, capacity))
}

fn receiver(end: Receiver<Vec<u8>>) -> Receives<Receiver<Vec<u8>>> {
    receives_like_std!(end, crossbeam_channel)
        .observing(observing!(len, is_empty, is_full, capacity))
}

fn main() -> ExitCode {
    ipc_conformance::main(&Crossbeam)
}
