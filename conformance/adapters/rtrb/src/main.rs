//! `rtrb` as an adapter.

use std::process::ExitCode;

use ipc_conformance::adapter::{
    Adapter, Claim, Created, Delivery, Endpoint, Failure, Handles, Parcel, Place, Supply,
};
use ipc_model::{Capacity, Holders, Modes, Notice, Process, Profile};
use rtrb::{Consumer, Producer, RingBuffer};

struct Rtrb;

struct Tx(Producer<Vec<u8>>);

struct Rx(Consumer<Vec<u8>>);

impl Adapter for Rtrb {
    fn name(&self) -> String {
        "rtrb".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("rtrb", include_str!("../../../../Cargo.lock"))
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
                .documented("crate docs: one producer, one consumer, a fixed capacity")
                .documented("crate docs, example: popped in the order pushed")
                .documented("crate docs: all functions return at once; there is no way to wait")
                .documented("crate docs: full and empty are errors, nothing is overwritten")
                .documented("PushError, PopError: full and empty only; is_abandoned tells the rest")
        };
        vec![claim("bounded-1", 1), claim("bounded-2", 2)]
    }

    fn create(&self, link: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let (sender, receiver) = RingBuffer::new(if link == "bounded-1" { 1 } else { 2 });
        Ok(Handles::boxed(Supply::one(Tx(sender)), Supply::one(Rx(receiver))))
    }
}

impl Endpoint for Tx {
    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.push(parcel.bytes.into()).map_err(|_| Failure::Full)
    }
}

impl Endpoint for Rx {
    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.0.pop().map(Delivery::from).map_err(|_| Failure::Empty)
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&Rtrb)
}
