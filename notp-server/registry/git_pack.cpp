#include "notp-server/registry/git_pack.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"
#include "notp-server/registry/git_pack_format.hpp"

namespace notp::registry {
namespace {

using git_pack_format::Deflater;
using git_pack_format::Sha1;

// Above this, deflate's default level costs more time than the disk space is worth.
constexpr size_t kWellCompressedBytesMax = 256 << 10;

// Feeds the pack's bytes into libgit2's indexer, with the checksum that ends them.
class PackStream {
 public:
  Result<void> open(const std::filesystem::path& folder) {
    git_indexer* raw = nullptr;
    if (git_indexer_new(&raw, folder.c_str(), 0, nullptr, nullptr) != 0)
      return git_failed("start a pack in " + folder.string());
    indexer_.reset(raw);
    return {};
  }
  Result<void> put(ByteView bytes) {
    checksum_.update(bytes);
    bytes_ += bytes.size();
    return append(bytes);
  }
  uint64_t bytes() const { return bytes_; }
  // The indexer flushes index and pack before it names them, and the folder afterwards.
  Result<void> finish() {
    NOTP_TRY(append(git_pack_format::view(checksum_.finish())));
    if (git_indexer_commit(indexer_.get(), &progress_) != 0) return git_failed("write the pack");
    return {};
  }
  // Call it after finish().
  std::string name() const { return fmt::format("pack-{}.pack", git_indexer_name(indexer_.get())); }

 private:
  Result<void> append(ByteView bytes) {
    if (git_indexer_append(indexer_.get(), bytes.data(), bytes.size(), &progress_) != 0)
      return git_failed("write the pack");
    return {};
  }

  GitIndexerPtr indexer_;
  git_indexer_progress progress_{};
  Sha1 checksum_;
  uint64_t bytes_ = 0;
};

bool is_unfinished(const std::filesystem::path& file) {
  const std::string name = file.filename().string();
  if (name.starts_with("tmp_") || name.starts_with("pack_git2_") || name.ends_with(".lock") ||
      name.contains(".new."))
    return true;
  std::error_code error;
  return file.extension() == ".idx" &&
         !std::filesystem::exists(std::filesystem::path(file).replace_extension(".pack"), error) &&
         !error;
}

}  // namespace

GitId git_object_id(git_object_t type, ByteView content) {
  Sha1 hash;
  const std::string header = fmt::format("{} {}", git_object_type2string(type), content.size());
  hash.update(ByteView(header.c_str(), header.size() + 1));
  hash.update(content);
  return hash.finish();
}

GitId GitPack::add(git_object_t type, Bytes content) {
  const GitId id = git_object_id(type, content);
  if (ids_.contains(id)) return id;
  owned_.push_back(std::move(content));
  add_view(id, type, owned_.back());
  return id;
}

void GitPack::add_view(const GitId& id, git_object_t type, ByteView content) {
  if (ids_.insert(id).second) objects_.push_back({id, type, content});
}

Result<std::vector<PackedBlob>> GitPack::write(const std::filesystem::path& folder) const {
  std::vector<PackedBlob> large;
  if (objects_.empty()) return large;
  PackStream stream;
  NOTP_TRY(stream.open(folder));
  NOTP_TRY(stream.put(git_pack_format::pack_header(static_cast<uint32_t>(objects_.size()))));
  for (const Object& object : objects_) {
    const bool is_large = object.content.size() >= limits::kLargeBlobBytesMin;
    const uint64_t offset = stream.bytes();
    uint32_t crc = 0;
    const auto sink = [&](ByteView bytes) {
      if (is_large) crc = git_pack_format::crc_of(crc, bytes);
      return stream.put(bytes);
    };
    NOTP_TRY(sink(
        git_pack_format::entry_header(static_cast<unsigned>(object.type), object.content.size())));
    Deflater deflater;
    NOTP_TRY(deflater.start(
        object.content.size() > kWellCompressedBytesMax ? Z_BEST_SPEED : Z_DEFAULT_COMPRESSION));
    NOTP_TRY(deflater.run(object.content, sink));
    if (is_large) large.push_back({object.id, {}, offset, stream.bytes() - offset, crc});
  }
  NOTP_TRY(stream.finish());
  for (PackedBlob& blob : large) blob.pack = folder / stream.name();
  return large;
}

Result<void> remove_unfinished_packs(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> unfinished;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error))
    if (is_unfinished(it->path())) unfinished.push_back(it->path());
  for (const auto& file : unfinished)
    if (!error) std::filesystem::remove(file, error);
  if (error)
    return fail(ErrorCode::kIo, fmt::format("cannot clear unfinished packs in {}: {}",
                                            folder.string(), error.message()));
  return {};
}

}  // namespace notp::registry
