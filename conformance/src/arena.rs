//! The arena: a file that the runner and every worker map, in which each worker records its calls
//! and returns as they happen.
//!
//! Nothing passes through it that the link under test could lean on: a worker writes to its own
//! part only, and reads another's only where a scenario says so (`AwaitBlocked`, `AwaitReturn`).
//! A record survives the death of the worker that wrote it, which is what makes a killed process
//! judgeable. `docs/protocol.md` describes the layout for adapters in other languages.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use ipc_model::{Message, Process, Refusal, Ret};
use memmap2::MmapRaw;

const MAGIC: u64 = u64::from_le_bytes(*b"ipcarena");
const VERSION: u64 = 1;
/// Words before the first process's part.
const HEADER: usize = 8;
/// Words of a process's part before its records.
const PART: usize = 8;
/// Words of a record.
const RECORD: usize = 4;
/// Records that a process can write: two a call, one an observation.
pub const RECORDS: usize = 512;

// Header words.
const GO: usize = 3;
const STOP: usize = 4;

// Words of a process's part.
const PID: usize = 0;
const TID: usize = 1;
const IN_CALL: usize = 2;
const RETURNED: usize = 3;
const COUNT: usize = 4;
const READY: usize = 5;
const DONE: usize = 6;
const AWAITING: usize = 7;

/// What a worker writes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is named in its variant's sentence")]
pub enum Record {
    /// The `call` of this number (from 0) is about to begin.
    Call { call: u32 },
    /// The `call` has returned `ret`.
    Return { call: u32, ret: Ret },
    /// The `call` has ended in a way the model has no word for; the text is in the log.
    Odd { call: u32 },
    /// The `call` has panicked; the text is in the log.
    Panicked { call: u32 },
    /// The link does not offer the `call`.
    Unsupported { call: u32 },
    /// The other `process` was seen asleep in its `call` of this number.
    Blocked { process: Process, call: u32 },
    /// The other `process` is about to be killed.
    Kill { process: Process },
    /// The other `process` was killed, and is dead.
    Killed { process: Process },
}

/// The mapped file.
///
/// Invariants: (I1) `map` is `words` × 8 bytes long and lives as long as the arena; (I2) every
/// access is through `Arena::word`, as an atomic.
pub struct Arena {
    map: MmapRaw,
    words: usize,
}

