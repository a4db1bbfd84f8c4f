#include "tools/notp/child_program.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "common/argv.hpp"
#include "common/descriptor.hpp"
#include "common/storage/files.hpp"
#include "tools/notp/temporary_folder.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kOutputBytesMax = 4 << 20;

// Waits until the child ends, or kills it.
Result<void> wait_for(pid_t child, const std::string& shown, int timeout_ms) {
  const Descriptor handle(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  pollfd end{handle.get(), POLLIN, 0};
  int ready = 0;
  do {
    ready = ::poll(&end, 1, timeout_ms);
  } while (ready < 0 && errno == EINTR);  // as after SIGSTOP and SIGCONT
  const bool ended = ready == 1;
  if (!ended) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (ended) return {};
  return fail(ErrorCode::kTimeout,
              fmt::format("{} has not ended within {} s", shown, timeout_ms / 1000));
}

}  // namespace

Result<pid_t> start_program(std::vector<std::string> command, char* const* variables,
                            const std::filesystem::path& output,
                            const std::filesystem::path& errors) {
  const std::vector<char*> arguments = argv_of(command);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, output.c_str(), kFlags, 0600);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, errors.c_str(), kFlags, 0600);
  // Sockets and locks of this process are not the child's.
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  pid_t child = 0;
  const int failed =
      ::posix_spawnp(&child, arguments[0], &files, nullptr, arguments.data(), variables);
  posix_spawn_file_actions_destroy(&files);
  if (failed == 0) return child;
  return fail(ErrorCode::kUsage,
              fmt::format("cannot run {}: {}", command.front(), std::strerror(failed)));
}

std::string program_file(const std::string& name) {
  std::error_code error;
  const fs::path beside = fs::read_symlink("/proc/self/exe", error).parent_path() / name;
  return !error && ::access(beside.c_str(), X_OK) == 0 ? beside.string() : name;
}

Result<ChildOutput> run_program(std::vector<std::string> command, const Environment& environment,
                                int timeout_ms) {
  NOTP_ASSIGN(const TemporaryFolder scratch, TemporaryFolder::make("program"));
  const fs::path output = scratch.path() / "output", errors = scratch.path() / "errors";
  const std::string shown = command.size() > 1 ? command[0] + " " + command[1] : command[0];
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment)
    variables.push_back(fmt::format("{}={}", name, value));
  auto child = start_program(std::move(command), argv_of(variables).data(), output, errors);
  if (!child)
    return std::unexpected(std::move(child).error().with(
        "hint", "run it on the machine where that program is installed"));
  NOTP_TRY(wait_for(*child, shown, timeout_ms));
  ChildOutput out;
  NOTP_ASSIGN(out.output, read_file(output, kOutputBytesMax));
  NOTP_ASSIGN(out.errors, read_file(errors, kOutputBytesMax));
  return out;
}

}  // namespace notp::cli
