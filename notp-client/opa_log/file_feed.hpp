// Brings the file of OPA's file_logger into the log, as it grows.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "notp-client/opa_log/intake.hpp"

namespace notp::opa_log {

struct FileFeedOptions {
  std::filesystem::path file;
  int64_t poll_ms = 500;     // at the end of the file
  int64_t retry_ms = 1'000;  // after an error
};

struct FileFeedStatus {
  uint64_t lines = 0;   // since the start of the process
  std::string trouble;  // for a person; empty: none
};

// Owns a thread, which reads a piece, waits until its records are durable and reads the next one.
// The position is saved after that: what is read again is known. Thread-safe.
class FileFeed {
 public:
  // The intake outlives it.
  FileFeed(Intake& intake, FileFeedOptions options);
  // Ends after the piece under way.
  ~FileFeed();

  FileFeedStatus status() const;

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace notp::opa_log
