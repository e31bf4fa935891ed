//! Real objects, used by real processes: each process of a program is a worker of its own.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::marker::PhantomData;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use ipc_model::Process;
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::crates::{WITHOUT_INPUT, WORKER};
use super::play::Told;
use super::worker::remove;
use super::{Objects, Programs, Setting, Subject};

/// Why a system cannot be used.
pub type SystemError = String;

/// Workers on one system, or with one crate.
pub struct System<M> {
    prefix: String,
    workers: Vec<Worker>,
    all_at_once: bool,
    /// The object that all have, if it has no name.
    nameless: Option<File>,
    machine: PhantomData<M>,
}

struct Worker {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl<M: Programs> System<M> {
    /// Starts a worker for every user of the setting. `other`: whether each runs as the user of
    /// that number, for which this program has to be root.
    ///
    /// # Errors
    /// If a worker cannot be started.
    pub fn start(
        subject: &Subject<'_>,
        setting: &Setting,
        other: bool,
    ) -> Result<Self, SystemError> {
        static PROGRAMS: AtomicU64 = AtomicU64::new(0);
        let number = PROGRAMS.fetch_add(1, Ordering::Relaxed);
        let own = std::process::id();
        let (nameless, prefix) = if subject.offer.nameless {
            let object = memfd_create(c"ipc-conform", MFdFlags::MFD_CLOEXEC);
            let object = object.map_err(|e| format!("memfd_create: {e}"))?;
            let path = format!("/proc/{own}/fd/{}", object.as_raw_fd());
            (Some(File::from(object)), path)
        } else {
            (None, format!("/ipc-conform-{own}-{number}-"))
        };
        let mut system = Self {
            prefix,
            workers: Vec::new(),
            all_at_once: subject.offer.all_at_once,
            nameless,
            machine: PhantomData,
        };
        for user in &setting.users {
            let mut command = Command::new(subject.program);
            command.args([WORKER, subject.name, &system.prefix]);
            command.args(setting.without_input.then_some(WITHOUT_INPUT));
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).current_dir("/");
            if other {
                command.uid(user.0.into()).gid(user.0.into());
            }
            let program = || subject.program.display();
            let mut child = command.spawn().map_err(|e| format!("{}: {e}", program()))?;
            let answers = child.stdout.take().map(BufReader::new).ok_or("it has no output")?;
            system.workers.push(Worker { child, answers });
        }
        Ok(system)
    }
}

impl<M: Programs> System<M> {
    /// Sends the call; whether its answer is to be waited for.
    fn ask(&mut self, process: Process, op: &M::Op) -> Result<bool, String> {
        let worker = &mut self.workers[process.0 as usize];
        if *op == M::exit().0 {
            // It ends by itself once it has no input.
            drop(worker.child.stdin.take());
            return worker.child.wait().map(|_| false).map_err(|e| e.to_string());
        }
        let mut line = serde_json::to_string(op).map_err(|e| e.to_string())?;
        line.push('\n');
        let input = worker.child.stdin.as_mut().ok_or("it has no input")?;
        input.write_all(line.as_bytes()).map_err(|e| format!("{process} {op}: {e}"))?;
        Ok(true)
    }

    fn answer(&mut self, process: Process, op: &M::Op) -> Result<Told<M>, String> {
        let mut answer = String::new();
        let worker = &mut self.workers[process.0 as usize];
        worker.answers.read_line(&mut answer).map_err(|e| format!("{process} {op}: {e}"))?;
        serde_json::from_str(&answer)
            .map_err(|_| format!("{process} {op} was answered {:?}", answer.trim_end()))
    }
}

impl<M: Programs> Objects<M> for System<M> {
    fn call(&mut self, process: Process, op: &M::Op) -> Result<Told<M>, String> {
        if self.ask(process, op)? { self.answer(process, op) } else { Ok(vec![M::exit()]) }
    }

    fn both(&mut self, calls: [(Process, &M::Op); 2]) -> Result<[Told<M>; 2], String> {
        let [(p, first), (q, second)] = calls;
        self.ask(p, first)?;
        self.ask(q, second)?;
        Ok([self.answer(p, first)?, self.answer(q, second)?])
    }

    fn kill(&mut self, process: Process) -> Result<(), String> {
        let child = &mut self.workers[process.0 as usize].child;
        child.kill().and_then(|()| child.wait()).map(drop).map_err(|e| e.to_string())
    }

    /// An object without a name is what is left of one that both have open once its name is gone.
    fn before(&self) -> Vec<(Process, M::Op, M::Ret)> {
        let users = self.workers.len() as u16;
        self.nameless.iter().flat_map(|_| M::nameless(users)).collect()
    }

    fn all_at_once(&self) -> bool {
        self.all_at_once
    }
}

impl<M> Drop for System<M> {
    /// Ends the workers, and takes away the names that are left.
    fn drop(&mut self) {
        for worker in &mut self.workers {
            drop(worker.child.stdin.take());
            let _ = worker.child.wait();
        }
        if self.nameless.is_none() {
            remove(&self.prefix);
        }
    }
}
