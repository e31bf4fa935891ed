//! `os_pipe` as an adapter: a byte stream that carries frames.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Delivery, Endpoint, Failure, Parcel, Place, Role,
};
use ipc_conformance::descriptors::Descriptors;
use ipc_model::{Capacity, Holders, Modes, Notice, Process, Profile, Size};
use os_pipe::{PipeReader, PipeWriter};

/// The largest message: a frame of at most 4096 bytes, `PIPE_BUF`, is written whole, whoever else
/// writes.
const LARGEST: usize = 4096 - HEADER;

/// The length of the message, in front of it.
const HEADER: usize = size_of::<u16>();

struct OsPipe;

struct Tx(PipeWriter);

struct Rx(PipeReader);

impl Adapter for OsPipe {
    fn name(&self) -> String {
        "os-pipe".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("os_pipe", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let only_blocking = Modes { blocking: true, nonblocking: false, timed: false };
        let profile = Profile {
            capacity: Capacity::AtLeast(1),
            size: Size::UpTo(LARGEST as u32),
            receivers: Holders::One,
            send: only_blocking,
            receive: only_blocking,
            sender_killed: Some(Notice::Reported),
            receiver_killed: Some(Notice::Reported),
            ..Profile::default()
        };
        vec![
            Claim::between_processes("frames", profile)
                .documented("crate docs: reads block until bytes are written or all writers close")
                .documented("crate docs: writes block until there is space or all readers close")
                .documented("crate docs: an internal buffer of some fixed size")
                .documented("crate docs: the pipes of pipe(2), so in order and atomic to PIPE_BUF")
                .documented("_exit(2): the descriptors of a process that ends are closed"),
        ]
    }

    fn create(&self, _: &str, _: &Place) -> Result<Box<dyn Created>, Failure> {
        let (reader, writer) = os_pipe::pipe().map_err(Failure::other)?;
        Ok(Descriptors::<Tx, Rx>::boxed(writer, reader))
    }

    fn connect(
        &self,
        _: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        Descriptors::<Tx, Rx>::connect(address, role)
    }
}

impl From<OwnedFd> for Tx {
    fn from(pipe: OwnedFd) -> Self {
        Self(pipe.into())
    }
}

impl From<OwnedFd> for Rx {
    fn from(pipe: OwnedFd) -> Self {
        Self(pipe.into())
    }
}

impl Endpoint for Tx {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        if parcel.bytes.len() > LARGEST {
            return Err(Failure::TooBig);
        }
        let frame = [&(parcel.bytes.len() as u16).to_ne_bytes(), parcel.bytes].concat();
        self.0.write_all(&frame).map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failure::Closed,
            _ => Failure::other(error),
        })
    }
}

impl Endpoint for Rx {
    fn receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        let mut length = [0; HEADER];
        self.0.read_exact(&mut length).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => Failure::Closed,
            _ => Failure::other(error),
        })?;
        let mut bytes = vec![0; u16::from_ne_bytes(length).into()];
        self.0.read_exact(&mut bytes).map_err(Failure::other)?;
        Ok(bytes.into())
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&OsPipe)
}
