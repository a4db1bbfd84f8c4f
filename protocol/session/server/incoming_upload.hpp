// An artifact on its way in to a registry's session, of a publish or of a return.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/clock.hpp"
#include "protocol/session/server/server_context.hpp"

namespace notp::session {

// Opens the space for an artifact of `context`'s peer. kLimit for a size that no artifact has, and
// the errors of the UploadSpace.
Result<std::unique_ptr<Upload>> open_upload(const ServerContext& context, uint64_t bytes);

// Counts and keeps the bytes, and knows by when more are due: a peer that announces much and sends
// little cannot keep the space. One thread.
class IncomingUpload {
 public:
  // `upload` is null when the bytes are not kept.
  IncomingUpload(std::unique_ptr<Upload> upload, uint64_t bytes, Now now)
      : upload_(std::move(upload)), bytes_(bytes), since_ms_(now.boot_ms), last_ms_(now.boot_ms) {}

  // kState past the end. kIo: the bytes could not be kept.
  Result<void> append(ByteView bytes, Now now);
  bool complete() const { return received_ == bytes_; }
  // Releases the space; what follows is not kept.
  void drop() { upload_.reset(); }
  // Null when the bytes were not kept. Once.
  std::unique_ptr<Upload> take() { return std::move(upload_); }
  // Boot time by which more bytes are due.
  TimeMs deadline() const;

 private:
  std::unique_ptr<Upload> upload_;
  uint64_t bytes_;  // announced
  uint64_t received_ = 0;
  TimeMs since_ms_, last_ms_;  // boot time of the announcement, and of the last bytes
};

}  // namespace notp::session
