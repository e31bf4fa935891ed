//! The history format: JSON lines in Jepsen's operation shape. `docs/history-format.md` describes
//! it for people.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::line::{self, Given, Line};
use super::{History, Operation, Reading};
use crate::op::{Message, Op, Process, Ret};
use crate::profile::Profile;
use crate::state::Ends;

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

    pub(super) fn read(text: &str) -> Result<Self, String> {
        let read: Header = serde_json::from_str(text).map_err(|e| format!("not a header: {e}"))?;
        if read.format != Header::FORMAT {
            return Err(format!("format {:?} is not {:?}", read.format, Header::FORMAT));
        }
        match read.profile.map(|p| p.validate()) {
            Some(Err(contradiction)) => Err(contradiction.to_string()),
            _ => Ok(read),
        }
    }
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

/// The lines of one part of a text. Parts may be read side by side, on as many cores as there are,
/// and joined in their order.
///
/// ```
/// use ipc_model::Lines;
/// let first = Lines::read("{\"process\":0,\"type\":\"invoke\",\"f\":\"receive\",\"time\":1}\n", 1);
/// let second = Lines::read("{\"process\":0,\"type\":\"ok\",\"value\":\"1:0\",\"time\":2}\n", 2);
/// let (_, history) = Lines::join([first.unwrap(), second.unwrap()]).unwrap();
/// assert_eq!(history.operations.len(), 1);
/// ```
#[derive(Debug, Default)]
pub struct Lines {
    pub(super) header: Option<(usize, Header)>,
    pub(super) lines: Vec<Line>,
    count: usize,
}

impl Lines {
    /// Reads a part that begins with line `first` of the whole text.
    ///
    /// # Errors
    /// The first line that is not of the format.
    pub fn read(text: &str, first: usize) -> Result<Self, HistoryError> {
        // A call and its return take some hundred bytes.
        let lines = Vec::with_capacity(text.len() / 80);
        let mut part = Self { header: None, lines, count: 0 };
        let cut_off = !text.ends_with('\n');
        let mut lines = text.lines().enumerate().peekable();
        while let Some((i, text)) = lines.next() {
            part.push(first + i, text).map_err(|mut wrong| {
                if cut_off && lines.peek().is_none() && wrong.why.contains("EOF") {
                    wrong.why = format!("the last line is cut off: {}", wrong.why);
                }
                wrong
            })?;
        }
        Ok(part)
    }

    /// Takes one line in; empty ones say nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn push(&mut self, number: usize, text: &str) -> Result<(), HistoryError> {
        self.count += 1;
        if let Some(line) = line::fast(number, text) {
            self.lines.push(line);
            return Ok(());
        }
        if text.trim().is_empty() {
            return Ok(());
        }
        let wrong = |why: String| HistoryError { line: number, why: clipped(why) };
        if !is_header(text) {
            self.lines.push(line::read(number, text).map_err(wrong)?);
            return Ok(());
        }
        if self.header.is_some() || !self.lines.is_empty() {
            return Err(wrong("a header is the first line or nowhere".into()));
        }
        self.header = Some((number, Header::read(text).map_err(wrong)?));
        Ok(())
    }

    /// How many lines the part has, those that say nothing included.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The history that the parts of a text make, whatever the order of its lines.
    ///
    /// # Errors
    /// The first line that cannot follow the others.
    pub fn join(
        parts: impl IntoIterator<Item = Self>,
    ) -> Result<(Option<Header>, History), HistoryError> {
        let mut reading = Reading::in_any_order();
        parts.into_iter().try_for_each(|part| reading.add(part))?;
        let (header, log) = reading.finish()?;
        Ok((header, log.history(|_, _| true)))
    }
}

/// What is wrong with a line, which may be long, in a few words.
fn clipped(why: String) -> String {
    const LONGEST: usize = 300;
    match why.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} …", &why[..end]),
        None => why,
    }
}

/// Whether a line that is no call or return is meant as a header.
fn is_header(text: &str) -> bool {
    let object: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_str(text);
    object.is_ok_and(|object| object.contains_key("format"))
}

/// Reads a history from its lines.
///
/// # Errors
/// The first line that is not of the format, with its number and what was expected there: a
/// broken history is never checked as if it were whole.
pub fn read_jsonl(text: &str) -> Result<(Option<Header>, History), HistoryError> {
    Lines::join([Lines::read(text, 1)?])
}

/// What a line is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Invoke,
    Blocked,
    Kill,
    Killed,
    Return,
}

