//! Every small program on a region: how many states it reaches, what holds in all of them, and
//! that the check agrees with the definition on every history of three calls.

use std::collections::BTreeSet;

use ipc_model::machine::{Call, Machine, Mutation, Scenario, Spec, Transition, explore, mutations};
use ipc_model::region::{Access, Creation, Op, Region, Resized, Ret, State};

mod machines;
use machines::{compare_with_brute_force, programs, scenario};

const SMALL: Region = Region { page: 2, resized: Resized::Current };

fn open(creation: Creation, handle: u8) -> Op {
    let (name, access) = ("/a".into(), Access::ReadWrite);
    Op::Open { name, creation, access, truncate: false, mode: 0o600, handle }
}

fn attach(handle: u8, mapping: u8) -> Op {
    Op::Attach { handle, access: Access::ReadWrite, offset: 0, length: 2, mapping }
}

fn read(mapping: u8) -> Op {
    Op::Read { mapping, place: 0, length: 1 }
}

fn write(value: u8) -> Op {
    Op::Write { mapping: 0, place: 0, bytes: vec![value] }
}

fn unlink() -> Op {
    Op::Unlink { name: "/a".into() }
}

/// P0 has made an object of two bytes and attached it; P1 has opened it.
fn prelude() -> Vec<(u16, Op)> {
    vec![
        (0, open(Creation::Exclusive, 0)),
        (0, Op::SetSize { handle: 0, size: 2 }),
        (0, attach(0, 0)),
        (1, open(Creation::Never, 0)),
    ]
}

fn maker() -> Vec<Op> {
    vec![
        write(1),
        read(0),
        Op::SetSize { handle: 0, size: 0 },
        unlink(),
        open(Creation::Exclusive, 1),
        Op::Detach { mapping: 0 },
        Op::Exit,
    ]
}

fn visitor() -> Vec<Op> {
    vec![
        attach(0, 0),
        read(0),
        write(2),
        Op::GetSize { handle: 0 },
        open(Creation::Never, 1),
        Op::Close { handle: 0 },
        unlink(),
    ]
}

fn family() -> Vec<Scenario<Region>> {
    // Nobody calls anything after it has ended.
    let sound = |s: &Scenario<Region>| {
        s.scripts.iter().all(|s| s.calls.iter().rev().skip(1).all(|op| *op != Op::Exit))
    };
    let all = programs(SMALL, [0, 0], &prelude(), [&maker(), &visitor()], 2);
    all.into_iter().filter(sound).collect()
}

/// The invariants, each with the property it stands for.
fn watch(step: Transition<'_, Region>) -> Result<(), String> {
    let (before, after) = (&step.before.state, &step.after.state);
    let object = |state: &State, object: usize| state.objects.get(object).cloned().flatten();
    for place in 0..before.objects.len() {
        let (Some(was), Some(is)) = (object(before, place), object(after, place)) else { continue };
        let changed = was.size != is.size || was.bytes != is.bytes;
        let changes = matches!(
            step.op,
            None | Some(Op::Write { .. } | Op::SetSize { .. } | Op::Open { truncate: true, .. })
        );
        if changed && !changes {
            return Err(format!("region.content.persists: {:?} changed an object", step.op));
        }
        let mappings = before.holder(step.process).mappings.values();
        let attached =
            mappings.filter(|m| m.access == Access::ReadWrite).any(|m| m.object == place);
        if was.size == is.size && changed && !attached {
            return Err("region.access.after-both: changed without being attached".into());
        }
    }
    for (place, alive) in after.objects.iter().enumerate() {
        let named = after.names.values().filter(|named| **named == place).count();
        let held = after.holders.iter().any(|h| {
            h.handles.values().any(|h| h.object == place)
                || h.mappings.values().any(|m| m.object == place)
        });
        if named > 1 {
            return Err("region.name.one-object: one object, two names".into());
        }
        if alive.is_some() != (named == 1 || held) {
            return Err("region.content.persists: lives exactly while named or held".into());
        }
    }
    let Some(op) = step.op else { return Ok(()) };
    let Call::Returning(ret) = step.after.call(step.process) else { return Ok(()) };
    let holder = before.holder(step.process);
    match (op, ret) {
        (Op::Read { mapping, .. }, Ret::Read(_)) if !holder.mappings.contains_key(mapping) => {
            Err("region.access.unattached.faults: read without attaching".into())
        }
        (Op::Unlink { name }, Ret::Done) if after.names.contains_key(name) => {
            Err("region.unlink.existing.removes-name: the name is still there".into())
        }
        (Op::Open { name, creation: Creation::Never, .. }, Ret::Done)
            if !before.names.contains_key(name) =>
        {
            Err("region.open.absent.refused: opened a name that is gone".into())
        }
        _ => Ok(()),
    }
}

