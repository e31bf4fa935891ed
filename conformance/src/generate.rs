//! Random scenarios, by proptest: the same seed gives the same ones, and a failing one shrinks.
//!
//! A scenario is read off a list of bytes, whatever they are; so proptest's own shrinking of the
//! list, shorter and towards zero, is a shrinking of the scenario.

use ipc_model::{
    Capacity, Distribution, Holders, Kind, Mode, Modes, Op, Process, Profile, Scenario,
    ScenarioBuilder, Spec, State, Step,
};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Random scenarios for one link.
pub struct Generator {
    profile: Profile,
    strategy: BoxedStrategy<Vec<u8>>,
    runner: TestRunner,
}

/// A random scenario that can be made simpler.
pub struct Candidate {
    profile: Profile,
    tree: Box<dyn ValueTree<Value = Vec<u8>>>,
}

/// How often a failing scenario may be run again while it is made simpler.
const SHRINKS: usize = 60;

impl Generator {
    /// The generator of this seed for the link of this name.
    pub fn new(profile: &Profile, seed: u64, link: &str) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        for (i, byte) in link.bytes().enumerate() {
            bytes[8 + i % 24] ^= byte.rotate_left(i as u32 / 24);
        }
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let runner = TestRunner::new_with_rng(Config::default(), rng);
        Self { profile: *profile, strategy: vec(any::<u8>(), 4..28).boxed(), runner }
    }

    /// The next scenario.
    ///
    /// # Panics
    /// Never: the strategy rejects nothing.
    pub fn candidate(&mut self) -> Candidate {
        let tree = self.strategy.new_tree(&mut self.runner).expect("nothing is rejected");
        Candidate { profile: self.profile, tree: Box::new(tree) }
    }
}

impl Candidate {
    /// The scenario as it is.
    pub fn scenario(&self) -> Scenario {
        scenario(&self.profile, &self.tree.current())
    }

    /// The simplest scenario found for which `fails` still answers something, and that answer.
    pub fn shrink<T>(
        mut self,
        first: T,
        mut fails: impl FnMut(&Scenario) -> Option<T>,
    ) -> (Scenario, T) {
        let mut best = (self.scenario(), first);
        let mut left = SHRINKS;
        if !self.tree.simplify() {
            return best;
        }
        while left > 0 {
            left -= 1;
            let scenario = self.scenario();
            let more = match fails(&scenario) {
                Some(found) => {
                    best = (scenario, found);
                    self.tree.simplify()
                }
                None => self.tree.complicate(),
            };
            if !more {
                break;
            }
        }
        best
    }
}

/// Reads a scenario off the bytes.
pub fn scenario(profile: &Profile, bytes: &[u8]) -> Scenario {
    let (head, tail) = bytes.split_at(bytes.len().min(2));
    let head = |i: usize| head.get(i).copied().unwrap_or(0);
    let many =
        |holders, byte: u8| if holders == Holders::Many { 1 + u16::from(byte % 2) } else { 1 };
    let senders = many(profile.senders, head(0));
    let receivers = many(profile.receivers, head(0) / 2);
    let style = head(1) % 3;
    let name = ["in-order", "waiting", "nonblocking"][style as usize];
    let mut builder = ScenarioBuilder::new(&format!("random-{name}"), profile, senders, receivers);
    builder.timeout(match style {
        1 => 2_000_000_000,
        _ => 1_000_000,
    });
    match style {
        0 => in_order(profile, builder, senders, receivers, tail),
        1 => waiting(profile, builder, senders, receivers, tail),
        _ => nonblocking(profile, builder, senders, receivers, tail),
    }
}

fn pick(modes: &Modes, byte: u8, allow: impl Fn(Mode) -> bool) -> Option<Mode> {
    let all = [Mode::Blocking, Mode::Nonblocking, Mode::Timed];
    let offered: Vec<Mode> = all.into_iter().filter(|m| modes.offers(*m) && allow(*m)).collect();
    offered.get(byte as usize % offered.len().max(1)).copied()
}

fn priority(profile: &Profile, byte: u8) -> u32 {
    if profile.order == ipc_model::Order::Priority { u32::from(byte % 4) } else { 0 }
}

