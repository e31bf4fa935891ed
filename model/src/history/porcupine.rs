//! Operation lists in the manner of Porcupine: every operation with the times of its call and of
//! its return.

use serde_json::{Map, Value};

use super::foreign::{Foreign, What, history, puts};
use super::{History, HistoryError};

/// Reads a list of operations: a JSON array, or one object a line. An object has `ClientId`,
/// `Call`, `Return`, `Input` and `Output`, in any capitals. `Input` is a verb with a number
/// (`["enqueue", 3]` or `{"op":"enqueue","value":3}`); `Output` is what a dequeue took, `null` or
/// `"empty"` where there was nothing, `false` or `"full"` where an enqueue was refused. An
/// operation without `Return` is pending.
///
/// # Errors
/// The first operation that is not of this form, by its place from 1.
pub fn read_porcupine(text: &str) -> Result<History, HistoryError> {
    let wrong = |line: usize, why: String| HistoryError { line, why };
    let not_json = |line: usize| move |e: serde_json::Error| wrong(line, format!("not JSON: {e}"));
    let operations: Vec<(usize, Value)> = if text.trim_start().starts_with('[') {
        let list: Vec<Value> = serde_json::from_str(text).map_err(|e| not_json(e.line())(e))?;
        (1..).zip(list).collect()
    } else {
        let lines = (1..).zip(text.lines()).filter(|(_, l)| !l.trim().is_empty());
        let read = |(n, l): (usize, &str)| Ok((n, serde_json::from_str(l).map_err(not_json(n))?));
        lines.map(read).collect::<Result<_, _>>()?
    };
    let read = |(line, value): (usize, Value)| {
        operation(line, &value).map_err(|why| HistoryError { line, why })
    };
    history(operations.into_iter().map(read).collect::<Result<_, _>>()?)
}

fn operation(line: usize, value: &Value) -> Result<Foreign, String> {
    let object = value.as_object().ok_or_else(|| format!("{value} is no operation"))?;
    let time = |name| match field(object, name) {
        None | Some(Value::Null) => Ok(None),
        Some(v) => {
            v.as_u64().map(Some).ok_or_else(|| format!("\"{name}\" is {v}, expected a time"))
        }
    };
    let process = field(object, "ClientId").and_then(Value::as_i64).unwrap_or(0);
    let call = time("Call")?.ok_or("\"Call\" is missing")?;
    let ret = time("Return")?;
    let input = field(object, "Input").ok_or("\"Input\" is missing")?;
    let (verb, value) = match input {
        Value::Array(parts) => (parts.first(), parts.get(1)),
        Value::Object(o) => (field(o, "op").or(field(o, "f")), field(o, "value")),
        _ => (Some(input), None),
    };
    let verb = verb.and_then(Value::as_str).ok_or_else(|| format!("{input} names no verb"))?;
    let output = match field(object, "Output") {
        Some(Value::Object(o)) => field(o, "value").unwrap_or(&Value::Null),
        Some(output) => output,
        None => &Value::Null,
    };
    let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
    let what = match puts(verb) {
        Some(true) => {
            let value = value.and_then(number);
            let value = value.ok_or_else(|| format!("{input} puts no number below 2^32 in"))?;
            let refused = *output == Value::Bool(false) || output.as_str() == Some("full");
            What::Put(value, !refused)
        }
        Some(false) => match output {
            Value::Null | Value::Bool(false) => What::Take(None),
            Value::String(word) if word == "empty" => What::Take(None),
            taken => {
                let taken = number(taken).ok_or_else(|| format!("{taken} is no number that"))?;
                What::Take(Some(taken))
            }
        },
        None => return Err(format!("{verb:?} neither puts something in nor takes something out")),
    };
    Ok(Foreign { line, process, call, ret, what })
}

fn field<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    let same = |key: &&String| key.replace('_', "").eq_ignore_ascii_case(name);
    object.keys().find(same).and_then(|key| object.get(key))
}
