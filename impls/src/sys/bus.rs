//! Surviving the truncation of a mapped object.
//!
//! The kernel has no seal for an object with a name, so any process that may open one may cut it
//! off, and the next touch of the missing part is a SIGBUS, which ends the process. A [`Watch`]
//! over a mapping has it survive instead: a handler puts a private page of zeroes in the place of
//! the missing one and notes it, and the touching instruction is made again. Whoever uses the
//! mapping asks [`Watch::is_cut`] before it believes what it read or wrote.
//!
//! The handler is installed when the first such mapping is made. It takes only faults inside
//! watched mappings, and hands all others on to the handler that it found. It makes one system
//! call (`mmap`, which on Linux is nothing but that) and touches only atomics, so it is safe
//! wherever the signal comes. A program that installs its own handler for SIGBUS later has to
//! hand on what it does not know, as is the custom.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize};
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::errno::Errno;

use super::Fault;

/// A range of addresses under watch, or an unused entry, whose end is 0. Never freed, because the
/// handler may be reading it; used again instead.
struct Range {
    start: AtomicUsize,
    end: AtomicUsize,
    cut: AtomicBool,
    next: AtomicPtr<Range>,
}

/// The newest entry; each leads to the one before.
static RANGES: AtomicPtr<Range> = AtomicPtr::new(std::ptr::null_mut());
/// Held while entries are added or used again. Not by the handler.
static CHANGES: Mutex<()> = Mutex::new(());

/// Keeps a mapping under watch while it lives.
pub(crate) struct Watch(&'static Range);

impl Watch {
    /// Watches over `bytes` bytes from `start` on, which are to stay mapped longer than this lives.
    pub(crate) fn over(start: *const u8, bytes: usize) -> Result<Watch, Fault> {
        install()?;
        let _changes = CHANGES.lock().unwrap_or_else(PoisonError::into_inner);
        let range = ranges().find(|range| range.end.load(Relaxed) == 0).unwrap_or_else(|| {
            let newest = RANGES.load(Relaxed);
            let range: &'static Range = Box::leak(Box::new(Range {
                start: AtomicUsize::new(0),
                end: AtomicUsize::new(0),
                cut: AtomicBool::new(false),
                next: AtomicPtr::new(newest),
            }));
            // sync: ranges. Pairs with the load in `ranges`.
            RANGES.store(std::ptr::from_ref(range).cast_mut(), Release);
            range
        });
        range.cut.store(false, Relaxed);
        range.start.store(start.addr(), Relaxed);
        // sync: range-end. Pairs with the load in `find`. A range counts once it has an end.
        range.end.store(start.addr() + bytes, Release);
        Ok(Watch(range))
    }

    /// Whether a part of the mapping was missing when it was touched.
    #[inline]
    pub(crate) fn is_cut(&self) -> bool {
        // Written by the handler on the thread that touched, or on another that told us nothing.
        self.0.cut.load(Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // sync: range-end. The memory may become somebody else's after this.
        self.0.end.store(0, Release);
    }
}

fn ranges() -> impl Iterator<Item = &'static Range> {
    // sync: ranges.
    // SAFETY: what the list leads to was leaked, so it is there for ever.
    let newest = unsafe { RANGES.load(Acquire).as_ref() };
    std::iter::successors(newest, |range| {
        // SAFETY: as above.
        unsafe { range.next.load(Acquire).as_ref() }
    })
}

fn find(address: usize) -> Option<&'static Range> {
    ranges().find(|range| {
        // sync: range-end.
        let end = range.end.load(Acquire);
        (range.start.load(Relaxed)..end).contains(&address)
    })
}

/// What SIGBUS did before. Written before the handler is installed.
struct Previous(UnsafeCell<MaybeUninit<libc::sigaction>>);

// SAFETY: written once, before anybody who reads it can run.
unsafe impl Sync for Previous {}

static PREVIOUS: Previous = Previous(UnsafeCell::new(MaybeUninit::uninit()));
static PAGE: AtomicUsize = AtomicUsize::new(4096);

fn install() -> Result<(), Fault> {
    static INSTALLED: OnceLock<Result<(), Fault>> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        PAGE.store(super::page(), Relaxed);
        // The handler may run as soon as it is installed, so what was before is read before.
        // SAFETY: with no new action the kernel only writes the old one, into our own static,
        // which nobody reads yet.
        let read =
            unsafe { libc::sigaction(libc::SIGBUS, std::ptr::null(), PREVIOUS.0.get().cast()) };
        Errno::result(read).map_err(Fault::of("sigaction"))?;
        // SAFETY: of a `sigaction`, all zeroes are a valid value.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handle as *const () as usize;
        // On the alternate stack, where the standard library's own handler wants to be.
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: `handle` is of the form that SA_SIGINFO asks for and safe in a signal.
        let set = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()) };
        Errno::result(set).map_err(Fault::of("sigaction")).map(drop)
    })
}

extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, machine: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid `siginfo_t`.
    let cause = unsafe { &*info };
    // SAFETY: for SIGBUS it holds an address.
    let address = unsafe { cause.si_addr() }.addr();
    // Sent by a process, not by a fault, if the code is not positive.
    let code = cause.si_code;
    match find(address) {
        Some(range) if code > 0 && patch(address) => {
            // For this thread, which reads it after the access is made again.
            range.cut.store(true, Relaxed);
        }
        _ => hand_on(signal, info, machine),
    }
}

/// Puts a private page of zeroes where the missing one was.
fn patch(address: usize) -> bool {
    let page = PAGE.load(Relaxed);
    let start = address & !(page - 1);
    let errno = Errno::last_raw();
    // SAFETY: the page lies in a mapping under watch, which its owner keeps mapped, and in which
    // this crate keeps no references to anything but atomics. What they were is lost already.
    let mapped = unsafe {
        libc::mmap(
            std::ptr::without_provenance_mut(start),
            page,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
            -1,
            0,
        )
    };
    Errno::set_raw(errno);
    mapped != libc::MAP_FAILED
}

/// Does what would have been done without us.
fn hand_on(signal: libc::c_int, info: *mut libc::siginfo_t, machine: *mut libc::c_void) {
    // SAFETY: written before this handler was installed, and never again.
    let previous = unsafe { &*PREVIOUS.0.get() };
    // SAFETY: as above.
    let previous = unsafe { previous.assume_init_ref() };
    match previous.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => {
            // The same access faults again, and then it is the kernel's to end the process.
            // SAFETY: `previous` is what the kernel gave us.
            unsafe { libc::sigaction(signal, previous, std::ptr::null_mut()) };
            // SAFETY: this only marks the signal as pending.
            unsafe { libc::raise(signal) };
        }
        handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: the flag says that this address is a handler of this form.
            let handler = unsafe { std::mem::transmute::<usize, Handler>(handler) };
            handler(signal, info, machine);
        }
        handler => {
            // SAFETY: without the flag it is a handler of this form.
            let handler =
                unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(handler) };
            handler(signal);
        }
    }
}
