//! Everybody who takes part, one line each.

mod crates;
pub(crate) mod kernel;
mod limit;
mod ours;
mod ours_os;
mod threads;

/// Measures a link whose messages are arrays, of the size that a cell asks for. The four usual sizes exist.
macro_rules! by_size {
    ($measure:ident, $channel:ident) => {
        pub(super) fn $measure(cell: &Cell) -> Result<Sample> {
            match cell.size {
                8 => measure::<$channel<8>>(cell),
                64 => measure::<$channel<64>>(cell),
                1024 => measure::<$channel<1024>>(cell),
                65536 => measure::<$channel<65536>>(cell),
                _ => anyhow::bail!("this size is not compiled in: 8, 64, 1024 and 65536 are"),
            }
        }
    };
}

use by_size;

use crate::cell::Sample;
use crate::link::{Cell, Contender, Family};
use Family::{Kernel, SharedMemory};

/// The row that all ratios are against.
pub(crate) const LIMIT: &str = "limit";

/// A contender that picks its type by the length of messages.
const fn picks(
    name: &'static str,
    family: Family,
    measure: fn(&Cell) -> anyhow::Result<Sample>,
) -> Contender {
    Contender { measure, ..Contender::new::<kernel::Mq>(name, family) }
}

/// In the order of the table.
pub(crate) const ALL: &[Contender] = &[
    picks(LIMIT, Family::Limit, limit::measure),
    Contender::new::<ours::Named<ours::Ring>>("own/ring", SharedMemory),
    Contender::new::<ours::Named<ours::Mailbox>>("own/mailbox", SharedMemory).many(),
    Contender::new::<ours::Named<ours::Rendezvous>>("own/rendezvous", SharedMemory).own_capacity(),
    Contender::new::<ours::Named<ours::Unbounded>>("own/unbounded", SharedMemory).many(),
    Contender::new::<ours::RingLoan>("own/ring-loan", SharedMemory).in_place(),
    Contender::new::<ours::MailboxLoan>("own/mailbox-loan", SharedMemory).in_place(),
    picks("shmem-ipc", SharedMemory, crates::shmem_ipc),
    Contender::new::<crates::Ipmpsc>("ipmpsc", SharedMemory),
    Contender::new::<crates::Iceoryx2<false>>("iceoryx2", SharedMemory).polls(),
    Contender::new::<crates::Iceoryx2<true>>("iceoryx2/loan", SharedMemory).polls().in_place(),
    Contender::new::<crates::IpcChannel>("ipc-channel", Kernel).own_capacity(),
    Contender::new::<ours::Named<ours::Mq>>("own/mq", Kernel).own_capacity(),
    Contender::new::<kernel::Mq>("posix-mq", Kernel).own_capacity(),
    Contender::new::<ours_os::Ends<ours_os::SysV>>("own/sysv", Kernel).own_capacity(),
    Contender::new::<kernel::SysV>("sysv", Kernel).own_capacity(),
    Contender::new::<ours_os::Ends<ours_os::Pipe>>("own/pipe", Kernel).own_capacity(),
    Contender::new::<kernel::Descriptors<kernel::Packets>>("pipe-packets", Kernel).own_capacity(),
    Contender::new::<kernel::Descriptors<kernel::Pipe>>("pipe", Kernel).own_capacity(),
    Contender::new::<ours_os::Ends<ours_os::Stream>>("own/stream", Kernel).own_capacity(),
    Contender::new::<kernel::Descriptors<kernel::Stream>>("unix-stream", Kernel).own_capacity(),
    Contender::new::<ours_os::Ends<ours_os::Dgram>>("own/dgram", Kernel).own_capacity(),
    Contender::new::<kernel::Descriptors<kernel::Dgram>>("unix-dgram", Kernel).own_capacity(),
    Contender::new::<ours_os::Ends<ours_os::Seqpacket>>("own/seqpacket", Kernel).own_capacity(),
    Contender::new::<kernel::Descriptors<kernel::Seqpacket>>("seqpacket", Kernel).own_capacity(),
    Contender::new::<ours_os::Ends<ours_os::Tcp>>("own/tcp", Kernel).own_capacity(),
    Contender::new::<kernel::Descriptors<kernel::Tcp>>("tcp", Kernel).own_capacity(),
    picks("rtrb", Family::Threads, threads::rtrb).polls(),
    picks("crossbeam-channel", Family::Threads, threads::crossbeam).many(),
    picks("kanal", Family::Threads, threads::kanal).many(),
    picks("flume", Family::Threads, threads::flume).many(),
];
