//! `ringbuf` as an adapter.

use std::process::ExitCode;

use ipc_conformance::adapter::{Adapter, Claim, Created, Failure, Handles, Place, Supply};
use ipc_conformance::calls::{Receives, Sends, capacity};
use ipc_model::{Capacity, Holders, Modes, Notice, Profile};
use ringbuf::traits::{Consumer, Producer, Split};
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
        };
        vec![claim("bounded-1", 1), claim("bounded-2", 2)]
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let (tx, rx) = HeapRb::new(capacity(link)?.unwrap_or(1)).split();
        Ok(Handles::boxed(Supply::one(sender(tx)), Supply::one(receiver(rx))))
    }
}

fn sender(end: HeapProd<Vec<u8>>) -> Sends<HeapProd<Vec<u8>>> {
    Sends::through(end)
        .nonblocking(|end, bytes| end.try_push(bytes.into()).map_err(|_| Failure::Full))
}

fn receiver(end: HeapCons<Vec<u8>>) -> Receives<HeapCons<Vec<u8>>> {
    Receives::through(end).nonblocking(|end| end.try_pop().ok_or(Failure::Empty))
}

fn main() -> ExitCode {
    ipc_conformance::main(&Ringbuf)
}
