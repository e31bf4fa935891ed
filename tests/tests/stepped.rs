//! Stepped runs find what is broken on purpose, let our own links pass, and leave nothing behind.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ipc_tests::{conform, program, text};

fn step(link: &str, only: &str, more: &[&str]) -> (Option<i32>, String) {
    let output = conform(&[&["step", link, "--only", only], more].concat());
    (output.status.code(), text(&output))
}

#[test]
fn the_sound_queue_is_killed_everywhere_and_passes() {
    let (code, said) = step("stepped-mutants/sound", "*", &["--preemptions", "2"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("NOT the same twice"), "{said}");
    // How many instructions that takes is for the compiler to say.
    assert!(said.contains(" instructions, 2 shared reads, 18 shared writes, 0 system"), "{said}");
    assert!(said.contains("; 13 points, 26 worlds"), "{said}");
}

#[test]
fn a_message_announced_before_its_bytes_is_found_torn() {
    let (code, said) = step("stepped-mutants/publishes-first", "crash.try_send.*", &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("message.bytes-kept"), "{said}");
}

#[test]
fn a_counterexample_names_lines_is_shortened_and_fails_again_twenty_times_out_of_twenty() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    for (link, only) in [
        ("stepped-mutants/publishes-first", "crash.try_send.*"),
        ("stepped-mutants/unlocked", "schedule.send-send"),
    ] {
        let (code, said) = step(link, only, &["--out", out]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("src/queue.rs:"), "no line of source: {said}");
        assert!(said.contains("not allowed"), "{said}");
    }
    let files: Vec<_> = std::fs::read_dir(out).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        let output = conform(&["replay", file.to_str().unwrap(), "--times", "20"]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("it fails 20 times of 20"), "{said}");
        // On another way it is told so, and not taken for a failure.
        let changed =
            std::fs::read_to_string(&file).unwrap().replacen("\"steps\": ", "\"steps\": 1", 1);
        std::fs::write(&file, changed).unwrap();
        let output = conform(&["replay", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(3), "{}", text(&output));
        assert!(text(&output).contains("DIVERGED"), "{}", text(&output));
    }
}

#[test]
fn a_lock_that_dies_with_its_holder_is_found_spinning() {
    let (code, said) = step("stepped-mutants/held-at-death", "crash.try_send.*", &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("spins"), "{said}");
}

#[test]
fn a_mutex_that_dies_with_its_holder_is_found_asleep() {
    let (code, said) = step("stepped-mutants/slept-on", "crash.try_send.*", &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("asleep"), "{said}");
}

