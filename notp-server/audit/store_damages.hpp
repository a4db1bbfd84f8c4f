// The damaged files of a store: each is named once.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/mutex.hpp"
#include "notp-server/audit/audit_store.hpp"

namespace notp::audit {

// Thread-safe.
class StoreDamages {
 public:
  explicit StoreDamages(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Keeps and logs the first damage of a file. `is_unusable`: nothing of it is read any more.
  void keep(const std::string& file, const Error& error, bool is_unusable);
  void forget(const std::string& file);
  // The error of a file that cannot be read at all.
  std::optional<Error> unusable(const std::string& file) const;
  // An error with the name of the file, if it says that the file is damaged.
  Error named(const std::string& file, Error error) const;
  // Ascending by name.
  std::vector<StoreDamage> list() const;

 private:
  struct Damage {
    std::string message;
    bool is_unusable = false;
  };
  const std::filesystem::path folder_;
  mutable Mutex mutex_;
  std::map<std::string, Damage> by_file_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::audit
