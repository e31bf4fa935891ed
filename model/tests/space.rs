//! A link's configuration is a point in a space (L5), and the model covers every point of it:
//! whatever a profile claims can fire, and no state that tours of it pass breaks a promise.

use std::collections::BTreeSet;

use ipc_model::cover::covering;
use ipc_model::{
    Addressing, Capacity, Distribution, Holders, Modes, Notice, Order, Profile, Size, Spec,
};

const CAPACITIES: [Capacity; 4] =
    [Capacity::Zero, Capacity::Bounded(2), Capacity::AtLeast(1), Capacity::Unbounded];

/// Every choice of modes but none (Y1).
fn modes() -> impl Iterator<Item = Modes> {
    let chosen = |bits: u8, bit: u8| bits & bit > 0;
    (1..8).map(move |bits| Modes {
        blocking: chosen(bits, 1),
        nonblocking: chosen(bits, 2),
        timed: chosen(bits, 4),
    })
}

/// One sender and one receiver, which show what does not hang on their number.
fn pair(capacity: Capacity) -> Profile {
    let one = Holders::One;
    Profile { senders: one, receivers: one, ..Profile::mailbox(capacity) }
}

/// All modes of all buffers; all that can be said about closing and killing; and all kinds of
/// names, orders and sizes.
fn points() -> Vec<Profile> {
    let mut points = Vec::new();
    for capacity in CAPACITIES {
        let pair = pair(capacity);
        for send in modes() {
            points.extend(modes().map(|receive| Profile { send, receive, ..pair }));
        }
        for closed in [Notice::Reported, Notice::Silent] {
            for killed in [Notice::Reported, Notice::Silent] {
                let silent = Profile { sender_closed: closed, sender_killed: Some(killed), ..pair };
                points.push(Profile { receiver_killed: Some(killed), ..silent });
                points.push(Profile { receiver_closed: closed, ..silent });
            }
        }
    }
    let many = Holders::Many;
    for capacity in [Capacity::Zero, Capacity::Bounded(1)] {
        let pair = pair(capacity);
        for addressing in [Addressing::Symmetric, Addressing::Asymmetric] {
            points.push(Profile { addressing, ..pair });
            points.push(Profile { addressing, senders: many, ..pair });
            points.push(Profile { addressing, receivers: many, ..pair });
        }
        for order in [Order::PerSender, Order::Priority, Order::Unordered] {
            points.push(Profile { order, ..pair });
        }
        for size in [Size::Fixed(4), Size::UpTo(4), Size::NonemptyUpTo(4)] {
            points.push(Profile { size, ..pair });
        }
    }
    points.retain(|p| p.validate().is_ok());
    points
}

#[test]
fn every_point_of_the_space_keeps_its_promises_and_fires_all_that_it_claims() {
    let points = points();
    let judge = |points: &[Profile]| {
        for profile in points {
            let covering = covering(profile);
            assert!(covering.broken.is_empty(), "{profile:?}: {:#?}", covering.broken);
            let spec = Spec::new(*profile);
            let fires = |r: &&ipc_model::RuleId| covering.fired.contains(**r);
            let missing: Vec<_> = spec.rules().iter().filter(|r| !fires(r)).collect();
            assert!(missing.is_empty(), "{profile:?} claims what can never fire: {missing:?}");
            // A profile by which no message ever arrives would contradict itself.
            let arrives = [".takes", "meets", ".drains"];
            let delivers = |r: &str| arrives.iter().any(|end| r.ends_with(end));
            assert!(covering.fired.iter().any(|r| delivers(r.rule().id)), "{profile:?}");
        }
    };
    let (left, right) = points.split_at(points.len() / 2);
    std::thread::scope(|scope| {
        scope.spawn(|| judge(right));
        judge(left);
    });
    println!("{} points", points.len());
    assert!(points.len() > 200, "only {} points", points.len());
}

/// Two switches that exclude one another, each harmless without the other.
#[test]
fn a_profile_that_contradicts_itself_is_refused_with_the_two_switches_that_clash() {
    let one = Holders::One;
    let (symmetric, asymmetric) = (Addressing::Symmetric, Addressing::Asymmetric);
    let never = Modes { blocking: false, nonblocking: false, timed: false };
    let hasty = Modes { nonblocking: true, ..never };
    let base = Profile::default();
    let cases = [
        (
            Profile { capacity: Capacity::Zero, order: Order::Priority, ..base },
            "capacity=0 and order=priority",
        ),
        (
            Profile { addressing: symmetric, receivers: one, ..base },
            "addressing=symmetric and senders=many",
        ),
        (
            Profile { addressing: symmetric, senders: one, ..base },
            "addressing=symmetric and receivers=many",
        ),
        (Profile { addressing: asymmetric, ..base }, "addressing=asymmetric and receivers=many"),
        (Profile { capacity: Capacity::AtLeast(0), ..base }, "capacity=at_least and at_least=0"),
        (Profile { capacity: Capacity::Bounded(0), ..base }, "capacity=bounded and bounded=0"),
        (Profile { send: never, ..base }, "send.blocking=false and send.nonblocking=false"),
        (
            Profile { receive: never, ..base },
            "receive.blocking=false and receive.nonblocking=false",
        ),
        (
            Profile { capacity: Capacity::Zero, send: hasty, receive: hasty, ..base },
            "capacity=0 and send.blocking=receive.blocking=false",
        ),
        (
            Profile { size: Size::NonemptyUpTo(0), ..base },
            "size=nonempty-up-to and nonempty-up-to=0",
        ),
    ];
    for (profile, switches) in cases {
        let refusal = profile.validate().expect_err(switches).to_string();
        assert!(refusal.contains(switches), "{refusal}");
        // The same by the door that users come through, which writes no buffer in one way only.
        let text = serde_json::to_string(&profile).unwrap();
        let parsed = Profile::parse(&text).map(|p| p.capacity);
        match profile.capacity {
            Capacity::Bounded(0) => assert_eq!(parsed, Ok(Capacity::Zero)),
            _ => assert_eq!(parsed, Err(refusal)),
        }
    }
}

