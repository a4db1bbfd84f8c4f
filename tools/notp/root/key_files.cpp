#include "tools/notp/root/key_files.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"
#include "common/storage/files.hpp"

namespace notp::cli {
namespace {

template <typename Key>
Result<Key> read_key(const std::filesystem::path& path, Result<Key> (*parse)(std::string_view)) {
  NOTP_ASSIGN(const Bytes pem, read_file(path, limits::kPemBytesMax));
  auto key = parse(pem);
  if (!key)
    return fail(ErrorCode::kConfig, fmt::format("{}: {}", path.string(), key.error().message));
  return key;
}

}  // namespace

Result<void> write_new_files(const std::vector<NewKeyFile>& files) {
  std::error_code error;
  for (const NewKeyFile& file : files)
    if (std::filesystem::exists(file.path, error))
      return std::unexpected(Error{
          ErrorCode::kUsage,
          fmt::format("{} exists; nothing was written", file.path.string()),
          {}}.with("hint", "keys and certificates are never overwritten: choose another name"));
  for (const NewKeyFile& file : files) {
    if (file.path.has_parent_path()) NOTP_TRY(make_folders(file.path.parent_path()));
    NOTP_TRY(write_file(file.path, file.content, file.is_private ? 0600 : 0644));
  }
  return {};
}

Result<PrivateKey> read_private_key(const std::filesystem::path& path) {
  return read_key<PrivateKey>(path, PrivateKey::from_pem);
}

Result<PublicKey> read_public_key(const std::filesystem::path& path) {
  return read_key<PublicKey>(path, PublicKey::from_pem);
}

Result<EitherKey> read_either_key(const std::filesystem::path& path) {
  NOTP_ASSIGN(const Bytes pem, read_file(path, limits::kPemBytesMax));
  EitherKey key;
  if (pem.contains("PUBLIC KEY")) {
    NOTP_ASSIGN(key.public_key, read_public_key(path));
    return key;
  }
  NOTP_ASSIGN(key.private_key, read_private_key(path));
  key.public_key = key.private_key->public_key();
  return key;
}

}  // namespace notp::cli
