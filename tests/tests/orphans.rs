//! Statement, rule, scenario, mutant, example: each leads to the others, and nothing leads nowhere.

use std::collections::BTreeSet;

use ipc_conformance::{catalogue, lineage, probe};
use ipc_model::mutant::{MUTANTS, mutant};
use ipc_model::{Kind, RuleId, STATEMENTS, Shown, Source, statement};
use ipc_tests::{conform, text, workspace};

#[test]
fn every_statement_has_a_rule_or_something_that_shows_it() {
    for statement in STATEMENTS {
        let rules = lineage::rules_of(statement.id);
        assert!(!rules.is_empty() || !statement.shown.is_empty(), "{} is an orphan", statement.id);
    }
}

#[test]
fn whatever_is_said_to_show_a_statement_exists_and_is_run() {
    let read = |path: &str| std::fs::read_to_string(workspace().join(path)).unwrap_or_default();
    let examples_that_run = read("impls/tests/examples.rs");
    let adapters = catalogue::adapters().unwrap();
    for statement in STATEMENTS {
        for shown in statement.shown {
            let exists = match shown {
                Shown::Example(name) => {
                    let path = format!("impls/examples/{name}.rs");
                    let named =
                        read(&path).lines().next().unwrap_or_default().contains(statement.id);
                    named && examples_that_run.contains(&format!("example(\"{name}\")"))
                }
                Shown::Test(file) => read(file).contains(&format!("{})", statement.id)),
                Shown::Mutant(name) => mutant(name).is_some(),
                Shown::Adapter(name) => adapters.iter().any(|adapter| adapter == name),
                Shown::Measured(command) => {
                    let output = conform(&[*command, "--help"]);
                    output.status.success() && text(&output).contains("Usage")
                }
            };
            assert!(exists, "{}: {shown}", statement.id);
        }
    }
}

#[test]
fn every_example_shows_a_statement() {
    let named: BTreeSet<&str> = STATEMENTS
        .iter()
        .flat_map(|s| s.shown)
        .filter_map(|shown| match shown {
            Shown::Example(name) => Some(*name),
            _ => None,
        })
        .collect();
    for entry in std::fs::read_dir(workspace().join("impls/examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(named.contains(name), "no statement is shown by example {name}");
    }
}

#[test]
fn every_rule_has_a_source_a_scenario_and_something_that_breaks_it() {
    let all = lineage::of_all(None);
    for rule in lineage::everything() {
        let lineage = &all[rule.id];
        assert!(!rule.sources.is_empty(), "{} rests on nothing", rule.id);
        for source in rule.sources {
            if let Source::Statement(id) = source {
                assert!(statement(id).is_some(), "{} cites {id}", rule.id);
            }
        }
        if rule.id.starts_with("race.") {
            assert!(!lineage.scenarios.is_empty(), "{} has no witness", rule.id);
            assert!(lineage.defects > 0, "{} is never left out", rule.id);
        }
        let of_objects = ["region.", "name."].iter().any(|model| rule.id.starts_with(model));
        let unseen = UNSEEN.iter().any(|(id, _)| *id == rule.id);
        if of_objects && rule.kind != Kind::Internal {
            assert_eq!(lineage.scenarios.is_empty(), unseen, "{}: programs", rule.id);
            let broken = lineage.defects > 0 || rule.kind == Kind::Property;
            assert!(broken, "{}: nothing breaks it", rule.id);
        }
        if let Some(id) = RuleId::of(rule.id) {
            assert!(!lineage.scenarios.is_empty(), "{} has no scenario", rule.id);
            let internal = id.rule().kind == Kind::Internal;
            assert!(internal || !lineage.mutants.is_empty(), "{} has no mutant", rule.id);
        }
        let probed = probe::PROBES.iter().any(|probe| probe.about.id == rule.id);
        let step = rule.kind != Kind::Property && !probed;
        assert!(!step || lineage.defects > 0, "{}: nothing breaks it", rule.id);
    }
    let ids: BTreeSet<&str> = all.keys().copied().collect();
    assert_eq!(ids.len(), lineage::everything().len(), "a mutant or a defect breaks no rule");
    assert!(MUTANTS.len() > 50);
}

/// The page on the model names what exists: rules by their names, tests by their files; and it
/// passes over no rule of the models that it speaks of.
#[test]
fn the_page_on_the_model_names_rules_and_tests_that_exist() {
    let page = std::fs::read_to_string(workspace().join("docs/model.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.matches('|').count() == 6);
    let mut named = BTreeSet::new();
    for row in rows.skip(1).take_while(|row| !row.contains("stateright")) {
        let columns: Vec<&str> = row.split('|').collect();
        for word in columns[4].split('`').chain(columns[5].split('`')).skip(1).step_by(2) {
            named.insert(word);
        }
    }
    let all: BTreeSet<&str> = lineage::everything().iter().map(|rule| rule.id).collect();
    for word in &named {
        let exists = all.contains(word) || workspace().join(word).exists() || !word.contains('.');
        assert!(exists, "docs/model.md names {word}");
    }
    assert!(named.len() > 100, "only {} names were found", named.len());
    for rule in ["region.", "name.", "killed.", "crash."] {
        let missing: Vec<&&str> =
            all.iter().filter(|id| id.starts_with(rule) && !named.contains(**id)).collect();
        let known = ["region.name.one-object", "region.access.after-both", "region.layout.free"];
        let missing: Vec<_> = missing
            .iter()
            .filter(|id| !known.contains(id) && ***id != "region.base.free")
            .collect();
        assert!(missing.is_empty(), "docs/model.md passes over {missing:?}");
    }
}

/// Rules of objects that no program shows, with the place where they are held to instead.
const UNSEEN: &[(&str, &str)] = &[
    ("region.base.free", "no call tells or takes an address: model/src/region"),
    ("region.access.no-system-call", "counted under seccomp: impls/tests/silence.rs"),
];

#[test]
fn the_statements_are_printed_with_all_that_belongs_to_them() {
    let output = conform(&["rules", "--statements"]);
    assert!(output.status.success());
    let printed = text(&output);
    for statement in STATEMENTS {
        assert!(printed.contains(statement.says), "{}", statement.id);
    }
    assert!(!printed.contains("no rule yet"));
    let explained = text(&conform(&["explain", "send.full.blocks"]));
    for part in ["when      the buffer may be full", "shown by  full-blocking", "guarded   "] {
        assert!(explained.contains(part), "{explained}");
    }
}
