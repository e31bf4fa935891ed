//! The verdicts on the default links, for review: one snapshot a link and rule family, one line a
//! rule. A change of behaviour, in a crate, in a kernel or in the model, is a diff here.

use std::collections::BTreeSet;

use ipc_conformance::report::{Report, family, yaml};
use ipc_tests::{conform, text};

#[test]
fn the_default_links_keep_their_verdicts() {
    let folder = tempfile::tempdir().unwrap();
    let output = conform(&["run", "--out", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let report = std::fs::read_to_string(folder.path().join("report.json")).unwrap();
    let report = Report::parse(&report).unwrap();
    assert_eq!(report.missing(), vec![]);
    let families: BTreeSet<&str> = report.rules.iter().map(|r| family(&r.id)).collect();
    for link in &report.links {
        for of_family in &families {
            let Some(lines) = yaml::yaml(&report, &link.name, of_family) else { continue };
            let mut settings = insta::Settings::clone_current();
            settings.set_snapshot_path("verdicts");
            settings.set_prepend_module_to_snapshot(false);
            settings.set_omit_expression(true);
            // Shown in a review, and not compared.
            settings.set_description(format!("{} {}", link.name, link.version));
            let name = format!("{}.{of_family}", link.name.replace('/', "."));
            settings.bind(|| insta::assert_snapshot!(name, lines));
        }
    }
}
