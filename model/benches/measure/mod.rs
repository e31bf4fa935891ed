//! One measurement, in a process of its own.

pub(crate) mod plot;
pub(crate) mod shapes;

use std::ops::Range;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What to measure.
pub(crate) struct Cell {
    /// Which shape of history, by its place in the list.
    pub(crate) shape: usize,
    /// How many processes call.
    pub(crate) processes: usize,
    /// How many calls they make.
    pub(crate) calls: usize,
    /// Which checker.
    pub(crate) checker: String,
}

/// How long one measurement may take, the making of its history included.
const PATIENCE: Duration = Duration::from_secs(60);

/// The same, in whole seconds, where `IPC_BENCH_PATIENCE` says so.
fn patience() -> Duration {
    let given = std::env::var("IPC_BENCH_PATIENCE").ok().and_then(|n| n.parse().ok());
    given.map_or(PATIENCE, Duration::from_secs)
}

/// Writes the plot beside the compiled programs, and says where.
pub(crate) fn save(plot: &plot::Plot, name: &str) {
    let folder = std::env::current_exe().ok().and_then(|p| Some(p.parent()?.parent()?.to_owned()));
    let path = folder.unwrap_or_default().join(name);
    match std::fs::write(&path, plot.svg()) {
        Ok(()) => println!("\ntime over size: {}", path.display()),
        Err(e) => println!("\n{}: {e}", path.display()),
    }
}

/// Whether this checker is to be measured: all of them, unless `IPC_BENCH_ONLY` names one.
pub(crate) fn wanted(checker: &str) -> bool {
    std::env::var("IPC_BENCH_ONLY").map_or(true, |only| only == checker)
}

/// Which histories are measured, by their places in the list.
///
/// # Panics
/// If `IPC_BENCH_SHAPES` is no range such as `0..4`.
pub(crate) fn shapes() -> Range<usize> {
    let Ok(given) = std::env::var("IPC_BENCH_SHAPES") else { return 0..usize::MAX };
    let bounds = given.split_once("..").map(|(from, to)| (from.parse(), to.parse()));
    match bounds {
        Some((Ok(from), Ok(to))) => from..to,
        _ => panic!("IPC_BENCH_SHAPES={given} is no range such as 0..4"),
    }
}

/// The table that this process was started to plot.
///
/// # Panics
/// If it cannot be read.
pub(crate) fn to_plot() -> Option<String> {
    let file = behind("--plot").into_iter().next()?;
    Some(std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}")))
}

/// The largest history, in calls.
pub(crate) fn largest() -> usize {
    let given = std::env::var("IPC_BENCH_LARGEST").ok();
    given.and_then(|n| n.parse().ok()).unwrap_or(1_000_000)
}

/// The arguments behind this one.
fn behind(word: &str) -> Vec<String> {
    std::env::args().skip_while(|a| a != word).skip(1).collect()
}

impl Cell {
    /// A measurement.
    pub(crate) fn new(shape: usize, processes: usize, calls: usize, checker: &str) -> Self {
        Self { shape, processes, calls, checker: checker.into() }
    }

    /// The measurement that this process was started for.
    pub(crate) fn asked_for() -> Option<Self> {
        let given = behind("--cell");
        let [shape, processes, calls, checker] = given.as_slice() else { return None };
        let number = |text: &String| text.parse().ok();
        Some(Self::new(number(shape)?, number(processes)?, number(calls)?, checker))
    }

    /// The history that this process was started to write, and the file to write it to.
    pub(crate) fn to_write() -> Option<(Self, String)> {
        let given = behind("--write");
        let [file, shape, processes, calls, ..] = given.as_slice() else { return None };
        let number = |text: &String| text.parse().ok();
        let cell = Self::new(number(shape)?, number(processes)?, number(calls)?, "none");
        Some((cell, file.clone()))
    }

    /// Times the check, three times or for as long as it is worth it; gives the median.
    pub(crate) fn median(&self, mut check: impl FnMut() -> String) -> (f64, String) {
        let mut times = Vec::new();
        let mut said = String::new();
        for _ in 0..3 {
            let start = Instant::now();
            said = check();
            times.push(start.elapsed().as_secs_f64());
            if times[0] > 5.0 {
                break;
            }
        }
        times.sort_by(f64::total_cmp);
        (times[times.len() / 2], said)
    }

    /// Tells the process that asked.
    pub(crate) fn report(&self, (seconds, said): (f64, String)) {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0 kB");
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap_or(0);
        println!("{seconds}\t{}\t{said}", peak / 1024);
    }

    /// Runs it in a process of its own and prints a line of the table; the seconds it took.
    pub(crate) fn show(&self, name: &str) -> Option<f64> {
        let (processes, calls, checker) = (self.processes, self.calls, &self.checker);
        let result =
            self.measure().unwrap_or_else(|| "-\t-\ttook too long, or too much memory".into());
        let mut parts = result.trim().split('\t');
        let mut next = || parts.next().unwrap_or("-").to_owned();
        let (seconds, peak, said) = (next(), next(), next());
        let rate = seconds.parse().map(|s: f64| format!("{:.2}", calls as f64 / s / 1e6));
        let took = seconds.parse().ok();
        let seconds = took.map(|s: f64| format!("{s:.5}"));
        println!(
            "| {name} | {processes} | {calls} | {checker} | {} | {} | {peak} | {said} |",
            seconds.unwrap_or("-".into()),
            rate.unwrap_or("-".into()),
        );
        took
    }

    fn measure(&self) -> Option<String> {
        let mut child = Command::new(std::env::current_exe().ok()?)
            .args(["--cell", &self.shape.to_string(), &self.processes.to_string()])
            .args([&self.calls.to_string(), &self.checker])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let start = Instant::now();
        while child.try_wait().ok()?.is_none() {
            if start.elapsed() > patience() {
                child.kill().ok()?;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let output = child.wait_with_output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        (output.status.success() && !text.is_empty()).then_some(text)
    }
}
