//! A world: one link, freshly created, and the actors on it; and the history of what they do.

use std::time::Duration;

use ipc_model::{History, Message, Mode, Op, Operation, Process, Refusal, Ret};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::Trouble;
use super::control::{Answer, Command, Meeting, SLOTS};
use super::trace::{self, Ending, Limits, Trace};
use super::tracer::{Patience, Stop, Tracer};
use crate::adapter::{Place, Role};

const ZYGOTE: usize = 0;
const CREATOR: usize = 1;

/// What all worlds of one sweep have in common.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// The configuration.
    pub(super) link: String,
    /// Where the link may put what it needs. It is removed between two worlds.
    pub(super) place: Place,
    /// Who holds which end, in the eyes of the model.
    pub(super) ends: ipc_model::Ends,
    /// How long timed calls wait, in nanoseconds.
    pub(super) timeout: u64,
    /// Every message that may be sent.
    pub(super) known: Vec<Message>,
}

/// What came of letting an actor go on with its call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The call is over.
    Returned(Answer),
    /// It sleeps, and nobody runs who could wake it.
    Asleep,
    /// It runs, and gets nowhere.
    Spins,
    /// It has died by itself.
    Gone(String),
}

struct Actor {
    pid: Pid,
    process: Process,
    slot: usize,
    /// The call it is in, by its place in the history.
    open: Option<usize>,
    /// It sleeps in its call, and has not been stopped.
    asleep: bool,
}

/// One world.
pub(super) struct World<'t> {
    pub(super) tracer: &'t mut Tracer,
    setup: &'t Setup,
    creator: Pid,
    actors: Vec<Actor>,
    slots: usize,
    clock: u64,
    ended: bool,
    /// What has happened so far.
    pub(super) history: History,
}

impl<'t> World<'t> {
    /// A world with its link created, and nobody on it.
    pub(super) fn create(tracer: &'t mut Tracer, setup: &'t Setup) -> Result<Self, Trouble> {
        let zygote = tracer.zygote();
        tracer.control.write(ZYGOTE, &Command::Fork { slot: CREATOR }).map_err(Trouble::Broken)?;
        let creator = match tracer.go(zygote)? {
            Stop::Forked(child) => child,
            other => return Err(unexpected("the zygote", &other)),
        };
        reach(tracer, zygote, Meeting::Idle)?;
        reach(tracer, creator, Meeting::Idle)?;
        let history = History { links: vec![setup.ends], ..History::default() };
        let (actors, slots) = (Vec::new(), CREATOR + 1);
        let world = Self { tracer, setup, creator, actors, slots, clock: 0, ended: false, history };
        let (link, place) = (setup.link.clone(), setup.place.clone());
        world
            .tracer
            .control
            .write(CREATOR, &Command::Create { link, place })
            .map_err(Trouble::Broken)?;
        for meeting in [Meeting::Begin, Meeting::End, Meeting::Idle] {
            reach(world.tracer, creator, meeting)?;
        }
        world.carried_out(CREATOR, "create")?;
        Ok(world)
    }

    fn carried_out(&self, slot: usize, what: &str) -> Result<(), Trouble> {
        match self.tracer.control.read(slot).map_err(Trouble::Broken)? {
            Answer::Done => Ok(()),
            other => Err(Trouble::Refused(format!("{what}: {other:?}"))),
        }
    }

    /// Adds an actor of this role, up to the point where it has yet to connect.
    pub(super) fn admit(&mut self, role: Role) -> Result<(), Trouble> {
        let slot = self.slots;
        if slot >= SLOTS {
            return Err(Trouble::Broken(format!("more than {SLOTS} processes")));
        }
        self.slots += 1;
        let command = Command::Admit { role, slot };
        self.tracer.control.write(CREATOR, &command).map_err(Trouble::Broken)?;
        match self.tracer.go(self.creator)? {
            Stop::Forked(pid) => {
                reach(self.tracer, self.creator, Meeting::Idle)?;
                reach(self.tracer, pid, Meeting::Idle)?;
                self.actors.push(Actor {
                    pid,
                    process: role.process,
                    slot,
                    open: None,
                    asleep: false,
                });
                Ok(())
            }
            Stop::Meeting(Meeting::Idle) => self.carried_out(CREATOR, "address"),
            other => Err(unexpected("the creator", &other)),
        }
    }

    /// Lets the actor connect.
    pub(super) fn connect(&mut self, process: Process) -> Result<(), Trouble> {
        self.begin_connect(process)?;
        let pid = self.pid(process);
        reach(self.tracer, pid, Meeting::End)?;
        self.connected(process)
    }

