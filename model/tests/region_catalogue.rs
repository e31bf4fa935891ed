//! The one catalogue over all models.

use std::collections::BTreeSet;

use ipc_model::machine::catalogue;
use ipc_model::{Source, statement};

#[test]
fn every_rule_has_a_name_of_its_own_a_sentence_and_a_source_that_exists() {
    let all = catalogue::all();
    let ids: BTreeSet<&str> = all.iter().map(|r| r.id).collect();
    assert_eq!(ids.len(), all.len(), "two rules share a name");
    for rule in &all {
        assert!(rule.says.ends_with('.'), "{}", rule.id);
        assert!(!rule.sources.is_empty(), "{} rests on nothing", rule.id);
        for source in rule.sources {
            if let Source::Statement(id) = source {
                assert!(statement(id).is_some(), "{} cites {id}", rule.id);
            }
        }
    }
}

#[test]
fn every_statement_on_memory_and_on_names_has_a_rule() {
    let cited: BTreeSet<String> =
        catalogue::all().iter().flat_map(|r| r.sources).map(ToString::to_string).collect();
    for id in ["C1", "C7", "M1", "M2", "M3", "M4", "M5", "M6", "M7", "N1", "N3", "N4", "N5"] {
        assert!(cited.contains(id), "{id} has no rule");
    }
}

#[test]
fn the_rules_of_memory_and_names_are_as_reviewed() {
    let mine = ["region.", "race.", "name."];
    let lines = catalogue::all().into_iter().filter(|r| mine.iter().any(|m| r.id.starts_with(m)));
    let lines: Vec<String> = lines
        .map(|r| {
            let sources: Vec<String> = r.sources.iter().map(ToString::to_string).collect();
            format!(
                "{} ({}, {})\n    {}\n    {}",
                r.id,
                r.force,
                r.kind,
                r.says,
                sources.join("; ")
            )
        })
        .collect();
    insta::assert_snapshot!("region_catalogue", lines.join("\n"));
}
