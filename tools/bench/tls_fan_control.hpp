// The control of a push to many sessions: a server that writes the same number of bytes to each of
// as many mutual TLS 1.3 sessions, one SSL_write each. OpenSSL and epoll alone, with the product's
// cipher suites, groups and modes; the clients are in this process.
#pragma once

#include "tools/bench/control_program.hpp"
#include "tools/bench/samples.hpp"

namespace notp::bench {

struct TlsFanResult {
  size_t sessions = 0, bytes = 0, rounds = 0;
  double write_us = 0;   // processor time of the server, user and system, for one SSL_write
  Samples written;       // ms from the first SSL_write of a round to the last one's return
  Samples spread;        // ms from the first session here that has its bytes to the last one
  Samples all;           // ms from the command until the last session has its bytes
  double client_us = 0;  // of this process, for one of them
};

// A first round is not counted. kLimit: too few descriptors; kIo, kUnavailable, kTimeout.
Result<TlsFanResult> measure_tls_fan(const ControlOptions& options, size_t bytes, size_t rounds);

json::object tls_fan_json(const TlsFanResult& result);
std::string tls_fan_text(const TlsFanResult& result);  // one line

}  // namespace notp::bench
