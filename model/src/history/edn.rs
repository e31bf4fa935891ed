//! Histories of Jepsen, in EDN: one operation map after another, alone or in a vector.

use rustc_hash::FxHashMap;

use super::foreign::{Foreign, Gathered, LONGEST, What, puts};
use super::{History, HistoryError, Log};

/// Reads a Jepsen history of a queue: maps with `:type`, `:f`, `:process`, `:value` and `:time`
/// (without it, the order of the maps). `:f` is `:enqueue` or `:dequeue` or a word like them; an
/// enqueue that fails found the queue full, a dequeue that fails found it empty; `:info` leaves an
/// operation pending. What the nemesis does is passed over. Values are whole numbers.
///
/// # Errors
/// The first map that is not of this form, with the line on which it begins.
pub fn read_edn(text: &str) -> Result<History, HistoryError> {
    let mut reading = EdnReading::default();
    reading.add(text.as_bytes())?;
    Ok(reading.finish()?.history(|_, _| true))
}

/// Takes a Jepsen history as its bytes come, and forgets them once they were taken.
#[derive(Debug, Default)]
pub struct EdnReading {
    gathered: Gathered,
    /// The calls that have not returned.
    open: FxHashMap<i64, Foreign>,
    clock: u64,
    at: Position,
    rest: Vec<u8>,
}

impl EdnReading {
    /// Takes the next bytes in, wherever they are cut.
    ///
    /// # Errors
    /// As for [`read_edn`].
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), HistoryError> {
        self.rest.extend_from_slice(bytes);
        self.take(false)?;
        if self.rest.len() > LONGEST {
            let why = format!("longer than {} MiB: no operation", LONGEST >> 20);
            return Err(HistoryError { line: self.at.line + 1, why });
        }
        Ok(())
    }

    /// The log of all bytes.
    ///
    /// # Errors
    /// As for [`read_edn`].
    pub fn finish(mut self) -> Result<Log, HistoryError> {
        self.take(true)?;
        let mut pending: Vec<Foreign> = self.open.into_values().collect();
        pending.sort_by_key(|call| call.line);
        for call in pending {
            let line = call.line;
            self.gathered.push(call).map_err(|why| HistoryError { line, why })?;
        }
        self.gathered.finish()
    }

    /// Takes the maps that are complete, or all that is left.
    fn take(&mut self, last: bool) -> Result<(), HistoryError> {
        let rest = std::mem::take(&mut self.rest);
        let mut taken = 0;
        loop {
            let mut parser = Parser { text: &rest[taken..], at: 0, here: self.at, starved: false };
            let next = parser.next_map();
            if parser.starved && !last {
                break;
            }
            let Some((line, map)) = next? else { break };
            if std::str::from_utf8(&parser.text[..parser.at]).is_err() {
                return Err(HistoryError { line, why: "not UTF-8 text".into() });
            }
            taken += parser.at;
            self.at = parser.here;
            self.operation(line, &map).map_err(|why| HistoryError { line, why })?;
        }
        self.rest = rest[taken..].to_vec();
        Ok(())
    }

    fn operation(&mut self, line: usize, map: &Fields) -> Result<(), String> {
        let get = |key: &str| map.iter().find(|(k, _)| k == key).map(|(_, v)| v);
        let word = |key: &str| match get(key) {
            Some(Edn::Word(word)) => Some(word.trim_start_matches(':')),
            _ => None,
        };
        // Everything of the nemesis has a keyword for its process.
        let Some(&Edn::Number(process)) = get(":process") else { return Ok(()) };
        let kind = word(":type").ok_or("\":type\" is missing")?;
        let verb = word(":f").ok_or("\":f\" is missing")?;
        self.clock = match get(":time") {
            Some(Edn::Number(time)) => u64::try_from(*time)
                .map_err(|_| format!("\":time\" is {time}, which is below 0"))?,
            _ => self.clock + 1,
        };
        let value = match get(":value") {
            Some(Edn::Number(n)) => {
                Some(u32::try_from(*n).map_err(|_| "\":value\" is no number from 0 to 2^32 - 1")?)
            }
            _ => None,
        };
        let puts = puts(verb).ok_or_else(|| format!(":f :{verb} is no call on a queue"))?;
        if kind == "invoke" {
            let what = match (puts, value) {
                (true, Some(value)) => What::Put(value, true),
                (true, None) => return Err("an enqueue without a number".into()),
                (false, _) => What::Take(None),
            };
            let number = self.gathered.process(process)?;
            let call = Foreign { line, process: number, call: self.clock, ret: None, what };
            return match self.open.insert(process, call) {
                Some(_) => Err(format!("process {process} calls while in a call")),
                None => Ok(()),
            };
        }
        self.returns(process, kind, puts, value)
    }

    fn returns(
        &mut self,
        process: i64,
        kind: &str,
        puts: bool,
        value: Option<u32>,
    ) -> Result<(), String> {
        let Some(call) = self.open.get_mut(&process) else {
            return Err(format!("process {process} returns without having called"));
        };
        if matches!(call.what, What::Put(..)) != puts {
            return Err(format!("process {process} returns from another call"));
        }
        call.what = match (kind, call.what) {
            // It is in that call for good: Jepsen never lets it call again.
            ("info", _) => return Ok(()),
            ("ok", What::Put(value, _)) => What::Put(value, true),
            ("fail", What::Put(value, _)) => What::Put(value, false),
            ("ok", What::Take(_)) if value.is_some() => What::Take(value),
            ("ok", What::Take(_)) => return Err("a dequeue without a number".into()),
            ("fail", What::Take(_)) => What::Take(None),
            _ => return Err(format!(":type :{kind} is none of invoke, ok, fail, info")),
        };
        call.ret = Some(self.clock);
        let call = self.open.remove(&process).expect("it is there");
        self.gathered.push(call)
    }
}

