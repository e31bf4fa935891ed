//! Time over size as an SVG picture, both axes logarithmic.

use std::fmt::Write;

/// The points of one line: calls and seconds.
type Points = Vec<(f64, f64)>;

/// Lines to be drawn, each with its name.
#[derive(Default)]
pub(crate) struct Plot {
    lines: Vec<(String, Points)>,
}

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 560.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 300.0;
const BOTTOM: f64 = 40.0;
const COLOURS: [&str; 8] =
    ["#1d4ed8", "#c8281c", "#14612f", "#7537c8", "#9a4a06", "#0e7490", "#8f1245", "#5f6670"];

impl Plot {
    /// The lines of a table that are about so many processes and this checker.
    pub(crate) fn of(table: &str, processes: usize, checker: &str) -> Self {
        let mut plot = Self::default();
        for row in table.lines() {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let [_, name, wide, calls, who, seconds, ..] = cells[..] else { continue };
            if let (true, Ok(calls), Ok(seconds)) =
                ((wide.parse(), who) == (Ok(processes), checker), calls.parse(), seconds.parse())
            {
                plot.add(name, calls, seconds);
            }
        }
        plot
    }

    /// Adds a point to the line of this name.
    pub(crate) fn add(&mut self, name: &str, calls: usize, seconds: f64) {
        let point = (calls as f64, seconds);
        match self.lines.iter_mut().find(|(n, _)| n == name) {
            Some((_, points)) => points.push(point),
            None => self.lines.push((name.into(), vec![point])),
        }
    }

    /// The picture.
    pub(crate) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let decades = |value: fn(&(f64, f64)) -> f64| {
            let least = points().map(value).fold(f64::INFINITY, f64::min).log10().floor();
            (least, points().map(value).fold(0.0, f64::max).log10().ceil().max(least + 1.0))
        };
        let (from, to) = (decades(|p| p.0), decades(|p| p.1));
        let x = |v: f64| LEFT + (v.log10() - from.0) / (from.1 - from.0) * (WIDTH - LEFT - RIGHT);
        let y = |v: f64| {
            (HEIGHT - BOTTOM) - (v.log10() - to.0) / (to.1 - to.0) * (HEIGHT - BOTTOM - 20.0)
        };
        let mut svg = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{HEIGHT}' \
             font-family='sans-serif' font-size='12'>\
             <rect width='100%' height='100%' fill='#fff'/>"
        );
        let mut put = |part: String| svg.push_str(&part);
        for decade in from.0 as i32..=from.1 as i32 {
            let at = x(10f64.powi(decade));
            put(format!("<path d='M{at} 20V{}' stroke='#ddd'/>", HEIGHT - BOTTOM));
            put(format!(
                "<text x='{at}' y='{}' text-anchor='middle'>10^{decade}</text>",
                HEIGHT - 22.0
            ));
        }
        for decade in to.0 as i32..=to.1 as i32 {
            let at = y(10f64.powi(decade));
            put(format!("<path d='M{LEFT} {at}H{}' stroke='#ddd'/>", WIDTH - RIGHT));
            put(format!(
                "<text x='{}' y='{}' text-anchor='end'>10^{decade} s</text>",
                LEFT - 6.0,
                at + 4.0
            ));
        }
        for (i, (name, points)) in self.lines.iter().enumerate() {
            let colour = COLOURS[i % COLOURS.len()];
            let dash = ["none", "6 3", "2 3"][i / COLOURS.len() % 3];
            let mut path = String::new();
            for (j, &(calls, seconds)) in points.iter().enumerate() {
                let step = if j == 0 { 'M' } else { 'L' };
                write!(path, "{step}{:.1} {:.1}", x(calls), y(seconds)).expect("it is a string");
            }
            let line =
                format!("fill='none' stroke='{colour}' stroke-width='2' stroke-dasharray='{dash}'");
            put(format!("<path d='{path}' {line}/>"));
            let (at, right) = (30.0 + 18.0 * i as f64, WIDTH - RIGHT + 16.0);
            put(format!("<path d='M{right} {}h24' {line}/>", at - 4.0));
            put(format!("<text x='{}' y='{at}'>{name}</text>", right + 30.0));
        }
        put(format!("<text x='{LEFT}' y='{}'>calls</text></svg>", HEIGHT - 6.0));
        svg
    }
}
