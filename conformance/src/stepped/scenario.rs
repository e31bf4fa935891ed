//! The standard scenarios that schedules are explored of: two processes, a few calls each.

use std::time::Duration;

use ipc_model::{Capacity, Holders, Mode, Notice, Process, Profile};

use super::course::Call;
use super::setting::{RECEIVER, SENDER, Setting, close};
use super::world::LONG;

/// The second process of scenarios in which two do the same.
const SECOND: Process = Process(2);

/// One step of a process's script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Send(Mode),
    Receive(Mode),
    Close,
}

/// Two processes, and what each of them does.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    /// Its name: `schedule.<name>`.
    pub(super) name: &'static str,
    /// How many messages wait before.
    pub(super) waiting: u32,
    pub(super) scripts: [(Process, Vec<Step>); 2],
}

/// The scenarios of a link that claims this.
pub(super) fn scenarios(setting: &Setting<'_>) -> Vec<Scenario> {
    use Step::{Close, Receive, Send};
    let profile: &Profile = setting.profile();
    let buffered = profile.capacity != Capacity::Zero;
    let (Ok(send), Ok(receive)) = (setting.quick_send(), setting.quick_receive()) else {
        return Vec::new();
    };
    let (send, receive) = (Send(send), Receive(receive));
    let mut list = Vec::new();
    let mut add = |name, waiting, first: (Process, &[Step]), second: (Process, &[Step])| {
        let scripts = [(first.0, first.1.to_vec()), (second.0, second.1.to_vec())];
        list.push(Scenario { name, waiting, scripts });
    };
    add("send-receive", 0, (SENDER, &[send; 2]), (RECEIVER, &[receive; 2]));
    if let Some(full) = setting.full() {
        let name = "send-receive-full";
        add(name, full, (SENDER, &[send]), (RECEIVER, &[receive; 2]));
    }
    if profile.senders == Holders::Many {
        add("send-send", 0, (SENDER, &[send]), (SECOND, &[send]));
    }
    if profile.receivers == Holders::Many && buffered {
        let waiting = setting.capacity().min(2);
        // The second one takes all there is, so that a counter that wraps can come round.
        let all = vec![receive; waiting as usize];
        add("receive-receive", waiting, (RECEIVER, &[receive]), (SECOND, &all));
    }
    let waits = Receive(Mode::Blocking);
    if profile.receive.blocking {
        let send = if profile.send.blocking { Send(Mode::Blocking) } else { send };
        add("receive-waits", 0, (RECEIVER, &[waits]), (SENDER, &[send]));
    }
    if let (true, Some(full)) = (profile.send.blocking, setting.full()) {
        let receive = if profile.receive.blocking { waits } else { receive };
        add("send-waits", full, (SENDER, &[Send(Mode::Blocking)]), (RECEIVER, &[receive]));
    }
    if profile.receive.blocking && profile.sender_closed == Notice::Reported {
        add("close-receive", 0, (SENDER, &[Close]), (RECEIVER, &[waits]));
    }
    list
}

impl Scenario {
    /// Who takes part: sender and receiver in any case, since a link has both.
    pub(super) fn ends(&self) -> (Vec<Process>, Vec<Process>) {
        let (mut senders, mut receivers) = (vec![SENDER], vec![RECEIVER]);
        for (process, script) in &self.scripts {
            let side = if script.iter().any(|s| matches!(s, Step::Receive(_))) {
                &mut receivers
            } else {
                &mut senders
            };
            if !side.contains(process) {
                side.push(*process);
            }
        }
        (senders, receivers)
    }

    /// The other process.
    pub(super) fn other(&self, process: Process) -> Process {
        let [(a, _), (b, _)] = &self.scripts;
        if *a == process { *b } else { *a }
    }

    /// How many calls the process makes.
    pub(super) fn length(&self, process: Process) -> usize {
        self.script(process).len()
    }

    fn script(&self, process: Process) -> &[Step] {
        let mine = self.scripts.iter().find(|(p, _)| *p == process);
        mine.map_or(&[], |(_, script)| script)
    }

    /// The `number`-th call of the process, from 0.
    pub(super) fn call(&self, setting: &Setting<'_>, process: Process, number: usize) -> Call {
        let script = self.script(process);
        let sent = script[..number].iter().filter(|s| matches!(s, Step::Send(_))).count() as u32;
        let before = if process == SENDER { self.waiting } else { 0 };
        match script[number] {
            Step::Send(mode) => setting.send((process, RECEIVER), before + sent, mode, LONG),
            Step::Receive(mode) => setting.receive(SENDER, mode, Duration::ZERO),
            Step::Close => close(),
        }
    }

    /// How many messages may wait when all is over.
    pub(super) fn left(&self) -> u32 {
        let steps = self.scripts.iter().flat_map(|(_, script)| script);
        self.waiting + steps.filter(|s| matches!(s, Step::Send(_))).count() as u32
    }
}
