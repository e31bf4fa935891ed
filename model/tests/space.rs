//! A link's configuration is a point in a space (L5), and the model covers every point of it:
//! whatever a profile claims can fire, and no state that tours of it pass breaks a promise.

use ipc_model::cover::covering;
use ipc_model::{Addressing, Capacity, Holders, Modes, Notice, Order, Profile, Size, Spec};

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
