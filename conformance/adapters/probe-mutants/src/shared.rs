//! A flag that a process shares with the children that it forks.

use std::num::NonZeroUsize;
use std::sync::Once;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

/// The flag of this process and of its children.
pub(crate) fn flag() -> &'static AtomicBool {
    static FLAG: OnceLock<&'static AtomicBool> = OnceLock::new();
    FLAG.get_or_init(|| {
        let page = NonZeroUsize::new(4096).expect("it is not zero");
        let (protection, flags) =
            (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED);
        // SAFETY: a fresh mapping is asked for, at no address in particular.
        let mapped = unsafe { mmap_anonymous(None, page, protection, flags) };
        let mapped = mapped.expect("a page of memory");
        // SAFETY: the page is zeroed, which is a flag that is not set; it is never unmapped, and
        // used as nothing else.
        unsafe { mapped.cast::<AtomicBool>().as_ref() }
    })
}

/// From now on, every child that is forked raises the flag.
pub(crate) fn raise_in_children() {
    extern "C" fn raise() {
        // Relaxed: the parent has waited for the child's end before it looks.
        flag().store(true, Ordering::Relaxed);
    }
    static REGISTERED: Once = Once::new();
    flag();
    REGISTERED.call_once(|| {
        // SAFETY: the handler stores to a page that is mapped for ever, and does nothing else.
        unsafe { libc::pthread_atfork(None, None, Some(raise)) };
    });
}
