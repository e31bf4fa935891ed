//! What a process or a machine may not have more of: descriptors, length of files, address space,
//! queues, memory behind `/dev/shm`. Whatever is missing, a link or a region says which limit it
//! is and what to do, nothing of it stays behind, and nobody dies.
//!
//! Limits cannot be taken back, so each is put on a process of its own: this test program again,
//! which runs `worker` alone and finds in the environment what it is to run into.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use ipc_impls::links::mpmc::Mailbox;
use ipc_impls::links::rendezvous::Rendezvous;
use ipc_impls::links::ring::{Options, Ring};
use ipc_impls::links::unbounded::{self, Unbounded};
use ipc_impls::links::{Size, direct, loan, mq, pipe, sysv, tcp, unix};
use ipc_impls::region::{Place, Region, shared};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Of 300 KB, and so are the others.
const OPTIONS: Options = Options { capacity: 3, size: Size::UpTo(100_000) };
const GROWING: unbounded::Options =
    unbounded::Options { budget: 64 << 20, size: Size::UpTo(100_000) };
const PACKETS: pipe::Options = pipe::Options { packets: 4, longest: 100 };

shared! {
    /// As long as the links are.
    struct Bytes {
        bytes: [Place<u8>; 300_000],
    }
}

/// Takes the ends of what was made.
type Attach = Box<dyn FnOnce() -> Result<(), String>>;

/// Something that is made under a name, and then attached to.
struct Subject {
    what: &'static str,
    create: fn(&str) -> Result<Attach, String>,
    /// Whether something of this name is there.
    remains: fn(&str) -> bool,
    /// Removes what was made, which need not be there.
    remove: fn(&str),
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(name)
}

fn in_memory(name: &str) -> bool {
    PathBuf::from("/dev/shm").join(name).exists()
}

macro_rules! link_in_memory {
    ($Link:ty, $create:ident, $options:expr) => {
        Subject {
            what: concat!(stringify!($Link), "::", stringify!($create)),
            create: |name| {
                let link = <$Link>::$create(name, $options).map_err(text)?;
                Ok(Box::new(move || {
                    let _sender = link.sender().map_err(text)?;
                    link.receiver().map(drop).map_err(text)
                }))
            },
            remains: in_memory,
            remove: |name| drop(<$Link>::unlink(name)),
        }
    };
}

macro_rules! region {
    ($create:ident) => {
        Subject {
            what: concat!("Region::", stringify!($create)),
            create: |name| {
                let region = Region::<Bytes>::$create(name).map_err(text)?;
                Ok(Box::new(move || {
                    let _attached = region.attach().map_err(text)?;
                    region.reading().map(drop).map_err(text)
                }))
            },
            remains: in_memory,
            remove: |name| drop(Region::<Bytes>::unlink(name)),
        }
    };
}

/// What lies in shared memory under a name.
fn named_in_memory() -> Vec<Subject> {
    vec![
        link_in_memory!(Ring, create, OPTIONS),
        link_in_memory!(Ring, open_or_create, OPTIONS),
        link_in_memory!(Mailbox, create, OPTIONS),
        link_in_memory!(Mailbox, open_or_create, OPTIONS),
        link_in_memory!(loan::Mailbox, create, OPTIONS),
        link_in_memory!(loan::Mailbox, open_or_create, OPTIONS),
        link_in_memory!(Rendezvous, create, Size::UpTo(100_000)),
        link_in_memory!(Rendezvous, open_or_create, Size::UpTo(100_000)),
        link_in_memory!(Unbounded, create, GROWING),
        link_in_memory!(Unbounded, open_or_create, GROWING),
        region!(create),
        region!(open_or_create),
    ]
}

