//! `tokio::sync::mpsc` as an adapter.

use std::process::ExitCode;

use ipc_conformance::adapter::{
    Adapter, Batches, Cancelling, Claim, Created, Failure, Handles, Observer, Place, Supply,
};
use ipc_conformance::calls::{Receives, Sends, capacity};
use ipc_conformance::futures::Futures;
use ipc_conformance::values::{Carries, Values};
use ipc_conformance::{carries_like_std, observing};
use ipc_model::{Capacity, Holders, Modes, Profile};
use tokio::runtime::Builder;
use tokio::sync::mpsc::error::{SendTimeoutError, TryRecvError, TrySendError};
use tokio::sync::mpsc::{
    Receiver, Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel,
};
use tokio::time;

/// So that stepped runs can interleave it between processes.
#[global_allocator]
static HEAP: ipc_conformance::SharedHeap = ipc_conformance::SharedHeap;

struct TokioMpsc;

impl Adapter for TokioMpsc {
    fn name(&self) -> String {
        "tokio-mpsc".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("tokio", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, capacity, send| {
            let profile = Profile { receivers: Holders::One, send, ..Profile::mailbox(capacity) };
            Claim::between_threads(link, profile)
                .documented("mpsc: many producers, one consumer")
                .documented("mpsc, Disconnection: what remains is received, then none")
                .documented("mpsc, Disconnection: without the receiver every send is an error")
                .documented("Receiver::recv: cancel safe, so it can be given a timeout")
                .documented("time::timeout: an error if the future has not completed by then")
                .observers([Observer::Len, Observer::IsEmpty])
                .documented("Receiver and UnboundedReceiver: len, is_empty")
                .batches(Batches::RECEIVE)
                .documented("Receiver::recv_many: what is there at once, up to a limit")
                .values()
                .any_length()
        };
        let bounded = |link: &str, capacity| {
            claim(link, Capacity::Bounded(capacity), Modes::default())
                .documented("channel: in the order sent; holds up to `buffer` messages")
                .documented("Sender::blocking_send: send, outside of asynchronous contexts")
                .documented("Sender::try_send: an error at once if full or closed")
                .documented("Sender::send_timeout: waits for capacity, but no longer than that")
        };
        let never_waits = Modes { blocking: true, nonblocking: false, timed: false };
        vec![
            claim("unbounded", Capacity::Unbounded, never_waits)
                .documented("unbounded_channel: an infinite capacity; send completes at once"),
            bounded("bounded-1", 1).with_futures(Cancelling::SAFE),
            bounded("bounded-2", 2)
                .with_futures(Cancelling::SAFE)
                .documented("Sender::send, Cancel safety: the message was not sent")
                .documented("Receiver::recv, Cancel safety: no message was received"),
        ]
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let Some(capacity) = capacity(link)? else {
            let (tx, rx) = unbounded_channel();
            let sender = Supply::clones(unbounded_sender(tx));
            return Ok(Handles::boxed(sender, Supply::one(unbounded_receiver(rx))));
        };
        let (tx, rx) = channel(capacity);
        Ok(Handles::boxed(Supply::clones(sender(tx)), Supply::one(receiver(rx))))
    }

    fn values(&self, link: &str) -> Option<Box<dyn Values>> {
        let Some(capacity) = capacity(link).ok()? else {
            let send =
                |end: &mut UnboundedSender<_>, value| end.send(value).map_err(Failure::other);
            let receive = |end: &mut UnboundedReceiver<_>| end.try_recv().map_err(Failure::other);
            return Carries::new(unbounded_channel(), send, receive).boxed();
        };
        carries_like_std!(channel(capacity)).boxed()
    }

    fn futures(&self, link: &str) -> Result<Futures, Failure> {
        let (tx, rx) = channel::<Vec<u8>>(capacity(link)?.ok_or(Failure::Unsupported)?);
        let send =
            async |tx: &mut Sender<_>, bytes| tx.send(bytes).await.map_err(|_| Failure::Closed);
        let receive = async |rx: &mut Receiver<_>| rx.recv().await.ok_or(Failure::Closed);
        Ok(Futures::default().sender(tx.clone(), send).sender(tx, send).receiver(rx, receive))
    }
}

/// Runs a timed call on a runtime of its own, which has a clock and nothing else.
fn block_on<F: Future>(call: F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime without a driver").block_on(call)
}

fn unbounded_sender(end: UnboundedSender<Vec<u8>>) -> Sends<UnboundedSender<Vec<u8>>> {
    Sends::through(end).blocking(|end, bytes| end.send(bytes.into()).map_err(|_| Failure::Closed))
}

fn sender(end: Sender<Vec<u8>>) -> Sends<Sender<Vec<u8>>> {
    Sends::through(end)
        .blocking(|end, bytes| end.blocking_send(bytes.into()).map_err(|_| Failure::Closed))
        .nonblocking(|end, bytes| {
            end.try_send(bytes.into()).map_err(|e| match e {
                TrySendError::Full(_) => Failure::Full,
                TrySendError::Closed(_) => Failure::Closed,
            })
        })
        .timed(|end, bytes, timeout| {
            // The call itself looks at the clock of the runtime it is called in.
            let sent = async { end.send_timeout(bytes.into(), timeout).await };
            block_on(sent).map_err(|e| match e {
                SendTimeoutError::Timeout(_) => Failure::Timeout,
                SendTimeoutError::Closed(_) => Failure::Closed,
            })
        })
}

/// The two kinds of receiver offer the same calls under the same names.
macro_rules! receives {
    ($end:expr) => {
        Receives::through($end)
            .blocking(|end| end.blocking_recv().ok_or(Failure::Closed))
            .nonblocking(|end| {
                end.try_recv().map_err(|e| match e {
                    TryRecvError::Empty => Failure::Empty,
                    TryRecvError::Disconnected => Failure::Closed,
                })
            })
            .timed(|end, timeout| {
                let received = async { time::timeout(timeout, end.recv()).await };
                block_on(received).map_err(|_| Failure::Timeout)?.ok_or(Failure::Closed)
            })
            .batch(|end| {
                let mut all = Vec::new();
                // It waits for the first one, if there is none.
                if !end.is_empty() {
                    end.blocking_recv_many(&mut all, usize::MAX);
                }
                Ok(all)
            })
            .observing(observing!(len, is_empty))
    };
}

fn receiver(end: Receiver<Vec<u8>>) -> Receives<Receiver<Vec<u8>>> {
    receives!(end)
}

fn unbounded_receiver(end: UnboundedReceiver<Vec<u8>>) -> Receives<UnboundedReceiver<Vec<u8>>> {
    receives!(end)
}

fn main() -> ExitCode {
    ipc_conformance::main(&TokioMpsc)
}
