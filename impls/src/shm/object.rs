//! The shared object of a link: making, opening, checking and mapping it.
//!
//! It begins with 128 bytes that say what it is (see `Shape`), written once, read with `pread`
//! into private memory and never looked at again, so that nobody can change them under us. Then
//! come the atomics that the ends share, then the slots.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::Duration;

use nix::errno::Errno;

use super::Memory;
pub use super::error::{AttachError, CreateError, OpenError, OpenOrCreateError, UnlinkError};
use super::mapping::{Mapping, Reading};
use super::name::Name;
use super::roster::{Role, Roster, Seat};
use crate::links::Size;
use crate::sync::SEATS;
use crate::sys::{self, Fault, Opening};

/// Seats for each role on a link by loan; each has a buffer of its own.
pub(crate) const LOAN_SEATS: usize = if SEATS < 8 { SEATS } else { 8 };
/// A link by loan names a buffer with 24 bits.
pub(super) const LARGEST_LOAN_CAPACITY: usize = 1 << 23;
const MAGIC: [u8; 8] = *b"ipc-link";
/// Changes with every change of the layout.
pub(super) const VERSION: u32 = 3;
pub(crate) const HEADER: usize = 128;
pub(super) const MARK: usize = size_of::<u64>();
/// Capacities stay below the number after which the stamps in the marks repeat.
pub(super) const LARGEST_CAPACITY: usize = 1 << 30;
/// How long to wait for a creator that is between two steps.
const CREATION: Duration = Duration::from_secs(2);
/// The byte whose lock says that somebody is making the object. Seats follow it.
const MAKING: u16 = 0;

/// The algorithm that a link's memory is laid out for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// One sender, one receiver, bounded.
    Ring,
    /// Many senders, many receivers, bounded.
    Mpmc,
    /// Many senders, many receivers, nothing waits.
    Rendezvous,
    /// Many senders, many receivers, unbounded.
    Unbounded,
    /// Many senders, many receivers, bounded, by loan.
    Loan,
    /// No link: memory that its users lay out.
    Region,
}

/// What a link is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many messages can wait: exactly so many, at least 1.
    pub capacity: usize,
    /// Which lengths a message may have.
    pub size: Size,
}

/// What the header says. Every number in it is checked before it is believed.
///
/// Bytes 0 to 7 magic, 8 version, 12 kind, 16 capacity, 24 longest message, 32 whether only that
/// length is taken; little-endian; the rest of the 128 is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    pub(crate) capacity: usize,
    pub(crate) size: Size,
}

/// Atomics that the ends of one kind of link share.
///
/// # Safety
/// All fields are atomics or made of such, and zeroes are the state of a new link.
pub(crate) unsafe trait Control {
    fn roster(&self) -> &Roster;
}

/// An open object, not yet mapped.
#[derive(Debug)]
pub(crate) struct Object {
    file: File,
    shape: Shape,
}

impl Shape {
    pub(crate) fn new(kind: Kind, options: Options) -> Result<Shape, CreateError> {
        let Options { capacity, size } = options;
        let possible = match kind {
            Kind::Rendezvous => capacity == 0,
            Kind::Loan => (1..=LARGEST_LOAN_CAPACITY).contains(&capacity),
            _ => (1..=LARGEST_CAPACITY).contains(&capacity),
        };
        if !possible {
            return Err(CreateError::Capacity { capacity });
        }
        Ok(Shape { kind, capacity, size })
    }

    /// From one slot to the next.
    pub(super) fn stride(&self) -> Option<usize> {
        self.size.longest().checked_next_multiple_of(MARK)?.checked_add(MARK)
    }

    /// Places for a message: as many as may wait, or one for each end that may.
    pub(crate) fn slots(&self) -> usize {
        match self.kind {
            Kind::Rendezvous => 2 * SEATS,
            Kind::Loan => self.capacity + 2 * LOAN_SEATS,
            _ => self.capacity,
        }
    }

    /// Length of the object. `None` if there is no such number.
    pub(super) fn bytes<C>(&self) -> Option<u64> {
        // A length that a message's mark has no room for is refused as too long here.
        u32::try_from(self.size.longest()).ok()?;
        let slots = self.stride()?.checked_mul(self.slots())?;
        let bytes = slots.checked_add(HEADER + size_of::<C>())?;
        (bytes <= isize::MAX as usize).then_some(bytes as u64)
    }

