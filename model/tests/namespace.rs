//! The naming model: its scenarios, its invariants, its mutants and its check.

use std::collections::BTreeSet;

use ipc_model::machine::{
    Call, Errno, History, Scenario, Script, Spec, Transition, User, check, explore,
};
use ipc_model::namespace::{
    Access, Creation, NameHistory, Namespace, OddNames, Op, Recreation, Ret, Withdrawal,
};

mod machines;
use machines::{
    behaviours, compare_with_brute_force, kill_mutants, never_fired, picture, programs, scenario,
};

/// What POSIX promises, with short names and small mailboxes.
const POSIX: Namespace = Namespace {
    longest: 3,
    odd_names: OddNames::Unspecified,
    recreation: Recreation::MayFail,
    places: 2,
    withdrawal: Withdrawal::OfItsHandle,
};
/// What a strict system promises, and Linux on closing.
const STRICT: Namespace = Namespace {
    longest: 3,
    odd_names: OddNames::Refused,
    recreation: Recreation::Succeeds,
    places: 2,
    withdrawal: Withdrawal::OfAnyHandle,
};

fn open_as(name: &str, creation: Creation, access: Access, mode: u16, handle: u8) -> Op {
    Op::Open { name: name.into(), creation, access, mode, handle }
}

fn create(name: &str, handle: u8) -> Op {
    open_as(name, Creation::Exclusive, Access::Both, 0o600, handle)
}

fn create_or_open(name: &str, handle: u8) -> Op {
    open_as(name, Creation::OrOpen, Access::Both, 0o600, handle)
}

fn open(name: &str, handle: u8) -> Op {
    open_as(name, Creation::Never, Access::Both, 0, handle)
}

fn unlink(name: &str) -> Op {
    Op::Unlink { name: name.into() }
}

fn put(handle: u8, value: u32) -> Op {
    Op::Put { handle, value }
}

fn take(handle: u8) -> Op {
    Op::Take { handle }
}

fn close(handle: u8) -> Op {
    Op::Close { handle }
}

fn wait(handle: u8) -> Op {
    Op::Wait { handle }
}

fn notify(handle: u8) -> Op {
    Op::Notify { handle }
}

fn forget(handle: u8) -> Op {
    Op::Forget { handle }
}

