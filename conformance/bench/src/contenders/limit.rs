//! What the machine can do: cache lines that go from one CPU to the other, and nothing else. No
//! capacity that is exact, no closing, no sleeping, no length.

use std::ptr::copy_nonoverlapping;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

use anyhow::Result;
use nix::errno::Errno;

use crate::cell::{Sample, first, measure as measure_link};
use crate::control::Shared;
use crate::link::{Cell, Link, Measure, Receives, Sends};

/// Each measure has a limit of its own.
pub(super) fn measure(cell: &Cell) -> Result<Sample> {
    match cell.measure {
        Measure::OneWay => {
            let stamped = measure_link::<Stream<true>>(cell)?;
            let counted = measure_link::<Stream<false>>(cell)?;
            match (stamped, counted) {
                (Sample::Message(one), Sample::Message(other)) if other < one => Ok(counted),
                _ => Ok(stamped),
            }
        }
        Measure::Calls | Measure::TwoByTwo => measure_link::<Stream<true>>(cell),
        Measure::Spinning => measure_link::<OneLine>(cell),
        Measure::Sleeping => measure_link::<Doze>(cell),
    }
}

/// A stream of lines: message upon message. The reader says only twice a turn how far it is. The
/// writer stamps every message (each then has lines of its own), or counts them in a line beside
/// (small messages then share a line): which is faster depends on the length.
struct Stream<const STAMPED: bool> {
    memory: std::sync::Arc<Shared>,
    slots: usize,
    stride: usize,
}

/// Where the count of what was written is, behind the count of what was read.
const WRITTEN: usize = 128;

/// Where the slots begin.
const SLOTS: usize = 256;

struct Writer<const STAMPED: bool> {
    stream: Stream<STAMPED>,
    number: u64,
    slot: usize,
    read: u64,
}

struct Reader<const STAMPED: bool> {
    stream: Stream<STAMPED>,
    number: u64,
    slot: usize,
    written: u64,
}

impl<const STAMPED: bool> Link for Stream<STAMPED> {
    type Sender = Writer<STAMPED>;
    type Receiver = Reader<STAMPED>;

    fn make(cell: &Cell) -> Result<Self> {
        let slots = cell.capacity.max(2);
        let stride = if STAMPED {
            (8 + cell.size).next_multiple_of(64)
        } else {
            cell.size.next_multiple_of(8)
        };
        let memory = Shared::zeroed(SLOTS + slots * stride)?.into();
        Ok(Self { memory, slots, stride })
    }

    fn sender(&self) -> Result<Self::Sender> {
        Ok(Writer { stream: self.another(), number: 0, slot: 0, read: 0 })
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        Ok(Reader { stream: self.another(), number: 0, slot: 0, written: 0 })
    }
}

impl<const STAMPED: bool> Stream<STAMPED> {
    fn another(&self) -> Self {
        Self { memory: self.memory.clone(), ..*self }
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        // SAFETY: every caller's offset is that of an aligned word of the mapping, which lives as
        // long as it does.
        unsafe { &*self.memory.start().wrapping_add(at).cast() }
    }

    /// The count of what was read.
    fn progress(&self) -> &AtomicU64 {
        self.word(0)
    }

    /// What says that a message is there: its stamp, or the count.
    #[inline]
    fn sign(&self, slot: usize) -> &AtomicU64 {
        self.word(if STAMPED { SLOTS + slot * self.stride } else { WRITTEN })
    }

    /// Where a message goes, which is below `slots`.
    #[inline]
    fn place(&self, slot: usize) -> *mut u8 {
        let stamp = if STAMPED { 8 } else { 0 };
        self.memory.start().wrapping_add(SLOTS + slot * self.stride + stamp)
    }
}

impl<const STAMPED: bool> Sends for Writer<STAMPED> {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Result<()> {
        let slots = self.stream.slots as u64;
        while self.number - self.read == slots {
            // sync: read. The reader is done with everything before this.
            self.read = self.stream.progress().load(Acquire);
            std::hint::spin_loop();
        }
        let slot = self.slot;
        self.number += 1;
        self.slot = if slot + 1 == self.stream.slots { 0 } else { slot + 1 };
        let place = self.stream.place(slot);
        // SAFETY: the stride has room for the message, and the reader has left this slot.
        unsafe { copy_nonoverlapping(message.as_ptr(), place, message.len()) };
        // sync: sign. Pairs with the load in `receive`: the message is there.
        self.stream.sign(slot).store(self.number, Release);
        Ok(())
    }
}

