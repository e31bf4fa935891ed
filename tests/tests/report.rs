//! The formats of the report, and what `report`, `merge` and `diff` do with good and bad files.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::{Value, json};

mod browser;

/// The program as this build has it.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--package", "ipc-conformance", "--bin", "ipc-conform"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let status = build.current_dir(env!("CARGO_MANIFEST_DIR")).status();
        assert!(status.is_ok_and(|s| s.success()), "ipc-conform does not build");
        // This test lies in the folder `deps` beside the program.
        let here = std::env::current_exe().unwrap();
        here.parent().and_then(Path::parent).unwrap().join("ipc-conform")
    })
}

fn conform(arguments: &[&str]) -> Output {
    Command::new(program()).args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn fixture() -> String {
    format!("{}/fixtures/report/mixed.json", env!("CARGO_MANIFEST_DIR"))
}

fn mixed() -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixture()).unwrap()).unwrap()
}

/// A folder of report files.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().into()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn report(&self, name: &str, report: &Value) -> String {
        self.write(name, report.to_string())
    }
}

fn cell<'a>(report: &'a mut Value, link: &str, rule: &str) -> &'a mut Value {
    let cells = report["cells"].as_array_mut().unwrap();
    cells.iter_mut().find(|c| c["link"] == link && c["rule"] == rule).unwrap()
}

fn verdict(report: &mut Value, link: &str, rule: &str) -> String {
    cell(report, link, rule)["verdict"].as_str().unwrap().into()
}

#[test]
fn the_formats_of_one_report() {
    for format in ["markdown", "junit", "badge"] {
        let written = conform(&["report", &fixture(), "--format", format]);
        assert_eq!(written.status.code(), Some(0), "{}", error(&written));
        insta::assert_snapshot!(format, out(&written));
    }
    // Beside the file that it was read from, so that the names of its replay files still hold.
    let files = Files::new();
    let (one, two) = (files.report("one.json", &mixed()), files.path("two.json"));
    let written = conform(&["report", &one, "--format", "json", "--out", &two]);
    assert_eq!(written.status.code(), Some(0), "{}", error(&written));
    let again: Value = serde_json::from_str(&std::fs::read_to_string(two).unwrap()).unwrap();
    assert!(again == mixed(), "a report is written as it was read");
}

#[test]
fn junit_passes_only_what_passed() {
    let xml = out(&conform(&["report", &fixture(), "--format", "junit"]));
    let cells = mixed()["cells"].as_array().unwrap().clone();
    let count = |wanted: &dyn Fn(&Value) -> bool| cells.iter().filter(|c| wanted(c)).count();
    let passed = count(&|c| c["verdict"] == "pass");
    let red = |c: &Value| ["fail", "hang", "crash"].iter().any(|v| c["verdict"] == *v);
    let failed = count(&|c| red(c) && c["known"].is_null());
    let broken = count(&|c| c["verdict"] == "broken");
    assert_eq!(xml.matches("<testcase").count(), cells.len());
    assert_eq!(xml.matches("<failure").count(), failed);
    assert_eq!(xml.matches("<error").count(), broken);
    let skipped = cells.len() - passed - failed - broken;
    assert_eq!(xml.matches("<skipped message=").count(), skipped);
}

#[test]
fn shards_add_up_and_the_worse_verdict_stays() {
    let files = Files::new();
    let mut whole = mixed();
    let (mut odd, mut even) = (mixed(), mixed());
    let cells = whole["cells"].as_array().unwrap().clone();
    let part = |rest| -> Vec<Value> {
        cells.iter().enumerate().filter(|(i, _)| i % 2 == rest).map(|(_, c)| c.clone()).collect()
    };
    odd["cells"] = part(1).into();
    even["cells"] = part(0).into();
    let (odd, even) = (files.report("odd.json", &odd), files.report("even.json", &even));

    let half = conform(&["report", &odd, "--format", "markdown"]);
    assert_eq!(half.status.code(), Some(2));
    assert!(error(&half).contains("32 cells have no verdict"), "{}", error(&half));

    let joined = conform(&["report", &odd, &even, "--format", "json"]);
    assert_eq!(joined.status.code(), Some(0), "{}", error(&joined));
    let mut joined: Value = serde_json::from_str(&out(&joined)).unwrap();
    assert_eq!(joined["cells"].as_array().unwrap().len(), cells.len());

    // From best to worst: whatever comes later wins, in either order of the files.
    let (link, rule) = ("crossbeam-channel/bounded-2", "send.room.accepts");
    let told = [
        ("inconclusive", "not asked for"),
        ("inconclusive", "no run needed it"),
        ("pass", "needed and kept in 3 runs"),
        ("inconclusive", "the check gave up"),
        ("broken", "EMFILE"),
        ("crash", "SIGSEGV"),
        ("hang", "never returned"),
        ("fail", "returned ok"),
    ];
    for pair in told.windows(2) {
        for order in [[0, 1], [1, 0]] {
            let paths: Vec<String> = order
                .iter()
                .map(|i| {
                    let cell = cell(&mut whole, link, rule);
                    (cell["verdict"], cell["why"]) = (pair[*i].0.into(), pair[*i].1.into());
                    files.report(&format!("{i}.json"), &whole)
                })
                .collect();
            let merged = conform(&["report", &paths[0], &paths[1], "--format", "json"]);
            joined = serde_json::from_str(&out(&merged)).unwrap();
            assert_eq!(verdict(&mut joined, link, rule), pair[1].0, "{pair:?}");
        }
    }
}

