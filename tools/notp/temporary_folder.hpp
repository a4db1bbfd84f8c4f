// A temporary folder of this process, removed by the destructor.
#pragma once

#include <filesystem>
#include <utility>

#include "common/result.hpp"

namespace notp::cli {

class TemporaryFolder {
 public:
  // `purpose` is a part of its name. kIo.
  static Result<TemporaryFolder> make(const std::string& purpose);
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder();
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;
};

}  // namespace notp::cli
