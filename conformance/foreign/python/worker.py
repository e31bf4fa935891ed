"""A worker: plays one process's script against its ends, and writes down what happened."""

import ctypes
import os
import signal
import sys
import time

import arena as layout
from arena import Arena

PATIENCE = 0.05
LOOK = 0.0001
ANY_CALL = 2**32 - 1


class Refused(Exception):
    """The call had no effect; the argument is one of layout.REFUSALS."""


class Unsupported(Exception):
    """The link has no such call."""


def payload(sender, sequence, size):
    """The bytes of a message: every one follows from its name and its place."""
    seed = sender << 32 | sequence
    mix = lambda i: (((seed ^ i << 17) * 0x9E3779B97F4A7C15) & (2**64 - 1)) >> 56
    data = bytearray((mix(i) ^ i) & 255 for i in range(size))
    if size >= 8:
        data[:6] = sender.to_bytes(2, "little") + sequence.to_bytes(4, "little")
    return bytes(data)


def recognise(data, known):
    """What a receive is told that got these bytes: kind of record and message."""
    size = len(data)
    if size >= 8:
        name = (int.from_bytes(data[:2], "little"), int.from_bytes(data[2:6], "little"))
        sent = next((m for m in known if m[:2] == name), None)
        if sent is None:
            whole = payload(*name, size) == data
            kind = layout.RETURN_RECEIVED if whole else layout.RETURN_TORN
            return kind, (*name, size, 0)
        torn = size == sent[2] and payload(*sent[:3]) != data
        kind = layout.RETURN_TORN if torn else layout.RETURN_RECEIVED
        return kind, (*sent[:2], size, sent[3])
    alike = [m for m in known if m[2] == size]
    for message in alike:
        if payload(*message[:3]) == data:
            return layout.RETURN_RECEIVED, message
    return layout.RETURN_TORN, alike[0] if alike else (2**16 - 1, 2**32 - 1, size, 0)


def message_of(send):
    m = send["message"]
    return m["sender"], m["sequence"], m.get("size", 0), m.get("priority", 0)


