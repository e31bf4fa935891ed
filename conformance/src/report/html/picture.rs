//! The space-time picture as SVG: one lane a process, time downwards, one row an event, and a line
//! from each send to the receive that took its message.

use ipc_model::{History, Message, Op, Operation, Process, Ret};
use maud::{Markup, html};

use crate::report::Trace;

/// More rows than this are no picture any more; the text has them.
const MOST_ROWS: usize = 120;
const ROW: usize = 26;
const HEAD: usize = 40;
const LEFT: usize = 86;
/// What a character of the labels is at most as wide as.
const LETTER: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Call,
    Asleep,
    Killed,
    Return,
}

struct Row {
    time: u64,
    event: Event,
    process: Process,
    /// The operation it belongs to, by its place; a kill belongs to none.
    operation: Option<usize>,
}

struct Picture<'a> {
    trace: &'a Trace,
    history: History,
    lanes: Vec<Process>,
    rows: Vec<Row>,
    lane_width: usize,
}

/// The picture; `None` if there is no history to draw, or too much of it.
pub(super) fn draw(trace: &Trace) -> Option<Markup> {
    let history = trace.recorded()?;
    let mut rows = Vec::new();
    for (i, o) in history.operations.iter().enumerate() {
        let mut push = |time, event| {
            rows.push(Row { time, event, process: o.process, operation: Some(i) });
        };
        push(o.call, Event::Call);
        o.blocked.into_iter().for_each(|time| push(time, Event::Asleep));
        o.ret.into_iter().for_each(|(time, _)| push(time, Event::Return));
    }
    for (time, process) in &history.crashes {
        let (time, process) = (*time, *process);
        rows.push(Row { time, event: Event::Killed, process, operation: None });
    }
    rows.sort_by_key(|r| (r.time, r.event, r.process));
    if rows.is_empty() || rows.len() > MOST_ROWS {
        return None;
    }
    let mut lanes: Vec<Process> = rows.iter().map(|r| r.process).collect();
    lanes.sort_unstable();
    lanes.dedup();
    let longest = history.operations.iter().map(|o| o.op.to_string().chars().count()).max();
    let lane_width = (longest.unwrap_or(0).max(10) * LETTER + 40).max(130);
    Some(Picture { trace, history, lanes, rows, lane_width }.markup())
}

