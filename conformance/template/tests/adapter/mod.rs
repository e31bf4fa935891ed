//! What the channel promises, and how it is used.

use std::time::Duration;

use ipc_conformance::adapter::{
    Adapter, Claim, Created, Delivery, Endpoint, Failure, Handles, Parcel, Place, Supply,
};
use ipc_model::{Capacity, Process, Profile};
use @crate@::{ReceiveError, Receiver, SendError, Sender, channel};

/// The adapter.
pub struct Channel;

impl Adapter for Channel {
    fn name(&self) -> String {
        env!("CARGO_PKG_NAME").into()
    }

    fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").into()
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim::between_threads(
            "bounded-2",
            Profile::mailbox(Capacity::Bounded(2)),
        )]
    }

    fn create(&self, _link: &str, _place: &Place) -> Result<Box<dyn Created>, Failure> {
        let (sender, receiver) = channel(2);
        Ok(Handles::boxed(
            Supply::clones(Tx(sender)),
            Supply::clones(Rx(receiver)),
        ))
    }
}

#[derive(Clone)]
struct Tx(Sender<Vec<u8>>);

#[derive(Clone)]
struct Rx(Receiver<Vec<u8>>);

impl Endpoint for Tx {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.send(parcel.bytes.into()).map_err(not_sent)
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.try_send(parcel.bytes.into()).map_err(not_sent)
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        self.0
            .send_timeout(parcel.bytes.into(), timeout)
            .map_err(not_sent)
    }
}

impl Endpoint for Rx {
    fn receive(&mut self, _from: Option<Process>) -> Result<Delivery, Failure> {
        self.0.receive().map(Delivery::from).map_err(not_received)
    }

    fn try_receive(&mut self, _from: Option<Process>) -> Result<Delivery, Failure> {
        self.0
            .try_receive()
            .map(Delivery::from)
            .map_err(not_received)
    }

    fn receive_timeout(
        &mut self,
        _from: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        self.0
            .receive_timeout(timeout)
            .map(Delivery::from)
            .map_err(not_received)
    }
}

fn not_sent(error: SendError) -> Failure {
    match error {
        SendError::Full => Failure::Full,
        SendError::Timeout => Failure::Timeout,
        SendError::Closed => Failure::Closed,
    }
}

fn not_received(error: ReceiveError) -> Failure {
    match error {
        ReceiveError::Empty => Failure::Empty,
        ReceiveError::Timeout => Failure::Timeout,
        ReceiveError::Closed => Failure::Closed,
    }
}
