//! Real named objects against their models, and models that are broken on purpose.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use ipc_conformance::objects::{self, Found, Programs, Served, Users, memory, names};
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
    programs: u64,
) -> BTreeMap<&'static str, Found> {
    let open = |users: &Users| Ok(Served::new(machine, users, defect, lost.clone()));
    objects::run(machine, USERS, (1, 0..programs), open, &|_| {}).unwrap()
}

fn is_red(found: &BTreeMap<&'static str, Found>) -> bool {
    found.values().any(|f| f.verdict == CellVerdict::Fail)
}

/// As it is meant, the machine passes; with a defect in any rule that programs fire, some program
/// shows it. Rules of which no defect shows are answered. `lost`: what may be answered where the
/// broken rules allow nothing; each is wrong for most calls.
fn unbroken<M: Programs>(machine: M, lost: &[M::Ret]) -> Vec<&'static str> {
    let meant = served(machine, None, &lost[0], 80);
    assert!(!is_red(&meant), "{meant:#?}");
    let fired = |id: &str| meant.get(id).is_some_and(|f| f.verdict == CellVerdict::Pass);
    let mut unbroken = Vec::new();
    for (place, rule) in
        M::rules().iter().enumerate().filter(|(_, r)| r.kind != Kind::Property && fired(r.id))
    {
        let defects: Vec<_> = mutations::<M>().filter(|m| m.rule == place).collect();
        // Without the rule at all it shows soonest.
        let shows = |defect: &Mutation| {
            lost.iter().any(|lost| is_red(&served(machine, Some(*defect), lost, 80)))
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
                let found = served(machine, removed, lost, 40);
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
    let open = |users: &Users| objects::System::start(program, "posix-mq", users, uid == 0);
    let found = |machine| objects::run(machine, [me, me], (1, 0..300), open, &|_| {}).unwrap();
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
    for (link, model) in [("objects/posix-shm", "region."), ("objects/posix-mq", "name.")] {
        let cells: Vec<_> = report.cells.iter().filter(|cell| cell.link == link).collect();
        let own = |rule: &str| objects::rules().any(|r| r.id == rule) && rule.starts_with(model);
        for cell in &cells {
            assert_eq!(cell.why == objects::ANOTHER_MODEL, !own(&cell.rule), "{cell:?}");
        }
        assert!(cells.iter().filter(|cell| cell.verdict == CellVerdict::Pass).count() > 25);
        let listed = report.links.iter().find(|l| l.name == link).unwrap();
        assert!(listed.profile.is_none() && !listed.claims.is_empty() && listed.runs == 120);
        assert!(listed.steps.fired.len() > 25, "{:?}", listed.steps);
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
    let output = conform(&["objects", "--programs", "60"]);
    let printed = text(&output);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{printed}");
    for rule in ["✓ region.open.existing.opens", "✓ region.read.attached.sees", "✓ name.put.open"]
    {
        assert!(printed.contains(rule), "{printed}");
    }
}
