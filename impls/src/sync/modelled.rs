//! Loom's atomics, with a step in front of every access at which a thread may be stopped for good.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use loom::sync::atomic::Ordering;
use loom::sync::{Condvar, Mutex};

pub(crate) use loom::hint;

use super::Woken;

/// Looking again without sleeping only multiplies the interleavings.
pub(crate) fn spins() -> u32 {
    0
}

/// Segments of an unbounded link.
pub(crate) const SEGMENTS: usize = 3;

/// Time does not pass, so a holder that is alive always gives a lock back soon.
pub(crate) const SOON: Duration = Duration::MAX;

loom::thread_local! {
    /// Steps this thread may still take before it stops for good.
    static STEPS_LEFT: Cell<u64> = Cell::new(u64::MAX);
}

/// Seats for each role. Few, because loom tracks every atomic.
pub(crate) const SEATS: usize = 3;

/// What a stopped thread unwinds with.
pub(crate) struct Stopped;

/// Runs `life`, and stops it for good in front of its step number `steps` (from 0).
/// Returns whether it was stopped.
pub(crate) fn stop_after(steps: u64, life: impl FnOnce()) -> bool {
    STEPS_LEFT.with(|left| left.set(steps));
    let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(life));
    STEPS_LEFT.with(|left| left.set(u64::MAX));
    match end {
        Ok(()) => false,
        Err(cause) if cause.is::<Stopped>() => true,
        Err(cause) => std::panic::resume_unwind(cause),
    }
}

/// Stops the thread for good, here.
pub(crate) fn stop() {
    std::panic::resume_unwind(Box::new(Stopped));
}

/// Whether this thread is on its way out of a life that was stopped for good. What is dropped on
/// that way must not act: a killed process drops nothing.
pub(crate) fn is_stopped() -> bool {
    std::thread::panicking()
}

/// From here on the thread takes no steps that count: it has lived to the end of its script.
pub(crate) fn done() {
    STEPS_LEFT.with(|left| left.set(u64::MAX));
}

fn step() {
    STEPS_LEFT.with(|left| match left.get() {
        u64::MAX => {}
        0 => stop(),
        more => left.set(more - 1),
    });
}

pub(crate) fn fence(order: Ordering) {
    step();
    loom::sync::atomic::fence(order);
}

pub(crate) fn prepare_fences() {}

/// Loom knows no fence that acts on other threads, so each acts for itself.
pub(crate) fn light_fence() {
    fence(Ordering::SeqCst);
}

pub(crate) fn heavy_fence() -> bool {
    fence(Ordering::SeqCst);
    true
}

macro_rules! stepping {
    ($name:ident, $word:ty) => {
        #[derive(Default)]
        pub(crate) struct $name(loom::sync::atomic::$name);

        impl $name {
            pub(crate) fn load(&self, order: Ordering) -> $word {
                step();
                self.0.load(order)
            }

            pub(crate) fn store(&self, value: $word, order: Ordering) {
                step();
                self.0.store(value, order);
            }

            pub(crate) fn swap(&self, value: $word, order: Ordering) -> $word {
                step();
                self.0.swap(value, order)
            }

            pub(crate) fn fetch_add(&self, value: $word, order: Ordering) -> $word {
                step();
                self.0.fetch_add(value, order)
            }

            pub(crate) fn fetch_or(&self, value: $word, order: Ordering) -> $word {
                step();
                self.0.fetch_or(value, order)
            }

            pub(crate) fn compare_exchange(
                &self,
                current: $word,
                new: $word,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$word, $word> {
                step();
                self.0.compare_exchange(current, new, success, failure)
            }
        }
    };
}

stepping!(AtomicU32, u32);
stepping!(AtomicU64, u64);

loom::thread_local! {
    /// Of how many deaths this thread's sleeps on a futex have told it, by address.
    static TOLD: RefCell<HashMap<usize, u32>> = RefCell::new(HashMap::new());
}

/// The kernel's futex, as a lock (the kernel's own over its table of sleepers) and a condition.
///
/// Time does not pass here, so a deadline is never the reason to return, and a sleep that only
/// its slice would end is a deadlock, which loom reports. The exception is a death: every call
/// that sleeps has one slice end after it.
#[derive(Default)]
pub(crate) struct Futex {
    word: AtomicU32,
    deaths: Mutex<u32>,
    called: Condvar,
}

impl Futex {
    pub(crate) fn word(&self) -> &AtomicU32 {
        &self.word
    }

    /// The caller begins to wait for something, and has not asked yet who of those is dead.
    pub(crate) fn begin(&self) {
        TOLD.with(|told| told.borrow_mut().remove(&std::ptr::from_ref(self).addr()));
    }

    pub(crate) fn wait(&self, expected: u32, _deadline: Duration) -> Woken {
        step();
        let mut deaths = self.deaths.lock().unwrap();
        if self.word.0.load(Ordering::SeqCst) == expected && !self.news_of(*deaths) {
            deaths = self.called.wait(deaths).unwrap();
            self.news_of(*deaths);
        }
        Woken::Late
    }

    pub(crate) fn wake_all(&self) {
        step();
        drop(self.deaths.lock().unwrap());
        self.called.notify_all();
    }

    pub(crate) fn wake_one(&self) {
        step();
        drop(self.deaths.lock().unwrap());
        self.called.notify_one();
    }

    /// Some end died, not necessarily asleep here.
    pub(crate) fn death(&self) {
        *self.deaths.lock().unwrap() += 1;
        self.called.notify_all();
    }

    /// Whether this thread has not yet been told of as many deaths; now it is.
    fn news_of(&self, deaths: u32) -> bool {
        let here = std::ptr::from_ref(self).addr();
        TOLD.with(|told| told.borrow_mut().insert(here, deaths).unwrap_or(0) != deaths)
    }
}
