//! The shared object of a link: making, opening, checking and mapping it.
//!
//! It begins with 128 bytes that say what it is (see `Shape`), written once, read with `pread`
//! into private memory and never looked at again, so that nobody can change them under us. Then
//! come the atomics that the ends share, then the slots.
//!
//! **Truncation.** A nameless object is sealed: nobody can shrink it. The kernel offers no seal
//! for an object with a name. We check its length when we attach, and if another process cuts it
//! off later, a SIGBUS handler has us survive: the verbs answer `Corrupt(Truncated)`. The handler
//! is installed with the first end on an unsealed object and hands on whatever is not ours.

use std::fs::File;
use std::marker::PhantomData;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU8;
use std::time::Duration;

use memmap2::MmapRaw;
use nix::errno::Errno;

pub use super::error::{AttachError, CreateError, OpenError, OpenOrCreateError, UnlinkError};
use super::name::Name;
use super::roster::{Role, Roster, Seat};
use super::{Memory, Short};
use crate::links::Size;
use crate::sync::{AtomicU64, SEATS};
use crate::sys::bus::Watch;
use crate::sys::{self, Fault, Opening};

/// Seats for each role on a link by loan; each has a buffer of its own.
pub(crate) const LOAN_SEATS: usize = if SEATS < 8 { SEATS } else { 8 };
/// A link by loan names a buffer with 24 bits.
pub(super) const LARGEST_LOAN_CAPACITY: usize = 1 << 23;
const MAGIC: [u8; 8] = *b"ipc-link";
/// Changes with every change of the layout.
pub(super) const VERSION: u32 = 1;
pub(crate) const HEADER: usize = 128;
const MARK: usize = size_of::<u64>();
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
    fn stride(&self) -> Option<usize> {
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
    fn bytes<C>(&self) -> Option<u64> {
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
        }
    }
}

impl Object {
    pub(crate) fn create<C: Control>(name: &str, shape: Shape) -> Result<Object, CreateError> {
        let name = Name::new(name)?;
        let file = match sys::shm_open(name.as_c(), Opening::Exclusive) {
            Ok(file) => file,
            Err(Errno::EEXIST) => return Err(CreateError::Exists(name)),
            Err(Errno::EACCES | Errno::EPERM) => return Err(CreateError::Denied(name)),
            Err(errno) => return Err(Fault { call: "shm_open", errno }.into()),
        };
        lock_making(&file)?;
        if length(&file)? > 0 {
            // Somebody who opens or creates came between our two steps. The name is theirs.
            return Err(CreateError::Exists(name));
        }
        let object = Object::finish::<C>(file, shape).inspect_err(|_| {
            // The name is ours, and nothing is behind it. If it cannot be removed, the first
            // error is still the one to report.
            let _ = sys::shm_unlink(name.as_c());
        })?;
        sys::unlock_byte(&object.file, MAKING).map_err(Fault::of("fcntl"))?;
        Ok(object)
    }

    pub(crate) fn anonymous<C: Control>(shape: Shape) -> Result<Object, CreateError> {
        let bytes = shape.bytes::<C>().ok_or_else(|| too_large(&shape))?;
        let reserved = shape.reserved::<C>(bytes);
        let file = sys::sealed_memory(reserved, bytes).map_err(|errno| no_room(errno, bytes))?;
        write_header(&file, &shape)?;
        Ok(Object { file, shape })
    }

