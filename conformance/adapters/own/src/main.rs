//! Our own links, those of `ipc-impls`, as adapters.

mod by_loan;
mod end;

use std::process::ExitCode;

use by_loan::{Borrows, Lends};
use end::{Rx, Tx};
use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Endpoint, Failure, Place, Role, ends,
};
use ipc_impls::links::{self, loan, mpmc, mq, rendezvous, ring, unbounded};
use ipc_model::{Capacity, Holders, Notice, Order, Profile, Size};

struct Own;

/// The longest message of the links made here.
const LONGEST: usize = 4096;

/// What POSIX message queues are allowed by default.
const MQ_LONGEST: usize = 256;

/// One configuration.
#[derive(Clone, Copy)]
enum Link {
    /// `impls/src/links/ring`: one sender, one receiver.
    Ring { capacity: usize, size: links::Size },
    /// `impls/src/links/mpmc`: many of both.
    Mailbox { capacity: usize },
    /// The ring, by loan.
    RingLoan { capacity: usize },
    /// `impls/src/links/loan`: many of both, by loan.
    MailboxLoan { capacity: usize },
    /// `impls/src/links/unbounded`: many of both, with this budget.
    Unbounded { budget: usize, size: links::Size },
    /// `impls/src/links/rendezvous`: no buffer.
    Rendezvous,
    /// `impls/src/links/mq`: a POSIX message queue.
    Queue { capacity: usize },
}

const UP_TO: links::Size = links::Size::UpTo(LONGEST);

const LINKS: &[(&str, Link)] = &[
    ("ring-1", Link::Ring { capacity: 1, size: UP_TO }),
    ("ring-2", Link::Ring { capacity: 2, size: UP_TO }),
    ("ring-fixed", Link::Ring { capacity: 3, size: links::Size::Fixed(24) }),
    ("mailbox-1", Link::Mailbox { capacity: 1 }),
    ("mailbox-3", Link::Mailbox { capacity: 3 }),
    ("ring-loan", Link::RingLoan { capacity: 2 }),
    ("mailbox-loan", Link::MailboxLoan { capacity: 2 }),
    ("unbounded", Link::Unbounded { budget: 4 << 20, size: UP_TO }),
    ("unbounded-fixed", Link::Unbounded { budget: 1 << 20, size: links::Size::Fixed(24) }),
    ("rendezvous", Link::Rendezvous),
    ("mq", Link::Queue { capacity: 2 }),
];

fn find(name: &str) -> Result<Link, Failure> {
    let link = LINKS.iter().find(|(n, _)| *n == name).map(|(_, link)| *link);
    link.ok_or_else(|| Failure::Other(format!("there is no link {name}")))
}

fn claim(name: &str, link: Link) -> Claim {
    let told = Some(Notice::Reported);
    let shared = Profile { sender_killed: told, receiver_killed: told, ..Profile::default() };
    let size = |size| match size {
        links::Size::Fixed(n) => Size::Fixed(n as u32),
        links::Size::UpTo(n) => Size::UpTo(n as u32),
    };
    let one = Holders::One;
    let (profile, place) = match link {
        Link::Ring { capacity, size: s } => {
            let capacity = Capacity::Bounded(capacity as u32);
            let ring = Profile { capacity, size: size(s), senders: one, receivers: one, ..shared };
            (ring, "ring.rs")
        }
        Link::Mailbox { capacity } => {
            let capacity = Capacity::Bounded(capacity as u32);
            (Profile { capacity, size: size(UP_TO), ..shared }, "mpmc.rs")
        }
        Link::RingLoan { capacity } => {
            let capacity = Capacity::Bounded(capacity as u32);
            let ring =
                Profile { capacity, size: size(UP_TO), senders: one, receivers: one, ..shared };
            (ring, "ring.rs")
        }
        Link::MailboxLoan { capacity } => {
            let capacity = Capacity::Bounded(capacity as u32);
            (Profile { capacity, size: size(UP_TO), ..shared }, "loan.rs")
        }
        Link::Unbounded { size: s, .. } => {
            (Profile { capacity: Capacity::Unbounded, size: size(s), ..shared }, "unbounded.rs")
        }
        Link::Rendezvous => {
            (Profile { capacity: Capacity::Zero, size: size(UP_TO), ..shared }, "rendezvous.rs")
        }
        Link::Queue { capacity } => {
            let silent = Notice::Silent;
            let queue = Profile {
                capacity: Capacity::Bounded(capacity as u32),
                size: Size::UpTo(MQ_LONGEST as u32),
                // Every message here has the same priority.
                order: Order::Fifo,
                sender_closed: silent,
                receiver_closed: silent,
                sender_killed: Some(silent),
                receiver_killed: Some(silent),
                ..Profile::default()
            };
            (queue, "mq.rs")
        }
    };
    let place = format!("ipc-impls, links/{place}: capacity, order, closing, death");
    Claim::between_processes(name, profile).documented(&place)
}

