//! One cell: a process that makes a link, gives one end to a second process, and measures.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpgrp};
use serde::{Deserialize, Serialize};

use crate::calls::mark;
use crate::clock;
use crate::control::Control;
use crate::link::{Cell, Link, Measure, Place, Receives, Sends};

/// What a cell has measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Sample {
    /// Nanoseconds a message.
    Message(f64),
    /// Nanoseconds a round trip.
    Trip {
        /// Half of the trips are at most so long.
        p50: f64,
        /// 99 of 100 trips are at most so long.
        p99: f64,
        /// How often the caller went to sleep, a trip.
        slept: f64,
    },
    /// How many messages passed while the kernel counted.
    Passed(u64),
}

/// How long messages are passed for one sample.
const LONG_ENOUGH: Duration = Duration::from_millis(8);

/// How long a peer is left alone until it must be asleep.
const PAUSE: Duration = Duration::from_micros(120);

/// Measures a link.
pub(crate) fn measure<L: Link>(cell: &Cell) -> Result<Sample> {
    match cell.measure {
        Measure::OneWay => one_way::<L>(cell, 1),
        Measure::TwoByTwo => one_way::<L>(cell, 2),
        Measure::Spinning => trip::<L>(cell, 1_000, |mean| (8e6 / mean).clamp(100.0, 40_000.0)),
        Measure::Sleeping => trip::<L>(cell, 8, |_| 100.0),
        Measure::Calls => calls::<L>(cell),
    }
}

/// So many senders and so many receivers, of which the caller is one.
fn one_way<L: Link>(cell: &Cell, ends: u64) -> Result<Sample> {
    let link = L::make(cell)?;
    let control = Control::new()?;
    let mut others: Vec<Work> = Vec::new();
    for end in 0..ends {
        others.push((1, Box::new(|| send_orders(&link, &control, cell.size))));
        if end > 0 {
            others.push((0, Box::new(|| receive_orders(&link, &control, cell.size))));
        }
    }
    let count = others.len() as u64;
    beside(L::PLACE, others, || {
        let mut receiver = Receiver::new(&link, cell.size, ends == 1)?;
        control.wait_ready(count);
        link.attached();
        let mut pass = |messages| -> Result<Duration> {
            let start = Instant::now();
            control.order(messages);
            receiver.take(messages)?;
            control.wait_done(count);
            Ok(start.elapsed())
        };
        // The first touch of a page is a thousand times as slow as any other.
        pass(2 * cell.capacity as u64)?;
        let mut messages = (4 << 20) / (cell.size as u64 + 4096);
        loop {
            let elapsed = pass(messages)?;
            if elapsed >= LONG_ENOUGH {
                control.order(0);
                let all = messages * ends;
                return Ok(Sample::Message(elapsed.as_nanos() as f64 / all as f64));
            }
            let missing = LONG_ENOUGH.as_secs_f64() * 1.3 / elapsed.as_secs_f64();
            messages = (messages as f64 * missing.clamp(1.5, 20.0)) as u64;
        }
    })
}

fn send_orders<L: Link>(link: &L, control: &Control, size: usize) -> Result<()> {
    let mut sender = link.sender()?;
    let mut message = vec![7; size];
    control.ready();
    let mut phase = 0;
    while let Some(count) = control.next(&mut phase) {
        for number in 0..count {
            message[..8].copy_from_slice(&number.to_le_bytes());
            sender.send(&message)?;
        }
        control.done();
    }
    Ok(())
}

fn receive_orders<L: Link>(link: &L, control: &Control, size: usize) -> Result<()> {
    let mut receiver = Receiver::new(link, size, false)?;
    control.ready();
    let mut phase = 0;
    while let Some(count) = control.next(&mut phase) {
        receiver.take(count)?;
        control.done();
    }
    Ok(())
}

/// A receiving end that looks at what it gets.
struct Receiver<L: Link> {
    end: L::Receiver,
    buffer: Vec<u8>,
    /// Whether it gets all messages, so that they must come in order.
    alone: bool,
}

