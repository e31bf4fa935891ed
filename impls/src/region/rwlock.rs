//! A lock for one writer or several readers, which survives all of them.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::parts::{Place, Plain};
use super::{Attachment, Seated};
use crate::shm::event::{Event, Look};
use crate::shm::lock::Lock;
use crate::sync::{AtomicU32, AtomicU64, SEATS, is_stopped};

/// Plain data that several attachments may read, or one may write.
#[repr(C)]
pub struct RwLock<T: Plain> {
    /// Held by a writer as long as it writes, and by a reader while it begins: so a writer that
    /// waits keeps new readers out.
    gate: Lock,
    /// Whether a writer is at it. Still so when the gate is inherited: it died writing.
    writing: AtomicU32,
    left: Event,
    /// Whose badge, and below it how often that attachment is reading. Raised with the gate.
    readers: [AtomicU64; SEATS],
    value: Place<T>,
}

/// The right to read, until it is dropped.
pub struct ReadGuard<'a, T: Plain> {
    lock: &'a RwLock<T>,
    by: Seated<'a>,
    writer_died: bool,
}

/// The right to write, until it is dropped.
pub struct WriteGuard<'a, T: Plain> {
    lock: &'a RwLock<T>,
    writer_died: bool,
}

impl<T: Plain> RwLock<T> {
    /// Waits until nobody writes.
    pub fn read<'a, A: Attachment>(&'a self, by: &'a A) -> ReadGuard<'a, T> {
        let by = by.seated();
        let writer_died = self.pass_gate(by);
        let word = &self.readers[by.index()];
        let badge = u64::from(by.badge()) << 32;
        // Our word: nobody raises it without the gate, but our own guards lower it.
        let seen = word.load(Relaxed);
        if seen & !0xFFFF_FFFF == badge {
            word.fetch_add(1, Acquire);
        } else {
            word.store(badge | 1, Relaxed);
        }
        // sync: reading. Whoever gets the gate next sees that we read.
        self.gate.release();
        ReadGuard { lock: self, by, writer_died }
    }

    /// Waits until nobody reads and nobody writes. One that reads already waits for ever.
    pub fn write<'a, A: Attachment>(&'a self, by: &'a A) -> WriteGuard<'a, T> {
        let by = by.seated();
        let writer_died = self.pass_gate(by);
        self.left.wait(|look| self.is_unread(by, look).then_some(()));
        self.writing.store(1, Relaxed);
        WriteGuard { lock: self, writer_died }
    }

    /// Takes the gate. Whether the last writer died at its work.
    fn pass_gate(&self, by: Seated<'_>) -> bool {
        by.lock(&self.gate);
        let died = self.writing.load(Relaxed) != 0;
        self.writing.store(0, Relaxed);
        died
    }

    fn is_unread(&self, by: Seated<'_>, look: Look) -> bool {
        self.readers.iter().all(|word| {
            // sync: read. Pairs with the decrement when a reader ends.
            let seen = word.load(Acquire);
            if seen & 0xFFFF_FFFF == 0 {
                return true;
            }
            let ask = look == Look::Thorough;
            if !ask || by.0.is_alive((seen >> 32) as u32) {
                return false;
            }
            word.store(0, Relaxed);
            true
        })
    }
}

#[cfg(all(test, loom))]
impl RwLock<()> {
    pub(super) fn new() -> RwLock<()> {
        RwLock {
            gate: Lock::default(),
            writing: AtomicU32::default(),
            left: Event::default(),
            readers: Default::default(),
            // SAFETY: a value without bytes.
            value: unsafe { std::mem::zeroed() },
        }
    }

    pub(super) fn death(&self) {
        self.gate.death();
        self.left.death();
    }
}

impl<T: Plain> ReadGuard<'_, T> {
    /// Whether the writer before us died at its work, so that the data may be half-way. Only the
    /// first to come is told.
    pub fn writer_died(&self) -> bool {
        self.writer_died
    }

    /// Copies the data out.
    pub fn load(&self) -> T {
        self.lock.value.load()
    }
}

impl<T: Plain> WriteGuard<'_, T> {
    /// As [`ReadGuard::writer_died`].
    pub fn writer_died(&self) -> bool {
        self.writer_died
    }

    /// Copies the data out.
    pub fn load(&self) -> T {
        self.lock.value.load()
    }

    /// Copies data in.
    pub fn store(&mut self, value: T) {
        self.lock.value.store(value);
    }
}

impl<T: Plain> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        if is_stopped() {
            return;
        }
        // sync: read. Pairs with the load in `is_unread`: what we read, we have read.
        self.lock.readers[self.by.index()].fetch_add(u64::MAX, AcqRel);
        self.lock.left.call();
    }
}

impl<T: Plain> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        if is_stopped() {
            return;
        }
        self.lock.writing.store(0, Release);
        self.lock.gate.release();
    }
}
