// One process of notp-pdp: starts, limits, monitors, kills and reaps it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/rego/host/engine_core.hpp"
#include "common/result.hpp"

namespace notp::rego {

struct WorkerOptions {
  std::string program;
  uint64_t data_bytes_max = 0;  // RLIMIT_DATA
  unsigned processors = 8;      // threads that run in parallel
  size_t result_bytes_max = 64 << 20;
  bool has_network = false;  // for ledgers that allow http.send
  bool is_nice = false;
};

// How a process ended.
struct WorkerEnd {
  Death death = Death::kOutside;
  std::string why;  // for a person, with the end of its standard error
};

// Returns the configured program, or else notp-pdp beside this executable.
std::string worker_program(const std::string& configured);

// Returns the version of OPA that a worker of this build links: "1.22.2".
std::string_view worker_opa_version();

// Returns the number of threads of a worker that run policies in parallel, and the limit of
// questions in flight that leaves some for quick ones.
unsigned worker_processors();
size_t worker_in_flight_max(unsigned processors);

// One thread at a time, except kill(), which any thread may call during the object's lifetime.
// Kills the process when it still runs, and waits until the kernel has removed it.
//
// The worker ends by itself when its starting thread ends: start it from a thread that lives as
// long as it is used.
class WorkerProcess {
 public:
  // kUnavailable with the reason: there is no such program, or it cannot be run.
  static Result<WorkerProcess> start(const WorkerOptions& options);
  WorkerProcess(WorkerProcess&& other) noexcept;
  WorkerProcess& operator=(WorkerProcess&& other) noexcept;
  ~WorkerProcess();

  pid_t pid() const { return pid_; }
  // Non-blocking; owned by this object.
  int socket() const { return socket_; }
  int pid_fd() const { return pid_fd_; }  // readable once it has ended
  int error_fd() const { return error_fd_; }

  // Reads its standard error and keeps the end of it. False at the end of the stream.
  bool read_errors();
  // Returns its anonymous memory in bytes; 0 when it has ended.
  uint64_t memory_bytes() const;
  // Returns the processor time of all of its threads; 0 when it has ended.
  int64_t processor_us() const;
  void limit_data(uint64_t bytes) const;
  // False: not permitted.
  bool set_nice(bool low) const;
  // Sets whether its threads avoid the first of this process' processors, if there are others.
  // Ignores what the system does not permit.
  void leave_processor(bool leaves) const;
  void kill() const;
  // Returns how it ended; nullopt while it runs. Reaps.
  std::optional<WorkerEnd> ended();

 private:
  WorkerProcess() = default;
  void swap(WorkerProcess& other) noexcept;
  WorkerEnd describe(int status) const;

  pid_t pid_ = -1;  // -1: moved from
  int socket_ = -1, pid_fd_ = -1, error_fd_ = -1;
  std::string errors_;
  std::optional<WorkerEnd> end_;
};

}  // namespace notp::rego
