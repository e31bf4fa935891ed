//! Runs a scenario through an adapter and brings back its history: the one impure arrow.

mod records;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ipc_model::{History, Process, Scenario};

use self::records::{first_odd, history};
use crate::adapter::{Claim, Place};
use crate::arena::Arena;
use crate::futures::{Action, Seen};
use crate::look::{Facts, Task};
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
    /// The code under test panicked; this is where, and what it said.
    Panic(String),
    /// The adapter or the environment failed; this is why.
    Broken(String),
}

/// Is told the numbers of the processes that hold a link.
type Look<'a> = dyn FnMut(&[u32]) + 'a;

/// Is told the folder of a run.
type Left<'a> = dyn FnMut(&Path) + 'a;

/// How a scenario is run, beyond what it says.
#[derive(Default)]
pub struct Course<'a> {
    /// The name under which the links are created; `None` for one that was never used.
    pub name: Option<String>,
    /// Whether processes exit once they are through; see [`Run::leave`].
    pub leave: bool,
    /// Called when all is at rest and the ends are still held, with the numbers of the processes
    /// that hold them, the adapter's own first.
    pub look: Option<&'a mut Look<'a>>,
    /// The folder of the run, after the links are gone and before it is removed.
    pub left: Option<&'a mut Left<'a>>,
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

    /// Ends the adapter's program and all that it has started. What is asked next starts it again.
    pub fn end(&mut self) {
        self.talk.end();
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

    /// Runs the scenario as [`Host::run`] does, on this course.
    pub fn run_on(
        &mut self,
        link: &str,
        scenario: &Scenario,
        way: Way,
        explains: &dyn Fn(&History) -> bool,
        course: &mut Course<'_>,
    ) -> Execution {
        self.run_with(link, scenario, (way, QUIESCENCE), explains, course)
    }

    /// The number of the adapter's own process, where it runs.
    pub fn pid(&self) -> Option<u32> {
        self.talk.pid()
    }

    /// The adapter's program.
    pub fn program(&self) -> &Path {
        self.talk.program()
    }

    /// Lets the adapter's own process take a look; `aside` is called meanwhile, with the folder of
    /// the look, on a thread of its own.
    ///
    /// # Errors
    /// Why it cannot: what the adapter says, or why it does not answer.
    pub fn look<T: Send>(
        &mut self,
        link: &str,
        task: Task,
        aside: impl FnOnce(&Path) -> T + Send,
    ) -> Result<(Facts, T), String> {
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join(number.to_string());
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let name = format!("ipc-conform-{}-{number}-0", std::process::id());
        let place = Place { name, folder: folder.clone() };
        let request = Request::Look { link: link.into(), place: place.clone(), task };
        let (answer, aside) = std::thread::scope(|scope| {
            let aside = scope.spawn(|| aside(&folder));
            let answer = self.talk.ask(&request);
            (answer, aside.join())
        });
        let looked = match answer {
            Ok(Answer::Looked { facts }) => Ok(facts),
            Ok(Answer::Error { why }) => Err(why),
            Ok(other) => {
                self.talk.end();
                Err(format!("it answers look with {other:?}"))
            }
            Err(why) => match self.after_death(link, vec![place], why, History::default()).end {
                End::Crash(signal, _) => Err(format!("it was ended by signal {signal}")),
                End::Broken(why) | End::Panic(why) => Err(why),
                End::AtRest => Err("it ended".into()),
            },
        };
        // What cannot be removed now goes with the run's folder.
        let _ = std::fs::remove_dir_all(&folder);
        let aside = aside.map_err(|_| "the look from outside failed".to_string())?;
        looked.map(|facts| (facts, aside))
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
        self.run_with(link, scenario, (way, patience), explains, &mut Course::default())
    }

    fn run_with(
        &mut self,
        link: &str,
        scenario: &Scenario,
        (way, patience): (Way, Duration),
        explains: &dyn Fn(&History) -> bool,
        course: &mut Course<'_>,
    ) -> Execution {
        if interrupted() {
            let end = End::Broken("interrupted".into());
            return Execution { history: History::default(), end };
        }
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join(number.to_string());
        let execution = match self.prepare(&folder, scenario) {
            Ok(arena) => {
                let fresh = || format!("ipc-conform-{}-{number}", std::process::id());
                let name = course.name.clone().unwrap_or_else(fresh);
                let place = |i| Place { name: format!("{name}-{i}"), folder: folder.clone() };
                let places: Vec<Place> = (0..scenario.links.len()).map(place).collect();
                let run = Run {
                    link: link.into(),
                    scenario: scenario.clone(),
                    way,
                    arena: folder.join("arena"),
                    places,
                    leave: course.leave,
                };
                self.execute(run, &arena, patience, (explains, course))
            }
            Err(why) => Execution { history: History::default(), end: End::Broken(why) },
        };
        if let Some(left) = &mut course.left {
            left(&folder);
        }
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
        (explains, course): (&dyn Fn(&History) -> bool, &mut Course<'_>),
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
        if let Some(look) = &mut course.look {
            let workers = (0..scenario.width() as u16).map(|p| arena.identity(Process(p)).0);
            let mut holders: Vec<u32> = self.talk.pid().into_iter().chain(workers).collect();
            holders.dedup();
            look(&holders);
        }
        let stuck = (0..scenario.width() as u16).any(|p| !arena.is_finished(Process(p)));
        // What a worker that waits is told when its link is taken away, and what it then does, is
        // no part of the run.
        let odd = first_odd(arena, &scenario);
        let finished = self.talk.ask(&Request::Finish);
        if stuck {
            // Threads that hang in the link go with their process.
            self.talk.end();
        }
        match finished {
            Ok(Answer::Finished { mut deaths }) => {
                deaths.retain(|d| !(course.leave && d.code == Some(0)));
                self.judge(history, odd, &deaths)
            }
            Ok(other) => {
                self.talk.end();
                broken(format!("it answers finish with {other:?}"))
            }
            Err(why) => self.after_death(&link, places, why, history),
        }
    }

    /// A worker that died though nobody killed it, or that said something odd, spoils the history.
    fn judge(&self, history: History, odd: Option<(bool, String)>, deaths: &[Death]) -> Execution {
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
            None => match odd {
                Some((true, why)) => End::Panic(format!("{why}; {}", self.talk.last_words())),
                Some((false, why)) => End::Broken(format!("{why}; {}", self.talk.last_words())),
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
        let (mut moved, mut recorded) = (Instant::now(), Instant::now());
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
            if now != progress {
                (progress, moved, recorded) = (now, Instant::now(), Instant::now());
            }
            // A worker that looks for something to be seen of another goes on by itself; one that
            // says so for ever is not believed for ever.
            let awaiting = left.iter().any(|p| arena.is_awaiting(*p));
            if awaiting && recorded.elapsed() < ANSWER {
                moved = Instant::now();
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
