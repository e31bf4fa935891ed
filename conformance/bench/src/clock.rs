//! A clock that costs little beside what is measured with it.

use std::time::{Duration, Instant};

/// The time-stamp counter, which all CPUs of a machine share.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the counter, and reading it touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Nanoseconds, where no counter is at hand.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn ticks() -> u64 {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed().as_nanos() as u64
}

/// How long a tick is, measured anew in each process.
pub(crate) fn nanoseconds_per_tick() -> f64 {
    static RATE: std::sync::LazyLock<f64> = std::sync::LazyLock::new(|| {
        let (clock, start) = (Instant::now(), ticks());
        while clock.elapsed() < Duration::from_millis(1) {
            std::hint::spin_loop();
        }
        let elapsed = clock.elapsed();
        elapsed.as_nanos() as f64 / (ticks() - start) as f64
    });
    *RATE
}
