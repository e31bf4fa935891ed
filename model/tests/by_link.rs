//! Long histories, packed and taken apart by links: the verdict is that on the whole.

#[path = "monitors/generate.rs"]
mod generate;

use generate::{Dice, Recipe, legal, swap_receives};
use ipc_model::check::{Budget, ByLink, check_by_search};
use ipc_model::{
    Capacity, Ends, History, Log, Message, Mode, Notice, Op, Operation, Process, Profile, Refusal,
    Ret, Spec, Verdict, check, read_jsonl, write_jsonl,
};

fn by_link(profile: Profile, history: &History) -> Verdict {
    let (spec, log) = (Spec::new(profile), Log::from(history));
    let by_link = ByLink::new(&spec, &log, Budget::default());
    let findings = (0..by_link.links()).map(|link| by_link.decide(link)).collect();
    by_link.conclude(findings)
}

/// Several histories as one, each on a link and by processes of its own.
fn side_by_side(histories: Vec<History>) -> History {
    let mut whole = History::default();
    let mut first = 0;
    for (link, history) in (0u8..).zip(histories) {
        let width = history.width() as u16;
        let own = |p: Process| Process(p.0 + first);
        let named = |m: Message| Message { sender: own(m.sender), ..m };
        for o in history.operations {
            let op = match o.op {
                Op::Send { to, message, mode, .. } => {
                    Op::Send { link, to, message: named(message), mode }
                }
                Op::Receive { from, mode, .. } => Op::Receive { link, from, mode },
                Op::Close { .. } => Op::Close { link },
            };
            let ret = o.ret.map(|(time, ret)| match ret {
                Ret::Received(message) => (time, Ret::Received(named(message))),
                other => (time, other),
            });
            whole.operations.push(Operation { process: own(o.process), op, ret, ..o });
        }
        whole.crashes.extend(history.crashes.iter().map(|&(time, p)| (time, own(p))));
        whole.links.push(Ends {
            senders: (first..first + width).map(Process).collect(),
            receivers: (first..first + width).map(Process).collect(),
        });
        first += width;
    }
    whole
}

fn recipe(room: Option<usize>, killed: usize) -> Recipe {
    Recipe { senders: 2, receivers: 3, calls: 400, room, hasty: 40, killed }
}

#[test]
fn the_verdict_on_links_apart_is_the_verdict_on_the_whole() {
    for (seed, room) in (0..).zip([None, Some(0), Some(1), Some(3)].repeat(8)) {
        let profile = Profile::mailbox(match room {
            None => Capacity::Unbounded,
            Some(0) => Capacity::Zero,
            Some(n) => Capacity::Bounded(n as u32),
        });
        let mut dice = Dice(seed);
        let mut histories: Vec<History> =
            (0..3).map(|i| legal(recipe(room, usize::from(i == 2)), dice.roll())).collect();
        if seed % 2 == 1 {
            swap_receives(&mut histories[1], 200);
        }
        let history = side_by_side(histories);
        assert_eq!(history.malformed(), None, "seed {seed}");
        let (apart, whole) = (by_link(profile, &history), check(&profile, &history));
        match (&apart, &whole) {
            (Verdict::Fail(apart), Verdict::Fail(whole)) => {
                assert_eq!(apart.rule, whole.rule, "seed {seed}");
                assert_eq!(apart.pattern, whole.pattern, "seed {seed}");
            }
            _ => assert_eq!(apart, whole, "seed {seed}"),
        }
        assert_eq!(apart.passed(), seed % 2 == 0 || whole.passed(), "seed {seed}: {apart:?}");
    }
}

#[test]
fn a_packed_history_is_the_same_history() {
    for seed in 0..20 {
        let mut history = legal(recipe(Some(2), 1), seed);
        let mut dice = Dice(seed);
        for o in &mut history.operations {
            if let Op::Send { message, .. } = &mut o.op {
                message.size = dice.below(70_000) as u32;
                message.priority = dice.below(3) as u32;
            }
            if dice.below(10) == 0 {
                o.timeout = Some(dice.roll());
                o.blocked = Some(o.call);
                o.ret = o.ret.map(|(time, ret)| (time + (1 << (20 + dice.below(20))), ret));
            }
        }
        let log = Log::from(&history);
        assert_eq!(log.history(|_, _| true), history, "seed {seed}");
    }
}

