//! Adapters that misbehave: each is found out and named, in bounded time, and harms no other.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ipc_tests::{program, text, workspace};

const RULE: &str = "receive.message.takes";

/// What came of running an adapter with this fault, beside an honest one.
struct Outcome {
    code: Option<i32>,
    verdict: String,
    why: String,
    output: String,
}

/// Writes a program without arguments that is the fixture with this fault.
fn adapter(folder: &Path, fault: &str) -> String {
    let path = folder.join(fault);
    let fixture = workspace().join("tests/fixtures/hostile.py");
    let script = format!("#!/bin/sh\nexec python3 -B {} {fault}\n", fixture.display());
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().into()
}

fn run(fault: &str, rule: &str) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    // Nobody else asks for this many seconds, so what is left over can be told by it.
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let sleep = format!("1000.{}{:03}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
    let begun = Instant::now();
    let output = Command::new(program())
        .arg("run")
        .args([adapter(folder.path(), fault), adapter(folder.path(), "honest")])
        .args(["--rule", rule, "--out", out.to_str().unwrap()])
        .env("HOSTILE_SLEEP", &sleep)
        .output()
        .unwrap();
    let output_text = text(&output);
    assert!(begun.elapsed() < Duration::from_secs(90), "{fault} takes too long");
    assert_eq!(processes_with(&sleep), Vec::<String>::new(), "{fault} has left a child");

    let report = std::fs::read_to_string(out.join("report.json"));
    let report = report.unwrap_or_else(|e| panic!("{fault}: no report, {e}: {output_text}"));
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let cells = report["cells"].as_array().unwrap();
    let cell = |honest: bool| {
        let wanted =
            |c: &&serde_json::Value| c["rule"] == rule && (c["link"] == "honest/pipe") == honest;
        cells.iter().find(wanted).unwrap_or_else(|| panic!("{fault}: no cell: {output_text}"))
    };
    let honest = cell(true);
    assert_eq!(honest["verdict"], "pass", "beside {fault}: {honest}");
    let faulty = cell(false);
    Outcome {
        code: output.status.code(),
        verdict: faulty["verdict"].as_str().unwrap().into(),
        why: faulty["why"].as_str().unwrap().into(),
        output: output_text,
    }
}

/// The command lines of processes that were given this argument.
fn processes_with(argument: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = entries.filter_map(|e| std::fs::read(e.path().join("cmdline")).ok());
    let texts = lines.map(|l| String::from_utf8_lossy(&l).replace('\0', " "));
    texts.filter(|line| line.contains(argument)).collect()
}

fn assert_broken(fault: &str, why: &str) {
    assert_broken_at(RULE, fault, why);
}

fn assert_broken_at(rule: &str, fault: &str, why: &str) {
    let outcome = run(fault, rule);
    assert_eq!(outcome.verdict, "broken", "{fault}: {}", outcome.why);
    assert!(outcome.why.contains(why), "{fault}: {}", outcome.why);
    assert_eq!(outcome.code, Some(2), "{fault}: {}", outcome.output);
}

#[test]
fn one_that_prints_rubbish() {
    assert_broken("rubbish", "it answers rubbish: \"who goes there?\"");
}

#[test]
fn one_that_dies_at_once() {
    assert_broken("dies", "no licence found");
}

#[test]
fn one_that_never_answers() {
    assert_broken("silent", "no answer within 10s");
}

#[test]
fn one_whose_answer_has_no_end() {
    assert_broken("endless", "it answers rubbish: \"xxx");
}

#[test]
fn ones_that_claim_what_makes_no_sense() {
    assert_broken("other-protocol", "it speaks \"ipc-adapter/9\"");
    assert_broken("claims-nothing", "it claims no link at all");
    assert_broken("claims-twice", "it claims link pipe twice");
    assert_broken("contradiction", "capacity=0 and order=priority");
    assert_broken("odd-name", "\"../../pipe\" is no name");
}

#[test]
fn one_that_hangs_when_it_is_to_run() {
    assert_broken("hangs-at-run", "no answer within 10s");
}

#[test]
fn one_that_allocates_without_end() {
    assert_broken("allocates", "Cannot allocate memory");
}

#[test]
fn one_that_exits_in_the_middle() {
    assert_broken("exits-in-the-middle", "exit status: 5");
}

#[test]
fn one_that_forks_and_exits() {
    assert_broken("forks-and-exits", "exit status: 0");
}

#[test]
fn one_that_leaves_a_daemon_is_rid_of_it() {
    // It does what it claims; that nothing of it is left is what every run of these looks at.
    let outcome = run("leaves-a-daemon", RULE);
    assert_eq!(outcome.verdict, "pass", "{}", outcome.why);
}

#[test]
fn one_that_aborts_is_a_crash() {
    let outcome = run("aborts", RULE);
    assert_eq!(outcome.verdict, "crash", "{}", outcome.why);
    assert!(outcome.why.contains("SIGABRT"), "{}", outcome.why);
    assert_eq!(outcome.code, Some(1), "{}", outcome.output);
}

#[test]
fn one_that_answers_twice() {
    assert_broken("answers-twice", "answers");
}

#[test]
fn one_that_prints_where_answers_belong() {
    assert_broken("prints-on-stdout", "it answers rubbish: \"starting...\"");
}

#[test]
fn ones_that_write_down_what_cannot_be() {
    assert_broken("backwards", "times that go backwards");
    assert_broken("scribbles", "is none");
    assert_broken("returns-twice", "twice or unasked");
    assert_broken_at("send.full.blocks", "never-returns", "begins call 1 within 0");
}

#[test]
fn one_whose_worker_exits() {
    assert_broken("worker-exits", "exited with code 7");
}

#[test]
fn one_that_claims_a_call_it_does_not_have() {
    assert_broken("claims-a-call", "the link claims try_send and has no such call");
}

#[test]
fn one_that_claims_too_much_fails() {
    let outcome = run("claims-too-much", "send.full.blocks");
    assert_eq!(outcome.verdict, "fail", "{}", outcome.why);
    assert_eq!(outcome.code, Some(1), "{}", outcome.output);
    assert!(outcome.output.contains("FAIL claims-too-much/pipe"), "{}", outcome.output);
}
