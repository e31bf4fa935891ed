//! Ends in processes of their own, killed at random instants, and what the survivors see.
//!
//! A worker is this test program again, which runs `worker` alone and finds its orders in the
//! environment.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ipc_impls::links::ring::{Options, Presence, Ring};
use ipc_impls::links::{ReceiveError, ReceivingEnd, SendError, SendingEnd, Size, TryReceiveError};

/// Kills per test. `IPC_IMPLS_KILLS` asks for more.
fn kills() -> u64 {
    std::env::var("IPC_IMPLS_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(60)
}

/// Far more than the slice after which a survivor notices a death.
const LONG: Duration = Duration::from_secs(20);
const LONGEST: usize = 200;

/// A name of this test's own, which is gone when the test ends, also by a panic.
struct OwnName(String);

impl OwnName {
    fn new(test: &str) -> OwnName {
        OwnName(format!("ipc-impls-kill-{test}-{}", std::process::id()))
    }
}

impl Drop for OwnName {
    fn drop(&mut self) {
        let _ = Ring::unlink(&self.0);
    }
}

/// A process that is killed when the test ends, also by a panic.
struct Worker(Child);

impl Worker {
    fn start(does: &str, link: &str, from: u64) -> Worker {
        let program = std::env::current_exe().unwrap();
        let child = Command::new(program)
            .args(["--exact", "worker", "--nocapture"])
            .env("IPC_IMPLS_WORKER", does)
            .env("IPC_IMPLS_LINK", link)
            .env("IPC_IMPLS_FROM", from.to_string())
            .stdout(Stdio::null())
            .spawn();
        Worker(child.unwrap())
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn worker() {
    let Ok(does) = std::env::var("IPC_IMPLS_WORKER") else { return };
    let link = std::env::var("IPC_IMPLS_LINK").unwrap();
    let from: u64 = std::env::var("IPC_IMPLS_FROM").unwrap().parse().unwrap();
    match does.as_str() {
        "send" => {
            let mut sender = Ring::open(&link).unwrap().sender().unwrap();
            for number in from.. {
                sender.send(&message(number)).unwrap();
            }
        }
        "forward" => {
            let mut receiver = Ring::open(&link).unwrap().receiver().unwrap();
            let mut sender = Ring::open(&format!("{link}-out")).unwrap().sender().unwrap();
            let mut buffer = [0; LONGEST];
            loop {
                let length = receiver.receive(&mut buffer).unwrap();
                sender.send(&buffer[..length]).unwrap();
            }
        }
        other => panic!("{other}"),
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
        let name = OwnName::new(&format!("sender-{capacity}"));
        let options = Options { capacity, size: Size::UpTo(LONGEST) };
        let mut receiver = Ring::create(&name.0, options).unwrap().receiver().unwrap();
        let mut buffer = [0; LONGEST];
        let mut next = 0;
        for _ in 0..kills() / 3 {
            let sender = Worker::start("send", &name.0, next);
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
        let name = OwnName::new(&format!("receiver-{capacity}"));
        let out = OwnName(format!("{}-out", name.0));
        let options = Options { capacity, size: Size::UpTo(LONGEST) };
        let mut sender = Ring::create(&name.0, options).unwrap().sender().unwrap();
        // Room for all that is forwarded, so that the worker is seldom caught waiting.
        let forwarded = Options { capacity: 5000, size: Size::UpTo(LONGEST) };
        let mut acknowledged = Ring::create(&out.0, forwarded).unwrap().receiver().unwrap();
        let mut buffer = [0; LONGEST];
        let mut next = 0;
        let (mut expected, mut lost) = (0, 0);
        for round in 0..kills() / 3 {
            let receiver = Worker::start("forward", &name.0, 0);
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

fn disconnected(error: ipc_impls::links::SendTimeoutError) -> bool {
    match error {
        ipc_impls::links::SendTimeoutError::Disconnected => true,
        other => panic!("{other}"),
    }
}

#[test]
fn a_survivor_asleep_is_let_go_when_its_peer_is_killed() {
    let name = OwnName::new("asleep");
    let options = Options { capacity: 2, size: Size::UpTo(LONGEST) };
    let ring = Ring::create(&name.0, options).unwrap();

    // Asleep in `receive`: the sender is stopped before it is killed, so it sends no more.
    let mut receiver = ring.receiver().unwrap();
    let worker = Worker::start("send", &name.0, 0);
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
    let out = OwnName(format!("{}-out", name.0));
    Ring::create(&out.0, options).unwrap();
    let mut sender = ring.sender().unwrap();
    let worker = Worker::start("forward", &name.0, 0);
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
    let process = nix::unistd::Pid::from_raw(i32::try_from(worker.0.id()).unwrap());
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGSTOP).unwrap();
    nix::sys::wait::waitpid(process, Some(nix::sys::wait::WaitPidFlag::WUNTRACED)).unwrap();
}

fn spin(times: u64) {
    for _ in 0..times {
        std::hint::spin_loop();
    }
}
