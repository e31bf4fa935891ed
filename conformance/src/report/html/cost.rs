//! What the links cost, side by side: a plot of time by length, and the numbers.

use maud::{Markup, html};

use crate::report::cost::{Cost, Costs};

/// Width and height of the plot, and the room for its words.
const PLOT: (f64, f64) = (640.0, 320.0);
const LEFT: f64 = 72.0;
const RIGHT: f64 = 40.0;
const BELOW: f64 = 36.0;

pub(super) fn section(costs: &Costs) -> Markup {
    let sizes = costs.sizes();
    let mut links: Vec<&Cost> = costs.links.iter().filter(|l| !l.one_way.is_empty()).collect();
    let smallest = |link: &Cost| link.one_way.values().next().map_or(f64::MAX, |f| f.median);
    links.sort_by(|a, b| smallest(a).total_cmp(&smallest(b)));
    html! {
        section #cost aria-labelledby="cost-title" {
            h2 #cost-title { "Cost" }
            p.muted {
                "Nanoseconds for each message from one end to the other, and system calls of both "
                "ends for it, measured side by side in one run"
                @for (name, value) in &costs.environment {
                    ", " (name) " " (value.as_str().map_or(value.to_string(), String::from))
                }
                ". Figures, and no verdicts."
            }
            (plot(&links, &sizes))
            div.scroll { table.plain.cost {
                thead { tr {
                    th { "Link" }
                    @for size in &sizes { th { (size) " bytes" } }
                } }
                tbody { @for (i, link) in links.iter().enumerate() {
                    tr data-crate=(link.name.split('/').next().unwrap_or_default()) {
                        th scope="row" {
                            span.line style=(format!("background:{}", colour(i, links.len()))) {} " "
                            (link.name)
                        }
                        @for size in &sizes { td { (figure(link, *size)) } }
                    }
                } }
            } }
        }
    }
}

fn figure(link: &Cost, size: u32) -> Markup {
    html! {
        @if let Some(time) = link.one_way.get(&size) {
            (nanoseconds(time.median))
            @if let Some(calls) = link.calls.get(&size) {
                " " span.muted { (format!("{calls:.1}")) " calls" }
            }
        } @else { span.muted { "–" } }
    }
}

/// A time as people read it.
pub(super) fn nanoseconds(time: f64) -> String {
    match time {
        _ if time >= 1e6 => format!("{:.1} ms", time / 1e6),
        _ if time >= 1e4 => format!("{:.0} µs", time / 1e3),
        _ if time >= 1e3 => format!("{:.1} µs", time / 1e3),
        _ => format!("{time:.0} ns"),
    }
}

/// Colours that can be told apart as far as so many can.
fn colour(number: usize, of: usize) -> String {
    format!("hsl({} 65% 50%)", number * 360 / of.max(1))
}

/// Both axes are logarithmic: what costs for each message and what costs for each byte show as a
/// level line and as a slope.
fn plot(links: &[&Cost], sizes: &[u32]) -> Markup {
    let times = || links.iter().flat_map(|l| l.one_way.values()).map(|f| f.median.max(1.0));
    let (low, high) = times().fold((f64::MAX, 1.0_f64), |(l, h), t| (l.min(t), h.max(t)));
    let (low, high) = (low.log10().floor(), high.log10().ceil());
    let [Some(first), Some(last)] = [sizes.first(), sizes.last()] else { return html! {} };
    let (first, last) = (f64::from(*first).log10(), f64::from(*last).log10());
    let across = |size: u32| {
        let part = (f64::from(size).log10() - first) / (last - first).max(0.1);
        LEFT + part * (PLOT.0 - LEFT - RIGHT)
    };
    let down = |time: f64| {
        let part = (time.max(1.0).log10() - low) / (high - low).max(0.1);
        (PLOT.1 - BELOW) - part * (PLOT.1 - BELOW - 12.0)
    };
    let decades = (low as i32..=high as i32).map(|power| 10_f64.powi(power));
    let points = |link: &Cost| {
        let at = |(size, f): (&u32, &crate::report::cost::Figure)| {
            format!("{:.1},{:.1}", across(*size), down(f.median))
        };
        link.one_way.iter().map(at).collect::<Vec<_>>().join(" ")
    };
    html! {
        div {
            svg.plot viewBox=(format!("0 0 {} {}", PLOT.0, PLOT.1)) role="img"
                aria-label="Time for each message by its length; the table below has the numbers" {
                @for time in decades {
                    line.grid x1=(LEFT) x2=(PLOT.0 - RIGHT) y1=(down(time)) y2=(down(time)) {}
                    text x=(LEFT - 8.0) y=(down(time) + 4.0) text-anchor="end" { (nanoseconds(time)) }
                }
                @for size in sizes {
                    line.grid x1=(across(*size)) x2=(across(*size)) y1="12" y2=(PLOT.1 - BELOW) {}
                    text x=(across(*size)) y=(PLOT.1 - BELOW + 18.0) text-anchor="middle" { (size) " B" }
                }
                @for (i, link) in links.iter().enumerate() {
                    polyline points=(points(link)) fill="none" stroke-width="2"
                        stroke=(colour(i, links.len())) { title { (link.name) } }
                    @for (size, time) in &link.one_way {
                        circle cx=(across(*size)) cy=(down(time.median)) r="3"
                            fill=(colour(i, links.len())) { title {
                                (link.name) ", " (size) " bytes: " (nanoseconds(time.median))
                            } }
                    }
                }
            }
        }
    }
}
