//! Operation lists in the manner of Porcupine: every operation with the times of its call and of
//! its return.

use serde_json::{Map, Value};

use super::foreign::{Foreign, Gathered, LONGEST, What, puts};
use super::{History, HistoryError, Log};

/// Reads a list of operations: a JSON array, or one object a line. An object has `ClientId`,
/// `Call`, `Return`, `Input` and `Output`, in any capitals. `Input` is a verb with a number
/// (`["enqueue", 3]` or `{"op":"enqueue","value":3}`); `Output` is what a dequeue took, `null` or
/// `"empty"` where there was nothing, `false` or `"full"` where an enqueue was refused. An
/// operation without `Return` is pending.
///
/// # Errors
/// The first operation that is not of this form, with its line, and in an array with its place.
pub fn read_porcupine(text: &str) -> Result<History, HistoryError> {
    let mut reading = ListReading::default();
    reading.add(text.as_bytes())?;
    Ok(reading.finish()?.history(|_, _| true))
}

/// Takes a list of operations as its bytes come, and forgets them once they were taken.
#[derive(Debug, Default)]
pub struct ListReading {
    gathered: Gathered,
    form: Form,
    /// The operations and the lines so far.
    operations: usize,
    lines: usize,
    rest: Vec<u8>,
}

/// How the operations are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    #[default]
    Unknown,
    Lines,
    /// An array, where an operation comes next.
    Array,
    /// An array, behind an operation.
    Behind,
    /// An array that is closed.
    Closed,
}

impl ListReading {
    /// Takes the next bytes in, wherever they are cut.
    ///
    /// # Errors
    /// As for [`read_porcupine`].
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), HistoryError> {
        self.rest.extend_from_slice(bytes);
        self.take(false)?;
        if self.rest.len() > LONGEST {
            let why = format!("longer than {} MiB: no operation", LONGEST >> 20);
            return Err(self.next_is_wrong(why));
        }
        Ok(())
    }

    /// The log of all operations.
    ///
    /// # Errors
    /// As for [`read_porcupine`].
    pub fn finish(mut self) -> Result<Log, HistoryError> {
        self.take(true)?;
        if matches!(self.form, Form::Array | Form::Behind) {
            return Err(self.next_is_wrong("the list is cut off".into()));
        }
        self.gathered.finish()
    }

    /// What is wrong with the operation that comes next.
    fn next_is_wrong(&self, why: String) -> HistoryError {
        let why = match self.form {
            Form::Unknown | Form::Lines => why,
            _ => format!("operation {}: {why}", self.operations + 1),
        };
        HistoryError { line: self.lines + 1, why }
    }

    /// Takes what is complete, or all that is left.
    fn take(&mut self, last: bool) -> Result<(), HistoryError> {
        let rest = std::mem::take(&mut self.rest);
        let mut left = rest.as_slice();
        if self.form == Form::Unknown {
            self.form = match left.trim_ascii_start().first() {
                Some(b'[') => Form::Array,
                Some(_) => Form::Lines,
                None => Form::Unknown,
            };
            if self.form == Form::Array {
                left = self.pass(left, left.len() - left.trim_ascii_start().len() + 1);
            }
        }
        let taken = match self.form {
            Form::Unknown => Ok(left),
            Form::Lines => self.lines(left, last),
            _ => self.array(left),
        };
        self.rest = taken?.to_vec();
        Ok(())
    }

    fn lines<'b>(&mut self, mut left: &'b [u8], last: bool) -> Result<&'b [u8], HistoryError> {
        loop {
            let end = left.iter().position(|b| *b == b'\n');
            let (line, rest) = match end {
                Some(end) => (&left[..end], &left[end + 1..]),
                None if last => (left, &[][..]),
                None => return Ok(left),
            };
            if !line.trim_ascii().is_empty() {
                let value = serde_json::from_slice(line);
                self.push(value)?;
            }
            self.lines += 1;
            left = rest;
            if left.is_empty() {
                return Ok(left);
            }
        }
    }

    fn array<'b>(&mut self, mut left: &'b [u8]) -> Result<&'b [u8], HistoryError> {
        loop {
            left = self.pass(left, left.len() - left.trim_ascii_start().len());
            let Some(first) = left.first() else { return Ok(left) };
            let next = match (self.form, first) {
                (Form::Behind, b',') => Form::Array,
                (Form::Behind, b']') => Form::Closed,
                // Only an empty list closes where an operation might come.
                (Form::Array, b']') if self.operations == 0 => Form::Closed,
                (Form::Array, _) => {
                    let mut values = serde_json::Deserializer::from_slice(left).into_iter();
                    match values.next() {
                        Some(Err(e)) if e.is_eof() => return Ok(left),
                        None => return Ok(left),
                        Some(value) => {
                            let length = values.byte_offset();
                            self.push(value)?;
                            left = self.pass(left, length);
                        }
                    }
                    self.form = Form::Behind;
                    continue;
                }
                (Form::Closed, _) => {
                    return Err(self.next_is_wrong("behind the end of the list".into()));
                }
                _ => return Err(self.next_is_wrong("expected a comma before it".into())),
            };
            self.form = next;
            left = &left[1..];
        }
    }

    /// The bytes behind so many of these.
    fn pass<'b>(&mut self, bytes: &'b [u8], count: usize) -> &'b [u8] {
        let (passed, rest) = bytes.split_at(count);
        self.lines += passed.iter().filter(|b| **b == b'\n').count();
        rest
    }

    fn push(&mut self, value: serde_json::Result<Value>) -> Result<(), HistoryError> {
        let pushed = match value {
            Ok(value) => self.operation(&value).and_then(|call| self.gathered.push(call)),
            // Where it stands in the text is another place than in the operation.
            Err(e) => Err(format!("not JSON: {}", e.to_string().replace(" at line 1 ", " at "))),
        };
        pushed.map_err(|why| self.next_is_wrong(why))?;
        self.operations += 1;
        Ok(())
    }

    fn operation(&mut self, value: &Value) -> Result<Foreign, String> {
        let object = value.as_object().ok_or_else(|| format!("{value} is no operation"))?;
        let time = |name| match field(object, name) {
            None | Some(Value::Null) => Ok(None),
            Some(v) => {
                v.as_u64().map(Some).ok_or_else(|| format!("\"{name}\" is {v}, expected a time"))
            }
        };
        let process = match field(object, "ClientId") {
            None => 0,
            Some(id) => id.as_i64().ok_or_else(|| format!("\"ClientId\" is {id}"))?,
        };
        let call = time("Call")?.ok_or("\"Call\" is missing")?;
        let ret = time("Return")?;
        let input = field(object, "Input").ok_or("\"Input\" is missing")?;
        let what = what(input, field(object, "Output"))?;
        let process = self.gathered.process(process)?;
        Ok(Foreign { line: self.lines + 1, process, call, ret, what })
    }
}

