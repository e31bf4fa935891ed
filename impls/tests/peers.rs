//! What another process can do to a link, and what the machine can refuse: truncation under our
//! feet, a stranger's object, a full file system, a missing permission.
//!
//! A worker is this test program again, which runs `worker` alone and finds its orders in the
//! environment.

use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::time::Duration;

use ipc_impls::links::loan;
use ipc_impls::links::mpmc::Mailbox;
use ipc_impls::links::rendezvous::Rendezvous;
use ipc_impls::links::ring::{CreateError, OpenError, Options, Ring};
use ipc_impls::links::unbounded::{self, Unbounded};
use ipc_impls::links::{
    Damage, ReceiveError, ReceiveTimeoutError, ReceivingEnd, SendError, SendTimeoutError,
    SendingEnd, Size,
};
use ipc_impls::region::{Barrier, Broken, Mutex, Place, Region, RwLock, Semaphore, shared};

const OPTIONS: Options = Options { capacity: 3, size: Size::UpTo(5000) };
const GROWING: unbounded::Options = unbounded::Options { budget: 64 << 20, size: Size::UpTo(5000) };

/// A name of this test's own, which is gone when the test ends, also by a panic.
struct OwnName(String);

impl OwnName {
    fn new(test: &str) -> OwnName {
        OwnName(format!("ipc-impls-peers-{test}-{}", std::process::id()))
    }
}

impl Drop for OwnName {
    fn drop(&mut self) {
        let _ = Ring::unlink(&self.0);
    }
}

/// Runs a worker to its end.
fn worker_does(what: &str, name: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "worker", "--nocapture"])
        .env("IPC_IMPLS_WORKER", what)
        .env("IPC_IMPLS_LINK", name)
        .output()
        .unwrap()
}

fn worker_succeeds(what: &str, name: &str) {
    let output = worker_does(what, name);
    assert!(output.status.success(), "{what}: {output:?}");
}

#[test]
fn worker() {
    let Ok(does) = std::env::var("IPC_IMPLS_WORKER") else { return };
    let name = std::env::var("IPC_IMPLS_LINK").unwrap();
    match does.as_str() {
        "die-holding-everything" => {
            let table = Region::<Table>::open(&name).unwrap().attach().unwrap();
            let guard = table.count.lock(&table);
            table.rows[0].store(7);
            let _rows = table.table.write(&table);
            let _permit = table.permits.acquire(&table);
            assert!(!guard.owner_died());
            nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).unwrap();
        }
        "die-at-the-barrier" => {
            let table = Region::<Table>::open(&name).unwrap().attach().unwrap();
            // Killed by the test while it waits.
            let _ = table.meeting.wait(&table, 3);
        }
        "truncate" => object(&name).set_len(0).unwrap(),
        "be-somebody-else" => {
            nix::unistd::setuid(nix::unistd::Uid::from_raw(65534)).unwrap();
            let refused = Ring::open(&name).unwrap_err();
            assert!(matches!(refused, OpenError::Denied(_)), "{refused}");
            assert!(refused.to_string().contains(&name), "{refused}");
        }
        "live-in-a-small-machine" => live_in_a_small_machine(&name),
        "fault-elsewhere" => {
            // Somebody who has a use for SIGBUS was here before us.
            // SAFETY: `_exit` may be called in a signal handler.
            unsafe { libc::signal(libc::SIGBUS, leave_with_42 as *const () as usize) };
            fault_elsewhere(&name);
        }
        "fault-without-a-handler" => {
            // SAFETY: the default is no code at all.
            unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
            fault_elsewhere(&name);
        }
        other => panic!("{other}"),
    }
}

fn object(name: &str) -> std::fs::File {
    let path = format!("/dev/shm/{name}");
    std::fs::File::options().read(true).write(true).open(path).unwrap()
}

extern "C" fn leave_with_42(_: libc::c_int) {
    // SAFETY: this only ends the process.
    unsafe { libc::_exit(42) };
}

