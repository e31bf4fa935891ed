//! What the text says about cost, held against this run: statements C3, C5, C6 and C7.

use serde::Serialize;

use crate::goals::NONE;
use crate::link::Family;
use crate::report::Row;

/// A statement of the text, and what came of it here.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Claim {
    pub(crate) statement: &'static str,
    pub(crate) says: &'static str,
    pub(crate) verdict: String,
    /// What was seen, line by line.
    pub(crate) seen: Vec<String>,
}

/// All four.
pub(crate) fn claims(rows: &[Row], sizes: &[usize]) -> Vec<Claim> {
    vec![overtakes(rows, sizes), fastest(rows, sizes), kernel_calls(rows), no_calls(rows)]
}

fn verdict(holds: Option<bool>) -> String {
    let word = match holds {
        Some(true) => "holds",
        Some(false) => "does not hold",
        None => "not measured",
    };
    word.into()
}

/// Rows that copy whole messages, in this family.
fn copying(rows: &[Row], family: Family) -> impl Iterator<Item = &Row> {
    rows.iter().filter(move |row| row.family == family && !row.in_place)
}

/// The fastest at this size.
fn best(rows: &[Row], family: Family, size: usize) -> Option<(&Row, f64)> {
    let times = copying(rows, family).filter_map(|row| Some((row, row.one_way.get(&size)?.median)));
    times.min_by(|a, b| a.1.total_cmp(&b.1))
}

/// C3: message passing suits small amounts. Where, by size, does shared memory overtake it?
fn overtakes(rows: &[Row], sizes: &[usize]) -> Claim {
    let mut seen = Vec::new();
    let mut ahead = Vec::new();
    for &size in sizes {
        let shared = best(rows, Family::SharedMemory, size);
        let (Some((shared, fast)), Some((kernel, slow))) =
            (shared, best(rows, Family::Kernel, size))
        else {
            continue;
        };
        seen.push(format!(
            "{size:>6} B: {} is {:.1} times as fast as {}, the fastest message passing",
            shared.name,
            slow / fast,
            kernel.name
        ));
        let behind = copying(rows, Family::SharedMemory)
            .filter(|row| row.one_way.get(&size).is_some_and(|figure| figure.median > slow));
        let behind: Vec<_> = behind.map(|row| row.name).collect();
        if !behind.is_empty() {
            seen.push(format!("          slower than {}: {}", kernel.name, behind.join(", ")));
        }
        ahead.push((size, fast < slow));
    }
    let asleep = |family| {
        let trips =
            copying(rows, family).filter_map(|row| Some((row.name, row.sleeping.as_ref()?)));
        // Whoever has not slept has not paid for it.
        let trips = trips.filter(|(_, trip)| trip.slept > 0.5);
        trips.min_by(|a, b| a.1.p50.median.total_cmp(&b.1.p50.median))
    };
    if let (Some((s, shared)), Some((k, kernel))) =
        (asleep(Family::SharedMemory), asleep(Family::Kernel))
    {
        let ratio = kernel.p50.median / shared.p50.median;
        seen.push(format!(
            "to a sleeper it is all one: {s} is {ratio:.2} times as fast there and back as {k}"
        ));
    }
    let verdict = match ahead.iter().position(|(_, ahead)| *ahead) {
        _ if ahead.is_empty() => "not measured".into(),
        None => "at none of these sizes".into(),
        Some(0) => format!("from the smallest size on, {} B", ahead[0].0),
        Some(i) => format!("between {} and {} B", ahead[i - 1].0, ahead[i].0),
    };
    let says = "message passing suits small amounts; shared memory overtakes it";
    Claim { statement: "C3", says, verdict, seen }
}

