// A suite's folder in the system's temporary folder, removed by the destructor.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <memory>

#include "common/result.hpp"

namespace notp::bench {

class ScratchFolder {
 public:
  static Result<std::unique_ptr<ScratchFolder>> make() {
    std::error_code failed;
    std::string name =
        (std::filesystem::temp_directory_path(failed) / "notp-bench-XXXXXX").string();
    if (failed || ::mkdtemp(name.data()) == nullptr)
      return fail(ErrorCode::kIo, "cannot make a temporary folder " + name);
    return std::unique_ptr<ScratchFolder>(new ScratchFolder(name));
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit ScratchFolder(std::filesystem::path path) : path_(std::move(path)) {}
  const std::filesystem::path path_;
};

}  // namespace notp::bench