impl<L: Link> Receiver<L> {
    fn new(link: &L, size: usize, alone: bool) -> Result<Self> {
        Ok(Self { end: link.receiver()?, buffer: vec![0; size], alone })
    }

    fn take(&mut self, count: u64) -> Result<()> {
        for number in 0..count {
            self.end.receive(&mut self.buffer)?;
            let came = first(black_box(&self.buffer));
            ensure!(!self.alone || came == number, "message {came} came for {number}");
        }
        Ok(())
    }
}

/// The number at the beginning of a message.
pub(crate) fn first(message: &[u8]) -> u64 {
    message.first_chunk().map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes))
}

/// Round trips: some to warm up, then as many as `enough` makes of their mean time.
fn trip<L: Link>(cell: &Cell, warm_up: u64, enough: fn(f64) -> f64) -> Result<Sample> {
    let (there, back) = L::make_both(cell)?;
    let control = Control::new()?;
    let asleep = cell.measure == Measure::Sleeping;
    let echo = || {
        let mut receiver = there.receiver()?;
        let mut sender = back.sender()?;
        let mut buffer = vec![0; cell.size];
        control.ready();
        let mut phase = 0;
        while let Some(count) = control.next(&mut phase) {
            for _ in 0..count {
                receiver.receive(&mut buffer)?;
                if asleep {
                    control.set_pause(pause());
                }
                sender.send(&buffer)?;
            }
            control.done();
        }
        Ok(())
    };
    beside(L::PLACE, vec![(1, Box::new(echo))], || {
        let mut sender = there.sender()?;
        let mut receiver = back.receiver()?;
        control.wait_ready(1);
        there.attached();
        back.attached();
        let mut buffer = vec![0; cell.size];
        let mut message = vec![7; cell.size];
        let mut trips = |count: u64| -> Result<Vec<u64>> {
            let mut ticks = Vec::with_capacity(count as usize);
            control.order(count);
            for number in 0..count {
                if asleep {
                    pause();
                }
                message[..8].copy_from_slice(&number.to_le_bytes());
                let start = clock::ticks();
                sender.send(&message)?;
                receiver.receive(&mut buffer)?;
                let elapsed = clock::ticks() - start;
                let came = first(&buffer);
                ensure!(came == number, "message {came} came back for {number}");
                let paused = if asleep { control.pause() } else { 0 };
                ticks.push(elapsed.saturating_sub(paused));
            }
            control.wait_done(1);
            Ok(ticks)
        };
        let warm = trips(warm_up)?;
        let per_tick = clock::nanoseconds_per_tick();
        let mean = warm.iter().sum::<u64>() as f64 * per_tick / warm_up as f64;
        let sleeps = sleeps()?;
        let mut ticks = trips(enough(mean) as u64)?;
        let slept = (self::sleeps()? - sleeps) as f64 / ticks.len() as f64;
        control.order(0);
        ticks.sort_unstable();
        let at = |share: f64| ticks[(share * (ticks.len() - 1) as f64) as usize] as f64 * per_tick;
        Ok(Sample::Trip { p50: at(0.5), p99: at(0.99), slept })
    })
}

/// Keeps this CPU busy until the peer on the other one must be asleep; how long it took, in ticks.
fn pause() -> u64 {
    let (start, clock) = (clock::ticks(), Instant::now());
    while clock.elapsed() < PAUSE {
        std::hint::spin_loop();
    }
    clock::ticks() - start
}

/// How often this thread has gone to sleep by its own will.
fn sleeps() -> Result<i64> {
    Ok(getrusage(UsageWho::RUSAGE_THREAD)?.voluntary_context_switches())
}

