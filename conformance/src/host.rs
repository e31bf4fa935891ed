//! The adapter's side of the control protocol: creates links and runs workers.

use std::io::{BufRead, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc_model::{Process, Scenario};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::adapter::{Adapter, Address, Created, Failure, Role};
use crate::arena::Arena;
use crate::futures;
use crate::protocol::{
    Answer, Death, HOST_VARIABLE, PROTOCOL, Request, Run, WORKER_VARIABLE, Way, WorkerTask,
};
use crate::worker::{Endpoints, Worker};

/// How long workers get to leave after the scenario is over.
const FAREWELL: Duration = Duration::from_millis(200);

/// Between two looks at a worker that is leaving.
const LOOK: Duration = Duration::from_micros(100);

/// Serves requests from standard input until it ends.
///
/// # Errors
/// Only those of standard input and output.
pub(crate) fn serve(adapter: &dyn Adapter) -> std::io::Result<()> {
    // The runner reads answers from here and nothing else: whatever the code under test prints
    // goes to standard error.
    let mut answers = redirect_output()?;
    let mut running: Option<Running> = None;
    for line in std::io::stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?) {
            Ok(request) => handle(adapter, request, &mut running),
            Err(error) => Answer::Error { why: format!("not a request: {error}") },
        };
        serde_json::to_writer(&mut answers, &answer)?;
        answers.write_all(b"\n")?;
        answers.flush()?;
    }
    if let Some(running) = running {
        running.finish();
    }
    Ok(())
}

fn redirect_output() -> std::io::Result<std::fs::File> {
    let answers = nix::unistd::dup(std::io::stdout())?;
    nix::unistd::dup2_stdout(std::io::stderr())?;
    fcntl(&answers, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(answers.into())
}

fn handle(adapter: &dyn Adapter, request: Request, running: &mut Option<Running>) -> Answer {
    let result = match request {
        Request::Hello => {
            return Answer::Adapter {
                protocol: PROTOCOL.into(),
                name: adapter.name(),
                version: adapter.version(),
                claims: adapter.claims(),
            };
        }
        Request::Run(run) => Running::start(adapter, &run).map(|r| {
            *running = Some(r);
            Answer::Started
        }),
        Request::Finish => {
            let deaths = running.take().map_or_else(Vec::new, Running::finish);
            Ok(Answer::Finished { deaths })
        }
        Request::Look { link, place, task } => {
            crate::look::take(adapter, &link, &place, &task).map(|facts| Answer::Looked { facts })
        }
        Request::Poll { link, actions } => adapter
            .futures(&link)
            .and_then(|futures| futures::play(futures, &actions))
            .map(|seen| Answer::Polled { seen }),
        Request::Remove { link, place } => {
            adapter.remove(&link, &place);
            Ok(Answer::Finished { deaths: Vec::new() })
        }
    };
    result.unwrap_or_else(|failure| Answer::Error { why: failure.to_string() })
}

/// A scenario under way: its links and its workers.
struct Running {
    arena: Arc<Arena>,
    threads: Vec<std::thread::JoinHandle<()>>,
    children: Vec<Child>,
    /// Dropped last: the links are removed when nobody uses them any more.
    links: Vec<Box<dyn Created>>,
}

fn role(scenario: &Scenario, link: usize, process: Process) -> Option<Role> {
    let ends = &scenario.links[link];
    let role = Role {
        process,
        sends: ends.senders.contains(process),
        receives: ends.receivers.contains(process),
    };
    (role.sends || role.receives).then_some(role)
}

impl Running {
    fn start(adapter: &dyn Adapter, run: &Run) -> Result<Self, Failure> {
        let arena = Arc::new(Arena::open(&run.arena).map_err(Failure::other)?);
        let mut links = Vec::new();
        for place in &run.places {
            links.push(adapter.create(&run.link, place)?);
        }
        let mut running = Self { arena, threads: Vec::new(), children: Vec::new(), links };
        let started = match run.way {
            Way::Threads => running.start_threads(run),
            Way::Processes => running.start_processes(run),
        };
        if let Err(failure) = started {
            running.finish();
            return Err(failure);
        }
        running.links.iter_mut().for_each(|link| link.hand_over());
        Ok(running)
    }

    fn start_threads(&mut self, run: &Run) -> Result<(), Failure> {
        let mut all: Vec<Endpoints> = Vec::new();
        for p in (0..run.scenario.width() as u16).map(Process) {
            let mut endpoints = Endpoints::new();
            for (number, link) in self.links.iter_mut().enumerate() {
                if let Some(role) = role(&run.scenario, number, p) {
                    endpoints.insert(number as u8, link.endpoint(role)?);
                }
            }
            all.push(endpoints);
        }
        let scenario = Arc::new(run.scenario.clone());
        let mut spawn = |name: String, body: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new().name(name).spawn(body);
            thread.map(|t| self.threads.push(t)).map_err(Failure::other)
        };
        if !scenario.order.is_empty() {
            let arena = Arc::clone(&self.arena);
            return spawn("all".into(), Box::new(move || play_in_order(&arena, &scenario, all)));
        }
        for (p, endpoints) in all.into_iter().enumerate() {
            let (arena, scenario) = (Arc::clone(&self.arena), Arc::clone(&scenario));
            let process = Process(p as u16);
            let body = move || Worker::new(&arena, &scenario, process, endpoints).play();
            spawn(process.to_string(), Box::new(body))?;
        }
        Ok(())
    }

    fn start_processes(&mut self, run: &Run) -> Result<(), Failure> {
        let program = std::env::current_exe().map_err(Failure::other)?;
        for p in (0..run.scenario.width() as u16).map(Process) {
            let mut addresses = Vec::new();
            for (number, link) in self.links.iter_mut().enumerate() {
                if let Some(role) = role(&run.scenario, number, p) {
                    addresses.push((number as u8, link.address(role)?));
                }
            }
            self.children.push(spawn_worker(&program, run, p, addresses)?);
        }
        Ok(())
    }

    /// Ends the scenario and removes its links. Tells which workers were dead before that.
    fn finish(mut self) -> Vec<Death> {
        let deaths = self.children.iter_mut().enumerate().filter_map(|(p, child)| {
            let status = child.try_wait().ok().flatten()?;
            let process = Process(p as u16);
            Some(Death { process, signal: status.signal(), code: status.code() })
        });
        let deaths = deaths.collect();
        self.arena.stop();
        let begun = Instant::now();
        for child in &mut self.children {
            while matches!(child.try_wait(), Ok(None)) {
                if begun.elapsed() > FAREWELL {
                    // An error here means that it has gone by itself.
                    let _ = child.kill();
                    let _ = child.wait();
                    break;
                }
                std::thread::sleep(LOOK);
            }
        }
        for thread in self.threads.drain(..) {
            while !thread.is_finished() && begun.elapsed() < FAREWELL {
                std::thread::sleep(LOOK);
            }
            // One that is stuck inside the link stays so until this process is ended. One that
            // panicked has said so on standard error, and its history has no end.
            if thread.is_finished() {
                let _ = thread.join();
            }
        }
        self.links.clear();
        deaths
    }
}

