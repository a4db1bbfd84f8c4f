// The stock git program: one question each, or Git's objects one after another from one process.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/bytes.hpp"
#include "common/clock.hpp"
#include "common/config.hpp"
#include "common/descriptor.hpp"
#include "common/result.hpp"

namespace notp::cli {

// The environment for a git that answers about the repository of a folder and no other: variables
// that point elsewhere are gone, replaced objects do not count, nothing is fetched or asked.
Environment git_environment(Environment environment);

struct GitAnswer {
  int status = -1;  // as git exits; 128: it cannot work here
  Bytes output;
  std::string error;  // of standard error, at most its first kilobytes
};
// Runs `git -C folder words…` to its end. kTimeout at `deadline_ms` (Now::boot_ms), kLimit with
// more than `output_bytes_max`, kUsage when there is no git; git is gone afterwards in every case.
Result<GitAnswer> ask_git(const std::filesystem::path& folder, std::vector<std::string> words,
                          const Environment& environment, TimeMs deadline_ms,
                          size_t output_bytes_max);

// One `git cat-file --batch` for as long as it lives. Nothing that it reads is trusted: sizes have
// limits. One thread.
class GitObjects {
 public:
  struct Object {
    std::string id;  // hexadecimal
    std::string type;
    Bytes content;
  };
  // An entry of a tree object.
  struct Entry {
    std::string mode;  // "100644", "40000", …
    std::string name;
    std::string id;
    bool is_folder() const { return mode == "40000"; }
  };

  // kUsage when there is no git. A folder without a repository shows at the first read().
  static Result<GitObjects> open(std::filesystem::path folder, const Environment& environment,
                                 TimeMs deadline_ms = kNever);
  GitObjects(GitObjects&& other) noexcept;
  GitObjects& operator=(GitObjects&&) = delete;
  ~GitObjects();

  // nullopt: missing. `name` is one line. kTimeout, kCorrupt; after an error nothing else is read.
  Result<std::optional<Object>> read(const std::string& name, size_t bytes_max);
  // The entries of a tree object. kCorrupt when it is missing or none.
  Result<std::vector<Entry>> read_tree(const std::string& id);

 private:
  GitObjects(std::filesystem::path folder, pid_t child, Descriptor input, Descriptor output,
             TimeMs deadline_ms)
      : folder_(std::move(folder)),
        child_(child),
        input_(std::move(input)),
        output_(std::move(output)),
        deadline_ms_(deadline_ms) {}
  Result<std::string> read_line();
  Result<Bytes> read_bytes(size_t count);
  std::unexpected<Error> corrupt(std::string what) const;

  std::filesystem::path folder_;
  pid_t child_ = -1;
  Descriptor input_, output_;
  TimeMs deadline_ms_ = kNever;
  Bytes buffer_;  // read from git, not yet used
};

}  // namespace notp::cli
