//! What a region can be made of.

use std::cell::UnsafeCell;

use super::{Barrier, Condition, Mutex, RwLock, Semaphore};

/// A type that can lie in shared memory, where other processes change it.
///
/// # Safety
/// Any bytes are a valid value; zeroes are a new one; it holds no address; and all of it may
/// change at any time while a reference to it exists, so it is made of atomics and cells.
pub unsafe trait Shared: Sync + 'static {}

/// A type that is nothing but its bytes.
///
/// # Safety
/// Any bytes are a valid value, and it has no padding.
pub unsafe trait Plain: Copy + Send + 'static {}

macro_rules! plain {
    ($($Type:ty),*) => {
        $(
            // SAFETY: a number, of which any bytes are one.
            unsafe impl Plain for $Type {}
        )*
    };
}

plain!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64, ());

// SAFETY: an array is its elements, without padding.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// A place for plain data. Two processes that use it at the same time, one of them writing, are in
/// a race: what is read may then be partly old and partly new. That they are not is for the
/// processes to see to, with the other parts.
#[repr(transparent)]
pub struct Place<T: Plain>(UnsafeCell<T>);

// SAFETY: it is only copied in and out, and what a race may leave in it is valid (`Plain`).
unsafe impl<T: Plain> Sync for Place<T> {}

impl<T: Plain> Place<T> {
    /// Copies the value out.
    pub fn load(&self) -> T {
        // SAFETY: the place is mapped while borrowed. Volatile, because others change it.
        unsafe { self.0.get().read_volatile() }
    }

    /// Copies a value in.
    pub fn store(&self, value: T) {
        // SAFETY: as in `load`.
        unsafe { self.0.get().write_volatile(value) };
    }
}

// SAFETY: see `Place`: no reference to the value is given out.
unsafe impl<T: Plain> Shared for Place<T> {}
// SAFETY: an array is its elements.
unsafe impl<T: Shared, const N: usize> Shared for [T; N] {}
// SAFETY: an atomic.
unsafe impl Shared for std::sync::atomic::AtomicU32 {}
// SAFETY: an atomic.
unsafe impl Shared for std::sync::atomic::AtomicU64 {}
// SAFETY: atomics and a place; zeroes are a free lock.
unsafe impl<T: Plain> Shared for Mutex<T> {}
// SAFETY: atomics and a place; zeroes are a free lock.
unsafe impl<T: Plain> Shared for RwLock<T> {}
// SAFETY: atomics; zeroes are a semaphore without permits.
unsafe impl Shared for Semaphore {}
// SAFETY: atomics; zeroes mean that nobody waits.
unsafe impl Shared for Condition {}
// SAFETY: atomics; zeroes mean that nobody has arrived.
unsafe impl Shared for Barrier {}
