//! Every small program on names: what holds in all its states, and that the check agrees with the
//! definition on every history of three calls.

use ipc_model::machine::{Call, Scenario, Spec, Transition, explore};
use ipc_model::namespace::{Creation, Namespace, Op, Ret};

use crate::calls::{POSIX, close, create, create_or_open, open, put, take, unlink};
use crate::machines::{compare_with_brute_force, programs};

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
