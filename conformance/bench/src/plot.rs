//! Time a message over the length of messages, as SVG.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use plotters::style::full_palette::{
    AMBER_700, BLUE_300, BLUE_700, BROWN, CYAN_700, DEEPPURPLE_300, GREEN_700, GREY_600, INDIGO,
    LIME_800, ORANGE_800, PINK_700, PURPLE, RED_700, TEAL,
};

use crate::contenders::LIMIT;
use crate::link::Family;
use crate::report::{Report, Row};

const COLOURS: [RGBColor; 14] = [
    BLUE_700,
    RED_700,
    GREEN_700,
    ORANGE_800,
    PURPLE,
    CYAN_700,
    BROWN,
    PINK_700,
    LIME_800,
    INDIGO,
    TEAL,
    AMBER_700,
    BLUE_300,
    DEEPPURPLE_300,
];

/// Two pictures: what is in shared memory, and shared memory beside message passing (C3, C5).
/// None of one size alone: a line needs two points. Answers whether there are any.
pub(crate) fn write(report: &Report, folder: &Path) -> Result<bool> {
    if report.sizes.len() < 2 {
        return Ok(false);
    }
    let shared = |row: &&Row| row.family != Family::Kernel;
    let title = "Through shared memory, and between threads";
    draw(report, &folder.join("bench-shared-memory.svg"), title, shared)?;
    let compared = ["own/ring", "own/mailbox", "iceoryx2", "shmem-ipc"];
    let beside = |row: &&Row| {
        matches!(row.family, Family::Limit | Family::Kernel) || compared.contains(&row.name)
    };
    let title = "Shared memory beside message passing by the kernel";
    draw(report, &folder.join("bench-message-passing.svg"), title, beside)?;
    Ok(true)
}

fn draw(report: &Report, file: &Path, title: &str, wanted: impl Fn(&&Row) -> bool) -> Result<()> {
    let rows: Vec<&Row> =
        report.links.iter().filter(wanted).filter(|row| !row.one_way.is_empty()).collect();
    let times = || rows.iter().flat_map(|row| row.one_way.values().map(|figure| figure.median));
    let (low, high) = (times().fold(f64::INFINITY, f64::min), times().fold(0.0, f64::max));
    let (Some(first), Some(last)) = (report.sizes.first(), report.sizes.last()) else {
        return Ok(());
    };
    if rows.is_empty() {
        return Ok(());
    }
    let area = SVGBackend::new(file, (1000, 620)).into_drawing_area();
    let wrong = |why: &dyn std::fmt::Display| anyhow!("{}: {why}", file.display());
    area.fill(&WHITE).map_err(|e| wrong(&e))?;
    let (chart_area, legend) = area.split_horizontally(780);
    let points = report.sizes.iter().map(|size| *size as f64).collect::<Vec<_>>();
    let sizes = (*first as f64 * 0.8)..(*last as f64 * 1.25);
    let mut chart = ChartBuilder::on(&chart_area)
        .caption(title, ("sans-serif", 22))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(70)
        .build_cartesian_2d(
            sizes.log_scale().with_key_points(points),
            (low * 0.7..high * 1.4).log_scale(),
        )
        .map_err(|e| wrong(&e))?;
    chart
        .configure_mesh()
        .x_desc("bytes a message")
        .y_desc("time a message, one way")
        .x_label_formatter(&|size| size_name(*size))
        .y_label_formatter(&|ns| crate::table::time(*ns))
        .label_style(("sans-serif", 14))
        .light_line_style(GREY_600.mix(0.08))
        .draw()
        .map_err(|e| wrong(&e))?;
    for (place, row) in rows.iter().enumerate() {
        let colour = if row.name == LIMIT { BLACK } else { COLOURS[place % COLOURS.len()] };
        let width = if row.name.starts_with("own/") || row.name == LIMIT { 3 } else { 1 };
        let style = colour.stroke_width(width);
        let points = || row.one_way.iter().map(|(size, figure)| (*size as f64, figure.median));
        chart.draw_series(LineSeries::new(points(), style)).map_err(|e| wrong(&e))?;
        let dots = points().map(|at| Circle::new(at, 3, colour.filled()));
        chart.draw_series(dots).map_err(|e| wrong(&e))?;
        let y = 56 + 24 * place as i32;
        let line = PathElement::new([(0, y), (26, y)], style);
        legend.draw(&line).map_err(|e| wrong(&e))?;
        let name = Text::new(row.name, (34, y - 8), ("sans-serif", 15));
        legend.draw(&name).map_err(|e| wrong(&e))?;
    }
    let machine = format!("{}, {} CPUs", report.environment.processor, report.environment.cpus);
    let y = 72 + 24 * rows.len() as i32;
    let name = Text::new(machine, (0, y), ("sans-serif", 12));
    legend.draw(&name).map_err(|e| wrong(&e))?;
    area.present().map_err(|e| wrong(&e))
}

fn size_name(size: f64) -> String {
    match size {
        ..1024.0 => format!("{size:.0} B"),
        _ => format!("{:.0} KiB", size / 1024.0),
    }
}
