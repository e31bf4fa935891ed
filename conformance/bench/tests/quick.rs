//! The program as `ipc-conform bench` runs it. What it measures is nobody's business here; that it
//! measures, says so and leaves nothing behind is.

use std::path::Path;
use std::process::{Command, Output};

fn bench(arguments: &[&str], out: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipc-bench"));
    command.args(["--quick", "--sizes", "8,64", "--out"]).arg(out).args(arguments);
    command.output().unwrap()
}

fn names() -> Vec<String> {
    let entries = std::fs::read_dir("/dev/shm").unwrap();
    let names = entries.filter_map(|e| e.unwrap().file_name().into_string().ok());
    names.filter(|name| name.contains("ipc-bench")).collect()
}

#[test]
fn links_are_measured_beside_the_limit_and_nothing_stays() {
    let out = tempfile::tempdir().unwrap();
    let output = bench(&["--links", "own/ring,own/unbounded,pipe"], out.path());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for row in ["limit", "own/ring", "own/unbounded", "pipe"] {
        assert!(text.lines().any(|line| line.starts_with(row)), "no row {row} in\n{text}");
    }
    let json = std::fs::read(out.path().join("bench.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(report["format"], "ipc-bench/1");
    let links = report["links"].as_array().unwrap();
    let link = |name: &str| links.iter().find(|l| l["name"] == name).unwrap();
    for name in ["limit", "own/ring", "own/unbounded", "pipe"] {
        let one_way = link(name)["one_way"]["8"]["median"].as_f64();
        assert!(one_way.is_some_and(|time| time > 0.0), "{name}: {}", link(name));
    }
    // The kernel's own count does not depend on how fast anything is.
    assert_eq!(link("pipe")["calls"]["8"].as_f64().map(f64::round), Some(2.0));
    for plot in ["bench-shared-memory.svg", "bench-message-passing.svg"] {
        assert!(std::fs::read_to_string(out.path().join(plot)).unwrap().contains("<svg"));
    }
    assert_eq!(names(), Vec::<String>::new());
}

#[test]
fn a_contender_that_is_none_is_refused_with_the_names_there_are() {
    let out = tempfile::tempdir().unwrap();
    let output = bench(&["--links", "own/rnig"], out.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("own/ring"), "{output:?}");
}
