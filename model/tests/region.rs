//! The region model: its scenarios, its invariants, and its mutants.

use std::collections::BTreeSet;

use ipc_model::machine::{Scenario, Script, User};
use ipc_model::region::{Access, Creation, Op, Region, Resized};

mod machines;
use machines::{behaviours, kill_mutants, never_fired, picture, scenario, table_of_mutants};

const POSIX: Region = Region { page: 4, resized: Resized::Unspecified };
const CURRENT: Region = Region { page: 4, resized: Resized::Current };

fn open_as(creation: Creation, access: Access, mode: u16, handle: u8) -> Op {
    Op::Open { name: "/a".into(), creation, access, truncate: false, mode, handle }
}

fn create(mode: u16) -> Op {
    open_as(Creation::Exclusive, Access::ReadWrite, mode, 0)
}

fn create_or_open() -> Op {
    open_as(Creation::OrOpen, Access::ReadWrite, 0o600, 0)
}

fn open() -> Op {
    open_as(Creation::Never, Access::ReadWrite, 0, 0)
}

fn open_read_only() -> Op {
    open_as(Creation::Never, Access::ReadOnly, 0, 0)
}

fn truncating(access: Access) -> Op {
    let (name, creation) = ("/a".into(), Creation::Never);
    Op::Open { name, creation, access, truncate: true, mode: 0, handle: 1 }
}

fn exclusive_truncating(access: Access) -> Op {
    let (name, creation) = ("/a".into(), Creation::Exclusive);
    Op::Open { name, creation, access, truncate: true, mode: 0o600, handle: 1 }
}

fn size(size: u64) -> Op {
    Op::SetSize { handle: 0, size }
}

const SIZE: Op = Op::GetSize { handle: 0 };

fn attach_as(access: Access, offset: u64, length: u64, mapping: u8) -> Op {
    Op::Attach { handle: 0, access, offset, length, mapping }
}

fn attach() -> Op {
    attach_as(Access::ReadWrite, 0, 8, 0)
}

fn attach_read_only() -> Op {
    attach_as(Access::ReadOnly, 0, 8, 0)
}

fn read(place: u64) -> Op {
    Op::Read { mapping: 0, place, length: 1 }
}

fn write(place: u64, bytes: &[u8]) -> Op {
    Op::Write { mapping: 0, place, bytes: bytes.to_vec() }
}

const DETACH: Op = Op::Detach { mapping: 0 };
const CLOSE: Op = Op::Close { handle: 0 };

fn unlink() -> Op {
    Op::Unlink { name: "/a".into() }
}

/// P0 has made an object of 4 bytes, in one page, and attached two pages of it.
fn established() -> Vec<(u16, Op)> {
    vec![(0, create(0o600)), (0, size(4)), (0, attach())]
}

fn with(mut prelude: Vec<(u16, Op)>, more: &[(u16, Op)]) -> Vec<(u16, Op)> {
    prelude.extend_from_slice(more);
    prelude
}