/// A switch, by its name, and how it is set.
type Setting = (&'static str, fn(&mut Profile));

/// Every switch with every kind of value.
fn settings() -> Vec<Setting> {
    vec![
        ("capacity", |p| p.capacity = Capacity::Zero),
        ("capacity", |p| p.capacity = Capacity::Bounded(1)),
        ("capacity", |p| p.capacity = Capacity::Bounded(2)),
        ("capacity", |p| p.capacity = Capacity::AtLeast(0)),
        ("capacity", |p| p.capacity = Capacity::AtLeast(1)),
        ("capacity", |p| p.capacity = Capacity::Unbounded),
        ("order", |p| p.order = Order::PerSender),
        ("order", |p| p.order = Order::Priority),
        ("order", |p| p.order = Order::Unordered),
        ("addressing", |p| p.addressing = Addressing::Symmetric),
        ("addressing", |p| p.addressing = Addressing::Asymmetric),
        ("distribution", |p| p.distribution = Distribution::ToEach),
        ("distribution", |p| p.distribution = Distribution::Latest),
        ("senders", |p| p.senders = Holders::One),
        ("receivers", |p| p.receivers = Holders::One),
        ("size", |p| p.size = Size::Fixed(4)),
        ("size", |p| p.size = Size::UpTo(0)),
        ("size", |p| p.size = Size::NonemptyUpTo(0)),
        ("send", |p| p.send = Modes { blocking: false, nonblocking: false, timed: false }),
        ("send", |p| p.send = Modes { blocking: false, nonblocking: true, timed: false }),
        ("receive", |p| p.receive = Modes { blocking: false, nonblocking: false, timed: false }),
        ("receive", |p| p.receive = Modes { blocking: false, nonblocking: true, timed: false }),
        ("sender_closed", |p| p.sender_closed = Notice::Silent),
        ("receiver_closed", |p| p.receiver_closed = Notice::Silent),
        ("sender_killed", |p| p.sender_killed = Some(Notice::Reported)),
        ("sender_killed", |p| p.sender_killed = Some(Notice::Silent)),
        ("receiver_killed", |p| p.receiver_killed = Some(Notice::Reported)),
    ]
}

/// Every pair of switches: it is legal, and then every claimed rule can fire and messages arrive
/// (above); or it is refused, with two switches by name and value, of which at least one is of the
/// pair, and which the profile has indeed.
#[test]
fn every_pair_of_switches_is_legal_or_refused_by_the_names_of_two() {
    let settings = settings();
    let (mut legal, mut refused) = (0, BTreeSet::new());
    for (i, (first, set)) in settings.iter().enumerate() {
        for (second, set_other) in settings[i + 1..].iter().filter(|(name, _)| name != first) {
            let mut profile = Profile::default();
            set(&mut profile);
            set_other(&mut profile);
            let Err(clash) = profile.validate() else {
                legal += 1;
                continue;
            };
            let text = clash.to_string();
            let json = serde_json::to_value(profile).unwrap();
            let named = [&clash.first, &clash.second].map(|switch| {
                let (path, value) = switch.rsplit_once('=').expect(&text);
                let path = path.split_once('=').map_or(path, |(path, _)| path);
                (path.split('.').next().unwrap().to_owned(), value.to_owned())
            });
            assert_ne!(clash.first, clash.second, "{text}");
            let of_the_pair = |name: &str| {
                // What a capacity or a size consists of is written by the name of its kind.
                let kinds = [("at_least", "capacity"), ("bounded", "capacity")];
                let kinds = kinds.into_iter().chain([("nonempty-up-to", "size")]);
                let field = kinds.into_iter().find(|(kind, _)| *kind == name);
                let field = field.map_or(name, |(_, field)| field);
                field == *first || field == *second
            };
            assert!(named.iter().any(|(name, _)| of_the_pair(name)), "{first}, {second}: {text}");
            for (name, value) in &named {
                // It is so in the profile as it is written.
                let Some(field) = json.get(name) else { continue };
                let written = field.to_string().replace('_', "-");
                assert!(written.contains(&value.replace('_', "-")), "{text}: {name} is {field}");
            }
            refused.insert(format!("{} and {}", clash.first, clash.second));
        }
    }
    assert!(legal > 80, "only {legal} pairs are legal");
    assert!(refused.len() > 10, "only {refused:?}");
}
