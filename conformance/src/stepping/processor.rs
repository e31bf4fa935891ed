//! Which processor a controller and all its processes are kept on: one that no other controller of
//! this program has.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

static TAKEN: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

/// A processor, until this is dropped.
pub(super) struct Processor(usize);

impl Processor {
    /// One that this program may run on and that is free. `None`: there is none.
    pub(super) fn take() -> Option<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0)).ok()?;
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let is_allowed = |number: &usize| allowed.is_set(*number).unwrap_or(false);
        let number =
            (0..CpuSet::count()).filter(is_allowed).find(|number| taken.insert(*number))?;
        Some(Self(number))
    }

    /// Keeps the calling thread, and what it starts, there.
    pub(super) fn stay(&self) -> nix::Result<()> {
        stay_on(self.0)
    }
}

/// Keeps the calling thread, and what it starts, on this processor.
pub(crate) fn stay_on(number: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(number)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

impl Drop for Processor {
    fn drop(&mut self) {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_a_processor_that_another_has() {
        let all: Vec<Processor> = std::iter::from_fn(Processor::take).collect();
        let numbers: BTreeSet<usize> = all.iter().map(|processor| processor.0).collect();
        assert!(!all.is_empty() && numbers.len() == all.len(), "{numbers:?}");
        drop(all);
        assert!(Processor::take().is_some());
    }
}
