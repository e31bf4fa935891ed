//! A world: one link, freshly created, and the actors on it; what is done in it, and the history
//! of what they are told.

mod calls;

use std::time::Duration;

use ipc_model::{Counterexample, Ends, History, Process, Profile, Verdict};
use nix::unistd::Pid;

use super::control::{Answer, Command, Known, Meeting, SLOTS, ZYGOTE_SLOT};
use super::course::{Action, CREATOR, Call, Course};
use super::memory::Image;
use super::time::EvenClock;
use super::tracer::{Stop, Tracer};
use super::{Finding, Trouble};
use crate::adapter::{Place, Role};

const CREATOR_SLOT: usize = 1;

/// What all worlds of one sweep have in common.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// The configuration.
    pub(super) link: String,
    /// Where the link may put what it needs. It is removed between two worlds.
    pub(super) place: Place,
    /// Who holds which end, in the eyes of the model.
    pub(super) ends: Ends,
    /// Every message that may be sent.
    pub(super) known: Known,
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

impl Progress {
    /// In one word, or a few.
    pub(super) fn word(&self) -> String {
        match self {
            Progress::Returned(Answer::Odd(_)) => "error".into(),
            Progress::Returned(answer) => match answer.ret() {
                Some(ret) => ret.to_string(),
                None => "unsupported".into(),
            },
            Progress::Asleep => "asleep".into(),
            Progress::Spins => "spins".into(),
            Progress::Gone(how) => format!("died of {how}"),
        }
    }

    /// Whether the call is over, and was told something that the model has a word for.
    pub(super) fn returned(&self) -> bool {
        matches!(self, Progress::Returned(answer) if answer.ret().is_some())
    }

    /// Whether the call is over, and had an effect.
    pub(super) fn took_effect(&self) -> bool {
        use Answer::{Done, Received, Torn};
        matches!(self, Progress::Returned(Done | Received(_) | Torn(_)))
    }
}

struct Actor {
    pid: Pid,
    process: Process,
    slot: usize,
    /// The call it is in.
    open: Option<Open>,
    /// It sleeps in its call, and has not been stopped.
    asleep: bool,
}

/// A call that is not over.
#[derive(Clone, Copy)]
struct Open {
    /// Its place in the history, if the model knows such calls.
    number: Option<usize>,
    /// Whether it stops at its beginning and at its end.
    stepped: bool,
    /// Whether it may wait for others.
    waits: bool,
}

/// One world.
pub(super) struct World<'t> {
    pub(super) tracer: &'t mut Tracer,
    setup: &'t Setup,
    actors: Vec<Actor>,
    slots: usize,
    clock: u64,
    ended: bool,
    history: History,
    actions: Vec<Action>,
    /// What happened first that the model has no word for.
    pub(super) odd: Option<String>,
    /// What the processes were told, in short.
    pub(super) words: Vec<String>,
    /// What is shared at each stop, if that is wanted.
    pub(super) images: Option<Vec<Image>>,
}

/// What is left of a world that is over.
pub(super) struct Ended {
    pub(super) course: Course,
    pub(super) history: History,
    pub(super) odd: Option<String>,
    pub(super) words: Vec<String>,
    /// What was there when all had ended, and what one removes had been removed.
    pub(super) left: Vec<String>,
}

impl<'t> World<'t> {
    /// A world in which nothing has been done yet.
    pub(super) fn new(tracer: &'t mut Tracer, setup: &'t Setup) -> Self {
        let history = History { links: vec![setup.ends], ..History::default() };
        Self {
            tracer,
            setup,
            actors: Vec::new(),
            slots: CREATOR_SLOT,
            clock: 0,
            ended: false,
            history,
            actions: Vec::new(),
            odd: None,
            words: Vec::new(),
            images: None,
        }
    }

    /// A world with its link created, and nobody on it.
    pub(super) fn create(tracer: &'t mut Tracer, setup: &'t Setup) -> Result<Self, Trouble> {
        let mut world = Self::new(tracer, setup);
        world.creator()?;
        world.whole(CREATOR, Call::Create).map_err(Trouble::in_the_way)?;
        Ok(world)
    }

