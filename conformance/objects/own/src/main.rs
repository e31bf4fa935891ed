//! The region of `ipc-impls` held against the model of regions.

use std::collections::HashMap;
use std::process::ExitCode;

use ipc_conformance::objects::crates::{Memory, done, refused};
use ipc_conformance::objects::{Offer, Told, crates, real};
use ipc_impls::region::{
    Attached, CreateError, OpenError, OpenOrCreateError, Place, Region, UnlinkError, View, shared,
};
use ipc_model::machine::Errno;
use ipc_model::region::{Access, Creation, Op, Region as Model, Ret};

/// Not a whole number of pages.
const LENGTH: usize = 5002;

shared! {
    /// Bytes, each in a place of its own.
    struct Bytes {
        bytes: [Place<u8>; LENGTH],
    }
}

/// A region that can be read, and perhaps written.
enum Mapped {
    Attached(Attached<Bytes>),
    View(View<Bytes>),
}

struct Own {
    prefix: String,
    regions: HashMap<u8, Region<Bytes>>,
    mapped: HashMap<u8, Mapped>,
}

fn offer(name: &str) -> Option<Offer> {
    let version = env!("CARGO_PKG_VERSION").into();
    let offer = Offer { version, users: true, ..Offer::default() }
        .claiming(&[
            ("Creation", "exclusive, or open or create; the size is that of the layout"),
            ("Permissions", "its owner alone can open it (mode 0600)"),
            ("Removal", "by unlink; whoever has it open keeps it"),
        ])
        .documented(&[
            "ipc-impls, Region::create: the name must be new; mode 0600",
            "ipc-impls, Region::open, open_or_create, view, unlink",
            "ipc-impls, Region: dropping it removes nothing, and all of it is zero at first",
            "ipc-impls, Region::attach, reading; Place::load, store",
        ])
        .without(&["*.truncate*", "region.size.*.refused"], "the crate has no such call")
        .without(&["region.size.smaller.*", "region.size.asked.*"], "the size is the layout's")
        .without(&["region.detach.absent.*", "region.*.closed.refused"], GONE)
        .without(&["region.access.unattached.*", "region.access.after-both"], GONE)
        .without(&["region.attach.read-only-handle.*"], "a region is opened for both")
        .without(&["region.write.read-only.*"], "a view has no such call")
        .without(&["*.tail.*", "*.dirty-tail.*", "*.beyond-end.*"], "places lie in the layout")
        .without(&["region.attach.empty.*", "region.attach.unaligned.*"], "all of it is attached");
    (name == "own-region").then_some(offer)
}

/// Why what is asked of something that is gone has no answer.
const GONE: &str = "what is dropped cannot be used";

impl Memory for Own {
    fn call(&mut self, op: &Op) -> Result<Told<Model>, String> {
        match op {
            Op::Open { name, creation, access, handle, .. } => {
                let opening = opening(name, *creation, *access, *handle);
                match (creation, access) {
                    (Creation::Exclusive, _) => self.create(opening, *handle),
                    (Creation::OrOpen, _) => self.open_or_create(opening, *handle),
                    (Creation::Never, Access::ReadWrite) => self.open(opening, *handle),
                    (Creation::Never, Access::ReadOnly) => self.view(opening, *handle),
                }
            }
            Op::Attach { handle, access, mapping, .. } => self.attach(*handle, *access, *mapping),
            Op::Read { mapping, place, length } => Ok(self.read(op, *mapping, *place, *length)),
            Op::Write { mapping, place, bytes } => Ok(self.write(op, *mapping, *place, bytes)),
            Op::Detach { mapping } => {
                Ok(self.mapped.remove(mapping).map_or(vec![], |_| done([op.clone()])))
            }
            Op::Close { handle } => {
                Ok(self.regions.remove(handle).map_or(vec![], |_| done([op.clone()])))
            }
            Op::Unlink { name } => match Region::<Bytes>::unlink(&self.name(name)) {
                Ok(()) => Ok(done([op.clone()])),
                Err(UnlinkError::NotFound(_)) => Ok(refused(op, Errno::Absent)),
                Err(UnlinkError::Denied(_)) => Ok(refused(op, Errno::Access)),
                Err(other) => Err(other.to_string()),
            },
            _ => Ok(vec![]),
        }
    }
}

impl Own {
    /// As the crate wants it: without a slash.
    fn name(&self, name: &str) -> String {
        real(&self.prefix, name).trim_start_matches('/').to_owned()
    }

    fn create(&mut self, opening: Op, handle: u8) -> Result<Told<Model>, String> {
        match Region::create(&self.name(named(&opening))) {
            Ok(region) => Ok(self.made(opening, handle, region)),
            Err(CreateError::Exists(_)) => Ok(refused(&opening, Errno::Exists)),
            Err(other) => Err(other.to_string()),
        }
    }

