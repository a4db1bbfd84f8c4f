// Programs that a suite starts and ends, each identified by its process id.
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
  std::vector<std::string> words;  // program, looked up in PATH, and arguments
  std::filesystem::path folder;    // to run in; empty: this process's
  // Added to this process's environment, without its NOTP_* and GIT_* variables.
  std::vector<std::pair<std::string, std::string>> environment;
  std::filesystem::path log;  // receives the output (appended); empty: discarded
};

// The CLI of `programs` with these words, in `folder`, with files of its own in `home`.
Command notp_command(const std::filesystem::path& programs, std::filesystem::path folder,
                     const std::filesystem::path& home, std::vector<std::string> words);

// A program in the background. Ends with its owner, and with the thread that started it.
class Child {
 public:
  // kIo when it cannot be started. `connection` becomes its standard input and output, as inetd
  // does it; the caller still closes its own copy.
  static Result<Child> start(const Command& command, int connection = -1);
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Child& operator=(Child&& other) noexcept;
  // Sends SIGKILL, unless the program has ended.
  ~Child();

  pid_t pid() const { return pid_; }
  // nullopt while it runs, then its exit status, or 128 + the signal.
  std::optional<int> poll();
  // Sends SIGTERM, then SIGKILL after `patience_ms`. kTimeout when that was needed; kInternal when
  // the exit status is not 0.
  Result<void> stop(TimeMs patience_ms);

 private:
  explicit Child(pid_t pid) : pid_(pid) {}
  pid_t pid_;  // -1: ended, or moved from
};

// Runs a program to its end and returns its standard output. kInternal with its standard error when
// the exit status is not 0; kTimeout.
Result<std::string> run(const Command& command, TimeMs patience_ms);

}  // namespace notp::bench
