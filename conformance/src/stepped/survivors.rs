//! What those do who are left after a kill: enough to see whether anything was lost, doubled,
//! torn or invented, whether anybody waits who should not, and whether others can go on.

use ipc_model::{Mode, Notice, Process};

use super::Trouble;
use super::control::Answer;
use super::course::{CREATOR, Call};
use super::crash::{Plan, Victim};
use super::setting::{HEIR, LATER, RECEIVER, SENDER, SHORT, close, role};
use super::world::{LONG, Progress, World};

/// What the survivors do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// The other side goes on alone.
    Alone,
    /// A new process takes the role of the killed one, and both go on for twenty rounds; then the
    /// new one closes, and another takes the role.
    Rejoin,
    /// The other side, which slept in its call all the time, goes on.
    Peer {
        /// Whether another process takes the role of the killed one, if need be.
        heir: bool,
    },
    /// A rival, which slept in the same call, gets what comes next.
    Rival,
}

impl Script {
    /// Whether another process takes the role of the killed one.
    pub(super) fn has_heir(self) -> bool {
        matches!(self, Script::Rejoin | Script::Peer { heir: true })
    }

    fn word(self) -> &'static str {
        match self {
            Script::Alone => "alone",
            Script::Rejoin => "rejoin",
            Script::Peer { .. } => "peer",
            Script::Rival => "rival",
        }
    }
}

/// Messages that go through once somebody has taken the role again.
const ROUNDS: u32 = 20;
/// The same where each of them has to be waited for.
const MEETINGS: u32 = 3;

/// The survivors of one kill.
struct Survivors<'w, 't, 'p> {
    world: &'w mut World<'t>,
    plan: &'p Plan<'p>,
    /// How many messages each process has sent.
    sent: [u32; 4],
    told: Vec<String>,
}

/// The blocking call that the process at the other end sleeps in.
pub(super) fn peer_call(plan: &Plan<'_>) -> (Process, Call) {
    match plan.victim.process() {
        SENDER => (RECEIVER, plan.setting.receive(SENDER, Mode::Blocking, LONG)),
        _ => {
            let call = plan.setting.send((SENDER, RECEIVER), plan.waiting, Mode::Blocking, LONG);
            (SENDER, call)
        }
    }
}

/// Lets the rival of a receiver come to sleep in the same call.
pub(super) fn rival_waits(world: &mut World<'_>, plan: &Plan<'_>) -> Result<(), Trouble> {
    let call = plan.setting.receive(SENDER, Mode::Blocking, LONG);
    world.call_briefly(HEIR, call).map(drop)
}

/// Lets the survivors of the kill go on.
pub(super) fn survive(
    world: &mut World<'_>,
    plan: &Plan<'_>,
    script: Script,
) -> Result<(), Trouble> {
    let mut sent = [0; 4];
    sent[0] = plan.waiting;
    // The message of the victim, or of the peer that waits to send, has its number for good.
    if plan.victim.process() == SENDER || matches!(script, Script::Peer { .. }) {
        sent[0] += 1;
    }
    let mut survivors = Survivors { world, plan, sent, told: Vec::new() };
    let done = match script {
        _ if plan.victim == Victim::Create => survivors.create_again(),
        Script::Alone => survivors.go_on_alone(),
        Script::Rejoin => survivors.rejoin(),
        Script::Peer { heir } => survivors.peer(heir),
        Script::Rival => survivors.rival(),
    };
    let told = std::mem::take(&mut survivors.told);
    world.words.push(format!("{}: {}", script.word(), told.join(", ")));
    match done {
        Ok(()) | Err(Stopped::Told) => Ok(()),
        Err(Stopped::Trouble(trouble)) => Err(trouble),
    }
}

/// Why the survivors do not go on.
enum Stopped {
    /// One of them was told, or was not, what says enough.
    Told,
    Trouble(Trouble),
}

impl From<Trouble> for Stopped {
    fn from(trouble: Trouble) -> Self {
        Stopped::Trouble(trouble)
    }
}