/// The system's own links: queues, pipes and sockets.
fn of_the_system() -> Vec<Subject> {
    let removed = |name: &str| drop(std::fs::remove_file(path(name)));
    let there = |name: &str| path(name).exists();
    vec![
        queue(),
        Subject {
            what: "pipe::Fifo",
            create: |name| {
                let fifo = pipe::Fifo::create(&path(name), PACKETS).map_err(text)?;
                Ok(Box::new(move || {
                    let _sender = fifo.sender().map_err(text)?;
                    fifo.receiver().map(drop).map_err(text)
                }))
            },
            remains: there,
            remove: removed,
        },
        Subject {
            what: "unix::Seqpacket",
            create: |name| {
                let listener = unix::Seqpacket::listen(&path(name), 100).map_err(text)?;
                let path = path(name);
                Ok(Box::new(move || {
                    let _sender = unix::Seqpacket::connect(&path, 100).map_err(text)?;
                    listener.accept().map(drop).map_err(text)
                }))
            },
            remains: there,
            remove: removed,
        },
        Subject {
            what: "unix::Dgram",
            create: |name| {
                let inbox = unix::Dgram::bind(&path(name), 100).map_err(text)?;
                let path = path(name);
                Ok(Box::new(move || {
                    let _receiver = inbox;
                    unix::Dgram::connect(&path, 100).map(drop).map_err(text)
                }))
            },
            remains: there,
            remove: removed,
        },
        Subject {
            what: "direct::Inbox",
            create: |name| {
                let inbox = direct::Inbox::bind(&path(name), 100).map_err(text)?;
                let path = path(name);
                Ok(Box::new(move || {
                    let _receiver = inbox;
                    direct::Sender::to(&path, 100).map(drop).map_err(text)
                }))
            },
            remains: there,
            remove: removed,
        },
        Subject {
            what: "tcp::Listener",
            create: |_| {
                let listener = tcp::Listener::bind(("127.0.0.1", 0), 100).map_err(text)?;
                Ok(Box::new(move || {
                    let address = listener.address().map_err(text)?;
                    let _sender = tcp::Connection::connect(address, 100).map_err(text)?;
                    listener.accept().map(drop).map_err(text)
                }))
            },
            remains: |_| false,
            remove: |_| {},
        },
    ]
}

fn queue() -> Subject {
    Subject {
        what: "mq::Queue",
        create: |name| {
            let queue = mq::Queue::create(name, 4, 100).map_err(text)?;
            Ok(Box::new(move || {
                let _sender = queue.sender().map_err(text)?;
                queue.receiver().map(drop).map_err(text)
            }))
        },
        remains: |name| mq::Queue::open(name).is_ok(),
        remove: |name| drop(mq::Queue::unlink(name)),
    }
}

impl Subject {
    /// Makes it, attaches to it, and removes it. Whatever goes wrong names `limit`, and what could
    /// not be made is not there.
    ///
    /// `relieved` is called before this looks for what is there, and may take as many descriptors
    /// as it needs. Answers whether all of it went well.
    fn made(&self, name: &str, limit: &str, relieved: impl FnOnce()) -> bool {
        let made = (self.create)(name);
        let (created, attached) = match made {
            Err(why) => (Err(why), Ok(())),
            Ok(attach) => (Ok(()), attach()),
        };
        relieved();
        if created.is_err() {
            assert!(!(self.remains)(name), "{} left something behind: {created:?}", self.what);
        }
        (self.remove)(name);
        for why in [created.clone().err(), attached.clone().err()].into_iter().flatten() {
            assert!(why.contains(limit), "{}: {why}", self.what);
        }
        created.is_ok() && attached.is_ok()
    }
}

/// As many descriptors as this process may have, less `spare`.
fn all_descriptors_but(spare: usize) -> Vec<File> {
    let mut taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    taken.truncate(taken.len() - spare);
    taken
}

fn few_descriptors(name: &str) {
    setrlimit(Resource::RLIMIT_NOFILE, 64, 64).unwrap();
    for subject in named_in_memory().into_iter().chain(of_the_system()) {
        let made = |spare| {
            let taken = all_descriptors_but(spare);
            subject.made(name, "`ulimit -n`", || drop(taken))
        };
        assert!(!made(0), "{} takes no descriptor", subject.what);
        // Each step of the way is the one that finds none left.
        let enough = (1..16).find(|spare| made(*spare));
        assert!(enough.is_some(), "{} never succeeds", subject.what);
    }
    // Reading the system's limits takes one.
    let taken = all_descriptors_but(0);
    let refused = sysv::Queue::private().map(|queue| queue.id()).map_err(text);
    drop(taken);
    assert!(refused.as_ref().is_err_and(|why| why.contains("`ulimit -n`")), "{refused:?}");
    let taken = all_descriptors_but(1);
    let refused = pipe::Pipe::anonymous(PACKETS).map(drop).map_err(text);
    drop(taken);
    assert!(refused.as_ref().is_err_and(|why| why.contains("`ulimit -n`")), "{refused:?}");
}

