//! One line of a history, taken apart but not yet matched with its call.
//!
//! Nearly every line of a recorded history is a flat object of short strings and whole numbers.
//! Such lines are scanned by hand ([`fast`]); whatever else a line holds goes through `serde_json`
//! ([`slow`]), which also finds the words for what is wrong with it.

use serde_json::{Map, Value};

use crate::op::{Message, Mode, Op, Process, Refusal};
use crate::state::ProcessSet;

const TYPES: &str = "invoke, ok, fail, info, blocked, kill, killed";
const CALLS: &str = "send, try_send, send_timeout, receive, try_receive, receive_timeout, close";
const REFUSALS: &str = "full, empty, timeout, closed, too-big, wrong-size";

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) time: u64,
    pub(super) process: Process,
    pub(super) kind: Kind,
}

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Invoke { op: Op, timeout: Option<u64> },
    Done { f: Option<Name>, value: Option<Message>, given: Given, torn: bool, closing: Closing },
    Blocked,
    Kill,
    Killed,
}

/// Which attributes of its message a line gives; the others are those the send gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) size: bool,
    pub(super) priority: bool,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    Ok,
    Fail(Refusal),
    Info,
}

/// The name of a call: what it does and how it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    verb: Verb,
    mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Send,
    Receive,
    Close,
}

impl Name {
    pub(super) fn of(word: &str) -> Option<Self> {
        let (verb, mode) = match word {
            "send" => (Verb::Send, Mode::Blocking),
            "try_send" => (Verb::Send, Mode::Nonblocking),
            "send_timeout" => (Verb::Send, Mode::Timed),
            "receive" => (Verb::Receive, Mode::Blocking),
            "try_receive" => (Verb::Receive, Mode::Nonblocking),
            "receive_timeout" => (Verb::Receive, Mode::Timed),
            "close" => (Verb::Close, Mode::Nonblocking),
            _ => return None,
        };
        Some(Self { verb, mode })
    }

    /// Whether a call of this name makes this operation.
    pub(super) fn names(self, op: &Op) -> bool {
        let verb = match op {
            Op::Send { .. } => Verb::Send,
            Op::Receive { .. } => Verb::Receive,
            Op::Close { .. } => Verb::Close,
        };
        (verb, op.mode()) == (self.verb, self.mode)
    }
}

/// The fields of a line. Those that are missing or `null` are `None`.
#[derive(Default)]
struct Fields<'a> {
    kind: Option<&'a str>,
    f: Option<&'a str>,
    error: Option<&'a str>,
    value: Option<Named<'a>>,
    process: Option<u64>,
    time: Option<u64>,
    link: Option<u64>,
    from: Option<u64>,
    to: Option<u64>,
    timeout: Option<u64>,
    size: Option<u64>,
    priority: Option<u64>,
    torn: bool,
}

/// How a line names its message.
#[derive(Clone, Copy)]
enum Named<'a> {
    Text(&'a str),
    Number(u64),
}

/// Reads a line.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(number: usize, text: &str) -> Result<Line, String> {
    match fast(number, text) {
        Some(line) => Ok(line),
        None => slow(number, text),
    }
}

/// The line, if it is of the usual form and nothing is wrong with it.
pub(super) fn fast(number: usize, text: &str) -> Option<Line> {
    line(number, &scan(text)?).ok()
}

/// The line, whatever JSON it is written in.
pub(super) fn slow(number: usize, text: &str) -> Result<Line, String> {
    let object: Map<String, Value> =
        serde_json::from_str(text).map_err(|e| format!("not a JSON object: {e}"))?;
    line(number, &fields(&object)?)
}

