//! The check of recorded region histories: what it accepts, what it refuses, and what it says.

use ipc_model::machine::{Errno, History, Operation, Spec, User, Verdict};
use ipc_model::region::{
    Access, Creation, Fault, Op, Region, RegionHistory, RegionOperation, Resized, Ret, check,
    check_spec,
};
use ipc_model::{Budget, Force, Process};

fn open(creation: Creation, access: Access, handle: u8) -> Op {
    Op::Open { name: "/a".into(), creation, access, truncate: false, mode: 0o600, handle }
}

fn attach(access: Access) -> Op {
    Op::Attach { handle: 0, access, offset: 0, length: 64, mapping: 0 }
}

fn read(place: u64, length: u32) -> Op {
    Op::Read { mapping: 0, place, length }
}

fn write(place: u64, bytes: &[u8]) -> Op {
    Op::Write { mapping: 0, place, bytes: bytes.to_vec() }
}

/// P0 has created and attached a region of 64 bytes, P1 has attached it.
fn established() -> Vec<(u16, Op, Ret)> {
    vec![
        (0, open(Creation::Exclusive, Access::ReadWrite, 0), Ret::Done),
        (0, Op::SetSize { handle: 0, size: 64 }, Ret::Done),
        (0, attach(Access::ReadWrite), Ret::Done),
        (1, open(Creation::Never, Access::ReadWrite, 0), Ret::Done),
        (1, attach(Access::ReadWrite), Ret::Done),
    ]
}

fn after_establishing(calls: impl IntoIterator<Item = (u16, Op, Ret)>) -> RegionHistory {
    let calls = established().into_iter().chain(calls);
    History::sequential(Region::default(), &[User(0), User(0)], calls)
}

/// Who calls what, when, and what it returns when.
type Timed = (u16, Op, u64, Option<(u64, Ret)>);

/// The same, with these calls at these times (from 1000) and these kills.
fn overlapping(calls: &[Timed], kills: &[(u64, u16)]) -> RegionHistory {
    let mut history = after_establishing([]);
    history.operations.extend(calls.iter().map(|(p, op, call, ret)| Operation {
        process: Process(*p),
        op: op.clone(),
        call: *call,
        ret: ret.clone(),
        system_calls: None,
    }));
    history.crashes = kills.iter().map(|(time, p)| (*time, Process(*p))).collect();
    history
}

fn refused_by(history: &RegionHistory, rule: &str) {
    match check(history) {
        Verdict::Fail(found) => assert_eq!(found.rule, rule, "{found}"),
        other => panic!("{other:?}"),
    }
}

fn accepted(history: &RegionHistory) {
    let verdict = check(history);
    assert!(verdict.passed(), "{:?}", verdict.counterexample().map(ToString::to_string));
}

#[test]
fn any_layout_and_any_byte_value_come_back() {
    let all: Vec<u8> = (0..=255).collect();
    for chunk in all.chunks(32) {
        for place in [0, 1, 7, 32] {
            let calls = [
                (0, write(place, chunk), Ret::Done),
                (1, read(place, chunk.len() as u32), Ret::read(chunk)),
            ];
            accepted(&after_establishing(calls));
        }
    }
}

#[test]
fn a_byte_that_was_not_written_is_refused() {
    let history = after_establishing([
        (0, write(3, &[9, 8]), Ret::Done),
        (1, Op::GetSize { handle: 0 }, Ret::Size(64)),
        (1, read(3, 2), Ret::read(&[9, 7])),
    ]);
    let verdict = check(&history);
    let found = verdict.counterexample().unwrap();
    assert_eq!(
        found.to_string(),
        "P1 read m0[3, 2] returned <9 7>; allowed here: <9 8> (by region.read.attached.sees)"
    );
    // Asking the size has nothing to do with it.
    assert_eq!(found.history.operations.len(), history.operations.len() - 1);
}