fn short_files(name: &str) {
    let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, 100_000, hard).unwrap();
    for subject in named_in_memory() {
        assert!(!subject.made(name, "`ulimit -f`", || {}), "{} is made", subject.what);
    }
    let refused = Ring::anonymous(OPTIONS).map(drop).map_err(text);
    assert!(refused.as_ref().is_err_and(|why| why.contains("`ulimit -f`")), "{refused:?}");
    setrlimit(Resource::RLIMIT_FSIZE, hard, hard).unwrap();
    for subject in named_in_memory() {
        assert!(subject.made(name, "none", || {}), "{} is not made", subject.what);
    }
}

fn small_address_space(name: &str) {
    let (_, hard) = getrlimit(Resource::RLIMIT_AS).unwrap();
    for subject in named_in_memory() {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
        setrlimit(Resource::RLIMIT_AS, pages * 4096 + 100_000, hard).unwrap();
        let back = || setrlimit(Resource::RLIMIT_AS, hard, hard).unwrap();
        assert!(!subject.made(name, "`ulimit -v`", back), "{} is mapped", subject.what);
        // Who could not map it has taken no seat, and left none taken.
        assert!(subject.made(name, "none", || {}), "{} is not mapped", subject.what);
    }
}

fn no_bytes_for_queues(name: &str) {
    setrlimit(Resource::RLIMIT_MSGQUEUE, 100, 100).unwrap();
    assert!(!queue().made(name, "`ulimit -q`", || {}));
}

/// Without `/dev/shm` of more than 128 KiB, and with one System V queue.
fn small_machine(name: &str) {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC).unwrap();
    let (nothing, private) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
    mount(nothing, "/", nothing, private, nothing).unwrap();
    let size = Some("size=128k");
    mount(Some("none"), "/dev/shm", Some("tmpfs"), MsFlags::empty(), size).unwrap();
    for subject in named_in_memory() {
        if subject.what.starts_with("Unbounded") {
            // It grows as messages come, and refuses those.
            assert!(subject.made(name, "none", || {}), "{} is not made", subject.what);
        } else {
            assert!(!subject.made(name, "/dev/shm", || {}), "{} is made", subject.what);
        }
    }
    assert_eq!(std::fs::read_dir("/dev/shm").unwrap().count(), 0);

    std::fs::write("/proc/sys/kernel/msgmni", "1").unwrap();
    let queue = sysv::Queue::private().unwrap();
    let refused = sysv::Queue::private().unwrap_err().to_string();
    assert!(refused.contains("msgmni"), "{refused}");
    queue.remove().unwrap();
    sysv::Queue::private().unwrap().remove().unwrap();
}

/// Who is not root may have no pipe of any length.
fn short_pipes(name: &str) {
    nix::unistd::setuid(nix::unistd::Uid::from_raw(65534)).unwrap();
    let options = pipe::Options { packets: 1 << 16, longest: 100 };
    let refused = pipe::Fifo::create(&path(name), options).unwrap_err().to_string();
    assert!(refused.contains("pipe-max-size"), "{refused}");
    assert!(!path(name).exists(), "the FIFO is left behind");
    let refused = pipe::Pipe::anonymous(options).unwrap_err().to_string();
    assert!(refused.contains("pipe-max-size"), "{refused}");
}

#[test]
fn worker() {
    let Ok(limit) = std::env::var("IPC_IMPLS_LIMIT") else { return };
    let name = &format!("ipc-impls-limits-{}", std::process::id());
    match limit.as_str() {
        "few descriptors" => few_descriptors(name),
        "short files" => short_files(name),
        "small address space" => small_address_space(name),
        "no bytes for queues" => no_bytes_for_queues(name),
        "small machine" => small_machine(name),
        "short pipes" => short_pipes(name),
        other => panic!("{other}"),
    }
}

fn runs_into(limit: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "worker", "--nocapture"])
        .env("IPC_IMPLS_LIMIT", limit)
        .output()
        .unwrap();
    assert!(output.status.success(), "{limit}: {output:#?}");
}

#[test]
fn a_process_without_descriptors_is_told_and_leaves_nothing() {
    runs_into("few descriptors");
}

#[test]
fn a_process_of_short_files_is_told_and_not_killed() {
    runs_into("short files");
}

#[test]
fn a_process_of_a_small_address_space_is_told_and_takes_no_seat() {
    runs_into("small address space");
}

#[test]
fn a_user_whose_queues_are_full_is_told() {
    runs_into("no bytes for queues");
}

#[test]
fn a_machine_without_memory_or_queues_is_named() {
    runs_into("small machine");
}

#[test]
fn a_user_of_short_pipes_is_told_and_leaves_nothing() {
    runs_into("short pipes");
}
