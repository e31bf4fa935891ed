//! kanal 0.1.1: a time limit as long as can be said panics.
use std::{panic::catch_unwind, time::Duration};

fn main() {
    let receive = catch_unwind(|| {
        let (sender, receiver) = kanal::bounded::<u32>(1);
        sender.send(1).unwrap();
        receiver.recv_timeout(Duration::MAX)
    });
    let send = catch_unwind(|| {
        let (sender, _receiver) = kanal::bounded::<u32>(1);
        sender.send_timeout(1, Duration::MAX)
    });
    // Neither would have had to wait.
    println!("receive panics: {}, send panics: {}", receive.is_err(), send.is_err());
}
