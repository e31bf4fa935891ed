//! Other people's linearizability testers beside ours, in one run on the same histories.
//!
//! `cargo run --release --manifest-path model/benches/peers/Cargo.toml`. They know the unbounded
//! queue only, and complete histories: calls that are pending at the end are left out for all.

#[path = "../../../tests/monitors/generate.rs"]
mod generate;
#[expect(dead_code, reason = "the benchmark of this crate alone measures more")]
#[path = "../../measure/mod.rs"]
mod measure;

use std::collections::VecDeque;

use ipc_model::check::monitor::{Finding, monitor, search_inside};
use ipc_model::check::{Budget, explains};
use ipc_model::{History, Message, Refusal, Ret, Spec};
use measure::Cell;
use measure::plot::Plot;
use measure::shapes::{SHAPES, history, profile};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};
use todc_utils::{Action, History as TodcHistory, Specification, WGLChecker};

/// The first is the one that the others are compared with.
const CHECKERS: [&str; 5] = [OURS, "monitor", "search over the model", "stateright", "todc-utils"];
const OURS: &str = "search inside";
const SIZES: [usize; 5] = [100, 300, 1_000, 10_000, 100_000];

fn main() {
    if let Some(cell) = Cell::asked_for() {
        let result = run(&cell);
        return cell.report(result);
    }
    println!(
        "| history | processes | calls | checker | seconds | M calls/s | peak MiB | verdict |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut plot = Plot::default();
    let mut ratios = Vec::new();
    for shape in [0, 1, 3].into_iter().filter(|i| measure::shapes().contains(i)) {
        for processes in [2, 4, 8] {
            let mut given_up = Vec::new();
            for calls in SIZES {
                let mut ours = None;
                // One that took too long, or too much memory, takes no less for more calls.
                for checker in CHECKERS {
                    if given_up.contains(&checker) {
                        continue;
                    }
                    let took = Cell::new(shape, processes, calls, checker).show(SHAPES[shape].name);
                    let Some(took) = took else {
                        given_up.push(checker);
                        continue;
                    };
                    match (checker, ours) {
                        (OURS, _) => ours = Some(took),
                        (_, Some(ours)) => {
                            ratios.push((SHAPES[shape].name, processes, calls, checker, took / ours));
                        }
                        _ => {}
                    }
                    if shape == 0 {
                        plot.add(&format!("{checker}, {processes} processes"), calls, took);
                    }
                }
            }
        }
    }
    println!("
| history | processes | calls | checker | times as long as {OURS} |");
    println!("|---|---|---|---|---|");
    for (name, processes, calls, checker, ratio) in ratios {
        println!("| {name} | {processes} | {calls} | {checker} | {ratio:.1} |");
    }
    measure::save(&plot, "peers-bench.svg");
}

fn run(cell: &Cell) -> (f64, String) {
    let shape = SHAPES[cell.shape];
    let mut history = history(shape, cell.processes, cell.calls);
    history.operations.retain(|o| o.ret.is_some());
    let word = |legal: bool| if legal { "legal" } else { "broken" }.to_owned();
    match cell.checker.as_str() {
        "monitor" => cell.median(|| {
            word(monitor(&profile(shape), &history, Budget::default()) == Finding::Legal)
        }),
        "search inside" => cell.median(|| {
            word(search_inside(&profile(shape), &history, Budget::default()) == Finding::Legal)
        }),
        "search over the model" => {
            let spec = Spec::new(profile(shape));
            cell.median(|| {
                let explained = explains(&spec, &history, Budget::default());
                explained.map_or("gave up".into(), word)
            })
        }
        "stateright" => {
            let tester = stateright_tester(&history);
            cell.median(|| word(tester.is_consistent()))
        }
        "todc-utils" => cell.median(|| {
            // It takes the history apart while it checks, so the copy is timed too.
            word(WGLChecker::<Queue>::is_linearizable(TodcHistory::from_actions(actions(&history))))
        }),
        other => unreachable!("no checker {other}"),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Call {
    Put(Message),
    /// What it took, once that is known.
    Take(Option<Option<Message>>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Queue(VecDeque<Message>);

#[derive(Clone, Debug, PartialEq)]
enum Told {
    Done,
    Took(Option<Message>),
}

impl SequentialSpec for Queue {
    type Op = Call;
    type Ret = Told;

    fn invoke(&mut self, call: &Call) -> Told {
        match call {
            Call::Put(message) => {
                self.0.push_back(*message);
                Told::Done
            }
            Call::Take(_) => Told::Took(self.0.pop_front()),
        }
    }
}

impl Specification for Queue {
    type State = Queue;
    type Operation = Call;

    fn init() -> Queue {
        Queue::default()
    }

    fn apply(call: &Call, state: &Queue) -> (bool, Queue) {
        let mut next = state.clone();
        let told = next.invoke(call);
        let fits = match (call, told) {
            (Call::Take(Some(took)), Told::Took(there)) => *took == there,
            _ => true,
        };
        (fits, next)
    }
}

/// Calls and returns in the order of time: who, and the call as it is known then.
fn events(history: &History) -> Vec<(u64, usize, bool, Call, Told)> {
    let mut events = Vec::new();
    for o in &history.operations {
        let Some((time, ret)) = o.ret else { continue };
        let (early, late, told) = match (o.op.message(), ret) {
            (Some(message), _) => (Call::Put(message), Call::Put(message), Told::Done),
            (None, Ret::Received(m)) => {
                (Call::Take(None), Call::Take(Some(Some(m))), Told::Took(Some(m)))
            }
            (None, Ret::Refused(Refusal::Empty)) => {
                (Call::Take(None), Call::Take(Some(None)), Told::Took(None))
            }
            (None, other) => unreachable!("{other} is not generated"),
        };
        let process = usize::from(o.process.0);
        events.push((o.call, process, true, early, Told::Done));
        events.push((time, process, false, late, told));
    }
    events.sort_by_key(|e| e.0);
    events
}

fn stateright_tester(history: &History) -> LinearizabilityTester<usize, Queue> {
    let mut tester = LinearizabilityTester::new(Queue::default());
    for (_, process, is_call, call, told) in events(history) {
        if is_call {
            tester.on_invoke(process, call).expect("well formed");
        } else {
            tester.on_return(process, told).expect("well formed");
        }
    }
    tester
}

fn actions(history: &History) -> Vec<(usize, Action<Call>)> {
    let action = |(_, process, is_call, call, _): (u64, usize, bool, Call, Told)| {
        (process, if is_call { Action::Call(call) } else { Action::Response(call) })
    };
    events(history).into_iter().map(action).collect()
}
