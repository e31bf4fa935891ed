//! The program as a user runs it: what it prints, how it exits, what it leaves behind.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use ipc_tests::{program, text, workspace};

fn run(arguments: &[&str]) -> Output {
    Command::new(program()).args(arguments).output().unwrap()
}

fn fixture(name: &str) -> PathBuf {
    workspace().join("tests/fixtures/histories").join(name)
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it exits by itself")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn recorded_histories_are_judged() {
    let cases = [
        ("overtaken", 1),
        ("empty-while-inside", 1),
        ("third-into-two", 1),
        ("rendezvous-alone", 1),
        ("stuck-receiver", 1),
        ("killed-in-send", 0),
    ];
    for (name, expected) in cases {
        let file = fixture(&format!("{name}.jsonl"));
        let output = run(&["check", file.to_str().unwrap()]);
        assert_eq!(code(&output), expected, "{name}: {}", text(&output));
        insta::assert_snapshot!(format!("check-{name}"), stdout(&output));
    }
}

#[test]
fn standard_input_another_profile_and_json_are_taken() {
    let history = std::fs::read(fixture("overtaken.jsonl")).unwrap();
    let mut child = Command::new(program())
        .args(["check", "-", "--profile", r#"{"order":"unordered"}"#, "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&history).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 0);
    let verdict: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(verdict["verdict"], "pass");

    let file = fixture("overtaken.jsonl");
    let output = run(&["check", file.to_str().unwrap(), "--format", "json"]);
    assert_eq!(code(&output), 1);
    let verdict: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(verdict["verdict"], "fail");
    assert!(verdict["operations"].as_array().unwrap().len() >= 4);
}

#[test]
fn bad_input_is_named_with_its_place_and_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_string()
    };
    let call = r#"{"process":0,"type":"invoke","f":"send","value":"0:0","time":1}"#;
    let rubbish = file("rubbish", b"\x00\xffnot a history\n");
    let cut = file("cut", format!("{call}\n{}", &call[..20]).as_bytes());
    let unasked = file("unasked", br#"{"process":0,"type":"ok","f":"send","time":1}"#);
    let plain = file("plain", format!("{call}\n").as_bytes());
    let replay = file("replay", b"{}");
    let clash = r#"{"capacity":0,"order":"priority"}"#;
    let cases: &[(&[&str], &[&str])] = &[
        (&["check", &rubbish], &["line 1"]),
        (&["check", &cut, "--profile", "unbounded"], &["line 2"]),
        (&["check", &unasked, "--profile", "unbounded"], &["line 1", "without having called"]),
        (&["check", &plain], &["--profile"]),
        (&["check", &plain, "--profile", "bounded:x"], &["bounded:N"]),
        (&["check", &plain, "--profile", clash], &["capacity=0", "order=priority"]),
        (&["check", "/no/such/file", "--profile", "unbounded"], &["/no/such/file"]),
        (&["replay", &replay], &["not a replay file"]),
        (&["run", "crossbeam-chanel"], &["nearest", "crossbeam-channel"]),
        (&["run", "model/boundd-2"], &["nearest", "bounded-2"]),
        (&["run", "model", "--rule", "send.ful.blocks"], &["nearest", "send.full.blocks"]),
        (&["run", "./no-such-program"], &["no-such-program"]),
        (&["explain", "order.fif"], &["nearest", "order.fifo"]),
        (&["run", "model/zero", "--out", "/proc/no"], &["/proc/no"]),
    ];
    for (arguments, expected) in cases {
        let output = run(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", text(&output));
        for part in *expected {
            assert!(text(&output).contains(part), "{arguments:?}: {}", text(&output));
        }
        assert!(!text(&output).contains("panicked"), "{arguments:?}: {}", text(&output));
    }
}

#[test]
fn a_red_cell_comes_with_its_picture_and_can_be_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let link = "model/mutant-last-in-first-out";
    let output = run(&["run", link, "--rule", "order.fifo", "--out", out]);
    assert_eq!(code(&output), 1, "{}", text(&output));
    for part in ["FAIL", "order.fifo", "◄── not allowed", "ipc-conform replay --run"] {
        assert!(stdout(&output).contains(part), "no {part:?} in: {}", text(&output));
    }
    let replay = folder.path().join("replay/model-mutant-last-in-first-out-order.fifo.json");
    let output = run(&["replay", "--run", replay.to_str().unwrap()]);
    assert_eq!(code(&output), 1, "{}", text(&output));
    assert!(stdout(&output).contains("it fails 10 times of 10"), "{}", text(&output));
}

#[test]
fn one_seed_gives_one_report() {
    let folder = tempfile::tempdir().unwrap();
    let cells = |name: &str| {
        let out = folder.path().join(name);
        let output =
            run(&["run", "model/bounded-2", "--seed", "7", "--out", out.to_str().unwrap()]);
        assert_eq!(code(&output), 0, "{}", text(&output));
        let report = std::fs::read_to_string(out.join("report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let cells = report["cells"].as_array().unwrap().clone();
        cells.iter().map(|c| (c["rule"].to_string(), c["verdict"].to_string())).collect::<Vec<_>>()
    };
    assert_eq!(cells("a"), cells("b"));
}

#[test]
fn a_known_deviation_is_excused_and_a_stale_one_fails_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let known = |link: &str| {
        let file = folder.path().join("known.toml");
        let text = format!(
            "[[deviation]]\nlink = \"model/{link}\"\nrule = \"order.fifo\"\nverdict = \"fail\"\n\
             reason = \"a test\"\n"
        );
        std::fs::write(&file, text).unwrap();
        let arguments = ["--rule", "order.fifo", "--deviations", file.to_str().unwrap()];
        let link = format!("model/{link}");
        let first = ["run", &link, "--out", out.to_str().unwrap()];
        run(&[&first[..], &arguments[..]].concat())
    };
    let excused = known("mutant-last-in-first-out");
    assert_eq!(code(&excused), 0, "{}", text(&excused));
    let stale = known("bounded-2");
    assert_eq!(code(&stale), 1, "{}", text(&stale));
    assert!(text(&stale).contains("stale: model/bounded-2 no longer deviates from order.fifo"));
}

#[test]
fn every_rule_is_listed_and_explained() {
    let output = run(&["rules"]);
    assert_eq!(code(&output), 0);
    let listed = stdout(&output);
    for rule in ipc_model::RuleId::all() {
        assert!(listed.contains(rule.rule().id), "{rule} is not listed");
    }
    let output = run(&["explain", "send.full.blocks"]);
    insta::assert_snapshot!("explain-send-full-blocks", stdout(&output));
}

/// Names of this run's objects in shared memory, and of its folders.
fn left_over(pid: u32) -> Vec<String> {
    let list = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        entries.filter_map(|e| e.file_name().into_string().ok()).collect::<Vec<_>>()
    };
    let ours = format!("ipc-conform-{pid}-");
    let names = list(Path::new("/dev/shm")).into_iter().chain(list(&std::env::temp_dir()));
    names.filter(|n| n.contains(&ours)).collect()
}

/// Processes whose parents' parents were the runner: told by its folder in their environment.
fn processes_of(pid: u32) -> Vec<String> {
    let ours = format!("ipc-conform-{pid}-");
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let uses = |path: &Path| {
        let read = |name: &str| std::fs::read(path.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&read("environ")).contains(&ours)
            || String::from_utf8_lossy(&read("maps")).contains(&ours)
    };
    let found = processes.map(|e| e.path()).filter(|p| uses(p));
    found.map(|p| p.display().to_string()).collect()
}

/// Starts a run, lets it get going, ends it by `signal`, and waits until nothing of it is left.
fn ended_by(signal: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(program())
        .args(["run", "own/ring-2", "own/mailbox-3", "--level", "standard"])
        .args(["--out", folder.path().to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    let begun = Instant::now();
    let shared = || left_over(pid).len() > 1 && !processes_of(pid).is_empty();
    while !shared() {
        assert!(begun.elapsed() < Duration::from_secs(300), "it never gets going");
        assert!(child.try_wait().unwrap().is_none(), "it has ended already");
        std::thread::sleep(Duration::from_millis(1));
    }
    let status = Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
    assert!(status.success());
    child.wait().unwrap();
    let begun = Instant::now();
    // The folder of a runner that was killed is removed by the next run.
    let next = || {
        run(&[
            "run",
            "model/zero",
            "--rule",
            "rendezvous.meets",
            "--out",
            folder.path().to_str().unwrap(),
        ])
    };
    while !processes_of(pid).is_empty() {
        let who = processes_of(pid);
        assert!(begun.elapsed() < Duration::from_secs(20), "{signal} leaves {who:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    next();
    assert_eq!(left_over(pid), Vec::<String>::new(), "{signal} leaves this");
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    ended_by("-INT");
}

#[test]
fn a_killed_runner_leaves_nothing_behind() {
    ended_by("-KILL");
}
