//! A process that writes anything anywhere in a link's memory, at any time, while the ends in this
//! process are at work: their calls come back, with an error or with a message that fits.
//!
//! What it writes follows from a fixed seed; when it writes it is the machine's to say. That one
//! thread does likewise between two calls is a property test of each link.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::parent_id;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use ipc_impls::links::mpmc::Mailbox;
use ipc_impls::links::rendezvous::Rendezvous;
use ipc_impls::links::ring::{Options, Ring};
use ipc_impls::links::unbounded::{self, Unbounded};
use ipc_impls::links::{ReceivingEnd, SendingEnd, Size, loan};

mod child;
use child::{Killed, path};

const LONGEST: usize = 40;
/// Far longer than all calls of one link take.
const FOR_EVER: Duration = Duration::from_secs(60);
const CALLS: usize = 4000;

/// A process that does nothing but damage, and is at it.
fn vandal_at(link: &impl AsFd, seed: u64) -> Killed {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "vandal", "--nocapture"])
        .env("IPC_IMPLS_VANDAL", path(link))
        .env("IPC_IMPLS_SEED", seed.to_string())
        .stdout(Stdio::piped())
        .spawn();
    let mut vandal = Killed(child.unwrap());
    let said = BufReader::new(vandal.0.stdout.take().unwrap());
    said.lines().map(Result::unwrap).find(|line| line.ends_with(AT_IT)).expect("it begins");
    vandal
}

const AT_IT: &str = "at it";

#[test]
fn vandal() {
    let Ok(path) = std::env::var("IPC_IMPLS_VANDAL") else { return };
    let file = File::options().read(true).write(true).open(path).unwrap();
    // The header of the object is read once; what matters are the words behind it.
    let length = file.metadata().unwrap().len().min(64 << 10);
    let mut state: u64 = std::env::var("IPC_IMPLS_SEED").unwrap().parse().unwrap();
    let parent = parent_id();
    println!("{AT_IT}");
    while parent_id() == parent {
        for _ in 0..1000 {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            // Words of all kinds: small numbers, large ones, and single bits.
            let value = match state >> 62 {
                0 => state >> 32 & 7,
                1 => state,
                2 => 1 << (state >> 32 & 63),
                _ => 0,
            };
            let place = (state >> 20) % (length / 4) * 4;
            let bytes = &value.to_le_bytes()[..4];
            file.write_all_at(bytes, place).unwrap();
        }
    }
}

/// Makes many calls in all modes, and more ends when they are refused.
fn use_it<S: SendingEnd, R: ReceivingEnd>(
    sender: impl Fn() -> Option<S>,
    receiver: impl Fn() -> Option<R>,
) {
    const SOON: Duration = Duration::from_micros(200);
    let mut buffer = [0; LONGEST];
    for round in 0..CALLS / 100 {
        // Ends may be refused as long as the roster says that there are too many.
        let (mut sending, mut receiving) = (sender(), receiver());
        for call in 0..100 {
            let message = [round as u8; LONGEST];
            let message = &message[..call % (LONGEST + 1)];
            if let Some(end) = &mut sending {
                let _ = end.try_send(message);
                let _ = end.send_timeout(message, SOON);
            }
            if let Some(end) = &mut receiving {
                let lengths = [
                    end.try_receive(&mut buffer).ok(),
                    end.receive_timeout(&mut buffer, SOON).ok(),
                ];
                assert!(lengths.into_iter().flatten().all(|length| length <= LONGEST));
            }
        }
    }
}

/// Does it in a thread, and waits for it no longer than all of it can take.
fn comes_back(what: &str, work: impl FnOnce() + Send + 'static) {
    let (done, over) = mpsc::channel();
    let at_work = std::thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    match over.recv_timeout(FOR_EVER) {
        Ok(()) => {}
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what}: a call does not come back"),
        // It panicked; this says so.
        Err(mpsc::RecvTimeoutError::Disconnected) => {}
    }
    at_work.join().unwrap();
}

macro_rules! survives {
    ($test:ident, $make:expr) => {
        #[test]
        fn $test() {
            for seed in [1, 2] {
                let link = $make;
                let vandal = vandal_at(&link, seed);
                comes_back(stringify!($test), move || {
                    use_it(|| link.sender().ok(), || link.receiver().ok());
                });
                drop(vandal);
            }
        }
    };
}

const OPTIONS: Options = Options { capacity: 3, size: Size::UpTo(LONGEST) };
const GROWING: unbounded::Options =
    unbounded::Options { budget: 1 << 16, size: Size::UpTo(LONGEST) };

survives!(a_ring_survives, Ring::anonymous(OPTIONS).unwrap());
survives!(a_mailbox_survives, Mailbox::anonymous(OPTIONS).unwrap());
survives!(a_mailbox_by_loan_survives, loan::Mailbox::anonymous(OPTIONS).unwrap());
survives!(an_unbounded_link_survives, Unbounded::anonymous(GROWING).unwrap());
survives!(a_rendezvous_survives, Rendezvous::anonymous(OPTIONS.size).unwrap());
