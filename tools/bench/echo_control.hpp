// The control of idle sessions: an echo server on asio::ssl::stream, in the form of Asio's own
// example, with one buffer and one handler for each session. Each client of this process sends a
// message every so often, evenly spread, and gets it back.
#pragma once

#include "common/json/json.hpp"
#include "tools/bench/control_program.hpp"
#include "tools/bench/process_facts.hpp"

namespace notp::bench {

struct EchoPlan {
  double seconds = 30;     // that are measured, after all sessions are open
  double settle_s = 3;     // before that
  double interval_s = 30;  // between two messages of a session
  size_t bytes = 100;      // of a message, up to 1,024
};

struct EchoResult {
  size_t sessions = 0;
  EchoPlan plan;
  ProcessMemory before, with;       // of the server: without sessions, and at the end
  double wall_s = 0, server_s = 0;  // measured; processor time of the server in it
  uint64_t echoes = 0;              // that came back in it

  double bytes_each() const;    // resident memory of the server for a session
  double core_percent() const;  // its share of a core
  double echo_us() const;       // its processor time for an echo
};

// kLimit: too few descriptors; kIo, kUnavailable, kTimeout.
Result<EchoResult> measure_echo(const ControlOptions& options, const EchoPlan& plan);

json::object echo_json(const EchoResult& result);
std::string echo_text(const EchoResult& result);  // one line

}  // namespace notp::bench
