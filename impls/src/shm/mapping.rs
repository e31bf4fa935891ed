//! The shared object of a link in the memory of one end, or of one that only reads.
//!
//! **Truncation.** A nameless object is sealed: nobody can shrink it. The kernel offers no seal
//! for an object with a name. We check its length when we attach, and if another process cuts it
//! off later, a SIGBUS handler has us survive: the verbs answer `Corrupt(Truncated)`. The handler
//! is installed with the first end on an unsealed object and hands on whatever is not ours.

use std::fs::File;
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU8;

use memmap2::MmapRaw;
use nix::errno::Errno;

use super::object::{Control, HEADER, MARK, Shape, seat_byte};
use super::{Memory, Short};
use crate::sync::{AtomicU64, prepare_fences};
use crate::sys::bus::Watch;
use crate::sys::{self, Fault};

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
    pub(super) file: File,
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
    pub(super) fn new(file: File, shape: Shape) -> Result<Mapping<C>, Fault> {
        let nomem = Fault { call: "mmap", errno: Errno::ENOMEM };
        let (Some(bytes), Some(stride)) = (shape.bytes::<C>(), shape.stride()) else {
            return Err(nomem);
        };
        let bytes = usize::try_from(bytes).map_err(|_| nomem)?;
        prepare_fences();
        let map = sys::map(&file, bytes)?;
        let base = NonNull::new(map.as_mut_ptr()).ok_or(nomem)?;
        // SAFETY: `Shape::bytes` counts the header and `C`, so this is inside the map (M1).
        let slots = unsafe { base.add(HEADER + size_of::<C>()) };
        let watch = watched(&file, base, bytes)?;
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
        unsafe { copy_bytes(bytes.as_ptr(), place.as_ptr(), bytes.len()) };
    }

    #[inline]
    unsafe fn copy(&self, slot: usize, at: usize, buffer: &mut [u8]) {
        debug_assert!(at + buffer.len() <= self.shape.size.longest());
        // SAFETY: behind the mark is room for the longest message, and the caller keeps to that.
        let place = unsafe { self.slot(slot).add(MARK + at) };
        // SAFETY: as in `fill`, the other way round.
        unsafe { copy_bytes(place.as_ptr(), buffer.as_mut_ptr(), buffer.len()) };
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

/// Copies bytes. Most short messages have one of these lengths, and with a length that the compiler
/// knows a copy is a move or two; calling `memcpy` takes as long as all the rest of a send.
///
/// # Safety
/// As for [`std::ptr::copy_nonoverlapping`].
#[inline]
unsafe fn copy_bytes(from: *const u8, to: *mut u8, length: usize) {
    match length {
        // SAFETY: the caller vouches for so many bytes.
        4 => unsafe { from.copy_to_nonoverlapping(to, 4) },
        // SAFETY: likewise.
        8 => unsafe { from.copy_to_nonoverlapping(to, 8) },
        // SAFETY: likewise.
        16 => unsafe { from.copy_to_nonoverlapping(to, 16) },
        // SAFETY: likewise.
        _ => unsafe { from.copy_to_nonoverlapping(to, length) },
    }
}

/// A watch, if somebody can cut off what is mapped here.
fn watched(file: &File, base: NonNull<u8>, bytes: usize) -> Result<Option<Watch>, Fault> {
    let sealed = sys::is_sealed(file);
    (!sealed).then(|| Watch::over(base.as_ptr(), bytes)).transpose()
}

/// The first slot's message of an object, mapped so that it can only be read.
///
/// Invariant: `base` is the beginning of that message, and it and the `length` bytes from there on
/// are mapped for reading as long as `self` lives.
pub(crate) struct Reading {
    base: NonNull<u8>,
    length: usize,
    /// As in [`Mapping`].
    watch: Option<Watch>,
    /// Keeps the memory mapped.
    _map: MmapRaw,
}

// SAFETY: the mapping is no thread's own, and it is only copied from.
unsafe impl Send for Reading {}
// SAFETY: as above.
unsafe impl Sync for Reading {}

impl Reading {
    pub(super) fn new<C: Control>(file: &File, shape: Shape) -> Result<Reading, Fault> {
        let nomem = Fault { call: "mmap", errno: Errno::ENOMEM };
        let bytes = shape.bytes::<C>().and_then(|bytes| usize::try_from(bytes).ok());
        let bytes = bytes.ok_or(nomem)?;
        let map = sys::map_for_reading(file, bytes)?;
        let start = NonNull::new(map.as_mut_ptr()).ok_or(nomem)?;
        let watch = watched(file, start, bytes)?;
        // SAFETY: `Shape::bytes` counts the header, `C` and the first slot, so this is inside.
        let base = unsafe { start.add(HEADER + size_of::<C>() + MARK) };
        Ok(Reading { base, length: shape.size.longest(), watch, _map: map })
    }

    /// Copies a value out.
    ///
    /// # Panics
    /// If it does not lie inside the message, or not at a multiple of its alignment.
    ///
    /// # Safety
    /// Any bytes are a valid `P`.
    pub(crate) unsafe fn load<P: Copy>(&self, at: usize) -> P {
        let end = at.checked_add(size_of::<P>());
        assert!(end.is_some_and(|end| end <= self.length), "outside of the region");
        // SAFETY: inside the message, as was just checked.
        let place = unsafe { self.base.add(at).cast::<P>() };
        assert!(place.is_aligned(), "the place is not aligned");
        // SAFETY: mapped and aligned; any bytes will do. Volatile, because others change it.
        unsafe { place.read_volatile() }
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.watch.as_ref().is_some_and(Watch::is_cut)
    }
}
