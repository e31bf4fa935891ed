//! `heapless` as an adapter.

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

use heapless::spsc::{Consumer, Producer, Queue};
use ipc_conformance::adapter::{
    Adapter, Claim, Created, Failure, Handles, Observer, Place, Supply,
};
use ipc_conformance::calls::{Receives, Sends};
use ipc_conformance::observing;
use ipc_conformance::values::{Carries, Counted, Values};
use ipc_model::{Capacity, Holders, Modes, Notice, Profile};

/// So that stepped runs can interleave it between processes.
#[global_allocator]
static HEAP: ipc_conformance::SharedHeap = ipc_conformance::SharedHeap;

struct Heapless;

impl Adapter for Heapless {
    fn name(&self) -> String {
        "heapless".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("heapless", include_str!("../../../../Cargo.lock"))
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
                .documented("spsc: a queue of one producer and one consumer, of fixed capacity")
                .documented("spsc, example: a Queue of N takes N - 1 items")
                .documented("Producer::enqueue: hands the item back if the queue is full")
                .documented("Consumer::dequeue: none if the queue is empty")
                .observers([Observer::Len, Observer::IsEmpty, Observer::Capacity])
                .documented("Producer and Consumer: len, is_empty, capacity")
                .values()
                .any_length()
        };
        vec![claim("bounded-1", 1), claim("bounded-2", 2)]
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let (tx, rx) = if link == "bounded-1" { leaked::<2>() } else { leaked::<3>() };
        Ok(Handles::boxed(Supply::one(sender(tx)), Supply::one(receiver(rx))))
    }

    fn values(&self, link: &str) -> Option<Box<dyn Values>> {
        if link == "bounded-1" { owned::<2>() } else { owned::<3>() }
    }
}

/// A queue that both ends own, so that it goes with them.
fn owned<const N: usize>() -> Option<Box<dyn Values>> {
    type Shared<const N: usize> = Rc<RefCell<Queue<Counted, N>>>;
    let queue: Shared<N> = Rc::default();
    let enqueue =
        |end: &mut Shared<N>, value| end.borrow_mut().enqueue(value).map_err(|_| Failure::Full);
    let dequeue = |end: &mut Shared<N>| end.borrow_mut().dequeue().ok_or(Failure::Empty);
    Carries::new((Rc::clone(&queue), queue), enqueue, dequeue).boxed()
}

/// Ends that threads can hold borrow their queue for ever, so it is never freed.
fn leaked<const N: usize>() -> (Producer<'static, Vec<u8>>, Consumer<'static, Vec<u8>>) {
    let queue: &'static mut Queue<Vec<u8>, N> = Box::leak(Box::default());
    queue.split()
}

fn sender(end: Producer<'static, Vec<u8>>) -> Sends<Producer<'static, Vec<u8>>> {
    Sends::through(end)
        .observing(observing!(len, is_empty, capacity))
        .nonblocking(|end, bytes| end.enqueue(bytes.into()).map_err(|_| Failure::Full))
}

fn receiver(end: Consumer<'static, Vec<u8>>) -> Receives<Consumer<'static, Vec<u8>>> {
    Receives::through(end)
        .observing(observing!(len, is_empty, capacity))
        .nonblocking(|end| end.dequeue().ok_or(Failure::Empty))
}

fn main() -> ExitCode {
    ipc_conformance::main(&Heapless)
}