    /// How much of the object has memory behind it from the beginning.
    fn reserved<C>(&self, bytes: u64) -> u64 {
        match self.kind {
            Kind::Unbounded => (HEADER + size_of::<C>()) as u64,
            _ => bytes,
        }
    }

    /// The bytes for slots of an unbounded link.
    pub(crate) fn budget(&self) -> u64 {
        self.stride().and_then(|stride| stride.checked_mul(self.slots())).unwrap_or(0) as u64
    }

    /// How many slots of this size go into so many bytes.
    pub(crate) fn fitting(bytes: usize, size: Size) -> usize {
        let one = Shape { kind: Kind::Ring, capacity: 1, size };
        one.stride().map_or(0, |stride| bytes / stride)
    }

    fn encode(&self) -> [u8; HEADER] {
        let (longest, fixed) = match self.size {
            Size::Fixed(length) => (length, 1),
            Size::UpTo(length) => (length, 0u32),
        };
        let mut header = [0; HEADER];
        header[0..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[12..16].copy_from_slice(&self.kind.number().to_le_bytes());
        header[16..24].copy_from_slice(&(self.capacity as u64).to_le_bytes());
        header[24..32].copy_from_slice(&(longest as u64).to_le_bytes());
        header[32..36].copy_from_slice(&fixed.to_le_bytes());
        header
    }

    fn decode(header: &[u8; HEADER], kind: Kind, name: &str) -> Result<Shape, OpenError> {
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| header[at + i]));
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| header[at + i]));
        let name = || name.to_owned();
        let magic: [u8; 8] = std::array::from_fn(|i| header[i]);
        if magic == [0; 8] {
            return Err(OpenError::Unfinished(name()));
        }
        if magic != MAGIC {
            return Err(OpenError::WrongMagic { name: name(), found: magic });
        }
        if word(8) != VERSION {
            return Err(OpenError::OtherVersion { name: name(), found: word(8) });
        }
        if word(12) != kind.number() {
            return Err(OpenError::OtherKind { name: name(), found: word(12), expected: kind });
        }
        let nonsense = || OpenError::Nonsense(name());
        let capacity = usize::try_from(long(16)).map_err(|_| nonsense())?;
        let longest = usize::try_from(long(24)).map_err(|_| nonsense())?;
        let size = match word(32) {
            0 => Size::UpTo(longest),
            1 => Size::Fixed(longest),
            _ => return Err(nonsense()),
        };
        Shape::new(kind, Options { capacity, size }).map_err(|_| nonsense())
    }
}

impl Kind {
    fn number(self) -> u32 {
        match self {
            Kind::Ring => 1,
            Kind::Mpmc => 2,
            Kind::Rendezvous => 3,
            Kind::Unbounded => 4,
            Kind::Loan => 5,
            Kind::Region => 6,
        }
    }
}

impl Object {
    pub(crate) fn create<C: Control>(name: &str, shape: Shape) -> Result<Object, CreateError> {
        let name = Name::new(name)?;
        let file = loop {
            let file = match sys::shm_open(name.as_c(), Opening::Exclusive) {
                Ok(file) => file,
                Err(Errno::EEXIST) => return Err(CreateError::Exists(name)),
                Err(Errno::EACCES | Errno::EPERM) => return Err(CreateError::Denied(name)),
                Err(errno) => return Err(Fault { call: "shm_open", errno }.into()),
            };
            lock_making(&file)?;
            // Whoever came between our two steps may have failed, and taken the name away.
            if is_named(&file)? {
                break file;
            }
        };
        if length(&file)? > 0 {
            // Somebody who opens or creates came between our two steps. The name is theirs.
            return Err(CreateError::Exists(name));
        }
        Object::finish::<C>(&file, shape).inspect_err(|_| forget(&name))?;
        sys::unlock_byte(&file, MAKING).map_err(Fault::of("fcntl"))?;
        Ok(Object { file, shape })
    }

