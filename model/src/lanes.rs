//! The space-time picture of a history: one lane a process, time downwards, for a terminal.

use crate::history::{History, Operation};
use crate::op::{Process, Ret};
use crate::verdict::{Counterexample, Got};

/// What one process does in one row.
#[derive(Clone, PartialEq)]
enum Cell {
    Nothing,
    Call(String),
    Inside,
    Asleep,
    Return(String),
    Killed,
}

/// Draws the history, one row an event, in the order of time. The row of the counterexample, if
/// one is given, is marked.
pub fn draw(history: &History, counterexample: Option<&Counterexample>) -> String {
    let lanes: Vec<Process> = (0..history.width() as u16)
        .map(Process)
        .filter(|p| {
            let mine = |o: &Operation| o.process == *p;
            history.operations.iter().any(mine) || history.crashes.iter().any(|(_, k)| k == p)
        })
        .collect();
    let mut rows: Vec<(u64, u8, Process, Cell)> = Vec::new();
    for o in &history.operations {
        rows.push((o.call, 0, o.process, Cell::Call(o.op.to_string())));
        if let Some(time) = o.blocked {
            rows.push((time, 1, o.process, Cell::Asleep));
        }
        if let Some((time, ret)) = o.ret {
            rows.push((time, 3, o.process, Cell::Return(told(ret))));
        }
    }
    rows.extend(history.crashes.iter().map(|(time, p)| (*time, 2, *p, Cell::Killed)));
    rows.sort_by_key(|(time, rank, p, _)| (*time, *rank, *p));

    let begin = rows.first().map_or(0, |r| r.0);
    let width = |p: &Process| {
        let mine = rows.iter().filter(|r| r.2 == *p).map(|r| text(&r.3).chars().count());
        mine.max().unwrap_or(0).max(8) + 2
    };
    let widths: Vec<usize> = lanes.iter().map(width).collect();
    let mut picture = String::from("      µs ");
    for (p, width) in lanes.iter().zip(&widths) {
        picture.push_str(&format!(" {:<width$}", p.to_string()));
    }
    let mut inside = vec![false; lanes.len()];
    for (time, _, process, cell) in rows {
        let micros = (time - begin) as f64 / 1000.0;
        picture.push_str(&format!("\n{micros:8.1} "));
        for (lane, p) in lanes.iter().enumerate() {
            let shown = if *p == process {
                match cell {
                    Cell::Call(_) => inside[lane] = true,
                    Cell::Return(_) | Cell::Killed => inside[lane] = false,
                    _ => {}
                }
                cell.clone()
            } else if inside[lane] {
                Cell::Inside
            } else {
                Cell::Nothing
            };
            let width = widths[lane];
            picture.push_str(&format!(" {:<width$}", text(&shown)));
        }
        let wrong = counterexample.is_some_and(|c| {
            matches!(c.got, Got::Returned(_)) && c.process == process && c.time == time
        });
        if wrong && matches!(cell, Cell::Return(_)) {
            picture.push_str(" ◄── not allowed");
        }
    }
    for (process, _) in lanes.iter().zip(&inside).filter(|(_, inside)| **inside) {
        let stuck = counterexample.is_some_and(|c| c.got == Got::Stuck && c.process == *process);
        let mark = if stuck { " ◄── it should have" } else { "" };
        picture.push_str(&format!("\n     end  {process} has not returned{mark}"));
    }
    let lines: Vec<&str> = picture.lines().map(str::trim_end).collect();
    lines.join("\n")
}

fn told(ret: Ret) -> String {
    match ret {
        Ret::Done => "ok".into(),
        Ret::Received(message) => format!("got {message}"),
        other => other.to_string(),
    }
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Nothing => String::new(),
        Cell::Call(op) => format!("┌ {op}"),
        Cell::Inside => "│".into(),
        Cell::Asleep => "│ asleep".into(),
        Cell::Return(ret) => format!("└ {ret}"),
        Cell::Killed => "✗ killed".into(),
    }
}