/// Full, waiting for, and being told.
fn arrivals() -> Vec<Scenario<Namespace>> {
    let made = [(0, create("/a", 0))];
    let both = [(0, create("/a", 0)), (1, open("/a", 0))];
    let two = [(0, create("/a", 0)), (0, open("/a", 1))];
    let alone = |name, machine, prelude: &[(u16, Op)], calls: &[Op]| {
        scenario(name, machine, &[0], prelude, &[calls])
    };
    let pair = |name, machine, left: &[Op], right: &[Op]| {
        scenario(name, machine, &[0, 0], &both, &[left, right])
    };
    let to_put = open_as("/a", Creation::Never, Access::Put, 0, 1);
    let full = [put(0, 1), put(0, 2), put(0, 3), take(0), put(0, 4), take(0), take(0), take(0)];
    vec![
        alone("full", POSIX, &made, &full),
        alone(
            "not to be put into",
            POSIX,
            &made,
            &[
                open_as("/a", Creation::Never, Access::Take, 0, 1),
                notify(0),
                put(1, 1),
                put(0, 2),
                put(0, 3),
                put(1, 4),
            ],
        ),
        scenario(
            "waited for, and not to be put into",
            POSIX,
            &[0, 0],
            &[(0, create("/a", 0)), (1, open_as("/a", Creation::Never, Access::Take, 0, 0))],
            &[&[wait(0)], &[put(0, 1)]],
        ),
        alone("nobody brings one", POSIX, &made, &[wait(0), put(0, 1), wait(0), wait(0)]),
        alone(
            "not to be waited for",
            POSIX,
            &made,
            &[to_put, wait(1), wait(2), put(0, 1), wait(1)],
        ),
        pair("waited for", POSIX, &[wait(0), take(0)], &[put(0, 1), take(0)]),
        pair("waited for, and again", POSIX, &[wait(0), wait(0)], &[put(0, 1), put(0, 2)]),
        scenario(
            "two wait",
            POSIX,
            &[0, 0, 0],
            &[(0, create("/a", 0)), (1, open("/a", 0)), (2, open("/a", 0))],
            &[&[wait(0)], &[wait(0)], &[put(0, 1), put(0, 2)]],
        ),
        alone(
            "told, once",
            POSIX,
            &made,
            &[notify(0), put(0, 1), Op::Look, Op::Look, take(0), put(0, 2), Op::Look],
        ),
        alone(
            "told of arrivals at an empty mailbox alone",
            POSIX,
            &made,
            &[put(0, 1), notify(0), put(0, 2), Op::Look, take(0), take(0), put(0, 3), Op::Look],
        ),
        pair(
            "one at a time is registered",
            POSIX,
            &[notify(0), notify(0), put(0, 1), Op::Look, notify(0)],
            &[notify(0), Op::Look],
        ),
        pair(
            "taken back by whoever it is",
            POSIX,
            &[notify(0), forget(0), forget(0), put(0, 1), Op::Look],
            &[forget(0), notify(0)],
        ),
        pair("whoever waits is served first", POSIX, &[notify(0), put(0, 1), Op::Look], &[wait(0)]),
        alone("not open", POSIX, &made, &[notify(1), forget(1), close(0), notify(0), forget(0)]),
        alone(
            "another handle is closed, as POSIX has it",
            POSIX,
            &two,
            &[notify(0), close(1), put(0, 1), Op::Look],
        ),
        alone(
            "another handle is closed, as Linux has it",
            STRICT,
            &two,
            &[notify(0), close(1), put(0, 1), Op::Look],
        ),
        alone(
            "its own handle is closed",
            POSIX,
            &two,
            &[notify(0), close(0), notify(1), put(1, 1), Op::Look],
        ),
        pair("somebody else closes", STRICT, &[notify(0), put(0, 1), Op::Look], &[close(0)]),
        pair(
            "the one that is registered ends",
            POSIX,
            &[notify(0), Op::Exit],
            &[notify(0), put(0, 1), Op::Look],
        ),
        Scenario {
            name: "the one that waits is killed",
            machine: POSIX,
            scripts: vec![
                Script { user: User(0), calls: vec![notify(0), wait(0)], mortal: true },
                Script { user: User(0), calls: vec![put(0, 1), notify(0), take(0)], mortal: false },
            ],
            prelude: both.to_vec(),
        },
    ]
}

