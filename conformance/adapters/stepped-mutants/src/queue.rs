//! One queue of two slots, in a mapped file or on the heap, and the defects that it can be given.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};
use std::time::Duration;

use memmap2::MmapRaw;

/// Messages that the queue holds.
pub(crate) const CAPACITY: u32 = 2;

/// Between two looks of somebody who waits.
const SLEEP: Duration = Duration::from_millis(1);

/// The longest message.
pub(crate) const LARGEST: usize = 16;

// Offsets into the file: each word in a cache line of its own.
const HEAD: usize = 0;
const TAIL: usize = 64;
const LOCK: usize = 128;
const COUNT: usize = 192;
const TICKETS: usize = 256;
const SERVED: usize = 320;
const SLOTS: usize = 384;
const SLOT: usize = 32;
const LENGTH: usize = SLOTS + SLOT * CAPACITY as usize;

/// What is wrong with the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Nothing, with one sender and one receiver.
    None,
    /// The message is announced before its bytes are there.
    PublishesFirst,
    /// Nothing keeps two senders apart.
    Unlocked,
    /// The same of a queue between threads.
    UnlockedThreads,
    /// The lock is looked at, and then set.
    TestThenSet,
    /// The lock dies with its holder.
    HeldAtDeath,
    /// How many there are and where they end are two words, written one after the other.
    TwoWords,
    /// The lock is slept on, and dies with its holder.
    SleptOn,
    /// The counter that tells whether another receiver was faster wraps after two messages.
    Wraps,
    /// Each waiter has a ticket, and a wake-up goes to the oldest ticket, dead or alive.
    Swallows,
    /// Who receives names what it takes, in a file that it removes again, unless it is dead.
    Litters,
    /// Connecting starts a thread: nothing is wrong with it, but it cannot be stepped.
    StartsThread,
    /// Sending takes millions of instructions: the same.
    LongWinded,
}

impl Defect {
    /// All of them.
    pub(crate) const ALL: [Self; 13] = [
        Self::None,
        Self::PublishesFirst,
        Self::Unlocked,
        Self::UnlockedThreads,
        Self::TestThenSet,
        Self::HeldAtDeath,
        Self::TwoWords,
        Self::SleptOn,
        Self::Wraps,
        Self::Swallows,
        Self::Litters,
        Self::StartsThread,
        Self::LongWinded,
    ];

    /// That of the link of this name.
    pub(crate) fn of(link: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|defect| defect.name() == link)
    }

    /// The name of the link that has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "sound",
            Self::PublishesFirst => "publishes-first",
            Self::Unlocked => "unlocked",
            Self::UnlockedThreads => "unlocked-threads",
            Self::TestThenSet => "test-then-set",
            Self::HeldAtDeath => "held-at-death",
            Self::TwoWords => "two-words",
            Self::SleptOn => "slept-on",
            Self::Wraps => "wraps",
            Self::Swallows => "swallows",
            Self::Litters => "litters",
            Self::StartsThread => "starts-thread",
            Self::LongWinded => "long-winded",
        }
    }

    /// What is wrong, in words.
    pub(crate) fn says(self) -> &'static str {
        match self {
            Self::None => "nothing is wrong with it",
            Self::PublishesFirst => "it announces a message before its bytes are written",
            Self::Unlocked | Self::UnlockedThreads => "it keeps senders apart by nothing",
            Self::TestThenSet => "its lock is tested and then set, not at once",
            Self::HeldAtDeath => "its spin lock stays locked when its holder dies",
            Self::TwoWords => "its end and its count are written one after the other",
            Self::SleptOn => "its mutex, which is slept on, stays locked when its holder dies",
            Self::Wraps => "its counter wraps, so that a receiver takes what another has taken",
            Self::Swallows => "a wake-up goes to the oldest waiter, though it be dead",
            Self::Litters => "a receiver that dies leaves a file behind, which nobody removes",
            Self::StartsThread => "connecting starts a thread, which stepping cannot follow",
            Self::LongWinded => "sending takes millions of instructions",
        }
    }

    /// Whether it claims to take several senders.
    pub(crate) fn has_many_senders(self) -> bool {
        use Defect::{HeldAtDeath, SleptOn, TestThenSet, Unlocked, UnlockedThreads};
        matches!(self, Unlocked | UnlockedThreads | TestThenSet | HeldAtDeath | SleptOn)
    }

    /// Whether it joins threads, through memory that they allocate.
    pub(crate) fn joins_threads(self) -> bool {
        self == Self::UnlockedThreads
    }

    /// Whether it claims to take several receivers.
    pub(crate) fn has_many_receivers(self) -> bool {
        matches!(self, Self::Wraps | Self::Swallows)
    }
}

