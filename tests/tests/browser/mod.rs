//! The pages as a browser sees them: headless Chromium loads them wide and narrow, works their
//! filters, buttons and keys, and measures.

mod history;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Files, conform, error, fixture, mixed};

/// Long enough for a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(180);

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Where Chromium is. Without it the page is unproven, so that is a failure and no skip.
fn chromium() -> std::path::PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = NAMES.iter().find_map(|name| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|p| p.is_file())
    });
    found.expect("no Chromium on the PATH: install the Debian package `chromium`")
}

/// The document after its scripts have run.
fn dump(files: &Files, page: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let (to, errors) = (files.path("dom.html"), files.path("chromium.txt"));
    let mut browser = Command::new(chromium())
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--virtual-time-budget=8000", "--window-size=1500,1200", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{page}"))
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&to).unwrap())
        .stderr(std::fs::File::create(&errors).unwrap())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while browser.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            browser.kill().unwrap();
            browser.wait().unwrap();
            panic!("Chromium took longer than {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let dom = std::fs::read_to_string(to).unwrap();
    assert!(dom.contains("id=\"measured\""), "{}", std::fs::read_to_string(errors).unwrap());
    dom
}

/// Loads the page in frames of several widths, works it by the function `measure` of the script, and
/// answers what that found: one object a width.
fn measure(files: &Files, page: &str, script: &str) -> Value {
    // A frame has exactly the width that it is given, whatever the smallest window is.
    let escaped = page.replace('&', "&amp;").replace('"', "&quot;");
    let script = [script, include_str!("frames.js")].concat();
    let frames: String = [320, 420, 1400]
        .iter()
        .map(|width| format!("<iframe width={width} height=900 srcdoc=\"{escaped}\"></iframe>"))
        .collect();
    let whole = format!("<!doctype html><meta charset=utf-8>{frames}<script>{script}</script>");
    let dom = dump(files, &files.write("frames.html", whole));
    let (_, rest) = dom.split_once("<pre id=\"measured\">").unwrap();
    let text = rest.split_once("</pre>").unwrap().0;
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_page_works_in_a_browser_wide_and_narrow() {
    let files = Files::new();
    let page = files.path("report.html");
    let written = conform(&["report", &fixture(), "--out", &page]);
    assert_eq!(written.status.code(), Some(0), "{}", error(&written));
    let page = std::fs::read_to_string(Path::new(&page)).unwrap();

    let report = mixed();
    let count = |list: &str| report[list].as_array().unwrap().len();
    let with = |field: &str, value: &str| {
        let cells = report["cells"].as_array().unwrap();
        cells.iter().filter(|c| c[field] == value).count()
    };
    for seen in measure(&files, &page, include_str!("measure.js")).as_array().unwrap() {
        let width = &seen["width"];
        assert_eq!(seen["errors"], json!([]), "at {width}: no script error, no request");
        assert_eq!(seen["title"], "IPC conformance report", "no text broke out of its place");
        assert_eq!(seen["injected"], 0);
        assert_eq!(seen["cells"], count("links") * count("rules"), "one cell a link and rule");
        assert_eq!(seen["pairs"], count("links") * count("rules"), "and no pair twice");
        assert_eq!(seen["heads"], count("links"));
        assert_eq!(seen["cards"], count("links"));
        assert_eq!(seen["families"], 8, "all families together, and each of the seven");
        let remarkable = ["fail", "hang", "crash", "broken", "deviates", "inconclusive"];
        let findings: usize = remarkable.iter().map(|v| with("verdict", v)).sum();
        assert_eq!(seen["findings"], findings);
        assert_eq!(seen["pictures"], 4, "one for each counterexample");
        assert_eq!(seen["copy"], findings, "a command to copy for each finding");
        assert_eq!(seen["legend"], 10);
        assert_eq!(seen["differ"], json!(["order.fifo", "try_receive.empty.refuses"]));

        assert_eq!(seen["overflow"], json!([]), "at {width}: nothing leaves the page");
        assert_eq!(seen["tableScrolls"], *width == 320, "the table scrolls only where it must");
        assert_eq!(seen["sticky"], true, "at {width}: the first column stays in sight");

        assert_eq!(seen["crashShown"], 1, "the filter leaves the row of the only crash");
        assert_eq!(seen["familyShown"], 2);
        assert_eq!(seen["crateShown"], 2);
        assert_eq!(seen["textShown"], 1);
        assert_eq!(seen["reset"], count("rules"));
        assert_eq!(seen["tabStops"], 1, "one cell is in the order of the Tab key");
        assert_eq!(seen["moved"], json!(["send.full.blocks", "crossbeam-channel/unbounded"]));
        assert_eq!(seen["opened"], true, "Enter opens the cell");
        assert!(seen["panel"].as_str().unwrap().contains("SIGSEGV"), "{}", seen["panel"]);
        assert_eq!(seen["panelFits"], true, "at {width}: the panel is inside the page");
        assert_eq!(seen["focusBack"], true, "the focus returns to the cell");
    }
}
