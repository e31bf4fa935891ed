//! The space-time picture as SVG: one lane a process, time downwards, one row an event, and a line
//! from each send to the receive that took its message.

use std::collections::HashSet;

use ipc_model::check::Followed;
use ipc_model::{Counterexample, Got, History, Message, Op, Operation, Process, Ret};
use maud::{Markup, PreEscaped, html};

use super::{COLOURS, LANES};
use crate::report::Trace;

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

/// The call that is not as it should be.
pub(super) struct Wrong {
    process: u16,
    call: String,
    /// When it returned; `None`: it never did.
    returned: Option<u64>,
}

impl From<&Trace> for Wrong {
    fn from(trace: &Trace) -> Self {
        let returned = trace.returned.as_ref().map(|_| trace.time);
        Self { process: trace.process, call: trace.call.clone(), returned }
    }
}

impl From<&Counterexample> for Wrong {
    fn from(found: &Counterexample) -> Self {
        let returned = matches!(found.got, Got::Returned(_)).then_some(found.time);
        Self { process: found.process.0, call: found.op.to_string(), returned }
    }
}

impl Wrong {
    pub(super) fn is(&self, o: &Operation) -> bool {
        o.process.0 == self.process
            && match (o.ret, self.returned) {
                (Some((time, _)), Some(returned)) => time == returned,
                (None, None) => o.op.to_string() == self.call,
                _ => false,
            }
    }
}

/// A history to draw, and what is to be pointed out in it.
pub(super) struct Picture<'a> {
    history: &'a History,
    wrong: Option<Wrong>,
    /// The calls that prove what is wrong, by process and time of call.
    proof: HashSet<(Process, u64)>,
    followed: Option<&'a Followed>,
    lanes: Vec<Process>,
    rows: Vec<Row>,
    /// The rows of each operation's call, sleep and return.
    places: Vec<[Option<usize>; 3]>,
    lane_width: usize,
}

impl<'a> Picture<'a> {
    /// The picture; `None` if nothing happened, or more than so many events: that is no picture
    /// any more.
    pub(super) fn new(history: &'a History, most: usize) -> Option<Self> {
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
        if rows.is_empty() || rows.len() > most {
            return None;
        }
        let mut lanes: Vec<Process> = rows.iter().map(|r| r.process).collect();
        lanes.sort_unstable();
        lanes.dedup();
        let mut places = vec![[None; 3]; history.operations.len()];
        for (row, Row { event, operation, .. }) in rows.iter().enumerate() {
            let Some(operation) = operation else { continue };
            places[*operation][Self::part(*event)] = Some(row);
        }
        let longest = history.operations.iter().map(|o| o.op.to_string().chars().count()).max();
        let lane_width = (longest.unwrap_or(0).max(10) * LETTER + 40).max(130);
        let (wrong, proof, followed) = (None, HashSet::new(), None);
        Some(Self { history, wrong, proof, followed, lanes, rows, places, lane_width })
    }

    /// Points out the call that is wrong.
    pub(super) fn wrong(self, wrong: impl Into<Wrong>) -> Self {
        Self { wrong: Some(wrong.into()), ..self }
    }

    /// Points out the calls that prove it.
    pub(super) fn proof(self, operations: &[Operation]) -> Self {
        Self { proof: operations.iter().map(|o| (o.process, o.call)).collect(), ..self }
    }

    /// Tells when calls took effect, and what they were allowed.
    pub(super) fn followed(self, followed: &'a Followed) -> Self {
        Self { followed: Some(followed), ..self }
    }