/// Attaches an end, so that our handler is there, and touches a page that is none of ours.
fn fault_elsewhere(name: &str) {
    let _end = Ring::open(name).unwrap().sender().unwrap();
    let path = std::env::temp_dir().join(name);
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path);
    let file = file.unwrap();
    std::fs::remove_file(&path).unwrap();
    file.set_len(4096).unwrap();
    let map = memmap2::MmapOptions::new().len(4096).map_raw(&file).unwrap();
    file.set_len(0).unwrap();
    // SAFETY: inside the map; that the page is missing is what this is about.
    let found = unsafe { map.as_ptr().read_volatile() };
    panic!("found {found} in a missing page");
}

/// Without `/dev/shm` of more than 256 KiB.
fn live_in_a_small_machine(name: &str) {
    use nix::sched::{CloneFlags, unshare};
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let mount = |source: &std::ffi::CStr, target: &std::ffi::CStr, flags, data: &std::ffi::CStr| {
        // SAFETY: the strings live until the call returns.
        let mounted = unsafe {
            libc::mount(
                source.as_ptr(),
                target.as_ptr(),
                c"tmpfs".as_ptr(),
                flags,
                data.as_ptr().cast(),
            )
        };
        assert_eq!(mounted, 0, "{}", std::io::Error::last_os_error());
    };
    mount(c"none", c"/", libc::MS_REC | libc::MS_PRIVATE, c"");
    mount(c"none", c"/dev/shm", 0, c"size=256k");

    let large = Options { capacity: 100, size: Size::UpTo(10_000) };
    let refused = Ring::create(name, large).unwrap_err();
    assert!(matches!(refused, CreateError::NoRoom { bytes } if bytes > 1_000_000), "{refused}");
    assert!(refused.to_string().contains("/dev/shm"), "{refused}");
    assert!(matches!(Ring::open(name), Err(OpenError::NotFound(_))), "nothing is left");

    // One that grows is made, and says so when it cannot; what was sent arrives.
    let link = Unbounded::create(name, GROWING).unwrap();
    let options = unbounded::Options { budget: 4 << 20, size: Size::UpTo(1000) };
    drop(link);
    Unbounded::unlink(name).unwrap();
    let link = Unbounded::create(name, options).unwrap();
    let (mut sender, mut receiver) = (link.sender().unwrap(), link.receiver().unwrap());
    let mut sent = 0u64;
    let refused = loop {
        match sender.send(&sent.to_le_bytes()) {
            Ok(()) => sent += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, SendError::NoRoom { .. }), "{refused}");
    assert!(sent > 50, "{sent}");
    let mut buffer = [0; 1000];
    for number in 0..sent {
        assert_eq!(receiver.receive(&mut buffer), Ok(8));
        assert_eq!(buffer[..8], number.to_le_bytes());
    }
    sender.send(&[1]).unwrap();
}

/// Another process cuts the object off while both ends are attached and have used it.
fn cut_off<S: SendingEnd, R: ReceivingEnd>(name: &str, mut sender: S, mut receiver: R) {
    let message = [7; 5000];
    let mut buffer = [0; 5000];
    let patience = Duration::from_millis(1);
    // A rendezvous has nobody to meet.
    let met = sender.send_timeout(&message, patience).is_ok();
    if met {
        assert_eq!(receiver.receive(&mut buffer), Ok(5000));
    }
    worker_succeeds("truncate", name);
    let damage = Damage::Truncated;
    let refused = sender.send_timeout(&message, patience);
    assert_eq!(refused, Err(SendTimeoutError::Corrupt(damage)));
    let refused = receiver.receive_timeout(&mut buffer, patience);
    assert_eq!(refused, Err(ReceiveTimeoutError::Corrupt(damage)));
    // And so it stays, also for calls that would wait.
    assert_eq!(sender.send(&message), Err(SendError::Corrupt(damage)));
    assert_eq!(receiver.receive(&mut buffer), Err(ReceiveError::Corrupt(damage)));
}

#[test]
fn an_object_that_is_cut_off_is_an_error_and_no_death() {
    macro_rules! cut_off {
        ($Link:ty, $options:expr) => {{
            let name = OwnName::new("cut");
            let link = <$Link>::create(&name.0, $options).unwrap();
            cut_off(&name.0, link.sender().unwrap(), link.receiver().unwrap());
        }};
    }
    cut_off!(Ring, OPTIONS);
    cut_off!(Mailbox, OPTIONS);
    cut_off!(loan::Mailbox, OPTIONS);
    cut_off!(Unbounded, GROWING);
    cut_off!(Rendezvous, Size::UpTo(5000));
}