/// What the queue lies in.
enum Memory {
    Mapped(MmapRaw),
    Allocated(Arc<[AtomicU64]>),
}

/// The queue.
///
/// Invariant (Q1): the memory is at least [`LENGTH`] bytes long, and accessed only through atomics.
pub(crate) struct Queue {
    memory: Memory,
    defect: Defect,
    /// The file that a receiver which litters writes.
    litter: PathBuf,
}

impl Queue {
    /// Makes the file, all zeroes: an empty queue.
    pub(crate) fn create(path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        file.set_len(LENGTH as u64)
    }

    /// Maps the file.
    pub(crate) fn open(path: &Path, defect: Defect) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let map = MmapRaw::map_raw(&file)?;
        if map.len() < LENGTH {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let memory = Memory::Mapped(map);
        Ok(Self { memory, defect, litter: path.with_extension("taking") })
    }

    /// An empty queue on the heap.
    pub(crate) fn allocate() -> Arc<[AtomicU64]> {
        (0..LENGTH.div_ceil(8)).map(|_| AtomicU64::new(0)).collect()
    }

    /// One end of it.
    pub(crate) fn over(memory: Arc<[AtomicU64]>, defect: Defect) -> Self {
        Self { memory: Memory::Allocated(memory), defect, litter: PathBuf::new() }
    }

    fn start(&self) -> *mut u8 {
        match &self.memory {
            Memory::Mapped(map) => map.as_mut_ptr(),
            Memory::Allocated(words) => words.as_ptr().cast_mut().cast(),
        }
    }

    /// What is wrong with it.
    pub(crate) fn defect(&self) -> Defect {
        self.defect
    }

    fn word(&self, at: usize) -> &AtomicU32 {
        assert!(at + 4 <= LENGTH && at.is_multiple_of(4));
        let word = self.start().wrapping_add(at).cast::<u32>();
        // SAFETY: inside the memory and aligned, by the assertion; only atomics touch it (Q1).
        unsafe { AtomicU32::from_ptr(word) }
    }

    fn byte(&self, at: usize) -> &AtomicU8 {
        assert!(at < LENGTH);
        let byte = self.start().wrapping_add(at);
        // SAFETY: inside the memory by the assertion; only atomics touch it (Q1).
        unsafe { AtomicU8::from_ptr(byte) }
    }

    /// Puts a message in, if there is room.
    pub(crate) fn put(&self, bytes: &[u8]) -> bool {
        if self.defect == Defect::LongWinded {
            for n in 0..2_000_000_u32 {
                std::hint::black_box(n);
            }
        }
        self.lock();
        let room = match self.defect {
            Defect::TwoWords | Defect::Wraps => self.put_counted(bytes),
            _ => self.put_between(bytes),
        };
        self.unlock();
        if room && self.defect == Defect::Swallows {
            let served = self.word(SERVED).load(Acquire);
            if served < self.word(TICKETS).load(Acquire) {
                self.word(SERVED).store(served + 1, Release);
            }
        }
        room
    }

    /// Waits for a message.
    pub(crate) fn wait(&self) -> Vec<u8> {
        loop {
            if let Some(bytes) = self.take() {
                return bytes;
            }
            let ticket = self.word(TICKETS).fetch_add(1, Release);
            while self.word(SERVED).load(Acquire) <= ticket {
                std::thread::sleep(SLEEP);
            }
        }
    }

