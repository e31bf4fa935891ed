//! All small histories in which ends are closed. Who holds which end matters here, so every process
//! has one role from beginning to end.

use ipc_model::check::monitor::{Finding, monitor, search_inside};
use ipc_model::check::{Budget, check_by_search, explains};
use ipc_model::{
    Capacity, Ends, History, Message, Mode, Notice, Op, Operation, Process, Profile, Refusal, Ret,
    Spec, Verdict, check, write_jsonl,
};

use crate::generate::{At, Dice, alone};
use crate::{fewer, more, naive};

/// What a call comes to, decided when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Sent,
    /// It takes the message of this number.
    Received(usize),
    Refused(Refusal),
    Closes,
}

#[derive(Clone, Copy)]
struct Made {
    process: u16,
    fate: Fate,
    call: u64,
    ret: Option<u64>,
}

#[derive(Clone, Copy)]
struct Bounds {
    senders: u16,
    receivers: u16,
    calls: usize,
    /// Whether calls may never return.
    pending: bool,
}

struct Walk<F> {
    bounds: Bounds,
    made: Vec<Made>,
    visit: F,
}

/// What the previous event was, and whose: neighbouring calls, and neighbouring returns, of
/// different processes come in one order only.
type Before = Option<(bool, u16)>;

impl<F: FnMut(&History)> Walk<F> {
    fn go(&mut self, now: u64, before: Before) {
        let over = self.bounds.pending || self.made.iter().all(|m| m.ret.is_some());
        if self.made.len() == self.bounds.calls
            && over
            && let Some(history) = self.history()
        {
            (self.visit)(&history);
        }
        for process in 0..self.bounds.senders + self.bounds.receivers {
            let follows = |calls| before.is_none_or(|(c, p)| c != calls || p <= process);
            let last = self.made.iter().rposition(|m| m.process == process);
            if let Some(i) = last.filter(|&i| self.made[i].ret.is_none()) {
                if follows(false) {
                    self.made[i].ret = Some(now);
                    self.go(now + 1, Some((false, process)));
                    self.made[i].ret = None;
                }
                continue;
            }
            let gone = last.is_some_and(|i| self.made[i].fate == Fate::Closes);
            if gone || self.made.len() == self.bounds.calls || !follows(true) {
                continue;
            }
            for fate in self.fates(process) {
                self.made.push(Made { process, fate, call: now, ret: None });
                self.go(now + 1, Some((true, process)));
                self.made.pop();
            }
        }
    }

    fn fates(&self, process: u16) -> Vec<Fate> {
        let refused = Fate::Refused;
        if process < self.bounds.senders {
            return vec![
                Fate::Sent,
                refused(Refusal::Full),
                refused(Refusal::Closed),
                Fate::Closes,
            ];
        }
        let mut fates = vec![refused(Refusal::Empty), refused(Refusal::Closed), Fate::Closes];
        // It may take a message whose send has yet to begin.
        let taken = |m: &usize| self.made.iter().any(|made| made.fate == Fate::Received(*m));
        let most = self.bounds.calls - 1;
        fates.extend((0..most).filter(|m| !taken(m)).map(Fate::Received));
        fates
    }

    /// `None` if a message is taken that is never sent: every checker knows that.
    fn history(&self) -> Option<History> {
        let processes = |from, to| (from..to).map(Process).collect();
        let Bounds { senders, receivers, .. } = self.bounds;
        let ends = Ends {
            senders: processes(0, senders),
            receivers: processes(senders, senders + receivers),
        };
        let mut history = History { links: vec![ends], ..History::default() };
        let sent: Vec<Message> = (0..)
            .zip(self.made.iter().filter(|m| m.process < senders && m.fate != Fate::Closes))
            .map(|(sequence, m)| Message::new(m.process, sequence, 0))
            .collect();
        let mut next = sent.iter();
        for made in &self.made {
            let mode = match made.fate {
                Fate::Refused(Refusal::Full | Refusal::Empty) => Mode::Nonblocking,
                _ => Mode::Blocking,
            };
            let op = match made.fate {
                Fate::Closes => Op::Close { link: 0 },
                _ if made.process < senders => {
                    Op::Send { link: 0, to: None, message: *next.next()?, mode }
                }
                _ => Op::Receive { link: 0, from: None, mode },
            };
            let told = match made.fate {
                Fate::Sent | Fate::Closes => Ret::Done,
                Fate::Received(number) => Ret::Received(*sent.get(number)?),
                Fate::Refused(refusal) => Ret::Refused(refusal),
            };
            let ret = made.ret.map(|time| (time, told));
            let (process, call) = (Process(made.process), made.call);
            let (timeout, blocked) = (None, None);
            history.operations.push(Operation { process, op, call, ret, timeout, blocked });
        }
        Some(history)
    }
}

