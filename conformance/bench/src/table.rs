//! The report on a terminal.

use std::fmt::Write;

use crate::goals::Bound;
use crate::link::Family;
use crate::report::{Figure, Report, Row, Trip};

/// A time with the unit that suits it.
pub(crate) fn time(ns: f64) -> String {
    match ns {
        ..10.0 => format!("{ns:.1} ns"),
        ..10_000.0 => format!("{ns:.0} ns"),
        _ => format!("{:.1} µs", ns / 1000.0),
    }
}

fn title(family: Family) -> &'static str {
    match family {
        Family::Limit => "the limit: bare cache lines (asleep: a futex)",
        Family::SharedMemory => "shared memory, between processes",
        Family::Kernel => "message passing by the kernel, between processes",
        Family::Threads => "threads of one process, for comparison",
    }
}

/// All of it.
pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    let e = &report.environment;
    let _ = writeln!(
        text,
        "{}, {} CPUs, Linux {}; {} rounds, medians; × is the ratio to the limit\n",
        e.processor, e.cpus, e.kernel, report.rounds
    );
    one_way(&mut text, report);
    trips(&mut text, report);
    missing(&mut text, report);
    claims(&mut text, report);
    goals(&mut text, report);
    text
}

fn groups(report: &Report) -> Vec<(Family, Vec<&Row>)> {
    let families = [Family::Limit, Family::SharedMemory, Family::Kernel, Family::Threads];
    let rows =
        |family| -> Vec<&Row> { report.links.iter().filter(|row| row.family == family).collect() };
    families.into_iter().map(|family| (family, rows(family))).filter(|g| !g.1.is_empty()).collect()
}

fn cell(figure: Option<&Figure>) -> String {
    let Some(figure) = figure else { return format!("{:>17}", "–") };
    let ratio = figure.of_limit.map_or(String::new(), |ratio| match ratio {
        ..10.0 => format!("{ratio:.2}×"),
        _ => format!("{ratio:.0}×"),
    });
    format!("{:>9} {ratio:>7}", time(figure.median))
}

fn size_name(size: usize) -> String {
    if size.is_multiple_of(1024) { format!("{} KiB", size / 1024) } else { format!("{size} B") }
}

fn one_way(text: &mut String, report: &Report) {
    let _ = write!(text, "{:<18}", "one way, a message");
    for size in &report.sizes {
        let _ = write!(text, "{:>17}", size_name(*size));
    }
    let _ = writeln!(text, "   system calls");
    for (family, rows) in groups(report) {
        let _ = writeln!(text, "  {}", title(family));
        for row in rows {
            let _ = write!(text, "{:<18}", row.name);
            for size in &report.sizes {
                text.push_str(&cell(row.one_way.get(size)));
            }
            let calls = row.calls.values().next();
            let calls = calls.map_or("–".into(), |calls| match calls {
                0.0 => "0".into(),
                ..0.01 => format!("{calls:.5}"),
                _ => format!("{calls:.2}"),
            });
            let _ = writeln!(text, "   {calls:>12}");
        }
    }
    text.push('\n');
}

fn trip(trip: Option<&Trip>) -> String {
    let Some(trip) = trip else { return format!("{:>30}", "–") };
    let ratio = trip.p50.of_limit.map_or(String::new(), |ratio| format!("{ratio:.2}×"));
    format!("{:>9} /{:>9} {ratio:>8}", time(trip.p50.median), time(trip.p99))
}

fn trips(text: &mut String, report: &Report) {
    let size = report.sizes.first().copied().map_or(String::new(), size_name);
    let _ = writeln!(
        text,
        "{:<18}{:>30}{:>30}{:>17}",
        format!("round trip, {size}"),
        "spinning p50 / p99",
        "asleep p50 / p99",
        "2 + 2, a message"
    );
    for (family, rows) in groups(report) {
        let _ = writeln!(text, "  {}", title(family));
        for row in rows.iter().filter(|row| row.spinning.is_some() || row.sleeping.is_some()) {
            // Whoever does not sleep has no time of waking.
            let asleep = row.sleeping.as_ref().filter(|trip| trip.slept > 0.5);
            let two = row.two_by_two.as_ref().map_or(String::new(), |figure| time(figure.median));
            let spinning = trip(row.spinning.as_ref());
            let _ = writeln!(text, "{:<18}{spinning:>30}{:>30}{two:>17}", row.name, trip(asleep));
        }
    }
    text.push('\n');
}

/// Why there are gaps.
fn missing(text: &mut String, report: &Report) {
    for row in &report.links {
        let mut reasons: Vec<(&String, Vec<String>)> = Vec::new();
        for (size, why) in &row.unavailable {
            match reasons.iter_mut().find(|(known, _)| *known == why) {
                Some((_, sizes)) => sizes.push(size_name(*size)),
                None => reasons.push((why, vec![size_name(*size)])),
            }
        }
        for (why, sizes) in reasons {
            let _ = writeln!(text, "– {} {}: {why}", row.name, sizes.join(", "));
        }
    }
    text.push('\n');
}

fn claims(text: &mut String, report: &Report) {
    for claim in &report.claims {
        let _ = writeln!(text, "{}  {}: {}", claim.statement, claim.says, claim.verdict);
        for line in &claim.seen {
            let _ = writeln!(text, "      {line}");
        }
    }
    text.push('\n');
}

fn goals(text: &mut String, report: &Report) {
    let longest = report.goals.iter().map(|goal| goal.goal.chars().count()).max().unwrap_or(0);
    let _ =
        writeln!(text, "{:<longest$}{:>12}{:>10}", "goals, as ratios in this run", "goal", "here");
    for goal in &report.goals {
        let bound = match goal.bound {
            Bound::AtMost(most) => format!("≤ {most}"),
            Bound::AtLeast(least) => format!("≥ {least}"),
        };
        let measured = goal.measured.map_or("–".into(), |ratio| match ratio {
            0.0 => "0".into(),
            ..0.01 => format!("{ratio:.5}"),
            ..10.0 => format!("{ratio:.2}"),
            _ => format!("{ratio:.0}"),
        });
        let _ =
            writeln!(text, "{:<longest$}{bound:>12}{measured:>10}  {}", goal.goal, goal.verdict);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_suits_them() {
        assert_eq!(time(2.94), "2.9 ns");
        assert_eq!(time(840.0), "840 ns");
        assert_eq!(time(40_640.0), "40.6 µs");
    }
}
