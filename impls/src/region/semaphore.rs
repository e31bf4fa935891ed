//! Permits, each of which somebody holds or nobody.

use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::time::Duration;

use super::{Attachment, Seated};
use crate::shm::event::{Deadline, Event, Look};
use crate::shm::lock::{Got, Lock, Until};
use crate::sync::{AtomicU32, AtomicU64, SEATS, is_stopped};

/// A counting semaphore whose permits come back when their holder dies.
#[derive(Default)]
#[repr(C)]
pub struct Semaphore {
    lock: Lock,
    /// How many permits there are, held ones included.
    permits: AtomicU32,
    returned: Event,
    /// Whose badge, and below it how many permits that attachment holds. Written with the lock.
    held: [AtomicU64; SEATS],
}

/// A permit, until it is dropped.
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    by: Seated<'a>,
    reclaimed: u32,
}

impl Semaphore {
    /// Adds permits. A new semaphore has none.
    pub fn add_permits(&self, count: u32) {
        self.permits.fetch_add(count, AcqRel);
        self.returned.call();
    }

    /// Waits for a permit.
    pub fn acquire<'a, A: Attachment>(&'a self, by: &'a A) -> Permit<'a> {
        self.returned.wait(|look| self.take(by.seated(), look, Until::Free))
    }

    /// A permit, if one is there. A permit of a dead holder is.
    pub fn try_acquire<'a, A: Attachment>(&'a self, by: &'a A) -> Option<Permit<'a>> {
        self.take(by.seated(), Look::Thorough, Until::Soon)
    }

    /// Waits for a permit no longer than `patience`.
    pub fn acquire_timeout<'a, A: Attachment>(
        &'a self,
        by: &'a A,
        patience: Duration,
    ) -> Option<Permit<'a>> {
        let deadline = Deadline::after(patience);
        self.returned
            .wait_timeout(&deadline, |look| self.take(by.seated(), look, Until::At(&deadline)))
    }

    fn take<'a>(&'a self, by: Seated<'a>, look: Look, until: Until<'_>) -> Option<Permit<'a>> {
        let got = by.0.acquire(&self.lock, until)?;
        let (mut held, mut reclaimed) = (0u32, 0);
        for word in &self.held {
            let (badge, count) = split(word.load(Relaxed));
            if count == 0 {
                continue;
            }
            let ask = look == Look::Thorough || got == Got::Inherited;
            if ask && !by.0.is_alive(badge) {
                word.store(0, Relaxed);
                reclaimed += count;
            } else {
                held = held.saturating_add(count);
            }
        }
        let free = held < self.permits.load(Relaxed);
        if free {
            self.count(by, 1);
        }
        self.lock.release();
        free.then(|| Permit { semaphore: self, by, reclaimed })
    }

    /// Changes how many we hold. With the lock only. One store, so nothing is ever half-done.
    fn count(&self, by: Seated<'_>, change: i32) {
        let word = &self.held[by.index()];
        let (badge, count) = split(word.load(Relaxed));
        let count = if badge == by.badge() { count } else { 0 };
        let count = count.saturating_add_signed(change);
        word.store(u64::from(by.badge()) << 32 | u64::from(count), Relaxed);
    }

    #[cfg(all(test, loom))]
    pub(super) fn death(&self) {
        self.lock.death();
        self.returned.death();
    }
}

fn split(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

impl Permit<'_> {
    /// How many permits of dead holders were found when this one was acquired.
    pub fn reclaimed(&self) -> u32 {
        self.reclaimed
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if is_stopped() {
            return;
        }
        let Permit { semaphore, by, .. } = *self;
        by.lock(&semaphore.lock);
        semaphore.count(by, -1);
        semaphore.lock.release();
        semaphore.returned.call();
    }
}