#[test]
fn a_fault_that_is_none_of_ours_is_handed_on() {
    let name = OwnName::new("fault");
    Ring::create(&name.0, OPTIONS).unwrap();
    let output = worker_does("fault-elsewhere", &name.0);
    assert_eq!(output.status.code(), Some(42), "{output:?}");
    let output = worker_does("fault-without-a-handler", &name.0);
    assert_eq!(output.status.signal(), Some(libc::SIGBUS), "{output:?}");
}

shared! {
    struct Table {
        count: Mutex<u64>,
        table: RwLock<u64>,
        permits: Semaphore,
        meeting: Barrier,
        rows: [Place<u64>; 3],
    }
}

#[test]
fn what_a_killed_process_held_goes_to_the_next_who_is_told() {
    let name = OwnName::new("region");
    let table = Region::<Table>::create(&name.0).unwrap().attach().unwrap();
    table.permits.add_permits(1);
    for _ in 0..5 {
        let output = worker_does("die-holding-everything", &name.0);
        assert_eq!(output.status.signal(), Some(libc::SIGKILL), "{output:?}");
        assert_eq!(table.rows[0].load(), 7);
        table.rows[0].store(0);
        assert!(table.count.lock(&table).owner_died());
        assert!(!table.count.lock(&table).owner_died());
        assert!(table.table.write(&table).writer_died());
        assert!(!table.table.read(&table).writer_died());
        assert_eq!(table.permits.acquire(&table).reclaimed(), 1);
    }
}

#[test]
fn a_barrier_whose_party_is_killed_is_broken_for_all() {
    let name = OwnName::new("barrier");
    let table = Region::<Table>::create(&name.0).unwrap().attach().unwrap();
    let mut party = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "worker", "--nocapture"])
        .env("IPC_IMPLS_WORKER", "die-at-the-barrier")
        .env("IPC_IMPLS_LINK", &name.0)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let other = Region::<Table>::open(&name.0).unwrap().attach().unwrap();
    std::thread::scope(|scope| {
        // Two of three wait; then one of them is killed, wherever it is by then.
        let waiting = scope.spawn(move || other.meeting.wait(&other, 3));
        while !table.meeting.is_waited_for_by(&table, 2) {
            std::thread::yield_now();
        }
        party.kill().unwrap();
        party.wait().unwrap();
        assert_eq!(waiting.join().unwrap(), Err(Broken));
        assert_eq!(table.meeting.wait(&table, 3), Err(Broken));
    });
    table.meeting.reset(&table);
    assert_eq!(table.meeting.wait(&table, 1), Ok(true));
}

#[test]
fn another_user_is_refused() {
    let name = OwnName::new("user");
    Ring::create(&name.0, OPTIONS).unwrap();
    worker_succeeds("be-somebody-else", &name.0);
}

#[test]
fn a_full_file_system_is_an_error_that_says_so() {
    let name = OwnName::new("full");
    worker_succeeds("live-in-a-small-machine", &name.0);
}

#[test]
fn every_kind_refuses_what_is_of_another_kind_or_version() {
    let name = OwnName::new("kind");
    Ring::create(&name.0, OPTIONS).unwrap();
    assert!(matches!(Mailbox::open(&name.0), Err(OpenError::OtherKind { found: 1, .. })));
    assert!(matches!(loan::Mailbox::open(&name.0), Err(OpenError::OtherKind { found: 1, .. })));
    assert!(matches!(Unbounded::open(&name.0), Err(OpenError::OtherKind { found: 1, .. })));
    assert!(matches!(Rendezvous::open(&name.0), Err(OpenError::OtherKind { found: 1, .. })));
    object(&name.0).write_all_at(&7u32.to_le_bytes(), 8).unwrap();
    let refused = Unbounded::open(&name.0).unwrap_err();
    assert!(matches!(refused, OpenError::OtherVersion { found: 7, .. }), "{refused}");
}
