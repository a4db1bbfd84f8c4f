// A Git repository whose tags are the releases to replay.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "tools/bench/child.hpp"

namespace notp::bench {

struct TaggedCommit {
  std::string tag;
  std::string commit;  // object id, hexadecimal
};

// Runs git in a repository, without the configuration of the machine and its user.
Command git_command(const std::filesystem::path& repository, std::vector<std::string> words);

// The tags on the first-parent history of HEAD, oldest first. kUsage for fewer than two.
Result<std::vector<TaggedCommit>> tagged_history(const std::filesystem::path& repository);

// A separate working tree that shares the repository's objects.
class Checkout {
 public:
  static Result<Checkout> make(const std::filesystem::path& repository,
                               const std::filesystem::path& folder);
  Result<void> go_to(const TaggedCommit& commit) const;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  explicit Checkout(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::filesystem::path folder_;
};

}  // namespace notp::bench
