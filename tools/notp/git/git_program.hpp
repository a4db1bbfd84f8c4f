// Runs the stock git program: one command at a time, or one process that serves Git objects.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/bytes.hpp"
#include "common/clock.hpp"
#include "common/config.hpp"
#include "common/descriptor.hpp"
#include "common/result.hpp"

namespace notp::cli {

// An environment in which git works on the repository of a folder only: variables that point
// elsewhere are removed, replaced objects are ignored, git neither fetches nor prompts.
Environment git_environment(Environment environment);

struct GitAnswer {
  int status = -1;  // git's exit status; 128: it cannot work here
  Bytes output;
  std::string error;  // standard error, its first kilobytes
};
// Runs `git -C folder words…` to its end. kTimeout at `deadline_ms` (Now::boot_ms), kLimit for more
// than `output_bytes_max`, kUsage when git is not installed. The process has ended on return in
// every case.
Result<GitAnswer> ask_git(const std::filesystem::path& folder, std::vector<std::string> words,
                          const Environment& environment, TimeMs deadline_ms,
                          size_t output_bytes_max);

// One run of git that reaches a server: `git -C folder words…` as the leader of a process group,
// because git starts further programs.
struct GitRun {
  std::filesystem::path folder;
  std::vector<std::string> words;
  Environment environment;      // all of it
  TimeMs deadline_ms = kNever;  // Now::boot_ms
  size_t output_bytes_max = 0;
  uint64_t file_bytes_max = 0;    // of one file that git writes
  uint64_t memory_bytes_max = 0;  // of one process, without mapped files
  // Asked several times a second; an error ends the run and is returned. Empty: nothing is watched.
  std::function<Result<void>()> watch;
};
// As ask_git() above. No process of the group is left on return, however the run ended. SIGINT,
// SIGTERM and SIGHUP, as long as they would end this process, end the group before. One run at a
// time in a process.
Result<GitAnswer> ask_git(const GitRun& run);

// One `git cat-file --batch` process, for as long as the object lives. Trusts nothing that it
// reads: sizes have limits. One thread.
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

  // kUsage when git is not installed. A folder without a repository fails at the first read().
  static Result<GitObjects> open(std::filesystem::path folder, const Environment& environment,
                                 TimeMs deadline_ms = kNever);
  GitObjects(GitObjects&& other) noexcept;
  GitObjects& operator=(GitObjects&&) = delete;
  ~GitObjects();

  // nullopt: missing. `name` is one line. kLimit: larger than `bytes_max`. kTimeout, kCorrupt:
  // after these nothing more can be read.
  Result<std::optional<Object>> read(const std::string& name, size_t bytes_max);
  // The entries of a tree object. kCorrupt when it is missing or is not a tree.
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
  Result<void> skip_bytes(uint64_t count);
  std::unexpected<Error> corrupt(std::string what) const;

  std::filesystem::path folder_;
  pid_t child_ = -1;
  Descriptor input_, output_;
  TimeMs deadline_ms_ = kNever;
  Bytes buffer_;  // read from git, not yet used
};

}  // namespace notp::cli