    fn put_between(&self, bytes: &[u8]) -> bool {
        let tail = self.word(TAIL).load(Relaxed);
        let head = self.word(HEAD).load(Acquire);
        if tail.wrapping_sub(head) >= CAPACITY {
            return false;
        }
        if self.defect == Defect::PublishesFirst {
            self.word(TAIL).store(tail.wrapping_add(1), Release);
            self.fill(tail, bytes);
        } else {
            self.fill(tail, bytes);
            self.word(TAIL).store(tail.wrapping_add(1), Release);
        }
        true
    }

    fn put_counted(&self, bytes: &[u8]) -> bool {
        let tail = self.word(TAIL).load(Relaxed);
        if self.word(COUNT).load(Acquire) >= CAPACITY {
            return false;
        }
        self.fill(tail, bytes);
        self.word(TAIL).store(tail.wrapping_add(1), Release);
        self.word(COUNT).fetch_add(1, Release);
        true
    }

    /// Takes the oldest message out, if there is one.
    pub(crate) fn take(&self) -> Option<Vec<u8>> {
        let litters = self.defect == Defect::Litters;
        if litters {
            // Where it fails, nothing is left behind, and a test says so.
            let _ = std::fs::write(&self.litter, "taking");
        }
        let taken = self.take_out();
        if litters {
            let _ = std::fs::remove_file(&self.litter);
        }
        taken
    }

    fn take_out(&self) -> Option<Vec<u8>> {
        if self.defect == Defect::Wraps {
            return self.take_wrapping();
        }
        if self.defect == Defect::TwoWords {
            let count = self.word(COUNT).load(Acquire);
            if count == 0 {
                return None;
            }
            let oldest = self.word(TAIL).load(Acquire).wrapping_sub(count);
            let bytes = self.copy(oldest);
            self.word(COUNT).fetch_sub(1, Release);
            return Some(bytes);
        }
        let head = self.word(HEAD).load(Relaxed);
        if self.word(TAIL).load(Acquire) == head {
            return None;
        }
        let bytes = self.copy(head);
        self.word(HEAD).store(head.wrapping_add(1), Release);
        Some(bytes)
    }

    fn take_wrapping(&self) -> Option<Vec<u8>> {
        loop {
            let head = self.word(HEAD).load(Acquire);
            if self.word(COUNT).load(Acquire) == 0 {
                return None;
            }
            let bytes = self.copy(head);
            let next = (head + 1) % CAPACITY;
            if self.word(HEAD).compare_exchange(head, next, Acquire, Relaxed).is_ok() {
                self.word(COUNT).fetch_sub(1, Release);
                return Some(bytes);
            }
        }
    }

    fn fill(&self, position: u32, bytes: &[u8]) {
        let slot = SLOTS + SLOT * (position % CAPACITY) as usize;
        self.word(slot).store(bytes.len() as u32, Relaxed);
        for (i, byte) in bytes.iter().enumerate() {
            self.byte(slot + 4 + i).store(*byte, Relaxed);
        }
    }

    fn copy(&self, position: u32) -> Vec<u8> {
        let slot = SLOTS + SLOT * (position % CAPACITY) as usize;
        let length = (self.word(slot).load(Relaxed) as usize).min(LARGEST);
        (0..length).map(|i| self.byte(slot + 4 + i).load(Relaxed)).collect()
    }

    fn lock(&self) {
        match self.defect {
            Defect::TestThenSet => {
                while self.word(LOCK).load(Acquire) != 0 {
                    std::hint::spin_loop();
                }
                self.word(LOCK).store(1, Relaxed);
            }
            Defect::SleptOn => {
                while self.word(LOCK).compare_exchange(0, 1, Acquire, Relaxed).is_err() {
                    std::thread::sleep(SLEEP);
                }
            }
            Defect::HeldAtDeath => {
                while self.word(LOCK).compare_exchange(0, 1, Acquire, Relaxed).is_err() {
                    std::hint::spin_loop();
                }
            }
            _ => {}
        }
    }

    fn unlock(&self) {
        if matches!(self.defect, Defect::TestThenSet | Defect::HeldAtDeath | Defect::SleptOn) {
            self.word(LOCK).store(0, Release);
        }
    }
}
