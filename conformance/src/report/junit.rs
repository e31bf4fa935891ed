//! The report as JUnit XML, which continuous integration reads: a suite a link, a test a rule.

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use super::{Cell, CellVerdict, Report};

/// The XML text.
///
/// # Errors
/// What the writer says.
pub fn junit(report: &Report) -> Result<String, String> {
    let mut junit = Junit::new("ipc-conform");
    for link in &report.links {
        let mut suite = TestSuite::new(link.name.clone());
        suite.add_property(("version", link.version.as_str()));
        suite.add_property(("suite", report.suite.as_str()));
        suite.add_property(("seed", report.seed.to_string().as_str()));
        for rule in &report.rules {
            let Some(cell) = report.cell(&link.name, &rule.id) else { continue };
            let mut case = TestCase::new(rule.id.clone(), status(cell));
            case.set_classname(link.name.clone());
            suite.add_test_case(case);
        }
        junit.add_test_suite(suite);
    }
    junit.to_string().map_err(|e| e.to_string())
}

/// JUnit knows passed, failed, error and skipped. Only a pass becomes passed: what was not claimed
/// or could not be decided is skipped with the reason, and never silently.
fn status(cell: &Cell) -> TestCaseStatus {
    let word = cell.verdict.word();
    if let Some(known) = &cell.known {
        return skipped(&format!("known deviation ({word}): {known}"));
    }
    match cell.verdict {
        CellVerdict::Pass => TestCaseStatus::success(),
        CellVerdict::Fail | CellVerdict::Hang | CellVerdict::Crash => {
            not_passed(NonSuccessKind::Failure, cell)
        }
        CellVerdict::Broken => not_passed(NonSuccessKind::Error, cell),
        CellVerdict::Observed => {
            skipped(&format!("{word}: {}; {}", cell.observed.join(", "), cell.why))
        }
        CellVerdict::Deviates | CellVerdict::NotClaimed | CellVerdict::Inconclusive => {
            skipped(&format!("{word}: {}", cell.why))
        }
    }
}

fn skipped(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(message);
    status
}

fn not_passed(kind: NonSuccessKind, cell: &Cell) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(cell.verdict.word()).set_message(cell.why.clone());
    let mut text = cell.picture.clone().unwrap_or_default();
    if let Some(replay) = &cell.replay {
        text.push_str(&format!("\n\nipc-conform replay --run {}\n", super::shell(replay)));
    }
    status.set_description(text);
    status
}