    /// Forks the process that is going to create the link.
    pub(super) fn creator(&mut self) -> Result<(), Trouble> {
        let zygote = self.tracer.zygote();
        let slot = self.slots;
        self.slots += 1;
        self.command(ZYGOTE_SLOT, &Command::Fork { slot })?;
        let pid = match self.tracer.go(zygote)? {
            Stop::Forked(child) => child,
            other => return Err(unexpected("the zygote", &other)),
        };
        reach(self.tracer, zygote, Meeting::Idle)?;
        reach(self.tracer, pid, Meeting::Idle)?;
        self.actors.push(Actor { pid, process: CREATOR, slot, open: None, asleep: false });
        self.actions.push(Action::Creator);
        Ok(())
    }

    fn command(&self, slot: usize, command: &Command) -> Result<(), Trouble> {
        self.tracer.control.write(slot, command).map_err(Trouble::Broken)
    }

    fn carried_out(&self, slot: usize, what: &str) -> Result<(), Trouble> {
        match self.tracer.control.read(slot).map_err(Trouble::Broken)? {
            Answer::Done => Ok(()),
            Answer::Odd(why) => Err(Trouble::Refused(format!("{what}: {why}"))),
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
        self.actions.push(Action::Admit { role });
        let (creator, known) = (self.seat(CREATOR), self.setup.known);
        self.command(creator.1, &Command::Admit { role, slot, known })?;
        match self.tracer.go(creator.0)? {
            Stop::Forked(pid) => {
                reach(self.tracer, creator.0, Meeting::Idle)?;
                reach(self.tracer, pid, Meeting::Idle)?;
                let process = role.process;
                self.actors.push(Actor { pid, process, slot, open: None, asleep: false });
                Ok(())
            }
            Stop::Meeting(Meeting::Idle) => self.carried_out(creator.1, "address"),
            other => Err(unexpected("the creator", &other)),
        }
    }

    fn seat(&self, process: Process) -> (Pid, usize) {
        let actor = self.actor(process);
        (actor.pid, actor.slot)
    }

    /// Adds an actor that is connected.
    pub(super) fn join(&mut self, role: Role) -> Result<(), Trouble> {
        self.admit(role)?;
        self.whole(role.process, Call::Connect)
    }

    /// Says that nobody else will come for now.
    pub(super) fn hand_over(&mut self) -> Result<(), Trouble> {
        let (creator, slot) = self.seat(CREATOR);
        self.actions.push(Action::HandOver);
        self.command(slot, &Command::HandOver)?;
        reach(self.tracer, creator, Meeting::Idle)?;
        self.carried_out(slot, "hand over")
    }

    /// Has clocks go evenly from now on, so that what computes with the time takes the same path in
    /// each world.
    pub(super) fn even_clocks(&mut self) {
        self.actions.push(Action::EvenClocks);
        self.tracer.even_clock = Some(EvenClock::begin());
    }

    /// Removes what is left behind, as the users of the link would.
    pub(super) fn remove(&mut self) -> Result<(), Trouble> {
        self.actions.push(Action::Remove);
        self.remove_leftovers()
    }

    fn remove_leftovers(&mut self) -> Result<(), Trouble> {
        let (link, place) = (self.setup.link.clone(), self.setup.place.clone());
        self.command(ZYGOTE_SLOT, &Command::Remove { link, place })?;
        let zygote = self.tracer.zygote();
        reach(self.tracer, zygote, Meeting::Idle)
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

    /// Whether there is such an actor.
    pub(super) fn has(&self, process: Process) -> bool {
        self.actors.iter().any(|a| a.process == process)
    }

    /// The operating system's number of the actor.
    pub(super) fn pid(&self, process: Process) -> Pid {
        self.actor(process).pid
    }

    /// Whether the actor is in a call.
    pub(super) fn is_in_call(&self, process: Process) -> bool {
        self.actor(process).open.is_some()
    }

    fn kill_quietly(&mut self, process: Process) -> Result<(), Trouble> {
        let pid = self.pid(process);
        self.tracer.kill(pid)?;
        if process != CREATOR {
            let time = self.tick();
            self.history.crashes.push((time, process));
        }
        Ok(())
    }

    /// Kills the actor where it stands.
    pub(super) fn kill(&mut self, process: Process) -> Result<(), Trouble> {
        self.kill_quietly(process)?;
        self.actions.push(Action::Kill { process });
        Ok(())
    }

    /// Whether the actor is alive.
    pub(super) fn lives(&self, process: Process) -> bool {
        self.has(process) && self.tracer.is_alive(self.pid(process))
    }

    /// Ends the world, and removes its link.
    pub(super) fn end(mut self) -> Result<Ended, Trouble> {
        let left = self.clear()?;
        let mut history = std::mem::take(&mut self.history);
        // A call that was told something that the model has no word for is over, and looks as if
        // it were not.
        history.quiescent = self.odd.is_none();
        let course = Course {
            senders: self.setup.ends.senders.iter().collect(),
            receivers: self.setup.ends.receivers.iter().collect(),
            known: self.setup.known.list(),
            actions: std::mem::take(&mut self.actions),
        };
        let (odd, words) = (self.odd.take(), std::mem::take(&mut self.words));
        Ok(Ended { course, history, odd, words, left })
    }

    /// Kills all but the creator, who ends in order and removes the link; where it cannot, others
    /// remove it. Names what is there all the same, which goes, too.
    fn clear(&mut self) -> Result<Vec<String>, Trouble> {
        self.ended = true;
        self.tracer.stops_at_calls = false;
        self.tracer.ahead = std::time::Duration::ZERO;
        self.tracer.even_clock = None;
        for actor in self.actors.iter().filter(|a| a.process != CREATOR) {
            self.tracer.kill(actor.pid)?;
        }
        let creators = self.actors.iter().filter(|a| a.process == CREATOR);
        let mut orderly = false;
        for creator in creators {
            if !self.tracer.is_alive(creator.pid) {
                continue;
            }
            // One that was stopped in the middle of creating cannot be asked to finish.
            if creator.open.is_none() {
                self.tracer
                    .control
                    .write(creator.slot, &Command::Finish)
                    .map_err(Trouble::Broken)?;
                orderly = matches!(self.tracer.go(creator.pid)?, Stop::Gone(_));
            }
            self.tracer.kill(creator.pid)?;
        }
        self.tracer.kill_all()?;
        if !orderly {
            self.remove_leftovers()?;
        }
        self.command(ZYGOTE_SLOT, &Command::Clear { place: self.setup.place.clone() })?;
        reach(self.tracer, self.tracer.zygote(), Meeting::Idle)?;
        self.tracer.control.read(ZYGOTE_SLOT).map_err(Trouble::Broken)
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

impl Ended {
    /// What the model says to it.
    pub(super) fn judge(&self, profile: &Profile) -> Finding {
        match (&self.odd, ipc_model::check(profile, &self.history)) {
            (_, Verdict::Fail(counterexample)) => Finding::Forbidden(counterexample),
            (Some(why), _) => Finding::Odd(why.clone()),
            (None, Verdict::Inconclusive(why)) => Finding::Odd(why),
            (None, Verdict::Pass { .. }) => Finding::Allowed,
        }
    }
}

impl Finding {
    /// The counterexample, if the model forbids it.
    pub fn counterexample(&self) -> Option<&Counterexample> {
        match self {
            Finding::Forbidden(counterexample) => Some(counterexample),
            _ => None,
        }
    }
}

/// Lets the process run to this meeting.
fn reach(tracer: &mut Tracer, pid: Pid, meeting: Meeting) -> Result<(), Trouble> {
    match tracer.go(pid)? {
        Stop::Meeting(found) if found == meeting => Ok(()),
        other => Err(unexpected("a process of the adapter", &other)),
    }
}

fn unexpected(who: &str, stop: &Stop) -> Trouble {
    if let Stop::Forked(_) = stop {
        return Trouble::Broken(format!(
            "{who} starts a process of its own, and only those that the link is used by are \
             stepped; have the adapter do without, or leave it to the runs by processes"
        ));
    }
    Trouble::Broken(format!("{who} stops where it should not: {stop:?}"))
}

/// How long a timed call waits that is going to be given what it waits for, or killed before.
pub(super) const LONG: Duration = Duration::from_secs(3_600);
