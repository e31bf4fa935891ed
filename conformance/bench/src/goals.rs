//! What the links of this project are to reach, as ratios within one run.

use serde::Serialize;

use crate::contenders::LIMIT;
use crate::link::Family;
use crate::report::{Figure, Row};

/// A goal, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Goal {
    pub(crate) goal: String,
    pub(crate) bound: Bound,
    /// The ratio, if all who are compared were measured.
    pub(crate) measured: Option<f64>,
    pub(crate) verdict: &'static str,
}

/// On which side of a number a ratio has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

use Bound::{AtLeast, AtMost};

/// What counts as no system call a message: one in so many messages, when a peer was held up.
pub(crate) const NONE: f64 = 1.0 / 1000.0;

/// All goals.
pub(crate) fn goals(rows: &[Row]) -> Vec<Goal> {
    let mut goals = ring(rows);
    goals.extend(other_links(rows));
    let shared = |row: &&Row| row.family == Family::SharedMemory && row.name.starts_with("own/");
    for row in rows.iter().filter(shared) {
        let text = format!("{}: system calls a message while its peers are awake", row.name);
        let most = row.calls.values().copied().reduce(f64::max);
        goals.push(goal(text, AtMost(NONE), most));
    }
    let bare = [
        ("own/mq", "posix-mq"),
        ("own/sysv", "sysv"),
        ("own/pipe", "pipe-packets"),
        ("own/pipe", "pipe"),
        ("own/seqpacket", "seqpacket"),
        ("own/dgram", "unix-dgram"),
        ("own/stream", "unix-stream"),
        ("own/tcp", "tcp"),
    ];
    for (own, bare) in bare {
        // A link that is fast at most sizes and slow at one is not as fast as the bare calls.
        let sizes = rows.iter().find(|row| row.name == own).map(|row| row.one_way.keys());
        let ratios = sizes
            .into_iter()
            .flatten()
            .filter_map(|size| one_way(rows, own, *size)?.against(one_way(rows, bare, *size)?));
        let text = format!("{own} one way, at its worst size: of {bare}, the bare calls");
        goals.push(goal(text, AtMost(1.05), ratios.reduce(f64::max)));
    }
    goals
}

/// One sender, one receiver.
fn ring(rows: &[Row]) -> Vec<Goal> {
    let mut goals = Vec::new();
    let mut against = |size: usize, other: &str, bound: Bound| {
        let (own, other_figure) = (one_way(rows, "own/ring", size), one_way(rows, other, size));
        let (text, ratio) = match bound {
            AtMost(_) => ("of", ratio(own, other_figure)),
            AtLeast(_) => ("times as fast as", ratio(other_figure, own)),
        };
        goals.push(goal(format!("own/ring one way, {size} B: {text} {other}"), bound, ratio));
    };
    for size in [8, 64] {
        against(size, LIMIT, AtMost(2.0));
        against(size, "rtrb", AtMost(1.0));
        against(size, "iceoryx2", AtLeast(30.0));
        against(size, "posix-mq", AtLeast(100.0));
    }
    against(1024, LIMIT, AtMost(1.3));
    against(65536, LIMIT, AtMost(1.15));
    let trip = find(rows, "own/ring").and_then(|row| row.spinning.as_ref()?.p50.of_limit);
    let text = "own/ring round trip, spinning: of one line going back and forth";
    goals.push(goal(text.into(), AtMost(1.7), trip));
    goals
}

/// Everything else in shared memory.
fn other_links(rows: &[Row]) -> Vec<Goal> {
    let of_limit = |name, size| one_way(rows, name, size).and_then(|figure| figure.of_limit);
    let two_by_two = |name| find(rows, name).and_then(|row| row.two_by_two.as_ref());
    let crossbeam = "crossbeam-channel";
    let loan = ratio(one_way(rows, "iceoryx2/loan", 65536), one_way(rows, "own/ring-loan", 65536));
    let rendezvous = find(rows, "own/rendezvous");
    let spinning = rendezvous.and_then(|row| row.spinning.as_ref()?.p50.of_limit);
    let sleeping = rendezvous.and_then(|row| row.sleeping.as_ref()?.p50.of_limit);
    let mailbox = one_way(rows, "own/mailbox", 8);
    let list = [
        (
            "own/ring-loan, 64 KiB of which 16 B are touched: times as fast as iceoryx2/loan",
            AtLeast(5.0),
            loan,
        ),
        ("own/mailbox one way, 8 B: of the limit", AtMost(5.0), of_limit("own/mailbox", 8)),
        (
            "own/mailbox one way, 8 B: of crossbeam-channel, bounded, between threads",
            AtMost(1.0),
            ratio(mailbox, one_way(rows, crossbeam, 8)),
        ),
        (
            "own/mailbox, 2 senders and 2 receivers: of crossbeam-channel, bounded",
            AtMost(1.0),
            ratio(two_by_two("own/mailbox"), two_by_two(crossbeam)),
        ),
        ("own/rendezvous round trip, spinning: of one line", AtMost(2.0), spinning),
        ("own/rendezvous round trip, sleeping: of a futex mailbox", AtMost(1.2), sleeping),
        ("own/unbounded one way, 8 B: of the limit", AtMost(4.0), of_limit("own/unbounded", 8)),
    ];
    list.map(|(text, bound, measured)| goal(text.into(), bound, measured)).into()
}

fn goal(goal: String, bound: Bound, measured: Option<f64>) -> Goal {
    let verdict = match (measured, bound) {
        (None, _) => "not measured",
        (Some(ratio), AtMost(most)) if ratio <= most => "met",
        (Some(ratio), AtLeast(least)) if ratio >= least => "met",
        _ => "missed",
    };
    Goal { goal, bound, measured, verdict }
}

fn ratio(one: Option<&Figure>, other: Option<&Figure>) -> Option<f64> {
    one?.against(other?)
}

pub(crate) fn find<'a>(rows: &'a [Row], name: &str) -> Option<&'a Row> {
    rows.iter().find(|row| row.name == name)
}

pub(crate) fn one_way<'a>(rows: &'a [Row], name: &str, size: usize) -> Option<&'a Figure> {
    find(rows, name)?.one_way.get(&size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_on_its_side_of_the_bound_and_nothing_is_met_unmeasured() {
        let verdict = |bound, measured| goal(String::new(), bound, measured).verdict;
        assert_eq!(verdict(AtMost(2.0), Some(2.0)), "met");
        assert_eq!(verdict(AtMost(2.0), Some(2.1)), "missed");
        assert_eq!(verdict(AtLeast(5.0), Some(5.0)), "met");
        assert_eq!(verdict(AtLeast(5.0), Some(4.9)), "missed");
        assert_eq!(verdict(AtMost(2.0), None), "not measured");
        assert_eq!(verdict(AtMost(2.0), Some(f64::NAN)), "missed");
    }
}
