//! The run: every cell is a process of its own, and everybody has a turn in every round, so that
//! whatever disturbs the machine disturbs all alike.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::calls;
use crate::cell::{CPUS_VARIABLE, Sample};
use crate::contenders;
use crate::link::{Cell, Contender, Family, Measure};

/// Far longer than any cell takes.
const DEADLINE: Duration = Duration::from_secs(5);

/// What is measured once, whatever the round: at which size and capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) contender: &'static str,
    pub(crate) measure: Measure,
    pub(crate) size: usize,
    pub(crate) capacity: usize,
}

/// All that was measured: a sample a round, or why there is none.
#[derive(Default)]
pub(crate) struct Samples {
    pub(crate) by_key: BTreeMap<Key, Vec<Option<Sample>>>,
    pub(crate) calls: BTreeMap<(&'static str, usize), f64>,
    pub(crate) unavailable: BTreeMap<(&'static str, usize), String>,
}

/// Measures everything.
pub(crate) struct Run<'a> {
    pub(crate) contenders: Vec<&'static Contender>,
    pub(crate) sizes: Vec<usize>,
    pub(crate) rounds: u32,
    pub(crate) cpus: [usize; 2],
    pub(crate) folder: &'a Path,
}

impl Run<'_> {
    /// Goes through all rounds.
    pub(crate) fn all(&self) -> Result<Samples> {
        let plan = self.plan();
        let counted = self.contenders.len() * self.sizes.len();
        let bar = ProgressBar::new((counted + plan.len() * self.rounds as usize) as u64);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?;
        bar.set_style(style);
        let mut samples = Samples::default();
        for contender in &self.contenders {
            for &size in &self.sizes {
                bar.set_message(format!("system calls of {}", contender.name));
                bar.inc(1);
                match self.count(contender, size) {
                    Ok(calls) => drop(samples.calls.insert((contender.name, size), calls)),
                    Err(why) => {
                        samples.unavailable.insert((contender.name, size), format!("{why:#}"));
                    }
                }
            }
        }
        for round in 0..self.rounds {
            for key in &plan {
                bar.set_message(format!("round {} {}", round + 1, key.contender));
                bar.inc(1);
                let sample = match self.measure(key, round) {
                    Ok(sample) => Some(sample),
                    Err(why) => {
                        let place = (key.contender, key.size);
                        samples.unavailable.entry(place).or_insert(format!("{why:#}"));
                        None
                    }
                };
                samples.by_key.entry(*key).or_default().push(sample);
            }
        }
        bar.finish_and_clear();
        Ok(samples)
    }

    /// One round: who stands beside whom in the table is measured right after another.
    fn plan(&self) -> Vec<Key> {
        let mut plan = Vec::new();
        for &size in &self.sizes {
            for c in &self.contenders {
                for capacity in c.capacities(size) {
                    let measure = Measure::OneWay;
                    plan.push(Key { contender: c.name, measure, size, capacity });
                }
            }
        }
        let Some(&size) = self.sizes.first() else { return plan };
        let takes_part = |measure, c: &Contender| match measure {
            Measure::Sleeping => c.sleeps && !c.in_place,
            Measure::TwoByTwo => c.many,
            _ => !c.in_place,
        };
        for measure in [Measure::Spinning, Measure::Sleeping, Measure::TwoByTwo] {
            for c in self.contenders.iter().filter(|c| takes_part(measure, c)) {
                let capacity = c.capacities(size)[0];
                plan.push(Key { contender: c.name, measure, size, capacity });
            }
        }
        plan
    }

    fn cell(&self, key: &Key, round: u32) -> Cell {
        Cell {
            contender: key.contender.into(),
            measure: key.measure,
            size: key.size,
            capacity: key.capacity,
            awake: awake(key.contender),
            name: format!("{}{round}", prefix()),
            folder: self.folder.into(),
        }
    }