/// Spawns the worker, lending it the descriptors of its addresses and no others.
fn spawn_worker(
    program: &Path,
    run: &Run,
    process: Process,
    addresses: Vec<(u8, Address)>,
) -> Result<Child, Failure> {
    let lend = |addresses: &[(u8, Address)], flags: FdFlag| {
        for descriptor in addresses.iter().flat_map(|(_, a)| &a.inherit) {
            // SAFETY: the adapter's own `Created` keeps the descriptor open until `hand_over`.
            let descriptor = unsafe { std::os::fd::BorrowedFd::borrow_raw(*descriptor) };
            fcntl(descriptor, FcntlArg::F_SETFD(flags)).map_err(Failure::other)?;
        }
        Ok::<(), Failure>(())
    };
    let task = WorkerTask {
        process,
        link: run.link.clone(),
        scenario: run.scenario.clone(),
        arena: run.arena.clone(),
        leave: run.leave,
        addresses,
    };
    lend(&task.addresses, FdFlag::empty())?;
    let text = serde_json::to_string(&task).map_err(Failure::other)?;
    let child = Command::new(program)
        .env_remove(HOST_VARIABLE)
        .env(WORKER_VARIABLE, text)
        .stdin(Stdio::null())
        .spawn();
    lend(&task.addresses, FdFlag::FD_CLOEXEC)?;
    child.map_err(Failure::other)
}

/// Is the worker that the environment describes.
///
/// # Errors
/// What kept it from being one, for standard error.
pub(crate) fn work(adapter: &dyn Adapter, task: &str) -> Result<(), Failure> {
    // A worker whose host dies has nobody left to report to.
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).map_err(Failure::other)?;
    let task: WorkerTask = serde_json::from_str(task).map_err(Failure::other)?;
    let arena = Arena::open(&task.arena).map_err(Failure::other)?;
    let mut endpoints = Endpoints::new();
    for (number, address) in &task.addresses {
        let role = role(&task.scenario, *number as usize, task.process)
            .ok_or_else(|| Failure::Other("an address of a link it holds no end of".into()))?;
        endpoints.insert(*number, adapter.connect(&task.link, address, role)?);
    }
    let mut worker = Worker::new(&arena, &task.scenario, task.process, endpoints);
    worker.leave = task.leave;
    worker.play();
    Ok(())
}

/// One thread makes every call, in the scenario's order.
fn play_in_order(arena: &Arena, scenario: &Scenario, all: Vec<Endpoints>) {
    let processes = (0..scenario.width() as u16).map(Process);
    let mut workers: Vec<Worker<'_>> = processes
        .clone()
        .zip(all)
        .map(|(p, endpoints)| Worker::new(arena, scenario, p, endpoints))
        .collect();
    processes.clone().for_each(|p| arena.ready(p));
    while !arena.started() && !arena.stopped() {
        std::thread::yield_now();
    }
    let mut scripts: Vec<_> = scenario.processes.iter().map(|s| s.0.iter()).collect();
    for p in &scenario.order {
        if let Some(step) = scripts[p.0 as usize].next() {
            workers[p.0 as usize].step(step);
        }
    }
    processes.for_each(|p| arena.finish(p));
    while !arena.stopped() {
        std::thread::sleep(LOOK);
    }
}
