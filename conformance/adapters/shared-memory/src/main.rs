//! `shared_memory` with `raw_sync` as an adapter: a value in shared memory, behind a mutex.

use std::process::ExitCode;

use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Endpoint, Failure, Place, Role, ends,
};
use ipc_conformance::calls::{Receives, Sends};
use ipc_model::{Capacity, Distribution, Modes, Notice, Profile, Size};
use raw_sync::locks::{LockImpl, LockInit, Mutex};
use shared_memory::{Shmem, ShmemConf};

/// The largest value.
const LARGEST: usize = 256;

/// How long the value is, or [`UNWRITTEN`], stands in front of it.
const HEADER: usize = size_of::<u32>();

const UNWRITTEN: u32 = u32::MAX;

struct SharedMemory;

/// A mapping with the mutex at its start, and the value behind that.
struct Cell {
    lock: Box<dyn LockImpl>,
    /// Unmapped after the lock is gone; the one that created it removes the name.
    memory: Shmem,
}

// SAFETY: the lock and the mapping are addresses that are the same in every thread, and the value
// is only touched while the mutex in it is held.
unsafe impl Send for Cell {}

impl Adapter for SharedMemory {
    fn name(&self) -> String {
        "shared-memory".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("shared_memory", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let profile = Profile {
            distribution: Distribution::Latest,
            size: Size::UpTo(LARGEST as u32),
            send: Modes { blocking: true, nonblocking: false, timed: false },
            receive: Modes { blocking: false, nonblocking: true, timed: false },
            sender_closed: Notice::Silent,
            receiver_closed: Notice::Silent,
            ..Profile::mailbox(Capacity::Bounded(1))
        };
        vec![
            Claim::between_processes("mutex-cell", profile)
                .documented(
                    "shared_memory, ShmemConf: creates memory of a size, opens it by its name",
                )
                .documented("shared_memory, crate docs: what one process writes, the others see")
                .documented("raw_sync, LockImpl::lock: acquires the lock, in shared memory"),
        ]
    }

    fn create(&self, _: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        let size = Mutex::size_of(None) + 16 + HEADER + LARGEST;
        let conf = ShmemConf::new().size(size).os_id(format!("/{}", place.name));
        let memory = conf.create().map_err(Failure::other)?;
        let value = value(&memory);
        // SAFETY: the mapping is larger than the mutex and the value, and nobody else has it yet.
        let lock = unsafe { Mutex::new(memory.as_ptr(), value) };
        let cell = Cell { lock: lock.map_err(Failure::other)?.0, memory };
        cell.write(UNWRITTEN, &[])?;
        Ok(Box::new(cell))
    }

    fn connect(
        &self,
        _: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        let open = || Cell::open(&address.text);
        ends(role, || open().map(writer), || open().map(reader))
    }

    fn remove(&self, _: &str, place: &Place) {
        // Where it fails, it is not there.
        let _ = std::fs::remove_file(format!("/dev/shm/{}", place.name));
    }
}

/// Where the value lies: behind the mutex, at a place where its length can be read.
fn value(memory: &Shmem) -> *mut u8 {
    memory.as_ptr().wrapping_add(Mutex::size_of(None).next_multiple_of(16))
}

impl Created for Cell {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        SharedMemory.connect("", &self.address(role)?, role)
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Ok(Address::named(self.memory.get_os_id()))
    }
}

impl Cell {
    fn open(name: &str) -> Result<Self, Failure> {
        let memory = ShmemConf::new().os_id(name).open().map_err(Failure::other)?;
        let value = value(&memory);
        // SAFETY: whoever created the memory has put a mutex there.
        let lock = unsafe { Mutex::from_existing(memory.as_ptr(), value) };
        Ok(Self { lock: lock.map_err(Failure::other)?.0, memory })
    }

    fn write(&self, length: u32, bytes: &[u8]) -> Result<(), Failure> {
        let guard = self.lock.lock().map_err(Failure::other)?;
        // SAFETY: the guard leads to a length and `LARGEST` bytes behind it, which nobody touches
        // who does not hold the mutex.
        unsafe {
            guard.cast::<u32>().write(length);
            guard.add(HEADER).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        Ok(())
    }

    fn read(&self) -> Result<Vec<u8>, Failure> {
        let guard = self.lock.lock().map_err(Failure::other)?;
        // SAFETY: as in `write`; a length that is not `UNWRITTEN` is that of what was written.
        unsafe {
            match guard.cast::<u32>().read() {
                UNWRITTEN => Err(Failure::Empty),
                length => {
                    Ok(std::slice::from_raw_parts(guard.add(HEADER), length as usize).to_vec())
                }
            }
        }
    }
}

fn writer(cell: Cell) -> Sends<Cell> {
    Sends::through(cell).blocking(|cell, bytes| match bytes.len() {
        0..=LARGEST => cell.write(bytes.len() as u32, bytes),
        _ => Err(Failure::TooBig),
    })
}

fn reader(cell: Cell) -> Receives<Cell> {
    Receives::through(cell).nonblocking(|cell| cell.read())
}

fn main() -> ExitCode {
    ipc_conformance::main(&SharedMemory)
}
