//! iceoryx2 0.10.0: a wait for an event that may take as long as can be said does not wait at all.
use iceoryx2::prelude::*;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = NodeBuilder::new().create::<ipc::Service>()?;
    let name = format!("longest-{}", std::process::id());
    let event = node.service_builder(&name.as_str().try_into()?).event().create()?;
    let listener = event.listener_builder().create()?;
    // Nobody ever notifies, so the first should wait for ever.
    for timeout in [Duration::MAX, Duration::from_secs(1)] {
        let begun = Instant::now();
        let told = listener.timed_wait(|_| (), timeout)?;
        println!("{timeout:?}: told {told} events after {:?}", begun.elapsed());
    }
    Ok(())
}
