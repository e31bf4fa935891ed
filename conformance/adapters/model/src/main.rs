//! The specification itself as a link, which must pass everything, and its mutants, each of which
//! must fail the rule it breaks: they test the tester.

mod server;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use ipc_conformance::adapter::{Adapter, Address, Claim, Created, Endpoint, Failure, Place, Role};
use ipc_model::{
    Addressing, Capacity, Distribution, Holders, Modes, Notice, Order, Profile, Size, Spec, mutant,
};
use server::{Local, Remote, System};

/// All links of one scenario live in one system, so that a mutant can mix them up.
#[derive(Default)]
struct Model {
    systems: Mutex<HashMap<PathBuf, Arc<System>>>,
}

/// The specifications that are served, by name.
fn specifications() -> Vec<(String, Spec)> {
    let told = Some(Notice::Reported);
    let silent = Notice::Silent;
    let bounded = Profile::mailbox(Capacity::Bounded(2));
    let one = Holders::One;
    let correct = [
        ("unbounded", Profile::mailbox(Capacity::Unbounded)),
        ("bounded-1", Profile::mailbox(Capacity::Bounded(1))),
        ("bounded-2", bounded),
        ("zero", Profile::mailbox(Capacity::Zero)),
        ("some", Profile { capacity: Capacity::AtLeast(1), ..bounded }),
        ("fixed", Profile { size: Size::Fixed(16), ..bounded }),
        ("small", Profile { size: Size::UpTo(64), ..bounded }),
        ("per-sender", Profile { order: Order::PerSender, ..bounded }),
        ("unordered", Profile { order: Order::Unordered, ..bounded }),
        ("priority", Profile { order: Order::Priority, capacity: Capacity::Bounded(4), ..bounded }),
        ("mortal", Profile { sender_killed: told, receiver_killed: told, ..bounded }),
        (
            "silent",
            Profile {
                sender_closed: silent,
                receiver_closed: silent,
                sender_killed: Some(silent),
                receiver_killed: Some(silent),
                ..bounded
            },
        ),
        (
            "symmetric",
            Profile { addressing: Addressing::Symmetric, senders: one, receivers: one, ..bounded },
        ),
        ("asymmetric", Profile { addressing: Addressing::Asymmetric, receivers: one, ..bounded }),
        ("broadcast-2", Profile { distribution: Distribution::ToEach, ..bounded }),
        (
            "broadcast-unbounded",
            Profile { distribution: Distribution::ToEach, ..Profile::mailbox(Capacity::Unbounded) },
        ),
        (
            "cell",
            Profile {
                distribution: Distribution::Latest,
                receive: Modes { blocking: false, nonblocking: true, timed: false },
                sender_closed: silent,
                receiver_closed: silent,
                sender_killed: Some(silent),
                receiver_killed: Some(silent),
                ..Profile::mailbox(Capacity::Bounded(1))
            },
        ),
        (
            "try-only",
            Profile {
                send: Modes { blocking: false, nonblocking: true, timed: false },
                receive: Modes { blocking: false, nonblocking: true, timed: false },
                ..bounded
            },
        ),
    ];
    let correct = correct.into_iter().map(|(name, p)| (name.to_string(), Spec::new(p)));
    let mutants = mutant::MUTANTS
        .iter()
        .map(|m| (format!("mutant-{}", m.name), Spec::mutated((m.profile)(), m.mutation)));
    correct.chain(mutants).collect()
}

impl Adapter for Model {
    fn name(&self) -> String {
        "model".into()
    }

    fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").into()
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |(name, spec): (String, Spec)| Claim::between_processes(&name, spec.profile);
        specifications().into_iter().map(claim).collect()
    }

    fn create(&self, link: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        let find = |(name, spec)| (name == link).then_some(spec);
        let spec = specifications().into_iter().find_map(find);
        let spec = spec.ok_or_else(|| Failure::Other(format!("no link {link}")))?;
        let mut systems = self.systems.lock().map_err(Failure::other)?;
        systems.retain(|folder, _| *folder == place.folder);
        let system =
            systems.entry(place.folder.clone()).or_insert_with(|| Arc::new(System::new(spec)));
        let socket = place.folder.join(&place.name);
        Ok(Box::new(Served { number: system.add_link(), system: Arc::clone(system), socket }))
    }

    fn connect(&self, _: &str, address: &Address, _: Role) -> Result<Box<dyn Endpoint>, Failure> {
        Ok(Box::new(Remote::connect(address.text.as_ref())?))
    }
}

/// One link of a system.
struct Served {
    system: Arc<System>,
    number: u8,
    socket: PathBuf,
}

impl Created for Served {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        Ok(Box::new(Local::open(&self.system, self.number, role)))
    }

    fn address(&mut self, role: Role) -> Result<Address, Failure> {
        let socket = self.socket.with_extension(role.process.0.to_string());
        server::listen(&socket, Local::open(&self.system, self.number, role))?;
        Ok(Address::named(socket.to_string_lossy()))
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&Model::default())
}