    pub(crate) fn open<C: Control>(name: &str, kind: Kind) -> Result<Object, OpenError> {
        let name = Name::new(name)?;
        let file = match sys::shm_open(name.as_c(), Opening::Existing) {
            Ok(file) => file,
            Err(Errno::ENOENT) => return Err(OpenError::NotFound(name)),
            Err(Errno::EACCES | Errno::EPERM) => return Err(OpenError::Denied(name)),
            Err(errno) => return Err(Fault { call: "shm_open", errno }.into()),
        };
        let text = name.to_string();
        // A creator takes the lock only after the name is there. Between the two the object is
        // empty and unlocked, which is over in no time, unless the creator was killed there.
        let patience = sys::now() + CREATION;
        loop {
            lock_making(&file)?;
            let read = Object::from_file::<C>(&file, kind, &text);
            sys::unlock_byte(&file, MAKING).map_err(Fault::of("fcntl"))?;
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
        let file = match sys::shm_open(name.as_c(), Opening::Either) {
            Ok(file) => file,
            Err(Errno::EACCES | Errno::EPERM) => return Err(OpenError::Denied(name).into()),
            Err(errno) => return Err(OpenError::System(Fault { call: "shm_open", errno }).into()),
        };
        lock_making(&file).map_err(OpenError::System)?;
        let object = match Object::from_file::<C>(&file, shape.kind, &name.to_string()) {
            Ok(shape) => Object { file, shape },
            // The lock is ours, so whoever was at it is dead, or has yet to come and will find
            // our link.
            Err(OpenError::Unfinished(_)) => Object::finish::<C>(file, shape)?,
            Err(error) => return Err(error.into()),
        };
        let unlocked = sys::unlock_byte(&object.file, MAKING);
        unlocked.map_err(|errno| OpenError::System(Fault { call: "fcntl", errno }))?;
        Ok(object)
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

    fn finish<C>(file: File, shape: Shape) -> Result<Object, CreateError> {
        let bytes = shape.bytes::<C>().ok_or_else(|| too_large(&shape))?;
        let reserved = shape.reserved::<C>(bytes);
        sys::allocate(&file, reserved).map_err(|errno| no_room(errno, reserved))?;
        if reserved < bytes {
            sys::lengthen(&file, bytes).map_err(Fault::of("ftruncate"))?;
        }
        write_header(&file, &shape)?;
        Ok(Object { file, shape })
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

/// The memory of a link, mapped for one end.
///
/// Invariants:
/// * M1: `base` is the beginning of `map`, page-aligned and mapped for reading and writing as
///   long as `self` lives; `map` is as long as the shape says.
/// * M2: the `C` at `HEADER` and the marks are only ever read and written as atomics.
/// * M3: no reference to the bytes of a slot is made, because another process may change them.
pub(crate) struct Mapping<C> {
    base: NonNull<u8>,
    slots: NonNull<u8>,
    stride: usize,
    shape: Shape,
    file: File,
    /// There if the object is not sealed. Before the map, so that it is dropped before.
    watch: Option<Watch>,
    /// Keeps the memory mapped.
    _map: MmapRaw,
    control: PhantomData<C>,
}

// SAFETY: the mapping is no thread's own, and all access to it is by atomics or by the rules of
// `Memory::fill` and `Memory::copy`.
unsafe impl<C: Control> Send for Mapping<C> {}

impl<C: Control> Mapping<C> {
    fn new(file: File, shape: Shape) -> Result<Mapping<C>, Fault> {
        let nomem = Fault { call: "mmap", errno: Errno::ENOMEM };
        let (Some(bytes), Some(stride)) = (shape.bytes::<C>(), shape.stride()) else {
            return Err(nomem);
        };
        let bytes = usize::try_from(bytes).map_err(|_| nomem)?;
        let map = sys::map(&file, bytes)?;
        let base = NonNull::new(map.as_mut_ptr()).ok_or(nomem)?;
        // SAFETY: `Shape::bytes` counts the header and `C`, so this is inside the map (M1).
        let slots = unsafe { base.add(HEADER + size_of::<C>()) };
        let sealed = sys::is_sealed(&file);
        let watch = (!sealed).then(|| Watch::over(base.as_ptr(), bytes)).transpose()?;
        Ok(Mapping { base, slots, stride, shape, file, watch, _map: map, control: PhantomData })
    }

    /// The beginning of a slot's message. As atomics, because other processes may write there.
    pub(crate) fn bytes(&self, slot: usize, length: usize) -> &[AtomicU8] {
        assert!(slot < self.shape.slots() && length <= self.shape.size.longest());
        // SAFETY: behind the mark is room for the longest message.
        let bytes = unsafe { self.slot(slot).add(MARK) };
        // SAFETY: inside the map (M1), which lives as long as the result, and atomics may change
        // under us (M3).
        unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast::<AtomicU8>(), length) }
    }

    /// The pages of the object that these slots touch, or those that are theirs alone.
    fn pages(&self, slots: Range<usize>, touched: bool) -> Range<u64> {
        let page = sys::page();
        let first = HEADER + size_of::<C>();
        let (start, end) = (first + slots.start * self.stride, first + slots.end * self.stride);
        let (start, end) = match touched {
            true => (start / page * page, end.next_multiple_of(page)),
            false => (start.next_multiple_of(page), end / page * page),
        };
        start as u64..end as u64
    }

    #[inline]
    fn slot(&self, slot: usize) -> NonNull<u8> {
        debug_assert!(slot < self.shape.slots());
        // SAFETY: `slot` is below the number of slots, so this is inside the map (M1).
        unsafe { self.slots.add(slot * self.stride) }
    }
}

impl<C: Control> Memory<C> for Mapping<C> {
    #[inline]
    fn control(&self) -> &C {
        // SAFETY: inside the map (M1).
        let control = unsafe { self.base.add(HEADER) };
        // SAFETY: `C` is all atomics, of which zeroes or anything else is a valid value, and
        // nobody uses these bytes otherwise (M2). HEADER is a multiple of its alignment.
        unsafe { control.cast::<C>().as_ref() }
    }

    #[inline]
    fn mark(&self, slot: usize) -> &AtomicU64 {
        // SAFETY: a slot begins with its mark, used only as an atomic (M2), at a multiple of 8.
        unsafe { self.slot(slot).cast::<AtomicU64>().as_ref() }
    }

    #[inline]
    unsafe fn fill(&self, slot: usize, at: usize, bytes: &[u8]) {
        debug_assert!(at + bytes.len() <= self.shape.size.longest());
        // SAFETY: behind the mark is room for the longest message, and the caller keeps to that.
        let place = unsafe { self.slot(slot).add(MARK + at) };
        // SAFETY: as above; and `bytes` is private memory, so the two do not overlap. Only a
        // hostile process touches the place now, and whatever it writes are bytes (M3).
        unsafe { place.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    #[inline]
    unsafe fn copy(&self, slot: usize, at: usize, buffer: &mut [u8]) {
        debug_assert!(at + buffer.len() <= self.shape.size.longest());
        // SAFETY: behind the mark is room for the longest message, and the caller keeps to that.
        let place = unsafe { self.slot(slot).add(MARK + at) };
        // SAFETY: as in `fill`, the other way round.
        unsafe { place.as_ptr().copy_to_nonoverlapping(buffer.as_mut_ptr(), buffer.len()) };
    }

    fn commit(&self, slots: Range<usize>) -> Result<(), Short> {
        let range = self.pages(slots, true);
        let bytes = range.end - range.start;
        sys::allocate_range(&self.file, range).map_err(|_| Short { bytes })
    }

    fn give_back(&self, slots: Range<usize>) {
        let range = self.pages(slots, false);
        if range.start < range.end {
            // If the kernel keeps the memory, the link has what it had before.
            let _ = sys::punch(&self.file, range);
        }
    }

    #[inline]
    fn is_cut(&self) -> bool {
        self.watch.as_ref().is_some_and(Watch::is_cut)
    }

    fn is_held(&self, seat: usize) -> bool {
        sys::is_byte_locked(&self.file, seat_byte(seat))
    }
}

fn seat_byte(index: usize) -> u16 {
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
        Errno::ENOSPC | Errno::EFBIG | Errno::ENOMEM => CreateError::NoRoom { bytes },
        errno => Fault { call: "posix_fallocate", errno }.into(),
    }
}

fn too_large(shape: &Shape) -> CreateError {
    CreateError::TooLarge { capacity: shape.capacity, longest: shape.size.longest() }
}
