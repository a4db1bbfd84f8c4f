// The wall clock of a program, as the test sets it: Debian's package faketime, preloaded.
#pragma once

#include <stdexcept>

#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

class FakedClock {
 public:
  explicit FakedClock(std::filesystem::path offset_file) : offset_file_(std::move(offset_file)) {
    set("+0");
  }

  // Of the program's process.
  std::vector<std::pair<std::string, std::string>> environment() const {
    return {{"LD_PRELOAD", library().string()},
            {"FAKETIME_TIMESTAMP_FILE", offset_file_.string()},
            {"FAKETIME_NO_CACHE", "1"},
            {"FAKETIME_DONT_FAKE_MONOTONIC", "1"}};
  }
  // "+3d", "-1h", "+0"
  void set(const std::string& offset) const { must(write_file(offset_file_, offset + "\n")); }

 private:
  static std::filesystem::path library() {
    namespace fs = std::filesystem;
    for (const auto& entry : fs::recursive_directory_iterator(
             "/usr/lib", fs::directory_options::skip_permission_denied))
      if (entry.path().filename() == "libfaketimeMT.so.1") return entry.path();
    throw std::runtime_error(
        "there is no libfaketimeMT.so.1; tools/install-dependencies brings it");
  }

  const std::filesystem::path offset_file_;
};

}  // namespace notp