#[test]
fn more_sizes_than_can_be_numbered_are_kept_too() {
    let send = |i: u32| {
        let op =
            Op::Send { link: 0, to: None, message: Message::new(0, i, i), mode: Mode::Blocking };
        let call = u64::from(i) * 2;
        let ret = Some((call + 1, Ret::Done));
        Operation { process: Process(0), op, call, ret, timeout: None, blocked: None }
    };
    let history = History { operations: (0..70_000).map(send).collect(), ..History::default() };
    let log = Log::from(&history);
    assert_eq!(log.operation(69_999), send(69_999));
    let (_, again) = read_jsonl(&write_jsonl(None, &history)).unwrap();
    assert_eq!(again, history);
}

fn told_closed(count: u32) -> Vec<Operation> {
    let send = |i: u32| {
        let op =
            Op::Send { link: 0, to: None, message: Message::new(0, i, 0), mode: Mode::Blocking };
        let call = 10 + 10 * u64::from(i);
        let ret = Some((call + 5, Ret::Refused(Refusal::Closed)));
        Operation { process: Process(0), op, call, ret, timeout: None, blocked: None }
    };
    (0..count).map(send).collect()
}

#[test]
fn closed_may_be_told_where_an_end_lost_its_holders() {
    let ends = |receivers: &[u16]| Ends {
        senders: [Process(0)].into_iter().collect(),
        receivers: receivers.iter().map(|p| Process(*p)).collect(),
    };
    let reported = Some(Notice::Reported);
    let profile =
        Profile { sender_killed: reported, receiver_killed: reported, ..Profile::default() };
    let history = |links: Vec<Ends>, crashes: Vec<(u64, Process)>| History {
        operations: told_closed(200),
        crashes,
        links,
        ..History::default()
    };
    let nobody = history(vec![ends(&[])], vec![]);
    let killed = history(vec![ends(&[1])], vec![(2, Process(1))]);
    let alive = history(vec![ends(&[1, 2])], vec![(2, Process(1))]);
    for (history, legal) in [(nobody, true), (killed, true), (alive, false)] {
        let verdict = check(&profile, &history);
        assert_eq!(verdict.passed(), legal, "{verdict:?}");
        assert_eq!(by_link(profile, &history).passed(), legal);
    }
}

#[test]
fn an_end_that_nobody_uses_is_held_by_somebody_unless_the_history_tells_of_closing() {
    let mut sends = told_closed(2);
    let closed = History { operations: sends.clone(), ..History::default() };
    assert!(check(&Profile::default(), &closed).passed());
    sends.iter_mut().for_each(|o| o.ret = o.ret.map(|(time, _)| (time, Ret::Done)));
    let done = History { operations: sends, ..History::default() };
    assert!(check(&Profile::default(), &done).passed(), "{:?}", check(&Profile::default(), &done));
}

#[test]
fn what_is_enough_to_search_one_link_is_enough_to_search_many() {
    let budget = Budget { states: 400 };
    let one = |seed| legal(Recipe { calls: 14, ..recipe(Some(2), 0) }, seed);
    let search = |history: &History| {
        let spec = Spec::new(Profile::mailbox(Capacity::Bounded(2)));
        check_by_search(&spec, history, budget)
    };
    let alone: Vec<History> = (0..12).map(one).collect();
    for history in &alone {
        assert!(search(history).passed());
    }
    let mut many = side_by_side(alone);
    // All at the same time, so that all calls in progress would be multiplied.
    assert!(search(&many).passed());
    let wrong = many.operations.iter_mut().rfind(|o| matches!(o.ret, Some((_, Ret::Received(_)))));
    let (time, _) = wrong.as_ref().unwrap().ret.unwrap();
    wrong.unwrap().ret = Some((time, Ret::Received(Message::new(63, 0, 0))));
    assert!(search(&many).counterexample().is_some());
}