fn compare(name: &str, profile: &Profile, bounds: Bounds, stride: u64) {
    let spec = Spec::new(*profile);
    let (mut histories, mut legal, mut unsure, mut by_model) = (0u64, 0u64, 0u64, 0u64);
    let calls = bounds.calls + more();
    let bounds = Bounds { calls, ..bounds };
    let visit = |history: &History| {
        let found = monitor(profile, history, Budget::default());
        let is_legal = match &found {
            Finding::Legal => true,
            Finding::Broken(_) => false,
            Finding::Unsure(_) => {
                unsure += 1;
                return;
            }
        };
        histories += 1;
        legal += u64::from(is_legal);
        let show = || write_jsonl(Some(profile), history);
        let naive = naive::explains(profile, history);
        assert_eq!(is_legal, naive, "{found:?} against all orders:\n{}", show());
        if histories % 4 == 0 && profile.capacity != Capacity::Zero {
            let inside = search_inside(profile, history, Budget::default());
            assert_eq!(is_legal, inside == Finding::Legal, "{inside:?}:\n{}", show());
        }
        if histories % stride == 0 {
            by_model += 1;
            let model = explains(&spec, history, Budget::default());
            assert_eq!(Some(is_legal), model, "{found:?} against the model:\n{}", show());
        }
    };
    Walk { bounds, made: Vec::new(), visit }.go(1, None);
    println!(
        "{name}: {histories} histories of up to {calls} calls compared ({legal} legal, {by_model} by \
         the model too), {unsure} unsure"
    );
    assert_eq!(unsure, 0);
    assert!(legal > 0 && legal < histories, "{name} compares nothing");
}

const LINKS: [Capacity; 5] = [
    Capacity::Unbounded,
    Capacity::Bounded(1),
    Capacity::Bounded(2),
    Capacity::AtLeast(1),
    Capacity::Zero,
];

#[test]
fn ends_that_close() {
    for capacity in LINKS {
        for (senders, receivers, calls) in
            [(1, 1, fewer(5)), (2, 1, 4), (1, 2, 4), (2, 2, fewer(4))]
        {
            let bounds = Bounds { senders, receivers, calls, pending: false };
            let name = format!("closing, capacity {capacity}, {senders} to {receivers}");
            compare(&name, &Profile::mailbox(capacity), bounds, 10);
        }
    }
}

#[test]
fn ends_that_close_while_calls_never_return() {
    for capacity in LINKS {
        let bounds = Bounds { senders: 2, receivers: 1, calls: fewer(4), pending: true };
        let name = format!("closing, capacity {capacity}, some for ever");
        compare(&name, &Profile::mailbox(capacity), bounds, 10);
    }
}

#[test]
fn ends_whose_closing_nobody_is_told() {
    for (sender_closed, receiver_closed) in
        [(Notice::Silent, Notice::Reported), (Notice::Reported, Notice::Silent)]
    {
        let profile =
            Profile { sender_closed, receiver_closed, ..Profile::mailbox(Capacity::Bounded(1)) };
        let bounds = Bounds { senders: 1, receivers: 1, calls: fewer(5), pending: false };
        compare(&format!("closing, senders {sender_closed:?}"), &profile, bounds, 10);
    }
}

/// What every program does in the end: senders send and close, receivers receive until they are
/// told so.
fn until_closed(
    senders: u16,
    receivers: u16,
    each: u32,
    room: Option<usize>,
    seed: u64,
) -> History {
    let mut dice = Dice(seed);
    let width = senders + receivers;
    let processes = |from, to| (from..to).map(Process).collect();
    let ends = Ends { senders: processes(0, senders), receivers: processes(senders, width) };
    let mut history = History { links: vec![ends], ..History::default() };
    let mut at = vec![At::Idle; usize::from(width)];
    let mut sent = vec![0; usize::from(senders)];
    let (mut inside, mut open) = (std::collections::VecDeque::new(), senders);
    let mut now = 0;
    while at.iter().any(|at| !matches!(at, At::Dead)) {
        now += 1;
        let p = dice.below(usize::from(width));
        let process = Process(p as u16);
        let mode = Mode::Blocking;
        at[p] = match at[p] {
            At::Dead => At::Dead,
            At::Idle => {
                let op = match sent.get_mut(p) {
                    None => Op::Receive { link: 0, from: None, mode },
                    Some(sent) if *sent == each => Op::Close { link: 0 },
                    Some(sent) => {
                        *sent += 1;
                        let message = Message::new(process.0, *sent, 0);
                        Op::Send { link: 0, to: None, message, mode }
                    }
                };
                let (call, ret, timeout, blocked) = (now, None, None, None);
                history.operations.push(Operation { process, op, call, ret, timeout, blocked });
                At::Called(history.operations.len() - 1)
            }
            At::Called(i) => match history.operations[i].op {
                Op::Close { .. } => {
                    open -= 1;
                    At::Done(i, Ret::Done)
                }
                op => match alone(op, &mut inside, room) {
                    Some(ret) => At::Done(i, ret),
                    None if op.message().is_none() && open == 0 => {
                        At::Done(i, Ret::Refused(Refusal::Closed))
                    }
                    None => At::Called(i),
                },
            },
            At::Done(i, ret) => {
                history.operations[i].ret = Some((now, ret));
                let over = matches!(ret, Ret::Refused(_))
                    || matches!(history.operations[i].op, Op::Close { .. });
                if over { At::Dead } else { At::Idle }
            }
        };
    }
    history
}

