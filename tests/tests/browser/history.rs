//! The page of one checked history.

use serde_json::json;

use super::super::{Files, conform, error};
use super::measure;

fn history(name: &str) -> String {
    format!("{}/fixtures/histories/{name}.jsonl", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_checked_history_is_drawn_and_can_be_explored() {
    let files = Files::new();
    let page = files.path("history.html");
    let checked = conform(&["check", &history("overtaken"), "--html", &page]);
    assert_eq!(checked.status.code(), Some(1), "{}", error(&checked));
    let page = std::fs::read_to_string(page).unwrap();
    let wrong = [
        "P1 receive",
        "called at 4000 ns",
        "returned got 0:1 at 5000 ns, after 1000 ns",
        "allowed: 0:0, by receive.message.takes",
        "this is not allowed",
    ];
    for seen in measure(&files, &page, include_str!("history.js")).as_array().unwrap() {
        let width = &seen["width"];
        assert_eq!(seen["errors"], json!([]), "at {width}: no script error, no request");
        let title = seen["title"].as_str().unwrap();
        assert!(title.ends_with("No behaviour of the model explains this history"), "{title}");
        assert_eq!(seen["shape"], "overtaking");
        assert_eq!(seen["calls"], json!([3, 4]), "the shortest history, and all of it");
        assert_eq!(seen["proof"], json!([3, 4]), "the named calls are pointed out");
        assert_eq!(seen["wrong"], json!([1, 1]));
        assert_eq!(seen["untitled"], true, "one tooltip a call, not two");
        assert_eq!(seen["pageFits"], true, "at {width}: nothing leaves the page");
        assert_eq!(seen["drawn"], true, "at {width}: every call is inside the picture");
        assert_eq!(seen["hover"], json!(wrong));
        assert_eq!(seen["same"], json!(["send 0:1"]), "the call that sent the same message");
        assert_eq!(seen["tipFits"], true, "at {width}");
        assert_eq!(seen["left"], json!([null, 0]));
        assert_eq!(seen["zoom"], json!([1, 1.25, 1, 1.25, 2, 4]), "at {width}");
        assert_eq!(seen["fits"], true, "at {width}");
        assert_eq!(seen["byKey"], json!(wrong));
        assert_eq!(seen["byButton"], json!([true, "P1 receive"]));
        assert_eq!(seen["before"], "P0 send 0:1");
        assert_eq!(seen["after"], json!(["P1 receive", true]));
        assert_eq!(seen["escaped"], json!(null));
    }
}

#[test]
fn a_history_that_passes_is_drawn_with_its_explanation() {
    let files = Files::new();
    let page = files.path("passes.html");
    let checked = conform(&["check", &history("killed-in-send"), "--html", &page]);
    assert_eq!(checked.status.code(), Some(0), "{}", error(&checked));
    let page = std::fs::read_to_string(page).unwrap();
    let script = "async function measure(frame) {
        const doc = frame.contentDocument;
        const steps = [...doc.querySelectorAll('g.operation')].map((o) => o.dataset.tip)
            .filter((tip) => /took effect as step/.test(tip)).length;
        return { errors: frame.errors, steps, calls: doc.querySelectorAll('g.operation').length };
    }";
    for seen in measure(&files, &page, script).as_array().unwrap() {
        assert_eq!(seen["errors"], json!([]));
        let (steps, calls) = (seen["steps"].as_u64().unwrap(), seen["calls"].as_u64().unwrap());
        assert!(0 < steps && steps <= calls, "{steps} of {calls} calls took effect");
    }
}
