//! How fast histories are checked, and how much memory that takes.
//!
//! `cargo bench -p ipc-model` measures the monitors and the searches of this crate on generated
//! histories; `model/benches/peers` measures other checkers beside them. Every measurement is a
//! process of its own, so that its peak memory is its own; the time is that of the check alone,
//! the median of three, the history being in memory.
//!
//! `IPC_BENCH_LARGEST=10000000` goes further than the usual million calls, with 8 processes.
//! `IPC_BENCH_ONLY=monitor` leaves the searches out, `IPC_BENCH_SHAPES=0..4` most of the histories,
//! by their places in the list. `-- --plot TABLE` draws the tables that such parts of a run have
//! printed. `-- --write FILE SHAPE PROCESSES CALLS` writes a history.

#[path = "../tests/monitors/generate.rs"]
mod generate;
mod measure;

use ipc_model::check::monitor::{Finding, monitor, search_inside};
use ipc_model::check::{Budget, explains};
use ipc_model::{Spec, check, read_jsonl, write_binary, write_jsonl};
use measure::Cell;
use measure::plot::Plot;
use measure::shapes::{SHAPES, history, profile};

fn main() {
    if let Some(cell) = Cell::asked_for() {
        return cell.report(run(&cell));
    }
    if let Some((cell, file)) = Cell::to_write() {
        return write(&cell, &file);
    }
    if let Some(table) = measure::to_plot() {
        return measure::save(&Plot::of(&table, 8, "monitor"), "checker-bench.svg");
    }
    let largest = measure::largest();
    println!(
        "| history | processes | calls | checker | seconds | M calls/s | peak MiB | verdict |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut plot = Plot::default();
    for (i, shape) in SHAPES.iter().enumerate().filter(|(i, _)| measure::shapes().contains(i)) {
        for processes in [2, 8, 16] {
            let most = if processes == 8 { largest } else { largest.min(1_000_000) };
            for calls in [1_000, 100_000, 1_000_000, 10_000_000].into_iter().filter(|n| *n <= most)
            {
                for checker in ["monitor", "search inside", "search over the model"] {
                    if !measure::wanted(checker) || checker != "monitor" && calls > 100_000 {
                        continue;
                    }
                    let took = Cell::new(i, processes, calls, checker).show(shape.name);
                    if let (8, "monitor", Some(took)) = (processes, checker, took) {
                        plot.add(shape.name, calls, took);
                    }
                }
            }
        }
    }
    measure::save(&plot, "checker-bench.svg");
    for calls in [100_000, largest.min(1_000_000)] {
        if !measure::shapes().contains(&0) {
            continue;
        }
        Cell::new(0, 8, calls, "check").show("unbounded, with coverage");
        Cell::new(0, 8, calls, "read").show("unbounded, JSON lines");
    }
}

/// Writes the history of a cell, in the binary form if the file's name ends so.
fn write(cell: &Cell, file: &str) {
    let shape = SHAPES[cell.shape];
    let (profile, history) = (profile(shape), history(shape, cell.processes, cell.calls));
    let bytes = match file.ends_with(".bin") {
        true => write_binary(Some(&profile), &history),
        false => write_jsonl(Some(&profile), &history).into_bytes(),
    };
    std::fs::write(file, bytes).expect("the file can be written");
}

const BUDGET: Budget = Budget { states: 200_000 };

fn word(finding: &Finding) -> String {
    match finding {
        Finding::Legal => "legal".into(),
        Finding::Broken(violation) => format!("broken: {}", violation.shape),
        Finding::Unsure(why) => format!("unsure: {why}"),
    }
}

/// Runs one cell: the median time of the check, and what it said.
fn run(cell: &Cell) -> (f64, String) {
    let shape = SHAPES[cell.shape];
    let profile = profile(shape);
    let history = history(shape, cell.processes, cell.calls);
    match cell.checker.as_str() {
        "monitor" => cell.median(|| word(&monitor(&profile, &history, BUDGET))),
        "search inside" => cell.median(|| word(&search_inside(&profile, &history, BUDGET))),
        "search over the model" => {
            let spec = Spec::new(profile);
            cell.median(|| match explains(&spec, &history, BUDGET) {
                Some(true) => "legal".into(),
                Some(false) => "broken".into(),
                None => "gave up".into(),
            })
        }
        "check" => cell.median(|| {
            if check(&profile, &history).passed() { "pass".into() } else { "no pass".into() }
        }),
        "read" => {
            let text = write_jsonl(Some(&profile), &history);
            drop(history);
            cell.median(|| {
                let (_, history) = read_jsonl(&text).expect("it was just written");
                let finding = monitor(&profile, &history, BUDGET);
                word(&finding)
            })
        }
        other => unreachable!("no checker {other}"),
    }
}
