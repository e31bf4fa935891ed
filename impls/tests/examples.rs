//! Every example, run as a program, does and prints what it promises.
//!
//! `cargo test` builds the examples; `cargo test --test examples` alone does not.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use ipc_impls::links::mpmc::Mailbox;

fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    // This program is in `deps`, beside which cargo puts `examples`.
    let program = test.parent().and_then(|deps| deps.parent()).unwrap().join("examples").join(name);
    assert!(program.exists(), "build it first: cargo build --example {name}");
    Command::new(program)
}

/// Starts it, killed when the test ends, also by a panic.
fn start(command: &mut Command, input: &str) -> Running {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Running(Some(child))
}

struct Running(Option<Child>);

impl Running {
    /// Waits for its end; gives what it printed.
    fn said(mut self) -> String {
        let child = self.0.take().unwrap();
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        assert!(status.success(), "{status}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn no_update_of_the_shared_table_is_lost() {
    let said = start(&mut example("shared_table"), "").said();
    let expected: String =
        (0..4).map(|row| format!("row {row}: 200000 of 200000 updates\n")).collect();
    assert_eq!(said, expected);
}

/// A file that is gone when the test ends.
struct Plot(PathBuf);

impl Drop for Plot {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn the_speed_up_names_the_cores_and_has_a_bar_for_each_number_of_workers() {
    let plot = Plot(std::env::temp_dir().join(format!("speed-up-{}.svg", std::process::id())));
    let said = start(example("speed_up").arg(&plot.0).arg("10000"), "").said();
    let mut lines = said.lines();
    let cores = lines.next().unwrap().strip_suffix(" cores").unwrap();
    let cores: usize = cores.parse().unwrap();
    let mut runs = 0;
    for line in lines {
        runs += 1;
        // How fast it was is not for a test to say, but there is one right answer.
        assert!(line.starts_with(&format!("{runs} workers: 1229 primes in ")), "{line}");
        let speed_up: f64 = line.rsplit_once("speed-up ").unwrap().1.parse().unwrap();
        assert!(speed_up.is_finite() && speed_up >= 0.0);
    }
    assert_eq!(runs, cores + 1);
    let svg = std::fs::read_to_string(&plot.0).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(svg.contains(&format!(", {cores} cores<")));
    assert_eq!(svg.matches("<rect ").count(), runs);
}

#[test]
fn the_pipeline_counts_words_and_each_program_also_works_alone() {
    let text = "The cat and the dog\nand the bird.\n";
    let said = start(&mut example("pipeline"), text).said();
    assert_eq!(said, "2 and\n1 bird\n1 cat\n1 dog\n3 the\n");
    assert_eq!(start(example("pipeline").arg("words"), "A b.\n").said(), "a\nb\n");
    assert_eq!(start(example("pipeline").arg("sort"), "b\na\n").said(), "a\nb\n");
    assert_eq!(start(example("pipeline").arg("count"), "a\na\n").said(), "2 a\n");
}

#[test]
fn all_tasks_have_begun_before_one_finishes() {
    let said = start(&mut example("several_tasks"), "").said();
    let expected = "edit begins\ncompile begins\nprint begins\n\
                    all have begun, none has finished\n\
                    edit: Dear Madam, good bye\n\
                    compile: push 1; push 2; add; push 3; add\n\
                    print: -------- page 1 --------\n";
    assert_eq!(said, expected);
}

/// Both mailboxes of a chat, which a killed example may leave.
struct Names(String, String);

impl Drop for Names {
    fn drop(&mut self) {
        let Names(ann, bob) = self;
        let _ = Mailbox::unlink(&format!("chat-{ann}-from-{bob}"));
        let _ = Mailbox::unlink(&format!("chat-{bob}-from-{ann}"));
    }
}

#[test]
fn two_processes_chat_and_leave_no_mailbox_behind() {
    let own = std::process::id();
    let names = Names(format!("ann{own}"), format!("bob{own}"));
    let Names(ann, bob) = &names;
    let first = start(example("chat").args([ann, bob]), "hello\nhow are you?\n");
    let second = start(example("chat").args([bob, ann]), "fine\n");
    assert_eq!(first.said(), format!("{bob}: fine\n{bob} has left\n"));
    assert_eq!(second.said(), format!("{ann}: hello\n{ann}: how are you?\n{ann} has left\n"));
    for name in [format!("chat-{ann}-from-{bob}"), format!("chat-{bob}-from-{ann}")] {
        assert!(Mailbox::open(&name).is_err(), "{name} is left");
    }
}

#[test]
fn posix_shared_memory_goes_through_its_six_steps() {
    let running = start(&mut example("posix_shm"), "");
    let name = format!("/posix-shm-example-{}", running.0.as_ref().unwrap().id());
    let expected = "create: 0 bytes\nsize: 4096 bytes\nmap: 4096 bytes, all zero: true\n\
                    use: wrote hello\nuse: another process read hello\nunmap\nunlink\n";
    assert_eq!(running.said(), expected);
    let left = nix::sys::mman::shm_unlink(name.as_str());
    assert_eq!(left, Err(nix::errno::Errno::ENOENT), "the object was left");
}

#[test]
fn both_models_carry_all_that_was_produced() {
    let said = start(&mut example("producer_consumer"), "").said();
    let expected = "shared memory: 1000 items, sum 499500\nmessages: 1000 items, sum 499500\n";
    assert_eq!(said, expected);
}

/// The only child of a running example, once it is there.
fn child_of(running: &Running) -> u32 {
    let parent = running.0.as_ref().unwrap().id();
    let file = format!("/proc/{parent}/task/{parent}/children");
    patiently(|| std::fs::read_to_string(&file).ok()?.split_whitespace().next()?.parse().ok())
}

fn is_gone(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    // Nobody may have reaped it yet.
    stat.map_or(true, |stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
}

fn patiently<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(done) = attempt() {
            return done;
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(30), "in vain");
        std::thread::yield_now();
    }
}

/// More than a test has time for.
const NO_END: &str = "1000000000000";

#[test]
fn a_consumer_does_not_wait_for_a_producer_that_was_killed() {
    let mut running = start(example("producer_consumer").arg(NO_END), "");
    let producer = nix::unistd::Pid::from_raw(child_of(&running) as i32);
    nix::sys::signal::kill(producer, nix::sys::signal::Signal::SIGKILL).unwrap();
    let output = running.0.take().unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the producer left early"), "{said}");
}

#[test]
fn a_producer_does_not_wait_for_a_consumer_that_was_killed() {
    let running = start(example("producer_consumer").arg(NO_END), "");
    let producer = child_of(&running);
    drop(running);
    let _end = Orphan(producer);
    patiently(|| is_gone(producer).then_some(()));
}

/// A process without a parent, killed when the test ends, also by a panic.
struct Orphan(u32);

impl Drop for Orphan {
    fn drop(&mut self) {
        let process = nix::unistd::Pid::from_raw(self.0 as i32);
        // Where it fails, it is gone, as it should be.
        let _ = nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL);
    }
}

#[test]
fn the_same_chat_goes_over_a_network() {
    use std::io::BufRead;
    let mut first = start(example("chat_tcp").args(["ann", "listen", "127.0.0.1:0"]), "hello\n");
    let said = first.0.as_mut().unwrap().stderr.as_mut().unwrap();
    let mut line = String::new();
    std::io::BufReader::new(said).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening at ").unwrap();
    let second = start(example("chat_tcp").args(["bob", "connect", address]), "fine\n");
    assert_eq!(first.said(), "bob: fine\nbob has left\n");
    assert_eq!(second.said(), "ann: hello\nann has left\n");
}
