#include "common/rego/host/worker_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <set>
#include <thread>
#include <vector>

#include "common/argv.hpp"
#include "common/bytes.hpp"
#include "common/descriptor.hpp"
#include "common/limits.hpp"

namespace notp::rego {
namespace {

constexpr int kWorkerFd = 3;
constexpr int kNice = 10;
constexpr std::string_view kMemorySigns[] = {"out of memory", "cannot allocate memory",
                                             "failed to create new OS thread"};

// Returns the current threads of a process.
std::vector<pid_t> threads_of(pid_t process) {
  std::vector<pid_t> threads;
  std::error_code failed;
  std::filesystem::directory_iterator each(fmt::format("/proc/{}/task", process), failed);
  for (; !failed && each != std::filesystem::directory_iterator(); each.increment(failed)) {
    const std::string name = each->path().filename().string();
    pid_t thread = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), thread).ec == std::errc())
      threads.push_back(thread);
  }
  return threads;
}

std::unexpected<Error> not_started(const std::string& program, std::string_view what, int number) {
  return fail(ErrorCode::kUnavailable, fmt::format("cannot start the policy worker {}: {}: {}",
                                                   program, what, std::strerror(number)));
}

Result<void> open_channels(const std::string& program, Descriptor (&sockets)[2],
                           Descriptor (&errors)[2]) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
    return not_started(program, "socketpair", errno);
  sockets[0] = Descriptor(pair[0]);
  sockets[1] = Descriptor(pair[1]);
  if (::pipe2(pair, O_CLOEXEC) != 0) return not_started(program, "pipe", errno);
  errors[0] = Descriptor(pair[0]);
  errors[1] = Descriptor(pair[1]);
  // Only this side: a worker must not lose final output that does not fit.
  ::fcntl(errors[0].get(), F_SETFL, O_NONBLOCK);
  return {};
}

struct SpawnPlan {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  SpawnPlan() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
};

// The worker gets its socket, its standard error and no other descriptor.
void plan(SpawnPlan& spawn, int socket, int errors) {
  ::posix_spawn_file_actions_addopen(&spawn.actions, 0, "/dev/null", O_RDWR, 0);
  ::posix_spawn_file_actions_adddup2(&spawn.actions, 0, 1);
  ::posix_spawn_file_actions_adddup2(&spawn.actions, errors, 2);
  ::posix_spawn_file_actions_adddup2(&spawn.actions, socket, kWorkerFd);
  ::posix_spawn_file_actions_addclosefrom_np(&spawn.actions, kWorkerFd + 1);
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&spawn.attributes, &none);
  ::posix_spawnattr_setsigdefault(&spawn.attributes, &all);
  ::posix_spawnattr_setpgroup(&spawn.attributes, 0);
  ::posix_spawnattr_setflags(
      &spawn.attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

}  // namespace

std::string worker_program(const std::string& configured) {
  if (!configured.empty()) return configured;
  std::array<char, 4096> path;
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
  // The start reports that there is no program of this name.
  if (length <= 0 || static_cast<size_t>(length) == path.size()) return "notp-pdp";
  const std::string_view self(path.data(), static_cast<size_t>(length));
  return std::string(self.substr(0, self.rfind('/') + 1)) + "notp-pdp";
}

std::string_view worker_opa_version() { return NOTP_OPA_VERSION; }

unsigned worker_processors() { return std::max(8U, 2 * std::thread::hardware_concurrency()); }

size_t worker_in_flight_max(unsigned processors) { return std::max(processors, 3U) - 2; }

Result<WorkerProcess> WorkerProcess::start(const WorkerOptions& options) {
  Descriptor sockets[2], errors[2];
  NOTP_TRY(open_channels(options.program, sockets, errors));
  // dup2 onto the descriptor's own number would leave it to be closed at exec.
  if (sockets[1].get() <= kWorkerFd || errors[1].get() <= kWorkerFd) {
    for (Descriptor* each : {&sockets[1], &errors[1]}) {
      Descriptor higher(::fcntl(each->get(), F_DUPFD_CLOEXEC, kWorkerFd + 1));
      if (!higher.is_open()) return not_started(options.program, "fcntl", errno);
      *each = std::move(higher);
    }
  }
  SpawnPlan spawn;
  plan(spawn, sockets[1].get(), errors[1].get());
  std::vector<std::string> words{options.program, fmt::format("-procs={}", options.processors),
                                 fmt::format("-result-bytes={}", options.result_bytes_max)};
  if (options.has_network) words.emplace_back("-network");
  const std::vector<char*> arguments = argv_of(words);
  // A trace of every goroutine would push the reason out of the kept part of standard error.
  std::string traceback = "GOTRACEBACK=none";
  char* const environment[] = {traceback.data(), nullptr};
  WorkerProcess worker;
  if (const int failed = ::posix_spawn(&worker.pid_, options.program.c_str(), &spawn.actions,
                                       &spawn.attributes, arguments.data(), environment);
      failed != 0) {
    worker.pid_ = -1;
    return not_started(options.program, "exec", failed);
  }
  worker.pid_fd_ = static_cast<int>(::syscall(SYS_pidfd_open, worker.pid_, 0));
  worker.socket_ = sockets[0].release();
  worker.error_fd_ = errors[0].release();
  if (worker.pid_fd_ < 0) return not_started(options.program, "pidfd_open", errno);
  worker.limit_data(options.data_bytes_max);
  if (options.is_nice) worker.set_nice(true);
  return worker;
}

