// A suite's folder in the system's temporary folder or another one, removed by the destructor.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <memory>

#include "common/result.hpp"

namespace notp::bench {

class ScratchFolder {
 public:
  // `parent` empty: the system's temporary folder. kIo.
  static Result<std::unique_ptr<ScratchFolder>> make(std::filesystem::path parent = {}) {
    std::error_code failed;
    if (parent.empty()) parent = std::filesystem::temp_directory_path(failed);
    std::string name = (parent / "notp-bench-XXXXXX").string();
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
