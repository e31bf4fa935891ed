//! `mmap-sync` as an adapter: a state cell between processes.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Endpoint, Failure, Place, Role, ends, remove_files,
};
use ipc_conformance::calls::{Receives, Sends};
use ipc_model::{Capacity, Distribution, Holders, Modes, Notice, Profile};
use mmap_sync::locks::LockDisabled;
use mmap_sync::synchronizer::{Synchronizer, SynchronizerError};
use wyhash::WyHash;

/// How long a write waits for readers that have died: longer than a reader here ever reads.
const GRACE: Duration = Duration::from_secs(5);

/// How often a write looks whether readers are through, in nanoseconds, rather than each second.
const LOOK: u64 = 20_000;

type Cell = Synchronizer<WyHash, LockDisabled, 1024, LOOK>;

struct MmapSync;

/// The prefix of its files, which lie in a folder of their own.
struct Made(PathBuf);

impl Adapter for MmapSync {
    fn name(&self) -> String {
        "mmap-sync".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("mmap-sync", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let silent = Notice::Silent;
        let profile = Profile {
            distribution: Distribution::Latest,
            senders: Holders::One,
            send: Modes { blocking: true, nonblocking: false, timed: false },
            receive: Modes { blocking: false, nonblocking: true, timed: false },
            sender_closed: silent,
            receiver_closed: silent,
            ..Profile::mailbox(Capacity::Bounded(1))
        };
        vec![
            Claim::between_processes("cell", profile)
                .documented("README: access between a single writer and multiple readers")
                .documented(
                    "README, Wait-free Synchronization: two copies, of which one is current",
                )
                .documented(
                    "Synchronizer::write: into the next data file, then readers are switched",
                )
                .documented("Synchronizer::read: the entity of the current version")
                .documented("SynchronizerError::UninitializedState: nothing was written"),
        ]
    }

    fn create(&self, _: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        Ok(Box::new(Made(place.folder.join(&place.name))))
    }

    fn connect(
        &self,
        _: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        let cell = || Cell::with_params(address.text.as_ref());
        ends(role, || Ok(writer(cell())), || Ok(reader(cell())))
    }
}

impl Created for Made {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        MmapSync.connect("", &self.address(role)?, role)
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Ok(Address::named(self.0.to_string_lossy()))
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        remove_files(&self.0);
    }
}

fn writer(cell: Cell) -> Sends<Cell> {
    Sends::through(cell).blocking(|cell, bytes| {
        cell.write(&bytes.to_vec(), GRACE).map(drop).map_err(Failure::other)
    })
}

fn reader(cell: Cell) -> Receives<Cell> {
    Receives::through(cell).nonblocking(|cell| {
        // SAFETY: the guard goes after the copy, long before a write stops waiting for it; every
        // writer of this file writes such values, and the bytes are checked besides.
        match unsafe { cell.read::<Vec<u8>>(true) } {
            Ok(value) => Ok(value.to_vec()),
            Err(SynchronizerError::UninitializedState | SynchronizerError::FailedStateRead(_)) => {
                Err(Failure::Empty)
            }
            Err(error) => Err(Failure::other(error)),
        }
    })
}

fn main() -> ExitCode {
    ipc_conformance::main(&MmapSync)
}