#[test]
fn merge_writes_a_folder_that_can_be_moved() {
    let files = Files::new();
    let to = files.path("all");
    let merged = conform(&["merge", &fixture(), "--out", &to]);
    // The fixture holds red cells, so that it exits as the run did.
    assert_eq!(merged.status.code(), Some(1), "{}", error(&merged));
    // The fixture names replay files that it does not have: said, and not kept as a dead link.
    assert!(error(&merged).contains("kanal-unbounded-order.fifo.json"), "{}", error(&merged));
    let text = std::fs::read_to_string(files.path("all/report.json")).unwrap();
    assert!(!text.contains("\"replay\""));
    assert!(Path::new(&files.path("all/report.html")).is_file());
}

#[test]
fn what_does_not_belong_together_is_not_merged() {
    let files = Files::new();
    let with = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut report = mixed();
        change(&mut report);
        files.report(name, &report)
    };
    let cases = [
        (with("suite.json", &|r| r["suite"] = "9.9.9".into()), "versions of the suite"),
        (with("rules.json", &|r| r["rules"][0]["says"] = "else".into()), "send.room.accepts is"),
        (with("version.json", &|r| r["links"][1]["version"] = "0.4.0".into()), "its version is"),
        (with("profile.json", &|r| r["links"][1]["profile"]["capacity"] = 7.into()), "its profile"),
    ];
    for (file, reason) in cases {
        let merged = conform(&["merge", &fixture(), &file, "--out", &files.path("none")]);
        assert_eq!(merged.status.code(), Some(2), "{reason}");
        let said = error(&merged);
        assert!(said.contains(reason) && said.contains(&file), "{said}");
        assert!(!Path::new(&files.path("none")).exists(), "nothing is written");
    }
}