impl<const STAMPED: bool> Receives for Reader<STAMPED> {
    #[inline]
    fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
        let slot = self.slot;
        while self.written <= self.number {
            // sync: sign. A stamp says that this message is there, the count how many are.
            let found = self.stream.sign(slot).load(Acquire);
            if found > self.number {
                self.written = if STAMPED { self.number + 1 } else { found };
                break;
            }
            std::hint::spin_loop();
        }
        self.number += 1;
        let place = self.stream.place(slot);
        // SAFETY: the stride has room for as many bytes as a buffer has, and the writer waits
        // for our progress before it comes here again.
        unsafe { copy_nonoverlapping(place, buffer.as_mut_ptr(), buffer.len()) };
        self.slot = if slot + 1 == self.stream.slots { 0 } else { slot + 1 };
        if self.slot == 0 || self.slot == self.stream.slots / 2 {
            // sync: read. Pairs with the load in `send`.
            self.stream.progress().store(self.number, Release);
        }
        Ok(())
    }
}

/// One line that both write in turn: an odd number goes there, an even one comes back.
struct OneLine {
    memory: std::sync::Arc<Shared>,
    back: bool,
}

struct LineEnd {
    line: OneLine,
    seen: u64,
}

impl Link for OneLine {
    type Sender = LineEnd;
    type Receiver = LineEnd;

    fn make(_: &Cell) -> Result<Self> {
        Ok(Self { memory: Shared::zeroed(64)?.into(), back: false })
    }

    fn make_both(cell: &Cell) -> Result<(Self, Self)> {
        let there = Self::make(cell)?;
        let back = Self { memory: there.memory.clone(), back: true };
        Ok((there, back))
    }

    fn sender(&self) -> Result<LineEnd> {
        self.receiver()
    }

    fn receiver(&self) -> Result<LineEnd> {
        let line = Self { memory: self.memory.clone(), back: self.back };
        Ok(LineEnd { line, seen: 0 })
    }
}

impl LineEnd {
    fn word(&self) -> &AtomicU64 {
        // SAFETY: the mapping begins with this word and lives as long as `self`.
        unsafe { &*self.line.memory.start().cast() }
    }
}

impl Sends for LineEnd {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Result<()> {
        let number = first(message);
        // sync: turn. Pairs with the load in `receive`.
        self.word().store(2 * number + 1 + u64::from(self.line.back), Release);
        Ok(())
    }
}

impl Receives for LineEnd {
    #[inline]
    fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
        let found = loop {
            // sync: turn.
            let found = self.word().load(Acquire);
            if found != self.seen && found % 2 == u64::from(!self.line.back) {
                break found;
            }
            std::hint::spin_loop();
        };
        self.seen = found;
        buffer[..8].copy_from_slice(&((found - 1) / 2).to_le_bytes());
        Ok(())
    }
}

/// A mailbox for one number: the sender always wakes, the receiver always sleeps.
struct Doze(std::sync::Arc<Shared>);

struct DozeEnd {
    memory: std::sync::Arc<Shared>,
    turn: u32,
}

impl Link for Doze {
    type Sender = DozeEnd;
    type Receiver = DozeEnd;

    fn make(_: &Cell) -> Result<Self> {
        Ok(Self(Shared::zeroed(64)?.into()))
    }

    fn sender(&self) -> Result<DozeEnd> {
        self.receiver()
    }

    fn receiver(&self) -> Result<DozeEnd> {
        Ok(DozeEnd { memory: self.0.clone(), turn: 0 })
    }
}

impl DozeEnd {
    fn turn(&self) -> &AtomicU32 {
        // SAFETY: the mapping begins with this word and lives as long as `self`.
        unsafe { &*self.memory.start().cast() }
    }

    fn content(&self) -> &AtomicU64 {
        // SAFETY: this word is in the mapping, aligned, and lives as long as `self`.
        unsafe { &*self.memory.start().cast::<AtomicU64>().wrapping_add(1) }
    }

    fn futex(&self, operation: i32, value: u32) -> Errno {
        // SAFETY: the word is mapped while borrowed, and no deadline is given.
        let result = unsafe {
            let none = std::ptr::null::<libc::timespec>();
            libc::syscall(libc::SYS_futex, self.turn().as_ptr(), operation, value, none)
        };
        Errno::result(result).err().unwrap_or(Errno::UnknownErrno)
    }
}

impl Sends for DozeEnd {
    fn send(&mut self, message: &[u8]) -> Result<()> {
        self.content().store(first(message), std::sync::atomic::Ordering::Relaxed);
        self.turn += 1;
        // sync: doze. Pairs with the load in `receive`.
        self.turn().store(self.turn, Release);
        self.futex(libc::FUTEX_WAKE, 1);
        Ok(())
    }
}

impl Receives for DozeEnd {
    fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
        // sync: doze.
        while self.turn().load(Acquire) == self.turn {
            self.futex(libc::FUTEX_WAIT, self.turn);
        }
        self.turn += 1;
        let first = self.content().load(std::sync::atomic::Ordering::Relaxed);
        buffer[..8].copy_from_slice(&first.to_le_bytes());
        Ok(())
    }
}
