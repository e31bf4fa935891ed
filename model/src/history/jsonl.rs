//! The history format: JSON lines in Jepsen's operation shape. `docs/history-format.md` describes
//! it for people.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{History, Operation};
use crate::op::{Message, Mode, Op, Process, Refusal, Ret};
use crate::profile::Profile;
use crate::state::{Ends, ProcessSet};

/// The first line, which may be left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// `ipc-history/1`.
    pub format: String,
    /// What the link claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// Who held which end at the start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Ends>,
    /// Whether what is pending at the end was watched until nothing moved any more.
    #[serde(default)]
    pub quiescent: bool,
}

impl Header {
    /// The name of this version of the format.
    pub const FORMAT: &'static str = "ipc-history/1";
}

/// What is wrong with a history, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct HistoryError {
    /// Line number, from 1.
    pub line: usize,
    /// What was found, and what was expected.
    pub why: String,
}

const TYPES: &str = "invoke, ok, fail, info, blocked, kill, killed";
const CALLS: &str = "send, try_send, send_timeout, receive, try_receive, receive_timeout, close";

/// One line, taken apart but not yet matched with its call.
struct Line {
    number: usize,
    time: u64,
    process: Process,
    kind: LineKind,
}

enum LineKind {
    Invoke { op: Op, timeout: Option<u64> },
    Done { f: String, value: Option<Message>, given: Given, torn: bool, closing: Closing },
    Blocked,
    Kill,
    Killed,
}

/// Which attributes of its message a line gives; the others are those the send gave.
#[derive(Clone, Copy)]
struct Given {
    size: bool,
    priority: bool,
}

enum Closing {
    Ok,
    Fail(Refusal),
    Info,
}

/// Reads a history from its lines.
///
/// # Errors
/// The first line that is not of the format, with its number and what was expected there: a
/// broken history is never checked as if it were whole.
pub fn read_jsonl(text: &str) -> Result<(Option<Header>, History), HistoryError> {
    let mut header = None;
    let mut lines = Vec::new();
    for (i, text) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let number = i + 1;
        let wrong = |why: String| HistoryError { line: number, why };
        let object: Map<String, Value> =
            serde_json::from_str(text).map_err(|e| wrong(format!("not a JSON object: {e}")))?;
        if object.contains_key("format") {
            if !lines.is_empty() || header.is_some() {
                return Err(wrong("a header is the first line or nowhere".into()));
            }
            let read: Header = serde_json::from_value(Value::Object(object))
                .map_err(|e| wrong(format!("not a header: {e}")))?;
            if read.format != Header::FORMAT {
                let why = format!("format {:?} is not {:?}", read.format, Header::FORMAT);
                return Err(wrong(why));
            }
            if let Some(Err(e)) = read.profile.map(|p| p.validate()) {
                return Err(wrong(e.to_string()));
            }
            header = Some(read);
            continue;
        }
        lines.push(read_line(number, &object).map_err(wrong)?);
    }
    // Lines may come in any order; those of one process and one time keep theirs.
    lines.sort_by_key(|l| l.time);
    let mut history = join(lines)?;
    if let Some(header) = &header {
        history.links = header.links.clone();
        history.quiescent = header.quiescent;
    }
    Ok((header, history))
}

