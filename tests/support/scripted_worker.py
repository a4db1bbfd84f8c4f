#!/usr/bin/env python3
"""Stands in for notp-pdp: keeps snapshots by their numbers, decides nothing, and misbehaves when asked.

Started by a supervisor, which finds the frames of common/rego/worker/README.md on descriptor 3. The
value of every path is the number of the active snapshot. Two paths also change what follows:

  hold   the answer to an activation waits for the second decision with its snapshot
  lose   the snapshot is gone, without a word
"""

import socket
import struct

PROTOCOL, OPA_VERSION = 7, b"scripted"
HELLO, EVAL, ACTIVATE = 0, 1, 5
OF_PATH = struct.Struct("<qIBBH")  # time, flags, form, explain, segments


def text(value: bytes) -> bytes:
    return struct.pack("<I", len(value)) + value


class Worker:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.active = 0
        self.is_holding = False
        self.decisions = 0  # since the last activation
        self.held = b""  # the answer to that

    def send(self, request: int, operation: int, payload: bytes) -> None:
        self.connection.sendall(self.frame(request, operation, payload))

    @staticmethod
    def frame(request: int, operation: int, payload: bytes) -> bytes:
        return struct.pack("<IIB", len(payload) + 5, request, operation) + payload

    def activate(self, request: int, payload: bytes) -> None:
        number, base = struct.unpack_from("<QQ", payload)
        if base not in (0, self.active):
            failure = text(b"base") + text(b"the base is not the active snapshot") + text(b"") + text(b"")
            return self.send(request, ACTIVATE, b"\1" + failure)
        self.active, self.decisions = number, 0
        answer = self.frame(request, ACTIVATE, b"\0" + struct.pack("<QIQ", number, 0, 0))
        if self.is_holding:
            self.held = answer
        else:
            self.connection.sendall(answer)

    def evaluate(self, request: int, payload: bytes) -> None:
        segments = OF_PATH.unpack_from(payload)[-1]
        name, at = b"", OF_PATH.size
        for _ in range(segments):
            (length,) = struct.unpack_from("<I", payload, at)
            name = payload[at + 4 : at + 4 + length]
            at += 4 + length
        decision = struct.pack("<QBB", self.active, 1, 0) + text(b"%d" % self.active)
        self.send(request, EVAL, b"\0" + decision + struct.pack("<qQ", 1, 1000) + text(b""))
        self.is_holding |= name == b"hold"
        if name == b"lose":
            self.active = 0
        self.decisions += 1
        if self.held and self.decisions == 2:
            self.connection.sendall(self.held)
            self.held = b""

    def serve(self) -> None:
        self.send(0, HELLO, struct.pack("<I", PROTOCOL) + text(OPA_VERSION))
        stream = self.connection.makefile("rb")
        while head := stream.read(9):
            length, request, operation = struct.unpack("<IIB", head)
            payload = stream.read(length - 5)
            if operation == ACTIVATE:
                self.activate(request, payload)
            elif operation == EVAL:
                self.evaluate(request, payload)


if __name__ == "__main__":
    connection = socket.socket(fileno=3)
    connection.setblocking(True)
    Worker(connection).serve()
