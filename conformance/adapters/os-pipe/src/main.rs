//! `os_pipe` as an adapter: a byte stream that carries frames.

use std::process::ExitCode;

use ipc_conformance::adapter::{Adapter, Address, Claim, Created, Endpoint, Failure, Place, Role};
use ipc_conformance::calls::{Receives, Sends};
use ipc_conformance::descriptors::Descriptors;
use ipc_conformance::frames;
use ipc_model::{Capacity, Holders, Modes, Notice, Profile, Size};
use os_pipe::{PipeReader, PipeWriter};

/// The largest message: a frame of at most 4096 bytes, `PIPE_BUF`, is written whole, whoever else
/// writes.
const LARGEST: usize = 4096 - frames::HEADER;

struct OsPipe;

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
        Ok(ends().boxed(writer, reader))
    }

    fn connect(
        &self,
        _: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        ends().connect(address, role)
    }
}

fn ends() -> Descriptors<impl Endpoint, impl Endpoint> {
    Descriptors::new(
        |pipe| {
            Sends::through(PipeWriter::from(pipe))
                .blocking(|pipe, bytes| frames::write(pipe, bytes, LARGEST, Failure::Full))
        },
        |pipe| {
            Receives::through(PipeReader::from(pipe))
                .blocking(|pipe| frames::read(pipe, Failure::Empty))
        },
    )
}

fn main() -> ExitCode {
    ipc_conformance::main(&OsPipe)
}