fn read_line(number: usize, object: &Map<String, Value>) -> Result<Line, String> {
    let text = |name: &str| match object.get(name) {
        Some(Value::String(s)) => Ok(s.as_str()),
        Some(other) => Err(format!("\"{name}\" is {other}, expected a string")),
        None => Err(format!("\"{name}\" is missing")),
    };
    let whole = |name: &str| match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(v) => match v.as_u64() {
            Some(n) => Ok(Some(n)),
            None => Err(format!("\"{name}\" is {v}, expected a whole number of at least 0")),
        },
    };
    let process = whole("process")?.ok_or("\"process\" is missing")?;
    let process =
        u16::try_from(process).ok().filter(|p| *p < ProcessSet::LIMIT).map(Process).ok_or_else(
            || format!("process {process} is beyond the limit of {}", ProcessSet::LIMIT),
        )?;
    let time = whole("time")?.ok_or("\"time\" is missing")?;
    let kind = match text("type")? {
        "blocked" => LineKind::Blocked,
        "kill" => LineKind::Kill,
        "killed" => LineKind::Killed,
        "invoke" => {
            let link = whole("link")?.unwrap_or(0);
            let link = u8::try_from(link).map_err(|_| format!("link {link} is beyond 255"))?;
            let peer = |name| -> Result<Option<Process>, String> {
                Ok(whole(name)?.map(|p| Process(p as u16)))
            };
            let f = text("f")?;
            let mode = match f {
                "send" | "receive" | "close" => Mode::Blocking,
                "try_send" | "try_receive" => Mode::Nonblocking,
                "send_timeout" | "receive_timeout" => Mode::Timed,
                _ => return Err(format!("\"f\" is {f:?}, expected one of {CALLS}")),
            };
            let op = match f {
                "close" => Op::Close { link },
                f if f.ends_with("receive") || f == "receive_timeout" => {
                    Op::Receive { link, from: peer("from")?, mode }
                }
                _ => {
                    let message = read_value(object)?
                        .ok_or("\"value\" is missing: a send names its message")?;
                    Op::Send { link, to: peer("to")?, message, mode }
                }
            };
            LineKind::Invoke { op, timeout: whole("timeout")? }
        }
        kind @ ("ok" | "fail" | "info") => {
            let closing = match kind {
                "ok" => Closing::Ok,
                "info" => Closing::Info,
                _ => {
                    let error = text("error")?;
                    Closing::Fail(Refusal::from_word(error).ok_or_else(|| {
                        format!(
                            "\"error\" is {error:?}, expected one of full, empty, timeout, \
                             closed, too-big, wrong-size"
                        )
                    })?)
                }
            };
            let torn = object.get("torn").and_then(Value::as_bool).unwrap_or(false);
            let f = object.get("f").and_then(Value::as_str).unwrap_or_default().into();
            let given = |name| object.contains_key(name);
            let given = Given { size: given("size"), priority: given("priority") };
            LineKind::Done { f, value: read_value(object)?, given, torn, closing }
        }
        other => return Err(format!("\"type\" is {other:?}, expected one of {TYPES}")),
    };
    Ok(Line { number, time, process, kind })
}

/// A message's name: `"sender:sequence"`, or a bare number where senders do not matter.
fn read_value(object: &Map<String, Value>) -> Result<Option<Message>, String> {
    let number = |name: &str| object.get(name).and_then(Value::as_u64).unwrap_or(0) as u32;
    let (size, priority) = (number("size"), number("priority"));
    let message = |sender, sequence| Some(Message { sender, sequence, size, priority });
    match object.get("value") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(n)) if n.as_u64().is_some_and(|n| n <= u32::MAX as u64) => {
            Ok(message(Process(u16::MAX), n.as_u64().unwrap_or_default() as u32))
        }
        Some(Value::String(s)) => s
            .split_once(':')
            .and_then(|(a, b)| Some(message(Process(a.parse().ok()?), b.parse().ok()?)))
            .ok_or_else(|| format!("\"value\" is {s:?}, expected \"sender:sequence\" or a number")),
        Some(other) => {
            Err(format!("\"value\" is {other}, expected \"sender:sequence\" or a number"))
        }
    }
}

/// Matches every closing line with the call it closes.
fn join(lines: Vec<Line>) -> Result<History, HistoryError> {
    let mut history = History::default();
    let mut open: [Option<usize>; ProcessSet::LIMIT as usize] = [None; _];
    let mut received: Vec<(usize, Given)> = Vec::new();
    for line in lines {
        let wrong = |why: String| Err(HistoryError { line: line.number, why });
        let process = line.process;
        let slot = &mut open[process.0 as usize];
        match line.kind {
            LineKind::Invoke { op, timeout } => {
                if let Some(before) = *slot {
                    let before = &history.operations[before].op;
                    return wrong(format!("{process} calls {op} while still in {before}"));
                }
                *slot = Some(history.operations.len());
                history.operations.push(Operation {
                    process,
                    op,
                    call: line.time,
                    ret: None,
                    timeout,
                    blocked: None,
                });
            }
            LineKind::Done { f, value, given, torn, closing } => {
                let Some(index) = slot.take() else {
                    return wrong(format!("{process} returns without having called"));
                };
                let operation = &mut history.operations[index];
                if !f.is_empty() && f != operation.op.name() {
                    let called = operation.op.name();
                    return wrong(format!("{process} called {called} and returns from {f}"));
                }
                let ret = match (closing, operation.op, value) {
                    (Closing::Info, ..) => continue,
                    (Closing::Fail(refusal), ..) => Ret::Refused(refusal),
                    (Closing::Ok, Op::Receive { .. }, Some(message)) if torn => Ret::Torn(message),
                    (Closing::Ok, Op::Receive { .. }, Some(message)) => Ret::Received(message),
                    (Closing::Ok, Op::Receive { .. }, None) => {
                        return wrong("\"value\" is missing: a receive that is ok has one".into());
                    }
                    (Closing::Ok, ..) => Ret::Done,
                };
                operation.ret = Some((line.time, ret));
                if !(given.size && given.priority) && matches!(ret, Ret::Received(_)) {
                    received.push((index, given));
                }
            }
            LineKind::Blocked => match *slot {
                Some(index) => history.operations[index].blocked = Some(line.time),
                None => return wrong(format!("{process} is blocked without having called")),
            },
            LineKind::Kill => history.kills.push((line.time, process)),
            LineKind::Killed => {
                *slot = None;
                history.crashes.push((line.time, process));
            }
        }
    }
    fill_in(&mut history, &received);
    Ok(history)
}

