// Limits the bytes of uploads, per publisher and in total; large uploads are kept in files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "common/limits.hpp"
#include "common/mutex.hpp"
#include "protocol/session/server/upload.hpp"

namespace notp::publish {

// Bytes as announced. Small uploads are kept in memory, large ones in files, with separate budgets.
// An identity can always send one artifact of the largest size.
struct UploadLimits {
  uint64_t small = 1 << 20;       // up to this size an upload is small
  uint64_t small_min = 64 << 10;  // the least that an upload counts for
  uint64_t small_identity = 16 << 20;
  uint64_t small_all = 256 << 20;
  uint64_t large_identity = limits::kArtifactBytesMax;
  uint64_t large_all = 4 * limits::kArtifactBytesMax;
};

// Thread-safe; outlives its uploads.
class UploadBudget final : public session::UploadSpace {
 public:
  // Files in `folder` have no name, so a crash leaves none. The folder is created on demand.
  explicit UploadBudget(std::filesystem::path folder, UploadLimits limits = {})
      : folder_(std::move(folder)), limits_(limits) {}

  Result<std::unique_ptr<session::Upload>> open(const std::string& identity,
                                                uint64_t bytes) override;

  struct Held {
    uint64_t small = 0, large = 0;
  };
  Held held() const;

 private:
  class Share;
  friend class Share;

  Result<std::unique_ptr<Share>> reserve(const std::string& identity, uint64_t bytes);
  void give_back(const std::string& identity, Held share);

  const std::filesystem::path folder_;
  const UploadLimits limits_;
  mutable Mutex mutex_;
  Held held_ NOTP_GUARDED_BY(mutex_);
  std::map<std::string, Held> of_ NOTP_GUARDED_BY(mutex_);  // by identity, if it holds anything
};

}  // namespace notp::publish
