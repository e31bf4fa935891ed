//! Runs a scenario through an adapter and brings back its history: the one impure arrow.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use ipc_model::{History, Operation, Process, Scenario};

use crate::adapter::{Claim, Place};
use crate::arena::{Arena, Record, now};
use crate::protocol::{Answer, Death, HOST_VARIABLE, PROTOCOL, Request, Run, Way};
use crate::worker::sleeping;

/// How long nothing may move before a scenario counts as at rest. At 80 ms Lowe saw a false
/// alarm, at 100 ms none.
pub const QUIESCENCE: Duration = Duration::from_millis(100);

/// How long an adapter may take to answer, or its workers to connect.
const ANSWER: Duration = Duration::from_secs(10);

/// What came of running one scenario.
#[derive(Clone, Debug)]
pub struct Execution {
    /// The calls and returns.
    pub history: History,
    /// How it ended.
    pub end: End,
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Every process is through with its script, or is stuck and nothing moves any more: the
    /// history says which.
    AtRest,
    /// The code under test was ended by this signal, in this process if one is known.
    Crash(i32, Option<Process>),
    /// The adapter or the environment failed; this is why.
    Broken(String),
}

/// An adapter program that has been started, ready to run scenarios.
pub struct Host {
    program: PathBuf,
    folder: PathBuf,
    child: Option<Running>,
    /// What it said it is.
    pub name: String,
    /// The version it said it has.
    pub version: String,
    /// The configurations it offers.
    pub claims: Vec<Claim>,
}

struct Running {
    process: Child,
    requests: ChildStdin,
    answers: Receiver<String>,
}

static RUNS: AtomicU64 = AtomicU64::new(0);
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Asks every run to end soon and cleanly.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Whether [`interrupt`] has been called.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

