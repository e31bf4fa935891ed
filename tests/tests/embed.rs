//! The suite in somebody's own crate: written by `ipc-conform new`, run by cargo.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ipc_tests::{cargo, conform, text, workspace};

/// A crate that `ipc-conform new` has written, in a folder that is removed afterwards.
struct Crate {
    folder: tempfile::TempDir,
    name: &'static str,
}

impl Crate {
    fn new(name: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let made = conform(&["new", path.to_str().unwrap()]);
        assert!(made.status.success(), "{}", text(&made));
        // The versions that the project is tested with: nothing is downloaded.
        std::fs::copy(workspace().join("Cargo.lock"), path.join("Cargo.lock")).unwrap();
        Self { folder, name }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(self.name).join(file)
    }

    fn test(&self) -> Output {
        cargo(&self.path("")).args(["test", "--offline", "--test", "conformance"]).output().unwrap()
    }

    /// The test program itself, as nextest would start it.
    fn program(&self) -> PathBuf {
        let arguments = ["test", "--offline", "--no-run", "--message-format=json"];
        let built = cargo(&self.path("")).args(arguments).output().unwrap();
        let lines = String::from_utf8(built.stdout).unwrap();
        let messages = lines.lines().map(|l| serde_json::from_str(l).unwrap());
        let program = |m: serde_json::Value| {
            let wanted = m["target"]["name"] == "conformance";
            wanted.then(|| m["executable"].as_str().map(PathBuf::from)).flatten()
        };
        messages.into_iter().find_map(program).expect("cargo names the test program")
    }
}

/// What failed, in order of names: tests end in any order.
fn failures(output: &str) -> Vec<&str> {
    let failed = output.lines().filter(|l| l.starts_with("test ") && l.ends_with("FAILED"));
    let mut names: Vec<&str> = failed.filter_map(|l| l.split_whitespace().nth(1)).collect();
    names.sort_unstable();
    names
}

fn run(program: &Path, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

/// The names that a listing shows, as nextest reads it: nothing but `name: test` may be there.
fn listed(program: &Path, arguments: &[&str]) -> Vec<String> {
    let output = run(program, arguments);
    assert!(output.status.success(), "{}", text(&output));
    let lines = String::from_utf8(output.stdout).unwrap();
    let name = |l: &str| l.strip_suffix(": test").expect("a line is `name: test`").to_string();
    lines.lines().map(name).collect()
}

/// The rule that the mistake breaks, and two on handles that look at it by the same call.
const BROKEN: [&str; 3] = [
    "bounded-2::handles::handles.kept-tells-the-same",
    "bounded-2::handles::handles.last-one-closes",
    "bounded-2::try_send::try_send.no-receiver.closed",
];

#[test]
fn a_new_crate_shows_its_one_mistake_and_is_green_once_that_is_mended() {
    let own = Crate::new("my-channel");
    let red = own.test();
    let output = text(&red);
    assert!(!red.status.success(), "{output}");
    assert_eq!(failures(&output), BROKEN, "{output}");
    for part in ["a nonblocking send returns `closed`", "┌ try_send 0:0", "◄── not allowed"]
    {
        assert!(output.contains(part), "{part:?} is missing in {output}");
    }

    let source = own.path("src/lib.rs");
    let before = std::fs::read_to_string(&source).unwrap();
    let mistake = ".map_err(|_| SendError::Full)";
    let mended = ".map_err(|e| if e == SendError::Timeout { SendError::Full } else { e })";
    assert!(before.contains(mistake));
    std::fs::write(&source, before.replace(mistake, mended)).unwrap();
    let green = own.test();
    assert!(green.status.success(), "{}", text(&green));
    // What is ignored is not claimed, or left open by its rule, or takes the deep level; it says so.
    let not_claimed = ["--list", "--format", "terse", "--ignored"];
    let not_claimed = listed(&own.program(), &not_claimed).len();
    let output = text(&green);
    let excused = |l: &&str| l.contains("ignored (open: ") || l.contains("ignored (only the deep");
    let ignored = not_claimed + output.lines().filter(excused).count();
    assert!(output.contains(&format!(" {ignored} ignored")), "{output}");
}

#[test]
fn nextest_finds_every_rule_and_gets_its_verdict_alone() {
    let own = Crate::new("alone");
    let program = own.program();
    let all = listed(&program, &["--list", "--format", "terse"]);
    let ignored = listed(&program, &["--list", "--format", "terse", "--ignored"]);
    assert_eq!(all, listed(&program, &["--list", "--format", "terse"]));
    assert!(ignored.iter().all(|name| name.starts_with("[not-claimed] bounded-2::")));

    for name in all.iter().filter(|name| !ignored.contains(name)) {
        let output = run(&program, &["--exact", name, "--nocapture"]);
        let passes = output.status.success();
        assert_eq!(passes, !BROKEN.contains(&name.as_str()), "{}", text(&output));
        assert!(text(&output).contains("running 1 test"), "{}", text(&output));
    }
    // Whoever runs ignored tests is not told that they pass.
    let output = run(&program, &["--exact", &ignored[0], "--ignored", "--nocapture"]);
    assert!(!output.status.success(), "{}", text(&output));
}

#[test]
fn a_link_between_processes_is_tested_by_processes_that_are_killed() {
    let own = Crate::new("pipe-crate");
    let fixture = workspace().join("tests/fixtures/pipe-crate/adapter.rs");
    std::fs::copy(fixture, own.path("tests/adapter/mod.rs")).unwrap();
    let output = own.test();
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    for rule in ["killed.sender.drains", "killed.sender.closed", "killed.receiver.closed"] {
        let passed = |l: &str| l.contains(rule) && l.ends_with("... ok");
        assert!(text.lines().any(passed), "{rule} did not pass: {text}");
    }
}

#[test]
fn nothing_is_overwritten_and_a_bad_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine"), "mine").unwrap();
    let here = folder.path().to_str().unwrap();
    let there = folder.path().join("there");
    for (arguments, why) in [
        (vec!["new", here, "--name", "fine"], "is there already"),
        (vec!["new", there.to_str().unwrap(), "--name", "7up"], "does not begin with a letter"),
        (vec!["new", there.to_str().unwrap(), "--name", "a b"], "other than letters"),
    ] {
        let output = conform(&arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output).contains(why), "{}", text(&output));
    }
    assert!(!there.exists());
}
