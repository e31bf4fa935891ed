//! ipc_ring 0.2.1: a drained ring refuses for good a message that it has room for.
use ipc_ring::{RingReader, RingWriter};

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let mut writer = RingWriter::create(&path, 1024).unwrap();
    let mut reader = RingReader::open(&path).unwrap();
    let mut bytes = Vec::new();
    // Moves both ends to the middle of the ring, which is then empty.
    writer.try_push(&[0; 508]).unwrap();
    reader.try_pop(&mut bytes).unwrap();
    println!("empty: {}", reader.try_pop(&mut bytes).unwrap().is_none());
    // 604 bytes with the length: they fit neither behind the middle nor, together with the gap
    // that is skipped, into the ring. No reader can ever change that.
    println!("{:?}", writer.try_push(&[0; 600]));
    println!("{:?}", writer.push(&[0; 600], None));
}
