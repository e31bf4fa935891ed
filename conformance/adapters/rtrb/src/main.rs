//! `rtrb` as an adapter.

use std::process::ExitCode;

use ipc_conformance::adapter::{Adapter, Claim, Created, Failure, Handles, Place, Supply};
use ipc_conformance::calls::{Receives, Sends, capacity};
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
        };
        vec![claim("bounded-1", 1), claim("bounded-2", 2)]
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let (tx, rx) = RingBuffer::new(capacity(link)?.unwrap_or(1));
        Ok(Handles::boxed(Supply::one(sender(tx)), Supply::one(receiver(rx))))
    }
}

fn sender(end: Producer<Vec<u8>>) -> Sends<Producer<Vec<u8>>> {
    Sends::through(end).nonblocking(|end, bytes| end.push(bytes.into()).map_err(|_| Failure::Full))
}

fn receiver(end: Consumer<Vec<u8>>) -> Receives<Consumer<Vec<u8>>> {
    Receives::through(end).nonblocking(|end| end.pop().map_err(|_| Failure::Empty))
}

fn main() -> ExitCode {
    ipc_conformance::main(&Rtrb)
}
