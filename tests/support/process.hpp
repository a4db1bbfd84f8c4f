// Real programs run by a test: started, waited for, signalled and never left behind.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace notp {

using std::chrono::milliseconds;

// How long a test waits for something that is to happen; a healthy run never gets near it.
inline constexpr milliseconds kPatience{60'000};

struct ProcessOptions {
  std::vector<std::string> command;  // program and arguments; the program is looked up in PATH
  std::filesystem::path folder;      // working folder; empty: the test's
  // Added to the test's own environment, without its NOTP_ variables.
  std::vector<std::pair<std::string, std::string>> environment;
  std::filesystem::path output_file, error_file;  // appended to
};

// Owned by one thread, which must outlive it: the kernel kills the program when that thread ends.
class Process {
 public:
  // Throws std::runtime_error when the program cannot be started.
  explicit Process(ProcessOptions options);
  Process(Process&&) noexcept;
  Process& operator=(Process&&) = delete;
  // Kills the program when it still runs.
  ~Process();

  pid_t pid() const { return pid_; }
  bool is_running();
  void signal(int number);
  // SIGKILL, and waits until the kernel has removed it.
  void kill();
  // The exit status, or 128 + the signal; nullopt when it still runs after `patience`.
  std::optional<int> wait(milliseconds patience = kPatience);

  std::string output() const;
  std::string error() const;

 private:
  pid_t pid_ = -1;  // -1: moved from
  int pid_fd_ = -1;
  std::optional<int> status_;
  std::filesystem::path output_file_, error_file_;
};

struct Finished {
  int status = -1;
  std::string output, error;
};

// Polls a condition, often enough that a test does not wait for the poll. False when it does not
// hold within `patience`. For what has no event to wait for: the state of another process.
bool wait_until(const std::function<bool()>& condition, milliseconds patience = kPatience);

// The whole file; empty when there is none.
std::string read_text(const std::filesystem::path& file);

// A loopback port that nobody listens on, below the range that the system gives to outgoing
// connections: a client that dials it while its server is down never meets itself there. Never the
// same one twice.
int free_port();

}  // namespace notp