/// C5: shared memory is the fastest.
fn fastest(rows: &[Row], sizes: &[usize]) -> Claim {
    let mut seen = Vec::new();
    let mut holds = None;
    for &size in sizes {
        let Some((shared, time)) = best(rows, Family::SharedMemory, size) else { continue };
        for kernel in copying(rows, Family::Kernel) {
            let Some(figure) = kernel.one_way.get(&size) else { continue };
            let faster = time < figure.median;
            holds = Some(holds.unwrap_or(true) && faster);
            if !faster {
                seen.push(format!("{size} B: {} beats {}", kernel.name, shared.name));
            }
        }
        seen.push(format!("{size:>6} B: {} at {}", shared.name, crate::table::time(time)));
    }
    let says = "the fastest link through shared memory beats every message-passing link, at \
                every size";
    Claim { statement: "C5", says, verdict: verdict(holds), seen }
}

/// C6: message passing costs system calls for each message.
fn kernel_calls(rows: &[Row]) -> Claim {
    let mut seen = Vec::new();
    let mut holds = None;
    for row in copying(rows, Family::Kernel).filter(|row| !row.calls.is_empty()) {
        let least = row.calls.values().copied().fold(f64::INFINITY, f64::min);
        let most = row.calls.values().copied().fold(0.0, f64::max);
        let costs = least > 0.5;
        holds = Some(holds.unwrap_or(true) && costs);
        seen.push(if most - least < 0.005 {
            format!("{:<14} {least:.2} a message", row.name)
        } else {
            format!("{:<14} {least:.2} to {most:.2} a message", row.name)
        });
    }
    let says = "every message costs system calls (counted by the kernel, both ends together)";
    Claim { statement: "C6", says, verdict: verdict(holds), seen }
}

/// C7: shared memory needs none once it is set up.
fn no_calls(rows: &[Row]) -> Claim {
    let mut seen = Vec::new();
    let mut holds = None;
    for row in copying(rows, Family::SharedMemory).filter(|row| !row.calls.is_empty()) {
        let most = row.calls.values().copied().fold(0.0, f64::max);
        holds = Some(holds.unwrap_or(true) && most <= NONE);
        let note = if most <= NONE { "" } else { ", so this one talks to the kernel" };
        seen.push(format!("{:<14} {most:.4} a message{note}", row.name));
    }
    let says = "no message costs a system call while both ends are awake (at most one in 1000)";
    Claim { statement: "C7", says, verdict: verdict(holds), seen }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::report::Figure;

    const SIZES: [usize; 2] = [8, 1024];

    fn row(name: &'static str, family: Family, times: [f64; 2], calls: f64) -> Row {
        let figure = |time| Figure { median: time, capacity: 1, of_limit: None, rounds: vec![] };
        Row {
            name,
            family,
            in_place: false,
            one_way: SIZES.into_iter().zip(times.map(figure)).collect(),
            calls: SIZES.into_iter().map(|size| (size, calls)).collect(),
            two_by_two: None,
            spinning: None,
            sleeping: None,
            unavailable: BTreeMap::new(),
        }
    }

    fn verdicts(shared: Row, kernel: Row) -> Vec<String> {
        claims(&[shared, kernel], &SIZES).into_iter().map(|claim| claim.verdict).collect()
    }

    #[test]
    fn each_claim_can_hold_and_can_fail() {
        let as_the_text_says = verdicts(
            row("shared", Family::SharedMemory, [5.0, 20.0], 0.0),
            row("kernel", Family::Kernel, [400.0, 500.0], 2.0),
        );
        assert_eq!(as_the_text_says, ["from the smallest size on, 8 B", "holds", "holds", "holds"]);
        let otherwise = verdicts(
            row("shared", Family::SharedMemory, [500.0, 20.0], 1.0),
            row("kernel", Family::Kernel, [400.0, 500.0], 0.1),
        );
        let not = "does not hold";
        assert_eq!(otherwise, ["between 8 and 1024 B", not, not, not]);
    }

    #[test]
    fn nothing_is_claimed_of_what_was_not_measured() {
        let verdicts: Vec<_> = claims(&[], &SIZES).into_iter().map(|c| c.verdict).collect();
        assert_eq!(verdicts, ["not measured"; 4]);
    }
}
