//! Links with one fault each that no history shows: what the probes must find. `honest` and
//! `honest-file` have none.

mod file;
mod shared;
mod thread;

use std::process::ExitCode;

use ipc_conformance::adapter::{Adapter, Address, Claim, Created, Endpoint, Failure, Place, Role};
use ipc_conformance::values::Values;

/// What is wrong with a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing.
    None,
    /// A descriptor is opened for each link, and never closed.
    KeepsDescriptor,
    /// A file is left in the folder.
    LeavesFile,
    /// Every message is kept for ever.
    KeepsMessages,
    /// Every end starts a thread that never ends.
    KeepsThreads,
    /// A descriptor of the link is inherited by every program that is started.
    Inherited,
    /// With no time at all, a message that is there is not taken.
    BlindAtZero,
    /// The deadline is computed without a thought of overflow.
    Overflows,
    /// One message is counted as none.
    Miscounts,
    /// What is refused is never dropped.
    ForgetsRefused,
    /// Whoever drops one of several senders closes the link.
    FirstDropCloses,
    /// The last message stays with its sender until it sends another or is dropped.
    SendsWhenDropped,
    /// That nobody is left is told once, and then forgotten.
    TellsOnce,
    /// A batch counts as sent as a whole, whatever found room.
    BatchCountsAll,
    /// Every message is copied to the stack.
    OnTheStack,
    /// A forked child closes the link, also for its parent.
    ForkCloses,
    /// A sender that is dropped closes the link in every process that has it.
    DropReachesParent,
    /// Every message takes a system call.
    AsksTheKernel,
    /// Memory that nobody has written is looked at.
    ReadsUnwritten,
    /// The last message stays with its sender until it sends another or closes.
    LosesAtExit,
    /// What is inside stays there under the link's name.
    RemembersName,
    /// A killed creator's lock stays, and nobody removes it.
    KeepsLock,
    /// One lock for all links, which a waiting receiver holds.
    OneLock,
    /// Everybody may open the file.
    OpenToAll,
}

/// The links by name.
const LINKS: &[(&str, Fault)] = &[
    ("honest", Fault::None),
    ("keeps-descriptor", Fault::KeepsDescriptor),
    ("leaves-file", Fault::LeavesFile),
    ("keeps-messages", Fault::KeepsMessages),
    ("keeps-threads", Fault::KeepsThreads),
    ("inherited", Fault::Inherited),
    ("blind-at-zero", Fault::BlindAtZero),
    ("overflows", Fault::Overflows),
    ("miscounts", Fault::Miscounts),
    ("forgets-refused", Fault::ForgetsRefused),
    ("first-drop-closes", Fault::FirstDropCloses),
    ("sends-when-dropped", Fault::SendsWhenDropped),
    ("tells-once", Fault::TellsOnce),
    ("batch-counts-all", Fault::BatchCountsAll),
    ("on-the-stack", Fault::OnTheStack),
    ("fork-closes", Fault::ForkCloses),
    ("drop-reaches-parent", Fault::DropReachesParent),
    ("asks-the-kernel", Fault::AsksTheKernel),
    ("reads-unwritten", Fault::ReadsUnwritten),
    ("honest-file", Fault::None),
    ("loses-at-exit", Fault::LosesAtExit),
    ("remembers-name", Fault::RemembersName),
    ("keeps-lock", Fault::KeepsLock),
    ("one-lock", Fault::OneLock),
    ("open-to-all", Fault::OpenToAll),
];

fn fault(link: &str) -> Result<Fault, Failure> {
    let found = LINKS.iter().find(|(name, _)| *name == link);
    found.map(|(_, fault)| *fault).ok_or_else(|| Failure::other(format!("no link {link}")))
}

fn is_file(link: &str) -> bool {
    let first = LINKS.iter().position(|(name, _)| *name == "honest-file");
    LINKS.iter().position(|(name, _)| *name == link) >= first
}

struct Mutants;

impl Adapter for Mutants {
    fn name(&self) -> String {
        "probe-mutants".into()
    }

    fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").into()
    }

    fn claims(&self) -> Vec<Claim> {
        let claim =
            |link: &str| if is_file(link) { file::claim(link) } else { thread::claim(link) };
        LINKS.iter().map(|(link, _)| claim(link)).collect()
    }

    fn create(&self, link: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        let fault = fault(link)?;
        if is_file(link) { file::create(fault, place) } else { thread::create(fault, place) }
    }

    fn connect(&self, link: &str, at: &Address, _: Role) -> Result<Box<dyn Endpoint>, Failure> {
        Ok(file::end(fault(link)?, &at.text))
    }

    fn values(&self, link: &str) -> Option<Box<dyn Values>> {
        thread::values(fault(link).ok()?)
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&Mutants)
}
