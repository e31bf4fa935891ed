//! `rtrb` as an adapter.

use std::process::ExitCode;

use ipc_conformance::adapter::{
    Adapter, Batches, Claim, Created, Failure, Handles, Observer, Place, Supply,
};
use ipc_conformance::calls::{Receives, Sends, capacity};
use ipc_conformance::values::{Carries, Values};
use ipc_model::{Capacity, Holders, Modes, Notice, Profile};
use rtrb::{Consumer, Producer, RingBuffer};

/// So that stepped runs can interleave it between processes.
#[global_allocator]
static HEAP: ipc_conformance::SharedHeap = ipc_conformance::SharedHeap;

struct Rtrb;

impl Adapter for Rtrb {
    fn name(&self) -> String {
        "rtrb".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("rtrb", include_str!("../../../../Cargo.lock"))
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
                .documented("crate docs: one producer, one consumer, a fixed capacity")
                .documented("crate docs, example: popped in the order pushed")
                .documented("crate docs: all functions return at once; there is no way to wait")
                .documented("crate docs: full and empty are errors, nothing is overwritten")
                .documented("PushError, PopError: full and empty only; is_abandoned tells the rest")
                .observers([Observer::Len, Observer::IsEmpty, Observer::IsFull, Observer::Capacity])
                .documented(
                    "Producer: slots, is_full; Consumer: slots, is_empty; buffer().capacity",
                )
                .batches(Batches::BOTH)
                .documented("chunks: several items at once, of those slots that there are")
                .values()
                .any_length()
        };
        vec![claim("bounded-1", 1), claim("bounded-2", 2)]
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let (tx, rx) = RingBuffer::new(capacity(link)?.unwrap_or(1));
        Ok(Handles::boxed(Supply::one(sender(tx)), Supply::one(receiver(rx))))
    }

    fn values(&self, link: &str) -> Option<Box<dyn Values>> {
        let ends = RingBuffer::new(capacity(link).ok()?.unwrap_or(1));
        let push = |end: &mut Producer<_>, value| end.push(value).map_err(|_| Failure::Full);
        let pop = |end: &mut Consumer<_>| end.pop().map_err(|_| Failure::Empty);
        Carries::new(ends, push, pop).boxed()
    }
}

fn sender(end: Producer<Vec<u8>>) -> Sends<Producer<Vec<u8>>> {
    Sends::through(end)
        .nonblocking(|end, bytes| end.push(bytes.into()).map_err(|_| Failure::Full))
        .batch(|end, messages| {
            let chunk = end.write_chunk_uninit(end.slots().min(messages.len()));
            let chunk = chunk.map_err(Failure::other)?;
            Ok(chunk.fill_from_iter(messages.iter().cloned()))
        })
        .observing(|end, what| match what {
            Observer::IsFull => Some(end.is_full().into()),
            Observer::Capacity => Some(end.buffer().capacity().into()),
            _ => None,
        })
}

fn receiver(end: Consumer<Vec<u8>>) -> Receives<Consumer<Vec<u8>>> {
    Receives::through(end)
        .nonblocking(|end| end.pop().map_err(|_| Failure::Empty))
        .batch(|end| {
            let chunk = end.read_chunk(end.slots()).map_err(Failure::other)?;
            Ok(chunk.into_iter().collect())
        })
        .observing(|end, what| match what {
            Observer::Len => Some(end.slots().into()),
            Observer::IsEmpty => Some(end.is_empty().into()),
            Observer::Capacity => Some(end.buffer().capacity().into()),
            _ => None,
        })
}

fn main() -> ExitCode {
    ipc_conformance::main(&Rtrb)
}
