// Real programs run by a test: started, awaited, signalled, and always ended.
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

// The longest wait of a test for an expected event; a healthy run stays far below it.
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
  // Kills the program if it is still running.
  ~Process();

  pid_t pid() const { return pid_; }
  bool is_running();
  void signal(int number);
  // Sends SIGKILL, and waits until the kernel has removed the process.
  void kill();
  // The exit status, or 128 + the signal; nullopt when it is still running after `patience`.
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

// Polls a condition, often enough not to delay a test. False when it does not hold within
// `patience`. For conditions without an event, such as another process's state.
bool wait_until(const std::function<bool()>& condition, milliseconds patience = kPatience);

// The whole file; empty when it does not exist.
std::string read_text(const std::filesystem::path& file);

// Returns a loopback port without a listener, below the range for outgoing connections, so that a
// client that connects while its server is down never reaches itself. Never returns the same port
// twice.
int free_port();

}  // namespace notp
