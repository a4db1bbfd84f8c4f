#include "notp-server/registry/git_large_blobs.hpp"

#include <fmt/format.h>

#include <fstream>
#include <optional>

#include "common/failpoint.hpp"
#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "notp-server/registry/git_pack_format.hpp"
#include "protocol/delta/blob_match.hpp"

namespace notp::registry {
namespace {

namespace format = git_pack_format;

// Whether the beginning of the difference suggests that most of the content differs: determining
// that for the whole would take as long as deflating it.
bool differs_much(ByteView earlier, ByteView target) {
  constexpr size_t kProbeBytes = 1 << 20;
  constexpr size_t kProbeCostMax = 32 << 10;
  const size_t front = delta::common_prefix(earlier, target);
  const GitDelta probe =
      GitDelta::between(earlier.substr(front, 2 * kProbeBytes), target.substr(front, kProbeBytes));
  return probe.cost() > kProbeCostMax;
}

// Returns the entry as it was written; nullopt when the pack is gone or differs.
std::optional<Bytes> read_entry(const PackedBlob& blob) {
  std::ifstream file(blob.pack, std::ios::binary);
  Bytes entry(blob.bytes, '\0');
  if (!file.seekg(static_cast<std::streamoff>(blob.offset)) ||
      !file.read(entry.data(), static_cast<std::streamsize>(entry.size())) ||
      format::crc_of(0, entry) != blob.crc)
    return std::nullopt;
  return entry;
}

Result<Bytes> delta_entry(uint64_t distance, const GitDelta& delta) {
  const Bytes coded = delta.encode();
  Bytes entry = format::entry_header(format::kOffsetDelta, coded.size());
  entry += format::base_distance(distance);
  format::Deflater deflater;
  NOTP_TRY(deflater.start(Z_DEFAULT_COMPRESSION));
  NOTP_TRY(deflater.run(coded, [&](ByteView bytes) -> Result<void> {
    entry += bytes;
    return {};
  }));
  return entry;
}

// Index first, as libgit2 does: an index without its pack is ignored, and cleared at the start.
Result<void> write_pack(const std::filesystem::path& folder, ByteView pack, const Bytes& index,
                        const GitId& checksum) {
  const std::string name = (folder / fmt::format("pack-{}", git_hex(checksum))).string();
  NOTP_TRY(write_file(name + ".idx", index, 0444));
  failpoint("registry.after_change_index");
  return write_file(name + ".pack", pack, 0444);
}

}  // namespace

void GitLargeBlobs::add(const Hash& hash, size_t content_bytes, PackedBlob blob) {
  remember(hash, {std::move(blob), GitDelta::identity(content_bytes)});
}

void GitLargeBlobs::remember(const Hash& hash, Version version) {
  if (!versions_.insert_or_assign(hash, std::move(version)).second) return;
  order_.push_back(hash);
  if (order_.size() <= limits::kLargeBlobVersionsMax) return;
  versions_.erase(order_.front());
  order_.pop_front();
}

Result<bool> GitLargeBlobs::write_change(const std::filesystem::path& folder,
                                         const model::FileEntry& earlier_entry, ByteView earlier,
                                         const Hash& target_hash, const GitId& id,
                                         ByteView target) {
  const auto known = versions_.find(earlier_entry.hash);
  if (known == versions_.end()) return false;
  const PackedBlob& base = known->second.base;
  if (differs_much(earlier, target)) return false;
  GitDelta from_base = GitDelta::between(earlier, target).after(known->second.from_base);
  if (from_base.cost() > std::min(limits::kGitDeltaBytesMax, target.size() / 8)) return false;
  std::optional<Bytes> base_entry = read_entry(base);
  if (!base_entry) return false;

  NOTP_ASSIGN(const Bytes changed, delta_entry(base_entry->size(), from_base));
  Bytes pack = format::pack_header(2);
  pack += *base_entry;
  const auto changed_offset = static_cast<uint32_t>(pack.size());
  pack += changed;
  format::Sha1 sha1;
  sha1.update(pack);
  const GitId checksum = sha1.finish();
  pack += format::view(checksum);
  const Bytes index = format::pack_index(
      {{base.id, base.crc, format::kHeaderBytes}, {id, format::crc_of(0, changed), changed_offset}},
      checksum);
  NOTP_TRY(write_pack(folder, pack, index, checksum));
  remember(target_hash, {base, std::move(from_base)});
  return true;
}

}  // namespace notp::registry