/// Gives received messages the size and priority that their line left out: those they were sent
/// with.
fn fill_in(history: &mut History, received: &[(usize, Given)]) {
    if received.is_empty() {
        return;
    }
    let sent = history.operations.iter().filter_map(|o| o.op.message());
    let sent: FxHashMap<_, _> = sent.map(|m| ((m.sender, m.sequence), m)).collect();
    for &(index, given) in received {
        let Some((_, Ret::Received(message))) = &mut history.operations[index].ret else {
            continue;
        };
        let Some(sent) = sent.get(&(message.sender, message.sequence)) else { continue };
        if !given.size {
            message.size = sent.size;
        }
        if !given.priority {
            message.priority = sent.priority;
        }
    }
}

/// Writes a history in the format that [`read_jsonl`] reads, header first.
pub fn write_jsonl(profile: Option<&Profile>, history: &History) -> String {
    let header = Header {
        format: Header::FORMAT.into(),
        profile: profile.copied(),
        links: history.links.clone(),
        quiescent: history.quiescent,
    };
    let mut lines: Vec<(u64, u8, Value)> = Vec::new();
    for o in &history.operations {
        lines.push((o.call, 0, invoke(o)));
        if let Some(time) = o.blocked {
            lines.push((time, 1, line(o.process, "blocked", time)));
        }
        if let Some((time, ret)) = o.ret {
            lines.push((time, 3, done(o, time, ret)));
        }
    }
    for &(time, process) in &history.kills {
        lines.push((time, 2, line(process, "kill", time)));
    }
    for &(time, process) in &history.crashes {
        lines.push((time, 2, line(process, "killed", time)));
    }
    lines.sort_by_key(|(time, rank, _)| (*time, *rank));
    let mut text = serde_json::to_string(&header).expect("a header has no failing parts");
    text.push('\n');
    for (_, _, line) in lines {
        text.push_str(&line.to_string());
        text.push('\n');
    }
    text
}

fn line(process: Process, kind: &str, time: u64) -> Value {
    serde_json::json!({ "process": process, "type": kind, "time": time })
}

fn put_message(line: &mut Value, message: Message) {
    line["value"] = message.to_string().into();
    for (name, number) in [("size", message.size), ("priority", message.priority)] {
        if number != 0 {
            line[name] = number.into();
        }
    }
}

fn invoke(o: &Operation) -> Value {
    let mut line = line(o.process, "invoke", o.call);
    line["f"] = o.op.name().into();
    if o.op.link() != 0 {
        line["link"] = o.op.link().into();
    }
    if let Some(timeout) = o.timeout {
        line["timeout"] = timeout.into();
    }
    match o.op {
        Op::Send { to, message, .. } => {
            put_message(&mut line, message);
            if let Some(to) = to {
                line["to"] = to.0.into();
            }
        }
        Op::Receive { from: Some(from), .. } => line["from"] = from.0.into(),
        _ => {}
    }
    line
}

fn done(o: &Operation, time: u64, ret: Ret) -> Value {
    let kind = if matches!(ret, Ret::Refused(_)) { "fail" } else { "ok" };
    let mut line = line(o.process, kind, time);
    line["f"] = o.op.name().into();
    match ret {
        Ret::Refused(refusal) => line["error"] = refusal.word().into(),
        Ret::Received(message) => put_message(&mut line, message),
        Ret::Torn(message) => {
            put_message(&mut line, message);
            line["torn"] = true.into();
        }
        Ret::Done => {}
    }
    line
}
