// Programs that a suite runs: started by it, ended by it, each known by its process id.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"

namespace notp::bench {

struct Command {
  std::vector<std::string> words;  // program, looked up in PATH, and its arguments
  std::filesystem::path folder;    // to run in; empty: this process's
  // On top of this process's environment, from which NOTP_* and GIT_* are left out.
  std::vector<std::pair<std::string, std::string>> environment;
  std::filesystem::path log;  // gets what it prints (appended); empty: nobody does
};

// A program in the background. Ends with its owner, and with the thread that started it.
class Child {
 public:
  // kIo when it cannot be started. With `connection` that descriptor is its standard input and
  // output, as inetd does it; the caller still closes its own copy.
  static Result<Child> start(const Command& command, int connection = -1);
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Child& operator=(Child&& other) noexcept;
  // SIGKILL, unless it has ended.
  ~Child();

  pid_t pid() const { return pid_; }
  // nullopt while it runs, then its exit status, or 128 + the signal.
  std::optional<int> poll();
  // SIGTERM, then SIGKILL after `patience_ms`. kTimeout when that was needed; kInternal when it
  // ended with another status than 0.
  Result<void> stop(TimeMs patience_ms);

 private:
  explicit Child(pid_t pid) : pid_(pid) {}
  pid_t pid_;  // -1: ended, or moved from
};

// Runs a program to its end and returns what it printed on standard output. kInternal with what it
// printed on standard error when its exit status is not 0; kTimeout.
Result<std::string> run(const Command& command, TimeMs patience_ms);

}  // namespace notp::bench
