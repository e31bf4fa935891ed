//! Two explorers of one transition function in one run: `ipc_model::explore` and stateright's
//! breadth-first checker, both over `ipc_model::explore::Space`.
//!
//! `cargo run --release --manifest-path model/benches/peers/Cargo.toml --bin explorer`. Every
//! measurement is a process of its own, so that its peak memory is its own; the contenders take
//! turns, and the median of three rounds is printed.
//!
//! Ours keeps every state exactly; stateright keeps a fingerprint of 64 bits of each. *walk* looks
//! at nothing on the way. *check* holds each state to the promises of the model: as stateright's
//! property, and as `explore` does it, which notes outcomes, rules and pairs of rules besides.

use std::process::Command;
use std::time::Instant;

use ipc_model::explore::{Label, Limit, Node, Space, count, explore};
use ipc_model::{
    Capacity, Distribution, Mode, Notice, Order, Profile, Scenario, ScenarioBuilder, Spec,
    scenarios,
};
use stateright::{Checker, Model, Property};

const CONTENDERS: [&str; 3] = ["ours", "stateright, 1 thread", "stateright, all threads"];
const TASKS: [&str; 2] = ["walk", "check"];
const ROUNDS: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, cell, family, task, contender, reduced] = arguments.as_slice()
        && cell == "--cell"
    {
        return measure(family, task, contender, reduced == "reduced");
    }
    println!("| states of | task | explorer | states | M states/s | bytes a state | ours is |");
    println!("|---|---|---|---|---|---|---|");
    for family in families() {
        for task in TASKS {
            compare(family.name, task);
        }
    }
    println!("\n| states of | all | reduced | times fewer | s, all | s, reduced |");
    println!("|---|---|---|---|---|---|");
    for family in families() {
        let [all, few] = [false, true].map(|reduced| {
            median((0..ROUNDS).map(|_| Took::of(family.name, "check", "ours", reduced)).collect())
        });
        println!(
            "| {} | {} | {} | {:.1} | {:.3} | {:.3} |",
            family.name,
            all.states,
            few.states,
            all.states as f64 / few.states as f64,
            all.seconds,
            few.seconds,
        );
    }
}

/// Lets the contenders take turns, and prints a line for each.
fn compare(family: &str, task: &str) {
    let mut rounds: [Vec<Took>; 3] = Default::default();
    for _ in 0..ROUNDS {
        for (contender, rounds) in CONTENDERS.iter().zip(&mut rounds) {
            rounds.push(Took::of(family, task, contender, false));
        }
    }
    let took = rounds.map(median);
    for (contender, one) in CONTENDERS.iter().zip(&took) {
        assert_eq!(one.states, took[0].states, "{family}, {task}: {contender} counts otherwise");
        let rate = one.states as f64 / one.seconds / 1e6;
        let bytes = one.bytes / one.states;
        // So few states need less than the page that memory comes in.
        let bytes = if family == STANDARD { "-".into() } else { bytes.to_string() };
        let ratio = one.seconds / took[0].seconds;
        let ratio =
            if *contender == "ours" { String::new() } else { format!("{ratio:.2} × as fast") };
        println!(
            "| {family} | {task} | {contender} | {} | {rate:.3} | {bytes} | {ratio} |",
            one.states
        );
    }
}

/// What one process measured.
#[derive(Clone, Debug)]
struct Took {
    seconds: f64,
    states: usize,
    bytes: usize,
}

impl Took {
    fn of(family: &str, task: &str, contender: &str, reduced: bool) -> Self {
        let reduced = if reduced { "reduced" } else { "all" };
        let program = std::env::current_exe().expect("this program has a path");
        let output = Command::new(program)
            .args(["--cell", family, task, contender, reduced])
            .output()
            .expect("this program can be started again");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let numbers: Vec<&str> = text.split_whitespace().collect();
        let [seconds, states, bytes] = numbers.as_slice() else {
            panic!("{contender}: {text}{}", String::from_utf8_lossy(&output.stderr));
        };
        let number = |text: &str| text.parse().expect("it printed numbers");
        let seconds = seconds.parse().expect("it printed seconds");
        Self { seconds, states: number(states), bytes: number(bytes) }
    }
}

fn median(mut rounds: Vec<Took>) -> Took {
    rounds.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    rounds.swap_remove(rounds.len() / 2)
}

