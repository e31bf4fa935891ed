//! `ipc-channel` as an adapter.

use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
use std::process::ExitCode;
use std::time::Duration;

use ipc_channel::ipc::{IpcOneShotServer, IpcReceiver, IpcSender, channel};
use ipc_channel::{IpcError, TryRecvError};
use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Delivery, Endpoint, Failure, Parcel, Place, Role, ends,
};
use ipc_model::{Holders, Modes, Process, Profile};

struct IpcChannel;

struct Tx(IpcSender<Vec<u8>>);

struct Rx(IpcReceiver<Vec<u8>>);

/// The ends that another process gets, as they travel to it.
type Ends = (Option<IpcSender<Vec<u8>>>, Option<IpcReceiver<Vec<u8>>>);

/// Another process connects to this server, and sends what its ends are to be sent through.
type Reception = IpcOneShotServer<IpcSender<Ends>>;

struct Channel {
    sender: Option<IpcSender<Vec<u8>>>,
    receiver: Option<IpcReceiver<Vec<u8>>>,
    receptions: Vec<(Reception, Ends)>,
}

impl Adapter for IpcChannel {
    fn name(&self) -> String {
        "ipc-channel".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("ipc-channel", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let profile = Profile {
            receivers: Holders::One,
            send: Modes { blocking: true, nonblocking: false, timed: false },
            ..Profile::default()
        };
        vec![
            Claim::between_processes("channel", profile)
                .documented("README: like Rust's channels a one-way FIFO queue, a drop-in for them")
                .documented("README, Semantic differences: always unbounded, and send never blocks")
                .documented("IpcError::Disconnected: all senders are gone and no message remains")
                .documented("README, drop-in for Rust channels: send fails with no receiver")
                .documented("IpcReceiver::try_recv_timeout: blocks for up to the time given")
                .any_length(),
        ]
    }

    fn create(&self, _: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let (sender, receiver) = channel().map_err(Failure::other)?;
        let (sender, receiver) = (Some(sender), Some(receiver));
        Ok(Box::new(Channel { sender, receiver, receptions: Vec::new() }))
    }

    fn connect(
        &self,
        _: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        let reception = IpcSender::connect(address.text.clone()).map_err(Failure::other)?;
        let (send_ends, receive_ends) = channel::<Ends>().map_err(Failure::other)?;
        reception.send(send_ends).map_err(Failure::other)?;
        endpoint(role, receive_ends.recv().map_err(Failure::other)?)
    }
}

fn endpoint(role: Role, (sender, receiver): Ends) -> Result<Box<dyn Endpoint>, Failure> {
    let missing = || Failure::Other("the link has only one such end".into());
    ends(role, || sender.map(Tx).ok_or_else(missing), || receiver.map(Rx).ok_or_else(missing))
}

impl Channel {
    fn take(&mut self, role: Role) -> Ends {
        let sender = self.sender.clone().filter(|_| role.sends);
        (sender, self.receiver.take_if(|_| role.receives))
    }
}

impl Created for Channel {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        endpoint(role, self.take(role))
    }

    fn address(&mut self, role: Role) -> Result<Address, Failure> {
        let (reception, name) = IpcOneShotServer::new().map_err(Failure::other)?;
        let ends = self.take(role);
        self.receptions.push((reception, ends));
        Ok(Address::named(name))
    }

    fn hand_over(&mut self) {
        for (reception, ends) in self.receptions.drain(..) {
            let sent = reception.accept().and_then(|(_, send_ends)| send_ends.send(ends));
            if let Err(error) = sent {
                // The other process is left without its ends, and says so.
                eprintln!("ipc-channel: {error}");
            }
        }
        (self.sender, self.receiver) = (None, None);
    }
}

fn failure(error: IpcError) -> Failure {
    match error {
        IpcError::Disconnected => Failure::Closed,
        IpcError::Io(error) if matches!(error.kind(), BrokenPipe | ConnectionReset) => {
            Failure::Closed
        }
        error => Failure::other(error),
    }
}

impl Endpoint for Tx {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.0.send(parcel.bytes.into()).map_err(failure)
    }
}

impl Endpoint for Rx {
    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.0.recv().map(Delivery::from).map_err(failure)
    }

    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        self.0.try_recv().map(Delivery::from).map_err(|e| match e {
            TryRecvError::Empty => Failure::Empty,
            TryRecvError::IpcError(error) => failure(error),
        })
    }

    fn receive_timeout(
        &mut self,
        _: Option<Process>,
        timeout: Duration,
    ) -> Result<Delivery, Failure> {
        self.0.try_recv_timeout(timeout).map(Delivery::from).map_err(|e| match e {
            TryRecvError::Empty => Failure::Timeout,
            TryRecvError::IpcError(error) => failure(error),
        })
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&IpcChannel)
}
