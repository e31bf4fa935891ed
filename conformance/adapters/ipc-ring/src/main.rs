//! `ipc_ring` as an adapter.

use std::path::PathBuf;
use std::process::ExitCode;

use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Endpoint, Failure, Place, Role, ends, eventually,
    remove_files,
};
use ipc_conformance::calls::{Receives, Sends};
use ipc_model::{Capacity, Holders, Modes, Notice, Profile, Size};
use ipc_ring::{IpcError, RingReader, RingWriter};

/// Bytes in the ring, a power of two.
const RING: usize = 1024;

/// The largest message: with its length in front, the whole ring.
const LARGEST: usize = RING - 4;

struct IpcRing;

/// An end, which its type ties to the thread that opened it.
struct Held<E>(E);

// SAFETY: the link is claimed between processes only, each of which opens its end and uses it on
// the same thread.
unsafe impl<E> Send for Held<E> {}

/// The ring's file, which lies in a folder of its own.
struct Ring(PathBuf);

impl Adapter for IpcRing {
    fn name(&self) -> String {
        "ipc-ring".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("ipc_ring", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let profile = Profile {
            capacity: Capacity::AtLeast(1),
            size: Size::UpTo(LARGEST as u32),
            senders: Holders::One,
            receivers: Holders::One,
            send: Modes::default(),
            sender_closed: Notice::Silent,
            receiver_closed: Notice::Silent,
            ..Profile::default()
        };
        vec![
            Claim { threads: false, ..Claim::between_processes("ring", profile) }
                .documented("README: a ring buffer of a single producer and a single consumer")
                .documented("RingWriter::try_push: without blocking; an error if it is full")
                .documented("RingWriter::try_push: an error if it is too large for the ring buffer")
                .documented("RingWriter::push: with a timeout, none is infinite")
                .documented("RingReader::try_pop: without blocking; none if it is empty")
                .documented("RingReader::pop: blocking, with a timeout, none is infinite")
                .documented("IpcError: no word for a peer that has closed"),
        ]
    }

    fn create(&self, _: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        Ok(Box::new(Ring(place.folder.join(&place.name))))
    }

    fn connect(
        &self,
        _: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        let file = &address.text;
        // The writer makes the file; the reader may come first, and must not find half a ring: one
        // that opens it while it is being made hangs.
        let writer = || {
            let draft = format!("{file}.draft");
            let writer = RingWriter::create(&draft, RING).map_err(Failure::other)?;
            std::fs::rename(draft, file).map_err(Failure::other)?;
            Ok(sender(writer))
        };
        ends(role, writer, || eventually(|| RingReader::open(file)).map(receiver))
    }
}

impl Created for Ring {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        IpcRing.connect("", &self.address(role)?, role)
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Ok(Address::named(self.0.to_string_lossy()))
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        remove_files(&self.0);
    }
}

fn failure(error: IpcError) -> Failure {
    match error {
        IpcError::Full => Failure::Full,
        IpcError::TooLarge => Failure::TooBig,
        IpcError::Timeout => Failure::Timeout,
        error => Failure::other(error),
    }
}

fn sender(end: RingWriter) -> Sends<Held<RingWriter>> {
    Sends::through(Held(end))
        .blocking(|end, bytes| end.0.push(bytes, None).map_err(failure))
        .nonblocking(|end, bytes| end.0.try_push(bytes).map_err(failure))
        .timed(|end, bytes, timeout| end.0.push(bytes, Some(timeout)).map_err(failure))
}

fn receiver(end: RingReader) -> Receives<Held<RingReader>> {
    Receives::through(Held(end))
        .blocking(|end| {
            let mut bytes = Vec::new();
            end.0.pop(&mut bytes, None).map_err(failure)?;
            Ok(bytes)
        })
        .nonblocking(|end| {
            let mut bytes = Vec::new();
            end.0.try_pop(&mut bytes).map_err(failure)?.ok_or(Failure::Empty)?;
            Ok(bytes)
        })
        .timed(|end, timeout| {
            let mut bytes = Vec::new();
            end.0.pop(&mut bytes, Some(timeout)).map_err(failure)?;
            Ok(bytes)
        })
}

fn main() -> ExitCode {
    ipc_conformance::main(&IpcRing)
}
