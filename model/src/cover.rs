//! Scenarios out of the model: for a profile, a small set of them that together fire every rule
//! that can fire, and every pair of rules of which one can follow the other.
//!
//! The calls of such a scenario are made one after the other: the next begins once the one before
//! has returned, or sleeps. So the states between calls form a small graph, whose edges are calls,
//! and the set is a handful of tours of that graph that pass every pair ([`covering`]). What only
//! calls at the same time can show is left to the standard races and to the random scenarios; the
//! tests say what that is.

mod graph;
mod moves;
mod script;

use std::collections::{BTreeSet, VecDeque};

use crate::explore::{Limit, explore};
use crate::profile::{Holders, Profile};
use crate::rule::{RuleId, RuleSet};
use crate::scenario::Scenario;
use crate::spec::Spec;
use graph::Graph;
use moves::Cast;

/// Pairs of rules of which the second fired right after the first.
pub type Pairs = BTreeSet<(RuleId, RuleId)>;

/// A set of scenarios, and what they are for.
#[derive(Clone, Debug, Default)]
pub struct Covering {
    /// The scenarios, each with what it fires.
    pub scenarios: Vec<Covered>,
    /// Every rule that they fire between them.
    pub fired: RuleSet,
    /// Every pair that they fire between them.
    pub pairs: Pairs,
    /// The promises of the model that some state on the way breaks: none, for a sound model.
    pub broken: BTreeSet<String>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Covered {
    /// The scenario.
    pub scenario: Scenario,
    /// The rules that some run of it fires.
    pub fired: RuleSet,
    /// The pairs that some run of it fires.
    pub pairs: Pairs,
}

/// How many calls a scenario makes at most, so that a person can follow it.
const LONGEST: usize = 12;

/// How far a tour is explored; one has a few dozen states.
const LIMIT: Limit = Limit { states: 20_000, reduced: true };

/// A small set of scenarios for links of this profile that together fire every rule and every pair
/// of rules that calls made one after the other can fire. The same profile gives the same set.
pub fn covering(profile: &Profile) -> Covering {
    let mut covering = Covering::default();
    // A scenario that kills cannot be run by threads, so what needs no kill comes without one.
    let kills = profile.sender_killed.is_some() || profile.receiver_killed.is_some();
    for kill in [false, true].into_iter().filter(|kill| kills || !kill) {
        for (senders, receivers) in crews(profile) {
            let cast = Cast { profile: *profile, senders, receivers, kill };
            tour(cast, &mut covering);
        }
    }
    covering
}

/// One pair of ends first: what two can show takes no third.
fn crews(profile: &Profile) -> Vec<(u16, u16)> {
    let many = |holders| if holders == Holders::Many { 2 } else { 1 };
    let mut crews = vec![(1, 1), (many(profile.senders), 1), (1, many(profile.receivers))];
    crews.dedup();
    crews
}

/// Adds tours until they pass every pair that these processes can fire.
fn tour(cast: Cast, covering: &mut Covering) {
    let graph = Graph::explore(&cast);
    let spec = Spec::new(cast.profile);
    let (mut pairs, mut rules) = (covering.pairs.clone(), covering.fired);
    loop {
        let number = covering.scenarios.len();
        let path = walk(&graph, &pairs, rules);
        if path.is_empty() {
            return;
        }
        for &(node, edge) in &path {
            let edge = &graph.nodes[node].edges[edge];
            rules = rules.or(edge.fired);
            pairs.extend(&edge.pairs);
        }
        let scenario = script::scenario(&cast, &graph, &path, &format!("tour-{number}"));
        // What it fires is for the explorer to say, which knows nothing of tours.
        let found = explore(&spec, &scenario, LIMIT);
        let (fired, pairs) = (found.fired, found.pairs);
        covering.fired = covering.fired.or(fired);
        covering.pairs.extend(&pairs);
        covering.broken.extend(found.broken);
        covering.scenarios.push(Covered { scenario, fired, pairs });
    }
}

/// A path from the start that passes something new, again and again, until it is long enough or
/// nothing new can be reached; without what comes after the last new thing.
fn walk(graph: &Graph, known: &Pairs, fired: RuleSet) -> Vec<(usize, usize)> {
    let (mut path, mut known, mut fired) = (Vec::new(), known.clone(), fired);
    let mut here = 0;
    while let Some(more) = nearest(graph, here, &known, fired) {
        if !path.is_empty() && path.len() + more.len() > LONGEST {
            break;
        }
        for &(node, edge) in &more {
            let edge = &graph.nodes[node].edges[edge];
            known.extend(&edge.pairs);
            fired = fired.or(edge.fired);
            here = edge.to;
        }
        path.extend(more);
    }
    path
}

/// The shortest way from `here` that ends with something new.
fn nearest(
    graph: &Graph,
    here: usize,
    known: &Pairs,
    fired: RuleSet,
) -> Option<Vec<(usize, usize)>> {
    let mut came: Vec<Option<(usize, usize)>> = vec![None; graph.nodes.len()];
    let mut queue = VecDeque::from([here]);
    let mut seen = vec![false; graph.nodes.len()];
    seen[here] = true;
    while let Some(node) = queue.pop_front() {
        for (place, edge) in graph.nodes[node].edges.iter().enumerate() {
            let new_rule = edge.fired.iter().any(|r| !fired.contains(r));
            if new_rule || edge.pairs.iter().any(|pair| !known.contains(pair)) {
                let mut path = vec![(node, place)];
                let mut at = node;
                while let Some((from, edge)) = came[at] {
                    path.push((from, edge));
                    at = from;
                }
                path.reverse();
                return Some(path);
            }
            if !seen[edge.to] {
                seen[edge.to] = true;
                came[edge.to] = Some((node, place));
                queue.push_back(edge.to);
            }
        }
    }
    None
}
