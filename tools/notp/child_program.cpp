#include "tools/notp/child_program.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <unistd.h>

#include <cstring>

#include "common/argv.hpp"

namespace notp::cli {

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
  pid_t child = 0;
  const int failed =
      ::posix_spawnp(&child, arguments[0], &files, nullptr, arguments.data(), variables);
  posix_spawn_file_actions_destroy(&files);
  if (failed == 0) return child;
  return fail(ErrorCode::kUsage,
              fmt::format("cannot run {}: {}", command.front(), std::strerror(failed)));
}

}  // namespace notp::cli
