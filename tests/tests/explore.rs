//! `ipc-conform explore`, as a user runs it.

use ipc_tests::{conform, text};

fn said(arguments: &[&str]) -> (Option<i32>, String) {
    let output = conform(arguments);
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_scenario_is_told_in_full_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let (dot, svg) = (folder.path().join("graph.dot"), folder.path().join("graph.svg"));
    let paths = [dot.to_str().unwrap(), svg.to_str().unwrap()];
    let (code, said) = said(&[
        "explore",
        "--profile",
        "rendezvous",
        "--scenario",
        "blocking-sender-met-by-timed",
        "--whole",
        "--dot",
        paths[0],
        "--svg",
        paths[1],
    ]);
    assert_eq!(code, Some(0), "{said}");
    insta::assert_snapshot!("explore-one", said);
    insta::assert_snapshot!("explore-dot", std::fs::read_to_string(dot).unwrap());
    let svg = std::fs::read_to_string(svg).unwrap();
    // Every state is in the picture, and every rule that fires.
    assert_eq!(svg.matches("P0 asleep in send").count(), 4, "{svg}");
    assert!(svg.contains("rendezvous.meets") && svg.contains("rendezvous.send.waits"));
}

#[test]
fn all_scenarios_of_a_profile_are_listed_and_none_breaks_a_promise() {
    let (code, said) = said(&[
        "explore",
        "--profile",
        r#"{"capacity":1,"senders":"one","receivers":"one","send":{"timed":false},"receive":{"timed":false}}"#,
    ]);
    assert_eq!(code, Some(0), "{said}");
    insta::assert_snapshot!("explore-all", said);
}

#[test]
fn what_cannot_be_explored_is_refused_with_the_remedy() {
    let refused = |arguments: &[&str], why: &str| {
        let output = conform(&[&["explore", "--profile", "bounded:1"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains(why), "{}", text(&output));
    };
    refused(&["--scenario", "fullblocking"], "the nearest are: full-blocking");
    refused(&["--svg", "x.svg"], "--scenario");
    refused(&["--scenario", "race", "--svg", "x.svg"], "--dot writes them all");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.json");
    std::fs::write(
        &file,
        r#"{"name":"x","links":[],"processes":[[{"call":{"close":{"link":3}}}]]}"#,
    )
    .unwrap();
    refused(&["--scenario", file.to_str().unwrap()], "uses link 3, but the scenario has 0");
}
