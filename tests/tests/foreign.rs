//! Adapters in other languages, which speak the protocol of `docs/protocol.md` by themselves.

use std::path::Path;
use std::process::Command;

use ipc_tests::{conform, text, workspace};

/// Runs the adapter on rules that match, and answers the verdicts of one of its links by rule.
fn verdicts(program: &Path, link: &str, rules: &str) -> Vec<(String, String)> {
    let out = tempfile::tempdir().unwrap();
    let place = out.path().to_str().unwrap();
    let output = conform(&["run", program.to_str().unwrap(), "--rule", rules, "--out", place]);
    let report = std::fs::read_to_string(out.path().join("report.json"));
    let report = report.unwrap_or_else(|e| panic!("no report, {e}: {}", text(&output)));
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let of_link = report["cells"].as_array().unwrap().iter().filter(|c| c["link"] == link);
    let asked = of_link.filter(|c| c["why"] != "not asked for");
    let word = |v: &serde_json::Value| v.as_str().unwrap().to_string();
    let mut verdicts: Vec<_> = asked.map(|c| (word(&c["rule"]), word(&c["verdict"]))).collect();
    verdicts.retain(|(_, verdict)| verdict != "not-claimed");
    assert!(!verdicts.is_empty(), "{}", text(&output));
    verdicts
}

fn assert_pass(program: &Path, link: &str, rules: &str, expected: &[&str]) {
    let verdicts = verdicts(program, link, rules);
    for rule in expected {
        let verdict = verdicts.iter().find(|(r, _)| r == rule).map(|(_, v)| v.as_str());
        assert_eq!(verdict, Some("pass"), "{link} {rule}; all: {verdicts:?}");
    }
}

#[test]
fn python_speaks_the_protocol() {
    let program = workspace().join("conformance/foreign/python/adapter.py");
    let pipe = "python-multiprocessing/pipe";
    let blocking = ["receive.message.takes", "receive.empty.blocks", "receive.closed.drains"];
    assert_pass(&program, pipe, "receive.*", &blocking);
    let killed = ["killed.sender.drains", "killed.sender.closed", "killed.receiver.closed"];
    assert_pass(&program, pipe, "killed.*", &killed);
    let queue = "python-multiprocessing/queue-2";
    assert_pass(&program, queue, "*.blocks", &["send.full.blocks", "receive.empty.blocks"]);
}

#[test]
fn c_speaks_the_protocol() {
    let source = workspace().join("conformance/foreign/c");
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("posix-mq");
    let built = Command::new("make")
        .current_dir(&source)
        .arg(format!("OUT={}", program.display()))
        .arg("-B")
        .output()
        .expect("make and a C compiler are there");
    assert!(built.status.success(), "{}", text(&built));
    let link = "c-posix-mq/mq-2";
    let full = ["send.full.blocks", "try_send.full.refuses", "send_timeout.full.expires"];
    assert_pass(&program, link, "*full*", &full);
    let order = ["order.priority", "message.bytes-kept", "try_receive.empty.refuses"];
    for rule in order {
        assert_pass(&program, link, rule, &[rule]);
    }
}
