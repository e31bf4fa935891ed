//! What stepped runs say where they cannot do their work, and that they never count it as a pass.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ipc_tests::{conform, program, text};

/// The exit code, and what was said, where the kernel refuses this system call, as the seccomp
/// profile of a container does.
fn step_without(call: libc::c_long, link: &str, only: &str) -> (Option<i32>, String) {
    let mut command = Command::new(program());
    command.args(["step", link, "--only", only]);
    // SAFETY: between fork and exec it makes two system calls, and allocates nothing.
    unsafe { command.pre_exec(move || refuse(call)) };
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let place = format!("ipc-conform-step-{}", child.id());
    let output = child.wait_with_output().unwrap();
    let left: Vec<_> = names().into_iter().filter(|n| n.contains(&place)).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    (output.status.code(), text(&output))
}

/// Has this process and its children be told EPERM by this system call.
fn refuse(call: libc::c_long) -> io::Result<()> {
    const NUMBER: u32 = 0;
    let instruction = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut filter = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, NUMBER),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call as u32),
        instruction(
            libc::BPF_RET | libc::BPF_K,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | libc::EPERM as u32,
        ),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filters = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: it takes numbers only.
    let privileges = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the filter lives across the call, which copies it.
    let set =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filters) };
    if privileges == 0 && set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[test]
fn without_the_right_to_trace_nothing_passes_and_the_remedy_is_told() {
    for call in [libc::SYS_ptrace, libc::SYS_personality, libc::SYS_process_vm_readv] {
        let (code, said) = step_without(call, "stepped-mutants/sound", "crash.try_send.*");
        assert_eq!(code, Some(2), "{call}: {said}");
        assert!(said.contains("broken"), "{call}: {said}");
        assert!(said.contains("--cap-add=SYS_PTRACE"), "{call}: {said}");
        assert!(!said.contains("pass "), "{call}: {said}");
    }
}

#[test]
fn without_namespaces_it_says_so_and_leaves_nothing_behind() {
    let link = "stepped-mutants/sound";
    let (code, said) = step_without(libc::SYS_unshare, link, "crash.try_send.*");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the worlds have no namespaces of their own"), "{said}");
    let (code, said) = step_without(libc::SYS_mount, "own/ring-2", "crash.try_send.*");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("mount of / on /: EPERM"), "{said}");
}

/// What shared memory there is.
fn names() -> Vec<String> {
    let entries = std::fs::read_dir("/dev/shm").unwrap().filter_map(Result::ok);
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_program_of_another_architecture_is_refused_and_so_is_a_script() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter");
    // An ELF file of 64 bits, for AArch64 (183).
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(64, 0);
    (elf[16], elf[18]) = (3, 183);
    for bytes in [&elf[..], b"#!/usr/bin/env python3\n"] {
        std::fs::write(&path, bytes).unwrap();
        let output = conform(&["step", path.to_str().unwrap()]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("is no x86-64 program"), "{said}");
        assert!(said.contains("runs by processes"), "{said}");
    }
}

#[test]
fn an_adapter_that_starts_a_thread_is_broken_and_not_passed() {
    let output = conform(&["step", "stepped-mutants/starts-thread", "--only", "crash.try_send.*"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("the adapter starts a thread"), "{said}");
    assert!(!said.contains("pass "), "{said}");
}

#[test]
fn an_operation_of_millions_of_instructions_is_broken_and_not_passed() {
    let link = "stepped-mutants/long-winded";
    let output = conform(&["step", link, "--only", "schedule.send-receive"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("it takes more than 200000 instructions"), "{said}");
    assert!(!said.contains("pass "), "{said}");
}

#[test]
fn what_a_kill_leaves_behind_is_found() {
    let output = conform(&["step", "stepped-mutants/litters", "--only", "crash.try_receive.*"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(".taking is left behind, which is not so without a kill"), "{said}");
}

#[test]
fn a_run_that_is_killed_leaves_neither_its_controllers_nor_their_processes() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    // Built before, since only the stepping is waited for.
    conform(&["step", "stepped-mutants/sound", "--only", "nothing"]);
    let mut run = Command::new(program())
        .args(["run", "stepped-mutants", "--rule", "crash.*", "--out", out])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let traced = loop {
        let controllers = with("PPid", run.id());
        let traced: Vec<u32> = controllers.iter().flat_map(|c| with("TracerPid", *c)).collect();
        if traced.len() >= 2 {
            break [controllers, traced].concat();
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "it never got to stepping");
        std::thread::yield_now();
    };
    run.kill().unwrap();
    run.wait().unwrap();
    let begun = Instant::now();
    while traced.iter().any(|p| lives(*p)) {
        assert!(begun.elapsed() < Duration::from_secs(10), "left behind: {traced:?}");
        std::thread::yield_now();
    }
}

/// The processes in whose status this field is this number.
fn with(field: &str, number: u32) -> Vec<u32> {
    let line = format!("{field}:\t{number}");
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let numbers = entries.filter_map(|e| e.file_name().to_str()?.parse().ok());
    let has = |p: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{p}/status")).unwrap_or_default();
        status.lines().any(|l| l == line)
    };
    numbers.filter(has).collect()
}

fn lives(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    status.lines().any(|l| l.starts_with("State:") && !l.contains('Z'))
}
