//! The teeth of the probes: for each there is a link that it turns red, and one that it does not.

use ipc_conformance::adapter::Claim;
use ipc_conformance::catalogue;
use ipc_conformance::probe::{self, PROBES, Probe};
use ipc_conformance::report::{Cell, CellVerdict};
use ipc_conformance::rulebook::Asked;
use ipc_conformance::run::Host;
use ipc_conformance::suite::Plan;

/// The link that breaks each rule, and the verdict that it earns.
const MUTANTS: &[(&str, &str, CellVerdict)] = &[
    ("resources.descriptors-returned", "keeps-descriptor", CellVerdict::Fail),
    ("resources.names-removed", "leaves-file", CellVerdict::Fail),
    ("resources.memory-bounded", "keeps-messages", CellVerdict::Fail),
    ("resources.guests-forgotten", "keeps-threads", CellVerdict::Fail),
    ("exit.nothing-lost", "loses-at-exit", CellVerdict::Fail),
    ("name.free-after-end", "remembers-name", CellVerdict::Fail),
    ("name.free-after-kill", "keeps-lock", CellVerdict::Broken),
    ("exec.ends-not-inherited", "inherited", CellVerdict::Deviates),
    ("independent.works-while-other-fails", "one-lock", CellVerdict::Hang),
    ("timeout.zero-decides-now", "blind-at-zero", CellVerdict::Fail),
    ("timeout.largest-waits", "overflows", CellVerdict::Crash),
    ("observers.tell-the-state", "miscounts", CellVerdict::Fail),
    ("ownership.dropped-once", "forgets-refused", CellVerdict::Fail),
    ("handles.last-one-closes", "first-drop-closes", CellVerdict::Fail),
    ("handles.leaked-stays-open", "sends-when-dropped", CellVerdict::Fail),
    ("handles.kept-tells-the-same", "tells-once", CellVerdict::Fail),
    ("batch.as-single-calls", "batch-counts-all", CellVerdict::Fail),
    ("message.far-larger-than-buffers", "on-the-stack", CellVerdict::Crash),
    ("fork.child-changes-nothing", "fork-closes", CellVerdict::Fail),
    ("fork.child-drops-its-copies", "drop-reaches-parent", CellVerdict::Observed),
    ("permissions.of-what-is-created", "open-to-all", CellVerdict::Observed),
    ("permissions.others-refused", "open-to-all", CellVerdict::Fail),
    ("cost.system-calls", "asks-the-kernel", CellVerdict::Observed),
    ("cost.system-calls-claimed", "asks-the-kernel", CellVerdict::Fail),
    ("memory.no-invalid-access", "reads-unwritten", CellVerdict::Fail),
];

struct Bench {
    host: Host,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let programs = catalogue::build(&["probe-mutants".to_string()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let host = Host::start(&programs[0], folder.path()).unwrap();
        Self { host, _folder: folder }
    }

    fn claim(&self, link: &str) -> Claim {
        let claim = self.host.claims.iter().find(|c| c.link == link).cloned();
        claim.unwrap_or_else(|| panic!("there is no link {link}"))
    }

    fn look(&mut self, probe: &Probe, link: &str) -> Cell {
        let level = if probe.deep { "deep" } else { "quick" };
        let plan = Plan::of_level(level, 1).unwrap();
        let claim = self.claim(link);
        probe::run(probe, &mut self.host, &claim, plan, &Asked::EVERYTHING)
    }
}

fn named(id: &str) -> &'static Probe {
    PROBES.iter().find(|p| p.about.id == id).unwrap_or_else(|| panic!("no probe {id}"))
}

#[test]
fn every_probe_has_a_link_that_it_finds_out() {
    let mut bench = Bench::new();
    let known: Vec<&str> = MUTANTS.iter().map(|(rule, ..)| *rule).collect();
    // Those of futures are tested beside them, on futures with faults.
    let all = PROBES.iter().map(|p| p.about.id).filter(|id| !id.starts_with("async."));
    let all: Vec<&str> = all.collect();
    assert_eq!(known, all);
    let mut survivors = Vec::new();
    for (rule, link, verdict) in MUTANTS {
        let cell = bench.look(named(rule), link);
        println!("{rule}: {link}: {:?} {} {:?}", cell.verdict, cell.why, cell.observed);
        if cell.verdict != *verdict {
            survivors.push(format!("{rule}: {link} is {:?}: {}", cell.verdict, cell.why));
        }
        if *verdict == CellVerdict::Observed {
            let honest = if bench.claim(link).threads { "honest" } else { "honest-file" };
            let honest = bench.look(named(rule), honest);
            assert_ne!(cell.observed, honest.observed, "{rule}: what is observed is the same");
        }
    }
    tidy();
    assert!(survivors.is_empty(), "not found out:\n{}", survivors.join("\n"));
}

#[test]
fn an_honest_link_passes_every_probe() {
    let mut bench = Bench::new();
    for probe in PROBES {
        for link in ["honest", "honest-file"] {
            let cell = bench.look(probe, link);
            let fine = [CellVerdict::Pass, CellVerdict::NotClaimed, CellVerdict::Observed]
                .contains(&cell.verdict);
            assert!(fine, "{link} {}: {:?} {}", cell.rule, cell.verdict, cell.why);
        }
    }
}

/// Removes what two of the mutants leave outside of the folder of a run, which is their fault.
fn tidy() {
    let ours = format!("ipc-conform-{}-", std::process::id());
    for entry in std::fs::read_dir(std::env::temp_dir()).unwrap().filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let mutants = name.ends_with(".messages") || name.ends_with(".lock");
        if name.starts_with(&ours) && mutants {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}