/// The process of one measurement: seconds, states, and by how many bytes its memory grew.
fn measure(family: &str, task: &str, contender: &str, reduced: bool) {
    let family = families().into_iter().find(|f| f.name == family).expect("it is in the list");
    let spaces: Vec<(Spec, Scenario)> = (family.scenarios)();
    // The checker's threads ask for what lives for ever.
    let spaces: &'static [(Spec, Scenario)] = spaces.leak();
    let before = memory("VmRSS:");
    let start = Instant::now();
    let walk = |(spec, scenario): &'static (Spec, Scenario)| match (contender, task) {
        ("ours", "walk") => count(spec, scenario, Limit { states: usize::MAX, reduced }).0,
        ("ours", _) => {
            let found = explore(spec, scenario, Limit { states: usize::MAX, reduced });
            assert!(found.broken.is_empty());
            found.states
        }
        (other, task) => {
            let threads = match other {
                "stateright, 1 thread" => 1,
                _ => std::thread::available_parallelism().map_or(1, usize::from),
            };
            let judges = task != "walk";
            let walked = Walked { space: Space::new(spec, scenario, reduced), judges };
            let checker = walked.checker().threads(threads).spawn_bfs().join();
            checker.assert_no_discovery("keeps its promises");
            checker.unique_state_count()
        }
    };
    // A small family is walked again until there is something to measure.
    let mut times = 0;
    let mut states = 0;
    while times == 0 || start.elapsed().as_secs_f64() < 0.5 {
        states = spaces.iter().map(walk).sum();
        times += 1;
    }
    let seconds = start.elapsed().as_secs_f64() / f64::from(times);
    println!("{seconds} {states} {}", memory("VmHWM:").saturating_sub(before));
}

/// A size out of `/proc/self/status`, in bytes.
fn memory(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let size = status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or("0 kB");
    size.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or(0) * 1024
}

/// Our transition system, as stateright asks for it.
struct Walked {
    space: Space<'static>,
    judges: bool,
}

impl Model for Walked {
    type State = Node;
    // The successor itself, so that nothing is computed twice.
    type Action = (Label, Node);

    fn init_states(&self) -> Vec<Node> {
        vec![self.space.start()]
    }

    fn actions(&self, node: &Node, actions: &mut Vec<Self::Action>) {
        actions.append(&mut self.space.successors(node));
    }

    fn next_state(&self, _: &Node, (_, next): Self::Action) -> Option<Node> {
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        // Without any property the checker would stop at once.
        let keeps = |walked: &Self, node: &Node| {
            !walked.judges || walked.space.broken_promises(node).is_empty()
        };
        vec![Property::always("keeps its promises", keeps)]
    }
}

/// What is explored.
struct Family {
    name: &'static str,
    scenarios: fn() -> Vec<(Spec, Scenario)>,
}

const STANDARD: &str = "the standard scenarios";

fn families() -> [Family; 4] {
    [
        Family { name: STANDARD, scenarios: standard },
        Family {
            name: "3 senders × 2, 2 receivers, capacity 2",
            scenarios: || vec![crowd(Capacity::Bounded(2), 3, 2, 2)],
        },
        Family {
            name: "2 senders × 3, 2 receivers, no buffer",
            scenarios: || vec![crowd(Capacity::Zero, 2, 3, 2)],
        },
        Family {
            name: "2 senders × 3, 2 receivers, unbounded",
            scenarios: || vec![crowd(Capacity::Unbounded, 2, 3, 2)],
        },
    ]
}

/// Every standard scenario of links of each kind.
fn standard() -> Vec<(Spec, Scenario)> {
    let told = Some(Notice::Reported);
    let bounded = Profile::mailbox(Capacity::Bounded(2));
    let mortal = Profile { sender_killed: told, receiver_killed: told, ..bounded };
    let profiles = [
        Profile::mailbox(Capacity::Unbounded),
        Profile::mailbox(Capacity::Bounded(1)),
        mortal,
        Profile { capacity: Capacity::Zero, ..mortal },
        Profile { order: Order::PerSender, ..bounded },
        Profile { distribution: Distribution::ToEach, ..bounded },
    ];
    let all = |profile: Profile| {
        let standard = scenarios::standard(&profile).into_iter().map(|s| s.scenario);
        // Each of them once: those that are run often are long, so that they race.
        let small = standard.filter(|s| s.width() <= 3 && s.messages().count() <= 6);
        small.map(move |scenario| (Spec::new(profile), scenario)).collect::<Vec<_>>()
    };
    profiles.into_iter().flat_map(all).collect()
}

/// Each sender sends so many messages, and the receivers share them evenly.
fn crowd(capacity: Capacity, senders: u16, messages: u16, receivers: u16) -> (Spec, Scenario) {
    let profile = Profile::mailbox(capacity);
    let mut builder = ScenarioBuilder::new("crowd", &profile, senders, receivers);
    for sender in 0..senders {
        (0..messages).for_each(|_| {
            builder.send(sender, Mode::Blocking);
        });
    }
    for receiver in senders..senders + receivers {
        (0..senders * messages / receivers).for_each(|_| {
            builder.receive(receiver, Mode::Blocking);
        });
    }
    (Spec::new(profile), builder.build())
}
