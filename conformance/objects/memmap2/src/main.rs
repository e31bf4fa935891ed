//! `memmap2` held against the model of regions, over files and over a memfd. Opening, sizes and
//! names are those of `std::fs`, and no claims of the crate.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;

use ipc_conformance::objects::crates::{Memory, done, refused};
use ipc_conformance::objects::{Offer, Told, access, crates, in_a_file, memory, real, refusal};
use ipc_model::region::{Access, Creation, Op, Region, Ret};
use memmap2::{Mmap, MmapMut, MmapOptions};

/// A part of a file, mapped.
enum Map {
    Read(Mmap),
    Write(MmapMut),
}

/// A mapping, and how far before its first byte its first page begins.
struct Mapped {
    map: Map,
    shift: u64,
}

struct Files {
    prefix: String,
    /// Whether there is one object alone, which has no name.
    nameless: bool,
    files: HashMap<u8, File>,
    mapped: HashMap<u8, Mapped>,
}

fn offer(name: &str) -> Option<Offer> {
    let lock = include_str!("../../../../Cargo.lock");
    let version = ipc_conformance::version_of("memmap2", lock);
    let nameless = name == "memmap2-memfd";
    let offer = Offer { version, nameless, ..Offer::default() }
        .claiming(&[
            ("Mapping", "any part of an open file, from any byte on, for reading or for writing"),
            ("Lifetime", "a mapping does not need the file that it was made of"),
        ])
        .documented(&[
            "memmap2, Mmap: remains valid even after the File is dropped, unmapped when dropped",
            "memmap2, MmapMut: a mutable memory mapped buffer",
            "memmap2, MmapOptions::offset, len: from which byte on, and how many",
            "memmap2, MmapOptions::map, map_mut: errors, such as a file not open for that",
            "memmap2, MmapOptions: the file may be modified meanwhile, at one's own risk",
        ])
        .without(&["region.create.*", "region.open.*", "region.unlink.*"], FILE)
        .without(&["region.size.*", "region.name.*"], FILE)
        .without(&["region.detach.absent.*", "region.*.closed.refused"], GONE)
        .without(&["region.access.unattached.*", "region.access.after-both"], GONE)
        .without(&["*.tail.*", "*.dirty-tail.*", "*.beyond-end.*"], END)
        .without(&["region.write.read-only.*"], "a map for reading has no such call")
        .without(&["region.attach.unaligned.*"], "it maps the whole page, and begins within it")
        .without(&["region.attach.empty.*"], "it maps a byte, and shows none");
    match name {
        "memmap2-file" => Some(offer),
        "memmap2-memfd" => {
            Some(offer.without(&["region.attach.read-only-handle.*"], "a memfd is open for both"))
        }
        _ => None,
    }
}

/// Why names and sizes are not claimed.
const FILE: &str = "names and sizes are the file's: the crate maps what is open";
/// Why what lies behind the end of the file is not claimed.
const END: &str = "what lies behind the file's end is left to the system";
/// Why what is asked of something that is gone has no answer.
const GONE: &str = "what is dropped cannot be used";

impl Memory for Files {
    fn call(&mut self, op: &Op) -> Result<Told<Region>, String> {
        match op {
            Op::Open { name, creation, access, handle, .. } if !self.nameless => {
                self.open(name, *creation, *access, *handle)
            }
            Op::Unlink { name } if !self.nameless => {
                told(op, std::fs::remove_file(in_a_file(&real(&self.prefix, name))))
            }
            Op::SetSize { handle, size } => match self.files.get(handle) {
                Some(file) => told(op, file.set_len(*size)),
                None => Ok(vec![]),
            },
            Op::GetSize { handle } => match self.files.get(handle).map(File::metadata) {
                Some(Ok(metadata)) => Ok(vec![(op.clone(), Ret::Size(metadata.len()))]),
                Some(Err(error)) => Err(error.to_string()),
                None => Ok(vec![]),
            },
            Op::Attach { handle, access, offset, length, mapping } if *length > 0 => {
                self.attach(*handle, *access, *offset..*offset + *length, *mapping)
            }
            Op::Read { mapping, place, length } => {
                self.access(*mapping, *place, &mut vec![0; *length as usize], false)
            }
            Op::Write { mapping, place, bytes } => {
                self.access(*mapping, *place, &mut bytes.clone(), true)
            }
            Op::Detach { mapping } => {
                Ok(self.mapped.remove(mapping).map_or(vec![], |_| done([op.clone()])))
            }
            Op::Close { handle } => {
                Ok(self.files.remove(handle).map_or(vec![], |_| done([op.clone()])))
            }
            _ => Ok(vec![]),
        }
    }
}