fn scenarios() -> Vec<Scenario<Namespace>> {
    let made = [(0, create("/a", 0))];
    let both = [(0, create("/a", 0)), (1, open("/a", 0))];
    let mut scenarios = vec![
        scenario(
            "two create one name at once",
            STRICT,
            &[0, 1],
            &[],
            &[&[create("/a", 0)], &[create("/a", 0)]],
        ),
        scenario(
            "create or open, twice",
            STRICT,
            &[0, 0],
            &[],
            &[&[create_or_open("/a", 0), put(0, 1)], &[create_or_open("/a", 0), take(0)]],
        ),
        scenario(
            "open before and after creation",
            POSIX,
            &[0, 0],
            &[],
            &[
                &[create("/a", 0), put(0, 1), take(0)],
                &[open("/a", 0), take(0), put(0, 2), close(0)],
            ],
        ),
        scenario(
            "two names are two mailboxes",
            STRICT,
            &[0, 0],
            &[],
            &[
                &[
                    create("/a", 0),
                    create("/b", 1),
                    put(0, 1),
                    take(1),
                    put(1, 2),
                    take(0),
                    take(1),
                ],
                &[open("/b", 0)],
            ],
        ),
        scenario(
            "oldest first",
            POSIX,
            &[0],
            &made,
            &[&[put(0, 1), put(0, 2), take(0), take(0), take(0)]],
        ),
        scenario(
            "opening changes nothing",
            POSIX,
            &[0],
            &made,
            &[&[put(0, 1), create_or_open("/a", 1), open("/a", 2), take(2), take(1)]],
        ),
        scenario(
            "handles for one thing alone",
            POSIX,
            &[0],
            &made,
            &[&[
                open_as("/a", Creation::Never, Access::Put, 0, 1),
                open_as("/a", Creation::Never, Access::Take, 0, 2),
                take(1),
                put(2, 1),
                put(1, 2),
                take(1),
                take(2),
                take(2),
            ]],
        ),
        scenario(
            "unlinked, and held",
            POSIX,
            &[0, 0],
            &both,
            &[
                &[put(0, 1), unlink("/a"), unlink("/a"), put(0, 2)],
                &[take(0), open("/a", 1), take(0)],
            ],
        ),
        scenario(
            "re-created while the old one is held",
            STRICT,
            &[0, 0],
            &both,
            &[
                &[put(0, 1), unlink("/a"), create("/a", 1), put(1, 2), take(0)],
                &[take(0), open("/a", 1), take(1)],
            ],
        ),
        scenario(
            "re-created where that may fail",
            POSIX,
            &[0],
            &made,
            &[&[
                put(0, 1),
                unlink("/a"),
                create("/a", 1),
                take(1),
                close(0),
                create_or_open("/a", 2),
                take(2),
            ]],
        ),
        scenario(
            "opened or created where that may fail",
            POSIX,
            &[0],
            &made,
            &[&[unlink("/a"), create_or_open("/a", 1), open("/a", 2), close(0), create("/b", 3)]],
        ),
        scenario(
            "opened beside the one that lingers",
            POSIX,
            &[0],
            &made,
            &[&[unlink("/a"), create_or_open("/a", 1), create_or_open("/a", 2), create("/a", 3)]],
        ),
        scenario(
            "an odd name lingers",
            POSIX,
            &[0],
            &[],
            &[&[create("a", 0), unlink("a"), create("a", 1)]],
        ),
        scenario(
            "another name while one lingers",
            POSIX,
            &[0],
            &made,
            &[&[unlink("/a"), create("/b", 1), create_or_open("/c", 2)]],
        ),
        scenario(
            "the creator ends",
            POSIX,
            &[0, 0],
            &made,
            &[&[put(0, 1), Op::Exit], &[open("/a", 0), take(0)]],
        ),
        scenario(
            "the last holder of an unlinked mailbox ends",
            POSIX,
            &[0, 0],
            &both,
            &[&[unlink("/a"), Op::Exit], &[close(0), close(0), put(0, 1)]],
        ),
        scenario(
            "closed everywhere, and still there",
            POSIX,
            &[0],
            &made,
            &[&[put(0, 1), close(0), open("/a", 0), take(0)]],
        ),
        scenario(
            "another user unlinks",
            POSIX,
            &[0, 1],
            &made,
            &[&[close(0)], &[unlink("/a"), open("/a", 0)]],
        ),
        scenario(
            "a name that is too long",
            POSIX,
            &[0],
            &[],
            &[&[
                create("/abc", 0),
                create("/abcd", 1),
                create_or_open("/abcd", 1),
                open("/abcd", 1),
                unlink("/abcd"),
                put(1, 1),
            ]],
        ),
    ];
    for (odd, strict, free) in [
        ("", "empty, refused", "empty, left open"),
        ("/", "a slash alone, refused", "a slash alone, left open"),
        ("a", "no slash, refused", "no slash, left open"),
        ("/a/", "another slash, refused", "another slash, left open"),
    ] {
        let calls =
            [create_or_open(odd, 0), open(odd, 1), create(odd, 2), unlink(odd), open("/a", 3)];
        scenarios.push(scenario(strict, STRICT, &[0], &[], &[&calls]));
        scenarios.push(scenario(free, POSIX, &[0], &[], &[&calls]));
    }
    scenarios.push(scenario(
        "odd and too long",
        POSIX,
        &[0],
        &[],
        &[&[create("abcd", 0), unlink("abcd")]],
    ));
    scenarios.push(scenario(
        "odd, of another user",
        POSIX,
        &[0, 1],
        &[(0, create("a", 0))],
        &[&[], &[open("a", 0), unlink("a")]],
    ));
    for (mode, name) in [
        (0o600, "another user is refused by the mode"),
        (0o604, "another user may take"),
        (0o602, "another user may put"),
        (0o606, "another user may put and take"),
        (0o006, "the owner is kept out by the mode"),
    ] {
        let each = |first: u8| {
            let accesses = [Access::Both, Access::Put, Access::Take];
            let open = move |(i, access)| open_as("/a", Creation::OrOpen, access, 0o600, first + i);
            (0..).zip(accesses).map(open).collect::<Vec<Op>>()
        };
        let prelude = [(0, open_as("/a", Creation::Exclusive, Access::Both, mode, 0))];
        let (own, theirs) = (each(1), [each(0), vec![create("/a", 4)]].concat());
        scenarios.push(scenario(name, POSIX, &[0, 1], &prelude, &[&own, &theirs]));
    }
    scenarios.push(Scenario {
        name: "the creator is killed",
        machine: POSIX,
        scripts: vec![
            Script {
                user: User(0),
                calls: vec![create("/a", 0), put(0, 1), unlink("/a")],
                mortal: true,
            },
            Script { user: User(0), calls: vec![open("/a", 0), take(0), Op::Exit], mortal: false },
        ],
        prelude: vec![],
    });
    scenarios.extend(arrivals());
    scenarios
}

