//! The transition table of the link model: in which situation which call may do what, by which
//! rule. A change of meaning is a diff here.

use std::fmt::Write;

use ipc_model::{
    Call, Capacity, Ends, Message, Mode, Notice, Op, Order, Process, Profile, Ret, Spec, State,
    Waiting,
};

const SENDER: Process = Process(0);
const RECEIVER: Process = Process(1);
/// A third process, on the other side of the one that is asked.
const PEER: Process = Process(2);

fn send(process: Process, sequence: u32, mode: Mode) -> Op {
    let message = Message::new(process.0, sequence, 16);
    Op::Send { link: 0, to: None, message, mode }
}

fn receive(mode: Mode) -> Op {
    Op::Receive { link: 0, from: None, mode }
}

fn pending(op: Op, blocked: bool) -> Call {
    Call::Pending { op, blocked, expired: false }
}

/// Named states of a link between P0 and P1, with P2 as a second sender and receiver.
fn situations(profile: &Profile) -> Vec<(&'static str, State)> {
    let holders = |p: &[Process]| p.iter().copied().collect();
    let ends = Ends { senders: holders(&[SENDER, PEER]), receivers: holders(&[RECEIVER, PEER]) };
    let base = State::new(3, &[ends]);
    let with = |change: &dyn Fn(&mut State)| {
        let mut state = base.clone();
        change(&mut state);
        state
    };
    let put = |state: &mut State, n: u32| {
        for sequence in 0..n {
            let message = Message::new(PEER.0, sequence, 16);
            state.links[0].queue.push(Waiting { message, to: None });
        }
    };
    let no_senders = |state: &mut State| state.links[0].senders = Default::default();
    let no_receivers = |state: &mut State| state.links[0].receivers = Default::default();
    let mut all = vec![("empty", base.clone())];
    if profile.capacity == Capacity::Zero {
        let called = |call| with(&|s| s.set(PEER, call));
        all.push(("a receiver has called", called(pending(receive(Mode::Blocking), false))));
        all.push(("a receiver sleeps", called(pending(receive(Mode::Blocking), true))));
        all.push(("a sender has called", called(pending(send(PEER, 0, Mode::Blocking), false))));
        all.push(("a sender sleeps", called(pending(send(PEER, 0, Mode::Blocking), true))));
    } else {
        all.push(("one message", with(&|s| put(s, 1))));
        all.push(("two messages", with(&|s| put(s, 2))));
        all.push((
            "one message, no sender left",
            with(&|s| {
                put(s, 1);
                no_senders(s);
            }),
        ));
    }
    all.push(("no sender left", with(&no_senders)));
    all.push(("no receiver left", with(&no_receivers)));
    all.push((
        "last sender killed",
        with(&|s| {
            no_senders(s);
            s.links[0].lost_sender = true;
        }),
    ));
    all
}

#[test]
fn the_transition_table_is_pinned() {
    let told = Some(Notice::Reported);
    let bounded = Profile {
        sender_killed: told,
        receiver_killed: told,
        ..Profile::mailbox(Capacity::Bounded(2))
    };
    let profiles = [
        ("bounded 2", bounded),
        ("unbounded", Profile::mailbox(Capacity::Unbounded)),
        ("zero", Profile::mailbox(Capacity::Zero)),
        (
            "at least 1, per sender",
            Profile { capacity: Capacity::AtLeast(1), order: Order::PerSender, ..bounded },
        ),
    ];
    let modes = [Mode::Blocking, Mode::Nonblocking, Mode::Timed];
    let mut table = String::new();
    for (name, profile) in profiles {
        let spec = Spec::new(profile);
        for (situation, state) in situations(&profile) {
            writeln!(table, "{name}, {situation}").unwrap();
            let sends = modes.map(|mode| (SENDER, send(SENDER, 9, mode)));
            let receives = modes.map(|mode| (RECEIVER, receive(mode)));
            let close = [(SENDER, Op::Close { link: 0 })];
            for (process, op) in sends.into_iter().chain(receives).chain(close) {
                row(&mut table, &spec, &state, process, op);
            }
        }
    }
    insta::assert_snapshot!("transitions", table);
}

fn row(table: &mut String, spec: &Spec, state: &State, process: Process, op: Op) {
    let called = spec.call(state, process, op);
    let late = spec.expire(&called, process);
    let states = [("", &called), (" past its deadline", &late)];
    let timed = if op.mode() == Mode::Timed { 2 } else { 1 };
    for (when, called) in &states[..timed] {
        let mut steps: Vec<String> = Vec::new();
        let mut joint = Vec::new();
        for p in (0..3).map(Process).filter(|p| is_pending(called, *p)) {
            for (rule, next) in spec.steps(called, p) {
                let result = match next.call(process) {
                    Call::Returning(Ret::Received(m)) => format!("takes {m}"),
                    Call::Returning(ret) => ret.to_string(),
                    _ if p == process => "sleeps".into(),
                    _ => continue,
                };
                let step = format!("{result} ({rule})");
                if p == process { steps.push(step) } else { joint.push(step) }
            }
        }
        steps.append(&mut joint);
        let call = format!("{}{when}", op.name());
        writeln!(table, "    {call:<34} {}", steps.join(", ")).unwrap();
    }
}

fn is_pending(state: &State, process: Process) -> bool {
    matches!(state.call(process), Call::Pending { .. })
}