/// A small set, each for what its name says.
fn scenarios() -> Vec<Scenario<Region>> {
    let both = with(established(), &[(1, open()), (1, attach())]);
    let other = "another user is refused by the mode";
    let mut scenarios = vec![
        scenario(
            "two create one name at once",
            POSIX,
            &[0, 0],
            &[],
            &[&[create(0o600)], &[create(0o600)]],
        ),
        scenario(
            "create or open, twice",
            POSIX,
            &[0, 0],
            &[],
            &[&[create_or_open(), size(4), SIZE], &[create_or_open(), SIZE]],
        ),
        scenario(
            "open before and after creation",
            POSIX,
            &[0, 0],
            &[],
            &[&[create(0o600), SIZE], &[open(), SIZE, CLOSE]],
        ),
        scenario(
            "a late attacher sees the present content",
            POSIX,
            &[0, 0],
            &established(),
            &[&[write(1, &[7]), write(1, &[0]), read(0)], &[open(), attach(), read(1)]],
        ),
        scenario(
            "two bytes are written while they are read",
            POSIX,
            &[0, 0],
            &both,
            &[&[write(0, &[1, 2])], &[Op::Read { mapping: 0, place: 0, length: 2 }]],
        ),
        scenario(
            "a mapping with an offset",
            POSIX,
            &[0],
            &[(0, create(0o600)), (0, size(8))],
            &[&[
                attach(),
                attach_as(Access::ReadWrite, 4, 4, 1),
                write(4, &[9]),
                Op::Read { mapping: 1, place: 0, length: 1 },
                attach_as(Access::ReadWrite, 2, 4, 2),
                attach_as(Access::ReadWrite, 0, 0, 2),
            ]],
        ),
        scenario(
            "a read-only attacher cannot write",
            POSIX,
            &[0, 0],
            &established(),
            &[
                &[write(0, &[5]), read(0)],
                &[
                    open_read_only(),
                    attach(),
                    attach_read_only(),
                    read(0),
                    write(0, &[6]),
                    size(9),
                    size(1),
                ],
            ],
        ),
        scenario(
            "read-only mapping of a writable handle",
            POSIX,
            &[0],
            &[],
            &[&[create(0o600), size(4), attach_read_only(), write(0, &[6]), read(0)]],
        ),
        scenario(
            "no access without attaching",
            POSIX,
            &[0, 0],
            &established(),
            &[
                &[write(0, &[3]), DETACH, read(0), write(0, &[4]), DETACH],
                &[open(), read(0), write(0, &[5]), attach(), read(0), read(8)],
            ],
        ),
        scenario(
            "the tail of the last page",
            POSIX,
            &[0],
            &[(0, create(0o600)), (0, size(2))],
            &[&[attach(), read(2), write(2, &[8]), read(2), read(1), size(4), SIZE]],
        ),
        scenario(
            "a read-only mapping has no writable tail",
            POSIX,
            &[0],
            &[(0, create(0o600))],
            &[&[size(2), attach_read_only(), write(2, &[8]), read(2), size(4), write(2, &[8])]],
        ),
        scenario(
            "a late attacher of what was added",
            POSIX,
            &[0, 0],
            &[],
            &[&[create(0o600), attach(), size(4), write(0, &[9])], &[open(), attach(), read(0)]],
        ),
        scenario(
            "growing over a dirty tail",
            CURRENT,
            &[0],
            &[(0, create(0o600)), (0, size(2))],
            &[&[attach(), write(3, &[8]), size(4), read(3), write(3, &[0]), read(3), read(1)]],
        ),
        scenario(
            "access beyond the end",
            POSIX,
            &[0],
            &established(),
            &[&[read(3), read(4), write(4, &[1]), write(3, &[2]), read(3), write(7, &[2])]],
        ),
        scenario(
            "a write that faults half-way",
            POSIX,
            &[0],
            &established(),
            &[&[write(3, &[1, 2]), read(3), read(3)]],
        ),
        scenario(
            "growth and shrink under a mapping",
            POSIX,
            &[0],
            &established(),
            &[&[size(8), read(4), write(4, &[9]), size(2), read(3), write(3, &[5])]],
        ),
        scenario(
            "what was cut off, and stored to by a later attacher",
            POSIX,
            &[0],
            &established(),
            &[&[
                size(2),
                attach_as(Access::ReadWrite, 0, 4, 1),
                Op::Write { mapping: 1, place: 2, bytes: vec![6] },
                read(2),
                write(2, &[7]),
                size(0),
                read(0),
            ]],
        ),
        scenario(
            "growth and shrink where the present size counts",
            CURRENT,
            &[0],
            &established(),
            &[&[write(3, &[5]), size(8), write(7, &[9]), size(2), read(7), size(4), read(3), SIZE]],
        ),
        scenario(
            "shrinking meets a reader",
            CURRENT,
            &[0, 0],
            &both,
            &[&[write(0, &[5]), size(0), size(4)], &[read(0), read(0)]],
        ),
        scenario(
            "closing keeps mappings",
            POSIX,
            &[0],
            &established(),
            &[&[write(0, &[1]), CLOSE, read(0), SIZE, size(2), attach(), CLOSE, DETACH]],
        ),
        scenario(
            "unlinked, and held",
            POSIX,
            &[0, 0],
            &both,
            &[&[write(0, &[1]), unlink(), read(0), unlink()], &[read(0), CLOSE, open()]],
        ),
        scenario(
            "re-created under the same name",
            POSIX,
            &[0, 0],
            &both,
            &[
                &[write(0, &[1]), unlink(), Op::Close { handle: 0 }, create(0o600), SIZE, read(0)],
                &[read(0)],
            ],
        ),
        scenario(
            "unlink against open",
            POSIX,
            &[0, 0],
            &[(0, create(0o600)), (0, CLOSE)],
            &[&[unlink()], &[open(), SIZE, CLOSE, create_or_open()]],
        ),
        scenario(
            "truncating opens",
            POSIX,
            &[0, 0],
            &established(),
            &[
                &[write(0, &[7]), truncating(Access::ReadWrite), SIZE, size(4), SIZE],
                &[open_read_only(), SIZE],
            ],
        ),
        scenario(
            "a truncating open gives new content",
            CURRENT,
            &[0],
            &established(),
            &[&[write(0, &[7]), truncating(Access::ReadWrite), size(4), read(0)]],
        ),
        scenario(
            "truncating for reading alone",
            POSIX,
            &[0],
            &established(),
            &[&[truncating(Access::ReadOnly), SIZE]],
        ),
        scenario(
            "a truncating open is refused like any other",
            POSIX,
            &[0, 1],
            &established(),
            &[&[SIZE], &[truncating(Access::ReadWrite), truncating(Access::ReadOnly)]],
        ),
        scenario(
            "an exclusive create truncates nothing",
            POSIX,
            &[0],
            &established(),
            &[&[
                exclusive_truncating(Access::ReadWrite),
                exclusive_truncating(Access::ReadOnly),
                SIZE,
            ]],
        ),
        scenario(
            "the creator ends",
            POSIX,
            &[0, 0],
            &established(),
            &[&[write(2, &[4]), Op::Exit], &[open(), attach(), read(2)]],
        ),
        scenario(
            "the last holder of an unlinked object ends",
            POSIX,
            &[0, 0],
            &both,
            &[&[unlink(), Op::Exit], &[Op::Exit]],
        ),
        scenario(
            "another user unlinks",
            POSIX,
            &[0, 1],
            &established(),
            &[&[Op::GetSize { handle: 0 }], &[unlink(), open()]],
        ),
    ];
    for (mode, name) in [
        (0o600, other),
        (0o604, "another user may read"),
        (0o606, "another user may read and write"),
        (0o006, "the owner is kept out by the mode"),
    ] {
        let script: &[Op] = &[open(), open_read_only(), attach_read_only(), read(0), create(0o600)];
        let prelude = [(0, create(mode)), (0, size(4)), (0, attach()), (0, write(0, &[9]))];
        let first: &[Op] = &[CLOSE, open(), open_read_only()];
        scenarios.push(scenario(name, POSIX, &[0, 1], &prelude, &[first, script]));
    }
    scenarios.push(Scenario {
        name: "the writer is killed",
        machine: POSIX,
        scripts: vec![
            Script { user: User(0), calls: vec![unlink(), write(0, &[1, 2])], mortal: true },
            Script {
                user: User(0),
                calls: vec![Op::Read { mapping: 0, place: 0, length: 2 }, Op::Exit],
                mortal: false,
            },
        ],
        prelude: both,
    });
    scenarios
}