WorkerProcess::WorkerProcess(WorkerProcess&& other) noexcept { swap(other); }

WorkerProcess& WorkerProcess::operator=(WorkerProcess&& other) noexcept {
  WorkerProcess(std::move(other)).swap(*this);
  return *this;
}

void WorkerProcess::swap(WorkerProcess& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(socket_, other.socket_);
  std::swap(pid_fd_, other.pid_fd_);
  std::swap(error_fd_, other.error_fd_);
  std::swap(errors_, other.errors_);
  std::swap(end_, other.end_);
}

WorkerProcess::~WorkerProcess() {
  if (pid_ < 0) return;
  if (!end_) {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  for (const int fd : {socket_, pid_fd_, error_fd_})
    if (fd >= 0) ::close(fd);
}

bool WorkerProcess::read_errors() {
  std::array<char, 4096> piece;
  for (;;) {
    const ssize_t got = ::read(error_fd_, piece.data(), piece.size());
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    errors_.append(piece.data(), static_cast<size_t>(got));
    // The reason is in the first lines of a trace, or in the last line of a log: keeps both.
    constexpr size_t kHalf = limits::kWorkerStderrBytesMax / 2;
    if (errors_.size() > 2 * kHalf) errors_.erase(kHalf, errors_.size() - 2 * kHalf);
  }
}

uint64_t WorkerProcess::memory_bytes() const {
  const int fd = ::open(fmt::format("/proc/{}/statm", pid_).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  std::array<char, 256> text;
  const ssize_t length = ::read(fd, text.data(), text.size());
  ::close(fd);
  // size resident shared …, in pages
  uint64_t fields[3] = {};
  const char* at = text.data();
  const char* const end = at + std::max<ssize_t>(length, 0);
  for (uint64_t& field : fields) {
    while (at < end && *at == ' ') ++at;
    at = std::from_chars(at, end, field).ptr;
  }
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return fields[1] > fields[2] ? (fields[1] - fields[2]) * page : 0;
}

int64_t WorkerProcess::processor_us() const {
  clockid_t clock{};
  timespec taken{};
  if (::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &taken) != 0) return 0;
  return static_cast<int64_t>(taken.tv_sec) * 1'000'000 + taken.tv_nsec / 1'000;
}

void WorkerProcess::limit_data(uint64_t bytes) const {
  // It may be raised later: the hard limit stays.
  rlimit limit{};
  if (::prlimit(pid_, RLIMIT_DATA, nullptr, &limit) != 0) return;
  limit.rlim_cur = std::min<rlim_t>(bytes, limit.rlim_max);
  ::prlimit(pid_, RLIMIT_DATA, &limit, nullptr);
}

// Applies to all of its threads: the process is alone in its group.
bool WorkerProcess::set_nice(bool low) const {
  return ::setpriority(PRIO_PGRP, static_cast<id_t>(pid_), low ? kNice : 0) == 0;
}

void WorkerProcess::leave_processor(bool leaves) const {
  cpu_set_t processors;  // that this process may use
  if (::sched_getaffinity(0, sizeof processors, &processors) != 0) return;
  if (leaves && CPU_COUNT(&processors) > 1)
    for (size_t i = 0; i < CPU_SETSIZE; ++i)
      if (CPU_ISSET(i, &processors)) {
        CPU_CLR(i, &processors);
        break;
      }
  // A new thread inherits from its creator: threads of creators that were changed late are found by
  // repeating.
  std::set<pid_t> changed;
  for (bool found = true; found;) {
    found = false;
    for (const pid_t thread : threads_of(pid_)) {
      if (!changed.insert(thread).second) continue;
      ::sched_setaffinity(thread, sizeof processors, &processors);
      found = true;
    }
  }
}

void WorkerProcess::kill() const { ::syscall(SYS_pidfd_send_signal, pid_fd_, SIGKILL, nullptr, 0); }

std::optional<WorkerEnd> WorkerProcess::ended() {
  if (end_) return end_;
  int status = 0;
  const pid_t reaped = ::waitpid(pid_, &status, WNOHANG);
  if (reaped == 0 || (reaped < 0 && errno == EINTR)) return std::nullopt;
  read_errors();
  if (reaped < 0) {  // already reaped elsewhere
    end_ = WorkerEnd{Death::kOutside, "the policy worker has ended"};
    return end_;
  }
  end_ = describe(status);
  return end_;
}

WorkerEnd WorkerProcess::describe(int status) const {
  const auto says = [this](std::string_view text) {
    return errors_.find(text) != std::string::npos;
  };
  if (std::ranges::any_of(kMemorySigns, says))
    return {Death::kMemory, "its worker met its memory limit"};
  const std::string words = errors_.empty() ? "" : ": " + printable(errors_, 1'000);
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    const bool from_outside = number == SIGKILL || number == SIGTERM || number == SIGINT ||
                              number == SIGHUP || number == SIGQUIT;
    return {from_outside ? Death::kOutside : Death::kCrash,
            fmt::format("the policy worker was ended by signal {}{}", number, words)};
  }
  return {Death::kCrash,
          fmt::format("the policy worker ended with status {}{}", WEXITSTATUS(status), words)};
}

}  // namespace notp::rego
