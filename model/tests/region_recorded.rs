//! The models of memory and of names against what a real system answered.

use std::collections::BTreeSet;

use ipc_model::Budget;
use ipc_model::machine::{
    History, Machine, Mutation, Part, Spec, Verdict, check, check_spec, mutations,
};
use ipc_model::namespace::Namespace;
use ipc_model::region::Region;

fn recorded<M: Machine>(text: &str) -> Vec<History<M>> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Whether a defect forbids something that the rules allow: only such a one can be noticed by
/// histories that are all legal.
fn forbids(mutation: &Mutation) -> bool {
    !matches!(mutation.part, Part::Dropped(_))
}

/// Every history is accepted; tells how many mutants refuse one, and which rules were needed.
fn held_against<M: Machine>(histories: &[History<M>]) -> String {
    let mut fired = BTreeSet::new();
    for history in histories {
        match check(history) {
            Verdict::Pass(rules) => fired.extend(rules),
            Verdict::Fail(found) => panic!("{found}\n{:#?}", found.history),
            Verdict::Inconclusive(why) => panic!("{why}"),
        }
    }
    let refuses = |mutation: &Mutation| {
        histories.iter().any(|history| {
            let mutant = Spec::mutated(history.profile, *mutation);
            !check_spec(&mutant, history, Budget { states: 1000 }).passed()
        })
    };
    let forbidding: Vec<Mutation> = mutations::<M>().filter(forbids).collect();
    let refuted = forbidding.iter().filter(|m| refuses(m)).count();
    let calls: usize = histories.iter().map(|h| h.operations.len()).sum();
    format!(
        "{} histories of {calls} calls\n{refuted} of {} mutants that forbid something are refuted\n{fired:#?}",
        histories.len(),
        forbidding.len()
    )
}

#[test]
fn shared_memory_of_linux_keeps_to_the_region_model() {
    let histories = recorded::<Region>(include_str!("recorded/shm-linux.jsonl"));
    insta::assert_snapshot!("recorded_shm", held_against(&histories));
}

#[test]
fn message_queues_of_linux_keep_to_the_naming_model() {
    let histories = recorded::<Namespace>(include_str!("recorded/mq-linux.jsonl"));
    insta::assert_snapshot!("recorded_mq", held_against(&histories));
}
