//! `zeromq` as an adapter: PUSH and PULL sockets, over a Unix socket and over TCP.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Endpoint, Failure, Place, Role, ends, eventually,
    remove_files,
};
use ipc_conformance::calls::{Receives, Sends};
use ipc_model::{Capacity, Holders, Modes, Notice, Profile};
use tokio::runtime::{Builder, Runtime};
use tokio::time;
use zeromq::{PullSocket, PushSocket, Socket, SocketRecv, SocketSend};

struct ZeroMq;

/// Where the receiver leaves the endpoint that it has bound, for senders to connect to.
struct Made {
    note: PathBuf,
    endpoint: String,
    /// Bound when the first endpoint is asked for, which is a sender's.
    receiver: Option<Socketed<PullSocket>>,
}

/// A socket, and the runtime on whose thread its connections live.
struct Socketed<S>(S, Runtime);

impl Adapter for ZeroMq {
    fn name(&self) -> String {
        "zeromq".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("zeromq", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |link: &str| {
            let profile = Profile {
                capacity: Capacity::AtLeast(1),
                receivers: Holders::One,
                order: ipc_model::Order::PerSender,
                send: Modes { blocking: true, nonblocking: false, timed: false },
                receive: Modes { blocking: true, nonblocking: false, timed: true },
                sender_closed: Notice::Silent,
                receiver_closed: Notice::Silent,
                ..Profile::default()
            };
            Claim::between_processes(link, profile)
                .documented("README, Pipeline: PUSH, PULL")
                .documented(
                    "RFC 30/PIPELINE: many PUSH peers, fair-queued to a PULL, in order for each",
                )
                .documented("SocketSend::send: Ok once it has entered the local send path")
                .documented("SocketSend::send: backpressure when the selected peer's queue is full")
        };
        vec![
            claim("push-pull-ipc").documented("README: transport IPC"),
            claim("push-pull-tcp").documented("README: transport TCP"),
        ]
    }

    fn create(&self, link: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        let note = place.folder.join(&place.name);
        let endpoint = match link {
            "push-pull-ipc" => format!("ipc://{}.sock", note.display()),
            _ => "tcp://127.0.0.1:0".into(),
        };
        Ok(Box::new(Made { note, endpoint, receiver: None }))
    }

    fn connect(
        &self,
        _: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        let (note, endpoint) = address.text.split_once(' ').ok_or(Failure::Closed)?;
        let note = Path::new(note);
        ends(role, || connected(note).map(sender), || bound(endpoint, note).map(receiver))
    }
}

impl Created for Made {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        if self.receiver.is_none() && !self.note.exists() {
            self.receiver = Some(bound(&self.endpoint, &self.note)?);
        }
        let taken = || Failure::Other("the link has only one such end".into());
        let taking = self.receiver.take_if(|_| role.receives);
        ends(role, || connected(&self.note).map(sender), || taking.map(receiver).ok_or_else(taken))
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Ok(Address::named(format!("{} {}", self.note.display(), self.endpoint)))
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        self.receiver = None;
        remove_files(&self.note);
    }
}

fn runtime() -> Result<Runtime, Failure> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().map_err(Failure::other)
}

/// Binds a receiver and notes where: a note that is there is a note that is whole.
fn bound(endpoint: &str, note: &Path) -> Result<Socketed<PullSocket>, Failure> {
    let runtime = runtime()?;
    let mut socket = PullSocket::new();
    let bound = runtime.block_on(socket.bind(endpoint)).map_err(Failure::other)?;
    let draft = note.with_extension("draft");
    std::fs::write(&draft, bound.to_string()).map_err(Failure::other)?;
    std::fs::rename(draft, note).map_err(Failure::other)?;
    Ok(Socketed(socket, runtime))
}

/// Connects to where the receiver is, once it is there.
fn connected(note: &Path) -> Result<Socketed<PushSocket>, Failure> {
    let endpoint = eventually(|| std::fs::read_to_string(note))?;
    let runtime = runtime()?;
    let mut socket = PushSocket::new();
    runtime.block_on(socket.connect(&endpoint)).map_err(Failure::other)?;
    Ok(Socketed(socket, runtime))
}

fn sender(end: Socketed<PushSocket>) -> Sends<Socketed<PushSocket>> {
    Sends::through(end).blocking(|Socketed(socket, runtime), bytes| {
        runtime.block_on(socket.send(bytes.to_vec().into())).map_err(Failure::other)
    })
}

fn receiver(end: Socketed<PullSocket>) -> Receives<Socketed<PullSocket>> {
    Receives::through(end)
        .blocking(|end| receive(end, None))
        .timed(|end, timeout| receive(end, Some(timeout)))
}

fn receive(
    Socketed(socket, runtime): &mut Socketed<PullSocket>,
    timeout: Option<Duration>,
) -> Result<Vec<u8>, Failure> {
    let received = runtime.block_on(async {
        match timeout {
            None => Ok(socket.recv().await),
            Some(timeout) => time::timeout(timeout, socket.recv()).await,
        }
    });
    let message = received.map_err(|_| Failure::Timeout)?.map_err(Failure::other)?;
    let frames = message.into_vec();
    frames.into_iter().next().map(Vec::from).ok_or(Failure::Other("no frame".into()))
}

fn main() -> ExitCode {
    ipc_conformance::main(&ZeroMq)
}
