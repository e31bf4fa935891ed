//! Scenarios on names and mailboxes: opening, unlinking, lasting, odd names and modes.

use ipc_model::machine::{Scenario, Script, User};
use ipc_model::namespace::{Access, Creation, Namespace, Op};

use crate::calls::{
    POSIX, STRICT, close, create, create_or_open, open, open_as, put, take, unlink,
};
use crate::machines::scenario;

/// All but those on waiting and being told.
pub(crate) fn naming() -> Vec<Scenario<Namespace>> {
    let last = vec![creator_killed()];
    [opening(), unlinking(), lasting(), odd_names(), modes(), last].concat()
}

/// Creating, opening and what then lies in a mailbox.
fn opening() -> Vec<Scenario<Namespace>> {
    let made = [(0, create("/a", 0))];
    vec![
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
    ]
}

/// A name that is taken away, and used again.
fn unlinking() -> Vec<Scenario<Namespace>> {
    let made = [(0, create("/a", 0))];
    let both = [(0, create("/a", 0)), (1, open("/a", 0))];
    vec![
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
    ]
}

/// What outlives whom.
fn lasting() -> Vec<Scenario<Namespace>> {
    let made = [(0, create("/a", 0))];
    let both = [(0, create("/a", 0)), (1, open("/a", 0))];
    vec![
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
    ]
}

/// Names that are none, or too long.
fn odd_names() -> Vec<Scenario<Namespace>> {
    let mut scenarios = vec![scenario(
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
    )];
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
    scenarios
}

/// Who may open what another user has made.
fn modes() -> Vec<Scenario<Namespace>> {
    let mut scenarios = Vec::new();
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
    scenarios
}

fn creator_killed() -> Scenario<Namespace> {
    Scenario {
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
    }
}
