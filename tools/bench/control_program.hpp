// A control that serves, as a process of its own: `notp-bench-controls`, beside notp-bench. It says
// its port, and does what it is told, a line each way. So its processor time and its memory are
// those of the server alone; the clients are in the suite's process.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/descriptor.hpp"
#include "common/result.hpp"
#include "tools/bench/child.hpp"

namespace notp::bench {

// Of the controls over TLS.
struct ControlOptions {
  std::filesystem::path programs;  // folder of notp-bench-controls
  std::filesystem::path folder;    // new: certificates and a log
  size_t sessions = 1'000;         // one descriptor each, here and in the server
};

class ControlProgram {
 public:
  // Makes the folder with a P-256 authority, a server's certificate and a client's one
  // (control_tls.hpp) and starts the server. kIo, kUnavailable.
  static Result<ControlProgram> start(const std::string& what, const ControlOptions& options);

  uint16_t port() const { return port_; }
  pid_t pid() const { return process_.pid(); }
  // Writes a line; ask() also waits for the line that answers it. kUnavailable: the server has
  // ended; kTimeout.
  Result<void> tell(const std::string& line);
  Result<std::string> ask(const std::string& line, TimeMs patience_ms);
  Result<std::string> read_line(TimeMs patience_ms);

 private:
  ControlProgram(Child process, Descriptor lines)
      : process_(std::move(process)), lines_(std::move(lines)) {}

  Child process_;
  Descriptor lines_;
  std::string unread_;
  uint16_t port_ = 0;
};

}  // namespace notp::bench
