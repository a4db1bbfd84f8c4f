// Encrypts the records of tokens in lane.db: AES-256-GCM (NIST SP 800-38D). Thread-safe: no state
// but the key.
#pragma once

#include <array>
#include <filesystem>
#include <string_view>

#include "common/bytes.hpp"
#include "notp-client/lane/lane_limits.hpp"

namespace notp::lane {

class RecordSeal {
 public:
  // Reads the key of a file that others cannot read: 32 bytes, or their 64 hexadecimal digits in
  // one line. A systemd credential is such a file. kConfig.
  static Result<RecordSeal> read(const std::filesystem::path& file);
  explicit RecordSeal(const std::array<uint8_t, limits::kLaneKeyBytes>& key) : key_(key) {}
  RecordSeal(const RecordSeal&) = default;
  RecordSeal& operator=(const RecordSeal&) = default;
  ~RecordSeal();

  // A random nonce, the ciphertext and its tag. `context` has to be the same for open().
  Bytes seal(ByteView plain, ByteView context) const;
  // kSignature: another key or context, or altered.
  Result<Bytes> open(ByteView sealed, ByteView context) const;

 private:
  std::array<uint8_t, limits::kLaneKeyBytes> key_;
};

}  // namespace notp::lane
