//! Shared-memory links that are broken on purpose, beside one that is not: what stepped runs must
//! find, and what they must not.

mod queue;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Delivery, Endpoint, Failure, Parcel, Place, Role,
};
use ipc_model::{Capacity, Holders, Modes, Notice, Profile, Size};
use queue::{CAPACITY, Defect, LARGEST, Queue};

#[global_allocator]
static HEAP: ipc_conformance::SharedHeap = ipc_conformance::SharedHeap;

struct Mutants;

/// A queue on the heap, for each end to have a part in.
struct Heap(Arc<[AtomicU64]>, Defect);

/// Removes the file when it is dropped.
struct File(PathBuf);

struct End {
    queue: Queue,
}

impl Adapter for Mutants {
    fn name(&self) -> String {
        "stepped-mutants".into()
    }

    fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").into()
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |defect: Defect| {
            let modes = Modes { blocking: false, nonblocking: true, timed: false };
            let profile = Profile {
                capacity: Capacity::Bounded(CAPACITY),
                size: Size::UpTo(LARGEST as u32),
                senders: if defect.has_many_senders() { Holders::Many } else { Holders::One },
                receivers: if defect.has_many_receivers() { Holders::Many } else { Holders::One },
                send: modes,
                receive: Modes { blocking: defect == Defect::Swallows, ..modes },
                sender_closed: Notice::Silent,
                receiver_closed: Notice::Silent,
                sender_killed: Some(Notice::Silent),
                receiver_killed: Some(Notice::Silent),
                ..Profile::default()
            };
            let claim = match defect.joins_threads() {
                true => Claim::between_threads(defect.name(), profile),
                false => Claim::between_processes(defect.name(), profile),
            };
            claim.documented(defect.says())
        };
        Defect::ALL.into_iter().map(claim).collect()
    }

    fn create(&self, link: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        if let Some(defect) = Defect::of(link).filter(|defect| defect.joins_threads()) {
            return Ok(Box::new(Heap(Queue::allocate(), defect)));
        }
        let path = path(place);
        Queue::create(&path).map_err(Failure::other)?;
        Ok(Box::new(File(path)))
    }

    fn connect(
        &self,
        link: &str,
        address: &Address,
        _: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        let defect = Defect::of(link);
        let defect = defect.ok_or_else(|| Failure::Other(format!("no link {link}")))?;
        if defect == Defect::StartsThread {
            std::thread::spawn(std::thread::park);
        }
        let queue = Queue::open(address.text.as_ref(), defect).map_err(Failure::other)?;
        Ok(Box::new(End { queue }))
    }

    fn remove(&self, _: &str, place: &Place) {
        drop(File(path(place)));
    }
}

fn path(place: &Place) -> PathBuf {
    place.folder.join(&place.name)
}

impl Created for Heap {
    fn endpoint(&mut self, _: Role) -> Result<Box<dyn Endpoint>, Failure> {
        Ok(Box::new(End { queue: Queue::over(self.0.clone(), self.1) }))
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Err(Failure::Unsupported)
    }
}

impl Created for File {
    fn endpoint(&mut self, _: Role) -> Result<Box<dyn Endpoint>, Failure> {
        Err(Failure::Unsupported)
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Ok(Address::named(self.0.to_string_lossy()))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // Where it fails, the file is not there.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Endpoint for End {
    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        if parcel.bytes.len() > LARGEST {
            return Err(Failure::TooBig);
        }
        if self.queue.put(parcel.bytes) { Ok(()) } else { Err(Failure::Full) }
    }

    fn try_receive(&mut self, _: Option<ipc_model::Process>) -> Result<Delivery, Failure> {
        self.queue.take().map(Delivery::from).ok_or(Failure::Empty)
    }

    fn receive(&mut self, _: Option<ipc_model::Process>) -> Result<Delivery, Failure> {
        if self.queue.defect() != Defect::Swallows {
            return Err(Failure::Unsupported);
        }
        Ok(self.queue.wait().into())
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&Mutants)
}