impl Survivors<'_, '_, '_> {
    /// One call; what it is told. Stops where it is told nothing.
    fn say(&mut self, process: Process, call: Call) -> Result<Progress, Stopped> {
        let progress = self.world.call(process, call)?;
        self.told.push(progress.word());
        if progress.returned() { Ok(progress) } else { Err(Stopped::Told) }
    }

    /// The same without a word where all goes well.
    fn say_quietly(&mut self, process: Process, call: Call) -> Result<Progress, Stopped> {
        let progress = self.say(process, call)?;
        if progress.took_effect() {
            self.told.pop();
        }
        Ok(progress)
    }

    fn send(&mut self, from: Process, to: Process, mode: Mode) -> Call {
        let sequence = &mut self.sent[from.0 as usize];
        *sequence += 1;
        self.plan.setting.send((from, to), *sequence - 1, mode, SHORT)
    }

    fn receive(&self, from: Process, mode: Mode) -> Call {
        self.plan.setting.receive(from, mode, SHORT)
    }

    /// Takes out what is there, as far as calls that do not wait can.
    fn drain(&mut self, receiver: Process, sender: Process) -> Result<(), Stopped> {
        let mode = self.plan.setting.quick_receive()?;
        if mode == Mode::Blocking {
            return Ok(());
        }
        for _ in 0..self.plan.waiting + 4 {
            let call = self.receive(sender, mode);
            if !self.say(receiver, call)?.took_effect() {
                break;
            }
        }
        Ok(())
    }

    fn go_on_alone(&mut self) -> Result<(), Stopped> {
        let profile = *self.plan.setting.profile();
        // Whoever dies on the way to the link may never have been seen on it.
        let seen = !matches!(self.plan.victim, Victim::Connect { .. });
        if self.plan.victim.process() == SENDER {
            self.drain(RECEIVER, SENDER)?;
            // Where the death is not reported, a receiver may well wait for ever.
            if seen && profile.receive.blocking && profile.sender_killed == Some(Notice::Reported) {
                let call = self.receive(SENDER, Mode::Blocking);
                self.say(RECEIVER, call)?;
            }
            return Ok(());
        }
        let mode = self.plan.setting.quick_send()?;
        for _ in 0..2 {
            if mode == Mode::Blocking {
                break;
            }
            let call = self.send(SENDER, RECEIVER, mode);
            if !self.say(SENDER, call)?.took_effect() {
                break;
            }
        }
        if seen && profile.send.blocking && profile.receiver_killed == Some(Notice::Reported) {
            let call = self.send(SENDER, RECEIVER, Mode::Blocking);
            self.say(SENDER, call)?;
        }
        Ok(())
    }

    fn join(&mut self, process: Process) -> Result<(), Stopped> {
        let sends = self.plan.victim.process() == SENDER;
        match self.world.join(role(process, sends)) {
            Ok(()) => Ok(()),
            Err(Trouble::Refused(why)) => {
                self.told.push("the role is refused".into());
                let odd = format!("the role of the killed process cannot be taken again: {why}");
                self.world.odd = Some(odd);
                Err(Stopped::Told)
            }
            Err(trouble) => Err(trouble.into()),
        }
    }

    fn rejoin(&mut self) -> Result<(), Stopped> {
        self.join(HEIR)?;
        let sends = self.plan.victim.process() == SENDER;
        let ends = |p| if sends { (p, RECEIVER) } else { (SENDER, p) };
        let (sender, receiver) = ends(HEIR);
        // What the killed process sent comes out under its name, not its heir's.
        self.drain(receiver, SENDER)?;
        self.rounds(sender, receiver, ROUNDS)?;
        self.say_quietly(HEIR, close())?;
        self.join(LATER)?;
        let (sender, receiver) = ends(LATER);
        self.rounds(sender, receiver, 1)
    }

    /// Messages that go through one by one.
    fn rounds(&mut self, sender: Process, receiver: Process, rounds: u32) -> Result<(), Stopped> {
        if self.plan.setting.capacity() == 0 {
            return self.meetings(sender, receiver, rounds.min(MEETINGS));
        }
        let (send, receive) = (self.plan.setting.quick_send()?, self.plan.setting.quick_receive()?);
        for round in 0..rounds {
            let call = self.send(sender, receiver, send);
            let sent = self.say_quietly(sender, call)?.took_effect();
            let call = self.receive(sender, receive);
            let received = self.say_quietly(receiver, call)?.took_effect();
            if !(sent && received) {
                self.told.push(format!("in round {}", round + 1));
                return Err(Stopped::Told);
            }
        }
        self.told.push(format!("{rounds} more"));
        Ok(())
    }

    /// The same on a link without a buffer: the receiver waits, and the sender comes.
    fn meetings(&mut self, sender: Process, receiver: Process, rounds: u32) -> Result<(), Stopped> {
        let profile = self.plan.setting.profile();
        if !(profile.receive.blocking && profile.send.blocking) {
            return Ok(());
        }
        for round in 0..rounds {
            let call = self.receive(sender, Mode::Blocking);
            if self.world.call_briefly(receiver, call)? != Progress::Asleep {
                self.told.push(format!("no sleep in round {}", round + 1));
                return Err(Stopped::Told);
            }
            let call = self.send(sender, receiver, Mode::Blocking);
            self.say_quietly(sender, call)?;
            let progress = self.world.go_on(receiver, true)?;
            if !progress.took_effect() {
                self.told.push(format!("{} in round {}", progress.word(), round + 1));
                return Err(Stopped::Told);
            }
        }
        self.told.push(format!("{rounds} more"));
        Ok(())
    }

    fn peer(&mut self, heir: bool) -> Result<(), Stopped> {
        let (peer, _) = peer_call(self.plan);
        let progress = self.world.go_on(peer, true)?;
        self.told.push(progress.word());
        match progress {
            Progress::Asleep => {}
            progress if progress.returned() => return self.go_on_alone(),
            _ => return Err(Stopped::Told),
        }
        // Nobody has to come back to a link that is quiet. Somebody who does wakes it. Where nobody
        // does, it waits rightly, or ought to have been told.
        if !heir {
            return Err(Stopped::Told);
        }
        self.join(HEIR)?;
        let call = match peer {
            RECEIVER => {
                let mode = self.plan.setting.quick_send()?;
                self.send(HEIR, RECEIVER, mode)
            }
            _ => {
                let mode = self.plan.setting.quick_receive()?;
                self.receive(SENDER, mode)
            }
        };
        self.say(HEIR, call)?;
        let progress = self.world.go_on(peer, true)?;
        self.told.push(progress.word());
        Ok(())
    }

    fn rival(&mut self) -> Result<(), Stopped> {
        if !self.world.is_in_call(HEIR) {
            return Ok(());
        }
        let mode = self.plan.setting.quick_send()?;
        let call = self.send(SENDER, HEIR, mode);
        self.say(SENDER, call)?;
        let progress = self.world.go_on(HEIR, true)?;
        self.told.push(progress.word());
        Ok(())
    }

    /// Somebody else creates the link, if need be after what is left behind has been removed.
    fn create_again(&mut self) -> Result<(), Stopped> {
        self.world.creator()?;
        match self.world.call(CREATOR, Call::Create)? {
            Progress::Returned(Answer::Done) => self.told.push("created again".into()),
            Progress::Returned(_) => {
                self.world.odd = None;
                self.world.remove()?;
                self.world.creator()?;
                self.world.whole(CREATOR, Call::Create)?;
                self.told.push("created again, after what was left had been removed".into());
            }
            other => {
                self.told.push(other.word());
                let odd = format!("creating the link again: {}", other.word());
                self.world.odd.get_or_insert(odd);
                return Err(Stopped::Told);
            }
        }
        for (process, sends) in [(SENDER, true), (RECEIVER, false)] {
            self.world.join(role(process, sends))?;
        }
        self.world.hand_over()?;
        self.sent = [0; 4];
        self.rounds(SENDER, RECEIVER, 3)
    }
}
