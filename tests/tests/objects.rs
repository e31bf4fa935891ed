//! Real named objects against their models, and models that are broken on purpose.

use std::collections::BTreeMap;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;

use ipc_conformance::objects::{
    self, Found, Programs, Replay, Served, Setting, Step, Subject, Users, memory, names,
};
use ipc_conformance::report::{CellVerdict, Report};
use ipc_model::Kind;
use ipc_model::machine::{Errno, Mutation, Part, User, mutations};
use ipc_model::namespace::{self, Namespace, Withdrawal};
use ipc_model::region;

use ipc_tests::{conform, text};

const USERS: Users = [User(1), User(2)];

fn served<M: Programs>(
    machine: M,
    defect: Option<Mutation>,
    lost: &M::Ret,
    programs: Range<u64>,
) -> BTreeMap<&'static str, Found> {
    let open = |s: &Setting| Ok(Served::new(machine, &s.users, defect, lost.clone()));
    objects::run(machine, USERS, (1, programs), open, &|_| {}).unwrap()
}

fn is_red(found: &BTreeMap<&'static str, Found>) -> bool {
    found.values().any(|f| f.verdict == CellVerdict::Fail)
}

/// As it is meant, the machine passes; with a defect in any rule that programs fire, some program
/// shows it. Rules of which no defect shows are answered. `lost`: what may be answered where the
/// broken rules allow nothing; each is wrong for most calls.
fn unbroken<M: Programs>(machine: M, lost: &[M::Ret]) -> Vec<&'static str> {
    let meant = served(machine, None, &lost[0], 0..80);
    assert!(!is_red(&meant), "{meant:#?}");
    let fired = |id: &str| meant.get(id).is_some_and(|f| f.verdict == CellVerdict::Pass);
    let mut unbroken = Vec::new();
    for (place, rule) in
        M::rules().iter().enumerate().filter(|(_, r)| r.kind != Kind::Property && fired(r.id))
    {
        let defects: Vec<_> = mutations::<M>().filter(|m| m.rule == place).collect();
        // Without the rule at all it shows soonest.
        let shows = |defect: &Mutation| {
            lost.iter().any(|lost| {
                let few = |first| served(machine, Some(*defect), lost, first..first + 4);
                (0..80).step_by(4).any(|first| is_red(&few(first)))
            })
        };
        if !defects.iter().rev().any(shows) {
            unbroken.push(rule.id);
        }
    }
    unbroken
}

#[test]
fn a_model_of_memory_served_is_found_out_once_any_rule_of_it_is_broken() {
    let lost = [Errno::NameTooLong].map(region::Ret::Refused);
    assert_eq!(unbroken(memory(), &lost), Vec::<&str>::new());
}

#[test]
fn a_model_of_names_served_is_found_out_once_any_rule_of_it_is_broken() {
    let lost = [Errno::Again, Errno::Exists].map(namespace::Ret::Refused);
    assert_eq!(unbroken(names(), &lost), Vec::<&str>::new());
}

/// Properties that are still a pass although a step is missing that shows them.
fn unshaken<M: Programs>(machine: M, lost: &[M::Ret]) -> Vec<&'static str> {
    let properties = || M::rules().iter().filter(|rule| rule.kind == Kind::Property);
    let shaken = |property: &str| {
        M::shown_by(property).iter().all(|step| {
            let rule = M::rules().iter().position(|rule| rule.id == *step).unwrap();
            let removed = Some(Mutation { rule, part: Part::Removed });
            // An answer that happens to be right hides that nobody gave it.
            lost.iter().any(|lost| {
                let found = served(machine, removed, lost, 0..40);
                found.get(property).is_some_and(|found| found.verdict != CellVerdict::Pass)
            })
        })
    };
    properties().map(|rule| rule.id).filter(|property| !shaken(property)).collect()
}

#[test]
fn a_property_is_no_pass_where_a_step_that_shows_it_is_broken() {
    let lost = [Errno::NameTooLong].map(region::Ret::Refused);
    assert_eq!(unshaken(memory(), &lost), Vec::<&str>::new());
    let lost = [Errno::Exists, Errno::Again].map(namespace::Ret::Refused);
    assert_eq!(unshaken(names(), &lost), Vec::<&str>::new());
}