#[test]
fn a_long_history_that_ends_by_closing_is_decided() {
    for (capacity, room) in [(Capacity::Unbounded, None), (Capacity::Bounded(3), Some(3))] {
        let profile = Profile::mailbox(capacity);
        let mut history = until_closed(4, 4, 5_000, room, 9);
        assert!(history.operations.len() > 40_000);
        assert!(check(&profile, &history).passed(), "capacity {capacity}");
        // The last message comes out only after another receiver was told that nothing is left.
        let closed = |o: &Operation| o.ret.is_some_and(|(_, r)| r == Ret::Refused(Refusal::Closed));
        let end = history.operations.iter().filter_map(|o| o.ret).map(|r| r.0).max().unwrap();
        let told = history.operations.iter().find(|o| closed(o)).copied().unwrap();
        let received = |o: &&mut Operation| {
            matches!(o.ret, Some((_, Ret::Received(_)))) && o.process != told.process
        };
        let late = history.operations.iter_mut().filter(received).max_by_key(|o| o.call).unwrap();
        let process = late.process;
        (late.call, late.ret) = (end + 1, late.ret.map(|(_, ret)| (end + 2, ret)));
        history.operations.retain(|o| o.process != process || !closed(o));
        let verdict = check(&profile, &history);
        let found = verdict.counterexample().unwrap_or_else(|| panic!("{capacity}: {verdict:?}"));
        let size = found.history.operations.len();
        println!("{found}\n  {}", found.pattern.as_ref().unwrap());
        assert!(size <= 8, "capacity {capacity}: {size} calls are left");
        let again = check_by_search(&Spec::new(profile), &found.history, Budget::default());
        assert!(matches!(again, Verdict::Fail(_)), "the cut passes: {again:?}");
    }
}

#[test]
fn closed_or_empty_at_the_wrong_time_is_named() {
    let named = |mut history: History, mode, told, call, ret, rule| {
        let op = Op::Receive { link: 0, from: None, mode };
        let ret = Some((ret, Ret::Refused(told)));
        let (process, timeout, blocked) = (Process(2), None, None);
        history.operations.push(Operation { process, op, call, ret, timeout, blocked });
        let verdict = check(&Profile::default(), &history);
        let found = verdict.counterexample().unwrap_or_else(|| panic!("{told:?}: {verdict:?}"));
        println!("{found}\n  {}", found.pattern.as_ref().unwrap());
        assert_eq!(found.rule.rule().id, rule);
    };
    // Without what its receiver was told at last.
    let mut history = until_closed(2, 1, 200, None, 5);
    history.operations.retain(|o| !matches!(o.ret, Some((_, Ret::Refused(_)))));
    for o in &mut history.operations {
        o.call += 10;
        o.ret = o.ret.map(|(time, ret)| (time + 10, ret));
    }
    let end = history.operations.iter().filter_map(|o| o.ret).map(|r| r.0).max().unwrap();
    let (early, late) = ("receive.empty.blocks", "try_receive.drained.closed");
    named(history.clone(), Mode::Blocking, Refusal::Closed, 1, 2, early);
    named(history, Mode::Nonblocking, Refusal::Empty, end + 1, end + 2, late);
}

#[test]
fn which_rules_fired_in_a_long_history_is_told() {
    let history = until_closed(2, 1, 200, None, 5);
    let Verdict::Pass { coverage, .. } = check(&Profile::default(), &history) else { panic!() };
    let names = |rules: ipc_model::RuleSet| -> Vec<&str> {
        let mut names: Vec<&str> = rules.iter().map(|rule| rule.rule().id).collect();
        names.sort_unstable();
        names
    };
    let all = [
        "close.returns",
        "receive.closed.drains",
        "receive.drained.closed",
        "receive.message.takes",
        "send.unbounded.accepts",
    ];
    assert_eq!(names(coverage.every), all);
    assert_eq!(names(coverage.any), all);
}
