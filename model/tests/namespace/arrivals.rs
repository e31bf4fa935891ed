//! Scenarios on messages that arrive: full, waiting for, and being told.

use ipc_model::machine::{Scenario, Script, User};
use ipc_model::namespace::{Access, Creation, Namespace, Op};

use crate::calls::{POSIX, STRICT, close, create, forget, notify, open, open_as, put, take, wait};
use crate::machines::scenario;

/// Full, waiting for, and being told.
pub(crate) fn arrivals() -> Vec<Scenario<Namespace>> {
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
