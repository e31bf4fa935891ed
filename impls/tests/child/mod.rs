//! Other processes that work on a link of the test's: this test program again.

use std::os::fd::{AsFd, AsRawFd};
use std::process::Child;

/// Where a child finds a link of ours: the links have no names, so nothing is left behind whatever
/// ends this test.
pub(crate) fn path(link: &impl AsFd) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), link.as_fd().as_raw_fd())
}

/// A process that is killed when the test ends, also by a panic.
pub(crate) struct Killed(pub(crate) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
