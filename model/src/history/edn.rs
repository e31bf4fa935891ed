//! Histories of Jepsen, in EDN: one operation map after another, alone or in a vector.

use rustc_hash::FxHashMap;

use super::foreign::{Foreign, What, history, puts};
use super::{History, HistoryError};

/// Reads a Jepsen history of a queue: maps with `:type`, `:f`, `:process`, `:value` and `:time`
/// (without it, the order of the maps). `:f` is `:enqueue` or `:dequeue` or a word like them; an
/// enqueue that fails found the queue full, a dequeue that fails found it empty; `:info` leaves an
/// operation pending. What the nemesis does is passed over. Values are whole numbers.
///
/// # Errors
/// The first map that is not of this form, with the line on which it begins.
pub fn read_edn(text: &str) -> Result<History, HistoryError> {
    let mut parser = Parser { text: text.as_bytes(), at: 0, line: 1, depth: 0 };
    let mut calls: Vec<Foreign> = Vec::new();
    let mut open: FxHashMap<i64, usize> = FxHashMap::default();
    let mut clock = 0;
    while let Some((line, map)) = parser.next_map()? {
        let wrong = |why: String| HistoryError { line, why };
        let get = |key: &str| map.iter().find(|(k, _)| k == key).map(|(_, v)| v);
        let word = |key: &str| match get(key) {
            Some(Edn::Word(word)) => Some(word.trim_start_matches(':')),
            _ => None,
        };
        // Everything of the nemesis has a keyword for its process.
        let Some(Edn::Number(process)) = get(":process") else { continue };
        let kind = word(":type").ok_or_else(|| wrong("\":type\" is missing".into()))?;
        let verb = word(":f").ok_or_else(|| wrong("\":f\" is missing".into()))?;
        clock = match get(":time") {
            Some(Edn::Number(time)) => u64::try_from(*time)
                .map_err(|_| wrong(format!("\":time\" is {time}, which is below 0")))?,
            _ => clock + 1,
        };
        let value = match get(":value") {
            Some(Edn::Number(n)) => {
                let n = u32::try_from(*n).ok();
                Some(n.ok_or_else(|| wrong("\":value\" is no number from 0 to 2^32 - 1".into()))?)
            }
            _ => None,
        };
        let puts = puts(verb).ok_or_else(|| wrong(format!(":f :{verb} is no call on a queue")))?;
        if kind == "invoke" {
            let what = match (puts, value) {
                (true, Some(value)) => What::Put(value, true),
                (true, None) => return Err(wrong("an enqueue without a number".into())),
                (false, _) => What::Take(None),
            };
            if open.insert(*process, calls.len()).is_some() {
                return Err(wrong(format!("process {process} calls while in a call")));
            }
            calls.push(Foreign { line, process: *process, call: clock, ret: None, what });
            continue;
        }
        let Some(index) = open.remove(process) else {
            return Err(wrong(format!("process {process} returns without having called")));
        };
        let call = &mut calls[index];
        if matches!(call.what, What::Put(..)) != puts {
            return Err(wrong(format!("process {process} returns from another call")));
        }
        call.what = match (kind, call.what) {
            ("info", what) => {
                // It is in that call for good: Jepsen never lets it call again.
                open.insert(*process, index);
                call.what = what;
                continue;
            }
            ("ok", What::Put(value, _)) => What::Put(value, true),
            ("fail", What::Put(value, _)) => What::Put(value, false),
            ("ok", What::Take(_)) if value.is_some() => What::Take(value),
            ("ok", What::Take(_)) => return Err(wrong("a dequeue without a number".into())),
            ("fail", What::Take(_)) => What::Take(None),
            _ => return Err(wrong(format!(":type :{kind} is none of invoke, ok, fail, info"))),
        };
        call.ret = Some(clock);
    }
    history(calls)
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

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
    line: usize,
    depth: usize,
}

/// Nesting beyond this is refused: no history has it.
const DEEPEST: usize = 64;

impl Parser<'_> {
    fn wrong<T>(&self, why: &str) -> Result<T, HistoryError> {
        Err(HistoryError { line: self.line, why: why.into() })
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn bump(&mut self) {
        if self.peek() == Some(b'\n') {
            self.line += 1;
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
                b'#' if self.text.get(self.at + 1) != Some(&b'{') => {
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
                None if self.depth > 0 => return self.wrong("the text is cut off"),
                None => return Ok(None),
                Some(b'[' | b'(') if self.depth == 0 => {
                    self.depth = 1;
                    self.bump();
                }
                Some(b']' | b')') if self.depth == 1 => {
                    self.depth = 0;
                    self.bump();
                }
                Some(b'{') => {
                    let line = self.line;
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
