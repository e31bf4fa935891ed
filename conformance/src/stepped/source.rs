//! From an address to the file that holds it, and to the lines of source it was compiled from.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use addr2line::Loader;
use nix::unistd::Pid;

use super::course::Spot;

/// A program or library that a process has mapped.
#[derive(Clone, Debug)]
struct Module {
    name: String,
    path: PathBuf,
    /// Where its first byte lies.
    base: u64,
    end: u64,
}

/// The modules of the zygote, which lie at the same addresses in all of its forks.
#[derive(Clone, Debug, Default)]
pub(super) struct Modules(Vec<Module>);

impl Modules {
    /// Those of this process.
    pub(super) fn of(pid: Pid) -> Result<Self, String> {
        let path = format!("/proc/{pid}/maps");
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        let mut modules: Vec<Module> = Vec::new();
        for line in text.lines() {
            let Some((range, path)) = mapped_file(line) else { continue };
            match modules.iter_mut().find(|m| m.path == path) {
                Some(module) => module.end = module.end.max(range.end),
                None => {
                    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    modules.push(Module { name, path, base: range.start, end: range.end });
                }
            }
        }
        Ok(Self(modules))
    }

    /// The file and offset of this address.
    pub(super) fn spot(&self, address: u64) -> Option<Spot> {
        let module = self.0.iter().find(|m| (m.base..m.end).contains(&address))?;
        Some(Spot { module: module.name.clone(), offset: address - module.base })
    }

    /// The address of this file and offset.
    pub(super) fn address(&self, spot: &Spot) -> Option<u64> {
        let module = self.0.iter().find(|m| m.name == spot.module)?;
        Some(module.base + spot.offset)
    }

    /// The lines of source that this was compiled from: the innermost first, each inlined into
    /// the next. Without debug information, the symbol and how far behind it.
    pub(super) fn frames(&self, spot: &Spot, known: &mut Sources) -> Vec<String> {
        let Some(module) = self.0.iter().find(|m| m.name == spot.module) else {
            return vec![spot.to_string()];
        };
        let loader = known.0.entry(module.path.clone());
        // A file that cannot be read has no lines: its offset is told instead.
        let loader = loader.or_insert_with_key(|path| Loader::new(path).ok());
        let Some(loader) = loader else { return vec![spot.to_string()] };
        let frames = lines(loader, spot.offset);
        if !frames.is_empty() {
            return frames;
        }
        match loader.find_symbol_info(spot.offset) {
            Some(symbol) => {
                let behind = spot.offset - symbol.address();
                vec![format!("{}+{behind:#x} in {}", symbol.name(), spot.module)]
            }
            None => vec![spot.to_string()],
        }
    }
}

/// The debug information that has been read.
#[derive(Default)]
pub(super) struct Sources(HashMap<PathBuf, Option<Loader>>);

fn mapped_file(line: &str) -> Option<(std::ops::Range<u64>, PathBuf)> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let path = fields.nth(4).filter(|p| p.starts_with('/') && !p.starts_with("/dev/"))?;
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    Some((hex(start)?..hex(end)?, PathBuf::from(path)))
}

/// The frames of this offset that are not the standard library's own, or all if there is no other.
fn lines(loader: &Loader, offset: u64) -> Vec<String> {
    let mut all = Vec::new();
    let Ok(mut frames) = loader.find_frames(offset) else { return Vec::new() };
    while let Ok(Some(frame)) = frames.next() {
        let name = frame.function.and_then(|f| Some(f.demangle().ok()?.into_owned()));
        let name = name.map(|n| short_name(&n)).unwrap_or_default();
        let Some(location) = frame.location.filter(|l| l.file.is_some()) else { continue };
        let file = short_path(location.file.unwrap_or_default());
        all.push((file, location.line.unwrap_or(0), name));
    }
    let foreign = |file: &String| file.starts_with("library/");
    if all.iter().any(|(file, ..)| !foreign(file)) {
        all.retain(|(file, ..)| !foreign(file));
    }
    all.into_iter().map(|(file, line, name)| format!("{file}:{line} {name}")).collect()
}

/// A function without its hash, and without the generics that fill lines.
fn short_name(name: &str) -> String {
    let mut depth = 0;
    let mut short = String::new();
    let plain = name.split("::h").next().filter(|n| name.len() - n.len() == 19).unwrap_or(name);
    for c in plain.chars() {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ if depth <= 0 => short.push(c),
            _ => {}
        }
    }
    let parts: Vec<&str> = short.split("::").filter(|p| !p.is_empty()).collect();
    parts[parts.len().saturating_sub(2)..].join("::")
}

/// A path as its readers know it: inside of the project, of a crate, or of the standard library.
fn short_path(path: &str) -> String {
    // Without the project's folder nothing is inside of it.
    let workspace = crate::catalogue::workspace().unwrap_or_default();
    let within = Path::new(path).strip_prefix(&workspace);
    if let Some(inside) = within.ok().filter(|_| workspace.is_absolute()) {
        return inside.display().to_string();
    }
    if let Some((_, inside)) = path.split_once("/registry/src/") {
        return inside.split_once('/').map_or(inside, |(_, crate_)| crate_).to_owned();
    }
    match path.split_once("/library/") {
        Some((_, inside)) => format!("library/{inside}"),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_function_is_found_by_its_line() {
        let pid = Pid::this();
        let modules = Modules::of(pid).unwrap();
        let address = this_very_function_is_found_by_its_line as fn() as usize as u64;
        let spot = modules.spot(address).unwrap();
        assert_eq!(modules.address(&spot), Some(address));
        let frames = modules.frames(&spot, &mut Sources::default());
        let expected = "conformance/src/stepped/source.rs:";
        assert!(frames.iter().any(|f| f.starts_with(expected)), "{frames:?}");
    }

    #[test]
    fn names_and_paths_are_those_that_people_use() {
        let long = "<alloc::vec::Vec<T> as core::ops::Drop>::drop";
        assert_eq!(short_name(long), "drop");
        let path = "/home/x/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/a-1.0/src/lib.rs";
        assert_eq!(short_path(path), "a-1.0/src/lib.rs");
        assert_eq!(short_path("/rustc/abc/library/core/src/ptr.rs"), "library/core/src/ptr.rs");
    }
}