/// Takes a flat object apart. `None` for anything unusual: escapes, nesting, signs, fractions.
fn scan(text: &str) -> Option<Fields<'_>> {
    let mut fields = Fields::default();
    let mut rest = expect(text, b'{')?;
    loop {
        let (key, after) = string(rest)?;
        let after = skip_space(expect(after, b':')?);
        let (value, after) = match after.as_bytes().first()? {
            b'"' => string(after).map(|(s, rest)| (Scalar::Text(s), rest))?,
            b'0'..=b'9' => number(after).map(|(n, rest)| (Scalar::Number(n), rest))?,
            _ => literal(after)?,
        };
        fields.put(key, value)?;
        let after = skip_space(after);
        match after.as_bytes().first()? {
            b',' => rest = &after[1..],
            b'}' => {
                return skip_space(&after[1..]).is_empty().then_some(fields);
            }
            _ => return None,
        }
    }
}

#[derive(Clone, Copy)]
enum Scalar<'a> {
    Text(&'a str),
    Number(u64),
    Bool(bool),
    Null,
}

impl<'a> Fields<'a> {
    /// `None` if the field is of another type than it should be. A field given twice counts as
    /// given last, as `serde_json` has it.
    fn put(&mut self, key: &str, value: Scalar<'a>) -> Option<()> {
        let text = |value| match value {
            Scalar::Text(text) => Some(Some(text)),
            _ => None,
        };
        let whole = |value| match value {
            Scalar::Number(n) => Some(Some(n)),
            Scalar::Null => Some(None),
            _ => None,
        };
        match key {
            "type" => self.kind = text(value)?,
            "f" => self.f = text(value)?,
            "error" => self.error = text(value)?,
            "process" => self.process = whole(value)?,
            "time" => self.time = whole(value)?,
            "link" => self.link = whole(value)?,
            "from" => self.from = whole(value)?,
            "to" => self.to = whole(value)?,
            "timeout" => self.timeout = whole(value)?,
            "size" => self.size = whole(value)?,
            "priority" => self.priority = whole(value)?,
            "value" => {
                self.value = match value {
                    Scalar::Text(text) => Some(Named::Text(text)),
                    Scalar::Number(n) => Some(Named::Number(n)),
                    Scalar::Null => None,
                    Scalar::Bool(_) => return None,
                }
            }
            "torn" => match value {
                Scalar::Bool(torn) => self.torn = torn,
                _ => return None,
            },
            // A header, which is no line of this kind.
            "format" => return None,
            _ => {}
        }
        Some(())
    }
}

fn skip_space(text: &str) -> &str {
    match text.as_bytes().first() {
        Some(b' ' | b'\t' | b'\r' | b'\n') => text.trim_start_matches([' ', '\t', '\r', '\n']),
        _ => text,
    }
}

fn expect(text: &str, byte: u8) -> Option<&str> {
    let text = skip_space(text);
    (*text.as_bytes().first()? == byte).then(|| &text[1..])
}

/// Bytes at which a string ends, or is an unusual one: anything but plain ASCII without escapes.
const ENDS: [bool; 256] = {
    let mut ends = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        ends[byte] = byte < 32 || byte >= 128 || byte == b'"' as usize || byte == b'\\' as usize;
        byte += 1;
    }
    ends
};

fn string(text: &str) -> Option<(&str, &str)> {
    let text = expect(text, b'"')?;
    let end = text.bytes().position(|b| ENDS[usize::from(b)])?;
    (text.as_bytes()[end] == b'"').then(|| (&text[..end], &text[end + 1..]))
}

fn number(text: &str) -> Option<(u64, &str)> {
    let (mut value, mut digits) = (0u64, 0);
    for byte in text.bytes().take_while(u8::is_ascii_digit) {
        // Twenty digits may be too many.
        if digits == 19 {
            return None;
        }
        value = value * 10 + u64::from(byte - b'0');
        digits += 1;
    }
    // JSON has no leading zeros, and what follows must not make it a fraction.
    if digits > 1 && text.as_bytes()[0] == b'0' {
        return None;
    }
    let rest = &text[digits..];
    (!matches!(rest.as_bytes().first(), Some(b'.' | b'e' | b'E'))).then_some((value, rest))
}

fn literal(text: &str) -> Option<(Scalar<'_>, &str)> {
    let words =
        [("null", Scalar::Null), ("true", Scalar::Bool(true)), ("false", Scalar::Bool(false))];
    words.into_iter().find_map(|(word, value)| Some((value, text.strip_prefix(word)?)))
}

