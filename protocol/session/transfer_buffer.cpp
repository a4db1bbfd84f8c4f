#include "protocol/session/transfer_buffer.hpp"

#include <fmt/format.h>

namespace notp::session {

Result<void> check_chunk(uint64_t size, uint64_t received, size_t chunk_bytes) {
  if (chunk_bytes <= size - received) return {};
  return fail(ErrorCode::kState, fmt::format("a transfer of {} bytes goes on after its end", size));
}

Result<void> TransferBuffer::append(ByteView chunk) {
  NOTP_TRY(check_chunk(size, bytes.size(), chunk.size()));
  bytes.append(chunk);
  return {};
}

}  // namespace notp::session
