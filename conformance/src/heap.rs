//! A heap that the processes of a stepped run share, so that links which join threads, and share
//! what they allocate, can be interleaved between processes all the same.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The allocator of an adapter whose links live in the heap. It is the system's, except that in a
/// stepped run whatever the link allocates lies in memory that all processes of a world share, at
/// the same address in each, and is given back with the world.
///
/// ```text
/// #[global_allocator]
/// static HEAP: ipc_conformance::SharedHeap = ipc_conformance::SharedHeap;
/// ```
#[derive(Debug)]
pub struct SharedHeap;

/// Where the shared heap lies, far from where the kernel puts anything else.
const ADDRESS: usize = 0x2000_0000_0000;

/// Its length: nothing in it is freed before its world ends, and worlds are short.
const LENGTH: usize = 64 << 20;

/// Whether this program's allocator is a [`SharedHeap`].
static PRESENT: AtomicBool = AtomicBool::new(false);

/// The counter of bytes taken; null: this process allocates from the system's heap. It lies in
/// memory that all processes share, but that does not count as the link's.
static TAKEN: std::sync::atomic::AtomicPtr<AtomicUsize> =
    std::sync::atomic::AtomicPtr::new(std::ptr::null_mut());

fn is_shared(pointer: *mut u8) -> bool {
    (ADDRESS..ADDRESS + LENGTH).contains(&pointer.addr())
}

fn take(taken: &AtomicUsize, layout: Layout) -> *mut u8 {
    // relaxed: the counter alone matters; what lies in the bytes is the link's business.
    let from = taken.fetch_add(layout.size() + layout.align(), Ordering::Relaxed);
    let start = (ADDRESS + from).next_multiple_of(layout.align());
    if start + layout.size() > ADDRESS + LENGTH {
        return std::ptr::null_mut();
    }
    std::ptr::with_exposed_provenance_mut(start)
}

// SAFETY: either the system's allocator, or bytes of a mapping that are handed out once and never
// again, aligned and as many as asked for; what is freed is told apart by its address.
unsafe impl GlobalAlloc for SharedHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // relaxed: each is set by this process's one thread, or says that the program has this
        // allocator, which no other memory depends on.
        PRESENT.store(true, Ordering::Relaxed);
        // relaxed: as above.
        let taken = TAKEN.load(Ordering::Relaxed);
        if taken.is_null() {
            // SAFETY: the caller's promises are those that the system's allocator asks for.
            return unsafe { System.alloc(layout) };
        }
        // SAFETY: not null, so it is what `sharing` was given, which is mapped for good.
        take(unsafe { &*taken }, layout)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // relaxed: as in `alloc`.
        if TAKEN.load(Ordering::Relaxed).is_null() {
            // SAFETY: the caller's promises are those that the system's allocator asks for.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // The shared heap hands out each byte once, as the kernel zeroed it. Zeroing it again would
        // be a write that others see, of which the link knows nothing.
        // SAFETY: the caller's promises are handed on.
        unsafe { self.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // relaxed: as in `alloc`.
        if !is_shared(pointer) && TAKEN.load(Ordering::Relaxed).is_null() {
            // SAFETY: it came from the system's allocator, since it is not in the shared heap, and
            // the caller's promises are those that the system's allocator asks for.
            return unsafe { System.realloc(pointer, layout, size) };
        }
        if is_shared(pointer) && size <= layout.size() {
            return pointer;
        }
        // SAFETY: not zero by the caller's promise, which also says that it does not overflow.
        let larger = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: as for the layout.
        let moved = unsafe { self.alloc(larger) };
        if !moved.is_null() {
            // SAFETY: both are valid for the smaller of the two lengths, and the new one overlaps
            // nothing.
            unsafe { moved.copy_from_nonoverlapping(pointer, layout.size().min(size)) };
            // SAFETY: handed on; it is used no more.
            unsafe { self.dealloc(pointer, layout) };
        }
        moved
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if !is_shared(pointer) {
            // SAFETY: it came from the system's allocator, since it is not in the shared heap.
            unsafe { System.dealloc(pointer, layout) }
        }
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) use stepped::{holds, is_present, renew, sharing};

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod stepped {
    use std::num::NonZeroUsize;

    use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

    use super::*;

    /// Whether this address is in the shared heap of whichever process has one.
    pub(crate) fn holds(address: u64) -> bool {
        (ADDRESS as u64..(ADDRESS + LENGTH) as u64).contains(&address)
    }

    /// Whether this program's allocator is a [`SharedHeap`].
    pub(crate) fn is_present() -> bool {
        // relaxed: set by an allocation of this thread, if at all.
        PRESENT.load(Ordering::Relaxed)
    }

    /// Gives this process, and those that it will fork, a fresh heap to share.
    pub(crate) fn renew(taken: &AtomicUsize) -> nix::Result<()> {
        let length = NonZeroUsize::new(LENGTH).expect("not zero");
        let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED_NOREPLACE | MapFlags::MAP_NORESERVE;
        // SAFETY: a new mapping, which replaces none.
        let base = unsafe { mmap_anonymous(NonZeroUsize::new(ADDRESS), length, rights, flags) }?;
        base.as_ptr().expose_provenance();
        // relaxed: nobody else runs who could take from it.
        taken.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// What is allocated meanwhile, by this process, lies in the shared heap, if `taken` is one's
    /// counter.
    #[inline(always)]
    pub(crate) fn sharing<T>(
        taken: Option<&'static AtomicUsize>,
        operation: impl FnOnce() -> T,
    ) -> T {
        let Some(taken) = taken else { return operation() };
        // relaxed: read by this thread alone.
        TAKEN.store(std::ptr::from_ref(taken).cast_mut(), Ordering::Relaxed);
        let result = operation();
        // relaxed: as above.
        TAKEN.store(std::ptr::null_mut(), Ordering::Relaxed);
        result
    }
}