#[test]
fn a_counterexample_keeps_what_it_rests_on() {
    // That the size was zero is what shows the shrinking to have come before the read.
    let shrink = |size| Op::SetSize { handle: 0, size };
    let mut history = overlapping(
        &[
            (0, shrink(0), 1000, Some((1090, Ret::Done))),
            (1, Op::GetSize { handle: 0 }, 1010, Some((1020, Ret::Size(0)))),
            (1, read(0, 1), 1030, Some((1040, Ret::read(&[0])))),
        ],
        &[],
    );
    history.profile.resized = Resized::Current;
    let verdict = check(&history);
    let found = verdict.counterexample().unwrap();
    assert_eq!(found.rule, "region.access.beyond-end.faults");
    assert!(!check(&found.history).passed());
    assert!(found.history.operations.iter().any(|o| o.op == Op::GetSize { handle: 0 }));
}

#[test]
fn a_write_beside_a_read_may_tear_and_one_before_it_may_not() {
    let pair = |returned| {
        overlapping(
            &[
                (0, write(0, &[1, 2]), 1000, Some((returned, Ret::Done))),
                (1, read(0, 2), 1010, Some((1020, Ret::read(&[0, 2])))),
            ],
            &[],
        )
    };
    accepted(&pair(1015));
    accepted(&pair(1030));
    refused_by(&pair(1005), "region.read.attached.sees");
}

#[test]
fn what_was_seen_once_stays_seen() {
    let reads = |second: u8| {
        overlapping(
            &[
                (0, write(0, &[1]), 1000, Some((1090, Ret::Done))),
                (1, read(0, 1), 1010, Some((1020, Ret::read(&[1])))),
                (1, read(0, 1), 1030, Some((1040, Ret::read(&[second])))),
            ],
            &[],
        )
    };
    accepted(&reads(1));
    refused_by(&reads(0), "region.read.attached.sees");
}

#[test]
fn of_the_write_of_a_killed_process_each_byte_has_happened_or_not() {
    let long: Vec<u8> = (1..=60).collect();
    let mixed: Vec<u8> = long.iter().map(|b| if b % 3 == 0 { 0 } else { *b }).collect();
    let killed = |first: &[u8], second: &[u8]| {
        overlapping(
            &[
                (0, write(0, &long), 1000, None),
                (1, read(0, 60), 1010, Some((1020, Ret::read(first)))),
                (1, read(0, 60), 1030, Some((1040, Ret::read(second)))),
            ],
            &[(1005, 0)],
        )
    };
    accepted(&killed(&mixed, &mixed));
    accepted(&killed(&long, &long));
    // But nobody sees it happen after the kill, and no other byte changes.
    refused_by(&killed(&mixed, &long), "region.read.attached.sees");
    refused_by(
        &killed(&[[99].as_slice(), &mixed[1..]].concat(), &mixed),
        "region.read.attached.sees",
    );
}

#[test]
fn content_outlives_its_creator_and_a_name_does_not_outlive_unlink() {
    let late = |op, ret| {
        after_establishing([
            (0, write(0, &[5]), Ret::Done),
            (1, Op::Detach { mapping: 0 }, Ret::Done),
            (1, Op::Close { handle: 0 }, Ret::Done),
            (0, Op::Exit, Ret::Done),
            (1, open(Creation::Never, Access::ReadOnly, 0), Ret::Done),
            (1, attach(Access::ReadOnly), Ret::Done),
            (1, read(0, 1), Ret::read(&[5])),
            (1, write(0, &[6]), Ret::Faulted(Fault::Unmapped)),
            (1, Op::Unlink { name: "/a".into() }, Ret::Done),
            (1, read(0, 1), Ret::read(&[5])),
            (1, op, ret),
        ])
    };
    let reopen = || open(Creation::Never, Access::ReadOnly, 1);
    accepted(&late(reopen(), Ret::Refused(Errno::Absent)));
    refused_by(&late(reopen(), Ret::Done), "region.open.absent.refused");
    accepted(&late(open(Creation::Exclusive, Access::ReadWrite, 1), Ret::Done));
    let clash = Ret::Refused(Errno::Exists);
    let create = open(Creation::Exclusive, Access::ReadWrite, 1);
    refused_by(&late(create, clash), "region.create.exclusive.creates");
}