impl Adapter for Own {
    fn name(&self) -> String {
        "own".into()
    }

    fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").into()
    }

    fn claims(&self) -> Vec<Claim> {
        LINKS.iter().map(|(name, link)| claim(name, *link)).collect()
    }

    fn create(&self, link: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        let (link, name) = (find(link)?, place.name.clone());
        match link {
            Link::Ring { capacity, size } => {
                let options = ring::Options { capacity, size };
                ring::Ring::create(&name, options).map(drop).map_err(Failure::other)?;
            }
            Link::Mailbox { capacity } => {
                let options = mpmc::Options { capacity, size: UP_TO };
                mpmc::Mailbox::create(&name, options).map(drop).map_err(Failure::other)?;
            }
            Link::RingLoan { capacity } => {
                let options = ring::Options { capacity, size: UP_TO };
                ring::Ring::create(&name, options).map(drop).map_err(Failure::other)?;
            }
            Link::MailboxLoan { capacity } => {
                let options = loan::Options { capacity, size: UP_TO };
                loan::Mailbox::create(&name, options).map(drop).map_err(Failure::other)?;
            }
            Link::Unbounded { budget, size } => {
                let options = unbounded::Options { budget, size };
                unbounded::Unbounded::create(&name, options).map(drop).map_err(Failure::other)?;
            }
            Link::Rendezvous => {
                let made = rendezvous::Rendezvous::create(&name, UP_TO);
                made.map(drop).map_err(Failure::other)?;
            }
            Link::Queue { capacity } => {
                let made = mq::Queue::create(&name, capacity, MQ_LONGEST);
                made.map(drop).map_err(Failure::other)?;
            }
        }
        Ok(Box::new(Named { link, name }))
    }

    fn connect(
        &self,
        link: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        open(find(link)?, &address.text, role)
    }

    fn remove(&self, link: &str, place: &Place) {
        if let Ok(link) = find(link) {
            drop(Named { link, name: place.name.clone() });
        }
    }
}

/// Attaches to the link of this name.
fn open(link: Link, name: &str, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
    macro_rules! attach {
        ($opened:expr) => {
            attach!($opened, std::convert::identity, std::convert::identity)
        };
        ($opened:expr, $sends:expr, $receives:expr) => {{
            let opened = $opened.map_err(Failure::other)?;
            let longest = opened.size().longest();
            let sender = || opened.sender().map(|s| Tx($sends(s))).map_err(Failure::other);
            let receiver = || opened.receiver().map(|r| Rx::new($receives(r), longest));
            ends(role, sender, || receiver().map_err(Failure::other))
        }};
    }
    match link {
        Link::Ring { .. } => attach!(ring::Ring::open(name)),
        Link::Mailbox { .. } => attach!(mpmc::Mailbox::open(name)),
        Link::RingLoan { .. } => attach!(ring::Ring::open(name), Lends, Borrows),
        Link::MailboxLoan { .. } => attach!(loan::Mailbox::open(name), Lends, Borrows),
        Link::Unbounded { .. } => attach!(unbounded::Unbounded::open(name)),
        Link::Rendezvous => attach!(rendezvous::Rendezvous::open(name)),
        Link::Queue { .. } => attach!(mq::Queue::open(name)),
    }
}

/// A link with a name, which is removed when this is dropped.
struct Named {
    link: Link,
    name: String,
}

impl Created for Named {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        open(self.link, &self.name, role)
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Ok(Address::named(&self.name))
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        // Where it fails, the name is gone already.
        let _ = match self.link {
            Link::Ring { .. } => ring::Ring::unlink(&self.name),
            Link::Mailbox { .. } => mpmc::Mailbox::unlink(&self.name),
            Link::RingLoan { .. } => ring::Ring::unlink(&self.name),
            Link::MailboxLoan { .. } => loan::Mailbox::unlink(&self.name),
            Link::Unbounded { .. } => unbounded::Unbounded::unlink(&self.name),
            Link::Rendezvous => rendezvous::Rendezvous::unlink(&self.name),
            Link::Queue { .. } => mq::Queue::unlink(&self.name),
        };
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&Own)
}
