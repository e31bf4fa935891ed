"""The links of Python's multiprocessing that are put to the test, and what is promised of them."""

import queue

from worker import Refused, Unsupported

# A Connection takes messages of any size, but the pipe below holds 64 KiB: only for messages up to
# some size is it true that four of them fit. Larger ones are refused here, not by the Connection.
LARGEST = 4096
NEITHER = {"blocking": False, "nonblocking": False, "timed": False}


class PipeEnd:
    """One end of multiprocessing.Pipe(duplex=False)."""

    def __init__(self, connection):
        self.connection = connection

    def send(self, data, mode, timeout):
        if mode != "blocking":
            raise Unsupported
        if len(data) > LARGEST:
            raise Refused("too-big")
        try:
            self.connection.send_bytes(data)
        except BrokenPipeError:
            raise Refused("closed") from None

    def receive(self, mode, timeout):
        wait = {"blocking": None, "nonblocking": 0, "timed": timeout}[mode]
        # poll is true at the end of the pipe, too: recv_bytes then says so.
        if mode != "blocking" and not self.connection.poll(wait):
            raise Refused("timeout" if mode == "timed" else "empty")
        try:
            return self.connection.recv_bytes()
        except EOFError:
            raise Refused("closed") from None
        except OSError as error:
            # What recv_bytes says of a sender that was killed within a message: there is no
            # message, and nobody who could send another.
            if "end of file during message" in str(error):
                raise Refused("closed") from None
            raise

    def close(self):
        self.connection.close()


class Pipe:
    """One sender and one receiver: Connection objects are not safe for several at once."""

    NAME = "pipe"
    CLAIM = {
        "profile": {
            "capacity": {"at_least": 4},
            "size": {"up-to": LARGEST},
            "senders": "one",
            "receivers": "one",
            "send": {**NEITHER, "blocking": True},
            "receive": {"blocking": True, "nonblocking": True, "timed": True},
            "sender_killed": "reported",
            "receiver_killed": "reported",
        },
        "documented": [
            "Connection.recv: raises EOFError if there is nothing left to receive and the other"
            " end was closed",
            "Connection.poll: returns whether there is any data available to be read",
        ],
    }

    def __init__(self, context):
        self.reader, self.writer = context.Pipe(duplex=False)

    def end(self, sends, receives):
        return PipeEnd(self.writer if sends else self.reader)

    def hand_over(self):
        self.reader.close()
        self.writer.close()


class QueueEnd:
    """Any end of multiprocessing.Queue."""

    def __init__(self, shared):
        self.shared = shared

    def send(self, data, mode, timeout):
        try:
            self.shared.put(data, mode != "nonblocking", timeout if mode == "timed" else None)
        except queue.Full:
            raise Refused("timeout" if mode == "timed" else "full") from None

    def receive(self, mode, timeout):
        try:
            return self.shared.get(mode != "nonblocking", timeout if mode == "timed" else None)
        except queue.Empty:
            raise Refused("timeout" if mode == "timed" else "empty") from None

    def close(self):
        self.shared.close()
        self.shared.join_thread()


class Queue:
    """A bounded queue. Its documentation warns that get_nowait may miss a message just put, so no
    nonblocking receive is claimed, and that items of several producers may come out of order."""

    NAME = "queue-2"
    CLAIM = {
        "profile": {
            "capacity": 2,
            "order": "per-sender",
            "send": {"blocking": True, "nonblocking": True, "timed": True},
            "receive": {**NEITHER, "blocking": True, "timed": True},
            "sender_closed": "silent",
            "receiver_closed": "silent",
        },
        "documented": [
            "Queue: maxsize; put blocks if necessary until a free slot is available",
            "Queue, note 1: after putting an object there may be an infinitesimal delay",
            "Queue, note 2: objects of the same process are always in the expected order",
        ],
    }

    def __init__(self, context):
        self.shared = context.Queue(2)

    def end(self, sends, receives):
        return QueueEnd(self.shared)

    def hand_over(self):
        """There is no end of a queue to give up: every holder can do both."""


LINKS = {link.NAME: link for link in (Pipe, Queue)}