    /// Brings the actor to where connecting begins.
    pub(super) fn begin_connect(&mut self, process: Process) -> Result<(), Trouble> {
        let (pid, slot) = (self.pid(process), self.actor(process).slot);
        self.tracer.control.write(slot, &Command::Connect).map_err(Trouble::Broken)?;
        reach(self.tracer, pid, Meeting::Begin)
    }

    /// Takes the answer of an actor that stands at the end of connecting.
    pub(super) fn connected(&mut self, process: Process) -> Result<(), Trouble> {
        let (pid, slot) = (self.pid(process), self.actor(process).slot);
        reach(self.tracer, pid, Meeting::Idle)?;
        self.carried_out(slot, "connect")
    }

    /// Adds an actor that is connected.
    pub(super) fn join(&mut self, role: Role) -> Result<(), Trouble> {
        self.admit(role)?;
        self.connect(role.process)
    }

    /// Says that nobody else will come for now.
    pub(super) fn hand_over(&mut self) -> Result<(), Trouble> {
        self.tracer.control.write(CREATOR, &Command::HandOver).map_err(Trouble::Broken)?;
        reach(self.tracer, self.creator, Meeting::Idle)?;
        self.carried_out(CREATOR, "hand over")
    }

    fn actor(&self, process: Process) -> &Actor {
        // The newest of this number: a role may be taken again under the same one.
        let found = self.actors.iter().rev().find(|a| a.process == process);
        found.expect("worlds are asked only about actors they have")
    }

    fn actor_mut(&mut self, process: Process) -> &mut Actor {
        let found = self.actors.iter_mut().rev().find(|a| a.process == process);
        found.expect("worlds are asked only about actors they have")
    }

    /// The operating system's number of the actor.
    pub(super) fn pid(&self, process: Process) -> Pid {
        self.actor(process).pid
    }

    fn tick(&mut self) -> u64 {
        self.clock += 10;
        self.clock
    }

    /// Brings the actor to where this call begins.
    pub(super) fn begin(&mut self, process: Process, op: Op) -> Result<(), Trouble> {
        let (timeout, known) = (self.setup.timeout, self.setup.known.clone());
        let slot = self.actor(process).slot;
        let command = Command::Call { op, timeout, known };
        self.tracer.control.write(slot, &command).map_err(Trouble::Broken)?;
        match self.tracer.go(self.pid(process))? {
            Stop::Meeting(Meeting::Begin) => {}
            other => return Err(unexpected("an actor", &other)),
        }
        let call = self.tick();
        let timed = op.mode() == Mode::Timed;
        let timeout = timed.then_some(timeout);
        self.actor_mut(process).open = Some(self.history.operations.len());
        let operation = Operation { process, op, call, ret: None, timeout, blocked: None };
        self.history.operations.push(operation);
        Ok(())
    }

    /// Lets the actor run to the end of the call that it is in.
    pub(super) fn complete(&mut self, process: Process) -> Result<Progress, Trouble> {
        let pid = self.pid(process);
        let stop = self.tracer.go(pid)?;
        self.progress(process, stop)
    }

    /// Whether the actor is in a call.
    pub(super) fn is_in_call(&self, process: Process) -> bool {
        self.actor(process).open.is_some()
    }

    /// Lets the actor go on with its call for a while. One that does not come to its end is
    /// stopped where it spins, or left asleep.
    pub(super) fn go_on(&mut self, process: Process) -> Result<Progress, Trouble> {
        let short = Patience { asleep: Duration::from_millis(150), ..Patience::default() };
        let pid = self.pid(process);
        let asleep = std::mem::take(&mut self.actor_mut(process).asleep);
        let stop = match asleep {
            true => self.tracer.attend(pid, short)?,
            false => self.tracer.run(pid, short)?,
        };
        let stop = match stop {
            Stop::Spins => self.tracer.halt(pid)?,
            stop => stop,
        };
        match stop {
            Stop::Signal(Signal::SIGSTOP) => Ok(Progress::Spins),
            stop => {
                self.actor_mut(process).asleep = matches!(stop, Stop::Asleep(_));
                self.progress(process, stop)
            }
        }
    }

    /// The same for an actor that has been let go before, and may have moved since.
    pub(super) fn look(
        &mut self,
        process: Process,
        patience: Patience,
    ) -> Result<Progress, Trouble> {
        let pid = self.pid(process);
        let stop = self.tracer.attend(pid, patience)?;
        self.progress(process, stop)
    }

