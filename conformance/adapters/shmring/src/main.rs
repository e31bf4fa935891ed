//! `shmring` as an adapter: a stream of bytes in shared memory, which carries frames.

use std::process::ExitCode;

use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Endpoint, Failure, Place, Role, ends, eventually,
};
use ipc_conformance::calls::{Receives, Sends};
use ipc_conformance::frames::{self, HEADER};
use ipc_model::{Capacity, Holders, Modes, Notice, Profile, Size};
use shmring::backend::ShmStorage;
use shmring::{Options, Reader, Writer, create_shm, open_shm};

/// Bytes in the ring, a power of two.
const RING: usize = 1024;

/// The largest message: with its length in front, a quarter of the ring.
const LARGEST: usize = RING / 4 - HEADER;

struct Shmring;

/// The name of the shared memory, which is removed when this is dropped.
struct Ring(String);

/// Marks the ring closed when it is dropped.
struct Tx(Writer<ShmStorage>);

impl Adapter for Shmring {
    fn name(&self) -> String {
        "shmring".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("shmring", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let only_blocking = Modes { blocking: true, nonblocking: false, timed: false };
        let profile = Profile {
            capacity: Capacity::AtLeast(2),
            size: Size::UpTo(LARGEST as u32),
            senders: Holders::One,
            receivers: Holders::One,
            send: only_blocking,
            receive: only_blocking,
            receiver_closed: Notice::Silent,
            ..Profile::default()
        };
        vec![
            Claim::between_processes("frames", profile)
                .documented("README: of fixed capacity, a single producer and a single consumer")
                .documented("Writer, io::Write: blocks until there is space")
                .documented(
                    "Reader, io::Read: blocks; 0 once the writer has closed and all is drained",
                )
                .documented("Writer::close: what was written remains available to the reader"),
        ]
    }

    fn create(&self, _: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        Ok(Box::new(Ring(place.name.clone())))
    }

    fn connect(
        &self,
        _: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        let (name, size) = (&address.text, RING as u64);
        // The writer makes the shared memory; the reader may come first.
        let writer = || create_shm(name, size, Options::default());
        let reader = || eventually(|| open_shm(name, size, Options::default()));
        ends(role, || writer().map(sender).map_err(Failure::other), || reader().map(receiver))
    }

    fn remove(&self, _: &str, place: &Place) {
        drop(Ring(place.name.clone()));
    }
}

impl Created for Ring {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        Shmring.connect("", &self.address(role)?, role)
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Ok(Address::named(&self.0))
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Where it fails, the writer has removed it already.
        let _ = std::fs::remove_file(format!("/dev/shm/{}", self.0));
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Err(error) = self.0.close() {
            eprintln!("shmring: close: {error}");
        }
    }
}

fn sender(end: Writer<ShmStorage>) -> Sends<Tx> {
    Sends::through(Tx(end))
        .blocking(|end, bytes| frames::write(&mut end.0, bytes, LARGEST, Failure::Full))
}

fn receiver(end: Reader<ShmStorage>) -> Receives<Reader<ShmStorage>> {
    Receives::through(end).blocking(|end| frames::read(end, Failure::Empty))
}

fn main() -> ExitCode {
    ipc_conformance::main(&Shmring)
}
