#!/usr/bin/env python3
"""Python's multiprocessing as an adapter: `ipc-conform run ./conformance/foreign/python/adapter.py`.

Speaks the protocol of docs/protocol.md. The workers are processes that multiprocessing itself
spawns: fresh interpreters that get their ends as any user's child gets them, as arguments.
"""

import json
import multiprocessing
import os
import platform
import sys
import time

import worker
from arena import Arena
from links import LINKS

FAREWELL = 0.2


def hello():
    claims = [{"link": n, "threads": False, "processes": True, **l.CLAIM} for n, l in LINKS.items()]
    return {
        "is": "adapter",
        "protocol": "ipc-adapter/1",
        "name": "python-multiprocessing",
        "version": platform.python_version(),
        "claims": claims,
    }


class Running:
    """A scenario under way."""

    def __init__(self, request):
        context = multiprocessing.get_context("spawn")
        scenario = request["scenario"]
        links = [LINKS[request["link"]](context) for _ in scenario["links"]]
        self.arena = Arena(request["arena"])
        self.workers = []
        for process in range(len(scenario["processes"])):
            ends = {}
            for number, (link, holders) in enumerate(zip(links, scenario["links"])):
                sends, receives = (process in holders[k] for k in ("senders", "receivers"))
                if sends or receives:
                    ends[number] = link.end(sends, receives)
            arguments = (request["arena"], scenario, process, ends, request.get("leave", False))
            self.workers.append(context.Process(target=worker.run, args=arguments))
        for child in self.workers:
            child.start()
        for link in links:
            link.hand_over()
        # Kept, so that what the links share lives until the scenario is over.
        self.links = links

    def finish(self):
        deaths = []
        for process, child in enumerate(self.workers):
            code = child.exitcode
            if code is not None:
                signal, code = (-code, None) if code < 0 else (None, code)
                deaths.append({"process": process, "signal": signal, "code": code})
        self.arena.stop()
        begun = time.monotonic()
        for child in self.workers:
            child.join(max(0, FAREWELL - (time.monotonic() - begun)))
            if child.exitcode is None:
                child.kill()
                child.join()
        return deaths


def main():
    # The runner reads answers from here and nothing else: all other output goes to its log.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    running = None
    for line in sys.stdin:
        try:
            request = json.loads(line)
            if request["do"] == "hello":
                answer = hello()
            elif request["do"] == "run":
                if request["way"] != "processes":
                    raise ValueError("only between processes")
                running = Running(request)
                answer = {"is": "started"}
            else:
                # `remove` has nothing to remove: none of these links has a name.
                deaths = running.finish() if running and request["do"] == "finish" else []
                running = None
                answer = {"is": "finished", "deaths": deaths}
        except Exception as error:
            answer = {"is": "error", "why": repr(error)}
        print(json.dumps(answer), file=answers, flush=True)
    if running:
        running.finish()


if __name__ == "__main__":
    main()