/// The same fields from any JSON object, with words for those of the wrong type.
fn fields(object: &Map<String, Value>) -> Result<Fields<'_>, String> {
    let text = |name: &str| match object.get(name) {
        Some(Value::String(s)) => Ok(Some(s.as_str())),
        Some(other) => Err(format!("\"{name}\" is {other}, expected a string")),
        None => Ok(None),
    };
    let whole = |name: &str| match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(v) => match v.as_u64() {
            Some(n) => Ok(Some(n)),
            None => Err(format!("\"{name}\" is {v}, expected a whole number of at least 0")),
        },
    };
    let value = match object.get("value") {
        None | Some(Value::Null) => None,
        Some(Value::String(s)) => Some(Named::Text(s)),
        Some(Value::Number(n)) if n.as_u64().is_some() => n.as_u64().map(Named::Number),
        Some(other) => return Err(unnamed(other)),
    };
    let torn = match object.get("torn") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(torn)) => *torn,
        Some(other) => return Err(format!("\"torn\" is {other}, expected true or false")),
    };
    Ok(Fields {
        kind: text("type")?,
        f: text("f")?,
        error: text("error")?,
        value,
        process: whole("process")?,
        time: whole("time")?,
        link: whole("link")?,
        from: whole("from")?,
        to: whole("to")?,
        timeout: whole("timeout")?,
        size: whole("size")?,
        priority: whole("priority")?,
        torn,
    })
}

fn unnamed(value: impl std::fmt::Display) -> String {
    format!("\"value\" is {value}, expected \"sender:sequence\" or a number")
}

fn line(number: usize, fields: &Fields<'_>) -> Result<Line, String> {
    let process = process("process", fields.process)?.ok_or("\"process\" is missing")?;
    let time = fields.time.ok_or("\"time\" is missing")?;
    let kind = match fields.kind.ok_or("\"type\" is missing")? {
        "blocked" => Kind::Blocked,
        "kill" => Kind::Kill,
        "killed" => Kind::Killed,
        "invoke" => Kind::Invoke { op: operation(fields)?, timeout: fields.timeout },
        "ok" => done(fields, Closing::Ok)?,
        "info" => done(fields, Closing::Info)?,
        "fail" => {
            let error = fields.error.ok_or("\"error\" is missing")?;
            let refusal = Refusal::from_word(error)
                .ok_or_else(|| format!("\"error\" is {error:?}, expected one of {REFUSALS}"))?;
            done(fields, Closing::Fail(refusal))?
        }
        other => return Err(format!("\"type\" is {other:?}, expected one of {TYPES}")),
    };
    Ok(Line { number, time, process, kind })
}

fn process(name: &str, number: Option<u64>) -> Result<Option<Process>, String> {
    let limit = u64::from(ProcessSet::LIMIT);
    match number {
        None => Ok(None),
        Some(p) if p < limit => Ok(Some(Process(p as u16))),
        Some(p) => Err(format!("\"{name}\": process {p} is beyond the limit of {limit}")),
    }
}

fn called(word: &str) -> Result<Name, String> {
    Name::of(word).ok_or_else(|| format!("\"f\" is {word:?}, expected one of {CALLS}"))
}

fn operation(fields: &Fields<'_>) -> Result<Op, String> {
    let link = fields.link.unwrap_or(0);
    let link = u8::try_from(link).map_err(|_| format!("link {link} is beyond 255"))?;
    let Name { verb, mode } = called(fields.f.ok_or("\"f\" is missing")?)?;
    Ok(match verb {
        Verb::Close => Op::Close { link },
        Verb::Receive => Op::Receive { link, from: process("from", fields.from)?, mode },
        Verb::Send => {
            let message =
                message(fields)?.ok_or("\"value\" is missing: a send names its message")?;
            Op::Send { link, to: process("to", fields.to)?, message, mode }
        }
    })
}

fn done(fields: &Fields<'_>, closing: Closing) -> Result<Kind, String> {
    let f = fields.f.map(called).transpose()?;
    let given = Given { size: fields.size.is_some(), priority: fields.priority.is_some() };
    Ok(Kind::Done { f, value: message(fields)?, given, torn: fields.torn, closing })
}