/// Nanoseconds of the clock that is common to all processes of this machine.
pub fn now() -> u64 {
    // The clock must be read neither before what precedes it in program order nor after what
    // follows: an unfenced stamp can make two calls that overlap look as if they did not.
    fence(Ordering::SeqCst);
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
        .expect("CLOCK_MONOTONIC is always there");
    fence(Ordering::SeqCst);
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

impl Arena {
    fn words_for(processes: usize) -> usize {
        HEADER + processes * (PART + RECORDS * RECORD)
    }

    /// Creates the file, for this many processes.
    ///
    /// # Errors
    /// Those of the file system: no space, no permission.
    pub fn create(path: &Path, processes: usize) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        let words = Self::words_for(processes);
        // Allocated now, so that a full disk is an error here and not a SIGBUS later.
        nix::fcntl::posix_fallocate(&file, 0, words as i64 * 8)?;
        let arena = Self { map: MmapRaw::map_raw(&file)?, words };
        arena.word(1).store(VERSION, Ordering::Relaxed);
        arena.word(2).store(processes as u64, Ordering::Relaxed);
        arena.word(0).store(MAGIC, Ordering::Release);
        Ok(arena)
    }

    /// Maps an arena that another process created.
    ///
    /// # Errors
    /// Those of the file system, or that the file is no arena of this version.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let map = MmapRaw::map_raw(&file)?;
        let words = map.len() / 8;
        let arena = Self { map, words };
        let known = words >= HEADER
            && arena.word(0).load(Ordering::Acquire) == MAGIC
            && arena.word(1).load(Ordering::Relaxed) == VERSION
            && words >= Self::words_for(arena.processes());
        if known {
            Ok(arena)
        } else {
            let why = format!("{} is no arena of version {VERSION}", path.display());
            Err(io::Error::new(io::ErrorKind::InvalidData, why))
        }
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.words, "word {index} is beyond the arena's {}", self.words);
        let word = self.map.as_mut_ptr().cast::<u64>().wrapping_add(index);
        // SAFETY: inside the mapping by the assertion and I1; aligned, since mappings begin at a
        // page; only ever accessed as an atomic (I2).
        unsafe { AtomicU64::from_ptr(word) }
    }

    fn part(&self, process: Process, word: usize) -> &AtomicU64 {
        self.word(HEADER + process.0 as usize * (PART + RECORDS * RECORD) + word)
    }

    /// How many processes it was made for.
    pub fn processes(&self) -> usize {
        self.word(2).load(Ordering::Relaxed) as usize
    }

    // Starting and stopping.

    /// Worker: says who it is, and that it holds its endpoints.
    pub fn ready(&self, process: Process) {
        self.part(process, PID).store(std::process::id().into(), Ordering::Relaxed);
        let tid = nix::unistd::gettid().as_raw() as u64;
        self.part(process, TID).store(tid, Ordering::Relaxed);
        self.part(process, READY).store(1, Ordering::Release);
    }

    /// Whether the worker holds its endpoints.
    pub fn is_ready(&self, process: Process) -> bool {
        self.part(process, READY).load(Ordering::Acquire) == 1
    }

    /// Lets all workers begin.
    pub fn go(&self) {
        self.word(GO).store(1, Ordering::Release);
    }

    /// Whether the workers may begin.
    pub fn started(&self) -> bool {
        self.word(GO).load(Ordering::Acquire) == 1
    }

    /// Tells the workers that wait for the end of the scenario to go.
    pub fn stop(&self) {
        self.word(STOP).store(1, Ordering::Release);
    }

    /// Whether the scenario is over.
    pub fn stopped(&self) -> bool {
        self.word(STOP).load(Ordering::Acquire) == 1
    }

    /// Worker: its script is done; it keeps its ends until [`Arena::stopped`].
    pub fn finish(&self, process: Process) {
        self.part(process, DONE).store(1, Ordering::Release);
    }

    /// Whether the process's script is done.
    pub fn is_finished(&self, process: Process) -> bool {
        self.part(process, DONE).load(Ordering::Acquire) == 1
    }

    // Recording.

    fn append(&self, process: Process, time: u64, record: Record) {
        let count = self.part(process, COUNT).load(Ordering::Relaxed);
        let index = count as usize;
        if index >= RECORDS {
            return;
        }
        let (kind, call, detail, message) = encode(record);
        let at = PART + index * RECORD;
        let head = kind | u64::from(detail) << 8 | u64::from(call) << 32;
        self.part(process, at).store(time, Ordering::Relaxed);
        self.part(process, at + 1).store(head, Ordering::Relaxed);
        let message = message.unwrap_or(Message::new(0, 0, 0));
        let name = u64::from(message.sender.0) << 32 | u64::from(message.sequence);
        self.part(process, at + 2).store(name, Ordering::Relaxed);
        let body = u64::from(message.priority) << 32 | u64::from(message.size);
        self.part(process, at + 3).store(body, Ordering::Relaxed);
        // sync: record-written. Pairs with the load in `records`.
        self.part(process, COUNT).store(count + 1, Ordering::Release);
    }

    /// Worker: the call begins. To be called just before it.
    pub fn call(&self, process: Process, call: u32) {
        self.append(process, now(), Record::Call { call });
        self.part(process, IN_CALL).store(u64::from(call) + 1, Ordering::Release);
    }

    /// Worker: the call has ended like this. To be called just after it.
    pub fn ret(&self, process: Process, time: u64, record: Record) {
        self.part(process, IN_CALL).store(0, Ordering::Release);
        self.append(process, time, record);
        self.part(process, RETURNED).fetch_add(1, Ordering::AcqRel);
    }

    /// Worker: notes what it saw of another process.
    pub fn note(&self, process: Process, time: u64, record: Record) {
        self.append(process, time, record);
    }

    // Watching.

    /// The operating system's numbers for the process's worker: process and thread.
    pub fn identity(&self, process: Process) -> (u32, u32) {
        let read = |word| self.part(process, word).load(Ordering::Acquire) as u32;
        (read(PID), read(TID))
    }

    /// The number of the call that the process is in.
    pub fn in_call(&self, process: Process) -> Option<u32> {
        (self.part(process, IN_CALL).load(Ordering::Acquire) as u32).checked_sub(1)
    }

    /// Worker: it waits, or waits no longer, for something to be seen of another process.
    pub fn set_awaiting(&self, process: Process, awaiting: bool) {
        self.part(process, AWAITING).store(awaiting.into(), Ordering::Release);
    }

    /// Whether the process waits for something to be seen: it will go on by itself.
    pub fn is_awaiting(&self, process: Process) -> bool {
        self.part(process, AWAITING).load(Ordering::Acquire) == 1
    }

    /// How many calls of the process have returned.
    pub fn returned(&self, process: Process) -> u32 {
        self.part(process, RETURNED).load(Ordering::Acquire) as u32
    }

    /// The number of records written by all processes so far: while it stands still, nothing
    /// that the suite can see moves.
    pub fn progress(&self) -> u64 {
        (0..self.processes() as u16)
            .map(|p| self.part(Process(p), COUNT).load(Ordering::Acquire))
            .sum()
    }

    /// Everything the process has written down so far, oldest first.
    ///
    /// # Errors
    /// A record that no worker of this version writes: the adapter has scribbled over the arena.
    pub fn records(&self, process: Process) -> io::Result<Vec<(u64, Record)>> {
        // sync: record-written. Pairs with the store in `append`.
        let count = (self.part(process, COUNT).load(Ordering::Acquire) as usize).min(RECORDS);
        let read = |index: usize| {
            let word = |i| self.part(process, PART + index * RECORD + i).load(Ordering::Relaxed);
            let message = Message {
                sender: Process((word(2) >> 32) as u16),
                sequence: word(2) as u32,
                size: word(3) as u32,
                priority: (word(3) >> 32) as u32,
            };
            decode(word(1), message).map(|record| (word(0), record)).ok_or_else(|| {
                let why = format!("record {index} of {process} is none: {:#x}", word(1));
                io::Error::new(io::ErrorKind::InvalidData, why)
            })
        };
        (0..count).map(read).collect()
    }
}