impl Files {
    fn new(name: &str, prefix: &str) -> Result<Self, String> {
        let nameless = name == "memmap2-memfd";
        let (prefix, mut files, mapped) = (prefix.to_owned(), HashMap::new(), HashMap::new());
        if nameless {
            let file = OpenOptions::new().read(true).write(true).open(&prefix);
            files.insert(0, file.map_err(|e| format!("{prefix}: {e}"))?);
        }
        Ok(Self { prefix, nameless, files, mapped })
    }

    /// With a mode that lets everybody do everything: modes say nothing to root.
    fn open(
        &mut self,
        name: &str,
        creation: Creation,
        access: Access,
        handle: u8,
    ) -> Result<Told<Region>, String> {
        let (truncate, mode) = (false, 0o666);
        if creation != Creation::Never && access == Access::ReadOnly {
            // `std::fs` creates no file that it cannot write to.
            return Ok(vec![]);
        }
        let op = Op::Open { name: name.to_owned(), creation, access, truncate, mode, handle };
        let mut options = OpenOptions::new();
        options.read(true).write(access == Access::ReadWrite).mode(mode.into());
        options.create(creation == Creation::OrOpen).create_new(creation == Creation::Exclusive);
        match options.open(in_a_file(&real(&self.prefix, name))) {
            Ok(file) => {
                self.files.insert(handle, file);
                Ok(done([op]))
            }
            Err(error) => Ok(refused(&op, refusal(&error)?)),
        }
    }

    fn attach(
        &mut self,
        handle: u8,
        access: Access,
        bytes: std::ops::Range<u64>,
        mapping: u8,
    ) -> Result<Told<Region>, String> {
        let Some(file) = self.files.get(&handle) else { return Ok(vec![]) };
        let shift = bytes.start % memory().page;
        let (offset, length) = (bytes.start - shift, bytes.end - bytes.start + shift);
        let op = Op::Attach { handle, access, offset, length, mapping };
        let mut options = MmapOptions::new();
        options.offset(bytes.start).len((bytes.end - bytes.start) as usize);
        let map = match access {
            // SAFETY: no reference to what is mapped is ever made.
            Access::ReadOnly => unsafe { options.map(file) }.map(Map::Read),
            // SAFETY: as above.
            Access::ReadWrite => unsafe { options.map_mut(file) }.map(Map::Write),
        };
        match map {
            Ok(map) => {
                self.mapped.insert(mapping, Mapped { map, shift });
                Ok(done([op]))
            }
            Err(error) => Ok(refused(&op, refusal(&error)?)),
        }
    }

    /// Accesses bytes of a mapping, which may fault where the file does not reach so far.
    fn access(
        &self,
        mapping: u8,
        place: u64,
        bytes: &mut [u8],
        write: bool,
    ) -> Result<Told<Region>, String> {
        let Some(Mapped { map, shift }) = self.mapped.get(&mapping) else { return Ok(vec![]) };
        let (start, length) = match map {
            Map::Read(_) if write => return Ok(vec![]),
            Map::Read(map) => (map.as_ptr().addr(), map.len()),
            Map::Write(map) => (map.as_ptr().addr(), map.len()),
        };
        if place as usize + bytes.len() > length {
            return Ok(vec![]);
        }
        let op = if write {
            Op::Write { mapping, place: place + shift, bytes: bytes.to_vec() }
        } else {
            Op::Read { mapping, place: place + shift, length: bytes.len() as u32 }
        };
        let ret = access(start + place as usize, bytes, write)?;
        Ok(vec![(op, ret)])
    }
}

fn told(op: &Op, result: io::Result<()>) -> Result<Told<Region>, String> {
    match result {
        Ok(()) => Ok(done([op.clone()])),
        Err(error) => Ok(refused(op, refusal(&error)?)),
    }
}

fn main() -> ExitCode {
    let open = |name: &str, prefix: &str| {
        Files::new(name, prefix).map(|files| Box::new(files) as Box<dyn Memory>)
    };
    crates::main(offer, open)
}
