//! `crossfire` as an adapter.

use std::process::ExitCode;
use std::time::Duration;

use crossfire::{
    BlockingRxTrait, BlockingTxTrait, RecvTimeoutError, SendTimeoutError, TryRecvError,
    TrySendError, mpmc, mpsc, spsc,
};
use ipc_conformance::adapter::{
    Adapter, Claim, Created, Delivery, Endpoint, Failure, Handles, Parcel, Place, Supply,
};
use ipc_model::{Capacity, Holders, Process, Profile};

struct Crossfire;

/// A sending end, of one sender or of many.
#[derive(Clone)]
struct Tx<S>(S);

/// A receiving end, of one receiver or of many.
#[derive(Clone)]
struct Rx<R>(R);

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
        [
            claims("spsc", Holders::One, Holders::One),
            claims("mpsc", Holders::Many, Holders::One),
            claims("mpmc", Holders::Many, Holders::Many),
        ]
        .concat()
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let size = link.rsplit_once('-').and_then(|(_, size)| size.parse().ok());
        Ok(match (&link[..4], size) {
            ("spsc", None) => spsc(spsc::unbounded_blocking()),
            ("spsc", Some(size)) => spsc(spsc::bounded_blocking(size)),
            ("mpsc", None) => mpsc(mpsc::unbounded_blocking()),
            ("mpsc", Some(size)) => mpsc(mpsc::bounded_blocking(size)),
            (_, None) => mpmc(mpmc::unbounded_blocking()),
            (_, Some(size)) => mpmc(mpmc::bounded_blocking(size)),
        })
    }
}

fn spsc<S, R>((sender, receiver): (S, R)) -> Box<dyn Created>
where
    S: BlockingTxTrait<Vec<u8>> + Send + 'static,
    R: BlockingRxTrait<Vec<u8>> + Send + 'static,
{
    Handles::boxed(Supply::one(Tx(sender)), Supply::one(Rx(receiver)))
}

fn mpsc<S, R>((sender, receiver): (S, R)) -> Box<dyn Created>
where
    S: BlockingTxTrait<Vec<u8>> + Send + Clone + 'static,
    R: BlockingRxTrait<Vec<u8>> + Send + 'static,
{
    Handles::boxed(Supply::clones(Tx(sender)), Supply::one(Rx(receiver)))
}

fn mpmc<S, R>((sender, receiver): (S, R)) -> Box<dyn Created>
where
    S: BlockingTxTrait<Vec<u8>> + Send + Clone + 'static,
    R: BlockingRxTrait<Vec<u8>> + Send + Clone + 'static,
{
    Handles::boxed(Supply::clones(Tx(sender)), Supply::clones(Rx(receiver)))
}

impl<S: BlockingTxTrait<Vec<u8>> + Send> Endpoint for Tx<S> {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.send(parcel.bytes.into()).map_err(|_| Failure::Closed)
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.try_send(parcel.bytes.into()).map_err(|e| match e {
            TrySendError::Full(_) => Failure::Full,
            TrySendError::Disconnected(_) => Failure::Closed,
        })
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        self.0.send_timeout(parcel.bytes.into(), timeout).map_err(|e| match e {
            SendTimeoutError::Timeout(_) => Failure::Timeout,
            SendTimeoutError::Disconnected(_) => Failure::Closed,
        })
    }
}

impl<R: BlockingRxTrait<Vec<u8>> + Send> Endpoint for Rx<R> {
    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.0.recv().map(Delivery::from).map_err(|_| Failure::Closed)
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.0.try_recv().map(Delivery::from).map_err(|e| match e {
            TryRecvError::Empty => Failure::Empty,
            TryRecvError::Disconnected => Failure::Closed,
        })
    }

    fn receive_timeout(
        &mut self,
        _: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        self.0.recv_timeout(timeout).map(Delivery::from).map_err(|e| match e {
            RecvTimeoutError::Timeout => Failure::Timeout,
            RecvTimeoutError::Disconnected => Failure::Closed,
        })
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&Crossfire)
}
