//! Reads a history of any size and of whichever form it is in: the text is forgotten as it is
//! read, on all processors.

use std::fs::File;
use std::io::{Cursor, IsTerminal, Read, Seek};
use std::num::NonZero;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::{Context, anyhow, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ipc_model::{
    BINARY_MAGIC, BinaryReading, EdnReading, Header, HistoryError, Lines, ListReading, Log, Reading,
};

/// How much is read at once. A smaller input is held whole.
const PART: usize = 1 << 20;
/// A line longer than this is none.
const LONGEST_LINE: usize = 1 << 24;
/// An input of fewer bytes is read before anybody could look at a progress bar.
const LONG: u64 = 1 << 24;

type Recorded = (Option<Header>, Log);

/// What bytes come from: it can be read a second time, or not.
enum Source {
    Again(Box<dyn Again>),
    Once(Box<dyn Read + Send>),
}

trait Again: Read + Seek + Send {}
impl<T: Read + Seek + Send> Again for T {}

/// Reads the history in this file; `-` is standard input.
pub(super) fn read(path: &Path) -> anyhow::Result<Recorded> {
    let name =
        if path.as_os_str() == "-" { "standard input".into() } else { path.display().to_string() };
    let file = match path.as_os_str() == "-" {
        true => File::from(std::io::stdin().as_fd().try_clone_to_owned()?),
        false => File::open(path).with_context(|| name.clone())?,
    };
    let about = file.metadata().with_context(|| name.clone())?;
    if about.is_dir() {
        bail!("{name} is a folder");
    }
    let bar = progress(about.is_file().then_some(about.len()));
    let read = recorded(file, about.is_file(), &bar);
    bar.finish_and_clear();
    read.with_context(|| name)
}

/// A progress bar on the terminal, where there is one and enough to wait for.
pub(super) fn progress(bytes: Option<u64>) -> ProgressBar {
    if bytes.is_some_and(|n| n < LONG) || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match bytes {
        Some(bytes) => (
            ProgressBar::new(bytes),
            "{bar:30} {bytes}/{total_bytes} read, {bytes_per_sec}, {eta} left",
        ),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes} read, {bytes_per_sec}"),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.with_style(ProgressStyle::with_template(template).expect("a fixed template"))
}

fn recorded(mut file: File, again: bool, bar: &ProgressBar) -> anyhow::Result<Recorded> {
    let mut start = Vec::new();
    (&mut file).take(PART as u64).read_to_end(&mut start)?;
    let whole = start.len() < PART;
    let source = match (whole, again) {
        (true, _) => Source::Again(Box::new(Cursor::new(start.clone()))),
        (false, true) => {
            file.rewind()?;
            Source::Again(Box::new(file))
        }
        (false, false) => Source::Once(Box::new(Cursor::new(start.clone()).chain(file))),
    };
    match Form::of(&start) {
        Form::Binary => binary(source, bar),
        Form::Edn => {
            let mut reading = EdnReading::default();
            in_parts(source, bar, |part| Ok(reading.add(part)?))?;
            Ok((None, reading.finish()?))
        }
        Form::Operations => {
            let mut reading = ListReading::default();
            in_parts(source, bar, |part| Ok(reading.add(part)?))?;
            Ok((None, reading.finish()?))
        }
        Form::Lines => lines(source, bar),
    }
}

/// The forms of a history, told by how it begins.
enum Form {
    Binary,
    Edn,
    Operations,
    Lines,
}

impl Form {
    fn of(start: &[u8]) -> Self {
        if start.starts_with(BINARY_MAGIC) {
            return Form::Binary;
        }
        let text = String::from_utf8_lossy(&start[..start.len().min(1000)]).to_lowercase();
        match text.trim_start() {
            // A comment, a tag, a map, or a vector of maps.
            t if [";", "#", "{:", "[{:", "[#"].iter().any(|begin| t.starts_with(begin)) => {
                Form::Edn
            }
            t if t.starts_with('[') || t.contains("\"call\":") => Form::Operations,
            _ => Form::Lines,
        }
    }
}

fn readable(source: Source) -> Box<dyn Read + Send> {
    match source {
        Source::Again(source) => Box::new(source),
        Source::Once(source) => source,
    }
}

fn binary(source: Source, bar: &ProgressBar) -> anyhow::Result<Recorded> {
    let mut reading = BinaryReading::default();
    let wrong = |e: HistoryError| anyhow!("record {}: {}", e.line, e.why);
    in_parts(source, bar, |part| reading.add(part).map_err(wrong))?;
    let (header, log) = reading.finish().map_err(wrong)?;
    Ok((Some(header), log))
}

/// Takes the bytes in as they come.
fn in_parts(
    source: Source,
    bar: &ProgressBar,
    mut add: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut source = readable(source);
    let mut part = vec![0; PART];
    loop {
        match source.read(&mut part)? {
            0 => return Ok(()),
            n => {
                bar.inc(n as u64);
                add(&part[..n])?;
            }
        }
    }
}

/// What went wrong with JSON lines.
enum Wrong {
    /// Reading them.
    Source(std::io::Error),
    /// A line by itself.
    Line(HistoryError),
    /// A line behind those before it: in the order of time it might have fitted.
    Order(HistoryError),
}

fn lines(source: Source, bar: &ProgressBar) -> anyhow::Result<Recorded> {
    let read = |source: &mut (dyn Read + Send), mut reading: Reading| {
        side_by_side(source, bar, &mut reading)?;
        reading.finish().map_err(Wrong::Line)
    };
    let wrong = match source {
        Source::Once(mut source) => match read(&mut *source, Reading::default()) {
            Err(Wrong::Order(e)) => {
                bail!("{e} (a file would be sorted by time first; a pipe has to be in order)")
            }
            decided => decided,
        },
        Source::Again(mut source) => match read(&mut *source, Reading::default()) {
            Err(Wrong::Order(_)) => {
                source.rewind()?;
                bar.reset();
                read(&mut *source, Reading::in_any_order())
            }
            decided => decided,
        },
    };
    wrong.map_err(|wrong| match wrong {
        Wrong::Source(e) => e.into(),
        Wrong::Line(e) | Wrong::Order(e) => e.into(),
    })
}

/// A part of the text, or why it is none.
type Part = Result<Lines, HistoryError>;

/// Reads lines in parts, which take turns on the processors.
fn side_by_side(
    source: &mut (dyn Read + Send),
    bar: &ProgressBar,
    reading: &mut Reading,
) -> Result<(), Wrong> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let (mut feeds, mut results) = (Vec::new(), Vec::new());
        for _ in 0..processors {
            let (feed, parts) = sync_channel::<Vec<u8>>(1);
            let (done, result) = sync_channel::<Part>(1);
            scope.spawn(move || parse(&parts, &done));
            feeds.push(feed);
            results.push(result);
        }
        let reader = scope.spawn(move || cut(source, &feeds));
        let mut first = 0;
        for result in results.iter().cycle() {
            let Ok(part) = result.recv() else { break };
            let here = |e: HistoryError| HistoryError { line: first + e.line, ..e };
            let part = part.map_err(|e| Wrong::Line(here(e)))?;
            let count = part.count();
            reading.add(part).map_err(|e| Wrong::Order(here(e)))?;
            first += count;
            bar.inc(PART as u64);
        }
        // Whoever is still at work finds nobody listening, and stops.
        drop(results);
        match reader.join().expect("it does not panic") {
            Err(Wrong::Line(e)) => Err(Wrong::Line(HistoryError { line: first + e.line, ..e })),
            other => other,
        }
    })
}

