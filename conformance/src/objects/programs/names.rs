//! Random calls on mailboxes and their names.

use ipc_model::machine::{History, Verdict, check};
use ipc_model::namespace::{self, Namespace};

use super::{Programs, SLOTS, Slot};

impl Programs for Namespace {
    fn random(pick: &mut dyn FnMut(u64) -> u64) -> namespace::Op {
        use namespace::{Access, Creation, Op};
        let handle = pick(SLOTS) as u8;
        let odd = ["", "a", "/", "/a/b"];
        let name = match pick(12) {
            0 => odd[pick(4) as usize].to_owned(),
            1 => format!("/{}", "x".repeat(256)),
            2..=4 => "/b".into(),
            _ => "/a".into(),
        };
        match pick(19) {
            12 | 13 => Op::Wait { handle },
            14 | 15 => Op::Notify { handle },
            16 => Op::Forget { handle },
            17 | 18 => Op::Look,
            0..=4 => Op::Open {
                name,
                creation: [Creation::Never, Creation::OrOpen, Creation::Exclusive]
                    [pick(3) as usize],
                access: [Access::Both, Access::Both, Access::Put, Access::Take][pick(4) as usize],
                mode: [0o600, 0o606, 0o602, 0o604, 0o206][pick(5) as usize],
                handle,
            },
            5 | 6 => Op::Put { handle, value: pick(1 << 20) as u32 },
            7 | 8 => Op::Take { handle },
            9 | 10 => Op::Close { handle },
            _ => Op::Unlink { name },
        }
    }

    /// Whoever waits hopes for a message.
    fn answering(
        op: &namespace::Op,
        open: &[u8],
        pick: &mut dyn FnMut(u64) -> u64,
    ) -> Option<namespace::Op> {
        let waits = matches!(op, namespace::Op::Wait { .. });
        if !waits || open.is_empty() || pick(3) == 0 {
            return None;
        }
        let handle = open[pick(open.len() as u64) as usize];
        Some(namespace::Op::Put { handle, value: pick(1 << 20) as u32 })
    }

    fn slots(op: &namespace::Op) -> (Option<Slot>, Option<Slot>) {
        match op {
            namespace::Op::Open { handle, .. } => (Some(('h', *handle)), None),
            namespace::Op::Close { handle } => (None, Some(('h', *handle))),
            _ => (None, None),
        }
    }

    fn took_effect(ret: &namespace::Ret) -> bool {
        matches!(ret, namespace::Ret::Done)
    }

    fn exit() -> (namespace::Op, namespace::Ret) {
        (namespace::Op::Exit, namespace::Ret::Done)
    }

    fn is_one_step(_: &namespace::Op) -> bool {
        true
    }

    fn beginning() -> Vec<namespace::Op> {
        let (name, creation) = ("/a".into(), namespace::Creation::Exclusive);
        let (access, mode, handle) = (namespace::Access::Both, 0o606, 0);
        vec![
            namespace::Op::Open { name, creation, access, mode, handle },
            namespace::Op::Put { handle, value: 7 },
        ]
    }

    fn shown_by(property: &str) -> &'static [&'static str] {
        match property {
            "name.unique.one-mailbox" => {
                &["name.open.existing.opens", "name.create.exclusive.clashes"]
            }
            "name.unique.two-names" => &["name.take.message.takes", "name.take.empty.refused"],
            "name.mailbox.persists" => &[
                "name.take.message.takes",
                "name.exit.any.releases",
                "name.unlink.existing.removes",
            ],
            _ => &[],
        }
    }

    fn judge(history: &History<Self>) -> Verdict<Self> {
        check(history)
    }
}