/// Linux takes a registration for notification back with any descriptor of the queue, POSIX with
/// its own alone: a system that claims what POSIX says is found out.
#[test]
fn what_linux_does_on_closing_is_not_what_posix_says() {
    let posix = Namespace { withdrawal: Withdrawal::OfItsHandle, ..names() };
    let program = ipc_tests::program();
    // Modes say nothing to root, who has the programs run as somebody else.
    let uid = std::fs::metadata("/proc/self").unwrap().uid();
    let me = User(if uid == 0 { 61_001 } else { uid as u16 });
    let offer = objects::offer("posix-mq", program).unwrap();
    let subject = Subject { name: "posix-mq", program, offer: &offer };
    let open = |setting: &Setting| objects::System::start(&subject, setting, uid == 0);
    let found = |machine| objects::run(machine, [me, me], (1, 0..60), open, &|_| {}).unwrap();
    assert!(!is_red(&found(names())));
    assert!(is_red(&found(posix)));
}

#[test]
fn the_objects_of_this_system_are_links_of_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let output = conform(&["run", "objects", "--out", &path("whole")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let read = |name: &str| {
        let text = std::fs::read_to_string(path(&format!("{name}/report.json"))).unwrap();
        Report::parse(&text).unwrap()
    };
    let report = read("whole");
    assert_eq!(report.missing(), vec![]);
    for name in objects::NAMES {
        let link = &format!("objects/{name}");
        let model = if name == "posix-mq" { "name." } else { "region." };
        let cells: Vec<_> = report.cells.iter().filter(|cell| cell.link == *link).collect();
        let own = |rule: &str| objects::rules().any(|r| r.id == rule) && rule.starts_with(model);
        for cell in &cells {
            assert_eq!(cell.why == objects::ANOTHER_MODEL, !own(&cell.rule), "{cell:?}");
        }
        let least = if name.starts_with("posix") { 25 } else { 8 };
        assert!(cells.iter().filter(|c| c.verdict == CellVerdict::Pass).count() >= least, "{link}");
        let listed = report.links.iter().find(|l| l.name == *link).unwrap();
        assert!(listed.profile.is_none() && !listed.claims.is_empty() && listed.runs == 120);
        assert!(!listed.documented.is_empty(), "{link} claims what is written nowhere");
        assert!(listed.steps.fired.len() >= least, "{:?}", listed.steps);
    }
    // One rule alone, and what is no link.
    let rule = ["--rule", "name.put.empty.notifies", "--out", &path("one")];
    let output = conform(&[&["run", "objects/posix-mq"], &rule[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(read("one").cells.iter().filter(|c| c.verdict == CellVerdict::Pass).count(), 1);
    let output = conform(&["run", "objects/posix-mp", "--out", &path("none")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("there are: posix-shm, posix-mq"), "{}", text(&output));
}

#[test]
fn the_objects_of_this_system_keep_to_the_models_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let output = conform(&["objects", "--programs", "60", "--out", out]);
    let printed = text(&output);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{printed}");
    for rule in [
        "✓ region.open.existing.opens",
        "✓ region.read.attached.sees",
        "✓ name.put.open",
        "✗ region.create.exclusive.creates",
        "known: an object that got descriptor 0",
    ] {
        assert!(printed.contains(rule), "{printed}");
    }
    assert!(std::fs::read_dir(out).unwrap().count() > 0, "nothing to play again: {printed}");
    let folders = ["/dev/shm", "/dev/mqueue"].map(std::path::PathBuf::from);
    for folder in folders.into_iter().chain([std::env::temp_dir()]) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
            let name = entry.file_name().to_string_lossy().into_owned();
            // Others may be at it right now.
            let process = name.strip_prefix("ipc-conform-").and_then(|rest| rest.split_once('-'));
            let dead = process.and_then(|(process, _)| process.parse::<u32>().ok());
            let dead = dead.is_some_and(|p| !std::fs::exists(format!("/proc/{p}")).unwrap());
            assert!(!dead, "{name} is left");
        }
    }
}

/// The shortest program that shows a rule missing, where the model's answer is then `lost`.
fn shortest<M: Programs>(machine: M, rule: &str, lost: &M::Ret) -> Vec<String> {
    let place = M::rules().iter().position(|r| r.id == rule).unwrap();
    let removed = Some(Mutation { rule: place, part: Part::Removed });
    let found = served(machine, removed, lost, 0..40);
    let found = found.get(rule).unwrap_or_else(|| panic!("{rule} is seen"));
    let steps = found.again.as_ref().unwrap_or_else(|| panic!("{rule} is broken: {found:?}"));
    let steps: Vec<Step<M>> = serde_json::from_value(steps.steps.clone()).unwrap();
    let picture = found.picture.as_ref().unwrap();
    let lines: Vec<String> = picture.lines().map(String::from).collect();
    assert_eq!(steps.len(), lines.len(), "{steps:?} and {picture}");
    lines
}

#[test]
fn what_breaks_a_rule_is_made_as_short_as_it_goes() {
    let lost = region::Ret::Refused(Errno::NameTooLong);
    let shortest_of = |rule: &str| shortest(memory(), rule, &lost);
    assert_eq!(shortest_of("region.unlink.absent.refused").len(), 1);
    let clash = shortest_of("region.create.exclusive.clashes");
    assert!(clash.len() == 2 && clash.iter().all(|line| line.starts_with("P0 ")), "{clash:#?}");
    // It takes no other user: a mode may keep out the owner.
    let forbidden = shortest_of("region.open.forbidden.refused");
    assert!(forbidden.len() == 2 && forbidden[1].starts_with("P0 "), "{forbidden:#?}");
    let read = shortest_of("region.read.attached.sees");
    assert_eq!(read.len(), 4, "create, set_size, attach, read: {read:#?}");

    let lost = namespace::Ret::Refused(Errno::Exists);
    let shortest_of = |rule: &str| shortest(names(), rule, &lost);
    assert_eq!(shortest_of("name.take.message.takes").len(), 3);
    let told = shortest_of("name.put.empty.notifies");
    assert!(told.len() == 3 && told.iter().all(|line| line.starts_with("P0 ")), "{told:#?}");
}

/// A crate that leaves its object behind, in a process without standard input.
#[test]
fn what_a_crate_breaks_is_written_down_and_played_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let output = conform(&["run", "objects/shared_memory", "--out", out]);
    assert_eq!(output.status.code(), Some(0), "a known deviation: {}", text(&output));
    let report = std::fs::read_to_string(folder.path().join("report.json")).unwrap();
    let report = Report::parse(&report).unwrap();
    let cell = report.cell("objects/shared_memory", "region.create.exclusive.creates").unwrap();
    assert_eq!(cell.verdict, CellVerdict::Fail, "{cell:?}");
    assert!(cell.why.contains("no standard input"), "{}", cell.why);

    let file = folder.path().join(cell.replay.as_ref().unwrap());
    let output = conform(&["replay", "--run", file.to_str().unwrap()]);
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("it fails 10 times of 10"), "{printed}");
    let written = std::fs::read_to_string(&file).unwrap();
    let replay = Replay::parse(&written).unwrap();
    assert!(replay.again.setting.without_input);
    assert_eq!(replay.again.steps.as_array().unwrap().len(), 3, "create, drop, create");

    // A merged report takes it along.
    let merged = folder.path().join("merged");
    let all = folder.path().join("report.json");
    let (to, from) = (merged.to_str().unwrap(), all.to_str().unwrap());
    let output = conform(&["merge", "--partial", "--out", to, from]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(merged.join(cell.replay.as_ref().unwrap()).exists(), "{}", text(&output));

    // Played with a standard input, it breaks nothing; what was recorded still does.
    let mut otherwise = replay.clone();
    otherwise.again.setting.without_input = false;
    std::fs::write(&file, serde_json::to_string(&otherwise).unwrap()).unwrap();
    let printed = text(&conform(&["replay", "--run", file.to_str().unwrap()]));
    assert!(printed.contains("it fails 0 times of 10"), "{printed}");

    // Files that are none are refused with the place.
    for (was, becomes, said) in [
        ("ipc-replay-objects/1", "ipc-replay-objects/9", "\"ipc-replay-objects/9\" is not"),
        ("\"exclusive\"", "\"shared\"", "unknown variant `shared`"),
        ("\"shared_memory\"", "\"shared_meadow\"", "there are: posix-shm"),
    ] {
        std::fs::write(&file, written.replace(was, becomes)).unwrap();
        let output = conform(&["replay", "--run", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains(said), "{}", text(&output));
    }
}
