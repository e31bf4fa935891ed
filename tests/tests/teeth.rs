//! The tester tested: the specification served as a link passes everything, and for every rule a
//! link that breaks it is found out.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;

use ipc_conformance::report::CellVerdict;
use ipc_conformance::rulebook::{self, Asked};
use ipc_conformance::run::Host;
use ipc_conformance::suite::{LinkResult, Plan, run_link};
use ipc_conformance::{adapter::Claim, catalogue};
use ipc_model::Force;
use ipc_model::mutant::{MUTANTS, mutant};

const PLAN: Plan = Plan { random: 15, repeat: 1, seed: 1, first_only: false };

/// Does `work` for every claim that `wanted` picks, two at a time, each with a host of its own.
fn for_each_link<T: Send>(
    wanted: impl Fn(&Claim) -> bool,
    work: impl Fn(&mut Host, &Claim) -> T + Sync,
) -> Vec<(String, T)> {
    let program = &catalogue::build(&["model".into()]).unwrap()[0];
    let folder = tempfile::tempdir().unwrap();
    let claims = Host::start(program, folder.path()).unwrap().claims.clone();
    let queue: VecDeque<Claim> = claims.into_iter().filter(wanted).collect();
    let (queue, results) = (Mutex::new(queue), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for number in 0..2 {
            let (queue, results, work) = (&queue, &results, &work);
            let folder = folder.path().join(number.to_string());
            scope.spawn(move || {
                let mut host = Host::start(program, Path::new(&folder)).unwrap();
                loop {
                    let Some(claim) = queue.lock().unwrap().pop_front() else { break };
                    let result = work(&mut host, &claim);
                    results.lock().unwrap().push((claim.link.clone(), result));
                }
            });
        }
    });
    results.into_inner().unwrap()
}

#[test]
fn the_specification_served_as_a_link_passes_everything() {
    let correct = |claim: &Claim| !claim.link.starts_with("mutant-");
    let results =
        for_each_link(correct, |host, claim| run_link(host, claim, PLAN, &Asked::EVERYTHING));
    assert!(results.len() >= 15);
    for (link, LinkResult { cells, .. }) in results {
        for cell in cells {
            let open = rulebook::named(&cell.rule).unwrap().about.force == Force::Unspecified;
            let fine = match cell.verdict {
                CellVerdict::Pass | CellVerdict::NotClaimed => true,
                CellVerdict::Observed => open,
                // Only the deep level has the time for it.
                CellVerdict::Inconclusive => cell.not_asked() && cell.rule.starts_with("memory."),
                _ => false,
            };
            assert!(fine, "{link} {}: {:?} {}", cell.rule, cell.verdict, cell.why);
        }
    }
}

#[test]
fn every_mutant_is_found_out_by_the_rule_it_breaks() {
    let mutants = |claim: &Claim| claim.link.starts_with("mutant-");
    let plan = Plan { random: 0, first_only: true, ..PLAN };
    let results = for_each_link(mutants, |host, claim| {
        let name = claim.link.trim_start_matches("mutant-");
        let breaks = mutant(name).unwrap().breaks;
        let asked = [rulebook::named(breaks).unwrap()].into_iter().collect();
        let result = run_link(host, claim, plan, &asked);
        let red = |v: CellVerdict| v.is_red() || v == CellVerdict::Deviates;
        let red: Vec<String> =
            result.cells.iter().filter(|c| red(c.verdict)).map(|c| c.rule.clone()).collect();
        (breaks, red)
    });
    assert_eq!(results.len(), MUTANTS.len());
    let mut survivors = Vec::new();
    let mut table = Vec::new();
    for (link, (breaks, red)) in results {
        if !red.contains(&breaks.to_string()) {
            survivors.push(format!("{link}: breaks {breaks}, red is {red:?}"));
        }
        table.push(format!("{breaks}: {link} turns {} red", red.join(", ")));
    }
    table.sort();
    println!("{}", table.join("\n"));
    assert!(survivors.is_empty(), "not found out:\n{}", survivors.join("\n"));
}
