//! POSIX shared memory step by step (M7): create, size, map, use, unmap, unlink.

use std::error::Error;
use std::fs::File;
use std::process::Command;

use memmap2::{Mmap, MmapOptions};
use nix::fcntl::OFlag;
use nix::sys::mman::{shm_open, shm_unlink};
use nix::sys::stat::Mode;

const BYTES: u64 = 4096;

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1) {
        None => creator(),
        Some(name) => other(&name),
    }
}

fn creator() -> Result<(), Box<dyn Error>> {
    let name = OwnName(format!("/posix-shm-example-{}", std::process::id()));

    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDWR;
    let object = File::from(shm_open(name.0.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
    println!("create: {} bytes", object.metadata()?.len());

    object.set_len(BYTES)?;
    println!("size: {} bytes", object.metadata()?.len());

    // SAFETY: the object is ours (its name is new, its mode 0600), nobody shrinks it, and the
    // other process reads only after we have written for the last time.
    let mut memory = unsafe { MmapOptions::new().map_mut(&object)? };
    println!("map: {} bytes, all zero: {}", memory.len(), memory.iter().all(|byte| *byte == 0));

    memory[..5].copy_from_slice(b"hello");
    println!("use: wrote hello");
    let reader = Command::new(std::env::current_exe()?).arg(&name.0).status()?;

    drop(memory);
    println!("unmap");

    drop(name);
    println!("unlink");
    if reader.success() { Ok(()) } else { Err("the other process failed".into()) }
}

/// Attaches the object to its own address space, for reading only.
fn other(name: &str) -> Result<(), Box<dyn Error>> {
    let object = File::from(shm_open(name, OFlag::O_RDONLY, Mode::empty())?);
    // SAFETY: the creator waits for us, so nobody writes to the object or shrinks it meanwhile.
    let memory = unsafe { Mmap::map(&object)? };
    println!("use: another process read {}", std::str::from_utf8(&memory[..5])?);
    Ok(())
}

/// The name of an object, removed when this is dropped, also where a step fails.
struct OwnName(String);

impl Drop for OwnName {
    fn drop(&mut self) {
        // Where it fails, the object was never made.
        let _ = shm_unlink(self.0.as_str());
    }
}
