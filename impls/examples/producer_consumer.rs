//! Producer and consumer by both models at once (P7): shared memory (C1) and messages (C2).
//!
//! In the region the two processes see to the order themselves: `made` and `used` count up for
//! ever, and only one of them writes each. In the queue the kernel does it for them.

use std::error::Error;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::process::parent_id;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use ipc_impls::links::mq::Queue;
use ipc_impls::links::{ReceivingEnd, SendingEnd};
use memmap2::{MmapOptions, MmapRaw};
use nix::sys::memfd::{MFdFlags, memfd_create};

const ITEMS: u64 = 1000;
const PLACES: u64 = 4;

/// The region. Items `used..made` wait, each at its number modulo [`PLACES`].
#[repr(C)]
struct Buffer {
    made: AtomicU64,
    used: AtomicU64,
    places: [AtomicU64; PLACES as usize],
}

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1) {
        None => consumer(),
        Some(queue) => producer(&queue),
    }
}

fn consumer() -> Result<(), Box<dyn Error>> {
    let file = File::from(memfd_create(c"buffer", MFdFlags::MFD_CLOEXEC)?);
    file.set_len(size_of::<Buffer>() as u64)?;
    let map = MmapOptions::new().len(size_of::<Buffer>()).map_raw(&file)?;
    let name = OwnName(format!("producer-consumer-{}", std::process::id()));
    let mut messages = Queue::create(&name.0, PLACES as usize, size_of::<u64>())?.receiver()?;
    let program = std::env::current_exe()?;
    let mut producer = Command::new(program).arg(&name.0).stdin(Stdio::from(file)).spawn()?;

    let buffer = buffer(&map);
    let (mut by_memory, mut by_messages) = (0, 0);
    for item in 0..ITEMS {
        // sync: made. Pairs with the Release in `producer`: the place is filled.
        while buffer.made.load(Acquire) == item {
            if let Some(status) = producer.try_wait()? {
                // It may have made the last items and left since we looked.
                if buffer.made.load(Acquire) == item {
                    return Err(format!("the producer left early: {status}").into());
                }
            }
            std::thread::yield_now();
        }
        by_memory += buffer.places[(item % PLACES) as usize].load(Relaxed);
        // sync: used. Pairs with the Acquire in `producer`: the place is free again.
        buffer.used.store(item + 1, Release);
    }
    let mut message = [0; size_of::<u64>()];
    for _ in 0..ITEMS {
        messages.receive(&mut message)?;
        by_messages += u64::from_le_bytes(message);
    }
    producer.wait()?;
    println!("shared memory: {ITEMS} items, sum {by_memory}");
    println!("messages: {ITEMS} items, sum {by_messages}");
    Ok(())
}

fn producer(queue: &str) -> Result<(), Box<dyn Error>> {
    let file = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let map = MmapOptions::new().len(size_of::<Buffer>()).map_raw(&file)?;
    let mut messages = Queue::open(queue)?.sender()?;
    let (buffer, consumer) = (buffer(&map), parent_id());
    for item in 0..ITEMS {
        // sync: used.
        while item - buffer.used.load(Acquire) == PLACES {
            // Nobody else would tell us that the consumer was killed.
            if parent_id() != consumer {
                return Err("the consumer is gone".into());
            }
            std::thread::yield_now();
        }
        buffer.places[(item % PLACES) as usize].store(item, Relaxed);
        // sync: made.
        buffer.made.store(item + 1, Release);
    }
    (0..ITEMS).try_for_each(|item| messages.send(&item.to_le_bytes()))?;
    Ok(())
}

fn buffer(map: &MmapRaw) -> &Buffer {
    // SAFETY: the mapping begins at a page, is as long as a buffer and is never truncated; any
    // bytes are a buffer, and both processes touch it by atomic operations alone.
    unsafe { &*map.as_ptr().cast() }
}

/// The name of the queue, removed when this is dropped.
struct OwnName(String);

impl Drop for OwnName {
    fn drop(&mut self) {
        // Where it fails, the queue was never made.
        let _ = Queue::unlink(&self.0);
    }
}
