//! What loom cannot see: real memory, real processes' seats, clocks.

use std::time::Duration;

use super::*;

crate::shared! {
    struct Table {
        count: Mutex<u64>,
        changed: Condition,
        table: RwLock<[u32; 4]>,
        permits: Semaphore,
        meeting: Barrier,
        rows: [Place<f64>; 10],
    }
}

#[test]
fn what_one_attachment_stores_another_loads() {
    let region = Region::<Table>::anonymous().unwrap();
    let (one, other) = (region.attach().unwrap(), region.attach().unwrap());
    assert_ne!(std::ptr::from_ref(&*one), std::ptr::from_ref(&*other), "two mappings");
    one.rows[9].store(2.5);
    assert_eq!(other.rows[9].load(), 2.5);
    let mut table = one.table.write(&one);
    table.store([1, 2, 3, 4]);
    drop(table);
    assert_eq!(other.table.read(&other).load(), [1, 2, 3, 4]);
}

#[test]
fn attachments_count_together_and_meet() {
    const EACH: u64 = 20_000;
    let region = Region::<Table>::anonymous().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let own = region.attach().unwrap();
            scope.spawn(move || {
                for _ in 0..EACH {
                    let mut count = own.count.lock(&own);
                    count.store(count.load() + 1);
                }
                own.meeting.wait(&own, 3).unwrap();
                assert_eq!(own.count.lock(&own).load(), 3 * EACH);
            });
        }
    });
}

#[test]
fn an_attachment_that_left_with_a_lock_is_succeeded() {
    let region = Region::<Table>::anonymous().unwrap();
    let survivor = region.attach().unwrap();
    survivor.permits.add_permits(1);
    let dead = region.attach().unwrap();
    // A killed process drops no guard.
    std::mem::forget(dead.count.lock(&dead));
    std::mem::forget(dead.table.write(&dead));
    std::mem::forget(dead.permits.acquire(&dead));
    assert!(survivor.count.try_lock(&survivor).is_none());
    assert!(survivor.count.lock_timeout(&survivor, Duration::from_millis(1)).is_none());
    assert!(survivor.permits.try_acquire(&survivor).is_none());
    drop(dead);
    let guard = survivor.count.lock(&survivor);
    assert!(guard.owner_died());
    let (guard, signal) = survivor.changed.wait(guard);
    assert_eq!(signal, Signal::Alone);
    drop(guard);
    assert!(survivor.table.read(&survivor).writer_died());
    assert!(!survivor.table.read(&survivor).writer_died());
    assert_eq!(survivor.permits.acquire(&survivor).reclaimed(), 1);
}

#[test]
fn nobody_takes_over_from_themselves() {
    let region = Region::<Table>::anonymous().unwrap();
    let own = region.attach().unwrap();
    own.permits.add_permits(1);
    let (guard, permit) = (own.count.lock(&own), own.permits.acquire(&own));
    assert!(own.count.try_lock(&own).is_none());
    assert!(own.permits.try_acquire(&own).is_none());
    drop((guard, permit));
    assert!(!own.count.lock(&own).owner_died());
    assert_eq!(own.permits.try_acquire(&own).unwrap().reclaimed(), 0);
}

#[test]
fn a_region_of_another_length_is_refused() {
    let name = format!("ipc-impls-region-{}", std::process::id());
    Region::<Table>::create(&name).unwrap();
    let refused = Region::<Place<u32>>::open(&name).err().unwrap();
    Region::<Table>::unlink(&name).unwrap();
    assert!(matches!(refused, OpenError::OtherLayout { .. }), "{refused}");
}

#[test]
fn a_view_reads_what_others_store_and_can_store_nothing() {
    let region = Region::<Table>::anonymous().unwrap();
    let (own, view) = (region.attach().unwrap(), region.reading().unwrap());
    assert_eq!(view.load(|table| &table.rows[9]), 0.0);
    own.rows[9].store(2.5);
    assert_eq!(view.load(|table| &table.rows[9]), 2.5);
    // What the closure stores goes to a plan of the region, and not to the region.
    let seen = view.load(|table| {
        table.rows[9].store(7.0);
        &table.rows[9]
    });
    assert_eq!((seen, own.rows[9].load()), (2.5, 2.5));
}

#[test]
#[should_panic(expected = "outside of the region")]
fn a_view_refuses_a_place_that_is_not_the_regions() {
    let view = Region::<Table>::anonymous().unwrap().reading().unwrap();
    let other = Box::leak(Box::new([const { 0u8 }; 8]));
    // SAFETY: any bytes are a valid place, and nobody else uses these.
    let other: &'static Place<u8> = unsafe { &*std::ptr::from_ref(&other[0]).cast() };
    view.load(|_| other);
}

#[test]
fn a_region_is_opened_or_made_by_name() {
    let name = format!("ipc-impls-region-{}", std::process::id());
    let one = Region::<Table>::open_or_create(&name).unwrap().attach().unwrap();
    let other = Region::<Table>::open_or_create(&name).unwrap().attach().unwrap();
    let view = Region::<Table>::view(&name).unwrap();
    Region::<Table>::unlink(&name).unwrap();
    one.rows[0].store(1.0);
    assert_eq!((other.rows[0].load(), view.load(|table| &table.rows[0])), (1.0, 1.0));
}
