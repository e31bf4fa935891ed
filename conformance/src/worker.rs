//! A worker: one process of a scenario. It plays its script against its endpoints and writes down
//! what happened.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ipc_model::{Message, Mode, Op, Process, Refusal, Ret, Scenario, Step};

use crate::adapter::{Delivery, Endpoint, Failure, Parcel};
use crate::arena::{Arena, Record, now};
use crate::payload;

/// How long a worker looks for a peer to fall asleep, or to return, before it goes on anyway.
/// What it then did not see, the verdict does not claim.
const PATIENCE: Duration = Duration::from_millis(50);

/// Between two looks at a sleeping peer.
const LOOK: Duration = Duration::from_micros(100);

/// The endpoints that one process holds, by link.
pub type Endpoints = HashMap<u8, Box<dyn Endpoint>>;

/// One process of a scenario.
pub struct Worker<'a> {
    arena: &'a Arena,
    scenario: &'a Scenario,
    process: Process,
    endpoints: Endpoints,
    known: Vec<Message>,
    /// The bytes of every message it sends, made before the clock runs.
    bytes: HashMap<(u32, u32), Vec<u8>>,
    next_call: u32,
    /// Whether it exits once it is through; see [`crate::protocol::Run::leave`].
    pub(crate) leave: bool,
}

impl<'a> Worker<'a> {
    /// A worker that holds these endpoints.
    pub fn new(
        arena: &'a Arena,
        scenario: &'a Scenario,
        process: Process,
        endpoints: Endpoints,
    ) -> Self {
        let own = scenario.calls(process).filter_map(Op::message);
        let bytes = own.map(|m| ((m.sequence, m.size), payload::bytes(&m))).collect();
        let known = scenario.messages().collect();
        Self { arena, scenario, process, endpoints, known, bytes, next_call: 0, leave: false }
    }

    /// Says it is ready, waits for the start, plays the whole script, and keeps its ends until
    /// the scenario is over.
    pub fn play(mut self) {
        self.arena.ready(self.process);
        while !self.arena.started() {
            if self.arena.stopped() {
                return;
            }
            std::thread::yield_now();
        }
        if self.leave {
            self.await_gone();
        }
        for step in &self.scenario.processes[self.process.0 as usize].0 {
            if self.arena.stopped() {
                return;
            }
            self.step(step);
        }
        self.arena.finish(self.process);
        if self.leave && self.sends() {
            // As a program ends: what it holds is not dropped.
            std::process::exit(0);
        }
        while !self.arena.stopped() {
            std::thread::sleep(LOOK);
        }
    }

    fn sends(&self) -> bool {
        self.scenario.links.iter().any(|link| link.senders.contains(self.process))
    }

    /// One that only receives waits until every process that sends is gone.
    fn await_gone(&self) {
        let senders = self.scenario.links.iter().flat_map(|link| link.senders.iter());
        for sender in senders.filter(|_| !self.sends()) {
            let gone = || {
                let (pid, tid) = self.arena.identity(sender);
                self.arena.is_finished(sender)
                    && matches!(state_of(pid, tid), None | Some('Z' | 'X'))
            };
            self.arena.set_awaiting(self.process, true);
            while !gone() && !self.arena.stopped() {
                std::thread::sleep(LOOK);
            }
            self.arena.set_awaiting(self.process, false);
        }
    }

    /// Plays one step.
    pub fn step(&mut self, step: &Step) {
        match *step {
            Step::Call(op) => self.call(op),
            Step::AwaitBlocked { process, call } => {
                self.arena.set_awaiting(self.process, true);
                self.await_blocked(process, call);
                self.arena.set_awaiting(self.process, false);
            }
            Step::AwaitReturn { process, call } => self.await_return(process, call),
            Step::Kill { process } => self.kill(process),
        }
    }

    fn call(&mut self, op: Op) {
        let call = self.next_call;
        self.next_call += 1;
        // The largest number stands for the largest time there is.
        let timeout = match self.scenario.timeout {
            u64::MAX => Duration::MAX,
            nanoseconds => Duration::from_nanos(nanoseconds),
        };
        let arena = self.arena;
        let process = self.process;
        let record = |time, result: Result<Ret, Failure>| {
            let record = match result {
                Ok(ret) => Record::Return { call, ret },
                Err(Failure::Unsupported) => Record::Unsupported { call },
                Err(failure) => match refusal(&failure) {
                    Some(refusal) => Record::Return { call, ret: Ret::Refused(refusal) },
                    None => {
                        eprintln!("{process} {op}: {failure}");
                        Record::Odd { call }
                    }
                },
            };
            arena.ret(process, time, record);
        };
        if let Op::Close { link } = op {
            let endpoint = self.endpoints.remove(&link);
            arena.call(process, call);
            drop(endpoint);
            return record(now(), Ok(Ret::Done));
        }
        let Some(endpoint) = self.endpoints.get_mut(&op.link()) else {
            arena.call(process, call);
            return record(now(), Err(Failure::Other("the end is closed already".into())));
        };
        match op {
            Op::Send { to, message, mode, .. } => {
                let bytes = &self.bytes[&(message.sequence, message.size)];
                let parcel = Parcel { bytes, priority: message.priority, to };
                arena.call(process, call);
                let result = catch(|| match mode {
                    Mode::Blocking => endpoint.send(parcel),
                    Mode::Nonblocking => endpoint.try_send(parcel),
                    Mode::Timed => endpoint.send_timeout(parcel, timeout),
                });
                let time = now();
                match result {
                    Some(result) => record(time, result.map(|()| Ret::Done)),
                    None => arena.ret(process, time, Record::Panicked { call }),
                }
            }
            Op::Receive { from, mode, .. } => {
                arena.call(process, call);
                let result = catch(|| match mode {
                    Mode::Blocking => endpoint.receive(from),
                    Mode::Nonblocking => endpoint.try_receive(from),
                    Mode::Timed => endpoint.receive_timeout(from, timeout),
                });
                let time = now();
                match result {
                    Some(result) => record(time, result.map(|d| recognise(&d, &self.known))),
                    None => arena.ret(process, time, Record::Panicked { call }),
                }
            }
            Op::Close { .. } => unreachable!("done above"),
        }
    }

