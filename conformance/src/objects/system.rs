//! Real objects, used by real processes: each process of a program is a worker of its own.

use std::io::{BufRead, BufReader, Write};
use std::marker::PhantomData;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use ipc_model::Process;
use ipc_model::machine::User;

use super::worker::remove;
use super::{Objects, Programs};

/// The systems that there are, by name.
pub const NAMES: [&str; 2] = ["posix-shm", "posix-mq"];

/// Why a system cannot be used.
pub type SystemError = String;

/// Workers on one system.
pub struct System<M> {
    system: String,
    prefix: String,
    workers: Vec<Worker>,
    machine: PhantomData<M>,
}

struct Worker {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl<M: Programs> System<M> {
    /// Starts a worker for every user. `program` is one that [`super::serve`]s when it is started
    /// with `objects-worker`, the system's name and a prefix for the names of objects. `other`:
    /// whether each runs as the user of that number, for which this program has to be root.
    ///
    /// # Errors
    /// If a worker cannot be started.
    pub fn start(
        program: &Path,
        system: &str,
        users: &[User],
        other: bool,
    ) -> Result<Self, SystemError> {
        static PROGRAMS: AtomicU64 = AtomicU64::new(0);
        let number = PROGRAMS.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("/ipc-conform-{}-{number}-", std::process::id());
        let start = |user: &User| -> Result<Worker, SystemError> {
            let mut command = Command::new(program);
            command.args(["objects-worker", system, &prefix]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).current_dir("/");
            if other {
                command.uid(user.0.into()).gid(user.0.into());
            }
            let mut child = command.spawn().map_err(|e| format!("{}: {e}", program.display()))?;
            let answers = child.stdout.take().map(BufReader::new).ok_or("it has no output")?;
            Ok(Worker { child, answers })
        };
        let workers = users.iter().map(start).collect::<Result<_, _>>()?;
        Ok(Self { system: system.into(), prefix, workers, machine: PhantomData })
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

    fn answer(&mut self, process: Process, op: &M::Op) -> Result<M::Ret, String> {
        let mut answer = String::new();
        let worker = &mut self.workers[process.0 as usize];
        worker.answers.read_line(&mut answer).map_err(|e| format!("{process} {op}: {e}"))?;
        serde_json::from_str(&answer)
            .map_err(|_| format!("{process} {op} was answered {:?}", answer.trim_end()))
    }
}

impl<M: Programs> Objects<M> for System<M> {
    fn call(&mut self, process: Process, op: &M::Op) -> Result<M::Ret, String> {
        if self.ask(process, op)? { self.answer(process, op) } else { Ok(M::exit().1) }
    }

    fn both(&mut self, calls: [(Process, &M::Op); 2]) -> Result<[M::Ret; 2], String> {
        let [(p, first), (q, second)] = calls;
        self.ask(p, first)?;
        self.ask(q, second)?;
        Ok([self.answer(p, first)?, self.answer(q, second)?])
    }

    fn kill(&mut self, process: Process) -> Result<(), String> {
        let child = &mut self.workers[process.0 as usize].child;
        child.kill().and_then(|()| child.wait()).map(drop).map_err(|e| e.to_string())
    }
}

impl<M> Drop for System<M> {
    /// Ends the workers, and takes away the names that are left.
    fn drop(&mut self) {
        for worker in &mut self.workers {
            drop(worker.child.stdin.take());
            let _ = worker.child.wait();
        }
        remove(&self.system, &self.prefix);
    }
}
