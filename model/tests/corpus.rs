//! Damaged and strange histories: those that were found or thought of are kept, and more are made
//! from good ones. Nothing of it may panic, or be read as a history that cannot be.

use std::path::PathBuf;

use ipc_model::{
    BinaryReading, EdnReading, History, HistoryError, Lines, ListReading, Operation, Profile,
    Reading, check, read_binary, read_edn, read_jsonl, read_porcupine, write_binary, write_jsonl,
};
use proptest::prelude::*;

fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Reads it by what its name ends in.
fn read(name: &str, bytes: &[u8]) -> Result<History, HistoryError> {
    let text = || {
        let not_text = |_| HistoryError { line: 0, why: "not UTF-8 text".into() };
        std::str::from_utf8(bytes).map_err(not_text)
    };
    match name.rsplit('.').next() {
        Some("bin") => read_binary(bytes).map(|(_, history)| history),
        Some("edn") => read_edn(text()?),
        Some("json") => read_porcupine(text()?),
        _ => read_jsonl(text()?).map(|(_, history)| history),
    }
}

/// Whatever can be read can be, and can be checked.
fn sound(read: Result<History, HistoryError>) -> Option<History> {
    let history = read.ok()?;
    assert_eq!(history.malformed(), None);
    let _ = check(&Profile::default(), &history);
    Some(history)
}

#[test]
fn what_was_strange_once_is_refused_or_read_as_before() {
    let told = |(name, bytes): (String, Vec<u8>)| {
        let read = read(&name, &bytes);
        let told = match &read {
            Ok(history) => format!("{} calls", history.operations.len()),
            Err(e) => e.to_string(),
        };
        sound(read);
        format!("{name}: {told}")
    };
    let all: Vec<String> = files("corpus").into_iter().map(told).collect();
    insta::assert_snapshot!("corpus", all.join("\n"));
}

#[test]
fn every_reader_survives_what_is_meant_for_another() {
    for (_, bytes) in files("corpus") {
        for end in ["x.jsonl", "x.json", "x.edn", "x.bin"] {
            sound(read(end, &bytes));
        }
    }
}

/// The calls of each process, in the order in which it made them.
fn in_order(history: &History) -> Vec<Operation> {
    let mut operations = history.operations.clone();
    operations.sort_by_key(|o| (o.process, o.call, o.ret.map_or(u64::MAX, |(time, _)| time)));
    operations
}

#[test]
fn calls_that_take_no_time_are_written_and_read_again() {
    let line = |of: u8, time: u8| {
        let kind = ["invoke", "ok"][usize::from(of % 2)];
        let value = of / 2;
        format!(
            "{{\"process\":0,\"type\":\"{kind}\",\"time\":{time},\"f\":\"send\",\"value\":\"0:{value}\"}}\n"
        )
    };
    let killed = "{\"process\":0,\"type\":\"kill\",\"time\":2}\n{\"process\":0,\"type\":\"killed\",\"time\":2}\n";
    // Each returns at once, the next begins then, and the process is killed at that moment.
    let text: String = (0..4).map(|of| line(of, 1)).chain([line(4, 1), line(5, 2)]).collect();
    let (_, history) = read_jsonl(&(text + killed)).unwrap();
    let (_, lines) = read_jsonl(&write_jsonl(None, &history)).unwrap();
    let (_, bytes) = read_binary(&write_binary(None, &history)).unwrap();
    assert_eq!(lines, history);
    assert_eq!(bytes, history);
}

/// Good files of every form.
fn good() -> Vec<(String, Vec<u8>)> {
    let mut good = files("patterns");
    for (name, bytes) in files("patterns") {
        let history = read(&name, &bytes).unwrap();
        good.push((format!("{name}.bin"), write_binary(None, &history)));
    }
    let foreign = ["nemesis.edn", "return-first.json"];
    good.extend(files("corpus").into_iter().filter(|(name, _)| foreign.contains(&name.as_str())));
    good
}