    /// Waits until the other process has been seen asleep in its call three times in a row and for
    /// as long as the scenario asks, or is still in it when patience ends (some links wait by
    /// spinning), or has left it.
    fn await_blocked(&self, process: Process, awaited: u32) {
        let any = awaited == Step::ANY_CALL;
        let over = || {
            let left = !any && self.arena.returned(process) > awaited;
            left || self.arena.is_finished(process) || self.arena.stopped()
        };
        let long = Duration::from_nanos(self.scenario.asleep);
        let patience = PATIENCE + 2 * long;
        let begun = Instant::now();
        let mut seen = (0, None, begun);
        let mut entered = (Instant::now(), None);
        while !over() && begun.elapsed() < 4 * patience {
            let before = now();
            let inside = self.arena.in_call(process).filter(|c| any || *c == awaited);
            if entered.1 != inside {
                entered = (Instant::now(), inside);
            }
            let asleep = inside.filter(|_| sleeping(self.arena.identity(process)));
            seen = if asleep.is_some() && asleep == seen.1 {
                (seen.0 + 1, asleep, seen.2)
            } else {
                (1, asleep, Instant::now())
            };
            let sleeps = asleep.filter(|_| seen.0 >= 3 && seen.2.elapsed() >= long);
            let spins = inside.filter(|_| entered.0.elapsed() > patience);
            if let Some(call) = sleeps.or(spins) {
                // It had not returned at `before`: the record of that comes later.
                return self.arena.note(self.process, before, Record::Blocked { process, call });
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until the other process has returned from its call. If it never does, neither does
    /// this: what follows in the script is meant to come after.
    fn await_return(&self, process: Process, call: u32) {
        let begun = Instant::now();
        while self.arena.returned(process) <= call && !self.arena.stopped() {
            if begun.elapsed() < LOOK {
                std::thread::yield_now();
            } else {
                std::thread::sleep(LOOK);
            }
        }
    }

    /// Kills the other worker's process, and waits until it is dead: a zombie or gone, its
    /// descriptors closed.
    fn kill(&self, process: Process) {
        let (pid, _) = self.arena.identity(process);
        let victim = nix::unistd::Pid::from_raw(pid as i32);
        if pid == 0 || pid == std::process::id() {
            eprintln!("{process} shares a process with its killer, so it stays alive");
            return;
        }
        self.arena.note(self.process, now(), Record::Kill { process });
        if let Err(error) = nix::sys::signal::kill(victim, nix::sys::signal::Signal::SIGKILL) {
            eprintln!("cannot kill {process}: {error}");
            return;
        }
        while !matches!(state_of(pid, pid), None | Some('Z' | 'X')) {
            std::thread::sleep(LOOK);
        }
        self.arena.note(self.process, now(), Record::Killed { process });
    }
}

/// What the code under test answers; `None` if it panics, which is a verdict on it and must not end
/// the worker before that is written down.
fn catch<T>(call: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).ok()
}

/// What a receive was told that got this delivery.
pub(crate) fn recognise(delivery: &Delivery, known: &[Message]) -> Ret {
    let ret = payload::recognise(&delivery.bytes, known);
    match (ret, delivery.sender) {
        // A link that names the wrong sender has delivered a message that nobody sent so.
        (Ret::Received(message), Some(sender)) if sender != message.sender => {
            Ret::Received(Message { sender, ..message })
        }
        _ => ret,
    }
}

/// The model's word for a failure; `None` for those that it has none for.
pub(crate) fn refusal(failure: &Failure) -> Option<Refusal> {
    Some(match failure {
        Failure::Full => Refusal::Full,
        Failure::Empty => Refusal::Empty,
        Failure::Timeout => Refusal::Timeout,
        Failure::Closed => Refusal::Closed,
        Failure::TooBig => Refusal::TooBig,
        Failure::WrongSize => Refusal::WrongSize,
        Failure::Unsupported | Failure::Other(_) => return None,
    })
}

/// The state letter of a thread, as procfs tells it; `None` if there is no such thread.
pub fn state_of(pid: u32, tid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/stat")).ok()?;
    // The name is in parentheses and may itself hold any character.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether the thread sleeps until something happens.
pub fn sleeping((pid, tid): (u32, u32)) -> bool {
    matches!(state_of(pid, tid), Some('S' | 'D'))
}
