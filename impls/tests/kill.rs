//! Ends in processes of their own, killed at random instants, and what the survivors see.
//!
//! A worker is this test program again, which runs `worker` alone and finds its orders in the
//! environment.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ipc_impls::links::loan;
use ipc_impls::links::mpmc::Mailbox;
use ipc_impls::links::ring::{Options, Presence, Ring};
use ipc_impls::links::unbounded::{self, Unbounded};
use ipc_impls::links::{ReceiveError, ReceivingEnd, SendError, SendingEnd, Size, TryReceiveError};

mod child;
use child::{Killed, path};

/// Kills per test. `IPC_IMPLS_KILLS` asks for more.
fn kills() -> u64 {
    std::env::var("IPC_IMPLS_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(30)
}

/// Far more than the slice after which a survivor notices a death.
const LONG: Duration = Duration::from_secs(20);
const LONGEST: usize = 200;

/// What a worker finds there.
fn file(variable: &str) -> File {
    let path = std::env::var(variable).unwrap();
    File::options().read(true).write(true).open(path).unwrap()
}

struct Worker(Killed);

impl Worker {
    fn start(does: &str, link: &impl AsFd, out: &impl AsFd, from: u64) -> Worker {
        let program = std::env::current_exe().unwrap();
        let child = Command::new(program)
            .args(["--exact", "worker", "--nocapture"])
            .env("IPC_IMPLS_WORKER", does)
            .env("IPC_IMPLS_LINK", path(link))
            .env("IPC_IMPLS_OUT", path(out))
            .env("IPC_IMPLS_FROM", from.to_string())
            .stdout(Stdio::null())
            .spawn();
        Worker(Killed(child.unwrap()))
    }

    fn kill(mut self) {
        self.0.0.kill().unwrap();
        self.0.0.wait().unwrap();
    }
}

#[test]
fn worker() {
    let Ok(does) = std::env::var("IPC_IMPLS_WORKER") else { return };
    let link = file("IPC_IMPLS_LINK");
    let from: u64 = std::env::var("IPC_IMPLS_FROM").unwrap().parse().unwrap();
    match does.as_str() {
        "send" => {
            let mut sender = Ring::adopt(link).unwrap().sender().unwrap();
            // Until killed, or until the test is gone.
            let _ = (from..).try_for_each(|number| sender.send(&message(number)));
        }
        "forward" => {
            let mut receiver = Ring::adopt(link).unwrap().receiver().unwrap();
            let mut sender = Ring::adopt(file("IPC_IMPLS_OUT")).unwrap().sender().unwrap();
            let mut buffer = [0; LONGEST];
            loop {
                // Once the test has seen enough, it closes its ends.
                let Ok(length) = receiver.receive(&mut buffer) else { return };
                sender.send(&buffer[..length]).unwrap();
            }
        }
        "mail" | "pour" | "lend" => {
            let mut sender = shared_sender(&does, link);
            // Until killed, or until the test is gone.
            let _ = (from..).try_for_each(|number| sender.send(&message(number)));
        }
        "fetch" | "draw" | "borrow" => {
            let mut receiver = shared_receiver(&does, link);
            let mut sender = Mailbox::adopt(file("IPC_IMPLS_OUT")).unwrap().sender().unwrap();
            let mut buffer = [0; LONGEST];
            loop {
                // Once the test has seen enough, it closes its ends.
                let Ok(length) = receiver.receive(&mut buffer) else { return };
                sender.send(&buffer[..length]).unwrap();
            }
        }
        other => panic!("{other}"),
    }
}

/// A sender of the kind of mailbox whose worker is called so.
fn shared_sender(does: &str, link: File) -> Box<dyn SendingEnd> {
    match does {
        "mail" => Box::new(Mailbox::adopt(link).unwrap().sender().unwrap()),
        "pour" => Box::new(Unbounded::adopt(link).unwrap().sender().unwrap()),
        _ => Box::new(loan::Mailbox::adopt(link).unwrap().sender().unwrap()),
    }
}

/// Likewise.
fn shared_receiver(does: &str, link: File) -> Box<dyn ReceivingEnd> {
    match does {
        "fetch" => Box::new(Mailbox::adopt(link).unwrap().receiver().unwrap()),
        "draw" => Box::new(Unbounded::adopt(link).unwrap().receiver().unwrap()),
        _ => Box::new(loan::Mailbox::adopt(link).unwrap().receiver().unwrap()),
    }
}

/// A number, then as many bytes made from it as make every length appear.
fn message(number: u64) -> Vec<u8> {
    let mut message = number.to_le_bytes().to_vec();
    let length = 8 + (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % (LONGEST - 7);
    message.extend((8..length).map(|i| (number as u8).wrapping_add(i as u8)));
    message
}

fn number(bytes: &[u8]) -> u64 {
    let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    assert_eq!(bytes, message(number), "torn");
    number
}

/// Different from run to run, printed when a test fails.
struct Dice(u64);

impl Dice {
    fn new() -> Dice {
        let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
        println!("seed {seed}");
        Dice(u64::from(seed) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn a_killed_sender_tears_nothing_loses_nothing_and_is_replaced() {
    let mut dice = Dice::new();
    for capacity in [1, 3, 64] {
        let options = Options { capacity, size: Size::UpTo(LONGEST) };
        let ring = Ring::anonymous(options).unwrap();
        let mut receiver = ring.receiver().unwrap();
        let mut buffer = [0; LONGEST];
        let mut next = 0;
        for _ in 0..kills() / 3 {
            let sender = Worker::start("send", &ring, &ring, next);
            // It lives as long as it takes to send so many, and then some.
            for _ in 0..1 + dice.below(3000) {
                // Until the new sender is there, the link has none.
                let length = loop {
                    match receiver.receive_timeout(&mut buffer, LONG) {
                        Ok(length) => break length,
                        Err(ipc_impls::links::ReceiveTimeoutError::Disconnected) => {
                            std::thread::yield_now();
                        }
                        Err(other) => panic!("{other}"),
                    }
                };
                assert_eq!(number(&buffer[..length]), next);
                next += 1;
            }
            spin(dice.below(20_000));
            sender.kill();
            assert_eq!(receiver.sender_presence(), Presence::Gone);
            loop {
                match receiver.try_receive(&mut buffer) {
                    Ok(length) => {
                        assert_eq!(number(&buffer[..length]), next);
                        next += 1;
                    }
                    Err(TryReceiveError::Disconnected) => break,
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
}

#[test]
fn a_killed_receiver_loses_at_most_what_it_had_in_hand_and_is_replaced() {
    let mut dice = Dice::new();
    for capacity in [1, 3, 64] {
        let options = Options { capacity, size: Size::UpTo(LONGEST) };
        let ring = Ring::anonymous(options).unwrap();
        let mut sender = ring.sender().unwrap();
        // Room for all that is forwarded, so that the worker is seldom caught waiting.
        let forwarded = Options { capacity: 5000, size: Size::UpTo(LONGEST) };
        let out = Ring::anonymous(forwarded).unwrap();
        let mut acknowledged = out.receiver().unwrap();
        let mut buffer = [0; LONGEST];
        let mut next = 0;
        let (mut expected, mut lost) = (0, 0);
        for round in 0..kills() / 3 {
            let receiver = Worker::start("forward", &ring, &out, 0);
            for _ in 0..1 + dice.below(3000) {
                while sender.send_timeout(&message(next), LONG).is_err_and(disconnected) {
                    std::thread::yield_now();
                }
                next += 1;
            }
            spin(dice.below(20_000));
            receiver.kill();
            assert_eq!(acknowledged.sender_presence(), Presence::Gone, "round {round}");
            while let Ok(length) = acknowledged.try_receive(&mut buffer) {
                let number = number(&buffer[..length]);
                assert!(number >= expected, "{number} came twice");
                lost += number - expected;
                expected = number + 1;
            }
            // A gap shows when a later worker forwards something.
            assert!(lost <= round, "{lost} lost after {round} earlier kills");
        }
    }
}

/// Numbers of one sender's life begin here; no life sends so many.
const LIFE: u64 = 1 << 32;

const GROWING: unbounded::Options =
    unbounded::Options { budget: 64 << 20, size: Size::UpTo(LONGEST) };

fn options(capacity: usize) -> Options {
    Options { capacity, size: Size::UpTo(LONGEST) }
}

#[test]
fn one_of_several_senders_is_killed_and_the_others_are_not_held_up() {
    for capacity in [1, 3, 64] {
        let mailbox = Mailbox::anonymous(options(capacity)).unwrap();
        kill_senders("mail", capacity, &mailbox, mailbox.receiver().unwrap());
        let mailbox = loan::Mailbox::anonymous(options(capacity)).unwrap();
        kill_senders("lend", capacity, &mailbox, mailbox.receiver().unwrap());
    }
    let link = Unbounded::anonymous(GROWING).unwrap();
    kill_senders("pour", 64, &link, link.receiver().unwrap());
}

fn kill_senders(does: &str, capacity: usize, mailbox: &impl AsFd, mut receiver: impl ReceivingEnd) {
    let mut dice = Dice::new();
    let mut buffer = [0; LONGEST];
    // What each life sends next, and the workers alive.
    let mut next: Vec<u64> = vec![0; 2];
    let mut workers: Vec<_> =
        (0..2).map(|life| (life, Worker::start(does, mailbox, mailbox, life * LIFE))).collect();
    for _ in 0..kills() / 3 {
        for _ in 0..1 + dice.below(2000) {
            let length = receiver.receive_timeout(&mut buffer, LONG).unwrap();
            expect(&mut next, &buffer[..length]);
        }
        spin(dice.below(20_000));
        // One is killed, and from now on the other must do, before a new one comes.
        let (dead, worker) = workers.swap_remove(dice.below(2) as usize);
        worker.kill();
        let other = workers[0].0;
        let before = next[other as usize];
        while next[other as usize] < before + capacity as u64 + 10 {
            let length = receiver.receive_timeout(&mut buffer, LONG).unwrap();
            expect(&mut next, &buffer[..length]);
        }
        assert!(next[dead as usize] < LIFE);
        let life = next.len() as u64;
        next.push(0);
        workers.push((life, Worker::start(does, mailbox, mailbox, life * LIFE)));
    }
}

fn expect(next: &mut [u64], bytes: &[u8]) {
    let number = number(bytes);
    let next = &mut next[(number / LIFE) as usize];
    assert_eq!(number % LIFE, *next);
    *next += 1;
}

#[test]
fn one_of_several_receivers_is_killed_and_the_others_are_not_held_up() {
    for capacity in [1, 3, 64] {
        let mailbox = Mailbox::anonymous(options(capacity)).unwrap();
        kill_receivers("fetch", capacity, &mailbox, mailbox.sender().unwrap());
        let mailbox = loan::Mailbox::anonymous(options(capacity)).unwrap();
        kill_receivers("borrow", capacity, &mailbox, mailbox.sender().unwrap());
    }
    let link = Unbounded::anonymous(GROWING).unwrap();
    kill_receivers("draw", 64, &link, link.sender().unwrap());
}

fn kill_receivers(does: &str, capacity: usize, mailbox: &impl AsFd, mut sender: impl SendingEnd) {
    let mut dice = Dice::new();
    let out = Mailbox::anonymous(options(capacity)).unwrap();
    let mut forwarded = out.receiver().unwrap();
    let mut workers: Vec<_> = (0..2).map(|_| Worker::start(does, mailbox, &out, 0)).collect();
    let mut buffer = [0; LONGEST];
    let (mut sent, mut came) = (0u64, std::collections::HashSet::new());
    let rounds = kills() / 3;
    for _ in 0..rounds {
        for _ in 0..1 + dice.below(2000) {
            // Both directions without waiting in either, so that nobody waits in a circle.
            if sender.try_send(&message(sent)).is_ok() {
                sent += 1;
            }
            if let Ok(length) = forwarded.try_receive(&mut buffer) {
                assert!(came.insert(number(&buffer[..length])), "came twice");
            }
        }
        workers.swap_remove(dice.below(2) as usize).kill();
        // The other goes on.
        let before = came.len();
        let start = Instant::now();
        while came.len() < before + capacity + 10 {
            assert!(start.elapsed() < LONG, "the survivor is held up");
            if sender.try_send(&message(sent)).is_ok() {
                sent += 1;
            }
            if let Ok(length) = forwarded.try_receive(&mut buffer) {
                assert!(came.insert(number(&buffer[..length])), "came twice");
            }
        }
        workers.push(Worker::start(does, mailbox, &out, 0));
    }
    // Let the link run dry, then count what is missing: at most what each dead had in hand.
    drop(sender);
    let start = Instant::now();
    while (came.len() as u64) + rounds < sent && start.elapsed() < LONG {
        if let Ok(length) = forwarded.receive_timeout(&mut buffer, Duration::from_millis(20)) {
            assert!(came.insert(number(&buffer[..length])), "came twice");
        }
    }
    assert!(came.len() as u64 + rounds >= sent, "{} of {sent} came", came.len());
}

fn disconnected(error: ipc_impls::links::SendTimeoutError) -> bool {
    match error {
        ipc_impls::links::SendTimeoutError::Disconnected => true,
        other => panic!("{other}"),
    }
}

#[test]
fn a_survivor_asleep_is_let_go_when_its_peer_is_killed() {
    let options = Options { capacity: 2, size: Size::UpTo(LONGEST) };
    let ring = Ring::anonymous(options).unwrap();

    // Asleep in `receive`: the sender is stopped before it is killed, so it sends no more.
    let mut receiver = ring.receiver().unwrap();
    let worker = Worker::start("send", &ring, &ring, 0);
    let mut buffer = [0; LONGEST];
    receiver.receive(&mut buffer).unwrap();
    stop(&worker);
    while receiver.try_receive(&mut buffer).is_ok() {}
    let start = Instant::now();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| receiver.receive(&mut buffer));
        worker.kill();
        assert_eq!(waiting.join().unwrap(), Err(ReceiveError::Disconnected));
    });
    assert!(start.elapsed() < LONG);
    drop(receiver);

    // Asleep in `send`.
    let out = Ring::anonymous(options).unwrap();
    let mut sender = ring.sender().unwrap();
    let worker = Worker::start("forward", &ring, &out, 0);
    while sender.receiver_presence() != Presence::Here {
        std::thread::yield_now();
    }
    stop(&worker);
    while sender.try_send(&message(1)).is_ok() {}
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| sender.send(&message(1)));
        worker.kill();
        assert_eq!(waiting.join().unwrap(), Err(SendError::Disconnected));
    });
}

fn stop(worker: &Worker) {
    let process = nix::unistd::Pid::from_raw(i32::try_from(worker.0.0.id()).unwrap());
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGSTOP).unwrap();
    nix::sys::wait::waitpid(process, Some(nix::sys::wait::WaitPidFlag::WUNTRACED)).unwrap();
}

fn spin(times: u64) {
    for _ in 0..times {
        std::hint::spin_loop();
    }
}