#[test]
fn a_counter_that_wraps_is_found_with_one_preemption() {
    let (code, said) = step("stepped-mutants/wraps", "schedule.receive-receive", &[]);
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn a_waiter_that_dies_asleep_and_swallows_the_wake_up_is_found() {
    let (code, said) = step("stepped-mutants/swallows", "crash.receive.*", &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("a rival asleep"), "{said}");
}

#[test]
fn stepped_rules_are_cells_of_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let links = ["stepped-mutants/publishes-first", "crossbeam-queue"];
    let arguments = ["--rule", "crash.*.every-instruction", "--out", out];
    let output = conform(&[&["run"], &links[..], &arguments].concat());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let report = std::fs::read_to_string(folder.path().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let cell = |link: &str, rule: &str| {
        let cells = report["cells"].as_array().unwrap();
        let fits = |c: &&serde_json::Value| {
            c["link"].as_str().unwrap().starts_with(link) && c["rule"] == rule
        };
        cells.iter().find(fits).unwrap().clone()
    };
    let link = "stepped-mutants/publishes-first";
    let failed = cell(link, "crash.try_send.every-instruction");
    assert_eq!(failed["verdict"], "fail", "{failed}");
    let kept = cell(link, "crash.connect.every-instruction");
    assert_eq!(kept["verdict"], "pass", "{kept}");
    assert!(kept["why"].as_str().unwrap().starts_with("killed at "), "{kept}");
    let threads = cell("crossbeam-queue", "crash.connect.every-instruction");
    assert_eq!(threads["verdict"], "not-claimed", "{threads}");
    let replay = folder.path().join(failed["replay"].as_str().unwrap());
    let output = conform(&["replay", "--run", replay.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
}

#[test]
fn an_end_and_a_count_in_two_words_are_found_apart() {
    let (code, said) = step("stepped-mutants/two-words", "crash.try_send.*", &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("order.fifo"), "{said}");
}

#[test]
fn senders_that_nothing_keeps_apart_are_found_with_one_preemption() {
    let (code, said) = step("stepped-mutants/unlocked", "schedule.send-send", &[]);
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn so_are_those_of_a_queue_between_threads_through_a_heap_that_processes_share() {
    let (code, said) = step("stepped-mutants/unlocked-threads", "schedule.send-send", &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("src/queue.rs:"), "no line of source: {said}");
}

#[test]
fn a_lock_tested_and_then_set_is_found_with_two_preemptions_and_not_with_one() {
    let (one, said) = step("stepped-mutants/test-then-set", "schedule.send-send", &[]);
    assert_eq!(one, Some(0), "{said}");
    let two = ["--preemptions", "2"];
    let (two, said) = step("stepped-mutants/test-then-set", "schedule.send-send", &two);
    assert_eq!(two, Some(1), "{said}");
}

#[test]
fn a_queue_of_threads_is_interleaved_between_processes_that_share_its_heap() {
    let once = ["--preemptions", "1"];
    let (code, said) = step("crossbeam-queue/bounded-2", "schedule.send-receive", &once);
    assert_eq!(code, Some(0), "{said}");
    // What one process sent, another has received.
    assert!(said.contains("P0 ok, P0 ok, P1 0:0, P1 0:1, left: empty"), "{said}");
    let (code, said) = step("crossbeam-queue/bounded-2", "schedule.receive-receive", &once);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("pass          schedule.receive-receive"), "{said}");
    // Without such a heap there is nothing to interleave.
    let (code, said) = step("probe-mutants/honest", "schedule.*", &once);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("not-claimed: it does not join processes"), "{said}");
}

#[test]
fn a_lock_of_threads_is_waited_for_between_processes_that_share_its_heap() {
    // One sleeps for the lock that the other holds, on a futex that is private to a process, and
    // is woken all the same.
    let (code, said) = step("flume/bounded-2", "schedule.send-send", &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("pass          schedule.send-send"), "{said}");
    assert!(!said.contains("stuck"), "{said}");
    // Here one goes round, giving its processor away, until the other has written.
    let (code, said) = step("std-mpsc/bounded-1", "schedule.send-send", &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("stuck"), "{said}");
}

#[test]
fn a_cap_that_was_reached_is_no_pass() {
    let cap = ["--cap", "5"];
    let (code, said) = step("stepped-mutants/sound", "schedule.send-receive", &cap);
    assert_eq!(code, Some(3), "{said}");
}

/// With `IPC_EXHAUSTIVE=1` every operation of all our own links and of all that are broken on
/// purpose: some ten minutes.
#[test]
fn killed_at_every_instruction_a_link_shows_nothing_that_the_points_do_not() {
    let all = std::env::var_os("IPC_EXHAUSTIVE").is_some();
    let (own, broken) = if all { ("own", "crash.*") } else { ("own/ring-2", "crash.try_*") };
    for (link, only) in [(own, broken), ("stepped-mutants/two-words", broken)] {
        let (_, said) = step(link, only, &["--every"]);
        assert!(said.contains("no verdict and no outcome is lost"), "{said}");
        assert!(!said.contains("LOST in"), "{said}");
        assert!(!said.contains("broken "), "{said}");
    }
    let (code, said) = step(own, "crash.close.*", &["--every"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn schedules_end_in_kills_too_and_find_what_is_broken_at_death() {
    let (code, said) = step("stepped-mutants/sound", "schedule.send-receive", &["--kills"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("with 1 preemptions and a kill"), "{said}");
    let held = "stepped-mutants/held-at-death";
    let (code, said) = step(held, "schedule.send-send", &["--kills", "--cap", "200"]);
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn a_controller_that_is_killed_leaves_no_process_behind() {
    // Built before, since only the stepping is waited for.
    step("stepped-mutants/sound", "nothing", &[]);
    let mut controller = Command::new(program())
        .args(["step", "stepped-mutants/sound", "--every"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let number = controller.id();
    // Its adapter's processes are told from those of other tests by the name of their place.
    let begun = Instant::now();
    while descendants(number).len() < 2 && begun.elapsed() < Duration::from_secs(300) {
        std::thread::yield_now();
    }
    let traced = descendants(number);
    assert!(traced.len() >= 2, "it never got to stepping");
    controller.kill().unwrap();
    controller.wait().unwrap();
    let begun = Instant::now();
    while traced.iter().any(|p| lives(*p)) {
        assert!(begun.elapsed() < Duration::from_secs(10), "left behind: {traced:?}");
        std::thread::yield_now();
    }
}

/// The processes that are traced by this one.
fn descendants(tracer: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let numbers = entries.filter_map(|e| e.file_name().to_str()?.parse().ok());
    let line = format!("TracerPid:\t{tracer}");
    let traced = |p: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{p}/status")).unwrap_or_default();
        status.lines().any(|l| l == line)
    };
    numbers.filter(traced).collect()
}

fn lives(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    status.lines().any(|l| l.starts_with("State:") && !l.contains('Z'))
}
