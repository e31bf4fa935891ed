//! iceoryx2 0.10.0: `RetryUntilDelivered` drops what does not fit for a subscriber that is there,
//! but has not called `receive` yet.
use iceoryx2::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = NodeBuilder::new().create::<ipc::Service>()?;
    let service = node
        .service_builder(&format!("retry-{}", std::process::id()).as_str().try_into()?)
        .publish_subscribe::<u64>()
        .enable_safe_overflow(false)
        .subscriber_max_buffer_size(2)
        .create()?;
    let subscriber = service.subscriber_builder().create()?;
    let publisher = service
        .publisher_builder()
        .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
        .create()?;
    for number in 0..4 {
        // From the third on it should wait until the subscriber has made room.
        println!("send {number}: {:?}", publisher.send_copy(number)?);
    }
    while let Some(sample) = subscriber.receive()? {
        println!("received {}", *sample);
    }
    Ok(())
}
