//! The report as one self-contained page.

use super::Report;

/// The page.
pub fn page(report: &Report) -> String {
    format!("<pre>{}</pre>", super::text::matrix(report, false))
}
