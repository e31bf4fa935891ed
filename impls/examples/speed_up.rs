//! Computation speed-up (P4): the same work by 1, 2, … processes, measured and plotted.
//!
//! `speed_up PLOT.svg [LIMIT]` counts the primes below `LIMIT`. More workers than processing
//! elements bring nothing, so the program goes one beyond to show that too.

use std::error::Error;
use std::fmt::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Numbers are dealt out in blocks, because large ones take longer than small ones.
const BLOCK: u32 = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [role, rest @ ..] if role == "worker" => {
            let [limit, workers, me] = rest else { return Err("worker LIMIT WORKERS ME".into()) };
            println!("{}", share(limit.parse()?, workers.parse()?, me.parse()?));
            Ok(())
        }
        [plot] => measure(plot, 2_000_000),
        [plot, limit] => measure(plot, limit.parse()?),
        _ => Err("usage: speed_up PLOT.svg [LIMIT]".into()),
    }
}

fn measure(plot: &str, limit: u32) -> Result<(), Box<dyn Error>> {
    let cores = std::thread::available_parallelism()?.get() as u32;
    println!("{cores} cores");
    let mut alone = None;
    let mut speed_ups = Vec::new();
    for workers in 1..=cores + 1 {
        let (primes, time) = run(limit, workers)?;
        let speed_up = alone.get_or_insert(time).as_secs_f64() / time.as_secs_f64();
        println!("{workers} workers: {primes} primes in {time:.3?}, speed-up {speed_up:.2}");
        speed_ups.push(speed_up);
    }
    std::fs::write(plot, svg(&speed_ups, cores)?)?;
    Ok(())
}

fn run(limit: u32, workers: u32) -> Result<(u32, Duration), Box<dyn Error>> {
    let start = Instant::now();
    let work = |me: u32| {
        let orders = [limit, workers, me].map(|number| number.to_string());
        let program = std::env::current_exe()?;
        Command::new(program).arg("worker").args(orders).stdout(Stdio::piped()).spawn()
    };
    let workers: Vec<_> = (0..workers).map(work).collect::<Result<_, _>>()?;
    let mut primes = 0;
    for worker in workers {
        let said = worker.wait_with_output()?;
        primes += String::from_utf8(said.stdout)?.trim().parse::<u32>()?;
    }
    Ok((primes, start.elapsed()))
}

fn share(limit: u32, workers: u32, me: u32) -> usize {
    (2..limit).filter(|n| n / BLOCK % workers == me).filter(|n| is_prime(*n)).count()
}

fn is_prime(n: u32) -> bool {
    (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
}

/// One bar for each number of workers, as high as its speed-up.
fn svg(speed_ups: &[f64], cores: u32) -> Result<String, std::fmt::Error> {
    let width = 60 * speed_ups.len();
    let scale = 200.0 / speed_ups.iter().fold(1.0, |high: f64, s| high.max(*s));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 -40 {width} 280\">\n\
         <text x=\"4\" y=\"-24\" font-size=\"12\">speed-up by workers, {cores} cores</text>\n"
    );
    for (place, speed_up) in speed_ups.iter().enumerate() {
        let (x, height) = (60 * place + 10, speed_up * scale);
        let y = 200.0 - height;
        writeln!(svg, "<rect x=\"{x}\" y=\"{y:.1}\" width=\"40\" height=\"{height:.1}\"/>")?;
        writeln!(svg, "<text x=\"{x}\" y=\"{:.1}\">{speed_up:.2}</text>", y - 4.0)?;
        writeln!(svg, "<text x=\"{x}\" y=\"220\">{}</text>", place + 1)?;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}