impl Host {
    /// Starts the adapter program and asks what it is. `folder` is for its files.
    ///
    /// # Errors
    /// Why it cannot be talked to.
    pub fn start(program: &Path, folder: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let (name, version) = (String::new(), String::new());
        let (program, folder) = (program.to_path_buf(), folder.to_path_buf());
        let mut host = Self { program, folder, child: None, name, version, claims: vec![] };
        match host.ask(&Request::Hello)? {
            Answer::Adapter { protocol, name, version, claims } if protocol == PROTOCOL => {
                (host.name, host.version, host.claims) = (name, version, claims);
            }
            Answer::Adapter { protocol, .. } => {
                return Err(format!("it speaks {protocol:?}, this is {PROTOCOL:?}"));
            }
            other => return Err(format!("it answers hello with {other:?}")),
        }
        for claim in &host.claims {
            claim.profile.validate().map_err(|e| format!("link {}: {e}", claim.link))?;
        }
        Ok(host)
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The end of what the adapter and its workers printed.
    fn last_words(&self) -> String {
        let text = std::fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
    }

    fn running(&mut self) -> Result<&mut Running, String> {
        if self.child.is_none() {
            let log = File::create(self.log()).map_err(|e| e.to_string())?;
            let mut process = Command::new(&self.program)
                .env(HOST_VARIABLE, "1")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(log)
                // Ctrl-C is for the runner, which then lets the adapter clean up.
                .process_group(0)
                .spawn()
                .map_err(|e| format!("cannot start {}: {e}", self.program.display()))?;
            let requests = process.stdin.take().expect("piped");
            let output = process.stdout.take().expect("piped");
            let (sender, answers) = channel();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
            self.child = Some(Running { process, requests, answers });
        }
        Ok(self.child.as_mut().expect("just started"))
    }

    fn ask(&mut self, request: &Request) -> Result<Answer, String> {
        let running = self.running()?;
        let mut line = serde_json::to_string(request).map_err(|e| e.to_string())?;
        line.push('\n');
        if let Err(error) = running.requests.write_all(line.as_bytes()) {
            return Err(format!("it does not listen: {error}; {}", self.last_words()));
        }
        let answer = running.answers.recv_timeout(ANSWER);
        match answer {
            Ok(line) => serde_json::from_str(&line).map_err(|_| {
                let start: String = line.chars().take(80).collect();
                format!("it answers rubbish: {start:?}")
            }),
            Err(RecvTimeoutError::Timeout) => {
                self.end();
                Err(format!("no answer within {ANSWER:?}; {}", self.last_words()))
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(format!("it ended without an answer; {}", self.last_words()))
            }
        }
    }

    /// Ends the adapter; the next run starts a fresh one. Tells the signal that had ended it, if
    /// it had ended before.
    fn end(&mut self) -> Option<i32> {
        let mut running = self.child.take()?;
        let ended = running.process.try_wait().ok().flatten();
        // It is gone already where these fail.
        let _ = running.process.kill();
        let _ = running.process.wait();
        ended.and_then(|status| status.signal())
    }

    /// Runs the scenario on the configuration `link`, and waits until everybody is through or
    /// nothing has moved for `patience`. Where `explains` says of the history so far that it may
    /// not end like this, it is watched for ten times as long before it counts as ended.
    pub fn run(
        &mut self,
        link: &str,
        scenario: &Scenario,
        way: Way,
        patience: Duration,
        explains: &dyn Fn(&History) -> bool,
    ) -> Execution {
        if interrupted() {
            let end = End::Broken("interrupted".into());
            return Execution { history: History::default(), end };
        }
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join(number.to_string());
        let execution = match self.prepare(&folder, scenario) {
            Ok(arena) => {
                let name = format!("ipc-conform-{}-{number}", std::process::id());
                let place = |i| Place { name: format!("{name}-{i}"), folder: folder.clone() };
                let places: Vec<Place> = (0..scenario.links.len()).map(place).collect();
                let run = Run {
                    link: link.into(),
                    scenario: scenario.clone(),
                    way,
                    arena: folder.join("arena"),
                    places,
                };
                self.execute(run, &arena, patience, explains)
            }
            Err(why) => Execution { history: History::default(), end: End::Broken(why) },
        };
        // What cannot be removed now goes with the run's folder.
        let _ = std::fs::remove_dir_all(&folder);
        execution
    }

    fn prepare(&self, folder: &Path, scenario: &Scenario) -> Result<Arena, String> {
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let path = folder.join("arena");
        Arena::create(&path, scenario.width()).map_err(|e| format!("{}: {e}", path.display()))
    }

    fn execute(
        &mut self,
        run: Run,
        arena: &Arena,
        patience: Duration,
        explains: &dyn Fn(&History) -> bool,
    ) -> Execution {
        let scenario = run.scenario.clone();
        let (link, places) = (run.link.clone(), run.places.clone());
        let broken = |why| Execution { history: History::default(), end: End::Broken(why) };
        match self.ask(&Request::Run(run)) {
            Ok(Answer::Started) => {}
            Ok(Answer::Error { why }) => return broken(why),
            Ok(other) => return broken(format!("it answers run with {other:?}")),
            Err(why) => return self.after_death(&link, places, why, History::default()),
        }
        let end = match self.wait_ready(arena, scenario.width()) {
            Ok(()) => {
                arena.go();
                self.watch(arena, patience).and_then(|()| {
                    let so_far = History { quiescent: true, ..history(arena, &scenario)? };
                    if explains(&so_far) { Ok(()) } else { self.watch(arena, 10 * patience) }
                })
            }
            Err(why) => Err(why),
        };
        let mut history = match history(arena, &scenario) {
            Ok(history) => history,
            Err(why) => {
                self.end();
                return broken(why);
            }
        };
        match end {
            Ok(()) => history.quiescent = true,
            Err(why) => return self.after_death(&link, places, why, history),
        }
        let stuck = (0..scenario.width() as u16).any(|p| !arena.is_finished(Process(p)));
        let finished = self.ask(&Request::Finish);
        if stuck {
            // Threads that hang in the link go with their process.
            self.end();
        }
        match finished {
            Ok(Answer::Finished { deaths }) => self.judge(history, arena, &deaths),
            Ok(other) => broken(format!("it answers finish with {other:?}")),
            Err(why) => self.after_death(&link, places, why, history),
        }
    }

    /// A worker that died though nobody killed it, or that said something odd, spoils the history.
    fn judge(&self, history: History, arena: &Arena, deaths: &[Death]) -> Execution {
        let killed = |p: Process| history.crashes.iter().any(|(_, k)| *k == p);
        let end = match deaths.iter().find(|d| !killed(d.process)) {
            Some(Death { process, signal: Some(signal), .. }) => {
                End::Crash(*signal, Some(*process))
            }
            Some(Death { process, code, .. }) => {
                let code = code.unwrap_or_default();
                let words = self.last_words();
                End::Broken(format!("{process} exited with code {code}; {words}"))
            }
            None if any_odd(arena) => End::Broken(self.last_words()),
            None => End::AtRest,
        };
        Execution { history, end }
    }

    /// The adapter's own process is gone, or does not answer any more.
    fn after_death(
        &mut self,
        link: &str,
        places: Vec<Place>,
        why: String,
        history: History,
    ) -> Execution {
        let signal = self.end();
        for place in places {
            // A fresh process of the adapter knows what its links leave behind.
            let _ = self.ask(&Request::Remove { link: link.into(), place });
        }
        let end = signal.map_or(End::Broken(why), |signal| End::Crash(signal, None));
        Execution { history, end }
    }

    fn wait_ready(&mut self, arena: &Arena, width: usize) -> Result<(), String> {
        let begun = Instant::now();
        let ready = || (0..width as u16).all(|p| arena.is_ready(Process(p)));
        while !ready() {
            self.alive()?;
            if begun.elapsed() > ANSWER {
                return Err(format!("no connection within {ANSWER:?}; {}", self.last_words()));
            }
            if begun.elapsed() > Duration::from_millis(50) && any_dead(arena, width) {
                return Err(format!("a worker ended before it connected; {}", self.last_words()));
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        Ok(())
    }

    fn alive(&mut self) -> Result<(), String> {
        let running = self.child.as_mut().ok_or("it has ended")?;
        match running.process.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("it ended with {status}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Waits until every process is through, or nothing has moved for `patience`.
    fn watch(&mut self, arena: &Arena, patience: Duration) -> Result<(), String> {
        let everybody = || (0..arena.processes() as u16).map(Process);
        let mut moved = Instant::now();
        let mut progress = arena.progress();
        loop {
            let left: Vec<Process> = everybody().filter(|p| !arena.is_finished(*p)).collect();
            if left.is_empty() {
                return Ok(());
            }
            let alive = left.iter().any(|p| {
                let (pid, tid) = arena.identity(*p);
                !matches!(crate::worker::state_of(pid, tid), None | Some('Z' | 'X'))
            });
            self.alive()?;
            if !alive {
                // All that is left was killed, as the scenario wanted or not: nothing can move.
                return Ok(());
            }
            let now = arena.progress();
            // A worker that looks for something to be seen of another goes on by itself.
            if now != progress || left.iter().any(|p| arena.is_awaiting(*p)) {
                (progress, moved) = (now, Instant::now());
            }
            // One that waits by spinning may only be slow, so it gets more time.
            let asleep = left.iter().all(|p| sleeping(arena.identity(*p)));
            let enough = if asleep { patience } else { 4 * patience };
            if moved.elapsed() > enough {
                return Ok(());
            }
            let pause = if moved.elapsed() < Duration::from_millis(2) { 50 } else { 500 };
            std::thread::sleep(Duration::from_micros(pause));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(running) = self.child.take() {
            let Running { mut process, requests, .. } = running;
            // The end of its input tells it to remove what it has created, and to end.
            drop(requests);
            let begun = Instant::now();
            while matches!(process.try_wait(), Ok(None)) && begun.elapsed() < ANSWER / 10 {
                std::thread::sleep(Duration::from_millis(1));
            }
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn any_dead(arena: &Arena, width: usize) -> bool {
    (0..width as u16).map(Process).filter(|p| arena.is_ready(*p)).any(|p| {
        let (pid, tid) = arena.identity(p);
        crate::worker::state_of(pid, tid).is_none()
    })
}

fn any_odd(arena: &Arena) -> bool {
    (0..arena.processes() as u16).map(Process).any(|p| {
        let records = arena.records(p).unwrap_or_default();
        records.iter().any(|(_, r)| matches!(r, Record::Odd { .. } | Record::Unsupported { .. }))
    })
}

/// Joins what the workers wrote down.
fn history(arena: &Arena, scenario: &Scenario) -> Result<History, String> {
    let mut history = History { links: scenario.links.clone(), ..History::default() };
    let mut index = std::collections::HashMap::new();
    let mut blocked = Vec::new();
    let mut last_words = std::collections::HashMap::new();
    let end = now();
    for process in (0..scenario.width() as u16).map(Process) {
        let calls: Vec<_> = scenario.calls(process).copied().collect();
        let mut last = 0;
        for (time, record) in arena.records(process).map_err(|e| e.to_string())? {
            if time > end || time < last {
                return Err(format!("{process} reports times that go backwards"));
            }
            last = time;
            let known = |call: u32| {
                let op = calls.get(call as usize).copied();
                op.ok_or_else(|| format!("{process} reports call {call} of {}", calls.len()))
            };
            match record {
                Record::Call { call } => {
                    let op = known(call)?;
                    let timed = op.mode() == ipc_model::Mode::Timed;
                    index.insert((process, call), history.operations.len());
                    history.operations.push(Operation {
                        process,
                        op,
                        call: time,
                        ret: None,
                        timeout: timed.then_some(scenario.timeout),
                        blocked: None,
                    });
                }
                Record::Return { call, ret } => match index.get(&(process, call)) {
                    Some(&i) if history.operations[i].ret.is_none() => {
                        history.operations[i].ret = Some((time, ret));
                    }
                    _ => return Err(format!("{process} answers call {call} twice or unasked")),
                },
                Record::Blocked { process, call } => blocked.push((process, call, time)),
                Record::Killed { process } => history.crashes.push((time, process)),
                Record::Odd { .. } | Record::Unsupported { .. } => {}
            }
        }
        last_words.insert(process, last);
    }
    for (time, killed) in &mut history.crashes {
        // The kill was noted before it was made: what it still did came first.
        *time = last_words.get(killed).copied().unwrap_or_default().max(*time);
    }
    for (process, call, time) in blocked {
        if let Some(&i) = index.get(&(process, call)) {
            history.operations[i].blocked = Some(time);
        }
    }
    Ok(history)
}
