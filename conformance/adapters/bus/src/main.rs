//! `bus` as an adapter: a broadcast between threads.

use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus::{Bus, BusReader};
use ipc_conformance::adapter::{Adapter, Claim, Created, Failure, Handles, Place, Supply};
use ipc_conformance::calls::{Receives, Sends, capacity};
use ipc_model::{Capacity, Distribution, Holders, Modes, Notice, Profile};

struct Broadcast;

/// The bus is its own only sender; readers are added to it before it is used.
type Shared = Arc<Mutex<Bus<Vec<u8>>>>;

impl Adapter for Broadcast {
    fn name(&self) -> String {
        "bus".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("bus", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, capacity| {
            let profile = Profile {
                distribution: Distribution::ToEach,
                senders: Holders::One,
                send: Modes { blocking: true, nonblocking: true, timed: false },
                receiver_closed: Notice::Silent,
                ..Profile::mailbox(Capacity::Bounded(capacity))
            };
            Claim::between_threads(link, profile)
                .documented(
                    "crate docs: bounded, of one producer; every send goes to every consumer",
                )
                .documented(
                    "Bus: after it is dropped readers go on to what they would have received",
                )
                .documented("Bus::broadcast: blocks until there is space in the internal buffer")
                .documented(
                    "Bus::try_broadcast, example: a bus of 1 is full after 1, and never blocks",
                )
                .documented(
                    "Bus::try_broadcast: not closed if there are no consumers, so it succeeds",
                )
                .documented("BusReader: one that is dropped counts as having read everything")
                .documented("BusReader::recv_timeout: an error if it waits more than the timeout")
        };
        vec![claim("bounded-1", 1), claim("bounded-2", 2)]
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let bus: Shared = Arc::new(Mutex::new(Bus::new(capacity(link)?.unwrap_or(1))));
        let readers = Arc::clone(&bus);
        let receivers = Supply::Many(Box::new(move || receiver(hold(&readers).add_rx())));
        Ok(Handles::boxed(Supply::one(sender(bus)), receivers))
    }
}

fn hold(bus: &Shared) -> MutexGuard<'_, Bus<Vec<u8>>> {
    bus.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sender(bus: Shared) -> Sends<Shared> {
    Sends::through(bus)
        .blocking(|bus, bytes| {
            hold(bus).broadcast(bytes.into());
            Ok(())
        })
        .nonblocking(|bus, bytes| hold(bus).try_broadcast(bytes.into()).map_err(|_| Failure::Full))
}

fn receiver(end: BusReader<Vec<u8>>) -> Receives<BusReader<Vec<u8>>> {
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
    ipc_conformance::main(&Broadcast)
}