/// What a history consists of, in the order of time: each with the place of its operation, of its
/// kill, or of its crash. The parts of one process keep their order where they share a time: a call
/// may return at once, the next may begin then, and nothing comes after a crash.
pub(super) fn parts(history: &History) -> Vec<(u64, Part, usize)> {
    let mut calls: Vec<(usize, &Operation)> = history.operations.iter().enumerate().collect();
    calls.sort_by_key(|(_, o)| (o.call, o.ret.map_or(u64::MAX, |(time, _)| time)));
    let mut lines: Vec<(u64, Part, usize)> = Vec::with_capacity(2 * calls.len());
    for (i, o) in calls {
        lines.push((o.call, Part::Invoke, i));
        lines.extend(o.blocked.map(|time| (time, Part::Blocked, i)));
        lines.extend(o.ret.map(|(time, _)| (time, Part::Return, i)));
    }
    lines.extend(history.kills.iter().enumerate().map(|(i, &(t, _))| (t, Part::Kill, i)));
    lines.extend(history.crashes.iter().enumerate().map(|(i, &(t, _))| (t, Part::Killed, i)));
    lines.sort_by_key(|(time, ..)| *time);
    lines
}

/// Writes a history in the format that [`read_jsonl`] reads, header first.
pub fn write_jsonl(profile: Option<&Profile>, history: &History) -> String {
    let header = Header {
        format: Header::FORMAT.into(),
        profile: profile.copied(),
        links: history.links.clone(),
        quiescent: history.quiescent,
    };
    let lines = parts(history);
    let mut text = serde_json::to_string(&header).expect("a header has no failing parts");
    text.reserve(80 * lines.len());
    // A reader takes what a return leaves out from the send, so nothing may be left out that
    // differs there.
    let messages = || history.operations.iter().filter_map(|o| o.op.message());
    let all = Given {
        size: messages().any(|m| m.size != 0),
        priority: messages().any(|m| m.priority != 0),
    };
    text.push('\n');
    for (time, part, i) in lines {
        let (process, kind) = match part {
            Part::Kill => (history.kills[i].1, "kill"),
            Part::Killed => (history.crashes[i].1, "killed"),
            Part::Blocked => (history.operations[i].process, "blocked"),
            Part::Invoke => (history.operations[i].process, "invoke"),
            Part::Return => match history.operations[i].ret {
                Some((_, Ret::Refused(_))) => (history.operations[i].process, "fail"),
                _ => (history.operations[i].process, "ok"),
            },
        };
        put_line(&mut text, process, kind, time);
        match part {
            Part::Invoke => put_call(&mut text, &history.operations[i]),
            Part::Return => put_return(&mut text, &history.operations[i], all),
            Part::Blocked | Part::Kill | Part::Killed => {}
        }
        text.push_str("}\n");
    }
    text
}

/// Writing to a string never fails.
macro_rules! put {
    ($text:expr, $($arguments:tt)*) => {
        write!($text, $($arguments)*).expect("a string takes everything")
    };
}

fn put_line(text: &mut String, process: Process, kind: &str, time: u64) {
    put!(text, "{{\"process\":{},\"type\":\"{kind}\",\"time\":{time}", process.0);
}

/// The message, with those attributes that `all` asks for even where they are 0.
fn put_message(text: &mut String, message: Message, all: Given) {
    put!(text, ",\"value\":\"{message}\"");
    if all.size || message.size != 0 {
        put!(text, ",\"size\":{}", message.size);
    }
    if all.priority || message.priority != 0 {
        put!(text, ",\"priority\":{}", message.priority);
    }
}

fn put_call(text: &mut String, o: &Operation) {
    put!(text, ",\"f\":\"{}\"", o.op.name());
    if o.op.link() != 0 {
        put!(text, ",\"link\":{}", o.op.link());
    }
    if let Some(timeout) = o.timeout {
        put!(text, ",\"timeout\":{timeout}");
    }
    match o.op {
        Op::Send { to, message, .. } => {
            put_message(text, message, Given { size: false, priority: false });
            if let Some(to) = to {
                put!(text, ",\"to\":{}", to.0);
            }
        }
        Op::Receive { from: Some(from), .. } => put!(text, ",\"from\":{}", from.0),
        _ => {}
    }
}

fn put_return(text: &mut String, o: &Operation, all: Given) {
    put!(text, ",\"f\":\"{}\"", o.op.name());
    match o.ret {
        Some((_, Ret::Refused(refusal))) => put!(text, ",\"error\":\"{}\"", refusal.word()),
        Some((_, Ret::Received(message))) => put_message(text, message, all),
        Some((_, Ret::Torn(message))) => {
            put_message(text, message, all);
            text.push_str(",\"torn\":true");
        }
        Some((_, Ret::Done)) | None => {}
    }
}
