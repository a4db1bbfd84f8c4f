// Key and certificate files: never overwritten; private keys are readable by their owner only.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "common/crypto/signature.hpp"

namespace notp::cli {

struct NewKeyFile {
  std::filesystem::path path;
  Bytes content;
  bool is_private = false;
};
// Writes all of them, or none when one exists. kUsage, kIo.
Result<void> write_new_files(const std::vector<NewKeyFile>& files);

// Reads Ed25519 keys from PEM files; the error names the file. kConfig, kNotFound, kIo.
Result<PrivateKey> read_private_key(const std::filesystem::path& path);
Result<PublicKey> read_public_key(const std::filesystem::path& path);

// A key whose private half may be elsewhere.
struct EitherKey {
  PublicKey public_key;
  std::optional<PrivateKey> private_key;
};
// Reads a file that holds a private or a public key.
Result<EitherKey> read_either_key(const std::filesystem::path& path);

}  // namespace notp::cli