/// One way to damage a file.
#[derive(Clone, Debug)]
enum Damage {
    Byte(usize, u8),
    Cut(usize),
    Insert(usize, Vec<u8>),
    Drop(usize, usize),
    /// Exchanges two lines.
    Swap(usize, usize),
    Repeat(usize),
    /// Replaces the number that stands nearest behind this place.
    Number(usize, u64),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = || 0usize..4000;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        at().prop_map(Damage::Cut),
        (at(), proptest::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(a, b)| Damage::Insert(a, b)),
        (at(), 1usize..40).prop_map(|(at, n)| Damage::Drop(at, n)),
        (0usize..40, 0usize..40).prop_map(|(a, b)| Damage::Swap(a, b)),
        (0usize..40).prop_map(Damage::Repeat),
        (at(), prop_oneof![0u64..300, any::<u64>()]).prop_map(|(at, n)| Damage::Number(at, n)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damage: &Damage) -> Vec<u8> {
    let place = |at: usize| at % bytes.len().max(1);
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|b| *b == b'\n').map(Vec::from).collect();
    match damage {
        _ if bytes.is_empty() => {}
        Damage::Byte(at, byte) => {
            let at = place(*at);
            bytes[at] = *byte;
        }
        Damage::Cut(at) => bytes.truncate(place(*at)),
        Damage::Insert(at, some) => {
            let at = place(*at);
            bytes.splice(at..at, some.iter().copied());
        }
        Damage::Drop(at, n) => {
            let at = place(*at);
            bytes.drain(at..bytes.len().min(at + n));
        }
        Damage::Swap(a, b) => {
            let count = lines.len();
            lines.swap(a % count, b % count);
            return lines.concat();
        }
        Damage::Repeat(line) => {
            let line = lines[line % lines.len()].clone();
            lines.push(line);
            return lines.concat();
        }
        Damage::Number(at, number) => {
            let at = place(*at);
            if let Some(from) = bytes[at..].iter().position(u8::is_ascii_digit).map(|i| at + i) {
                let digits = bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
                bytes.splice(from..from + digits, number.to_string().into_bytes());
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn damage_is_refused_or_read_but_never_panics(
        file in any::<prop::sample::Index>(),
        all in proptest::collection::vec(damage(), 1..4),
    ) {
        let good = good();
        let (name, bytes) = &good[file.index(good.len())];
        let bytes = all.iter().fold(bytes.clone(), damaged);
        let Some(history) = sound(read(name, &bytes)) else { return Ok(()) };
        // What is read is written and read again as the same.
        let foreign = name.ends_with(".edn") || name.ends_with(".json");
        if !foreign {
            let (_, again) = read_jsonl(&write_jsonl(None, &history)).unwrap();
            prop_assert_eq!(&in_order(&again), &in_order(&history));
            let (_, binary) = read_binary(&write_binary(None, &again)).unwrap();
            prop_assert_eq!(binary, again);
        }
    }

    #[test]
    fn parts_of_any_length_are_the_same_history(
        file in any::<prop::sample::Index>(),
        damage in damage(),
        length in 1usize..300,
    ) {
        let good = good();
        let (name, bytes) = &good[file.index(good.len())];
        let bytes = damaged(bytes.clone(), &damage);
        if name.ends_with(".bin") {
            let mut reading = BinaryReading::default();
            let parts = bytes.chunks(length).try_for_each(|part| reading.add(part));
            let read = parts.and_then(|()| reading.finish());
            let whole = read_binary(&bytes);
            prop_assert_eq!(read.map(|(h, log)| (h, log.history(|_, _| true))), whole);
        } else if name.ends_with(".edn") {
            let mut reading = EdnReading::default();
            let parts = bytes.chunks(length).try_for_each(|part| reading.add(part));
            let read = parts.and_then(|()| reading.finish()).map(|log| log.history(|_, _| true));
            if let Ok(text) = std::str::from_utf8(&bytes) {
                prop_assert_eq!(read, read_edn(text));
            }
        } else if name.ends_with(".json") {
            let mut reading = ListReading::default();
            let parts = bytes.chunks(length).try_for_each(|part| reading.add(part));
            let read = parts.and_then(|()| reading.finish()).map(|log| log.history(|_, _| true));
            if let Ok(text) = std::str::from_utf8(&bytes) {
                prop_assert_eq!(read, read_porcupine(text));
            }
        } else if let (true, Ok(text)) = (name.ends_with(".jsonl"), std::str::from_utf8(&bytes)) {
            // Line by line, those of one process in the order of time: as sorted, or refused.
            let mut reading = Reading::default();
            let parts = (1..).zip(text.split_inclusive('\n')).try_for_each(|(number, line)| {
                reading.add(Lines::read(line, number)?)
            });
            if let Ok((header, log)) = parts.and_then(|()| reading.finish()) {
                let (whole_header, whole) = read_jsonl(text).unwrap();
                prop_assert_eq!(header, whole_header);
                let mut history = log.history(|_, _| true);
                history.operations.sort_by_key(|o| (o.call, o.process));
                let mut whole = whole;
                whole.operations.sort_by_key(|o| (o.call, o.process));
                history.crashes.sort_unstable();
                whole.crashes.sort_unstable();
                prop_assert_eq!(history, whole);
            }
        }
    }
}
