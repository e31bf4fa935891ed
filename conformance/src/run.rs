//! Runs a scenario through an adapter and brings back its history: the one impure arrow.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ipc_model::{History, Operation, Process, Scenario};

use crate::adapter::{Claim, Place};
use crate::arena::{Arena, Record, now};
use crate::futures::{Action, Seen};
use crate::protocol::{Answer, Death, PROTOCOL, Request, Run, Way};
use crate::talk::{ANSWER, Talk};
use crate::worker::{sleeping, state_of};

/// How long nothing may move before a scenario counts as at rest. At 80 ms Lowe saw a false
/// alarm, at 100 ms none.
pub const QUIESCENCE: Duration = Duration::from_millis(100);

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
    folder: PathBuf,
    talk: Talk,
    /// What it said it is.
    pub name: String,
    /// The version it said it has.
    pub version: String,
    /// The configurations it offers.
    pub claims: Vec<Claim>,
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
        let (folder, talk) = (folder.to_path_buf(), Talk::new(program, folder));
        let mut host = Self { folder, talk, name, version, claims: vec![] };
        match host.talk.ask(&Request::Hello)? {
            Answer::Adapter { protocol, name, version, claims } if protocol == PROTOCOL => {
                (host.name, host.version, host.claims) = (name, version, claims);
            }
            Answer::Adapter { protocol, .. } => {
                return Err(format!("it speaks {protocol:?}, this is {PROTOCOL:?}"));
            }
            other => return Err(format!("it answers hello with {other:?}")),
        }
        host.validate()?;
        Ok(host)
    }

    /// How many descriptors the adapter's program holds.
    ///
    /// # Errors
    /// That it does not run.
    pub fn descriptors(&self) -> Result<usize, String> {
        self.talk.descriptors()
    }

    /// Does this with a link whose calls are futures, and answers what was seen after each action.
    ///
    /// # Errors
    /// Why that could not be done, or how the adapter ended.
    pub fn poll(&mut self, link: &str, actions: &[Action]) -> Result<Vec<Seen>, String> {
        let request = Request::Poll { link: link.into(), actions: actions.to_vec() };
        match self.talk.ask(&request) {
            Ok(Answer::Polled { seen }) if seen.len() == actions.len() => Ok(seen),
            Ok(Answer::Error { why }) => Err(why),
            Ok(other) => Err(format!("it answers poll with {other:?}")),
            Err(why) => {
                let status = self.talk.end();
                Err(status.map_or(why.clone(), |status| format!("{why}: {status}")))
            }
        }
    }

    /// Refuses claims that could not be told apart in a report, or not be run at all.
    fn validate(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
        let names = || self.claims.iter().map(|c| &c.link);
        if self.claims.is_empty() {
            return Err("it claims no link at all".into());
        }
        for name in names().chain([&self.name]) {
            if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
                let start: String = name.chars().take(80).collect();
                return Err(format!("{start:?} is no name: 1 to 64 letters, digits, . _ - +"));
            }
        }
        for claim in &self.claims {
            if names().filter(|name| **name == claim.link).count() > 1 {
                return Err(format!("it claims link {} twice", claim.link));
            }
            if !(claim.threads || claim.processes) {
                return Err(format!("link {} is for neither threads nor processes", claim.link));
            }
            claim.profile.validate().map_err(|e| format!("link {}: {e}", claim.link))?;
        }
        Ok(())
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
        match self.talk.ask(&Request::Run(run)) {
            Ok(Answer::Started) => {}
            Ok(Answer::Error { why }) => return broken(why),
            Ok(other) => {
                self.talk.end();
                return broken(format!("it answers run with {other:?}"));
            }
            Err(why) => return self.after_death(&link, places, why, History::default()),
        }
        let end = match self.wait_ready(arena, scenario.width()) {
            Ok(()) => {
                arena.go();
                self.watch(arena, patience).and_then(|()| {
                    let so_far = History { quiescent: true, ..history(arena, &scenario)? };
                    // A call that ended in no way the model knows is judged by itself.
                    let odd = first_odd(arena, &scenario).is_some();
                    if odd || explains(&so_far) { Ok(()) } else { self.watch(arena, 10 * patience) }
                })
            }
            Err(why) => Err(why),
        };
        let mut history = match history(arena, &scenario) {
            Ok(history) => history,
            Err(why) => {
                self.talk.end();
                return broken(why);
            }
        };
        match end {
            Ok(()) => history.quiescent = true,
            Err(why) => return self.after_death(&link, places, why, history),
        }
        let stuck = (0..scenario.width() as u16).any(|p| !arena.is_finished(Process(p)));
        let finished = self.talk.ask(&Request::Finish);
        if stuck {
            // Threads that hang in the link go with their process.
            self.talk.end();
        }
        match finished {
            Ok(Answer::Finished { deaths }) => self.judge(history, arena, &scenario, &deaths),
            Ok(other) => {
                self.talk.end();
                broken(format!("it answers finish with {other:?}"))
            }
            Err(why) => self.after_death(&link, places, why, history),
        }
    }

    /// A worker that died though nobody killed it, or that said something odd, spoils the history.
    fn judge(
        &self,
        history: History,
        arena: &Arena,
        scenario: &Scenario,
        deaths: &[Death],
    ) -> Execution {
        let killed = |p: Process| history.crashes.iter().any(|(_, k)| *k == p);
        let end = match deaths.iter().find(|d| !killed(d.process)) {
            Some(Death { process, signal: Some(signal), .. }) => {
                End::Crash(*signal, Some(*process))
            }
            Some(Death { process, code, .. }) => {
                let code = code.unwrap_or_default();
                let words = self.talk.last_words();
                End::Broken(format!("{process} exited with code {code}; {words}"))
            }
            None => match first_odd(arena, scenario) {
                Some(why) => End::Broken(format!("{why}; {}", self.talk.last_words())),
                None => End::AtRest,
            },
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
        let status = self.talk.end();
        for place in places {
            // A fresh process of the adapter knows what its links leave behind.
            let _ = self.talk.ask(&Request::Remove { link: link.into(), place });
        }
        let end = match status.and_then(|s| s.signal()) {
            Some(signal) => End::Crash(signal, None),
            None => End::Broken(status.map_or(why.clone(), |s| format!("{why}: {s}"))),
        };
        Execution { history, end }
    }

    fn wait_ready(&mut self, arena: &Arena, width: usize) -> Result<(), String> {
        let begun = Instant::now();
        let ready = || (0..width as u16).all(|p| arena.is_ready(Process(p)));
        while !ready() {
            self.talk.alive()?;
            if begun.elapsed() > ANSWER {
                return Err(format!("no connection within {ANSWER:?}; {}", self.talk.last_words()));
            }
            if begun.elapsed() > Duration::from_millis(50) && any_dead(arena, width) {
                return Err(format!(
                    "a worker ended before it connected; {}",
                    self.talk.last_words()
                ));
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        Ok(())
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
                !matches!(state_of(pid, tid), None | Some('Z' | 'X'))
            });
            self.talk.alive()?;
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

fn any_dead(arena: &Arena, width: usize) -> bool {
    (0..width as u16).map(Process).filter(|p| arena.is_ready(*p)).any(|p| {
        let (pid, tid) = arena.identity(p);
        state_of(pid, tid).is_none()
    })
}

/// The first call that ended in a way the model has no word for.
fn first_odd(arena: &Arena, scenario: &Scenario) -> Option<String> {
    (0..arena.processes() as u16).map(Process).find_map(|p| {
        let op = |call| scenario.calls(p).nth(call as usize).map_or("?", ipc_model::Op::name);
        arena.records(p).unwrap_or_default().into_iter().find_map(|(_, record)| match record {
            Record::Odd { call } => Some(format!("{p} {} failed oddly", op(call))),
            Record::Unsupported { call } => {
                Some(format!("the link claims {} and has no such call", op(call)))
            }
            _ => None,
        })
    })
}

/// Joins what the workers wrote down.
fn history(arena: &Arena, scenario: &Scenario) -> Result<History, String> {
    let mut history = History { links: scenario.links.clone(), ..History::default() };
    let mut index = std::collections::HashMap::new();
    let mut blocked = Vec::new();
    let end = now();
    for process in (0..scenario.width() as u16).map(Process) {
        let calls: Vec<_> = scenario.calls(process).copied().collect();
        let (mut last, mut inside) = (0, None);
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
                    if let Some(earlier) = inside.replace(call) {
                        return Err(format!("{process} begins call {call} within {earlier}"));
                    }
                    if index.contains_key(&(process, call)) {
                        return Err(format!("{process} begins call {call} twice"));
                    }
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
                        inside = None;
                        history.operations[i].ret = Some((time, ret));
                    }
                    _ => return Err(format!("{process} answers call {call} twice or unasked")),
                },
                Record::Blocked { process, call } => blocked.push((process, call, time)),
                Record::Kill { process } => history.kills.push((time, process)),
                Record::Killed { process } => history.crashes.push((time, process)),
                Record::Odd { .. } | Record::Unsupported { .. } => inside = None,
            }
        }
    }
    for (process, call, time) in blocked {
        if let Some(&i) = index.get(&(process, call)) {
            history.operations[i].blocked = Some(time);
        }
    }
    Ok(history)
}
