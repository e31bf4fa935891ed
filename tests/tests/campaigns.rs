//! Campaigns: cut into shards and joined again, interrupted and gone on with.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ipc_tests::{conform, program, text};
use serde_json::Value;

/// Two adapters, one of which has two links in the campaign, and objects.
const LINKS: [&str; 4] = ["own/ring-2", "own/mq", "std-mpsc/bounded-2", "objects/posix-mq"];
const SHARDS: usize = 3;

fn report(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("report.json"));
    serde_json::from_str(&text.unwrap_or_else(|e| panic!("{}: {e}", folder.display()))).unwrap()
}

/// What must not depend on how the campaign was cut: link, rule, verdict, outcomes.
fn verdicts(report: &Value) -> Vec<String> {
    let cells = report["cells"].as_array().unwrap().iter();
    cells
        .map(|c| ["link", "rule", "verdict", "observed"].map(|k| c[k].to_string()).join(" "))
        .collect()
}

fn runs(report: &Value) -> Vec<String> {
    let links = report["links"].as_array().unwrap().iter();
    let mut runs: Vec<String> = links.map(|l| format!("{} {}", l["name"], l["runs"])).collect();
    runs.sort();
    runs
}

#[test]
fn shards_joined_are_the_whole_campaign_and_a_missing_or_doubled_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let run = |more: &[&str]| {
        let output = conform(&[&["run"], &LINKS[..], more].concat());
        assert_eq!(output.status.code(), Some(0), "{more:?}: {}", text(&output));
    };
    run(&["--out", &path("whole")]);
    let mut files = Vec::new();
    for k in 1..=SHARDS {
        let (shard, out) = (format!("{k}/{SHARDS}"), path(&k.to_string()));
        run(&["--shard", &shard, "--out", &out]);
        files.push(format!("{out}/report.json"));
    }
    let merge = |files: &[&String], more: &[&str]| {
        let files: Vec<&str> = files.iter().map(|f| f.as_str()).collect();
        conform(&[&["merge", "--out", &path("all")], &files[..], more].concat())
    };
    let whole = report(Path::new(&path("whole")));

    // In another order than they were cut.
    let joined = merge(&[&files[2], &files[0], &files[1]], &[]);
    assert_eq!(joined.status.code(), Some(0), "{}", text(&joined));
    let all = report(Path::new(&path("all")));
    assert_eq!(runs(&all), runs(&whole), "every run was done once");
    let sorted = |report| {
        let mut lines = verdicts(report);
        lines.sort();
        lines
    };
    assert_eq!(sorted(&all), sorted(&whole));

    let missing = merge(&[&files[0], &files[2]], &[]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing).contains("of 3 shards, 1 is missing: 2"), "{}", text(&missing));
    let partial = merge(&[&files[0], &files[2]], &["--partial"]);
    assert_eq!(partial.status.code(), Some(0), "{}", text(&partial));
    let doubled = merge(&[&files[0], &files[1], &files[2], &files[1]], &[]);
    assert_eq!(doubled.status.code(), Some(2));
    assert!(text(&doubled).contains("shard 2/3 is there twice"), "{}", text(&doubled));
    let wrong = conform(&["run", "own/ring-2", "--shard", "4/3"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong).contains("3/8"), "{}", text(&wrong));
}

/// Starts a long run, ends it by `signal` once it has decided something, and answers what it had.
fn ended_by(signal: &str, out: &Path) -> Value {
    let mut child = Command::new(program())
        .args(["run", "own/ring-2", "--level", "standard", "--out", out.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let file = out.join("progress/own~ring-2.json");
    let begun = Instant::now();
    while !file.exists() {
        assert!(begun.elapsed() < Duration::from_secs(300), "it never decides anything");
        assert!(child.try_wait().unwrap().is_none(), "it has ended already");
        std::thread::sleep(Duration::from_millis(10));
    }
    let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let status = child.wait().unwrap();
    assert!(!status.success(), "it was ended by {signal}");
    assert!(!out.join("report.json").exists(), "it had no time to finish");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[test]
fn a_run_that_was_interrupted_or_killed_keeps_what_it_decided() {
    for signal in ["-INT", "-KILL"] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let mut progress = ended_by(signal, out);
        let decided = &mut progress["decided"];
        assert!(decided["next"].as_u64().unwrap() > 0, "{signal}");
        // As if it had got nearly to the end, and seen a rule kept so often as no run can: what is
        // counted afterwards must go on from there.
        let last = 7_000_000_u32;
        decided["evidence"]["send.room.accepts"] = last.into();
        decided["next"] = u64::MAX.into();
        let file = out.join("progress/own~ring-2.json");
        std::fs::write(&file, progress.to_string()).unwrap();

        let resume = |level: &str| {
            let to = out.to_str().unwrap();
            conform(&["run", "own/ring-2", "--level", level, "--resume", "--out", to])
        };
        let other = resume("deep");
        assert_eq!(other.status.code(), Some(2), "{}", text(&other));
        assert!(text(&other).contains("cannot be resumed"), "{}", text(&other));
        let resumed = resume("standard");
        assert!(out.join("report.json").exists(), "{}", text(&resumed));
        let report = report(out);
        let cells = report["cells"].as_array().unwrap();
        let cell = cells.iter().find(|c| c["rule"] == "send.room.accepts").unwrap();
        assert_eq!(cell["evidence"], last, "{signal}: {cell}");
        assert_eq!(report["links"][0]["runs"], progress["decided"]["runs"], "nothing ran anew");
    }
}
