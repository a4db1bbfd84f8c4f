// Collects the artifacts of publishes while they arrive: implemented by the host, not by the
// session.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/bytes.hpp"

namespace notp::session {

// One artifact on its way in. Its space is released when it is destroyed. One thread at a time.
class Upload {
 public:
  virtual ~Upload() = default;
  // Appends the next bytes, which fit the announced size. May write to a file. kIo.
  virtual Result<void> append(ByteView bytes) = 0;
  // Takes all received bytes; once. Blocks on the disk. kIo.
  virtual Result<Bytes> take() = 0;
};

// Thread-safe.
class UploadSpace {
 public:
  virtual ~UploadSpace() = default;
  // Reserves space for an artifact of `bytes` that `identity` announced. kOverloaded when the
  // identity, or all identities together, have too much under way; kIo.
  virtual Result<std::unique_ptr<Upload>> open(const std::string& identity, uint64_t bytes) = 0;
};

// In memory, without a limit: for peers that are trusted with it.
class MemoryUploads final : public UploadSpace {
 public:
  Result<std::unique_ptr<Upload>> open(const std::string& identity, uint64_t bytes) override;
};

}  // namespace notp::session
