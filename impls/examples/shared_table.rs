//! Information sharing (P3): several processes read and update one table in shared memory.
//!
//! The table has no name. A worker gets it as its standard input, so nothing is left behind
//! whatever ends the program.

use std::error::Error;
use std::fs::File;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use memmap2::{MmapOptions, MmapRaw};
use nix::sys::memfd::{MFdFlags, memfd_create};

const ROWS: usize = 4;
const WORKERS: u64 = 4;
const UPDATES: u64 = 50_000;

type Table = [AtomicU64; ROWS];

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1) {
        None => owner(),
        Some(_) => worker(),
    }
}

fn owner() -> Result<(), Box<dyn Error>> {
    let file = File::from(memfd_create(c"table", MFdFlags::MFD_CLOEXEC)?);
    file.set_len(size_of::<Table>() as u64)?;
    let map = MmapOptions::new().len(size_of::<Table>()).map_raw(&file)?;
    let start = || {
        let stdin = Stdio::from(file.try_clone()?);
        Command::new(std::env::current_exe()?).arg("worker").stdin(stdin).spawn()
    };
    let workers: Vec<_> = (0..WORKERS).map(|_| start()).collect::<Result<_, _>>()?;
    for mut worker in workers {
        if !worker.wait()?.success() {
            return Err("a worker failed".into());
        }
    }
    for (row, value) in table(&map).iter().enumerate() {
        println!("row {row}: {} of {} updates", value.load(Relaxed), WORKERS * UPDATES);
    }
    Ok(())
}

fn worker() -> Result<(), Box<dyn Error>> {
    let file = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let map = MmapOptions::new().len(size_of::<Table>()).map_raw(&file)?;
    for _ in 0..UPDATES {
        for row in table(&map) {
            // A load and a store would lose the updates that others make in between.
            row.fetch_add(1, Relaxed);
        }
    }
    Ok(())
}

fn table(map: &MmapRaw) -> &Table {
    // SAFETY: the mapping begins at a page, is as long as a table and is never truncated; any
    // bytes are a table, and all processes touch it by atomic operations alone.
    unsafe { &*map.as_ptr().cast() }
}
