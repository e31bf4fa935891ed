//! `std::sync::mpsc` as an adapter.

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use ipc_conformance::adapter::{Adapter, Claim, Created, Failure, Handles, Place, Supply};
use ipc_conformance::calls::{Receives, Sends, capacity};
use ipc_conformance::values::{Carries, Values};
use ipc_conformance::{carries_like_std, receives_like_std, sends_like_std};
use ipc_model::{Capacity, Holders, Modes, Profile};

/// So that stepped runs can interleave it between processes.
#[global_allocator]
static HEAP: ipc_conformance::SharedHeap = ipc_conformance::SharedHeap;

struct Mpsc;

impl Adapter for Mpsc {
    fn name(&self) -> String {
        "std-mpsc".into()
    }

    fn version(&self) -> String {
        env!("RUSTC_VERSION").into()
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, capacity, nonblocking| {
            let send = Modes { blocking: true, nonblocking, timed: false };
            let profile = Profile { receivers: Holders::One, send, ..Profile::mailbox(capacity) };
            Claim::between_threads(link, profile)
                .documented("module docs: a FIFO queue of many producers and one consumer")
                .documented("Sender::send: fails where the receiver has hung up already")
                .documented("Receiver::recv: what was sent before the disconnect is still received")
                .documented("Receiver::recv_timeout: waits no longer than the time given")
                .values()
                .any_length()
        };
        let bounded = |link: &str, capacity| {
            claim(link, capacity, true)
                .documented("sync_channel: when the buffer of this bound is full, sends block")
                .documented("SyncSender::try_send: full and disconnected are reported at once")
        };
        vec![
            claim("unbounded", Capacity::Unbounded, false)
                .documented("channel: has an infinite buffer; no send blocks"),
            bounded("bounded-1", Capacity::Bounded(1)),
            bounded("bounded-2", Capacity::Bounded(2)),
            bounded("zero", Capacity::Zero)
                .documented("sync_channel: with a bound of 0 each send is paired with a receive"),
        ]
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        Ok(match capacity(link)? {
            None => {
                let (tx, rx) = channel();
                Handles::boxed(Supply::clones(sender(tx)), Supply::one(receiver(rx)))
            }
            Some(bound) => {
                let (tx, rx) = sync_channel(bound);
                Handles::boxed(Supply::clones(sync_sender(tx)), Supply::one(receiver(rx)))
            }
        })
    }

    fn values(&self, link: &str) -> Option<Box<dyn Values>> {
        match capacity(link).ok()? {
            None => {
                let send = |end: &mut Sender<_>, value| end.send(value).map_err(Failure::other);
                let receive = |end: &mut Receiver<_>| end.try_recv().map_err(Failure::other);
                Carries::new(channel(), send, receive).boxed()
            }
            Some(bound) => carries_like_std!(sync_channel(bound)).boxed(),
        }
    }
}

fn sender(end: Sender<Vec<u8>>) -> Sends<Sender<Vec<u8>>> {
    Sends::through(end).blocking(|end, bytes| end.send(bytes.into()).map_err(|_| Failure::Closed))
}

fn sync_sender(end: SyncSender<Vec<u8>>) -> Sends<SyncSender<Vec<u8>>> {
    sends_like_std!(end, std::sync::mpsc)
}

fn receiver(end: Receiver<Vec<u8>>) -> Receives<Receiver<Vec<u8>>> {
    receives_like_std!(end, std::sync::mpsc)
}

fn main() -> ExitCode {
    ipc_conformance::main(&Mpsc)
}
