//! shared_memory 0.12.4: an object with descriptor 0 is neither closed nor unlinked by its owner.
use std::os::fd::{FromRawFd, OwnedFd};

use shared_memory::{ShmemConf, ShmemError};

fn main() {
    let name = format!("/descriptor-zero-{}", std::process::id());
    let create = || ShmemConf::new().size(4096).os_id(&name).create();

    // With a standard input: the owner's drop takes the name away, and it can be used again.
    let memory = create().unwrap();
    assert!(memory.is_owner());
    drop(memory);
    drop(create().unwrap());

    // Without one, as in a service that has closed it: the next descriptor is 0.
    // SAFETY: nobody uses the standard input.
    drop(unsafe { OwnedFd::from_raw_fd(0) });
    let memory = create().unwrap();
    assert!(memory.is_owner());
    drop(memory);

    let left = std::path::Path::new("/dev/shm").join(&name[1..]);
    let open = std::fs::read_link("/proc/self/fd/0");
    println!("the owner is gone; its object is there: {}, and open: {open:?}", left.exists());
    match create() {
        Err(ShmemError::MappingIdExists) => println!("its name cannot be used again"),
        other => println!("its name can be used again: {}", other.is_ok()),
    }
    let _ = std::fs::remove_file(left);
}
