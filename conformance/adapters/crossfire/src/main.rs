//! `crossfire` as an adapter.

use std::process::ExitCode;

use crossfire::{BlockingRxTrait, BlockingTxTrait, MAsyncRx, MAsyncTx, mpmc, mpsc, spsc};
use ipc_conformance::adapter::{
    Adapter, Cancelling, Claim, Created, Failure, Handles, Observer, Place, Supply,
};
use ipc_conformance::calls::{Receives, Sends, capacity};
use ipc_conformance::futures::Futures;
use ipc_conformance::values::Values;
use ipc_conformance::{carries_like_std, observing, receives_like_std, sends_like_std};
use ipc_model::{Capacity, Holders, Profile};

/// So that stepped runs can interleave it between processes.
#[global_allocator]
static HEAP: ipc_conformance::SharedHeap = ipc_conformance::SharedHeap;

struct Crossfire;

impl Adapter for Crossfire {
    fn name(&self) -> String {
        "crossfire".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("crossfire", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, senders, receivers, capacity| {
            let profile = Profile { senders, receivers, ..Profile::mailbox(capacity) };
            Claim::between_threads(link, profile)
                .documented("crate docs: a channel; the algorithm is derived from crossbeam")
                .documented("spsc, mpsc, mpmc: single or multiple producers and consumers")
                .documented("BlockingTxTrait: send blocks, try_send says full, send_timeout waits")
                .documented("BlockingTxTrait: an error if the receiver has been dropped")
                .documented("Rx::try_recv, recv_timeout: disconnected if empty and no sender")
                .observers([Observer::Len, Observer::IsEmpty, Observer::IsFull, Observer::Capacity])
                .documented("BlockingTxTrait, BlockingRxTrait: len, is_empty, is_full, capacity")
                .values()
                .any_length()
        };
        let claims = |module: &str, senders, receivers| {
            let claim =
                |link, capacity| claim(&format!("{module}-{link}"), senders, receivers, capacity);
            let bounded = |link, n| {
                claim(link, Capacity::Bounded(n)).documented("bounded_blocking: of this size")
            };
            let unbounded =
                claim("unbounded", Capacity::Unbounded).documented("unbounded_blocking: no bound");
            [unbounded, bounded("bounded-1", 1), bounded("bounded-2", 2)]
        };
        // Of the others the asynchronous ends are other types with the same algorithm.
        let with_futures = |claim: Claim| {
            if claim.profile.capacity == Capacity::Unbounded {
                return claim;
            }
            claim
                .with_futures(Cancelling { send: false, receive: true })
                .documented("crate docs, Async compatibility: recv is cancellation-safe")
                .documented("crate docs, Async compatibility: of a dropped send nothing is known")
        };
        [
            claims("spsc", Holders::One, Holders::One),
            claims("mpsc", Holders::Many, Holders::One),
            claims("mpmc", Holders::Many, Holders::Many).map(with_futures),
        ]
        .concat()
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        Ok(match (&link[..4], capacity(link)?) {
            ("spsc", None) => spsc(spsc::unbounded_blocking()),
            ("spsc", Some(size)) => spsc(spsc::bounded_blocking(size)),
            ("mpsc", None) => mpsc(mpsc::unbounded_blocking()),
            ("mpsc", Some(size)) => mpsc(mpsc::bounded_blocking(size)),
            (_, None) => mpmc(mpmc::unbounded_blocking()),
            (_, Some(size)) => mpmc(mpmc::bounded_blocking(size)),
        })
    }

    fn values(&self, link: &str) -> Option<Box<dyn Values>> {
        match (&link[..4], capacity(link).ok()?) {
            ("spsc", None) => carries_like_std!(spsc::unbounded_blocking(), timed).boxed(),
            ("spsc", Some(n)) => carries_like_std!(spsc::bounded_blocking(n), timed).boxed(),
            ("mpsc", None) => carries_like_std!(mpsc::unbounded_blocking(), timed).boxed(),
            ("mpsc", Some(n)) => carries_like_std!(mpsc::bounded_blocking(n), timed).boxed(),
            (_, None) => carries_like_std!(mpmc::unbounded_blocking(), timed).boxed(),
            (_, Some(n)) => carries_like_std!(mpmc::bounded_blocking(n), timed).boxed(),
        }
    }

    fn futures(&self, link: &str) -> Result<Futures, Failure> {
        let (tx, rx) = mpmc::bounded_async(capacity(link)?.ok_or(Failure::Unsupported)?);
        let send =
            async |tx: &mut MAsyncTx<_>, bytes| tx.send(bytes).await.map_err(|_| Failure::Closed);
        let receive = async |rx: &mut MAsyncRx<_>| rx.recv().await.map_err(|_| Failure::Closed);
        let senders = Futures::default().sender(tx.clone(), send).sender(tx, send);
        Ok(senders.receiver(rx.clone(), receive).receiver(rx, receive))
    }
}

fn spsc<S: Sender, R: Receiver>((tx, rx): (S, R)) -> Box<dyn Created> {
    Handles::boxed(Supply::one(sender(tx)), Supply::one(receiver(rx)))
}

fn mpsc<S: Sender + Clone, R: Receiver>((tx, rx): (S, R)) -> Box<dyn Created> {
    Handles::boxed(Supply::clones(sender(tx)), Supply::one(receiver(rx)))
}

fn mpmc<S: Sender + Clone, R: Receiver + Clone>((tx, rx): (S, R)) -> Box<dyn Created> {
    Handles::boxed(Supply::clones(sender(tx)), Supply::clones(receiver(rx)))
}

/// A sending end, of one sender or of many.
trait Sender: BlockingTxTrait<Vec<u8>> + Send + 'static {}

impl<S: BlockingTxTrait<Vec<u8>> + Send + 'static> Sender for S {}

/// A receiving end, of one receiver or of many.
trait Receiver: BlockingRxTrait<Vec<u8>> + Send + 'static {}

impl<R: BlockingRxTrait<Vec<u8>> + Send + 'static> Receiver for R {}

fn sender<S: Sender>(end: S) -> Sends<S> {
    sends_like_std!(end, crossfire, timed).observing(observing!(len, is_empty, is_full, capacity))
}

fn receiver<R: Receiver>(end: R) -> Receives<R> {
    receives_like_std!(end, crossfire).observing(observing!(len, is_empty, is_full, capacity))
}

fn main() -> ExitCode {
    ipc_conformance::main(&Crossfire)
}
