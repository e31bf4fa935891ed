//! `kanal` as an adapter.

use std::process::ExitCode;

use ipc_conformance::adapter::{
    Adapter, Cancelling, Claim, Created, Failure, Handles, Observation, Observer, Place, Supply,
};
use ipc_conformance::calls::{Receives, Sends, capacity};
use ipc_conformance::futures::Futures;
use ipc_conformance::values::{Carries, Values};
use ipc_model::{Capacity, Profile};
use kanal::{
    AsyncReceiver, AsyncSender, ReceiveErrorTimeout, Receiver, SendErrorTimeout, Sender, bounded,
    bounded_async, unbounded, unbounded_async,
};

/// So that stepped runs can interleave it between processes.
#[global_allocator]
static HEAP: ipc_conformance::SharedHeap = ipc_conformance::SharedHeap;

struct Kanal;

impl Adapter for Kanal {
    fn name(&self) -> String {
        "kanal".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("kanal", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str, capacity| {
            Claim::between_threads(link, Profile::mailbox(capacity))
                .with_futures(Cancelling::UNDOCUMENTED)
                .observers(Observer::ALL)
                .documented("Sender, Receiver: len, is_empty, is_full, capacity, is_disconnected")
                .values()
                .any_length()
                .documented("AsyncReceiver::recv, Cancellation: a dropped receive may lose a value")
                .documented("README: channels of many producers and many consumers, as in CSP")
                .documented("Sender::len: what waits is a queue")
                .documented("SendError::ReceiveClosed: all receivers are dropped")
                .documented("ReceiveError::SendClosed: all senders are dropped")
                .documented("bounded, unbounded, example: the rest is received after that")
                .documented("try_send, try_recv: do not wait; false and none are failures")
                .documented("send_timeout, recv_timeout: give up at a deadline")
        };
        vec![
            claim("unbounded", Capacity::Unbounded)
                .documented("unbounded, example: never blocks on send"),
            claim("bounded-1", Capacity::Bounded(1))
                .documented("Sender::is_full: full channels block, one of size 1 holds one"),
            claim("bounded-2", Capacity::Bounded(2))
                .documented("Sender::is_full: full channels block"),
            claim("zero", Capacity::Zero)
                .documented("bounded, example: of size 0 it blocks until send and receive succeed"),
        ]
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let (tx, rx) = match capacity(link)? {
            None => unbounded(),
            Some(n) => bounded(n),
        };
        Ok(Handles::boxed(Supply::clones(sender(tx)), Supply::clones(receiver(rx))))
    }

    fn values(&self, link: &str) -> Option<Box<dyn Values>> {
        let ends = match capacity(link).ok()? {
            None => unbounded(),
            Some(n) => bounded(n),
        };
        let try_send = |end: &mut Sender<_>, value| match end.try_send(value) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Failure::Full),
        };
        let try_receive =
            |end: &mut Receiver<_>| end.try_recv().ok().flatten().ok_or(Failure::Empty);
        Carries::new(ends, try_send, try_receive)
            .timed(|end, value, timeout| end.send_timeout(value, timeout).map_err(Failure::other))
            .boxed()
    }

    fn futures(&self, link: &str) -> Result<Futures, Failure> {
        let (tx, rx) = match capacity(link)? {
            None => unbounded_async(),
            Some(n) => bounded_async(n),
        };
        let send = async |tx: &mut AsyncSender<_>, bytes| {
            tx.send(bytes).await.map_err(|_| Failure::Closed)
        };
        let receive =
            async |rx: &mut AsyncReceiver<_>| rx.recv().await.map_err(|_| Failure::Closed);
        let senders = Futures::default().sender(tx.clone(), send).sender(tx, send);
        Ok(senders.receiver(rx.clone(), receive).receiver(rx, receive))
    }
}

/// Both ends have the same observers, under the same names; `usize::MAX` is no limit.
macro_rules! observing {
    () => {
        |end, what| {
            Some(match what {
                Observer::Len => end.len().into(),
                Observer::IsEmpty => end.is_empty().into(),
                Observer::IsFull => end.is_full().into(),
                Observer::Capacity => {
                    Observation::Number(Some(end.capacity()).filter(|n| *n != usize::MAX))
                }
                Observer::IsDisconnected => end.is_disconnected().into(),
            })
        }
    };
}

fn sender(end: Sender<Vec<u8>>) -> Sends<Sender<Vec<u8>>> {
    Sends::through(end)
        .observing(observing!())
        .blocking(|end, bytes| end.send(bytes.into()).map_err(|_| Failure::Closed))
        .nonblocking(|end, bytes| match end.try_send(bytes.into()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::Full),
            Err(_) => Err(Failure::Closed),
        })
        .timed(|end, bytes, timeout| {
            end.send_timeout(bytes.into(), timeout).map_err(|e| match e {
                SendErrorTimeout::Timeout => Failure::Timeout,
                SendErrorTimeout::Closed | SendErrorTimeout::ReceiveClosed => Failure::Closed,
            })
        })
}

fn receiver(end: Receiver<Vec<u8>>) -> Receives<Receiver<Vec<u8>>> {
    Receives::through(end)
        .observing(observing!())
        .blocking(|end| end.recv().map_err(|_| Failure::Closed))
        .nonblocking(|end| match end.try_recv() {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(Failure::Empty),
            Err(_) => Err(Failure::Closed),
        })
        .timed(|end, timeout| {
            end.recv_timeout(timeout).map_err(|e| match e {
                ReceiveErrorTimeout::Timeout => Failure::Timeout,
                ReceiveErrorTimeout::Closed | ReceiveErrorTimeout::SendClosed => Failure::Closed,
            })
        })
}

fn main() -> ExitCode {
    ipc_conformance::main(&Kanal)
}
