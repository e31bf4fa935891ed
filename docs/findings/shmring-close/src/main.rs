//! shmring 0.4.1: a reader that is about to wait while the writer closes sleeps for good.
use shmring::{Options, create_shm, open_shm};
use std::io::Read;
use std::sync::{Arc, Barrier, mpsc};
use std::{thread, time::Duration};

fn main() {
    let name = format!("shmring-close-{}", std::process::id());
    for attempt in 1..=1_000_000 {
        let mut writer = create_shm(&name, 64, Options::default()).unwrap();
        let mut reader = open_shm(&name, 64, Options::default()).unwrap();
        let (together, (tell, told)) = (Arc::new(Barrier::new(2)), mpsc::channel());
        let start = together.clone();
        thread::spawn(move || {
            start.wait();
            // To answer Ok(0) "once the writer has closed and all buffered data has been drained".
            let _ = tell.send(reader.read(&mut [0]));
        });
        together.wait();
        // So that the close comes at another moment each time.
        (0..attempt % 2_000).for_each(|_| std::hint::spin_loop());
        writer.close().unwrap();
        let answer = told.recv_timeout(Duration::from_secs(1));
        let _ = writer.close_storage();
        if answer.is_err() {
            println!("attempt {attempt}: closed a second ago, and read() still sleeps");
            return;
        }
    }
    println!("not reproduced");
}
