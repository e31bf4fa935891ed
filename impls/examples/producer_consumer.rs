//! Producer and consumer by both models at once (P7): shared memory (C1) and messages (C2).
//!
//! In the region the two processes see to the order themselves: `made` and `used` count up for
//! ever, and only one of them writes each. In the link the kernel does it for them, and it tells
//! either process when the other is gone; in the region each has to look for itself.
//!
//! `producer_consumer [ITEMS]` passes so many items in each way. Neither the region nor the link
//! has a name, so nothing is left of them, whoever is killed.

use std::error::Error;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::process::parent_id;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use ipc_impls::links::pipe::{Options, Pipe, Sender};
use ipc_impls::links::{ReceivingEnd, SendingEnd};
use memmap2::{MmapOptions, MmapRaw};
use nix::sys::memfd::{MFdFlags, memfd_create};

const PLACES: u64 = 4;
const LONGEST: usize = size_of::<u64>();

/// The region. Items `used..made` wait, each at its number modulo [`PLACES`].
#[repr(C)]
struct Buffer {
    made: AtomicU64,
    used: AtomicU64,
    places: [AtomicU64; PLACES as usize],
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [] => consumer(1000),
        [items] => consumer(items.parse()?),
        [role, items, consumer] if role == "producer" => {
            producer(items.parse()?, consumer.parse()?)
        }
        _ => Err("usage: producer_consumer [ITEMS]".into()),
    }
}

fn consumer(items: u64) -> Result<(), Box<dyn Error>> {
    let file = File::from(memfd_create(c"buffer", MFdFlags::MFD_CLOEXEC)?);
    file.set_len(size_of::<Buffer>() as u64)?;
    let map = MmapOptions::new().len(size_of::<Buffer>()).map_raw(&file)?;
    let pipe = Pipe::anonymous(Options { packets: PLACES as usize, longest: LONGEST })?;
    let mut messages = pipe.receiver()?;
    let mut producer = Command::new(std::env::current_exe()?)
        .args(["producer", &items.to_string(), &std::process::id().to_string()])
        .stdin(Stdio::from(file))
        .stdout(pipe.write_side().try_clone_to_owned()?)
        .spawn()?;
    // As long as we could send ourselves, the link would not tell us that the producer is gone.
    drop(pipe);

    let buffer = buffer(&map);
    let (mut by_memory, mut by_messages) = (0, 0);
    for item in 0..items {
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
    let mut message = [0; LONGEST];
    for _ in 0..items {
        messages.receive(&mut message).map_err(|why| format!("the producer left early: {why}"))?;
        by_messages += u64::from_le_bytes(message);
    }
    producer.wait()?;
    println!("shared memory: {items} items, sum {by_memory}");
    println!("messages: {items} items, sum {by_messages}");
    Ok(())
}

fn producer(items: u64, consumer: u32) -> Result<(), Box<dyn Error>> {
    let file = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let map = MmapOptions::new().len(size_of::<Buffer>()).map_raw(&file)?;
    let mut messages = Sender::adopt(std::io::stdout().as_fd().try_clone_to_owned()?, LONGEST)?;
    let buffer = buffer(&map);
    for item in 0..items {
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
    (0..items).try_for_each(|item| messages.send(&item.to_le_bytes()))?;
    Ok(())
}

fn buffer(map: &MmapRaw) -> &Buffer {
    // SAFETY: the mapping begins at a page, is as long as a buffer and is never truncated; any
    // bytes are a buffer, and both processes touch it by atomic operations alone.
    unsafe { &*map.as_ptr().cast() }
}
