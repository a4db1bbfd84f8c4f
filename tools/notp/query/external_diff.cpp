#include "tools/notp/query/external_diff.hpp"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "common/storage/files.hpp"
#include "tools/notp/temporary_folder.hpp"
#include "tools/notp/workspace.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

Result<void> write_side(const fs::path& folder, const model::ModelContent& content,
                        const std::string& path) {
  NOTP_ASSIGN(const model::Content bytes, file_content(content, path));
  NOTP_TRY(make_folders((folder / path).parent_path()));
  return write_quickly(folder / path, *bytes);
}

std::vector<std::string> diff_command(const Environment& environment, bool colour) {
  const auto variable = environment.find("NOTP_EXTERNAL_DIFF");
  if (variable == environment.end() || variable->second.empty())
    return {"git",
            "--no-pager",
            "diff",
            "--no-index",
            "--no-prefix",
            "--find-renames",
            colour ? "--color=always" : "--color=never"};
  std::istringstream words(variable->second);
  std::vector<std::string> command;
  for (std::string word; words >> word;) command.push_back(word);
  return command;
}

// Runs a program in `folder`; returns its exit code.
Result<int> run_program(const std::vector<std::string>& command, const fs::path& folder) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  pid_t child = 0;
  const int spawned =
      ::posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (spawned != 0)
    return std::unexpected(Error{
        ErrorCode::kUsage,
        fmt::format("cannot run '{}': {}", command[0], std::strerror(spawned)),
        {}}.with("hint",
                 "set NOTP_EXTERNAL_DIFF to a program that compares two folders, or use "
                 "--stat"));
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR)
      return fail(ErrorCode::kIo, fmt::format("lost '{}': {}", command[0], std::strerror(errno)));
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

}  // namespace

Result<void> run_external_diff(const Environment& environment, bool colour,
                               const std::vector<Change>& changes,
                               const model::ModelContent& before, const std::string& before_name,
                               const model::ModelContent& after, const std::string& after_name) {
  NOTP_ASSIGN(const TemporaryFolder folder, TemporaryFolder::make("diff"));
  NOTP_TRY(make_folders(folder.path() / before_name));
  NOTP_TRY(make_folders(folder.path() / after_name));
  for (const Change& change : changes) {
    const std::string& old_path = change.kind == ChangeKind::kRename ? change.from : change.path;
    if (change.kind != ChangeKind::kAdd)
      NOTP_TRY(write_side(folder.path() / before_name, before, old_path));
    if (change.kind != ChangeKind::kRemove)
      NOTP_TRY(write_side(folder.path() / after_name, after, change.path));
  }
  std::vector<std::string> command = diff_command(environment, colour);
  const std::string program = command.empty() ? std::string() : command.front();
  command.push_back(before_name);
  command.push_back(after_name);
  NOTP_ASSIGN(const int code, run_program(command, folder.path()));
  // As in diff(1): 0 the same, 1 different, more is an error.
  if (code > 1) return fail(ErrorCode::kIo, fmt::format("'{}' failed with {}", program, code));
  return {};
}

}  // namespace notp::cli