/// Parses parts until there are no more, or nobody wants them.
fn parse(parts: &Receiver<Vec<u8>>, done: &SyncSender<Part>) {
    for bytes in parts {
        let part = match std::str::from_utf8(&bytes) {
            Ok(text) => Lines::read(text, 1),
            Err(e) => {
                let good = &bytes[..e.valid_up_to()];
                let line = good.split(|b| *b == b'\n').count();
                Err(HistoryError { line, why: "not UTF-8 text".into() })
            }
        };
        if done.send(part).is_err() {
            return;
        }
    }
}

/// Cuts the text into parts that end where a line does, and deals them out in turn.
fn cut(source: &mut (dyn Read + Send), feeds: &[SyncSender<Vec<u8>>]) -> Result<(), Wrong> {
    let mut rest = Vec::new();
    for feed in feeds.iter().cycle() {
        let mut end = None;
        while end.is_none() {
            let before = rest.len();
            let read = (&mut *source).take(PART as u64).read_to_end(&mut rest);
            if read.map_err(Wrong::Source)? == 0 {
                break;
            }
            end = rest[before..].iter().rposition(|b| *b == b'\n').map(|i| before + i + 1);
            if end.is_none() && rest.len() > LONGEST_LINE {
                let why = format!("longer than {} MiB: no history", LONGEST_LINE >> 20);
                return Err(Wrong::Line(HistoryError { line: 1, why }));
            }
        }
        let left = end.map(|end| rest.split_off(end)).unwrap_or_default();
        let last = end.is_none();
        let part = std::mem::replace(&mut rest, left);
        if (!part.is_empty() && feed.send(part).is_err()) || last {
            break;
        }
    }
    Ok(())
}
