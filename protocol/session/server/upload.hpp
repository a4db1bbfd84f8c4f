// Where the artifacts of publishes gather while they arrive: the host's business, not the
// session's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/bytes.hpp"

namespace notp {

// One artifact on its way in. Its room is given back when it is destroyed. One thread at a time.
class Upload {
 public:
  virtual ~Upload() = default;
  // The next bytes, which fit what was announced. May write to a file. kIo.
  virtual Result<void> append(ByteView bytes) = 0;
  // All that came; once. Blocks on the disk. kIo.
  virtual Result<Bytes> take() = 0;
};

// Thread-safe.
class UploadSpace {
 public:
  virtual ~UploadSpace() = default;
  // Room for an artifact of `bytes` that `identity` announced. kOverloaded when it has too much on
  // its way already, or everybody together has; kIo.
  virtual Result<std::unique_ptr<Upload>> open(const std::string& identity, uint64_t bytes) = 0;
};

// In memory, without bounds of its own: for a peer that is trusted with it.
class MemoryUploads final : public UploadSpace {
 public:
  Result<std::unique_ptr<Upload>> open(const std::string& identity, uint64_t bytes) override;
};

}  // namespace notp
