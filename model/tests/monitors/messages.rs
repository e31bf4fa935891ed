//! What a single message shows: monitor and search name the same rule.

use ipc_model::check::monitor::{Finding, monitor};
use ipc_model::check::{Budget, check_by_search};
use ipc_model::{Capacity, Profile, Spec, Verdict, check, read_jsonl};

/// Lines as `process type f value/error time`, separated by semicolons; `=` for no value.
fn history(text: &str) -> ipc_model::History {
    let mut lines = vec![HEADER.to_owned()];
    for line in text.split(';') {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [process, kind, f, what, time, rest @ ..] = words.as_slice() else { panic!("{line}") };
        let what = match (*kind, *what) {
            (_, "=") => String::new(),
            ("fail", error) => format!(r#","error":"{error}""#),
            (_, value) => format!(r#","value":"{value}""#),
        };
        let rest: String = rest.iter().map(|r| format!(",{r}")).collect();
        lines.push(format!(
            r#"{{"process":{process},"type":"{kind}","f":"{f}"{what},"time":{time}{rest}}}"#
        ));
    }
    read_jsonl(&lines.join("\n")).unwrap().1
}

const HEADER: &str = concat!(
    r#"{"format":"ipc-history/1","links":["#,
    r#"{"senders":[0,1,2],"receivers":[0,1,2]},{"senders":[0,1,2],"receivers":[0,1,2]}]}"#
);

const SENT: &str = "0 invoke send 0:0 1; 0 ok send = 2;";

#[test]
fn each_wrong_message_breaks_the_rule_that_the_search_names() {
    let two = Profile::mailbox(Capacity::Bounded(2));
    let cases = [
        (
            "delivery.once",
            "1 invoke receive = 3; 1 ok receive 0:0 4; 1 invoke receive = 5; 1 ok receive 0:0 6",
        ),
        ("delivery.nothing-invented", "1 invoke receive = 3; 1 ok receive 0:7 4"),
        ("message.bytes-kept", r#"1 invoke receive = 3; 1 ok receive 0:0 4 "torn":true"#),
        ("message.size-kept", r#"1 invoke receive = 3; 1 ok receive 0:0 4 "size":9"#),
        ("mailbox.own-messages-only", r#"1 invoke receive = 3 "link":1; 1 ok receive 0:0 4"#),
        (
            "delivery.refused-leaves-nothing",
            "1 invoke send 1:0 3; 1 ok send = 4; 0 invoke try_send 0:1 5; 0 fail try_send full 6; \
             1 invoke receive = 7; 1 ok receive 0:0 8; 1 invoke receive = 9; 1 ok receive 1:0 10; \
             1 invoke receive = 11; 1 ok receive 0:1 12",
        ),
        (
            "timeout.never-early",
            r#"1 invoke send_timeout 1:0 3 "timeout":9; 1 fail send_timeout timeout 5"#,
        ),
        (
            "order.fifo",
            "0 invoke send 0:1 3; 0 ok send = 4; 1 invoke receive = 5; 1 ok receive 0:1 6; 1 invoke receive = 7; 1 ok receive 0:0 8",
        ),
        ("try_receive.message.takes", "1 invoke try_receive = 3; 1 fail try_receive empty 4"),
    ];
    for (rule, text) in cases {
        let history = history(&format!("{SENT}{text}"));
        let found = monitor(&two, &history, Budget::default());
        let Finding::Broken(violation) = &found else { panic!("{rule}: {found:?}") };
        assert_eq!(violation.rule, rule, "{violation:?}");
        for verdict in
            [check(&two, &history), check_by_search(&Spec::new(two), &history, Budget::default())]
        {
            let found = verdict.counterexample().unwrap_or_else(|| panic!("{rule}: {verdict:?}"));
            assert_eq!(found.rule.rule().id, rule);
            assert_eq!(found.pattern.as_ref().unwrap().shape, violation.shape);
        }
    }
}

#[test]
fn a_refused_message_may_be_tried_again() {
    let one = Profile::mailbox(Capacity::Bounded(1));
    let history = history(&format!(
        "{SENT} 1 invoke try_send 1:0 3; 1 fail try_send full 4; 2 invoke receive = 5; \
         2 ok receive 0:0 6; 1 invoke try_send 1:0 7; 1 ok try_send = 8; 2 invoke receive = 9; \
         2 ok receive 1:0 10"
    ));
    assert_eq!(monitor(&one, &history, Budget::default()), Finding::Legal);
    assert!(check_by_search(&Spec::new(one), &history, Budget::default()).passed());
}

#[test]
fn links_are_judged_apart() {
    let text = format!(
        "{SENT} 0 invoke send 0:1 3 \"link\":1; 0 ok send = 4; 1 invoke receive = 5 \"link\":1; \
         1 ok receive 0:1 6; 1 invoke receive = 7; 1 ok receive 0:0 8"
    );
    let profile = Profile::mailbox(Capacity::Bounded(1));
    assert_eq!(monitor(&profile, &history(&text), Budget::default()), Finding::Legal);
}

#[test]
fn a_timeout_that_only_the_strong_reading_refutes_is_a_deviation() {
    // Inside from 5 on, before the deadline at 10; not yet when the call began.
    let text = "1 invoke receive_timeout = 1 \"timeout\":9; 0 invoke send 0:0 3; 0 ok send = 5; \
                1 fail receive_timeout timeout 20";
    let profile = Profile::default();
    assert!(matches!(monitor(&profile, &history(text), Budget::default()), Finding::Broken(_)));
    let verdict = check(&profile, &history(text));
    let Verdict::Pass { deviations, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(deviations[0].rule.rule().id, "timeout.decided-at-deadline");
}

#[test]
fn what_monitors_do_not_know_is_left_to_the_search() {
    // Nothing was sent before it slept, nor when it was told something.
    let asleep = "1 invoke receive = 1; 1 blocked = = 2; 0 invoke send 0:0 4; 0 ok send = 5; \
                  1 ok receive 0:0 6";
    let found = monitor(&Profile::default(), &history(asleep), Budget::default());
    assert_eq!(found, Finding::Unsure("a call that was seen asleep"));
    assert!(check(&Profile::default(), &history(asleep)).passed());
}

#[test]
fn a_history_that_cannot_be_is_inconclusive() {
    let mut twice = history(SENT.trim_end_matches(';'));
    twice.operations.push(ipc_model::Operation { call: 1, ret: None, ..twice.operations[0] });
    let verdict = check(&Profile::default(), &twice);
    assert!(matches!(verdict, Verdict::Inconclusive(_)), "{verdict:?}");
}

#[test]
fn a_message_that_nobody_received_may_be_part_of_the_proof() {
    // Fewer than there is room for are certainly inside, yet 2:0 must leave before 1:2 enters.
    let text = "4 invoke receive = 1; 1 invoke send 1:0 2; 0 invoke send 0:0 4; \
        3 invoke receive = 7; 2 invoke send 2:0 8; 1 ok send = 10; 2 ok send = 12; \
        3 ok receive 0:0 13; 1 invoke send 1:1 14; 3 invoke receive = 15; 2 invoke send 2:1 18; \
        5 invoke receive = 20; 2 ok send = 21; 1 ok send = 22; 0 ok send = 23; \
        1 invoke send 1:2 25; 3 ok receive 2:1 26; 1 ok send = 29; 3 invoke receive = 30; \
        4 ok receive 1:0 32; 5 ok receive 1:1 37; 3 ok receive 2:0 42";
    let verdict = check(&Profile::mailbox(Capacity::Bounded(2)), &history(text));
    let found = verdict.counterexample().unwrap_or_else(|| panic!("{verdict:?}"));
    assert!(found.pattern.as_ref().is_some_and(|p| !p.operations.is_empty()));
}
