//! Random calls on shared memory.

use ipc_model::Process;
use ipc_model::machine::{History, Verdict};
use ipc_model::region::{self, Region};

use super::{Programs, SLOTS, Slot};

impl Programs for Region {
    fn random(pick: &mut dyn FnMut(u64) -> u64) -> region::Op {
        use region::{Access, Creation, Op};
        let (handle, mapping) = (pick(SLOTS) as u8, pick(SLOTS) as u8);
        let name = ["/a", "/a", "/b"][pick(3) as usize].to_owned();
        let access = [Access::ReadWrite, Access::ReadWrite, Access::ReadOnly][pick(3) as usize];
        let place = [0, 1, 5, 8, 100, 4095, 4096, 5000][pick(8) as usize];
        match pick(16) {
            0..=3 => Op::Open {
                name,
                creation: [Creation::Never, Creation::OrOpen, Creation::Exclusive]
                    [pick(3) as usize],
                access,
                truncate: pick(6) == 0,
                mode: [0o600, 0o606, 0o604, 0o666, 0o406][pick(5) as usize],
                handle,
            },
            4 | 5 => Op::SetSize { handle, size: [0, 6, 4096, 4097, 8192][pick(5) as usize] },
            6 => Op::GetSize { handle },
            7..=9 => Op::Attach {
                handle,
                access,
                offset: [0, 0, 0, 4096, 100][pick(5) as usize],
                length: [4096, 4096, 8192, 0][pick(4) as usize],
                mapping,
            },
            10 | 11 => Op::Read { mapping, place, length: 1 + pick(2) as u32 },
            12 | 13 => {
                let bytes = (0..=pick(2)).map(|_| pick(256) as u8).collect();
                Op::Write { mapping, place, bytes }
            }
            14 if pick(2) == 0 => Op::Detach { mapping },
            14 => Op::Close { handle },
            _ => Op::Unlink { name },
        }
    }

    fn slots(op: &region::Op) -> (Option<Slot>, Option<Slot>) {
        match op {
            region::Op::Open { handle, .. } => (Some(('h', *handle)), None),
            region::Op::Attach { mapping, .. } => (Some(('m', *mapping)), None),
            region::Op::Close { handle } => (None, Some(('h', *handle))),
            region::Op::Detach { mapping } => (None, Some(('m', *mapping))),
            _ => (None, None),
        }
    }

    fn took_effect(ret: &region::Ret) -> bool {
        matches!(ret, region::Ret::Done)
    }

    fn exit() -> (region::Op, region::Ret) {
        (region::Op::Exit, region::Ret::Done)
    }

    fn is_one_step(op: &region::Op) -> bool {
        matches!(op, region::Op::Read { .. } | region::Op::Write { .. })
    }

    /// An object of 6 bytes, which end within a page, attached.
    fn beginning() -> Vec<region::Op> {
        let access = region::Access::ReadWrite;
        let (name, creation) = ("/a".into(), region::Creation::Exclusive);
        let (truncate, mode, handle, mapping) = (false, 0o606, 0, 0);
        vec![
            region::Op::Open { name, creation, access, truncate, mode, handle },
            region::Op::SetSize { handle, size: 6 },
            region::Op::Attach { handle, access, offset: 0, length: 8192, mapping },
            region::Op::Write { mapping, place: 5, bytes: vec![7, 8] },
            region::Op::Read { mapping, place: 5, length: 2 },
        ]
    }

    fn nameless(processes: u16) -> Vec<(Process, region::Op, region::Ret)> {
        use region::{Access, Creation, Op, Ret};
        let open = |creation| Op::Open {
            name: "/a".into(),
            creation,
            access: Access::ReadWrite,
            truncate: false,
            mode: 0o666,
            handle: 0,
        };
        let first = (Process(0), open(Creation::Exclusive), Ret::Done);
        let others = (1..processes).map(|p| (Process(p), open(Creation::Never), Ret::Done));
        let gone = (Process(0), Op::Unlink { name: "/a".into() }, Ret::Done);
        [first].into_iter().chain(others).chain([gone]).collect()
    }

    fn shown_by(property: &str) -> &'static [&'static str] {
        match property {
            "region.content.persists" => &[
                "region.read.attached.sees",
                "region.exit.any.releases",
                "region.attach.open.maps",
            ],
            "region.name.one-object" => {
                &["region.open.existing.opens", "region.create.exclusive.clashes"]
            }
            "region.access.after-both" => {
                &["region.read.attached.sees", "region.access.unattached.faults"]
            }
            "region.layout.free" => &["region.read.attached.sees", "region.write.attached.places"],
            // That no address matters shows in no answer; system calls are counted elsewhere.
            _ => &[],
        }
    }

    fn judge(history: &History<Self>) -> Verdict<Self> {
        region::check(history)
    }
}