class Worker:
    def __init__(self, arena, scenario, process, ends, leave=False):
        self.arena, self.process, self.ends = arena, process, ends
        self.senders = {p for link in scenario["links"] for p in link["senders"]} if leave else set()
        self.script = scenario["processes"][process]
        self.timeout = scenario.get("timeout", 20_000_000) / 1e9
        self.asleep = scenario.get("asleep", 0) / 1e9
        steps = [step for script in scenario["processes"] for step in script]
        sends = [s["call"]["send"] for s in steps if "send" in s.get("call", {})]
        self.known = [message_of(send) for send in sends]
        # Made before the clock runs.
        self.bytes = {m: payload(*m[:3]) for m in self.known if m[0] == process}
        self.next_call = 0

    def play(self):
        self.arena.ready(self.process)
        while not self.arena.started():
            if self.arena.stopped():
                return
            time.sleep(0)
        if self.process not in self.senders:
            self.await_gone()
        for step in self.script:
            if "call" in step:
                self.call(step["call"])
            elif "kill" in step:
                self.kill(step["kill"]["process"])
            elif "await_return" in step:
                self.await_return(**step["await_return"])
            else:
                self.arena.write(self.process, layout.AWAITING, 1)
                self.await_blocked(**step["await_blocked"])
                self.arena.write(self.process, layout.AWAITING, 0)
        self.arena.write(self.process, layout.DONE, 1)
        if self.process in self.senders:
            # It leaves as a program ends.
            return
        # The ends are kept until the scenario is over.
        while not self.arena.stopped():
            time.sleep(LOOK)

    def await_gone(self):
        """Waits until all that are to leave have left."""
        self.arena.write(self.process, layout.AWAITING, 1)
        for sender in self.senders:
            while not self.arena.stopped():
                pid = self.arena.read(sender, layout.PID)
                done = self.arena.read(sender, layout.DONE)
                if done and state_of(pid, pid) in (None, "Z", "X"):
                    break
                time.sleep(LOOK)
        self.arena.write(self.process, layout.AWAITING, 0)

    def call(self, op):
        (what, details), = op.items()
        call, self.next_call = self.next_call, self.next_call + 1
        end = self.ends.get(details["link"])
        mode, message = details.get("mode"), None
        parcel = self.bytes[message_of(details)] if what == "send" else None
        data = None
        self.arena.call(self.process, call)
        try:
            if end is None:
                raise RuntimeError("the end is closed already")
            if what == "close":
                del self.ends[details["link"]]
                end.close()
            elif what == "send":
                end.send(parcel, mode, self.timeout)
            else:
                data = end.receive(mode, self.timeout)
            moment = time.monotonic_ns()
            kind, detail = layout.RETURN_DONE, 0
        except Refused as refusal:
            moment = time.monotonic_ns()
            kind, detail = layout.RETURN_REFUSED, layout.REFUSALS.index(str(refusal))
        except Unsupported:
            moment, kind, detail = time.monotonic_ns(), layout.UNSUPPORTED, 0
        except Exception as error:
            moment, kind, detail = time.monotonic_ns(), layout.ODD, 0
            print(f"P{self.process} {what}: {error!r}", file=sys.stderr, flush=True)
        if data is not None:
            kind, message = recognise(data, self.known)
        self.arena.ret(self.process, moment, call, kind, detail, message)

    def await_blocked(self, process, call):
        begun, entered, inside_before, seen = time.monotonic(), time.monotonic(), None, 0
        patience = PATIENCE + 2 * self.asleep
        while time.monotonic() - begun < 4 * patience and not self.arena.stopped():
            left = call != ANY_CALL and self.arena.read(process, layout.RETURNED) > call
            if left or self.arena.read(process, layout.DONE):
                return
            moment = time.monotonic_ns()
            inside = self.arena.read(process, layout.IN_CALL) - 1
            if inside < 0 or (call != ANY_CALL and inside != call):
                inside = None
            if inside != inside_before:
                inside_before, entered, seen = inside, time.monotonic(), 0
            if inside is not None:
                seen = seen + 1 if self.sleeps(process) else 0
                if seen == 1:
                    since = time.monotonic()
                sleeps = seen >= 3 and time.monotonic() - since >= self.asleep
                if sleeps or time.monotonic() - entered > patience:
                    # It had not returned at `moment`: the record of that comes later.
                    self.arena.append(self.process, moment, layout.BLOCKED, inside, process)
                    return
            time.sleep(LOOK)

    def sleeps(self, process):
        pid = self.arena.read(process, layout.PID)
        return state_of(pid, self.arena.read(process, layout.TID)) in ("S", "D")

    def await_return(self, process, call):
        while self.arena.read(process, layout.RETURNED) <= call and not self.arena.stopped():
            time.sleep(0)

    def kill(self, process):
        pid = self.arena.read(process, layout.PID)
        self.arena.append(self.process, time.monotonic_ns(), layout.KILL, 0, process)
        os.kill(pid, signal.SIGKILL)
        while state_of(pid, pid) not in (None, "Z", "X"):
            time.sleep(LOOK)
        self.arena.append(self.process, time.monotonic_ns(), layout.KILLED, 0, process)


def state_of(pid, tid):
    """The state letter of a thread; None if there is no such thread."""
    try:
        with open(f"/proc/{pid}/task/{tid}/stat") as stat:
            return stat.read().rpartition(") ")[2][:1]
    except OSError:
        return None


def run(path, scenario, process, ends, leave=False):
    """What a worker process does from beginning to end."""
    # A worker whose host dies has nobody left to report to (PR_SET_PDEATHSIG is 1).
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    Worker(Arena(path), scenario, process, ends, leave).play()
    # At once: what multiprocessing does at the end of a process is no part of the scenario.
    os._exit(0)