#[test]
fn the_behaviours_of_every_scenario_are_as_reviewed() {
    insta::assert_snapshot!("namespace_scenarios", picture(&scenarios(), 6));
}

#[test]
fn every_rule_fires_in_some_scenario() {
    let fired: BTreeSet<_> = scenarios().iter().flat_map(|s| behaviours(s).fired).collect();
    assert_eq!(never_fired::<Namespace>(&fired), Vec::<&str>::new());
}

/// Why a mutant cannot be told from the rule as it is meant.
const SURVIVORS: &[(&str, &str, &str)] = &[
    (
        "name.create.lingering.unspecified",
        "condition 4 dropped",
        "no mailbox ever had a name that is too long, so none lingers under one",
    ),
    ("name.forget.foreign.nothing", "effect dropped", "it has none: nothing is taken back"),
];

#[test]
fn every_mutant_is_killed_or_has_a_reason() {
    let killed = kill_mutants(&scenarios());
    let mut text = format!("{} mutants\n", killed.mutants);
    for (scenario, mutants) in &killed.by {
        text += &format!("{mutants:4} killed first by: {scenario}\n");
    }
    for (rule, part) in &killed.survivors {
        let reason = SURVIVORS.iter().find(|(r, p, _)| r == rule && p == part).map(|s| s.2);
        text += &format!("survives: {rule}, {part}: {}\n", reason.unwrap_or("NO REASON"));
    }
    insta::assert_snapshot!("namespace_mutants", text);
    assert!(!text.contains("NO REASON"), "{text}");
    for (rule, part, _) in SURVIVORS {
        let survives = killed.survivors.iter().any(|(r, p)| r == rule && p == part);
        assert!(survives, "{rule}, {part} is killed by now: take its reason out");
    }
}

fn family() -> Vec<Scenario<Namespace>> {
    let maker =
        [put(0, 1), take(0), unlink("/a"), create("/a", 1), create("/b", 2), put(2, 2), Op::Exit];
    let visitor =
        [open("/a", 0), take(0), create_or_open("/b", 0), put(0, 3), close(0), unlink("/a")];
    // Nobody calls anything after it has ended, and no slot is filled twice.
    let sound = |s: &Scenario<Namespace>| {
        s.scripts.iter().all(|s| {
            let opens = |op: &&Op| matches!(op, Op::Open { handle: 0, .. });
            s.calls.iter().rev().skip(1).all(|op| *op != Op::Exit)
                && s.calls.iter().filter(opens).count() <= 1
        })
    };
    let prelude = [(0, create("/a", 0))];
    let all = programs(POSIX, [0, 0], &prelude, [&maker, &visitor], 2);
    all.into_iter().filter(sound).collect()
}

