// Room for what publishers upload: so much of each, so much of all, the large ones in files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "common/limits.hpp"
#include "common/mutex.hpp"
#include "protocol/session/upload.hpp"

namespace notp {

// Bytes as they are announced. Small uploads are kept in memory, large ones in files, and neither
// takes the room of the other. An identity can always send one artifact of the largest size.
struct UploadLimits {
  uint64_t small = 1 << 20;       // up to here an upload is small
  uint64_t small_min = 64 << 10;  // an upload counts for at least so much
  uint64_t small_identity = 16 << 20;
  uint64_t small_all = 256 << 20;
  uint64_t large_identity = limits::kArtifactBytesMax;
  uint64_t large_all = 4 * limits::kArtifactBytesMax;
};

// Thread-safe; outlives its uploads.
class UploadBudget final : public UploadSpace {
 public:
  // Files are made in `folder`, without a name: a crash leaves none. It is made when it is needed.
  explicit UploadBudget(std::filesystem::path folder, UploadLimits limits = {})
      : folder_(std::move(folder)), limits_(limits) {}

  Result<std::unique_ptr<Upload>> open(const std::string& identity, uint64_t bytes) override;

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
  std::map<std::string, Held> of_ NOTP_GUARDED_BY(mutex_);  // of each identity that has something
};

}  // namespace notp