fn what(input: &Value, output: Option<&Value>) -> Result<What, String> {
    let (verb, value) = match input {
        Value::Array(parts) => (parts.first(), parts.get(1)),
        Value::Object(o) => (field(o, "op").or(field(o, "f")), field(o, "value")),
        _ => (Some(input), None),
    };
    let verb = verb.and_then(Value::as_str).ok_or_else(|| format!("{input} names no verb"))?;
    let output = match output {
        Some(Value::Object(o)) => field(o, "value").unwrap_or(&Value::Null),
        Some(output) => output,
        None => &Value::Null,
    };
    let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
    match puts(verb) {
        Some(true) => {
            let value = value.and_then(number);
            let value = value.ok_or_else(|| format!("{input} puts no number below 2^32 in"))?;
            let refused = *output == Value::Bool(false) || output.as_str() == Some("full");
            Ok(What::Put(value, !refused))
        }
        Some(false) => match output {
            Value::Null | Value::Bool(false) => Ok(What::Take(None)),
            Value::String(word) if word == "empty" => Ok(What::Take(None)),
            taken => {
                let why = || format!("\"Output\" is {taken}, expected a number below 2^32");
                Ok(What::Take(Some(number(taken).ok_or_else(why)?)))
            }
        },
        None => Err(format!("{verb:?} neither puts something in nor takes something out")),
    }
}

fn field<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    let same = |key: &&String| key.replace('_', "").eq_ignore_ascii_case(name);
    object.keys().find(same).and_then(|key| object.get(key))
}
