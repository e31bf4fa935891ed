//! The compact binary form of a history: the same events as the JSON lines, about a tenth of their
//! size. `docs/history-format.md` describes it byte by byte.

use super::join::Joiner;
use super::line::{Closing, Given, Kind, Line};
use super::{Header, History, HistoryError, Log};
use crate::op::{Message, Mode, Op, Process, Refusal, Ret};
use crate::profile::Profile;
use crate::state::ProcessSet;

/// What every binary history begins with.
pub const BINARY_MAGIC: &[u8; 8] = b"ipc-hst1";

const SEND: u8 = 0;
const RECEIVE: u8 = 3;
const CLOSE: u8 = 6;
const DONE: u8 = 16;
const RECEIVED: u8 = 17;
const TORN: u8 = 18;
const BLOCKED: u8 = 19;
const KILLED: u8 = 20;
const KILL: u8 = 21;
const REFUSED: u8 = 32;

const MODES: [Mode; 3] = [Mode::Blocking, Mode::Nonblocking, Mode::Timed];

/// No record is longer than this, in bytes: two bytes, two numbers, and two more bytes and four
/// numbers.
const LONGEST_RECORD: usize = 64;
/// Nor any header longer than this.
const LONGEST_HEADER: usize = 1 << 20;

/// Reads a history from its binary form.
///
/// # Errors
/// The first record that is wrong, by its number; record 0 is the header.
pub fn read_binary(bytes: &[u8]) -> Result<(Header, History), HistoryError> {
    let mut reading = BinaryReading::default();
    reading.add(bytes)?;
    let (header, log) = reading.finish()?;
    Ok((header, log.history(|_, _| true)))
}

/// Takes the bytes of the binary form as they come.
#[derive(Debug, Default)]
pub struct BinaryReading {
    header: Option<Header>,
    joiner: Joiner,
    time: u64,
    records: usize,
    /// The start of what is not complete yet.
    rest: Vec<u8>,
}

impl BinaryReading {
    /// Takes the next bytes in, wherever they are cut.
    ///
    /// # Errors
    /// As for [`read_binary`].
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), HistoryError> {
        self.rest.extend_from_slice(bytes);
        self.take(LONGEST_RECORD)
    }

    /// The log of all bytes.
    ///
    /// # Errors
    /// As for [`read_binary`].
    pub fn finish(mut self) -> Result<(Header, Log), HistoryError> {
        self.take(1)?;
        let why = match self.rest.starts_with(BINARY_MAGIC) {
            true => "the header is cut off",
            false => "it does not begin with ipc-hst1",
        };
        let header = self.header.ok_or_else(|| HistoryError { line: 0, why: why.into() })?;
        let mut log = self.joiner.finish();
        log.links.clone_from(&header.links);
        log.quiescent = header.quiescent;
        Ok((header, log))
    }

    /// Takes in what is complete: as long as at least this many bytes are left.
    fn take(&mut self, least: usize) -> Result<(), HistoryError> {
        let rest = std::mem::take(&mut self.rest);
        let mut input = Input { rest: &rest };
        if self.header.is_none() {
            let wrong = |why: String| HistoryError { line: 0, why };
            self.header = header(&mut input).map_err(wrong)?;
        }
        while self.header.is_some() && input.rest.len() >= least {
            self.records += 1;
            let wrong = |why: &str| HistoryError { line: self.records, why: why.into() };
            let line = input.record(self.records, &mut self.time).map_err(wrong)?;
            self.joiner.push(&line)?;
        }
        self.rest = input.rest.to_vec();
        Ok(())
    }
}

/// The header, if all of it is there; then it is taken from the input.
fn header(input: &mut Input<'_>) -> Result<Option<Header>, String> {
    let magic = input.rest.len().min(BINARY_MAGIC.len());
    if input.rest[..magic] != BINARY_MAGIC[..magic] {
        return Err("it does not begin with ipc-hst1".into());
    }
    let mut ahead = Input { rest: &input.rest[magic..] };
    let Some(length) = ahead.number() else { return Ok(None) };
    let length = usize::try_from(length).ok().filter(|n| *n <= LONGEST_HEADER);
    let length = length.ok_or("the header is longer than a mebibyte")?;
    let Some(text) = ahead.take(length) else { return Ok(None) };
    let text = std::str::from_utf8(text).map_err(|_| "the header is no text")?;
    input.rest = ahead.rest;
    Header::read(text).map(Some)
}

/// What is left to read.
struct Input<'b> {
    rest: &'b [u8],
}

