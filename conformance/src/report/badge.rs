//! The report as a badge: one small SVG picture for a README.

use maud::html;

use super::{CellVerdict, Report};

/// The picture. It says what does not pass before it says what does.
pub fn badge(report: &Report) -> String {
    let (message, colour) = message(report);
    let label = "ipc-conform";
    // No font can be measured here; the length is forced upon the text instead.
    let width = |text: &str| 7 * text.chars().count() + 12;
    let (left, right) = (width(label), width(&message));
    let text = |x: usize, text: &str| {
        html! {
            text x=(x + 6) y="14" textLength=(7 * text.chars().count()) fill="#fff" { (text) }
        }
    };
    let title = format!("{label}: {message}");
    let picture = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(left + right) height="20"
            role="img" aria-label=(title) {
            title { (title) }
            clipPath id="round" { rect width=(left + right) height="20" rx="3" {} }
            g clip-path="url(#round)" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" {
                rect width=(left) height="20" fill="#444" {}
                rect x=(left) width=(right) height="20" fill=(colour) {}
                (text(0, label))
                (text(left, &message))
            }
        }
    };
    picture.into_string()
}

fn message(report: &Report) -> (String, &'static str) {
    let count =
        |verdict| report.told().filter(|c| c.verdict == verdict && c.known.is_none()).count();
    let known = report.cells.iter().filter(|c| c.known.is_some()).count();
    let red = report.cells.iter().filter(|c| c.is_news()).count();
    let counted = [
        (red, "red"),
        (count(CellVerdict::Broken), "broken"),
        (count(CellVerdict::Deviates), "deviates"),
        (count(CellVerdict::Inconclusive), "undecided"),
        (known, "known"),
    ];
    let mut parts: Vec<String> = counted
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let colour = if red > 0 {
        "#b42318"
    } else if count(CellVerdict::Pass) == 0 {
        "#6b7280"
    } else if parts.is_empty() {
        "#1a7f37"
    } else {
        "#8a6100"
    };
    parts.push(format!("{} pass", count(CellVerdict::Pass)));
    (parts.join(", "), colour)
}
