#include "tools/bench/history.hpp"

#include <fmt/format.h>

#include <map>
#include <sstream>

namespace notp::bench {
namespace {

constexpr TimeMs kGitMs = 600'000;

}  // namespace

Command git_command(const std::filesystem::path& repository, std::vector<std::string> words) {
  Command command;
  command.words = {"git", "-C", repository.string()};
  std::ranges::move(words, std::back_inserter(command.words));
  command.environment = {{"GIT_CONFIG_NOSYSTEM", "1"},
                         {"GIT_CONFIG_GLOBAL", "/dev/null"},
                         {"GIT_TERMINAL_PROMPT", "0"},
                         {"LC_ALL", "C"}};
  return command;
}

Result<std::vector<TaggedCommit>> tagged_history(const std::filesystem::path& repository) {
  // An annotated tag has its commit in the last column, a lightweight one in the second.
  NOTP_ASSIGN(const std::string refs,
              run(git_command(repository, {"for-each-ref", "refs/tags",
                                           "--format=%(refname:short) %(objectname) "
                                           "%(*objectname)"}),
                  kGitMs));
  std::map<std::string, std::string> tags;
  std::istringstream lines(refs);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string tag, object, commit;
    words >> tag >> object >> commit;
    tags[commit.empty() ? object : commit] = tag;
  }
  NOTP_ASSIGN(
      const std::string commits,
      run(git_command(repository, {"rev-list", "--first-parent", "--reverse", "HEAD"}), kGitMs));
  std::vector<TaggedCommit> history;
  std::istringstream ids(commits);
  for (std::string id; ids >> id;)
    if (const auto tag = tags.find(id); tag != tags.end()) history.push_back({tag->second, id});
  if (history.size() < 2)
    return fail(ErrorCode::kUsage,
                fmt::format("{} has fewer than two tags on its history: nothing to replay",
                            repository.string()));
  return history;
}

Result<Checkout> Checkout::make(const std::filesystem::path& repository,
                                const std::filesystem::path& folder) {
  NOTP_TRY(run(git_command(".", {"clone", "-q", "--shared", "--no-checkout",
                                 std::filesystem::absolute(repository).string(), folder.string()}),
               kGitMs));
  return Checkout(folder);
}

Result<void> Checkout::go_to(const TaggedCommit& commit) const {
  NOTP_TRY(run(git_command(folder_, {"checkout", "-q", "-f", "--detach", commit.commit}), kGitMs));
  return {};
}

}  // namespace notp::bench