    fn command(&self, cell: &Cell) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("--cell")
            .arg(serde_json::to_string(cell)?)
            .env(CPUS_VARIABLE, format!("{},{}", self.cpus[0], self.cpus[1]))
            // What went wrong is for a line of the table.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        Ok(command)
    }

    fn measure(&self, key: &Key, round: u32) -> Result<Sample> {
        let cell = self.cell(key, round);
        let child = self.command(&cell)?.spawn()?;
        let watch = Watch::over(&child);
        let output = child.wait_with_output();
        let killed = watch.end();
        clean(self.folder);
        unlink_queues(&cell.name);
        let output = output?;
        let said = String::from_utf8_lossy(&output.stdout);
        let answer = said.lines().last().and_then(|line| serde_json::from_str(line).ok());
        match answer {
            Some(sample) if output.status.success() => Ok(sample),
            _ if killed => bail!("no answer within {DEADLINE:?}"),
            _ => {
                let said = String::from_utf8_lossy(&output.stderr);
                let line = said.lines().find(|line| !line.is_empty()).unwrap_or("no word");
                bail!("{line} ({})", output.status)
            }
        }
    }

    /// System calls a message, of both ends together.
    fn count(&self, contender: &Contender, size: usize) -> Result<f64> {
        let capacity = contender.capacities(size)[0];
        let measure = Measure::Calls;
        let cell = self.cell(&Key { contender: contender.name, measure, size, capacity }, 0);
        let mut command = self.command(&cell)?;
        let mut child = calls::start(&mut command)?;
        let watch = Watch::over(&child);
        let counted = calls::count(&child);
        let killed = watch.end();
        clean(self.folder);
        unlink_queues(&cell.name);
        let read = |from: Option<&mut dyn std::io::Read>| {
            let mut text = String::new();
            // What cannot be read says nothing.
            let _ = from.map(|from| from.read_to_string(&mut text));
            text
        };
        let said = read(child.stdout.as_mut().map(|s| s as _));
        let wrong = read(child.stderr.as_mut().map(|s| s as _));
        let calls = match counted {
            Ok(calls) => calls,
            Err(_) if killed => bail!("no answer within {DEADLINE:?}"),
            Err(why) => {
                bail!("{}", wrong.lines().find(|l| !l.is_empty()).unwrap_or(&format!("{why:#}")))
            }
        };
        let answer = said.lines().last().and_then(|line| serde_json::from_str(line).ok());
        let Some(Sample::Passed(messages)) = answer else { bail!("no answer") };
        Ok(calls as f64 / messages as f64)
    }
}

/// Whether a contender has to show that it needs no system call while its ends are awake.
fn awake(name: &str) -> bool {
    contenders::ALL.iter().any(|c| c.name == name && c.family != Family::Kernel)
}

/// What all names of this run begin with.
fn prefix() -> String {
    format!("ipc-bench-{}-", std::process::id())
}

/// The cell that runs now, for whoever ends this program.
static RUNNING: AtomicI32 = AtomicI32::new(0);

/// Ends a cell that takes too long.
struct Watch {
    done: Sender<()>,
    thread: std::thread::JoinHandle<bool>,
}

impl Watch {
    fn over(child: &Child) -> Self {
        let group = child.id() as i32;
        RUNNING.store(group, Relaxed);
        let (done, wait) = channel();
        let thread = std::thread::spawn(move || {
            let late = wait.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout);
            // The group is gone once all of it have ended, which is as well.
            late && killpg(Pid::from_raw(group), Signal::SIGKILL).is_ok()
        });
        Self { done, thread }
    }

    /// Whether it was ended.
    fn end(self) -> bool {
        RUNNING.store(0, Relaxed);
        // Where nobody listens any more, the deadline has passed.
        let _ = self.done.send(());
        self.thread.join().unwrap_or(true)
    }
}

/// On Ctrl-C: ends the cell and leaves nothing behind.
pub(crate) fn on_interrupt(folder: PathBuf) -> Result<()> {
    let handler = move || {
        let group = RUNNING.load(Relaxed);
        if group != 0 {
            // Where it fails, it has just ended by itself.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        clean(&folder);
        // Where it fails, it is for the next run to remove.
        let _ = std::fs::remove_dir_all(&folder);
        std::process::exit(130);
    };
    ctrlc::set_handler(handler).context("cannot catch Ctrl-C")
}

/// Removes what a cell may have left: most have removed it themselves.
fn clean(folder: &Path) {
    let prefix = prefix();
    for object in std::fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
        if object.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) {
            // Where it fails, it is gone already.
            let _ = std::fs::remove_file(object.path());
        }
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|e| e == "sysv") {
            contenders::kernel::remove_sysv(&path);
        }
        let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
    }
}

/// Removes the POSIX queues that a killed cell may have left: no folder lists them everywhere.
fn unlink_queues(name: &str) {
    for suffix in ["", "-there", "-back"] {
        // Where it fails, it is gone already, as it mostly is.
        let _ = nix::mqueue::mq_unlink(format!("/{name}{suffix}").as_str());
    }
}

/// The contenders that are asked for, and the limit.
pub(crate) fn chosen(wants: impl Fn(&str) -> bool) -> Vec<&'static Contender> {
    let all = contenders::ALL.iter();
    all.filter(|c| c.family == Family::Limit || wants(c.name)).collect()
}
