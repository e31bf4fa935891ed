//! A lock that survives its holder, and a condition to wait for under it.

use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::time::Duration;

use super::parts::{Place, Plain};
use super::{Attachment, Seated};
use crate::shm::event::{Deadline, Event, Look};
use crate::shm::lock::{Got, Lock, Until};
use crate::sync::{AtomicU32, is_stopped};

/// Plain data that one attachment at a time may use.
#[repr(C)]
pub struct Mutex<T: Plain> {
    lock: Lock,
    value: Place<T>,
}

/// The right to use what a [`Mutex`] holds, until it is dropped.
pub struct Guard<'a, T: Plain> {
    mutex: &'a Mutex<T>,
    by: Seated<'a>,
    owner_died: bool,
}

impl<T: Plain> Mutex<T> {
    /// Waits for the lock. An attachment that holds it already waits for ever.
    pub fn lock<'a, A: Attachment>(&'a self, by: &'a A) -> Guard<'a, T> {
        self.locked(by.seated())
    }

    /// Takes the lock, or says within 50 ms that a living process has it.
    pub fn try_lock<'a, A: Attachment>(&'a self, by: &'a A) -> Option<Guard<'a, T>> {
        self.acquire(by.seated(), Until::Soon)
    }

    /// Waits for the lock no longer than `patience`.
    pub fn lock_timeout<'a, A: Attachment>(
        &'a self,
        by: &'a A,
        patience: Duration,
    ) -> Option<Guard<'a, T>> {
        self.acquire(by.seated(), Until::At(&Deadline::after(patience)))
    }

    fn locked<'a>(&'a self, by: Seated<'a>) -> Guard<'a, T> {
        let got = by.lock(&self.lock);
        Guard { mutex: self, by, owner_died: got == Got::Inherited }
    }

    fn acquire<'a>(&'a self, by: Seated<'a>, until: Until<'_>) -> Option<Guard<'a, T>> {
        let got = by.0.acquire(&self.lock, until)?;
        Some(Guard { mutex: self, by, owner_died: got == Got::Inherited })
    }
}

#[cfg(all(test, loom))]
impl Mutex<()> {
    pub(super) fn new() -> Mutex<()> {
        // SAFETY: a value without bytes.
        Mutex { lock: Lock::default(), value: unsafe { std::mem::zeroed() } }
    }

    pub(super) fn death(&self) {
        self.lock.death();
    }
}

impl<T: Plain> Guard<'_, T> {
    /// Whether the holder before us died with the lock, so that the data may be half-way.
    pub fn owner_died(&self) -> bool {
        self.owner_died
    }

    /// Copies the data out.
    pub fn load(&self) -> T {
        self.mutex.value.load()
    }

    /// Copies data in.
    pub fn store(&mut self, value: T) {
        self.mutex.value.store(value);
    }
}

impl<T: Plain> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        if !is_stopped() {
            self.mutex.lock.release();
        }
    }
}

/// Something to wait for that is said under a [`Mutex`].
#[derive(Default)]
#[repr(C)]
pub struct Condition {
    called: Event,
    calls: AtomicU32,
}

/// Why a wait for a condition ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Somebody called. Whether what was waited for is so must be looked at.
    Called,
    /// Nobody else is attached who could call.
    Alone,
    /// The time was up.
    Late,
}

impl Condition {
    /// Gives the lock back, waits for a call, and takes the lock again.
    pub fn wait<'a, T: Plain>(&self, guard: Guard<'a, T>) -> (Guard<'a, T>, Signal) {
        let (mutex, by) = (guard.mutex, guard.by);
        // sync: condition. Pairs with the addition in `notify_all`.
        let seen = self.calls.load(Acquire);
        drop(guard);
        let signal = self.called.wait(|look| self.signal(by, seen, look));
        (mutex.locked(by), signal)
    }

    /// Waits for a call no longer than `patience`.
    pub fn wait_timeout<'a, T: Plain>(
        &self,
        guard: Guard<'a, T>,
        patience: Duration,
    ) -> (Guard<'a, T>, Signal) {
        let (mutex, by) = (guard.mutex, guard.by);
        // sync: condition.
        let seen = self.calls.load(Acquire);
        drop(guard);
        let deadline = Deadline::after(patience);
        let signal = self.called.wait_timeout(&deadline, |look| self.signal(by, seen, look));
        (mutex.locked(by), signal.unwrap_or(Signal::Late))
    }

    fn signal(&self, by: Seated<'_>, seen: u32, look: Look) -> Option<Signal> {
        // sync: condition.
        if self.calls.load(Acquire) != seen {
            return Some(Signal::Called);
        }
        let alone = look == Look::Thorough && by.0.others() == 0;
        alone.then_some(Signal::Alone)
    }

    /// Wakes all who wait. To be called while holding the lock under which they look.
    pub fn notify_all(&self) {
        // sync: condition. Pairs with the loads in `wait` and `signal`.
        self.calls.fetch_add(1, AcqRel);
        self.called.call();
    }

    #[cfg(all(test, loom))]
    pub(super) fn death(&self) {
        self.called.death();
    }
}
