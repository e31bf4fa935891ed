//! A system call that failed, the limits that make calls fail, and what can be done about it.

use std::fs::File;

use nix::errno::Errno;

/// A system call that failed. Where a limit of the process or of the machine is the reason, it says
/// which, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {}{}", errno.desc(), self.remedy())]
pub struct Fault {
    /// Its name.
    pub call: &'static str,
    /// Why.
    pub errno: Errno,
}

impl Fault {
    pub(crate) fn of(call: &'static str) -> impl Fn(Errno) -> Fault {
        move |errno| Fault { call, errno }
    }

    /// What to do, where something can be done.
    fn remedy(&self) -> &'static str {
        match (self.errno, self.call) {
            (Errno::EMFILE, _) => "; this process may have no more: close some, or see `ulimit -n`",
            (Errno::ENFILE, _) => "; the machine may have no more: see /proc/sys/fs/file-max",
            (Errno::EFBIG, _) => "; a file of this process may be no longer: see `ulimit -f`",
            (Errno::ENOMEM, "mmap") => {
                "; this process may map no more: unmap some, or see `ulimit -v`"
            }
            (Errno::ENOSPC, _) => "; make room on the file system",
            (Errno::ENOLCK, _) => "; the machine may have no more: free some locks",
            _ => "",
        }
    }
}

/// Whether this process may open one more descriptor.
pub(crate) fn has_descriptor_left() -> bool {
    !File::open("/dev/null").is_err_and(|error| super::errno(&error) == Errno::EMFILE)
}

/// Refuses a length that no file of this process may have. The kernel would not only refuse it, but
/// also send a signal that ends whoever does not expect it.
pub(super) fn check_length(bytes: u64) -> nix::Result<()> {
    let (limit, _) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_FSIZE)?;
    if bytes > limit { Err(Errno::EFBIG) } else { Ok(()) }
}
