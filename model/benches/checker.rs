//! How fast histories are checked, and how much memory that takes.
//!
//! `cargo bench -p ipc-model` measures the monitors and the searches of this crate on generated
//! histories; `model/benches/peers` measures other checkers beside them. Every measurement is a
//! process of its own, so that its peak memory is its own; the time is that of the check alone,
//! the median of three, the history being in memory. `IPC_BENCH_LARGEST=10000000` goes further
//! than the usual million calls.

#[path = "../tests/monitors/generate.rs"]
mod generate;
mod measure;

use generate::{Recipe, legal, swap_receives};
use ipc_model::check::monitor::{Finding, monitor};
use ipc_model::check::{Budget, explains};
use ipc_model::{Capacity, History, Profile, Spec, check, read_jsonl, write_jsonl};
use measure::Cell;

/// What is generated: a name, how much room, the percentage of calls that do not wait, whether
/// one process sends, how many are killed, whether one receive is wrong near the end.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    room: Option<usize>,
    hasty: usize,
    one_sender: bool,
    killed: usize,
    wrong: bool,
}

const PLAIN: Shape =
    Shape { name: "unbounded", room: None, hasty: 0, one_sender: false, killed: 0, wrong: false };

const SHAPES: &[Shape] = &[
    PLAIN,
    Shape { name: "unbounded, empty", hasty: 50, ..PLAIN },
    Shape { name: "unbounded, killed", hasty: 50, killed: 1, ..PLAIN },
    Shape { name: "unbounded, wrong", wrong: true, ..PLAIN },
    Shape { name: "capacity 1", room: Some(1), ..PLAIN },
    Shape {
        name: "capacity 1, one sender, full, empty",
        room: Some(1),
        one_sender: true,
        hasty: 50,
        ..PLAIN
    },
    Shape { name: "capacity 2, one sender", room: Some(2), one_sender: true, ..PLAIN },
    Shape { name: "capacity 16, one sender", room: Some(16), one_sender: true, ..PLAIN },
    Shape {
        name: "capacity 16, one sender, full, empty",
        room: Some(16),
        one_sender: true,
        hasty: 50,
        ..PLAIN
    },
    Shape {
        name: "capacity 16, one sender, wrong",
        room: Some(16),
        one_sender: true,
        wrong: true,
        ..PLAIN
    },
    Shape { name: "capacity 2, many", room: Some(2), ..PLAIN },
    Shape { name: "capacity 16, many", room: Some(16), ..PLAIN },
    Shape { name: "capacity 16, many, full, empty", room: Some(16), hasty: 50, ..PLAIN },
    Shape { name: "rendezvous", room: Some(0), ..PLAIN },
    Shape { name: "rendezvous, hasty", room: Some(0), hasty: 30, ..PLAIN },
];

fn profile(shape: Shape) -> Profile {
    Profile::mailbox(match shape.room {
        None => Capacity::Unbounded,
        Some(0) => Capacity::Zero,
        Some(n) => Capacity::Bounded(n as u32),
    })
}

fn history(shape: Shape, processes: usize, calls: usize) -> History {
    let senders = if shape.one_sender { 1 } else { processes / 2 };
    let receivers = processes - senders;
    let (room, hasty, killed) = (shape.room, shape.hasty, shape.killed);
    let mut history = legal(Recipe { senders, receivers, calls, room, hasty, killed }, 42);
    if shape.wrong {
        (0..20).for_each(|i| swap_receives(&mut history, calls / 10 * 9 + 10 * i));
    }
    history
}

fn main() {
    if let Some(cell) = Cell::asked_for() {
        return cell.report(run(&cell));
    }
    let largest = measure::largest();
    println!(
        "| history | processes | calls | checker | seconds | M calls/s | peak MiB | verdict |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (i, shape) in SHAPES.iter().enumerate() {
        for processes in [2, 8, 16] {
            for calls in
                [1_000, 100_000, 1_000_000, 10_000_000].into_iter().filter(|n| *n <= largest)
            {
                for checker in ["monitor", "search"] {
                    if checker == "search" && calls > 100_000 {
                        continue;
                    }
                    Cell::new(i, processes, calls, checker).show(shape.name);
                }
            }
        }
    }
    for calls in [100_000, largest.min(1_000_000)] {
        Cell::new(0, 8, calls, "check").show("unbounded, with coverage");
        Cell::new(0, 8, calls, "read").show("unbounded, JSON lines");
    }
}

/// Runs one cell: the median time of the check, and what it said.
fn run(cell: &Cell) -> (f64, String) {
    let shape = SHAPES[cell.shape];
    let profile = profile(shape);
    let history = history(shape, cell.processes, cell.calls);
    match cell.checker.as_str() {
        "monitor" => cell.median(|| match monitor(&profile, &history, Budget::default()) {
            Finding::Legal => "legal".into(),
            Finding::Broken(violation) => format!("broken: {}", violation.shape),
            Finding::Unsure(why) => format!("unsure: {why}"),
        }),
        "search" => {
            let spec = Spec::new(profile);
            cell.median(|| match explains(&spec, &history, Budget { states: 100_000 }) {
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
                let finding = monitor(&profile, &history, Budget::default());
                format!("{finding:?}")
            })
        }
        other => unreachable!("no checker {other}"),
    }
}
