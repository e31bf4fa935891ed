//! The model against an independent one: every way in which a family of blocking scenarios may
//! end, by a walk over our rules and by Spin over a Promela program that uses Promela's own
//! channels. The two sets are equal.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::process::Command;

use ipc_model::{
    Capacity, Ends, Kind, Message, Mode, Op, Process, Profile, Refusal, Ret, Spec, State,
};

/// One member of the family: what `channel.pml` chooses in its `init`.
#[derive(Clone, Copy, Debug)]
struct Family {
    senders: u16,
    messages: u32,
    receivers: u16,
    receives: usize,
    senders_try: bool,
    receivers_try: bool,
}

fn family(capacity: u32) -> Vec<Family> {
    let tries: &[bool] = if capacity == 0 { &[false] } else { &[false, true] };
    let mut all = Vec::new();
    for senders in 1..=3 {
        for messages in 1..=2 {
            for receivers in 1..=2 {
                for receives in 1..=2 {
                    all.extend(tries.iter().flat_map(|&senders_try| {
                        tries.iter().map(move |&receivers_try| Family {
                            senders,
                            messages,
                            receivers,
                            receives,
                            senders_try,
                            receivers_try,
                        })
                    }));
                }
            }
        }
    }
    all
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Node {
    state: State,
    sent: Vec<u32>,
    refused: BTreeSet<Message>,
    got: Vec<Vec<Option<Message>>>,
}

struct Walk {
    spec: Spec,
    member: Family,
}

impl Walk {
    /// Every process that is not in a call and has one left makes it. That loses no ending: what
    /// a call can do it can do later as well, and on a buffered link, or where everybody waits, no
    /// other call minds that it has begun.
    fn calls(&self, mut node: Node) -> Node {
        let Family { senders, messages, receivers, receives, .. } = self.member;
        let mode = |tries| if tries { Mode::Nonblocking } else { Mode::Blocking };
        for process in (0..senders + receivers).map(Process) {
            let place = process.0 as usize;
            while let Some(ret) = returning(&node.state, process) {
                node.state = self.spec.ret(&node.state, process, ret).unwrap();
                match ret {
                    Ret::Done => node.sent[place] += 1,
                    Ret::Received(message) => {
                        node.got[place - senders as usize].push(Some(message));
                    }
                    Ret::Refused(Refusal::Full) => {
                        node.refused.insert(Message::new(process.0, node.sent[place], 0));
                        node.sent[place] += 1;
                    }
                    Ret::Refused(Refusal::Empty) => node.got[place - senders as usize].push(None),
                    other => panic!("{process} is told {other}"),
                }
            }
            if *node.state.call(process) != ipc_model::Call::Running {
                continue;
            }
            let op = if process.0 < senders {
                let sequence = node.sent[place];
                let message = Message::new(process.0, sequence, 0);
                let mode = mode(self.member.senders_try);
                (sequence < messages).then_some(Op::Send { link: 0, to: None, message, mode })
            } else {
                let mode = mode(self.member.receivers_try);
                let more = node.got[place - senders as usize].len() < receives;
                more.then_some(Op::Receive { link: 0, from: None, mode })
            };
            if let Some(op) = op {
                node.state = self.spec.call(&node.state, process, op);
            }
        }
        node
    }

    /// Every ending, in the words of `channel.pml`.
    fn endings(&self) -> BTreeSet<String> {
        let Family { senders, receivers, .. } = self.member;
        let processes = || (0..senders + receivers).map(Process);
        let ends = Ends {
            senders: (0..senders).map(Process).collect(),
            receivers: (senders..senders + receivers).map(Process).collect(),
        };
        let first = self.calls(Node {
            state: State::new((senders + receivers) as usize, &[ends]),
            sent: vec![0; senders as usize],
            refused: BTreeSet::new(),
            got: vec![vec![]; receivers as usize],
        });
        let mut endings = BTreeSet::new();
        let mut known = HashSet::from([first.clone()]);
        let mut stack = vec![first];
        while let Some(node) = stack.pop() {
            let mut moved = false;
            let mut blocked = BTreeSet::new();
            for process in processes() {
                for (rule, state) in self.spec.steps(&node.state, process) {
                    if rule.rule().kind == Kind::Blocks {
                        blocked.insert(process);
                        continue;
                    }
                    moved = true;
                    let next = self.calls(Node { state, ..node.clone() });
                    if known.insert(next.clone()) {
                        stack.push(next);
                    }
                }
            }
            if !moved {
                let pending = processes().filter(|p| node.state.pending(*p).is_some());
                assert_eq!(pending.collect::<BTreeSet<_>>(), blocked, "a silence without a name");
                endings.insert(self.told(&node, &blocked));
            }
        }
        endings
    }

    fn told(&self, node: &Node, blocked: &BTreeSet<Process>) -> String {
        let Family { senders, messages, receivers, receives, senders_try, receivers_try } =
            self.member;
        let trying = |tries| if tries { " trying" } else { "" };
        let (sending, receiving) = (trying(senders_try), trying(receivers_try));
        let mut text = format!(
            "END {senders} senders of {messages}{sending}, {receivers} receivers of \
             {receives}{receiving}:"
        );
        for (receiver, got) in node.got.iter().enumerate() {
            text += &format!(" R{receiver}[");
            for message in got {
                text += &message.map_or(" -".into(), |message| format!(" {message}"));
            }
            text += " ]";
        }
        text += " refused";
        node.refused.iter().for_each(|message| text += &format!(" {message}"));
        text += " blocked";
        for process in blocked {
            text += &match process.0.checked_sub(senders) {
                Some(receiver) => format!(" R{receiver}"),
                None => format!(" S{}", process.0),
            };
        }
        text
    }
}

fn returning(state: &State, process: Process) -> Option<Ret> {
    match *state.call(process) {
        ipc_model::Call::Returning(ret) => Some(ret),
        _ => None,
    }
}

/// What a command prints; it must succeed.
fn run(directory: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(directory).output();
    let output = output.unwrap_or_else(|error| {
        panic!(
            "cannot run {program} ({error}): this test compares the model with Spin, so it needs \
             Spin and a C compiler; on Debian and Ubuntu: apt-get install spin gcc libc6-dev"
        )
    });
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {text}{error}");
    text
}

/// What Spin found.
struct Spun {
    endings: BTreeSet<String>,
    states: String,
}

/// Every ending that Spin finds, without any reduction.
fn spin(capacity: u32) -> Spun {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    std::fs::write(directory.join("channel.pml"), include_str!("promela/channel.pml")).unwrap();
    run(directory, "spin", &["-a", "-o2", &format!("-DCAPACITY={capacity}"), "channel.pml"]);
    let options = ["-O1", "-w", "-DSAFETY", "-DNOREDUCE", "-DPRINTF", "-o", "pan", "pan.c"];
    run(directory, "gcc", &options);
    let pan = directory.join("pan");
    // -E: a process that is blocked at the end is what we ask about, not an error.
    let printed = run(directory, pan.to_str().unwrap(), &["-E", "-m100000"]);
    let complete = printed.contains("errors: 0") && !printed.contains("max search depth too small");
    assert!(complete, "Spin did not search everything:\n{printed}");
    let end = |line: &str| {
        let line = line.trim();
        line.starts_with("END ").then(|| line.to_owned())
    };
    let stored = printed.lines().find(|line| line.ends_with("states, stored"));
    Spun {
        endings: printed.lines().filter_map(end).collect(),
        states: stored.unwrap_or_default().trim().to_owned(),
    }
}

#[test]
fn the_model_and_spin_agree_on_every_ending_of_every_small_scenario() {
    let mut text = String::new();
    for places in 0..=3 {
        let capacity = if places == 0 { Capacity::Zero } else { Capacity::Bounded(places) };
        let spec = Spec::new(Profile { capacity, ..Profile::default() });
        let mut ours = BTreeSet::new();
        for member in family(places) {
            let endings = Walk { spec: spec.clone(), member }.endings();
            ours.extend(endings);
        }
        let spun = spin(places);
        let missing: Vec<_> = spun.endings.difference(&ours).collect();
        let invented: Vec<_> = ours.difference(&spun.endings).collect();
        assert!(
            missing.is_empty() && invented.is_empty(),
            "capacity {places}: Spin alone reaches {missing:#?}, we alone {invented:#?}"
        );
        let (members, endings) = (family(places).len(), ours.len());
        text += &format!(
            "capacity {places}: {members} scenarios, {endings} endings, Spin: {}\n",
            spun.states
        );
    }
    insta::assert_snapshot!("spin_agrees", text);
}

#[test]
fn a_model_with_one_place_too_many_does_not_agree_with_spin() {
    let spec = Spec::new(Profile { capacity: Capacity::Bounded(2), ..Profile::default() });
    let walk = |member| Walk { spec: spec.clone(), member }.endings();
    let ours: BTreeSet<String> = family(1).into_iter().flat_map(walk).collect();
    assert_ne!(ours, spin(1).endings);
}