/// Passes messages between two marks, for the kernel to count the calls between them. Through
/// shared memory both ends are kept awake: the receiver asks again and again, and no more messages
/// are under way than the link holds.
fn calls<L: Link>(cell: &Cell) -> Result<Sample> {
    let at_once = if cell.spins() { (cell.capacity as u64 / 2).clamp(1, 1_000) } else { 1_000 };
    let link = L::make(cell)?;
    let control = Control::new()?;
    let send = || send_orders(&link, &control, cell.size);
    beside(L::PLACE, vec![(1, Box::new(send))], || {
        let mut receiver = Receiver::new(&link, cell.size, true)?;
        control.wait_ready(1);
        link.attached();
        let mut pass = |count| {
            control.order(count);
            receiver.take(count)?;
            control.wait_done(1);
            anyhow::Ok(())
        };
        pass(at_once)?;
        let (mut passed, enough) = (0, (2e7 / clock::nanoseconds_per_tick()) as u64);
        mark();
        let start = clock::ticks();
        while passed < 100_000 && clock::ticks() - start < enough {
            pass(at_once)?;
            passed += at_once;
        }
        mark();
        control.order(0);
        Ok(Sample::Passed(passed))
    })
}

/// What another process or thread does, and which of the two CPUs it does it on.
type Work<'a> = (usize, Box<dyn FnOnce() -> Result<()> + Send + 'a>);

/// Does its own work on the first CPU while others do theirs.
fn beside<T>(place: Place, others: Vec<Work>, own: impl FnOnce() -> Result<T>) -> Result<T> {
    let cpus = cpus()?;
    match place {
        Place::Threads => std::thread::scope(|scope| {
            for (cpu, work) in others {
                scope.spawn(move || complete(pin(cpus[cpu]).and_then(|()| work())));
            }
            pin(cpus[0])?;
            own()
        }),
        Place::Processes => {
            let mut children = Children(Vec::new());
            for (cpu, work) in others {
                // SAFETY: the process has one thread: it was started for this cell alone, and
                // what could start threads is made by the ends, after this.
                match unsafe { fork() }.context("fork")? {
                    ForkResult::Parent { child } => children.0.push(child),
                    ForkResult::Child => {
                        // SAFETY: this changes a property of the calling process alone.
                        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                        complete(pin(cpus[cpu]).and_then(|()| work()));
                        // SAFETY: nothing of this process is to be run any more; what it shares
                        // with its parent is the parent's to remove.
                        unsafe { libc::_exit(0) };
                    }
                }
            }
            pin(cpus[0])?;
            let done = own()?;
            children.wait()?;
            Ok(done)
        }
    }
}

/// Whoever waits for a peer that has failed would wait for ever: the cell ends as a whole. It is a
/// process group of its own.
fn complete(result: Result<()>) {
    if let Err(why) = result {
        eprintln!("{why:#}");
        // Where it fails there is nobody left to end.
        let _ = killpg(getpgrp(), Signal::SIGKILL);
    }
}

/// Forked processes, killed when they are not waited for.
struct Children(Vec<Pid>);

impl Children {
    fn wait(&mut self) -> Result<()> {
        while let Some(child) = self.0.pop() {
            match waitpid(child, None)? {
                WaitStatus::Exited(_, 0) => {}
                other => bail!("the peer ended with {other:?}"),
            }
        }
        Ok(())
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for child in &self.0 {
            // Where it fails, the child is gone already.
            let _ = kill(*child, Signal::SIGKILL);
            let _ = waitpid(*child, None);
        }
    }
}

/// The two CPUs of this run, which the driver has chosen.
fn cpus() -> Result<[usize; 2]> {
    let text = std::env::var(CPUS_VARIABLE).context(CPUS_VARIABLE)?;
    let numbers: Vec<usize> = text.split(',').map(str::parse).collect::<Result<_, _>>()?;
    <[usize; 2]>::try_from(numbers).ok().context("two CPUs are needed")
}

/// Where a cell is told its CPUs.
pub(crate) const CPUS_VARIABLE: &str = "IPC_BENCH_CPUS";

/// The first two CPUs that this process may run on.
pub(crate) fn two_cpus() -> Result<[usize; 2]> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).context("sched_getaffinity")?;
    let mut cpus = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    match (cpus.next(), cpus.next()) {
        (Some(one), Some(other)) => Ok([one, other]),
        _ => bail!("two CPUs are needed, and this process may run on fewer; see taskset(1)"),
    }
}

fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set).context("sched_setaffinity")
}
