// The bytes of one incoming transfer, within its announced size.
#pragma once

#include <cstdint>

#include "common/bytes.hpp"
#include "common/result.hpp"

namespace notp::session {

// kState: a chunk of `chunk_bytes` exceeds a transfer of `size` bytes that has `received`.
Result<void> check_chunk(uint64_t size, uint64_t received, size_t chunk_bytes);

struct TransferBuffer {
  uint64_t size = 0;  // of the whole artifact
  Bytes bytes;
  bool complete() const { return bytes.size() == size; }
  // kState when the chunk exceeds the announced size.
  Result<void> append(ByteView chunk);
};

}  // namespace notp::session