/// Kind, call number, detail, message.
fn encode(record: Record) -> (u64, u32, u16, Option<Message>) {
    match record {
        Record::Call { call } => (1, call, 0, None),
        Record::Return { call, ret } => match ret {
            Ret::Done => (2, call, 0, None),
            Ret::Received(m) => (3, call, 0, Some(m)),
            Ret::Torn(m) => (4, call, 0, Some(m)),
            Ret::Refused(r) => {
                let detail = Refusal::ALL.iter().position(|x| *x == r).expect("listed") as u16;
                (5, call, detail, None)
            }
        },
        Record::Odd { call } => (6, call, 0, None),
        Record::Unsupported { call } => (7, call, 0, None),
        Record::Blocked { process, call } => (8, call, process.0, None),
        Record::Killed { process } => (9, 0, process.0, None),
        Record::Kill { process } => (10, 0, process.0, None),
        Record::Panicked { call } => (11, call, 0, None),
    }
}

fn decode(head: u64, message: Message) -> Option<Record> {
    let call = (head >> 32) as u32;
    let detail = (head >> 8) as u16;
    let returned = |ret| Some(Record::Return { call, ret });
    match head & 0xff {
        1 => Some(Record::Call { call }),
        2 => returned(Ret::Done),
        3 => returned(Ret::Received(message)),
        4 => returned(Ret::Torn(message)),
        5 => returned(Ret::Refused(*Refusal::ALL.get(detail as usize)?)),
        6 => Some(Record::Odd { call }),
        7 => Some(Record::Unsupported { call }),
        8 => Some(Record::Blocked { process: Process(detail), call }),
        9 => Some(Record::Killed { process: Process(detail) }),
        10 => Some(Record::Kill { process: Process(detail) }),
        11 => Some(Record::Panicked { call }),
        _ => None,
    }
}
