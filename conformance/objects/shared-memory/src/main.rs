//! `shared_memory` held against the model of regions: a `Shmem` is a handle and a mapping in one.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use ipc_conformance::objects::crates::{Memory, done, refused};
use ipc_conformance::objects::{Offer, Told, crates, real, refusal};
use ipc_model::machine::Errno;
use ipc_model::region::{Access, Creation, Op, Region, Ret};
use shared_memory::{Shmem, ShmemConf, ShmemError};

/// Sizes to create objects of, in turn.
const SIZES: [u64; 4] = [6, 4096, 4097, 8192];

struct SharedMemory {
    prefix: String,
    created: usize,
    /// By slot, each with its name.
    held: HashMap<u8, (Shmem, String)>,
}

fn offer(name: &str) -> Option<Offer> {
    let lock = include_str!("../../../../Cargo.lock");
    let version = ipc_conformance::version_of("shared_memory", lock);
    let offer = Offer { version, ..Offer::default() }
        .claiming(&[
            ("Creation", "a name that must be new, and all of the object attached at once"),
            ("Removal", "by whoever owns the mapping, when it is dropped"),
        ])
        .documented(&[
            "shared_memory, ShmemConf: os_id, a specific identifier; size, of what is created",
            "shared_memory, ShmemConf::create, open: a new mapping; an existing mapping",
            "shared_memory, ShmemError::MappingIdExists: the identifier already exists",
            "shared_memory, Shmem: is_owner, whether we created it; len, its total size",
            "shared_memory, Shmem::set_owner: one must own it, so that the cleanup is run",
            "shared_memory, crate docs: a thin wrapper around shared memory system calls",
        ])
        .without(&["*.or-open.*", "*.truncate*", "*.read-only*"], "the crate has no such call")
        .without(&["region.size.*", "region.detach.absent.*"], "the crate has no such call")
        .without(&["region.*.closed.refused", "region.access.unattached.*"], GONE)
        .without(&["region.access.after-both"], GONE)
        .without(&["region.close.open.keeps-mappings"], "a handle is closed with its mapping")
        .without(&["*.tail.*", "*.dirty-tail.*", "*.beyond-end.*"], "a mapping ends as its object")
        .without(&["region.attach.empty.*", "region.attach.unaligned.*"], "all of it is attached")
        .without(&["*.by-another.*", "*.forbidden.*"], "nothing is said of other users")
        .without(&["region.unlink.absent.*"], "what becomes of the name is not told");
    (name == "shared_memory").then_some(offer)
}

/// Why what is asked of something that is gone has no answer.
const GONE: &str = "what is dropped cannot be used";

impl Memory for SharedMemory {
    fn call(&mut self, op: &Op) -> Result<Told<Region>, String> {
        match op {
            Op::Open { name, creation: Creation::Exclusive, handle, .. } => {
                self.create(name, *handle)
            }
            Op::Open { name, creation: Creation::Never, handle, .. } => self.open(name, *handle),
            Op::Read { mapping, place, length } => Ok(self.read(op, *mapping, *place, *length)),
            Op::Write { mapping, place, bytes } => Ok(self.write(op, *mapping, *place, bytes)),
            Op::Close { handle } => Ok(self.close(*handle)),
            // The model has no owners: who is one shows when it drops its mapping.
            Op::Detach { mapping } => {
                if let Some((memory, _)) = self.held.get_mut(mapping) {
                    let owner = memory.is_owner();
                    memory.set_owner(!owner);
                }
                Ok(vec![])
            }
            _ => Ok(vec![]),
        }
    }
}

