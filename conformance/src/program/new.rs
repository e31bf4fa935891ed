//! `new`: writes a test crate around a small link of its own, to put one's own link in place of.

use std::path::Path;

use anyhow::{Context, bail};
use ipc_conformance::catalogue;

use super::{NewArguments, WELL};

/// The files of the crate. What stands between two `@` is filled in.
const FILES: &[(&str, &str)] = &[
    // Under another name, so that cargo does not take the folder for a package and leave it out.
    ("Cargo.toml", include_str!("../../template/Cargo.toml.in")),
    ("src/lib.rs", include_str!("../../template/src/lib.rs")),
    ("tests/conformance.rs", include_str!("../../template/tests/conformance.rs")),
    ("tests/adapter/mod.rs", include_str!("../../template/tests/adapter/mod.rs")),
];

pub(super) fn new(arguments: &NewArguments) -> anyhow::Result<u8> {
    let folder = &arguments.path;
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => match folder.file_name().and_then(|n| n.to_str()) {
            Some(name) => name.to_string(),
            None => bail!("{}: what shall it be called? Give --name", folder.display()),
        },
    };
    if let Some(why) = no_crate_name(&name) {
        bail!("{name:?} is no name for a crate: {why}; give another with --name");
    }
    let is_free = !folder.exists()
        || std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    if !is_free {
        bail!("{} is there already, and nothing in it is overwritten", folder.display());
    }
    for (path, text) in FILES {
        write(&folder.join(path), &filled(text, &name))?;
    }
    super::say!("{name}: a bounded channel, and tests that hold it against the model.");
    super::say!("  cd {} && cargo test", folder.display());
    super::say!(
        "One rule is red: the channel has a mistake in it. docs/write-an-adapter.md goes on."
    );
    Ok(WELL)
}

fn filled(text: &str, name: &str) -> String {
    // A program that was installed takes its own version from the registry.
    let place = |folder: &str| match catalogue::workspace() {
        Ok(project) => format!("{{ path = \"{}\" }}", project.join(folder).display()),
        Err(_) => format!("\"{}\"", env!("CARGO_PKG_VERSION")),
    };
    text.replace("@name@", name)
        .replace("@crate@", &name.replace('-', "_"))
        .replace("\"@conformance@\"", &place("conformance"))
        .replace("\"@model@\"", &place("model"))
}

/// What keeps the text from being the name of a package that cargo builds.
fn no_crate_name(name: &str) -> Option<&'static str> {
    let odd = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        Some("it does not begin with a letter")
    } else if name.contains(odd) {
        Some("it holds something other than letters, digits, - and _")
    } else if ["test", "core", "std", "alloc", "conformance", "adapter"].contains(&name) {
        Some("something else is called that")
    } else {
        None
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    std::fs::write(path, text).with_context(|| path.display().to_string())
}
