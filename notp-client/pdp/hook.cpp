#include "notp-client/pdp/hook.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/argv.hpp"
#include "common/assert.hpp"
#include "common/clock.hpp"
#include "common/descriptor.hpp"
#include "common/limits.hpp"

namespace notp::pdp {
namespace {

struct Child {
  pid_t pid = 0;
  Descriptor errors;  // the read end of its standard error
};

Result<Child> spawn(std::vector<std::string> argv, std::vector<std::string> environment) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return fail(ErrorCode::kIo, fmt::format("cannot create a pipe: {}", std::strerror(errno)));
  Descriptor errors(ends[0]);
  const Descriptor its_errors(ends[1]);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&files, its_errors.get(), STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  for (char** own = ::environ; *own != nullptr; ++own) environment.emplace_back(*own);
  const std::vector<char*> arguments = argv_of(argv), variables = argv_of(environment);
  Child child{0, std::move(errors)};
  const int error = ::posix_spawnp(&child.pid, arguments[0], &files, &attributes, arguments.data(),
                                   variables.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error == 0) return child;
  return fail(ErrorCode::kConfig,
              fmt::format("cannot run the hook {}: {}", argv[0], std::strerror(error)));
}

// Reads until every writer has closed the other end; false at the timeout.
bool read_errors(int fd, int64_t timeout_ms, Bytes& text) {
  const TimeMs deadline_ms = read_clock().boot_ms + timeout_ms;
  char block[4096];
  while (true) {
    const TimeMs left_ms = deadline_ms - read_clock().boot_ms;
    pollfd ready{fd, POLLIN, 0};
    const int count = left_ms <= 0 ? 0 : ::poll(&ready, 1, static_cast<int>(left_ms));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    const ssize_t got = ::read(fd, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    const size_t room = limits::kErrorTextBytesMax - text.size();
    text.append(block, std::min(static_cast<size_t>(got), room));
  }
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

Result<void> run_hook(const std::vector<std::string>& argv,
                      const std::vector<std::string>& environment, int64_t timeout_ms) {
  NOTP_ASSERT(!argv.empty(), "a hook has a program");
  NOTP_ASSIGN(Child child, spawn(argv, environment));
  Bytes text;
  const bool in_time = read_errors(child.errors.get(), timeout_ms, text);
  child.errors.close();
  if (!in_time) ::kill(-child.pid, SIGKILL);
  const int status = wait_for(child.pid);
  if (!in_time)
    return fail(
        ErrorCode::kTimeout,
        fmt::format("the hook {} did not end within {} ms and was killed", argv[0], timeout_ms));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  const auto how = WIFEXITED(status) ? fmt::format("exited with {}", WEXITSTATUS(status))
                                     : fmt::format("was killed by signal {}", WTERMSIG(status));
  return fail(ErrorCode::kPdpRejected, fmt::format("the hook {} {}: {}", argv[0], how, text));
}

}  // namespace notp::pdp
