//! A tour as a scenario: every move waits for what the moves before it led to.

use super::graph::{Graph, Node};
use super::moves::{Cast, Move};
use crate::scenario::{Scenario, ScenarioBuilder};
use crate::state::Call;

/// How long timed calls wait: longer than it takes to see that one sleeps and to serve it, short
/// enough that a tour may wait for the end of several.
const TIMEOUT: u64 = 40_000_000;

/// The scenario of the path, a list of edges by node and place.
pub(super) fn scenario(
    cast: &Cast,
    graph: &Graph,
    path: &[(usize, usize)],
    name: &str,
) -> Scenario {
    let mut builder = ScenarioBuilder::new(name, &cast.profile, cast.senders, cast.receivers);
    builder.timeout(TIMEOUT);
    let observer = cast.kill.then(|| builder.observer());
    let width = cast.width() as usize + 1;
    let mut script = Script { cast, builder, seen: vec![vec![Seen::default(); width]; width] };
    for &(node, edge) in path {
        let node = &graph.nodes[node];
        script.play(node.edges[edge].what, node, observer);
    }
    script.builder.build()
}

/// What one process has waited for another to do.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    calls: usize,
    returned: bool,
}

struct Script<'a> {
    cast: &'a Cast,
    builder: ScenarioBuilder,
    /// By waiter and by the one waited for.
    seen: Vec<Vec<Seen>>,
}

impl Script<'_> {
    fn play(&mut self, what: Move, before: &Node, observer: Option<u16>) {
        let actor = match what {
            Move::Send(p, ..) | Move::Receive(p, _) | Move::Close(p) => p.0,
            Move::Fill => 0,
            Move::Kill(_) => observer.expect("a cast that kills has an observer"),
            // The next move waits for the return.
            Move::Deadline(_) => return,
        };
        self.wait(actor, before);
        match what {
            Move::Send(p, mode, size) => {
                self.builder.size(size).send(p.0, mode);
            }
            Move::Fill => {
                let (size, mode) = (self.cast.profile.usual_size(), self.cast.usual_mode());
                for _ in 0..self.cast.filling() {
                    self.builder.size(size).send(0, mode);
                }
            }
            Move::Receive(p, mode) => {
                self.builder.receive(p.0, mode);
            }
            Move::Close(p) => {
                self.builder.close(p.0);
            }
            Move::Kill(p) => {
                self.builder.kill(actor, p.0);
            }
            Move::Deadline(_) => {}
        }
    }

    /// The actor waits until everybody else has come as far as `node` says.
    fn wait(&mut self, actor: u16, node: &Node) {
        let scenario = self.builder.build();
        for p in self.cast.processes().filter(|p| p.0 != actor) {
            let everywhere = |test: fn(&Call) -> bool| {
                node.branches.iter().all(|(state, _)| test(state.call(p)))
            };
            let returned = everywhere(|c| *c == Call::Running);
            let now = Seen { calls: scenario.calls(p).count(), returned };
            let seen = &mut self.seen[actor as usize][p.0 as usize];
            if now.calls == 0 || *seen == now || everywhere(|c| *c == Call::Dead) {
                continue;
            }
            *seen = now;
            if returned {
                self.builder.await_return(actor, p.0);
            } else {
                self.builder.await_blocked(actor, p.0);
            }
        }
    }
}