    pub(crate) fn anonymous<C: Control>(shape: Shape) -> Result<Object, CreateError> {
        let bytes = shape.bytes::<C>().ok_or_else(|| too_large(&shape))?;
        let reserved = shape.reserved::<C>(bytes);
        let file = sys::sealed_memory(reserved, bytes).map_err(|errno| no_room(errno, bytes))?;
        write_header(&file, &shape)?;
        Ok(Object { file, shape })
    }

    pub(crate) fn open<C: Control>(name: &str, kind: Kind) -> Result<Object, OpenError> {
        Object::find::<C>(name, kind, Opening::Existing)
    }

    /// As [`Object::open`], where permission to read is enough.
    pub(crate) fn open_for_reading<C: Control>(
        name: &str,
        kind: Kind,
    ) -> Result<Object, OpenError> {
        Object::find::<C>(name, kind, Opening::Reading)
    }

    fn find<C>(name: &str, kind: Kind, opening: Opening) -> Result<Object, OpenError> {
        let name = Name::new(name)?;
        let file = match sys::shm_open(name.as_c(), opening) {
            Ok(file) => file,
            Err(Errno::ENOENT) => return Err(OpenError::NotFound(name)),
            Err(Errno::EACCES | Errno::EPERM) => return Err(OpenError::Denied(name)),
            Err(errno) => return Err(Fault { call: "shm_open", errno }.into()),
        };
        let text = name.to_string();
        // A creator takes the lock only after the name is there. Between the two the object is
        // empty and unlocked, which is over in no time, unless the creator was killed there.
        let patience = sys::now() + CREATION;
        // Who may not write may not lock, and reads what the creator writes last.
        let locks = opening != Opening::Reading;
        loop {
            if locks {
                lock_making(&file)?;
            }
            let read = Object::from_file::<C>(&file, kind, &text);
            if locks {
                sys::unlock_byte(&file, MAKING).map_err(Fault::of("fcntl"))?;
            }
            match read {
                Err(OpenError::Unfinished(_)) if sys::now() < patience => pause(),
                read => return read.map(|shape| Object { file, shape }),
            }
        }
    }

    pub(crate) fn open_or_create<C: Control>(
        name: &str,
        shape: Shape,
    ) -> Result<Object, OpenOrCreateError> {
        let name = Name::new(name).map_err(OpenError::Name)?;
        let file = loop {
            let file = match sys::shm_open(name.as_c(), Opening::Either) {
                Ok(file) => file,
                Err(Errno::EACCES | Errno::EPERM) => return Err(OpenError::Denied(name).into()),
                Err(errno) => {
                    return Err(OpenError::System(Fault { call: "shm_open", errno }).into());
                }
            };
            lock_making(&file).map_err(OpenError::System)?;
            // Whoever was at it may have failed, and taken the name away.
            if is_named(&file).map_err(OpenError::System)? {
                break file;
            }
        };
        let shape = match Object::from_file::<C>(&file, shape.kind, &name.to_string()) {
            Ok(found) => found,
            // The lock is ours, so whoever was at it is dead, or has yet to come and will find
            // our link.
            Err(OpenError::Unfinished(_)) => {
                Object::finish::<C>(&file, shape).inspect_err(|_| forget(&name))?;
                shape
            }
            Err(error) => return Err(error.into()),
        };
        let unlocked = sys::unlock_byte(&file, MAKING);
        unlocked.map_err(|errno| OpenError::System(Fault { call: "fcntl", errno }))?;
        Ok(Object { file, shape })
    }

