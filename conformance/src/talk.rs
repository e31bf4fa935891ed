//! Talks to an adapter program: one request, one answer, in bounded time, whatever it does.

mod strays;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::protocol::{Answer, HOST_VARIABLE, Request};
use crate::worker::state_of;

/// How long an adapter may take to answer, or its workers to connect.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// How long a program that has closed its output may take to be gone: its descriptors are closed
/// before it can be seen to have ended, and what ended it is told only then.
const LEAVING: Duration = Duration::from_secs(1);

/// The longest answer that is read, in bytes: an adapter that never ends its line is not followed.
const LONGEST: u64 = 1 << 20;

/// How much of the log is looked at for an adapter's last words, in bytes.
const LAST_WORDS: u64 = 2048;

/// An adapter program: started when something is asked of it, and again after it had to be ended.
pub(crate) struct Talk {
    program: PathBuf,
    folder: PathBuf,
    /// What the processes that it starts have in common.
    family: String,
    child: Option<Running>,
}

struct Running {
    process: Child,
    requests: ChildStdin,
    answers: Receiver<String>,
}

impl Talk {
    /// `folder` is for what the program prints.
    pub(crate) fn new(program: &Path, folder: &Path) -> Self {
        let (program, folder, family) = (program.into(), folder.into(), strays::fresh());
        Self { program, folder, family, child: None }
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The end of what the adapter and its workers printed.
    pub(crate) fn last_words(&self) -> String {
        let tail = || {
            let mut log = File::open(self.log())?;
            let length = log.metadata()?.len();
            log.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS)))?;
            let mut text = Vec::new();
            log.take(LAST_WORDS).read_to_end(&mut text)?;
            std::io::Result::Ok(text)
        };
        let text = tail().unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(3).collect();
        if lines.is_empty() {
            return "it said nothing".into();
        }
        format!("it said: {}", lines.into_iter().rev().collect::<Vec<_>>().join(" / "))
    }

    fn running(&mut self) -> Result<&mut Running, String> {
        if self.child.is_none() {
            let log = File::create(self.log()).map_err(|e| e.to_string())?;
            let mut process = Command::new(&self.program)
                .env(HOST_VARIABLE, "1")
                .env(strays::VARIABLE, &self.family)
                // The last words of one that panics are to say where, and not how it got there.
                .env("RUST_BACKTRACE", "0")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(log)
                // Ctrl-C is for the runner, which then lets the adapter clean up.
                .process_group(0)
                .spawn()
                .map_err(|e| format!("cannot start {}: {e}", self.program.display()))?;
            limit_memory(&process);
            let requests = process.stdin.take().expect("piped");
            let output = process.stdout.take().expect("piped");
            let (sender, answers) = channel();
            std::thread::spawn(move || {
                let mut output = BufReader::new(output);
                let mut line = Vec::new();
                while (&mut output).take(LONGEST).read_until(b'\n', &mut line).is_ok_and(|n| n > 0)
                {
                    let text = String::from_utf8_lossy(&line).trim_end().to_string();
                    if sender.send(text).is_err() {
                        break;
                    }
                    line.clear();
                }
            });
            self.child = Some(Running { process, requests, answers });
        }
        Ok(self.child.as_mut().expect("just started"))
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// Why there is none that could be understood.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Answer, String> {
        let running = self.running()?;
        if let Ok(line) = running.answers.try_recv() {
            self.end();
            return Err(format!("it answers though nothing was asked: {}", beginning(&line)));
        }
        let mut line = serde_json::to_string(request).map_err(|e| e.to_string())?;
        line.push('\n');
        if let Err(error) = running.requests.write_all(line.as_bytes()) {
            await_end(&running.process);
            return Err(format!("it does not listen: {error}; {}", self.last_words()));
        }
        let answer = running.answers.recv_timeout(ANSWER);
        match answer {
            Ok(line) => serde_json::from_str(&line).map_err(|_| {
                self.end();
                format!("it answers rubbish: {}", beginning(&line))
            }),
            Err(RecvTimeoutError::Timeout) => {
                self.end();
                Err(format!("no answer within {ANSWER:?}; {}", self.last_words()))
            }
            Err(RecvTimeoutError::Disconnected) => {
                await_end(&running.process);
                Err(format!("it ended without an answer; {}", self.last_words()))
            }
        }
    }

    /// Ends the adapter and all that it has started; the next run starts a fresh one. Tells how
    /// it had ended, if it had ended before.
    pub(crate) fn end(&mut self) -> Option<ExitStatus> {
        let mut running = self.child.take()?;
        let ended = is_over(&running.process);
        end_group(&running.process);
        strays::end(&self.family);
        running.process.wait().ok().filter(|_| ended)
    }

    /// The adapter's program.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// The number of the program's process.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(|running| running.process.id())
    }

    /// How many descriptors the program holds.
    ///
    /// # Errors
    /// That it does not run.
    pub(crate) fn descriptors(&self) -> Result<usize, String> {
        let running = self.child.as_ref().ok_or("it has ended")?;
        let folder = format!("/proc/{}/fd", running.process.id());
        let entries = std::fs::read_dir(&folder).map_err(|e| format!("{folder}: {e}"))?;
        Ok(entries.count())
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// That it does not.
    pub(crate) fn alive(&self) -> Result<(), String> {
        let running = self.child.as_ref().ok_or("it has ended")?;
        if is_over(&running.process) {
            return Err("it ended before the scenario did".into());
        }
        Ok(())
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        if let Some(running) = self.child.take() {
            let Running { mut process, requests, .. } = running;
            // The end of its input tells it to remove what it has created, and to end.
            drop(requests);
            let begun = Instant::now();
            while !is_over(&process) && begun.elapsed() < ANSWER / 10 {
                std::thread::sleep(Duration::from_millis(1));
            }
            end_group(&process);
            let _ = process.wait();
            strays::end(&self.family);
        }
    }
}

/// Lets the child, and all that it will start, have half of the machine's memory each: one that
/// allocates without end then harms itself.
fn limit_memory(child: &Child) {
    // SAFETY: sysconf has no preconditions.
    let pages = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) };
    // SAFETY: as above.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let half = (pages.max(0) as u64).saturating_mul(size.max(0) as u64) / 2;
    if half == 0 {
        return;
    }
    let limit = libc::rlimit { rlim_cur: half, rlim_max: half };
    // SAFETY: the new limit is read and no old one is written. A child that is gone already, for
    // which this fails, needs no limit.
    unsafe { libc::prlimit(child.id() as i32, libc::RLIMIT_DATA, &limit, std::ptr::null_mut()) };
}

/// Whether the child has ended. It is not reaped by that, so its number stays its own.
fn is_over(child: &Child) -> bool {
    matches!(state_of(child.id(), child.id()), None | Some('Z' | 'X'))
}

/// Waits until the child, which talks no more, has ended; not for ever, as it need not.
fn await_end(child: &Child) {
    let begun = Instant::now();
    while !is_over(child) && begun.elapsed() < LEAVING {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Ends the process and all that it has started. To be called before it is reaped: until then
/// nothing else can have its number.
fn end_group(leader: &Child) {
    let group = nix::unistd::Pid::from_raw(leader.id() as i32);
    // Nobody is left in the group when this fails.
    let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
}

fn beginning(line: &str) -> String {
    format!("{:?}", line.chars().take(80).collect::<String>())
}