    fn part(event: Event) -> usize {
        match event {
            Event::Call => 0,
            Event::Asleep => 1,
            Event::Return | Event::Killed => 2,
        }
    }

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
        self.places[operation][Self::part(event)]
    }

    /// Where the call ends: at its return, at the death of its process, or not at all.
    fn end_of(&self, operation: usize) -> Option<usize> {
        let call = self.row_of(operation, Event::Call)?;
        let process = self.history.operations[operation].process;
        let killed = |r: &Row| r.event == Event::Killed && r.process == process;
        let death = || self.rows.iter().skip(call).position(killed).map(|i| i + call);
        self.row_of(operation, Event::Return).or_else(death)
    }

    fn is_wrong(&self, o: &Operation) -> bool {
        self.wrong.as_ref().is_some_and(|wrong| wrong.is(o))
    }

    fn proves(&self, o: &Operation) -> bool {
        self.proof.contains(&(o.process, o.call))
    }

    fn begin(&self) -> u64 {
        self.rows.first().map_or(0, |r| r.time)
    }

    /// The unit of time, and how many nanoseconds it has.
    fn unit(&self) -> (&'static str, u64) {
        let end = self.rows.last().map_or(0, |r| r.time);
        if end - self.begin() < 10_000 { ("ns", 1) } else { ("µs", 1000) }
    }

    /// A stretch of time in that unit, without its name.
    fn long(&self, time: u64) -> String {
        match self.unit() {
            (_, 1) => time.to_string(),
            (_, unit) => format!("{:.1}", time as f64 / unit as f64),
        }
    }

    /// A time from the beginning on.
    fn at(&self, time: u64) -> String {
        self.long(time.saturating_sub(self.begin()))
    }

    /// The picture by itself, as a file: its colours and shapes are in it.
    pub(super) fn file(&self) -> String {
        let style = format!("{COLOURS}{LANES}svg.lanes {{ background: var(--raised); }}");
        self.svg(&html! { style { (PreEscaped(style)) } }).into_string()
    }

    pub(super) fn markup(&self) -> Markup {
        self.svg(&html! {})
    }

    fn svg(&self, style: &Markup) -> Markup {
        let width = LEFT + self.lanes.len() * self.lane_width + 190;
        let operations = 0..self.history.operations.len();
        // Calls that have not returned are told below the last event.
        let open = operations.clone().any(|i| self.end_of(i).is_none());
        let height = self.bottom() + if open { ROW / 2 } else { 0 };
        html! {
            svg.lanes xmlns="http://www.w3.org/2000/svg" width=(width) height=(height)
                viewBox=(format!("0 0 {width} {height}")) role="img"
                aria-label=(self.in_words()) {
                (style)
                text.time x=(LEFT - 14) y="20" text-anchor="end" { (self.unit().0) }
                @for lane in &self.lanes {
                    line.lane x1=(self.x(*lane)) x2=(self.x(*lane)) y1="30" y2=(height) {}
                    text.process x=(self.x(*lane)) y="20" text-anchor="middle" { (lane) }
                }
                @for (i, row) in self.rows.iter().enumerate() {
                    line.rule x1=(LEFT - 8) x2=(width) y1=(Self::y(i)) y2=(Self::y(i)) {}
                    text.time x=(LEFT - 14) y=(Self::y(i) + 4) text-anchor="end" {
                        (self.at(row.time))
                    }
                }
                (self.frontier(width))
                @for (from, to) in self.journeys() { (self.journey(from, to)) }
                @for i in operations { (self.operation(i)) }
                @for (i, row) in self.rows.iter().enumerate() {
                    @if row.event == Event::Killed {
                        text.killed x=(self.x(row.process)) y=(Self::y(i) + 5) text-anchor="middle" { "✗" }
                        text.killed x=(self.x(row.process) + 14) y=(Self::y(i) + 5) { "killed" }
                    }
                }
            }
        }
    }

    /// A call with all that is known of it, which a pointer on it shows.
    fn operation(&self, i: usize) -> Markup {
        let o = &self.history.operations[i];
        let message = match o.ret {
            Some((_, Ret::Received(message) | Ret::Torn(message))) => Some(message),
            _ => o.op.message(),
        };
        let message = message.map(|m| m.to_string());
        html! {
            g.operation.proof[self.proves(o)].wrong[self.is_wrong(o)] data-message=[message] {
                title { (self.tip(i)) }
                (self.bar(i))
                (self.labels(i))
                (self.effect(i))
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
            rect.call.wrong[self.is_wrong(o)].proof[self.proves(o)].open[end.is_none()]
                x=(x) y=(top) width="10" height=(bottom - top) rx="4" {}
            @if let Some(asleep) = asleep {
                rect.asleep x=(x + 2) y=(asleep) width="6" height=(bottom.saturating_sub(asleep + 3)) rx="2" {}
            }
        }
    }

    fn labels(&self, operation: usize) -> Markup {
        let o = &self.history.operations[operation];
        let x = self.x(o.process) + 14;
        let (wrong, proof) = (self.is_wrong(o), self.proves(o));
        let y = |event| self.row_of(operation, event).map(|row| Self::y(row) + 4);
        html! {
            @if let Some(y) = y(Event::Call) { text.op.proof[proof] x=(x) y=(y) { (o.op) } }
            @if let Some(y) = y(Event::Asleep) { text.sleep x=(x) y=(y) { "asleep" } }
            @if let (Some(y), Some(told)) = (y(Event::Return), told(o)) {
                text.ret.wrong[wrong].proof[proof] x=(x) y=(y) { "→ " (told)
                    @if wrong { " ◄ not allowed" } }
            }
            @if self.end_of(operation).is_none() {
                text.ret.wrong[wrong] x=(x) y=(self.bottom() + 4) {
                    @if wrong { "never returns ◄ it should" } @else { "has not returned" } }
            }
        }
    }

    /// The first row at this time or after it.
    fn row_at(&self, time: u64) -> usize {
        self.rows.partition_point(|r| r.time < time)
    }

    /// When the call took effect in the explanation that was found, and as which step.
    fn effect(&self, operation: usize) -> Markup {
        let effects = self.followed.iter().flat_map(|f| &f.effects);
        let Some((step, effect)) = effects.enumerate().find(|(_, e)| e.calls.contains(&operation))
        else {
            return html! {};
        };
        let (x, y) = (
            self.x(self.history.operations[operation].process),
            Self::y(self.row_at(effect.before)).saturating_sub(ROW / 2),
        );
        html! {
            circle.effect cx=(x) cy=(y) r="9" {}
            text.effect x=(x) y=(y + 4) text-anchor="middle" { (step + 1) }
        }
    }

    /// How far the explanation goes.
    fn frontier(&self, width: usize) -> Markup {
        let Some(until) = self.followed.and_then(|f| f.explained_until) else { return html! {} };
        let y = Self::y(self.row_at(until)) - ROW / 2;
        html! {
            line.frontier x1=(LEFT - 8) x2=(width) y1=(y) y2=(y) {}
            text.frontier x=(width - 6) y=(y - 5) text-anchor="end" { "explained until here" }
        }
    }

    fn tip(&self, operation: usize) -> String {
        let o = &self.history.operations[operation];
        let mut lines = vec![format!("{} {}", o.process, o.op)];
        let unit = self.unit().0;
        lines.push(format!("called at {} {unit}", self.at(o.call)));
        if let Some(time) = o.blocked {
            lines.push(format!("seen asleep at {} {unit}", self.at(time)));
        }
        lines.push(match (o.ret, told(o)) {
            (Some((time, _)), Some(told)) => format!(
                "returned {told} at {} {unit}, after {} {unit}",
                self.at(time),
                self.long(time - o.call)
            ),
            _ => "never returned".into(),
        });
        if let Some(followed) = self.followed {
            let step = followed.effects.iter().zip(1..).find(|(e, _)| e.calls.contains(&operation));
            if let Some((effect, step)) = step {
                let inside: Vec<String> = effect.inside.iter().map(Message::to_string).collect();
                let inside = match inside.len() {
                    0 => "nothing".into(),
                    1..=12 => inside.join(", "),
                    n => format!("{}, … ({n} messages)", inside[..10].join(", ")),
                };
                lines.push(format!("took effect as step {step}, by {}", effect.rule));
                lines.push(format!("inside then: {inside}"));
            }
            for (what, rule) in followed.allowed.get(operation).into_iter().flatten() {
                lines.push(format!("allowed: {what}, by {rule}"));
            }
        }
        if self.is_wrong(o) {
            lines.push("this is not allowed".into());
        } else if self.proves(o) {
            lines.push("part of the proof".into());
        }
        lines.join("\n")
    }

    /// Which row of a send leads to which row of a receive.
    fn journeys(&self) -> Vec<((Process, usize), (Process, usize))> {
        let sends = self.history.operations.iter().enumerate().filter_map(|(i, o)| match o.op {
            Op::Send { message, .. } => Some((
                (message.sender, message.sequence),
                (o.process, self.row_of(i, Event::Call)?),
            )),
            _ => None,
        });
        let sent: std::collections::HashMap<_, _> = sends.collect();
        let arrivals =
            self.history.operations.iter().enumerate().filter_map(|(i, o)| match o.ret {
                Some((_, Ret::Received(m))) => {
                    let from = *sent.get(&(m.sender, m.sequence))?;
                    Some((from, (o.process, self.row_of(i, Event::Return)?)))
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

/// What the call was told, in a few letters.
fn told(o: &Operation) -> Option<String> {
    o.ret.map(|(_, ret)| match ret {
        Ret::Done => "ok".to_string(),
        Ret::Received(message) => format!("got {message}"),
        other => other.to_string(),
    })
}
