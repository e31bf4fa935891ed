//! A crate at another version than the lock file's: built apart, reported as what it is.

use std::path::Path;

use ipc_tests::{conform, text};

fn report(links: &[&str], out: &Path) -> (Option<i32>, String, serde_json::Value) {
    let mut arguments = vec!["run"];
    arguments.extend(links);
    arguments.extend(["--rule", "send.room.accepts", "--out", out.to_str().unwrap()]);
    let output = conform(&arguments);
    let told = text(&output);
    let report = std::fs::read_to_string(out.join("report.json"));
    let report = report.unwrap_or_else(|e| panic!("no report, {e}: {told}"));
    (output.status.code(), told, serde_json::from_str(&report).unwrap())
}

#[test]
fn an_older_version_is_built_and_named_and_one_that_is_none_is_broken() {
    let out = tempfile::tempdir().unwrap();
    let links = ["crossbeam-channel@0.5.8/bounded-2", "crossbeam-channel@0.0.77"];
    let (code, told, report) = report(&links, out.path());
    assert_eq!(code, Some(2), "{told}");
    let links = report["links"].as_array().unwrap();
    assert_eq!(links[0]["name"], "crossbeam-channel/bounded-2");
    assert_eq!(links[0]["version"], "0.5.8");
    let cells = report["cells"].as_array().unwrap();
    let cell = |link: &str| {
        let wanted = |c: &&serde_json::Value| c["link"] == link && c["rule"] == "send.room.accepts";
        cells.iter().find(wanted).unwrap_or_else(|| panic!("no cell of {link}: {told}"))
    };
    assert_eq!(cell("crossbeam-channel/bounded-2")["verdict"], "pass");
    let none = cell("crossbeam-channel@0.0.77");
    assert_eq!(none["verdict"], "broken");
    assert!(none["why"].as_str().unwrap().contains("0.0.77"), "{none}");
}

#[test]
fn a_row_of_versions_is_looked_through() {
    let kept = tempfile::tempdir().unwrap();
    let between = |from: &str, to: &str, every: &[&str]| {
        let folder = kept.path().to_str().unwrap();
        let mut arguments = vec!["bisect", "crossbeam-channel/bounded-2", "send.room.accepts"];
        arguments.extend(["--from", from, "--to", to, "--keep", folder]);
        arguments.extend(every);
        let output = conform(&arguments);
        (output.status.code(), text(&output))
    };
    let (code, told) = between("0.5.8", "0.5.9", &[]);
    assert_eq!(code, Some(3), "two ends that behave alike say nothing of the rest: {told}");
    for line in ["2 versions, 0.5.8 to 0.5.9", "  0.5.8        pass", "  0.5.9        pass"] {
        assert!(told.contains(line), "{line:?} is missing: {told}");
    }
    assert!(told.contains("no change between the two ends"), "{told}");
    assert!(kept.path().join("crossbeam-channel@0.5.9-bounded-2/report.json").exists());
    // With every one of them looked at, there is nothing left to be unsure of.
    let (code, told) = between("0.5.8", "0.5.9", &["--every"]);
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = between("0.5.8", "0.5.888", &[]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("--to 0.5.888: no such version is published"), "{told}");
}

#[test]
fn what_has_no_other_versions_says_so() {
    let out = tempfile::tempdir().unwrap();
    let (code, told, report) = report(&["unix-dgram@2.0.0", "flume@../.."], out.path());
    assert_eq!(code, Some(2), "{told}");
    let why = |link: &str| {
        let cells = report["cells"].as_array().unwrap();
        let cell = cells.iter().find(|c| c["link"] == link).unwrap();
        cell["why"].as_str().unwrap().to_string()
    };
    assert!(why("unix-dgram@2.0.0").contains("is no crate"), "{}", why("unix-dgram@2.0.0"));
    assert!(why("flume@../..").contains("is no version"), "{}", why("flume@../.."));
}
