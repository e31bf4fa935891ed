"""The arena of docs/protocol.md: where a worker writes down its calls and returns.

A word is written by one process only, and by one eight-byte store; on x86-64 such stores become
visible in program order, which is what the layout asks for. On other processors Python promises
no such order, so this file refuses to run there.
"""

import mmap
import os
import platform
import threading
import time

MAGIC = int.from_bytes(b"ipcarena", "little")
VERSION = 1
HEADER, PART, RECORD, RECORDS = 8, 8, 4, 512
GO, STOP = 3, 4
PID, TID, IN_CALL, RETURNED, COUNT, READY, DONE, AWAITING = range(8)

CALL, RETURN_DONE, RETURN_RECEIVED, RETURN_TORN, RETURN_REFUSED = 1, 2, 3, 4, 5
ODD, UNSUPPORTED, BLOCKED, KILLED, KILL = 6, 7, 8, 9, 10
REFUSALS = ["full", "empty", "timeout", "closed", "too-big", "wrong-size"]


class Arena:
    def __init__(self, path):
        if platform.machine() not in ("x86_64", "AMD64"):
            raise OSError("this adapter needs the store order of x86-64")
        with open(path, "r+b") as file:
            self.words = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")
        if self.words[0] != MAGIC or self.words[1] != VERSION:
            raise OSError(f"{path} is no arena of version {VERSION}")

    def part(self, process):
        return HEADER + process * (PART + RECORDS * RECORD)

    def started(self):
        return self.words[GO] == 1

    def stopped(self):
        return self.words[STOP] == 1

    def stop(self):
        self.words[STOP] = 1

    def read(self, process, word):
        return self.words[self.part(process) + word]

    def write(self, process, word, value):
        self.words[self.part(process) + word] = value

    def ready(self, process):
        self.write(process, PID, os.getpid())
        self.write(process, TID, threading.get_native_id())
        self.write(process, READY, 1)

    def append(self, process, moment, kind, call=0, detail=0, message=None):
        count = self.read(process, COUNT)
        if count >= RECORDS:
            return
        sender, sequence, size, priority = message or (0, 0, 0, 0)
        at = PART + count * RECORD
        self.write(process, at, moment)
        self.write(process, at + 1, kind | detail << 8 | call << 32)
        self.write(process, at + 2, sender << 32 | sequence)
        self.write(process, at + 3, priority << 32 | size)
        # Last: whoever sees the count sees the record.
        self.write(process, COUNT, count + 1)

    def call(self, process, call):
        self.append(process, time.monotonic_ns(), CALL, call)
        self.write(process, IN_CALL, call + 1)

    def ret(self, process, moment, call, kind, detail=0, message=None):
        self.write(process, IN_CALL, 0)
        self.append(process, moment, kind, call, detail, message)
        self.write(process, RETURNED, self.read(process, RETURNED) + 1)
