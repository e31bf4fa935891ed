//! The calls that actors of a world make: begun, stepped into, gone on with, and what they are told.

use ipc_model::{Mode, Operation, Process, Refusal, Ret};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::{Open, Progress, World, reach, unexpected};
use crate::stepped::Trouble;
use crate::stepped::control::{Answer, Command, Meeting};
use crate::stepped::course::{Action, Call, Way};
use crate::stepped::memory::Image;
use crate::stepped::trace::{self, Ending, Limits, Trace};
use crate::stepped::tracer::{Patience, SOON, Stop};

impl World<'_> {
    pub(super) fn tick(&mut self) -> u64 {
        // So that the picture of the history counts events.
        self.clock += 1_000;
        self.clock
    }

    fn open(&mut self, process: Process, call: Call, stepped: bool) -> Result<(), Trouble> {
        if self.is_in_call(process) {
            let why = format!("{process} is in a call already, and cannot begin {call}");
            return Err(Trouble::Diverged(why));
        }
        let slot = self.actor(process).slot;
        let (link, place) = (self.setup.link.clone(), self.setup.place.clone());
        let command = match call {
            Call::Create => Command::Create { link, place, stepped },
            Call::Connect => Command::Connect { stepped },
            Call::Op { op, timeout } => Command::Call { op, timeout, stepped },
        };
        self.command(slot, &command)?;
        if stepped {
            reach(self.tracer, self.pid(process), Meeting::Begin)?;
        }
        self.actions.push(Action::Begin { process, call });
        let number = match call {
            Call::Op { op, timeout } => {
                let call = self.tick();
                let timeout = (op.mode() == Mode::Timed).then_some(timeout);
                let operation = Operation { process, op, call, ret: None, timeout, blocked: None };
                self.history.operations.push(operation);
                Some(self.history.operations.len() - 1)
            }
            _ => None,
        };
        // A call that does not wait for its peer may still wait for what the peer is about to do.
        let waits = matches!(call, Call::Op { op, .. } if op.mode() != Mode::Nonblocking)
            || self.actors.iter().any(|a| a.process != process && a.open.is_some());
        self.actor_mut(process).open = Some(Open { number, stepped, waits });
        Ok(())
    }

    /// Brings the actor to where this call begins.
    pub(in crate::stepped) fn begin(
        &mut self,
        process: Process,
        call: Call,
    ) -> Result<(), Trouble> {
        self.open(process, call, true)
    }

    /// Has the actor make this call as soon as it goes on, without a stop at its beginning.
    pub(in crate::stepped) fn begin_whole(
        &mut self,
        process: Process,
        call: Call,
    ) -> Result<(), Trouble> {
        self.open(process, call, false)
    }

    /// One whole call that must succeed, and that the model has no word for.
    pub(in crate::stepped) fn whole(
        &mut self,
        process: Process,
        call: Call,
    ) -> Result<(), Trouble> {
        match self.call(process, call)? {
            Progress::Returned(Answer::Done) => Ok(()),
            Progress::Returned(Answer::Odd(why)) => Err(Trouble::Refused(format!("{call}: {why}"))),
            other => Err(Trouble::Refused(format!("{call}: {}", other.word()))),
        }
    }

    /// One whole call.
    pub(in crate::stepped) fn call(
        &mut self,
        process: Process,
        call: Call,
    ) -> Result<Progress, Trouble> {
        self.open(process, call, false)?;
        self.go_on(process, true)
    }

    /// One whole call, up to where it sleeps, though time might wake it.
    pub(in crate::stepped) fn call_briefly(
        &mut self,
        process: Process,
        call: Call,
    ) -> Result<Progress, Trouble> {
        self.open(process, call, false)?;
        self.go_on(process, false)
    }

    /// Lets the actor go on with its call. One that does not come to its end is stopped where it
    /// spins, or left asleep. Unless `thorough`, it is enough to see that it sleeps.
    pub(in crate::stepped) fn go_on(
        &mut self,
        process: Process,
        thorough: bool,
    ) -> Result<Progress, Trouble> {
        let progress = match self.advance(process, thorough)? {
            // A suspicion is looked at with ten times the patience before it counts.
            Progress::Spins if thorough => {
                let default = Patience::default();
                let more = Patience { running: 10 * default.running, ..default };
                self.advance_with(process, more)?
            }
            progress => progress,
        };
        let came = progress.word();
        self.actions.push(Action::GoOn { process, thorough, came });
        match &progress {
            Progress::Returned(Answer::Odd(why)) => self.note_odd(format!("{process}: {why}")),
            Progress::Gone(how) => self.note_odd(format!("{process} died of {how}")),
            _ => {}
        }
        Ok(progress)
    }

    fn note_odd(&mut self, what: String) {
        self.odd.get_or_insert(what);
    }

    fn advance(&mut self, process: Process, thorough: bool) -> Result<Progress, Trouble> {
        self.advance_with(process, Patience { brief: !thorough, ..Patience::default() })
    }

    fn advance_with(&mut self, process: Process, patience: Patience) -> Result<Progress, Trouble> {
        let pid = self.pid(process);
        let patience = match self.actor(process).open {
            Some(Open { waits: true, .. }) => Patience { look: SOON, ..patience },
            _ => patience,
        };
        let asleep = std::mem::take(&mut self.actor_mut(process).asleep);
        let mut stop = match asleep {
            true => self.tracer.attend(pid, patience)?,
            false => self.tracer.run(pid, patience)?,
        };
        // Its call is over, or the step into it: it has been woken.
        while matches!(stop, Stop::Call | Stop::Stepped) {
            stop = self.tracer.run(pid, patience)?;
        }
        if stop == Stop::Spins {
            stop = self.tracer.halt(pid)?;
            // It spins all the same where it is stopped on its way into the kernel or back.
            if stop == Stop::Call {
                return Ok(Progress::Spins);
            }
        }
        match stop {
            Stop::Signal(Signal::SIGSTOP) => Ok(Progress::Spins),
            stop => {
                self.actor_mut(process).asleep = matches!(stop, Stop::Asleep(_));
                self.progress(process, stop)
            }
        }
    }

    /// Lets the actor go this way in its call.
    pub(in crate::stepped) fn reach(&mut self, process: Process, way: &Way) -> Result<(), Trouble> {
        let pid = self.pid(process);
        trace::follow(self.tracer, pid, way)?;
        self.actions.push(Action::Reach { process, way: way.clone() });
        self.photograph(pid)
    }

    fn photograph(&mut self, pid: Pid) -> Result<(), Trouble> {
        if let Some(images) = &mut self.images {
            images.push(Image::of(pid).map_err(Trouble::Broken)?);
        }
        Ok(())
    }

    /// Steps through the call that the actor is in.
    pub(in crate::stepped) fn trace(
        &mut self,
        process: Process,
        limits: Limits,
    ) -> Result<(Trace, Progress), Trouble> {
        let pid = self.pid(process);
        let trace = trace::through(self.tracer, pid, limits)?;
        let stop = match &trace.end {
            Ending::Returned => Stop::Meeting(Meeting::End),
            Ending::Asleep(sleep) => Stop::Asleep(*sleep),
            Ending::Gone(how) => Stop::Gone(*how),
            Ending::TooLong => Stop::Spins,
        };
        self.actor_mut(process).asleep = matches!(stop, Stop::Asleep(_));
        let progress = self.progress(process, stop)?;
        Ok((trace, progress))
    }

    fn progress(&mut self, process: Process, stop: Stop) -> Result<Progress, Trouble> {
        let stepped = self.actor(process).open.is_some_and(|o| o.stepped);
        match stop {
            Stop::Meeting(Meeting::End) if stepped => {
                let time = self.tick();
                reach(self.tracer, self.pid(process), Meeting::Idle)?;
                self.returned(process, time).map(Progress::Returned)
            }
            Stop::Meeting(Meeting::Idle) if !stepped => {
                let time = self.tick();
                self.returned(process, time).map(Progress::Returned)
            }
            Stop::Asleep(_) => {
                let time = self.tick();
                if let Some(open) = self.actor(process).open.and_then(|o| o.number) {
                    self.history.operations[open].blocked = Some(time);
                }
                Ok(Progress::Asleep)
            }
            Stop::Spins => Ok(Progress::Spins),
            Stop::Signal(signal) => {
                self.kill_quietly(process)?;
                Ok(Progress::Gone(signal.to_string()))
            }
            Stop::Gone(Ok(code)) => Ok(Progress::Gone(format!("exit code {code}"))),
            Stop::Gone(Err(signal)) => Ok(Progress::Gone(signal.to_string())),
            other => Err(unexpected("an actor", &other)),
        }
    }

    fn returned(&mut self, process: Process, mut time: u64) -> Result<Answer, Trouble> {
        let slot = self.actor(process).slot;
        let answer: Answer = self.tracer.control.read(slot).map_err(Trouble::Broken)?;
        let open = self.actor_mut(process).open.take().and_then(|o| o.number);
        if let (Some(open), Some(ret)) = (open, answer.ret()) {
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
}
