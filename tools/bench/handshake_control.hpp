// The control of a herd: a server that does nothing but mutual TLS 1.3 handshakes, with OpenSSL and
// epoll on one thread, and sends a byte when one is done: only then does a client know that its
// certificate was accepted. All clients, in this process, dial at once.
#pragma once

#include "tools/bench/control_program.hpp"
#include "tools/bench/samples.hpp"

namespace notp::bench {

struct HandshakeResult {
  size_t sessions = 0;
  double server_us = 0;  // processor time of the server for one, from accept(2) to its byte
  double client_us = 0;  // of this process
  Samples done;          // ms from the first dial until a session has its byte
  double wall_s = 0;     // until the last one
  double idle_s = 0;     // of the machine's processors meanwhile, summed
};

// kLimit: too few descriptors; kIo, kUnavailable, kTimeout.
Result<HandshakeResult> measure_handshakes(const ControlOptions& options);

json::object handshake_json(const HandshakeResult& result);
std::string handshake_text(const HandshakeResult& result);  // one line

}  // namespace notp::bench