#[test]
fn every_small_program_keeps_the_invariants() {
    let family = family();
    let (mut states, mut outcomes) = (0, 0);
    let mut fired = BTreeSet::new();
    for program in &family {
        let found = explore(&Spec::new(SMALL), program, watch);
        assert!(found.objections.is_empty(), "{program:#?}: {:?}", found.objections);
        states += found.states;
        outcomes += found.outcomes.len();
        fired.extend(found.fired);
    }
    let programs = family.len();
    insta::assert_snapshot!(
        "region_programs",
        format!("{programs} programs, {states} states, {outcomes} outcomes\n{fired:#?}")
    );
}

#[test]
fn the_invariants_notice_rules_that_are_broken() {
    let short = |s: &Scenario<Region>| s.scripts.iter().all(|s| s.calls.len() < 2);
    let small: Vec<Scenario<Region>> = family().into_iter().filter(short).collect();
    let noticed = |mutation: &Mutation| {
        let mutant = Spec::mutated(SMALL, *mutation);
        let objects = |program: &Scenario<Region>| {
            let ours = |objection: &String| objection.starts_with("region.");
            explore(&mutant, program, watch).objections.iter().any(ours)
        };
        small.iter().any(objects)
    };
    let names = mutations::<Region>().filter(noticed).map(|m| {
        let rule = Region::rules()[m.rule].id;
        format!("{rule}, {}", m.part)
    });
    insta::assert_snapshot!("region_invariants", names.collect::<Vec<_>>().join("\n"));
}

/// What P`process` is told, in every ending.
fn told(scripts: [Vec<Op>; 2], process: usize) -> BTreeSet<Vec<Ret>> {
    let program = scenario("told", SMALL, &[0, 0], &[], &[&scripts[0], &scripts[1]]);
    let found = explore(&Spec::new(SMALL), &program, watch);
    found.outcomes.into_iter().map(|o| o.told[process].clone()).collect()
}

#[test]
fn processes_that_share_no_name_neither_affect_nor_are_affected() {
    let named = |name: &str, value: u8| {
        let (creation, access) = (Creation::OrOpen, Access::ReadWrite);
        let (name, mode) = (name.to_owned(), 0o600);
        let open =
            Op::Open { name: name.clone(), creation, access, truncate: false, mode, handle: 0 };
        let size = Op::SetSize { handle: 0, size: 2 };
        vec![open, size, attach(0, 0), read(0), write(value), read(0), Op::Unlink { name }]
    };
    let alone = told([named("/a", 1), vec![]], 0);
    assert_eq!(alone.len(), 1);
    assert_eq!(told([named("/a", 1), named("/b", 2)], 0), alone, "P1: independent");
    // The opposite, to see that it could have come out otherwise.
    assert_ne!(told([named("/a", 1), named("/a", 2)], 0), alone, "P2: cooperating");
}

#[test]
fn the_check_agrees_with_the_definition_on_all_histories_of_small_programs() {
    let two_against_one = |s: &&Scenario<Region>| {
        let calls = |p: usize| s.scripts[p].calls.len();
        (calls(0), calls(1)) == (2, 1) || (calls(0), calls(1)) == (1, 2)
    };
    let (mut compared, mut legal) = (0, 0);
    for program in family().iter().filter(two_against_one) {
        let (some, of_them) = compare_with_brute_force(program);
        compared += some;
        legal += of_them;
    }
    insta::assert_snapshot!(
        "region_compared",
        format!("{compared} histories compared, {legal} of them legal")
    );
}