impl SharedMemory {
    fn create(&mut self, name: &str, handle: u8) -> Result<Told<Region>, String> {
        let size = SIZES[self.created % SIZES.len()];
        let open = opening(name, Creation::Exclusive, handle);
        let conf = ShmemConf::new().size(size as usize).os_id(real(&self.prefix, name));
        match conf.create() {
            Ok(memory) => {
                self.created += 1;
                self.held.insert(handle, (memory, name.to_owned()));
                Ok(done([open, Op::SetSize { handle, size }, attaching(handle, size)]))
            }
            Err(ShmemError::MappingIdExists) => Ok(refused(&open, Errno::Exists)),
            Err(other) => Err(other.to_string()),
        }
    }

    fn open(&mut self, name: &str, handle: u8) -> Result<Told<Region>, String> {
        let open = opening(name, Creation::Never, handle);
        match ShmemConf::new().os_id(real(&self.prefix, name)).open() {
            Ok(memory) => {
                let size = memory.len() as u64;
                self.held.insert(handle, (memory, name.to_owned()));
                let mut told = done([open, attaching(handle, size)]);
                told.insert(1, (Op::GetSize { handle }, Ret::Size(size)));
                Ok(told)
            }
            Err(ShmemError::MapOpenFailed(errno)) => {
                let error = io::Error::from_raw_os_error(errno as i32);
                Ok(refused(&open, refusal(&error)?))
            }
            Err(other) => Err(other.to_string()),
        }
    }

    /// Where the bytes lie, if all of them do.
    fn at(&self, mapping: u8, place: u64, length: usize) -> Option<*mut u8> {
        let (memory, _) = self.held.get(&mapping)?;
        let inside = place as usize + length <= memory.len();
        inside.then(|| memory.as_ptr().wrapping_add(place as usize))
    }

    fn read(&self, op: &Op, mapping: u8, place: u64, length: u32) -> Told<Region> {
        let Some(start) = self.at(mapping, place, length as usize) else { return vec![] };
        // SAFETY: the bytes lie inside the mapping, and any byte is one.
        let byte = |i: usize| unsafe { start.wrapping_add(i).read_volatile() };
        let bytes: Vec<u8> = (0..length as usize).map(byte).collect();
        vec![(op.clone(), Ret::read(&bytes))]
    }

    fn write(&self, op: &Op, mapping: u8, place: u64, bytes: &[u8]) -> Told<Region> {
        let Some(start) = self.at(mapping, place, bytes.len()) else { return vec![] };
        for (i, byte) in bytes.iter().enumerate() {
            // SAFETY: the bytes lie inside the mapping, and no Rust value lies there.
            unsafe { start.wrapping_add(i).write_volatile(*byte) };
        }
        done([op.clone()])
    }

    /// Drops the mapping, which closes the object and, for an owner, takes its name away. A name
    /// that was gone before can only have been taken away by another owner, and is told nothing of.
    fn close(&mut self, handle: u8) -> Told<Region> {
        let Some((memory, name)) = self.held.remove(&handle) else { return vec![] };
        let id = memory.get_os_id().trim_start_matches('/').to_owned();
        let named = Path::new("/dev/shm").join(id).exists();
        let unlinks = memory.is_owner() && named;
        drop(memory);
        let unlink = unlinks.then_some(Op::Unlink { name });
        let steps = [Op::Detach { mapping: handle }].into_iter().chain(unlink);
        done(steps.chain([Op::Close { handle }]))
    }
}

fn opening(name: &str, creation: Creation, handle: u8) -> Op {
    let (access, truncate, mode) = (Access::ReadWrite, false, 0o600);
    Op::Open { name: name.to_owned(), creation, access, truncate, mode, handle }
}

fn attaching(handle: u8, length: u64) -> Op {
    Op::Attach { handle, access: Access::ReadWrite, offset: 0, length, mapping: handle }
}

fn main() -> ExitCode {
    let open = |_: &str, prefix: &str| {
        let (prefix, created, held) = (prefix.to_owned(), 0, HashMap::new());
        Ok(Box::new(SharedMemory { prefix, created, held }) as Box<dyn Memory>)
    };
    crates::main(offer, open)
}
