#include "protocol/session/server/incoming_upload.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "protocol/session/server/session_limits.hpp"
#include "protocol/session/transfer_buffer.hpp"

namespace notp::session {

Result<std::unique_ptr<Upload>> open_upload(const ServerContext& context, uint64_t bytes) {
  if (bytes == 0 || bytes > limits::kArtifactBytesMax)
    return fail(ErrorCode::kLimit, fmt::format("an artifact of {} bytes; at most {} are taken",
                                               bytes, limits::kArtifactBytesMax));
  MemoryUploads memory;
  UploadSpace& space = context.ports.uploads ? *context.ports.uploads : memory;
  return space.open(context.info.peer, bytes);
}

Result<void> IncomingUpload::append(ByteView bytes, Now now) {
  NOTP_TRY(check_chunk(bytes_, received_, bytes.size()));
  received_ += bytes.size();
  last_ms_ = now.boot_ms;
  return upload_ ? upload_->append(bytes) : Result<void>{};
}

TimeMs IncomingUpload::deadline() const {
  const auto earned = static_cast<TimeMs>(received_ * 1000 / limits::kUploadBytesPerSecondMin);
  return std::min(last_ms_, since_ms_ + earned) + limits::kTransferStallMs;
}

}  // namespace notp::session