impl Picture<'_> {
    fn x(&self, process: Process) -> usize {
        let lane = self.lanes.iter().position(|p| *p == process).unwrap_or(0);
        LEFT + lane * self.lane_width + 20
    }

    fn y(row: usize) -> usize {
        HEAD + row * ROW + ROW / 2
    }

    fn bottom(&self) -> usize {
        Self::y(self.rows.len())
    }

    /// The row of this event of the operation.
    fn row_of(&self, operation: usize, event: Event) -> Option<usize> {
        self.rows.iter().position(|r| r.operation == Some(operation) && r.event == event)
    }

    /// Where the call ends: at its return, at the death of its process, or not at all.
    fn end_of(&self, operation: usize) -> Option<usize> {
        let call = self.row_of(operation, Event::Call)?;
        let process = self.history.operations[operation].process;
        let killed = |r: &Row| r.event == Event::Killed && r.process == process;
        let death = self.rows.iter().skip(call).position(killed).map(|i| i + call);
        self.row_of(operation, Event::Return).or(death)
    }

    fn is_wrong(&self, o: &Operation) -> bool {
        o.process.0 == self.trace.process
            && match (o.ret, &self.trace.returned) {
                (Some((time, _)), Some(_)) => time == self.trace.time,
                (None, None) => o.op.to_string() == self.trace.call,
                _ => false,
            }
    }

    fn markup(&self) -> Markup {
        let width = LEFT + self.lanes.len() * self.lane_width + 130;
        // Calls that have not returned are told below the last event.
        let open = (0..self.history.operations.len()).any(|i| self.end_of(i).is_none());
        let height = self.bottom() + if open { ROW / 2 } else { 0 };
        let begin = self.rows.first().map_or(0, |r| r.time);
        html! {
            svg.lanes xmlns="http://www.w3.org/2000/svg" width=(width) height=(height)
                viewBox=(format!("0 0 {width} {height}")) role="img"
                aria-label=(self.in_words()) {
                text.time x=(LEFT - 14) y="20" text-anchor="end" { "µs" }
                @for lane in &self.lanes {
                    line.lane x1=(self.x(*lane)) x2=(self.x(*lane)) y1="30" y2=(height) {}
                    text.process x=(self.x(*lane)) y="20" text-anchor="middle" { (lane) }
                }
                @for (i, row) in self.rows.iter().enumerate() {
                    line.rule x1=(LEFT - 8) x2=(width) y1=(Self::y(i)) y2=(Self::y(i)) {}
                    text.time x=(LEFT - 14) y=(Self::y(i) + 4) text-anchor="end" {
                        (format!("{:.1}", row.time.saturating_sub(begin) as f64 / 1000.0))
                    }
                }
                @for i in 0..self.history.operations.len() { (self.bar(i)) }
                @for (from, to) in self.journeys() { (self.journey(from, to)) }
                @for i in 0..self.history.operations.len() { (self.labels(i)) }
                @for (i, row) in self.rows.iter().enumerate() {
                    @if row.event == Event::Killed {
                        text.killed x=(self.x(row.process)) y=(Self::y(i) + 5) text-anchor="middle" { "✗" }
                        text.killed x=(self.x(row.process) + 14) y=(Self::y(i) + 5) { "killed" }
                    }
                }
            }
        }
    }

    /// The span of the call; the part that is spent asleep is lighter.
    fn bar(&self, operation: usize) -> Markup {
        let o = &self.history.operations[operation];
        let Some(call) = self.row_of(operation, Event::Call) else { return html! {} };
        let end = self.end_of(operation);
        let (top, bottom) = (Self::y(call), end.map_or(self.bottom(), Self::y));
        let x = self.x(o.process) - 5;
        let asleep = self.row_of(operation, Event::Asleep).map(Self::y);
        html! {
            rect.call.wrong[self.is_wrong(o)].open[end.is_none()]
                x=(x) y=(top) width="10" height=(bottom - top) rx="4" {}
            @if let Some(asleep) = asleep {
                rect.asleep x=(x + 2) y=(asleep) width="6" height=(bottom.saturating_sub(asleep + 3)) rx="2" {}
            }
        }
    }

    fn labels(&self, operation: usize) -> Markup {
        let o = &self.history.operations[operation];
        let x = self.x(o.process) + 14;
        let wrong = self.is_wrong(o);
        let told = o.ret.map(|(_, ret)| match ret {
            Ret::Done => "ok".to_string(),
            Ret::Received(message) => format!("got {message}"),
            other => other.to_string(),
        });
        let y = |event| self.row_of(operation, event).map(|row| Self::y(row) + 4);
        html! {
            @if let Some(y) = y(Event::Call) { text.op x=(x) y=(y) { (o.op) } }
            @if let Some(y) = y(Event::Asleep) { text.sleep x=(x) y=(y) { "asleep" } }
            @if let (Some(y), Some(told)) = (y(Event::Return), told) {
                text.ret.wrong[wrong] x=(x) y=(y) { "→ " (told)
                    @if wrong { " ◄ not allowed" } }
            }
            @if self.end_of(operation).is_none() {
                text.ret.wrong[wrong] x=(x) y=(self.bottom() + 4) {
                    @if wrong { "never returns ◄ it should" } @else { "has not returned" } }
            }
        }
    }

    /// Which row of a send leads to which row of a receive.
    fn journeys(&self) -> Vec<((Process, usize), (Process, usize))> {
        let sent = |wanted: Message| {
            self.history.operations.iter().enumerate().find_map(|(i, o)| match o.op {
                Op::Send { message, .. } if message.same_name(&wanted) => {
                    Some((o.process, self.row_of(i, Event::Call)?))
                }
                _ => None,
            })
        };
        let arrivals =
            self.history.operations.iter().enumerate().filter_map(|(i, o)| match o.ret {
                Some((_, Ret::Received(message))) => {
                    Some((sent(message)?, (o.process, self.row_of(i, Event::Return)?)))
                }
                _ => None,
            });
        arrivals.filter(|(from, to)| from.0 != to.0).collect()
    }

    fn journey(&self, from: (Process, usize), to: (Process, usize)) -> Markup {
        let (x1, y1, x2, y2) = (self.x(from.0), Self::y(from.1), self.x(to.0), Self::y(to.1));
        let side = |x: usize, other: usize| if other > x { x + 6 } else { x - 6 };
        let (x1, x2) = (side(x1, x2), side(x2, x1));
        html! {
            line.message x1=(x1) y1=(y1) x2=(x2) y2=(y2) {}
            circle.message cx=(x2) cy=(y2) r="3.5" {}
        }
    }

    /// What those read out who cannot see it.
    fn in_words(&self) -> String {
        let told = |row: &Row| {
            let o = row.operation.map(|i| &self.history.operations[i]);
            let (p, op) = (row.process, o.map(|o| o.op.to_string()).unwrap_or_default());
            match (row.event, o.and_then(|o| o.ret)) {
                (Event::Call, _) => format!("{p} calls {op}"),
                (Event::Asleep, _) => format!("{p} sleeps in {op}"),
                (Event::Killed, _) => format!("{p} is killed"),
                (Event::Return, Some((_, ret))) => format!("{p} is told {ret}"),
                (Event::Return, None) => String::new(),
            }
        };
        self.rows.iter().map(told).collect::<Vec<_>>().join("; ")
    }
}