/// A value, as far as histories need it.
#[derive(Clone, Debug, PartialEq)]
enum Edn {
    Number(i64),
    /// A keyword, symbol, string, or number that is not whole.
    Word(String),
    /// Anything nested.
    Nested,
}

/// The entries of a map.
type Fields = Vec<(String, Edn)>;

/// How many lines are behind, and how many brackets around the maps are open.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    line: usize,
    depth: usize,
}

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
    here: Position,
    /// It has looked behind the end of the text.
    starved: bool,
}

/// Nesting beyond this is refused: no history has it.
const DEEPEST: usize = 64;

impl Parser<'_> {
    fn wrong<T>(&self, why: &str) -> Result<T, HistoryError> {
        Err(HistoryError { line: self.here.line + 1, why: why.into() })
    }

    fn peek(&mut self) -> Option<u8> {
        self.starved |= self.at >= self.text.len();
        self.text.get(self.at).copied()
    }

    fn bump(&mut self) {
        if self.peek() == Some(b'\n') {
            self.here.line += 1;
        }
        self.at += 1;
    }

    /// Passes over spaces, commas, comments, and tags such as `#jepsen.history.Op`.
    fn skip(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b',' => self.bump(),
                b';' => {
                    while self.peek().is_some_and(|b| b != b'\n') {
                        self.bump();
                    }
                }
                b'#' if self.text.get(self.at + 1) == Some(&b'{') => return,
                b'#' => {
                    self.starved |= self.at + 1 >= self.text.len();
                    while self.peek().is_some_and(|b| !b" \t\r\n,{[(\"".contains(&b)) {
                        self.bump();
                    }
                }
                _ => return,
            }
        }
    }

    /// The next map at the top, with the line on which it begins.
    fn next_map(&mut self) -> Result<Option<(usize, Fields)>, HistoryError> {
        loop {
            self.skip();
            match self.peek() {
                None if self.here.depth > 0 => return self.wrong("the text is cut off"),
                None => return Ok(None),
                Some(b'[' | b'(') if self.here.depth == 0 => {
                    self.here.depth = 1;
                    self.bump();
                }
                Some(b']' | b')') if self.here.depth == 1 => {
                    self.here.depth = 0;
                    self.bump();
                }
                Some(b'{') => {
                    let line = self.here.line + 1;
                    self.bump();
                    return Ok(Some((line, self.map()?)));
                }
                Some(_) => return self.wrong("expected a map of an operation"),
            }
        }
    }

    fn map(&mut self) -> Result<Fields, HistoryError> {
        let mut map = Vec::new();
        loop {
            self.skip();
            if self.peek() == Some(b'}') {
                self.bump();
                return Ok(map);
            }
            let Edn::Word(key) = self.value(0)? else { return self.wrong("expected a keyword") };
            self.skip();
            if self.peek() == Some(b'}') {
                return self.wrong("a key without a value");
            }
            map.push((key, self.value(0)?));
        }
    }

    fn value(&mut self, depth: usize) -> Result<Edn, HistoryError> {
        self.skip();
        match self.peek() {
            None => self.wrong("the text is cut off"),
            _ if depth > DEEPEST => self.wrong("nested too deeply"),
            Some(b'"') => self.string(),
            Some(open @ (b'{' | b'[' | b'(' | b'#')) => {
                if open == b'#' {
                    self.bump();
                }
                self.bump();
                loop {
                    self.skip();
                    match self.peek() {
                        Some(b'}' | b']' | b')') => {
                            self.bump();
                            return Ok(Edn::Nested);
                        }
                        _ => self.value(depth + 1).map(|_| ())?,
                    }
                }
            }
            Some(b'}' | b']' | b')') => self.wrong("a bracket closes what was not opened"),
            Some(_) => {
                let from = self.at;
                while self.peek().is_some_and(|b| !b" \t\r\n,;{}[]()\"".contains(&b)) {
                    self.bump();
                }
                let word = String::from_utf8_lossy(&self.text[from..self.at]).into_owned();
                Ok(word.parse().map_or(Edn::Word(word), Edn::Number))
            }
        }
    }

    fn string(&mut self) -> Result<Edn, HistoryError> {
        self.bump();
        let from = self.at;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    let word = String::from_utf8_lossy(&self.text[from..self.at]).into_owned();
                    self.bump();
                    return Ok(Edn::Word(word));
                }
                b'\\' => {
                    self.bump();
                    self.bump();
                }
                _ => self.bump(),
            }
        }
        self.wrong("a string is cut off")
    }
}
