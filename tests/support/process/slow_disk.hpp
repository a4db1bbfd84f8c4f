// A disk under an agent's ring of decisions whose syncs take as long as the test says.
#pragma once

#include <fmt/format.h>

#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

// NOTP_SLOW_DISK is the library of slow_disk.cpp.
class SlowDisk {
 public:
  explicit SlowDisk(std::filesystem::path control) : control_(std::move(control)) { set_ms(0); }

  // Of the agent's process.
  std::vector<std::pair<std::string, std::string>> environment() const {
    return {{"LD_PRELOAD", NOTP_SLOW_DISK}, {"SLOW_DISK_FILE", control_.string()}};
  }
  void set_ms(int time_ms) const { say(std::to_string(time_ms)); }
  // No sync ends until set_ms().
  void hold() const { say("hold"); }

 private:
  // Never half written: the agent reads it all the time.
  void say(const std::string& text) const {
    const std::filesystem::path next = control_.string() + ".next";
    must(write_file(next, text + "\n"));
    std::filesystem::rename(next, control_);
  }

  const std::filesystem::path control_;
};

}  // namespace notp
