//! What `ipc-conform bench` and the program behind it, `ipc-bench`, are told.

use std::path::PathBuf;

use clap::Args;

/// The options of a benchmark, the same for both programs.
#[derive(Args, Clone, Debug)]
pub struct BenchArguments {
    /// Only these contenders, such as `own/*`, separated by commas. The limit always takes part.
    #[arg(long, value_delimiter = ',')]
    pub links: Vec<String>,
    /// Lengths of messages in bytes, at least 8.
    #[arg(long, value_delimiter = ',', default_values_t = [8, 64, 1024, 65536],
          value_parser = clap::value_parser!(u32).range(8..=16 << 20))]
    pub sizes: Vec<u32>,
    /// How often everything is measured, in turn. Default: 7, or 2 with `--quick`.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: Option<u32>,
    /// Two rounds: a first look.
    #[arg(long)]
    pub quick: bool,
    /// The folder that gets bench.json and the plots. Default: `target/ipc-conform`.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

impl BenchArguments {
    /// How often everything is measured.
    pub fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 2 } else { 7 })
    }

    /// Whether a contender of this name takes part; `*` stands for anything.
    pub fn wants(&self, name: &str) -> bool {
        self.links.is_empty() || self.links.iter().any(|glob| crate::catalogue::matches(glob, name))
    }

    /// The options as the command line has them.
    pub fn words(&self) -> Vec<String> {
        let comma = |list: Vec<String>| list.join(",");
        let mut words = vec![
            format!("--sizes={}", comma(self.sizes.iter().map(u32::to_string).collect())),
            format!("--rounds={}", self.rounds()),
        ];
        if !self.links.is_empty() {
            words.push(format!("--links={}", comma(self.links.clone())));
        }
        if let Some(out) = &self.out {
            words.push(format!("--out={}", out.display()));
        }
        words
    }
}
