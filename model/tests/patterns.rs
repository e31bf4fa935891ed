//! Every shape of a violation has a name, an example, and an explanation that a person can read.
//! Whatever an example is shrunk to is refuted by the search over the model, and by nothing smaller.

use ipc_model::check::{Budget, check_by_search};
use ipc_model::{
    Counterexample, History, Message, Operation, Profile, Ret, Shape, Spec, check, lanes,
    read_jsonl,
};

fn example(shape: Shape) -> (Profile, History) {
    let path = format!("{}/tests/patterns/{shape}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let (header, history) = read_jsonl(&text).unwrap_or_else(|e| panic!("{path}: {e}"));
    (header.and_then(|h| h.profile).expect("it claims a profile"), history)
}

fn message(o: &Operation) -> Option<Message> {
    match o.ret {
        Some((_, Ret::Received(message) | Ret::Torn(message))) => Some(message),
        _ => o.op.message(),
    }
}

fn explained(found: &Counterexample) -> String {
    let pattern = found.pattern.as_ref().expect("it has a shape");
    let proof: Vec<String> = pattern
        .operations
        .iter()
        .map(|o| match o.ret {
            Some((_, ret)) => format!("{} {} -> {ret}", o.process, o.op),
            None => format!("{} {}", o.process, o.op),
        })
        .collect();
    format!(
        "{pattern}\nproof: {}\nrule: {}\n{found}\n\n{}",
        proof.join("; "),
        found.rule,
        lanes::draw(&found.history, Some(found))
    )
}

#[test]
fn every_shape_is_named_and_explained() {
    for shape in Shape::ALL {
        let (profile, history) = example(shape);
        let verdict = check(&profile, &history);
        let found = verdict.counterexample().unwrap_or_else(|| panic!("{shape}: {verdict:?}"));
        assert_eq!(found.pattern.as_ref().map(|p| p.shape), Some(shape), "{}", explained(found));
        insta::assert_snapshot!(shape.name(), explained(found));
    }
}

#[test]
fn what_is_left_of_an_example_fails_and_nothing_of_it_could_be_left_out() {
    for shape in Shape::ALL {
        let (profile, history) = example(shape);
        let verdict = check(&profile, &history);
        let found = verdict.counterexample().expect("it fails");
        let spec = Spec::new(profile);
        let judge = |history: &History| check_by_search(&spec, history, Budget::default());
        let again = judge(&found.history);
        let again = again.counterexample().unwrap_or_else(|| panic!("{shape}: {again:?}"));
        assert_eq!((again.rule, again.got), (found.rule, found.got), "{shape}");
        assert!(found.history.operations.len() <= history.operations.len(), "{shape}");
        // With any of its messages less, or any of its refused calls, it is no longer this
        // failure. Only an answer `full` needs messages that are not part of it.
        if shape == Shape::RefusedArrived || shape == Shape::NotFull {
            continue;
        }
        let names: Vec<Message> = found.history.operations.iter().filter_map(message).collect();
        for choice in 1u32..1 << names.len() {
            let mut fewer = found.history.clone();
            let gone = |m: Message| {
                names.iter().enumerate().any(|(i, n)| choice >> i & 1 == 1 && n.same_name(&m))
            };
            fewer.operations.retain(|o| !message(o).is_some_and(gone));
            let same = |c: &Counterexample| {
                (c.rule, c.process, c.op, c.got) == (found.rule, found.process, found.op, found.got)
            };
            let still = judge(&fewer).counterexample().is_some_and(same);
            assert!(!still, "{shape}: {fewer:?} would have been enough");
        }
    }
}
