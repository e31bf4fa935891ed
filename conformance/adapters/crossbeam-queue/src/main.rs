//! `crossbeam-queue` as an adapter.

use std::process::ExitCode;
use std::sync::Arc;

use crossbeam_queue::{ArrayQueue, SegQueue};
use ipc_conformance::adapter::{
    Adapter, Claim, Created, Failure, Handles, Observer, Place, Supply,
};
use ipc_conformance::calls::{Receives, Sends, capacity};
use ipc_conformance::observing;
use ipc_conformance::values::{Carries, Values};
use ipc_model::{Capacity, Modes, Notice, Profile};

/// So that stepped runs can interleave it between processes.
#[global_allocator]
static HEAP: ipc_conformance::SharedHeap = ipc_conformance::SharedHeap;

struct CrossbeamQueue;

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
                .observers([Observer::Len, Observer::IsEmpty])
                .documented("ArrayQueue, SegQueue: len, is_empty")
                .values()
                .any_length()
        };
        let bounded = |link: &str, n| {
            claim(link, Capacity::Bounded(n))
                .documented("ArrayQueue: holds no more than its capacity; a push then fails")
                .observers([Observer::IsFull, Observer::Capacity])
                .documented("ArrayQueue: is_full, capacity")
        };
        vec![
            claim("unbounded", Capacity::Unbounded)
                .documented("SegQueue: no limit to how many elements it holds"),
            bounded("bounded-1", 1),
            bounded("bounded-2", 2),
        ]
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let Some(capacity) = capacity(link)? else {
            let queue = Arc::new(SegQueue::<Vec<u8>>::new());
            let sender = Sends::through(Arc::clone(&queue))
                .observing(observing!(len, is_empty))
                .nonblocking(|queue, bytes| {
                    queue.push(bytes.into());
                    Ok(())
                });
            let receiver = Receives::through(queue)
                .observing(observing!(len, is_empty))
                .nonblocking(|queue| queue.pop().ok_or(Failure::Empty));
            return Ok(Handles::boxed(Supply::clones(sender), Supply::clones(receiver)));
        };
        let queue = Arc::new(ArrayQueue::<Vec<u8>>::new(capacity));
        let sender = Sends::through(Arc::clone(&queue))
            .observing(observing!(len, is_empty, is_full, capacity))
            .nonblocking(|queue, bytes| queue.push(bytes.into()).map_err(|_| Failure::Full));
        let receiver = Receives::through(queue)
            .observing(observing!(len, is_empty, is_full, capacity))
            .nonblocking(|queue| queue.pop().ok_or(Failure::Empty));
        Ok(Handles::boxed(Supply::clones(sender), Supply::clones(receiver)))
    }

    fn values(&self, link: &str) -> Option<Box<dyn Values>> {
        match capacity(link).ok()? {
            None => {
                let queue = Arc::new(SegQueue::new());
                let push = |queue: &mut Arc<SegQueue<_>>, value| {
                    queue.push(value);
                    Ok(())
                };
                let pop = |queue: &mut Arc<SegQueue<_>>| queue.pop().ok_or(Failure::Empty);
                Carries::new((Arc::clone(&queue), queue), push, pop).boxed()
            }
            Some(capacity) => {
                let queue = Arc::new(ArrayQueue::new(capacity));
                let push = |queue: &mut Arc<ArrayQueue<_>>, value| {
                    queue.push(value).map_err(|_| Failure::Full)
                };
                let pop = |queue: &mut Arc<ArrayQueue<_>>| queue.pop().ok_or(Failure::Empty);
                Carries::new((Arc::clone(&queue), queue), push, pop).boxed()
            }
        }
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&CrossbeamQueue)
}