#[test]
fn the_behaviours_of_every_scenario_are_as_reviewed() {
    insta::assert_snapshot!("region_scenarios", picture(&scenarios(), 6));
}

#[test]
fn every_rule_fires_in_some_scenario() {
    let fired: BTreeSet<_> = scenarios().iter().flat_map(|s| behaviours(s).fired).collect();
    assert_eq!(never_fired::<Region>(&fired), Vec::<&str>::new());
}

/// Why a mutant cannot be told from the rule as it is meant.
const SURVIVORS: &[(&str, &str, &str)] = &[
    ("region.detach.absent.nothing", "effect dropped", "it changes nothing anyway"),
    ("region.read.dirty-tail.unspecified", "effect dropped", "reading changes nothing anyway"),
    ("region.read.tail.zero", "effect dropped", "reading changes nothing anyway"),
    ("region.size.asked.told", "effect dropped", "asking changes nothing anyway"),
    (
        "region.write.read-only.faults",
        "condition 0 dropped",
        "where nothing is attached, region.access.unattached.faults asks for the same fault",
    ),
];

#[test]
fn every_mutant_is_killed_or_has_a_reason() {
    let text = table_of_mutants(&kill_mutants(&scenarios()), SURVIVORS);
    insta::assert_snapshot!("region_mutants", text);
}
