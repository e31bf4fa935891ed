//! ipmpsc 0.5.1: a time limit as long as can be said panics.
use std::{panic::catch_unwind, time::Duration};

use ipmpsc::{Receiver, SharedRingBuffer};

fn main() {
    let path = std::env::temp_dir().join(format!("ipmpsc-longest-{}", std::process::id()));
    let file = path.to_str().unwrap().to_string();
    let receive = catch_unwind(move || {
        let receiver = Receiver::new(SharedRingBuffer::create(&file, 1024).unwrap());
        receiver.recv_timeout::<u32>(Duration::MAX).unwrap()
    });
    println!("receive panics: {}", receive.is_err());
    std::fs::remove_file(path).unwrap();
}
