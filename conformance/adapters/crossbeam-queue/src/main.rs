//! `crossbeam-queue` as an adapter.

use std::process::ExitCode;
use std::sync::Arc;

use crossbeam_queue::{ArrayQueue, SegQueue};
use ipc_conformance::adapter::{
    Adapter, Claim, Created, Delivery, Endpoint, Failure, Handles, Parcel, Place, Supply,
};
use ipc_model::{Capacity, Modes, Notice, Process, Profile};

struct CrossbeamQueue;

/// Either end of a bounded queue: they are the same.
#[derive(Clone)]
struct Array(Arc<ArrayQueue<Vec<u8>>>);

/// Either end of an unbounded queue.
#[derive(Clone)]
struct Seg(Arc<SegQueue<Vec<u8>>>);

impl Adapter for CrossbeamQueue {
    fn name(&self) -> String {
        "crossbeam-queue".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("crossbeam-queue", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, capacity| {
            let only_try = Modes { blocking: false, nonblocking: true, timed: false };
            let profile = Profile {
                send: only_try,
                receive: only_try,
                sender_closed: Notice::Silent,
                receiver_closed: Notice::Silent,
                ..Profile::mailbox(capacity)
            };
            Claim::between_threads(link, profile)
                .documented("crate docs: queues of many producers and many consumers")
                .documented("ArrayQueue, SegQueue, examples: popped in the order pushed")
                .documented("ArrayQueue::pop, SegQueue::pop: none if the queue is empty")
        };
        let bounded = |link: &str, n| {
            claim(link, Capacity::Bounded(n))
                .documented("ArrayQueue: holds no more than its capacity; a push then fails")
        };
        vec![
            claim("unbounded", Capacity::Unbounded)
                .documented("SegQueue: no limit to how many elements it holds"),
            bounded("bounded-1", 1),
            bounded("bounded-2", 2),
        ]
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        if link == "unbounded" {
            let queue = Seg(Arc::default());
            return Ok(Handles::boxed(Supply::clones(queue.clone()), Supply::clones(queue)));
        }
        let queue = Array(Arc::new(ArrayQueue::new(if link == "bounded-1" { 1 } else { 2 })));
        Ok(Handles::boxed(Supply::clones(queue.clone()), Supply::clones(queue)))
    }
}

impl Endpoint for Array {
    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.push(parcel.bytes.into()).map_err(|_| Failure::Full)
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.0.pop().map(Delivery::from).ok_or(Failure::Empty)
    }
}

impl Endpoint for Seg {
    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.push(parcel.bytes.into());
        Ok(())
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.0.pop().map(Delivery::from).ok_or(Failure::Empty)
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&CrossbeamQueue)
}