/// The invariants, each with the property it stands for.
fn watch(step: Transition<'_, Namespace>) -> Result<(), String> {
    let (before, after) = (&step.before.state, &step.after.state);
    for (place, mailbox) in after.mailboxes.iter().enumerate() {
        let named = after.names.values().filter(|named| **named == place).count();
        let held = after.holders.iter().any(|h| h.handles.values().any(|h| h.mailbox == place));
        if named > 1 {
            return Err("name.unique.two-names: two names, one mailbox".into());
        }
        if mailbox.is_some() != (named == 1 || held) {
            return Err("name.mailbox.persists: lives exactly while named or held".into());
        }
        let Some(was) = before.mailboxes.get(place).and_then(Option::as_ref) else { continue };
        let Some(is) = mailbox else { continue };
        let uses = matches!(step.op, Some(Op::Put { .. } | Op::Take { .. } | Op::Wait { .. }));
        if was.content != is.content && !uses {
            return Err(format!("name.mailbox.persists: {:?} changed what rests in it", step.op));
        }
    }
    let (Some(op), Call::Returning(ret)) = (step.op, step.after.call(step.process)) else {
        return Ok(());
    };
    match (op, ret) {
        (Op::Unlink { name }, Ret::Done) if after.names.contains_key(name) => {
            Err("name.unlink.existing.removes: the name is still there".into())
        }
        (Op::Open { name, creation: Creation::Never, .. }, Ret::Done)
            if !before.names.contains_key(name) =>
        {
            Err("name.open.absent.refused: opened a name that is gone".into())
        }
        (Op::Open { name, handle, .. }, Ret::Done) => {
            let opened = after.holder(step.process).handles[handle].mailbox;
            let same = after.names.get(name) == Some(&opened);
            same.then_some(()).ok_or("name.unique.one-mailbox: opened another".into())
        }
        _ => Ok(()),
    }
}

#[test]
fn every_small_program_keeps_the_invariants() {
    let family = family();
    let (mut states, mut outcomes) = (0, 0);
    for program in &family {
        let found = explore(&Spec::new(POSIX), program, watch);
        assert!(found.objections.is_empty(), "{program:#?}: {:?}", found.objections);
        states += found.states;
        outcomes += found.outcomes.len();
    }
    let programs = family.len();
    insta::assert_snapshot!(
        "namespace_programs",
        format!("{programs} programs, {states} states, {outcomes} outcomes")
    );
}

#[test]
fn the_check_agrees_with_the_definition_on_all_histories_of_small_programs() {
    let (mut compared, mut legal) = (0, 0);
    let three = |s: &&Scenario<Namespace>| {
        let calls = |p: usize| s.scripts[p].calls.len();
        (calls(0), calls(1)) == (2, 1) || (calls(0), calls(1)) == (1, 2)
    };
    for program in family().iter().filter(three) {
        let (some, of_them) = compare_with_brute_force(program);
        compared += some;
        legal += of_them;
    }
    insta::assert_snapshot!(
        "namespace_compared",
        format!("{compared} histories compared, {legal} of them legal")
    );
}

#[test]
fn recorded_histories_are_judged_by_name() {
    let judged = |users: &[User], calls: Vec<(u16, Op, Ret)>| {
        let history: NameHistory = History::sequential(Namespace::default(), users, calls);
        let text = serde_json::to_string(&history).unwrap();
        assert_eq!(serde_json::from_str::<NameHistory>(&text).unwrap(), history);
        check(&history).counterexample().map(ToString::to_string)
    };
    let (one, two) = ([User(0)], [User(0), User(9)]);
    let made = || (0, create("/a", 0), Ret::Done);
    assert_eq!(
        judged(&one, vec![made(), (0, create("/a", 1), Ret::Done)]).unwrap(),
        "P0 create \"/a\" mode 600 as h1 returned ok; allowed here: EEXIST (by \
         name.create.exclusive.clashes)"
    );
    assert_eq!(
        judged(&two, vec![made(), (1, open("/a", 0), Ret::Done)]).unwrap(),
        "P1 open \"/a\" as h0 returned ok; allowed here: EACCES (by name.open.forbidden.refused)"
    );
    let unlinked = |ret| {
        let calls = vec![
            made(),
            (0, put(0, 4), Ret::Done),
            (0, unlink("/a"), Ret::Done),
            (0, create("/a", 1), Ret::Done),
            (0, take(1), ret),
            (0, take(0), Ret::Taken(4)),
        ];
        judged(&one, calls)
    };
    assert_eq!(unlinked(Ret::Refused(Errno::Again)), None);
    assert_eq!(
        unlinked(Ret::Taken(4)).unwrap(),
        "P0 take h1 returned 4; allowed here: EAGAIN (by name.take.empty.refused)"
    );
    let long = format!("/{}", "x".repeat(256));
    let refused = Ret::Refused(Errno::NameTooLong);
    assert_eq!(judged(&one, vec![(0, create(&long, 0), refused)]), None);
    assert!(judged(&one, vec![(0, create(&long, 0), Ret::Done)]).is_some());
}
