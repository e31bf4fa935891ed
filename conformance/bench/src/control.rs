//! What the processes of a cell tell each other beside the link: a page of shared atomics.

use std::fs::File;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use anyhow::{Context, Result};
use memmap2::{MmapOptions, MmapRaw};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// Zeroed memory that a forked child shares.
pub(crate) struct Shared(MmapRaw);

impl Shared {
    pub(crate) fn zeroed(bytes: usize) -> Result<Self> {
        let file = memfd_create(c"ipc-bench", MFdFlags::MFD_CLOEXEC).context("memfd_create")?;
        let file = File::from(file);
        file.set_len(bytes as u64)?;
        Ok(Self(MmapOptions::new().len(bytes).map_raw(&file)?))
    }

    pub(crate) fn start(&self) -> *mut u8 {
        self.0.as_mut_ptr()
    }
}

/// Each on lines of its own: the neighbour is fetched along with a line.
#[repr(C, align(128))]
struct Line(AtomicU64);

#[repr(C)]
struct Words {
    ready: Line,
    /// Counts the phases; `count` belongs to the current one.
    phase: Line,
    count: Line,
    done: Line,
    pause: Line,
}

/// The page. One process gives orders, the others carry them out.
pub(crate) struct Control(Shared);

impl Control {
    pub(crate) fn new() -> Result<Self> {
        Shared::zeroed(size_of::<Words>()).map(Self)
    }

    fn words(&self) -> &Words {
        // SAFETY: the mapping begins at a page, is as long as the words and lives as long as
        // `self`; zeroes are words, and everybody touches them by atomic operations alone.
        unsafe { &*self.0.start().cast() }
    }

    /// The caller has its end.
    pub(crate) fn ready(&self) {
        self.words().ready.0.fetch_add(1, Release);
    }

    /// Waits until so many others have theirs.
    pub(crate) fn wait_ready(&self, others: u64) {
        // sync: pairs with `ready`.
        wait(|| self.words().ready.0.load(Acquire) == others);
    }

    /// Orders so many messages; 0 is the end.
    pub(crate) fn order(&self, count: u64) {
        self.words().done.0.store(0, Relaxed);
        self.words().count.0.store(count, Relaxed);
        // sync: order. Pairs with the load in `next`.
        self.words().phase.0.fetch_add(1, Release);
    }

    /// The next order, after `phase` of them.
    pub(crate) fn next(&self, phase: &mut u64) -> Option<u64> {
        // sync: order.
        wait(|| self.words().phase.0.load(Acquire) != *phase);
        *phase += 1;
        Some(self.words().count.0.load(Relaxed)).filter(|count| *count > 0)
    }

    /// The caller has carried its order out.
    pub(crate) fn done(&self) {
        // sync: done. Pairs with the load in `wait_done`.
        self.words().done.0.fetch_add(1, Release);
    }

    /// Waits until so many others have.
    pub(crate) fn wait_done(&self, others: u64) {
        // sync: done.
        wait(|| self.words().done.0.load(Acquire) == others);
    }

    /// How long the caller has waited before it answered, in ticks.
    pub(crate) fn set_pause(&self, ticks: u64) {
        // sync: pause. Pairs with the load in `pause`; the answer comes after it.
        self.words().pause.0.store(ticks, Release);
    }

    pub(crate) fn pause(&self) -> u64 {
        // sync: pause.
        self.words().pause.0.load(Acquire)
    }
}

/// Where there are more processes than CPUs, whoever waits long lets the others run.
fn wait(mut until: impl FnMut() -> bool) {
    let mut turns = 0u32;
    while !until() {
        turns += 1;
        if turns.is_multiple_of(1 << 16) {
            std::thread::yield_now();
        }
        std::hint::spin_loop();
    }
}