    fn open_or_create(&mut self, opening: Op, handle: u8) -> Result<Told<Model>, String> {
        match Region::open_or_create(&self.name(named(&opening))) {
            Ok(region) => Ok(self.made(opening, handle, region)),
            Err(OpenOrCreateError::Open(OpenError::Denied(_))) => {
                Ok(refused(&opening, Errno::Access))
            }
            Err(other) => Err(other.to_string()),
        }
    }

    /// Whoever makes the region sets its size; where it was there, that is the size it has.
    fn made(&mut self, opening: Op, handle: u8, region: Region<Bytes>) -> Told<Model> {
        self.regions.insert(handle, region);
        done([opening, Op::SetSize { handle, size: LENGTH as u64 }])
    }

    fn open(&mut self, opening: Op, handle: u8) -> Result<Told<Model>, String> {
        match Region::open(&self.name(named(&opening))) {
            Ok(region) => {
                self.regions.insert(handle, region);
                Ok(done([opening]))
            }
            Err(error) => unopened(&opening, &error),
        }
    }

    /// A view is opened and mapped in one call, and has no handle after that.
    fn view(&mut self, opening: Op, handle: u8) -> Result<Told<Model>, String> {
        if self.mapped.contains_key(&handle) {
            return Ok(vec![]);
        }
        match Region::view(&self.name(named(&opening))) {
            Ok(view) => {
                self.mapped.insert(handle, Mapped::View(view));
                let attaching = attaching(handle, Access::ReadOnly, handle);
                Ok(done([opening, attaching, Op::Close { handle }]))
            }
            Err(error) => unopened(&opening, &error),
        }
    }

    fn attach(&mut self, handle: u8, access: Access, slot: u8) -> Result<Told<Model>, String> {
        let Some(region) = self.regions.get(&handle) else { return Ok(vec![]) };
        let mapped = match access {
            Access::ReadWrite => Mapped::Attached(region.attach().map_err(|e| e.to_string())?),
            Access::ReadOnly => Mapped::View(region.reading().map_err(|e| e.to_string())?),
        };
        self.mapped.insert(slot, mapped);
        Ok(done([attaching(handle, access, slot)]))
    }

    fn read(&self, op: &Op, mapping: u8, place: u64, length: u32) -> Told<Model> {
        let (start, end) = (place as usize, place as usize + length as usize);
        let Some(mapped) = self.mapped.get(&mapping).filter(|_| end <= LENGTH) else {
            return vec![];
        };
        let byte = |i: usize| match mapped {
            Mapped::Attached(region) => region.bytes[i].load(),
            Mapped::View(view) => view.load(|region| &region.bytes[i]),
        };
        let bytes: Vec<u8> = (start..end).map(byte).collect();
        vec![(op.clone(), Ret::read(&bytes))]
    }

    fn write(&self, op: &Op, mapping: u8, place: u64, bytes: &[u8]) -> Told<Model> {
        let start = place as usize;
        let Some(Mapped::Attached(region)) = self.mapped.get(&mapping) else { return vec![] };
        let Some(places) = region.bytes.get(start..start + bytes.len()) else { return vec![] };
        places.iter().zip(bytes).for_each(|(place, byte)| place.store(*byte));
        done([op.clone()])
    }
}

fn unopened(opening: &Op, error: &OpenError) -> Result<Told<Model>, String> {
    match error {
        OpenError::NotFound(_) => Ok(refused(opening, Errno::Absent)),
        OpenError::Denied(_) => Ok(refused(opening, Errno::Access)),
        other => Err(other.to_string()),
    }
}

/// The call in the crate's terms: it never truncates, makes what its owner alone can open, and
/// opens a region for reading and writing unless it must exist and is only viewed.
fn opening(name: &str, creation: Creation, access: Access, handle: u8) -> Op {
    let access = if creation == Creation::Never { access } else { Access::ReadWrite };
    Op::Open { name: name.to_owned(), creation, access, truncate: false, mode: 0o600, handle }
}

fn named(opening: &Op) -> &str {
    let Op::Open { name, .. } = opening else { unreachable!("it opens") };
    name
}

fn attaching(handle: u8, access: Access, mapping: u8) -> Op {
    Op::Attach { handle, access, offset: 0, length: LENGTH as u64, mapping }
}

fn main() -> ExitCode {
    let open = |_: &str, prefix: &str| {
        let (regions, mapped) = (HashMap::new(), HashMap::new());
        Ok(Box::new(Own { prefix: prefix.to_owned(), regions, mapped }) as Box<dyn Memory>)
    };
    crates::main(offer, open)
}
