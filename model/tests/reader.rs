//! The readers of histories: what is wrong is refused with its line, and never checked as if it
//! were whole.

use ipc_model::{
    Ends, History, Lines, Message, Mode, Op, Operation, Process, Profile, Refusal, Ret, check,
    read_binary, read_edn, read_jsonl, read_porcupine, write_binary, write_jsonl,
};
use proptest::prelude::*;

const CALL: &str = r#"{"process":0,"type":"invoke","f":"send","value":"0:0","time":10}"#;

/// What is wrong with a text, as `line: why`.
fn wrong(text: &str) -> String {
    read_jsonl(text).expect_err(text).to_string()
}

#[test]
fn broken_histories_are_refused_with_line_and_reason() {
    let cases = [
        ("rubbish", "line 1: not a JSON object"),
        ("[1,2]", "line 1: not a JSON object"),
        (r#"{"process":0}"#, "line 1: \"time\" is missing"),
        (r#"{"process":"x","type":"ok","time":1}"#, "\"process\" is \"x\", expected a whole"),
        (r#"{"process":64,"type":"ok","time":1}"#, "process 64 is beyond the limit"),
        (r#"{"process":0,"type":"ok","time":-1}"#, "\"time\" is -1, expected a whole"),
        (r#"{"process":0,"type":"maybe","time":1}"#, "expected one of invoke, ok"),
        (r#"{"process":0,"type":"invoke","f":"peek","time":1}"#, "expected one of send"),
        (r#"{"process":0,"type":"invoke","f":"send","time":1}"#, "a send names its message"),
        (r#"{"process":0,"type":"ok","time":1}"#, "returns at 1 without having called"),
        (r#"{"process":0,"type":"blocked","time":1}"#, "is blocked at 1 without having called"),
        (r#"{"format":"ipc-history/9"}"#, "is not \"ipc-history/1\""),
        (r#"{"format":"ipc-history/1","profile":{"order":"lifo"}}"#, "not a header"),
    ];
    for (text, expected) in cases {
        let why = wrong(text);
        assert!(why.contains(expected), "{text}: {why}");
    }
    let after = [
        (r#"{"process":0,"type":"invoke","f":"receive","time":11}"#, "while still in send 0:0"),
        (r#"{"process":0,"type":"ok","f":"receive","time":11}"#, "returns from another call"),
        (r#"{"process":0,"type":"ok","f":"send","value":"0:1","time":11}"#, "its return names 0:1"),
        (r#"{"process":0,"type":"fail","error":"tired","time":11}"#, "\"error\" is \"tired\""),
        (r#"{"process":0,"type":"ok","time":9}"#, "returns at 9 without having called"),
        (r#"{"process":0,"type":"ok","ti"#, "line 2: the last line is cut off"),
        (r#"{"format":"ipc-history/1"}"#, "a header is the first line or nowhere"),
    ];
    for (line, expected) in after {
        let why = wrong(&format!("{CALL}\n{line}"));
        assert!(why.starts_with("line 2: ") && why.contains(expected), "{line}: {why}");
    }
    for close in ["killed", "info"] {
        let close = format!(r#"{{"process":0,"type":"{close}","time":11}}"#);
        let again = CALL.replace("10", "12");
        let why = wrong(&format!("{CALL}\n\n{close}\n{again}"));
        assert!(why.starts_with("line 4: P0 goes on"), "{why}");
    }
}

#[test]
fn what_is_tolerated_is_documented() {
    let return_first = format!("{}\n{CALL}\n", r#"{"process":0,"type":"ok","time":11}"#);
    let comment = CALL.replace('}', r#","node":"n1","ok?":null}"#);
    for text in [return_first, comment, format!("\n\n{CALL}\r\n\n"), String::new()] {
        read_jsonl(&text).unwrap_or_else(|why| panic!("{text}: {why}"));
    }
}

#[test]
fn parts_of_a_text_make_the_same_history() {
    let history = sample();
    let text = write_jsonl(None, &history);
    let lines: Vec<&str> = text.lines().collect();
    for cut in 0..lines.len() {
        let parts = [(0, &lines[..cut]), (cut, &lines[cut..])];
        let parts = parts.map(|(first, part)| Lines::read(&part.join("\n"), first + 1).unwrap());
        assert_eq!(Lines::join(parts).unwrap().1, history, "cut at {cut}");
    }
}

fn operation(process: u16, op: Op, call: u64, ret: Option<(u64, Ret)>) -> Operation {
    Operation { process: Process(process), op, call, ret, timeout: None, blocked: None }
}

fn sample() -> History {
    let message = Message { sender: Process(0), sequence: 0, size: 5, priority: 1 };
    let shorter = Message { size: 0, ..message };
    let send = Op::Send { link: 0, to: None, message, mode: Mode::Blocking };
    let receive = |mode| Op::Receive { link: 0, from: None, mode };
    let timed = operation(2, receive(Mode::Timed), 6, Some((9, Ret::Refused(Refusal::Timeout))));
    let ends = Ends {
        senders: [Process(0)].into_iter().collect(),
        receivers: [Process(1), Process(2)].into_iter().collect(),
    };
    History {
        operations: vec![
            operation(0, send, 1, Some((2, Ret::Done))),
            operation(1, receive(Mode::Blocking), 3, Some((4, Ret::Received(shorter)))),
            Operation { blocked: Some(6), ..operation(1, receive(Mode::Blocking), 5, None) },
            Operation { timeout: Some(2), ..timed },
        ],
        crashes: vec![(8, Process(0))],
        kills: vec![(7, Process(0))],
        links: vec![ends],
        quiescent: true,
    }
}

#[test]
fn what_is_written_is_read_again() {
    assert_eq!(read_jsonl(&write_jsonl(None, &sample())).unwrap().1, sample());
}

proptest! {
    #[test]
    fn damage_is_refused_or_read_but_never_panics(
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        end in any::<usize>(),
    ) {
        let mut text = write_jsonl(None, &sample()).into_bytes();
        for (at, byte) in damage {
            let at = at % text.len();
            text[at] = byte;
        }
        text.truncate(end % (2 * text.len()));
        let text = String::from_utf8_lossy(&text);
        if let Ok((_, history)) = read_jsonl(&text) {
            prop_assert_eq!(history.malformed(), None);
            let _ = check(&Profile::default(), &history);
        }
    }
}

#[test]
fn the_binary_form_holds_the_same_history() {
    let bytes = write_binary(None, &sample());
    assert_eq!(read_binary(&bytes).unwrap().1, sample());
    for cut in 0..bytes.len() {
        // Cut between two records it is a shorter history, or one that cannot be.
        if let Ok((_, history)) = read_binary(&bytes[..cut]) {
            assert_eq!(history.malformed(), None, "cut at {cut}");
        }
    }
    assert!(read_binary(b"rubbish").unwrap_err().why.contains("ipc-hst1"));
}

#[test]
fn operation_lists_are_read() {
    let text = r#"[
        {"ClientId":7,"Input":["enqueue",3],"Call":0,"Output":null,"Return":10},
        {"ClientId":8,"Input":{"op":"dequeue"},"Call":20,"Output":3,"Return":30},
        {"client_id":8,"input":"dequeue","call":40,"output":"empty","return":50},
        {"ClientId":7,"Input":["enqueue",4],"Call":60}
    ]"#;
    let history = read_porcupine(text).unwrap();
    assert!(check(&Profile::default(), &history).passed());
    let wrong = read_porcupine(&text.replace("\"Output\":3", "\"Output\":4")).unwrap();
    assert!(check(&Profile::default(), &wrong).counterexample().is_some());
    let odd = read_porcupine(r#"[{"ClientId":1,"Input":["peek"],"Call":1}]"#).unwrap_err();
    assert!(odd.to_string().starts_with("line 1: operation 1: \"peek\""), "{odd}");
}

#[test]
fn jepsen_histories_are_read() {
    let text = "; a queue
        {:type :invoke, :f :enqueue, :value 1, :process 0, :time 10, :index 0}
        {:type :info, :f :start, :process :nemesis, :time 11, :value {:a [1 #{2}]}}
        #jepsen.history.Op{:type :ok, :f :enqueue, :value 1, :process 0, :time 20}
        {:type :invoke, :f :dequeue, :value nil, :process 1, :time 30}
        {:type :ok, :f :dequeue, :value 1, :process 1, :time 40}
        {:type :invoke, :f :dequeue, :value nil, :process 1, :time 50}
        {:type :fail, :f :dequeue, :error \"empty\", :process 1, :time 60}
        {:type :invoke, :f :enqueue, :value 2, :process 2, :time 70}
        {:type :info, :f :enqueue, :value 2, :process 2, :time 80}";
    let history = read_edn(text).unwrap();
    assert_eq!(history.operations.len(), 4);
    assert!(check(&Profile::default(), &history).passed());
    let lost = text.replace(":value 1, :process 1, :time 40", ":value 2, :process 1, :time 40");
    assert!(check(&Profile::default(), &read_edn(&lost).unwrap()).counterexample().is_some());
    let twice = format!("{text}\n{{:type :invoke, :f :enqueue, :value 3, :process 2, :time 90}}");
    let why = read_edn(&twice).unwrap_err().to_string();
    assert_eq!(why, "line 11: process 2 calls while in a call");
    assert!(read_edn("[{:type :ok").unwrap_err().why.contains("cut off"));
}

proptest! {
    #[test]
    fn damaged_binary_is_refused_or_read_but_never_panics(
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = write_binary(None, &sample());
        for (at, byte) in damage {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Ok((_, history)) = read_binary(&bytes) {
            prop_assert_eq!(history.malformed(), None);
            let _ = check(&Profile::default(), &history);
        }
    }

    #[test]
    fn rubbish_is_no_foreign_history_but_never_panics(text in "[\\[\\]{}#:\" a-z0-9,;\\\\\n-]{0,80}") {
        let _ = read_edn(&text);
        let _ = read_porcupine(&text);
        let _ = read_jsonl(&text);
    }
}