#[test]
fn broken_files_are_named_with_the_reason() {
    let files = Files::new();
    let mut stray = mixed();
    stray["cells"][0]["link"] = "nobody/nothing".into();
    let mut word = mixed();
    word["cells"][0]["verdict"] = "splendid".into();
    let mut twice = mixed();
    let first = twice["cells"][0].clone();
    twice["cells"].as_array_mut().unwrap().push(first);
    let cases = [
        (files.path("absent.json"), "such file"),
        (files.write("empty.json", ""), "the file is empty"),
        (files.write("cut.json", &mixed().to_string()[..500]), "EOF"),
        (files.write("bytes.json", [0xff, 0xfe, 0x00]), "not UTF-8"),
        (files.write("list.json", "[]"), "not a report"),
        (files.write("other.json", r#"{"format":"ipc-report/2"}"#), "\"ipc-report/2\", expected"),
        (files.report("stray.json", &stray), "no such link"),
        (files.report("word.json", &word), "unknown variant `splendid`"),
        (files.report("twice.json", &twice), "two cells are about"),
    ];
    for (file, reason) in &cases {
        for arguments in [
            vec!["report", file],
            vec!["merge", file, "--out", "/nonexistent/folder"],
            vec!["diff", &fixture(), file],
        ] {
            let refused = conform(&arguments);
            assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
            let said = error(&refused);
            assert!(said.contains(reason) && said.contains(file), "{arguments:?}: {said}");
            assert!(refused.stdout.is_empty());
        }
    }
}

#[test]
fn diff_tells_what_changed() {
    let files = Files::new();
    let (before, mut after) = (mixed(), mixed());
    let same = conform(&["diff", &fixture(), &files.report("same.json", &before)]);
    assert_eq!((same.status.code(), error(&same)), (Some(0), String::new()));
    assert!(out(&same).starts_with("0 changed, 0 added, 0 deleted, 63 the same"), "{}", out(&same));

    // The crate is upgraded: its links keep their names but for the version.
    let text = after.to_string().replace("\"crossbeam-channel/", "\"crossbeam-channel@0.6.0/");
    after = serde_json::from_str(&text).unwrap();
    after["links"][1]["version"] = "0.6.0".into();
    after["links"][2]["version"] = "0.6.0".into();
    let fixed = cell(&mut after, "posix-mq/bounded-2", "close.returns");
    fixed["verdict"] = "pass".into();
    fixed["why"] = "needed and kept in 3 runs".into();
    fixed["observed"] = json!([]);
    let observed = cell(&mut after, "flume/bounded-1", "try_receive.empty.refuses");
    observed["observed"] = json!(["try_receive: empty"]);
    // A rule goes, and another one comes.
    let text = after.to_string().replace("\"delivery.once\"", "\"delivery.exactly-once\"");
    after = serde_json::from_str(&text).unwrap();
    let better = files.report("better.json", &after);
    let changed = conform(&["diff", &fixture(), &better]);
    assert_eq!(changed.status.code(), Some(0), "nothing became red: {}", out(&changed));

    let worse = cell(&mut after, "crossbeam-channel@0.6.0/bounded-2", "send.full.blocks");
    worse["verdict"] = "fail".into();
    worse["why"] = "P0 send 0:2 returned ok; allowed here: waiting (by send.full.blocks)".into();
    let worse = files.report("worse.json", &after);
    for format in ["text", "json", "markdown", "html"] {
        let changed = conform(&["diff", &fixture(), &worse, "--format", format]);
        assert_eq!(changed.status.code(), Some(1), "{}", error(&changed));
        match format {
            "html" => assert!(out(&changed).contains("became red")),
            _ => insta::assert_snapshot!(format!("diff-{format}"), out(&changed)),
        }
    }
    // The other way round nothing became red but what upgrading had mended.
    let back = conform(&["diff", &worse, &fixture()]);
    assert_eq!(back.status.code(), Some(1));
    assert!(out(&back).contains("1 became red"), "{}", out(&back));
}

#[test]
fn a_known_deviation_does_not_become_red_and_what_was_not_asked_is_not_compared() {
    let files = Files::new();
    let mut after = mixed();
    let (link, rule) = ("crossbeam-channel/bounded-2", "send.full.blocks");
    cell(&mut after, link, rule)["verdict"] = "fail".into();
    cell(&mut after, link, rule)["known"] = "reported upstream".into();
    let unasked = cell(&mut after, link, "order.fifo");
    unasked["verdict"] = "inconclusive".into();
    unasked["why"] = "not asked for".into();
    let diff = conform(&["diff", &fixture(), &files.report("known.json", &after)]);
    assert_eq!(diff.status.code(), Some(0));
    let said = out(&diff);
    assert!(said.contains("pass → fail, known") || said.contains(", known"), "{said}");
    assert!(said.contains("1 not compared"), "{said}");
}

#[test]
fn what_nobody_asked_for_is_in_no_count() {
    let files = Files::new();
    let mut report = mixed();
    let counts = |report: &Value| {
        let page = files.path("counted.html");
        let written = conform(&["report", &files.report("counted.json", report), "--out", &page]);
        assert_eq!(written.status.code(), Some(0), "{}", error(&written));
        let page = std::fs::read_to_string(page).unwrap();
        let (_, list) = page.split_once("<ul class=\"counts\">").unwrap();
        let list = list.split_once("</ul>").unwrap().0.to_owned();
        (list.matches("<li>").count(), list, page)
    };
    let (kinds, before, _) = counts(&report);
    assert!(before.contains("<b>1</b> crash"), "{before}");
    // The only crash there was is not asked for any more, and the matrix shows an empty cell.
    let cells = report["cells"].as_array_mut().unwrap();
    let crash = cells.iter_mut().find(|c| c["verdict"] == "crash").unwrap();
    crash["verdict"] = "inconclusive".into();
    crash["why"] = "not asked for".into();
    let (left, after, page) = counts(&report);
    assert_eq!(left, kinds - 1, "{after}");
    assert_eq!(page.matches("data-verdict=\"blank\"").count(), 1);
}