impl<'b> Input<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    /// Seven bits a byte, the lowest first, the eighth bit set in all but the last byte.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn message(&mut self) -> Option<Message> {
        let mut small = || self.number().and_then(|n| u32::try_from(n).ok());
        let sender = Process(u16::try_from(small()?).ok()?);
        Some(Message { sender, sequence: small()?, size: small()?, priority: small()? })
    }

    fn record(&mut self, number: usize, time: &mut u64) -> Result<Line, &'static str> {
        const CUT: &str = "the record is cut off, or a number in it is too large";
        let tag = self.byte().ok_or(CUT)?;
        let process = self.byte().ok_or(CUT)?;
        if u16::from(process) >= ProcessSet::LIMIT {
            return Err("a process beyond the limit of 64");
        }
        let later = self.number().ok_or(CUT)?;
        *time = time.checked_add(later).ok_or("a time beyond 64 bits")?;
        let done = |value, closing, torn| {
            let given = Given { size: true, priority: true };
            Kind::Done { f: None, value, given, torn, closing }
        };
        let kind = match tag {
            SEND..=CLOSE => self.call(tag)?,
            DONE => done(None, Closing::Ok, false),
            RECEIVED | TORN => done(Some(self.message().ok_or(CUT)?), Closing::Ok, tag == TORN),
            BLOCKED => Kind::Blocked,
            KILLED => Kind::Killed,
            KILL => Kind::Kill,
            _ => match Refusal::ALL.get(usize::from(tag.wrapping_sub(REFUSED))) {
                Some(refusal) => done(None, Closing::Fail(*refusal), false),
                None => return Err("no record begins with this byte"),
            },
        };
        Ok(Line { number, time: *time, process: Process(u16::from(process)), kind })
    }

    fn call(&mut self, tag: u8) -> Result<Kind, &'static str> {
        const CUT: &str = "the record is cut off, or a number in it is too large";
        let link = self.byte().ok_or(CUT)?;
        let peer = match self.byte().ok_or(CUT)? {
            0 => None,
            peer if u16::from(peer) <= ProcessSet::LIMIT => Some(Process(u16::from(peer) - 1)),
            _ => return Err("a peer beyond the limit of 64"),
        };
        let timeout = self.number().ok_or(CUT)?.checked_sub(1);
        let mode = MODES[usize::from(tag % 3)];
        let op = match tag {
            CLOSE => Op::Close { link },
            RECEIVE.. => Op::Receive { link, from: peer, mode },
            _ => Op::Send { link, to: peer, message: self.message().ok_or(CUT)?, mode },
        };
        Ok(Kind::Invoke { op, timeout })
    }
}

/// Writes a history in the form that [`read_binary`] reads.
pub fn write_binary(profile: Option<&Profile>, history: &History) -> Vec<u8> {
    let header = Header {
        format: Header::FORMAT.into(),
        profile: profile.copied(),
        links: history.links.clone(),
        quiescent: history.quiescent,
    };
    let header = serde_json::to_vec(&header).expect("a header has no failing parts");
    let mut bytes = BINARY_MAGIC.to_vec();
    put(&mut bytes, header.len() as u64);
    bytes.extend(header);
    let mut before = 0;
    for (time, part, i) in super::jsonl::parts(history) {
        use super::jsonl::Part;
        let process = match part {
            Part::Killed => history.crashes[i].1,
            Part::Kill => history.kills[i].1,
            _ => history.operations[i].process,
        };
        let o = history.operations.get(i);
        let tag = match (part, o.and_then(|o| o.ret)) {
            (Part::Invoke, _) => call_tag(&history.operations[i].op),
            (Part::Blocked, _) => BLOCKED,
            (Part::Killed, _) => KILLED,
            (Part::Kill, _) => KILL,
            (Part::Return, Some((_, Ret::Received(_)))) => RECEIVED,
            (Part::Return, Some((_, Ret::Torn(_)))) => TORN,
            (Part::Return, Some((_, Ret::Refused(r)))) => {
                REFUSED + Refusal::ALL.iter().position(|x| *x == r).unwrap_or_default() as u8
            }
            (Part::Return, _) => DONE,
        };
        bytes.extend([tag, process.0 as u8]);
        put(&mut bytes, time - before);
        before = time;
        match (part, o) {
            (Part::Invoke, Some(o)) => put_call(&mut bytes, &o.op, o.timeout),
            (Part::Return, Some(o)) => {
                if let Some((_, Ret::Received(message) | Ret::Torn(message))) = o.ret {
                    put_message(&mut bytes, message);
                }
            }
            _ => {}
        }
    }
    bytes
}

fn call_tag(op: &Op) -> u8 {
    let mode = MODES.iter().position(|m| *m == op.mode()).unwrap_or_default() as u8;
    match op {
        Op::Send { .. } => SEND + mode,
        Op::Receive { .. } => RECEIVE + mode,
        Op::Close { .. } => CLOSE,
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn put_message(bytes: &mut Vec<u8>, message: Message) {
    let Message { sender, sequence, size, priority } = message;
    for number in [u32::from(sender.0), sequence, size, priority] {
        put(bytes, u64::from(number));
    }
}

fn put_call(bytes: &mut Vec<u8>, op: &Op, timeout: Option<u64>) {
    let peer = match *op {
        Op::Send { to, .. } => to,
        Op::Receive { from, .. } => from,
        Op::Close { .. } => None,
    };
    bytes.extend([op.link(), peer.map_or(0, |p| p.0 as u8 + 1)]);
    put(bytes, timeout.map_or(0, |t| t.saturating_add(1)));
    if let Some(message) = op.message() {
        put_message(bytes, message);
    }
}