    pub(crate) fn unlink(name: &str) -> Result<(), UnlinkError> {
        let name = Name::new(name)?;
        match sys::shm_unlink(name.as_c()) {
            Ok(()) => Ok(()),
            Err(Errno::ENOENT) => Err(UnlinkError::NotFound(name)),
            Err(Errno::EACCES | Errno::EPERM) => Err(UnlinkError::Denied(name)),
            Err(errno) => Err(Fault { call: "shm_unlink", errno }.into()),
        }
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// An object that came some other way than by name.
    pub(crate) fn adopt<C: Control>(file: File, kind: Kind) -> Result<Object, OpenError> {
        let shape = Object::from_file::<C>(&file, kind, "the object")?;
        Ok(Object { file, shape })
    }

    fn finish<C>(file: &File, shape: Shape) -> Result<(), CreateError> {
        let bytes = shape.bytes::<C>().ok_or_else(|| too_large(&shape))?;
        let reserved = shape.reserved::<C>(bytes);
        sys::allocate(file, reserved).map_err(|errno| no_room(errno, reserved))?;
        if reserved < bytes {
            sys::lengthen(file, bytes).map_err(Fault::of("ftruncate"))?;
        }
        Ok(write_header(file, &shape)?)
    }

    fn from_file<C>(file: &File, kind: Kind, name: &str) -> Result<Shape, OpenError> {
        let found = length(file)?;
        if found == 0 {
            return Err(OpenError::Unfinished(name.to_owned()));
        }
        let needed = HEADER as u64;
        if found < needed {
            return Err(OpenError::Truncated { name: name.to_owned(), found, needed });
        }
        let mut header = [0; HEADER];
        let read = file.read_exact_at(&mut header, 0);
        read.map_err(|error| Fault { call: "pread", errno: sys::errno(&error) })?;
        let shape = Shape::decode(&header, kind, name)?;
        let needed = shape.bytes::<C>().ok_or_else(|| OpenError::Nonsense(name.to_owned()))?;
        if found < needed {
            return Err(OpenError::Truncated { name: name.to_owned(), found, needed });
        }
        Ok(shape)
    }

    /// Maps the object for one who only reads: it takes no seat, so nobody waits for it.
    pub(crate) fn read<C: Control>(&self) -> Result<Reading, Fault> {
        Reading::new::<C>(&self.file, self.shape)
    }

    /// Maps the object for one end and takes a seat among `seats` for it.
    pub(crate) fn attach<C: Control>(
        &self,
        role: Role,
        seats: usize,
    ) -> Result<(Mapping<C>, Seat), AttachError> {
        let memory: Mapping<C> = Mapping::new(sys::reopen(&self.file)?, self.shape)?;
        for index in role.seats(seats) {
            if sys::lock_byte(&memory.file, seat_byte(index)).map_err(Fault::of("fcntl"))? {
                let seat = memory.control().roster().enter(index);
                return Ok((memory, seat));
            }
        }
        Err(AttachError::Taken { role, seats })
    }
}

pub(super) fn seat_byte(index: usize) -> u16 {
    // Seats are few; see `SEATS`.
    MAKING + 1 + index as u16
}

fn length(file: &File) -> Result<u64, Fault> {
    let metadata = file.metadata();
    Ok(metadata.map_err(|error| Fault { call: "fstat", errno: sys::errno(&error) })?.len())
}

/// Takes the lock for making the object, which is held for some system calls only.
fn lock_making(file: &File) -> Result<(), Fault> {
    let patience = sys::now() + CREATION;
    while !sys::lock_byte(file, MAKING).map_err(Fault::of("fcntl"))? {
        if sys::now() > patience {
            return Err(Fault { call: "fcntl", errno: Errno::EAGAIN });
        }
        pause();
    }
    Ok(())
}

/// Takes the name away from an object that could not be finished, by whoever has the lock for making
/// it. If it cannot be removed, the first error is still the one to report.
fn forget(name: &Name) {
    let _ = sys::shm_unlink(name.as_c());
}

/// Whether the object has a name.
fn is_named(file: &File) -> Result<bool, Fault> {
    let metadata = file.metadata();
    Ok(metadata.map_err(|error| Fault { call: "fstat", errno: sys::errno(&error) })?.nlink() > 0)
}

/// Gives a process that is between two system calls time to make the next.
fn pause() {
    std::thread::sleep(Duration::from_millis(1));
}

fn write_header(file: &File, shape: &Shape) -> Result<(), Fault> {
    let written = file.write_all_at(&shape.encode(), 0);
    written.map_err(|error| Fault { call: "pwrite", errno: sys::errno(&error) })
}

fn no_room(errno: Errno, bytes: u64) -> CreateError {
    match errno {
        Errno::ENOSPC | Errno::ENOMEM => CreateError::NoRoom { bytes },
        errno => Fault { call: "posix_fallocate", errno }.into(),
    }
}

fn too_large(shape: &Shape) -> CreateError {
    CreateError::TooLarge { capacity: shape.capacity, longest: shape.size.longest() }
}