/// One call after the other, by one thread: calls that the model would let block are left out.
fn in_order(
    profile: &Profile,
    mut builder: ScenarioBuilder,
    senders: u16,
    receivers: u16,
    bytes: &[u8],
) -> Scenario {
    let spec = Spec::new(*profile);
    let width = senders + receivers;
    let ends = builder.build().links;
    let mut state = State::new(width as usize, &ends);
    let mut order = Vec::new();
    for pair in bytes.chunks(2) {
        let (who, what) = (pair[0], pair.get(1).copied().unwrap_or(0));
        let process = u16::from(who) % width;
        let before = builder.clone();
        if what % 16 == 15 {
            builder.close(process);
        } else if process < senders {
            let Some(mode) = pick(&profile.send, what, |_| true) else { continue };
            builder.send_on(0, process, mode, priority(profile, what / 4));
        } else {
            let Some(mode) = pick(&profile.receive, what, |_| true) else { continue };
            builder.receive(process, mode);
        }
        let op = builder.build().calls(Process(process)).last().copied();
        match op.and_then(|op| effect(&spec, &state, Process(process), op)) {
            Some(next) => {
                state = next;
                order.push(Process(process));
            }
            None => builder = before,
        }
    }
    let mut scenario = builder.build();
    scenario.order = order;
    scenario
}

/// The state after the call has been made and has returned, if it surely does. A closed end is
/// not used again, and a call that may block is not made.
fn effect(spec: &Spec, state: &State, process: Process, op: Op) -> Option<State> {
    let link = &state.links[op.link() as usize];
    if !link.senders.contains(process) && !link.receivers.contains(process) {
        return None;
    }
    let mut called = spec.call(state, process, op);
    if op.mode() == Mode::Timed {
        called = spec.expire(&called, process);
    }
    let steps = spec.steps(&called, process);
    let blocks = steps.iter().any(|(rule, _)| rule.rule().kind == Kind::Blocks);
    let (_, mut next) = steps.into_iter().next().filter(|_| !blocks)?;
    next.set(process, ipc_model::Call::Running);
    Some(next)
}

/// As many receives as sends, all willing to wait: everybody gets through, if no message is lost.
/// On a broadcast every receiver takes every message.
fn waiting(
    profile: &Profile,
    mut builder: ScenarioBuilder,
    senders: u16,
    receivers: u16,
    bytes: &[u8],
) -> Scenario {
    let waits = |mode| mode != Mode::Nonblocking;
    for pair in bytes.chunks(2).take(6) {
        let (who, what) = (pair[0], pair.get(1).copied().unwrap_or(0));
        let send = pick(&profile.send, what, waits);
        let receive = pick(&profile.receive, what / 8, waits);
        let (Some(send), Some(receive)) = (send, receive) else { break };
        let (from, to) = (u16::from(who) % senders, u16::from(who / 16) % receivers);
        builder.send_on(0, from, send, priority(profile, what / 4));
        if profile.distribution == Distribution::ToEach {
            (senders..senders + receivers).for_each(|p| {
                builder.receive(p, receive);
            });
        } else {
            builder.receive(senders + to, receive);
        }
    }
    builder.build()
}

/// Nobody waits, except where a timed call is short.
fn nonblocking(
    profile: &Profile,
    mut builder: ScenarioBuilder,
    senders: u16,
    receivers: u16,
    bytes: &[u8],
) -> Scenario {
    let width = senders + receivers;
    let short = |mode| mode != Mode::Blocking;
    for pair in bytes.chunks(2).take(10) {
        let (who, what) = (pair[0], pair.get(1).copied().unwrap_or(0));
        let process = u16::from(who) % width;
        if process < senders {
            let blocking = profile.capacity == Capacity::Unbounded;
            let Some(mode) = pick(&profile.send, what, |m| blocking || short(m)) else { continue };
            builder.send_on(0, process, mode, priority(profile, what / 4));
        } else if let Some(mode) = pick(&profile.receive, what, short) {
            builder.receive(process, mode);
        }
    }
    builder.build()
}

/// Whether the scenario makes any call at all.
pub fn is_idle(scenario: &Scenario) -> bool {
    scenario.processes.iter().all(|s| !s.0.iter().any(|step| matches!(step, Step::Call(_))))
}
