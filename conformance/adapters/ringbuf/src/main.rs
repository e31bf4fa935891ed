//! `ringbuf` as an adapter.

use std::process::ExitCode;

use ipc_conformance::adapter::{
    Adapter, Batches, Claim, Created, Failure, Handles, Observer, Place, Supply,
};
use ipc_conformance::calls::{Receives, Sends, capacity};
use ipc_conformance::values::{Carries, Values};
use ipc_model::{Capacity, Holders, Modes, Notice, Profile};
use ringbuf::traits::{Consumer, Observer as _, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

/// So that stepped runs can interleave it between processes.
#[global_allocator]
static HEAP: ipc_conformance::SharedHeap = ipc_conformance::SharedHeap;

struct Ringbuf;

impl Adapter for Ringbuf {
    fn name(&self) -> String {
        "ringbuf".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("ringbuf", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, capacity| {
            let only_try = Modes { blocking: false, nonblocking: true, timed: false };
            let profile = Profile {
                senders: Holders::One,
                receivers: Holders::One,
                send: only_try,
                receive: only_try,
                sender_closed: Notice::Silent,
                receiver_closed: Notice::Silent,
                ..Profile::mailbox(Capacity::Bounded(capacity))
            };
            Claim::between_threads(link, profile)
                .documented("README: a FIFO ring buffer of one producer and one consumer")
                .documented("README: operations succeed or fail immediately, without waiting")
                .documented("README, example: a buffer of 2 takes 2 items and hands back the third")
                .documented("Observer::write_is_held, read_is_held: a lost peer is asked for")
                .observers([Observer::Len, Observer::IsEmpty, Observer::IsFull, Observer::Capacity])
                .documented("Observer: occupied_len, is_empty, is_full, capacity")
                .batches(Batches::BOTH)
                .documented(
                    "Producer::push_iter: as many as fit; Consumer::pop_iter: all, in order",
                )
                .values()
                .any_length()
        };
        vec![claim("bounded-1", 1), claim("bounded-2", 2)]
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let (tx, rx) = HeapRb::new(capacity(link)?.unwrap_or(1)).split();
        Ok(Handles::boxed(Supply::one(sender(tx)), Supply::one(receiver(rx))))
    }

    fn values(&self, link: &str) -> Option<Box<dyn Values>> {
        let ends = HeapRb::new(capacity(link).ok()?.unwrap_or(1)).split();
        let push = |end: &mut HeapProd<_>, value| end.try_push(value).map_err(|_| Failure::Full);
        let pop = |end: &mut HeapCons<_>| end.try_pop().ok_or(Failure::Empty);
        Carries::new(ends, push, pop).boxed()
    }
}

/// Both ends have the same observers.
macro_rules! observing {
    () => {
        |end, what| {
            Some(match what {
                Observer::Len => end.occupied_len().into(),
                Observer::IsEmpty => end.is_empty().into(),
                Observer::IsFull => end.is_full().into(),
                Observer::Capacity => end.capacity().get().into(),
                Observer::IsDisconnected => return None,
            })
        }
    };
}

fn sender(end: HeapProd<Vec<u8>>) -> Sends<HeapProd<Vec<u8>>> {
    Sends::through(end)
        .nonblocking(|end, bytes| end.try_push(bytes.into()).map_err(|_| Failure::Full))
        .batch(|end, messages| Ok(end.push_iter(messages.iter().cloned())))
        .observing(observing!())
}

fn receiver(end: HeapCons<Vec<u8>>) -> Receives<HeapCons<Vec<u8>>> {
    Receives::through(end)
        .nonblocking(|end| end.try_pop().ok_or(Failure::Empty))
        .batch(|end| Ok(end.pop_iter().collect()))
        .observing(observing!())
}

fn main() -> ExitCode {
    ipc_conformance::main(&Ringbuf)
}