    /// Steps through the call that the actor stands at the beginning of.
    pub(super) fn trace(&mut self, process: Process) -> Result<(Trace, Progress), Trouble> {
        let pid = self.pid(process);
        let trace = trace::through(self.tracer, pid, Patience::default(), Limits::default())?;
        let stop = match &trace.end {
            Ending::Returned => Stop::Meeting(Meeting::End),
            Ending::Asleep(sleep) => Stop::Asleep(*sleep),
            Ending::Gone(how) => Stop::Gone(*how),
            Ending::TooLong => Stop::Spins,
        };
        let progress = self.progress(process, stop)?;
        Ok((trace, progress))
    }

    fn progress(&mut self, process: Process, stop: Stop) -> Result<Progress, Trouble> {
        match stop {
            Stop::Meeting(Meeting::End) => self.returned(process).map(Progress::Returned),
            Stop::Asleep(_) => {
                let time = self.tick();
                if let Some(open) = self.actor(process).open {
                    self.history.operations[open].blocked = Some(time);
                }
                Ok(Progress::Asleep)
            }
            Stop::Spins => Ok(Progress::Spins),
            Stop::Signal(signal) => {
                self.kill(process)?;
                Ok(Progress::Gone(signal.to_string()))
            }
            Stop::Gone(Ok(code)) => Ok(Progress::Gone(format!("exit code {code}"))),
            Stop::Gone(Err(signal)) => Ok(Progress::Gone(signal.to_string())),
            other => Err(unexpected("an actor", &other)),
        }
    }

    fn returned(&mut self, process: Process) -> Result<Answer, Trouble> {
        let (pid, slot) = (self.pid(process), self.actor(process).slot);
        let mut time = self.tick();
        reach(self.tracer, pid, Meeting::Idle)?;
        let answer: Answer = self.tracer.control.read(slot).map_err(Trouble::Broken)?;
        if let (Some(open), Some(ret)) = (self.actor_mut(process).open.take(), answer.ret()) {
            let operation = &mut self.history.operations[open];
            if let (Ret::Refused(Refusal::Timeout), Some(timeout)) = (ret, operation.timeout) {
                // The clock of a world counts events, but a call never times out early in it.
                time = time.max(operation.call + timeout + 1);
                self.clock = time;
            }
            operation.ret = Some((time, ret));
        }
        Ok(answer)
    }

    /// One whole call.
    pub(super) fn call(&mut self, process: Process, op: Op) -> Result<Progress, Trouble> {
        self.begin(process, op)?;
        match self.complete(process)? {
            // A suspicion is looked at with ten times the patience before it counts.
            Progress::Spins => {
                let default = Patience::default();
                let more = Patience { running: 10 * default.running, ..default };
                self.look(process, more)
            }
            progress => Ok(progress),
        }
    }

    /// Kills the actor where it stands.
    pub(super) fn kill(&mut self, process: Process) -> Result<(), Trouble> {
        let pid = self.pid(process);
        self.tracer.kill(pid)?;
        let time = self.tick();
        self.history.crashes.push((time, process));
        Ok(())
    }

    /// Ends the world, and removes its link.
    pub(super) fn end(mut self) -> Result<History, Trouble> {
        self.clear()?;
        Ok(std::mem::take(&mut self.history))
    }

    fn clear(&mut self) -> Result<(), Trouble> {
        self.ended = true;
        for actor in &self.actors {
            self.tracer.kill(actor.pid)?;
        }
        self.tracer.control.write(CREATOR, &Command::Finish).map_err(Trouble::Broken)?;
        let finished = self.tracer.is_alive(self.creator)
            && matches!(self.tracer.go(self.creator)?, Stop::Gone(_));
        if !finished {
            let (link, place) = (self.setup.link.clone(), self.setup.place.clone());
            remove(self.tracer, self.creator, link, place)?;
        }
        Ok(())
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // The trouble that it ends in has been reported, and matters more than this.
            let _ = self.clear();
        }
    }
}

fn remove(tracer: &mut Tracer, creator: Pid, link: String, place: Place) -> Result<(), Trouble> {
    tracer.kill(creator)?;
    let zygote = tracer.zygote();
    tracer.control.write(ZYGOTE, &Command::Remove { link, place }).map_err(Trouble::Broken)?;
    reach(tracer, zygote, Meeting::Idle)
}

fn reach(tracer: &mut Tracer, pid: Pid, meeting: Meeting) -> Result<(), Trouble> {
    match tracer.go(pid)? {
        Stop::Meeting(found) if found == meeting => Ok(()),
        other => Err(unexpected("a process of the adapter", &other)),
    }
}

fn unexpected(who: &str, stop: &Stop) -> Trouble {
    Trouble::Broken(format!("{who} stops where it should not: {stop:?}"))
}
