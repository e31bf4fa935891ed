//! End-to-end tests live in `tests/`; what they share is here.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The folder that holds the project.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Cargo, in this folder, building where the tests themselves were built.
pub fn cargo(folder: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder).env("CARGO_TARGET_DIR", target());
    // What this test was started with is not meant for another cargo's tests.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("NEXTEST") || text.starts_with("CARGO_PKG") {
            command.env_remove(name);
        }
    }
    command
}

fn target() -> PathBuf {
    let test = std::env::current_exe().expect("the running test has a path");
    // target/debug/deps/test-hash
    test.ancestors().nth(3).expect("a test lies three folders deep").to_path_buf()
}

/// The program `ipc-conform`, built.
///
/// # Panics
/// If it cannot be built.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let built = cargo(&workspace()).args(["build", "-p", "ipc-conformance"]).output();
        let built = built.expect("cargo runs");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        target().join("debug/ipc-conform")
    })
}

/// Runs `ipc-conform` with these arguments.
///
/// # Panics
/// If it cannot be started.
pub fn conform(arguments: &[&str]) -> Output {
    Command::new(program()).args(arguments).output().expect("ipc-conform starts")
}

/// Both outputs of a program, as text.
pub fn text(output: &Output) -> String {
    let parts = [&output.stdout, &output.stderr];
    parts.map(|p| String::from_utf8_lossy(p).into_owned()).join("\n")
}
