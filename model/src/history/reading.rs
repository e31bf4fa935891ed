//! Puts the parts of a history together as they come.

use super::join::{Joiner, join};
use super::line::Line;
use super::{Header, HistoryError, Lines, Log};

/// Takes the parts of a text one after another and makes a log of them. A part is forgotten once
/// it was taken, so that of a file of millions of lines little more is held than what it says.
///
/// ```
/// use ipc_model::{Lines, Reading};
/// let mut reading = Reading::default();
/// for (line, text) in [
///     (1, "{\"process\":0,\"type\":\"invoke\",\"f\":\"receive\",\"time\":1}\n"),
///     (2, "{\"process\":0,\"type\":\"ok\",\"value\":\"1:0\",\"time\":2}\n"),
/// ] {
///     reading.add(Lines::read(text, line).unwrap()).unwrap();
/// }
/// let (_, log) = reading.finish().unwrap();
/// assert_eq!(log.len(), 1);
/// ```
#[derive(Debug, Default)]
pub struct Reading {
    header: Option<Header>,
    any: bool,
    joiner: Joiner,
    /// The lines so far, where they are to be sorted first.
    sorted: Option<Vec<Line>>,
}

impl Reading {
    /// For lines that may come in any order: all of them are held until the last is there. By
    /// default those of one process must come in the order of time.
    pub fn in_any_order() -> Self {
        Self { sorted: Some(Vec::new()), ..Self::default() }
    }

    /// Takes the next part in.
    ///
    /// # Errors
    /// The first line that cannot follow the others.
    pub fn add(&mut self, part: Lines) -> Result<(), HistoryError> {
        if let Some((line, header)) = part.header {
            if self.any || self.header.is_some() {
                let why = "a header is the first line or nowhere".into();
                return Err(HistoryError { line, why });
            }
            self.header = Some(header);
        }
        self.any |= !part.lines.is_empty();
        match &mut self.sorted {
            Some(lines) => lines.extend(part.lines),
            None => part.lines.iter().try_for_each(|line| self.joiner.push(line))?,
        }
        Ok(())
    }

    /// The log of all parts.
    ///
    /// # Errors
    /// The first line that cannot follow the others, where they had to be sorted first.
    pub fn finish(self) -> Result<(Option<Header>, Log), HistoryError> {
        let mut log = match self.sorted {
            Some(lines) => join(lines)?,
            None => self.joiner.finish(),
        };
        if let Some(header) = &self.header {
            log.links.clone_from(&header.links);
            log.quiescent = header.quiescent;
        }
        Ok((self.header, log))
    }
}