/// A message's name: `"sender:sequence"`, or a bare number where senders do not matter.
fn message(fields: &Fields<'_>) -> Result<Option<Message>, String> {
    let small = |name: &str, number: Option<u64>| {
        u32::try_from(number.unwrap_or(0)).map_err(|_| format!("\"{name}\" is beyond {}", u32::MAX))
    };
    let (size, priority) = (small("size", fields.size)?, small("priority", fields.priority)?);
    let (sender, sequence) = match fields.value {
        None => return Ok(None),
        Some(Named::Number(n)) => (u16::MAX, u32::try_from(n).map_err(|_| unnamed(n))?),
        Some(Named::Text(text)) => {
            let parts = text.split_once(':').and_then(|(a, b)| Some((plain(a)?, plain(b)?)));
            let (sender, sequence) = parts.ok_or_else(|| unnamed(format!("{text:?}")))?;
            (u16::try_from(sender).map_err(|_| unnamed(format!("{text:?}")))?, sequence)
        }
    };
    Ok(Some(Message { sender: Process(sender), sequence, size, priority }))
}

fn plain(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{fast, slow};

    /// Lines, most of them nearly right.
    fn lines() -> impl Strategy<Value = String> {
        let scalar = prop_oneof![
            Just("0".to_owned()),
            Just("1.5".to_owned()),
            Just("-3".to_owned()),
            Just("007".to_owned()),
            Just("null".to_owned()),
            Just("true".to_owned()),
            Just("[1]".to_owned()),
            Just("\"send\"".to_owned()),
            Just("\"receive_timeout\"".to_owned()),
            Just("\"ok\"".to_owned()),
            Just("\"fail\"".to_owned()),
            Just("\"invoke\"".to_owned()),
            Just("\"full\"".to_owned()),
            Just("\"0:1\"".to_owned()),
            Just("\"+1:2\"".to_owned()),
            Just("\"\\u0030:1\"".to_owned()),
            any::<u64>().prop_map(|n| n.to_string()),
            "[ -~]{0,6}".prop_map(|s| format!("{s:?}")),
        ];
        let key = prop_oneof![
            9 => Just("process"), 9 => Just("type"), 9 => Just("time"), 9 => Just("f"),
            3 => Just("value"), 3 => Just("error"), 3 => Just("link"), 3 => Just("to"),
            1 => Just("from"), 1 => Just("torn"), 1 => Just("size"), 1 => Just("comment"),
            1 => Just("format"), 1 => Just("timeout"), 1 => Just("priority"),
        ];
        let usual = Just(
            "\"process\":3,\"type\":\"invoke\",\"f\":\"send\",\"value\":\"3:1\",\"time\":9"
                .to_owned(),
        );
        let fields = proptest::collection::vec((key, scalar), 0..7);
        (prop::bool::ANY, usual, fields, "[ \t]{0,2}").prop_map(|(whole, usual, fields, space)| {
            let mut parts = if whole { vec![usual] } else { vec![] };
            parts.extend(fields.iter().map(|(k, v)| format!("\"{k}\":{space}{v}")));
            format!("{{{}}}", parts.join(&format!("{space},")))
        })
    }

    proptest! {
        #[test]
        fn the_fast_way_reads_what_the_slow_way_reads(line in lines()) {
            if let Some(read) = fast(1, &line) {
                prop_assert_eq!(Ok(read), slow(1, &line));
            }
        }

        #[test]
        fn damaged_lines_are_read_alike(line in lines(), at in 0usize..200, byte in any::<u8>()) {
            let mut bytes = line.into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            let Ok(line) = String::from_utf8(bytes) else { return Ok(()) };
            if let Some(read) = fast(1, &line) {
                prop_assert_eq!(Ok(read), slow(1, &line));
            }
        }

        #[test]
        fn rubbish_never_panics(line in "\\PC{0,60}") {
            let _ = super::read(1, &line);
        }
    }
}