#[test]
fn an_access_that_takes_a_system_call_is_refused() {
    let mut history = after_establishing([(0, write(0, &[1]), Ret::Done)]);
    let last: &mut RegionOperation = history.operations.last_mut().unwrap();
    last.system_calls = Some(0);
    accepted(&history);
    history.operations.last_mut().unwrap().system_calls = Some(1);
    refused_by(&history, "region.access.no-system-call");
}

#[test]
fn growth_under_a_mapping_is_open_in_posix_and_seen_where_the_present_size_counts() {
    let grown = |resized, ret| {
        let profile = Region { page: 64, resized };
        let mut history = after_establishing([
            (0, Op::SetSize { handle: 0, size: 32 }, Ret::Done),
            (1, read(40, 1), ret),
        ]);
        history.profile = profile;
        history
    };
    accepted(&grown(Resized::Unspecified, Ret::read(&[77])));
    accepted(&grown(Resized::Unspecified, Ret::Faulted(Fault::BeyondEnd)));
    accepted(&grown(Resized::Current, Ret::read(&[0])));
    refused_by(&grown(Resized::Current, Ret::read(&[77])), "region.read.tail.zero");
}

#[test]
fn attaching_from_the_middle_of_a_page_deviates() {
    let op = Op::Attach { handle: 0, access: Access::ReadOnly, offset: 5, length: 8, mapping: 1 };
    let history = after_establishing([(1, op, Ret::Done)]);
    let verdict = check(&history);
    assert_eq!(verdict.counterexample().unwrap().force(), Force::Should);
}

#[test]
fn histories_that_cannot_be_are_inconclusive() {
    let why = |history: &RegionHistory| match check(history) {
        Verdict::Inconclusive(why) => why,
        other => panic!("{other:?}"),
    };
    let again = after_establishing([(1, attach(Access::ReadWrite), Ret::Done)]);
    assert_eq!(why(&again), "P1 fills mapping 0 while it is in use");
    let mut unlisted = after_establishing([]);
    unlisted.users.pop();
    assert_eq!(why(&unlisted), "P1 takes part, but the history lists the users of 1 processes");
    let inside = [
        (0, read(0, 1), 1000, Some((1010, Ret::read(&[0])))),
        (0, read(0, 1), 1005, Some((1015, Ret::read(&[0])))),
    ];
    assert_eq!(why(&overlapping(&inside, &[])), "P0 calls at 1005, inside a call of its own");
    let wide = [
        (0, write(0, &[1; 40]), 1000, None),
        (1, write(0, &[2; 40]), 1000, Some((1010, Ret::Done))),
    ];
    let history = overlapping(&wide, &[]);
    let verdict = check_spec(&Spec::new(history.profile), &history, Budget { states: 1000 });
    let why = "more than 1000 states are possible at 1010".to_owned();
    assert_eq!(verdict, Verdict::Inconclusive(why));
}

#[test]
fn a_history_is_data() {
    let history = after_establishing([
        (0, write(0, &[1]), Ret::Done),
        (1, read(0, 2), Ret::read(&[1, 0])),
        (1, open(Creation::Exclusive, Access::ReadWrite, 1), Ret::Refused(Errno::Exists)),
    ]);
    let text = serde_json::to_string(&history).unwrap();
    assert_eq!(serde_json::from_str::<RegionHistory>(&text).unwrap(), history);
    let last = serde_json::to_string(history.operations.last().unwrap()).unwrap();
    assert_eq!(
        last,
        r#"{"process":1,"op":{"open":{"name":"/a","creation":"exclusive","access":"read_write","truncate":false,"mode":384,"handle":1}},"call":14,"ret":[15,{"refused":"EEXIST"}]}"#
    );
}
