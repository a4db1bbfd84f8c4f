// The registry's tree on a disk in memory: each append is durable at once. A copy of its image is a
// backup.
#pragma once

#include <map>

#include "notp-server/audit_tree/tree_store.hpp"

namespace notp::sim {

// One thread.
class MemoryTreeStore final : public audit::TreeStore {
 public:
  struct Image {
    std::vector<Bytes> entries;
    std::map<std::pair<uint32_t, uint64_t>, audit::Tile> tiles;
    std::map<uint64_t, audit::SealedCheckpoint> checkpoints;  // all, by size
    std::vector<audit::LogLeaf> leaves;
  };

  Result<void> append(const audit::TreeGrowth& growth) override;
  Result<void> put_note(const audit::SealedCheckpoint& checkpoint) override;
  Result<audit::Tile> tile(uint32_t level, uint64_t index) const override;
  Result<std::vector<Bytes>> entries(uint64_t first, uint64_t end, size_t bytes_max) const override;
  Result<std::optional<audit::SealedCheckpoint>> newest() const override;
  Result<std::optional<audit::SealedCheckpoint>> newest_cosigned() const override;
  Result<std::optional<audit::SealedCheckpoint>> checkpoint(uint64_t size) const override;
  Result<std::optional<audit::SealedCheckpoint>> first_above(uint64_t size) const override;
  Result<std::optional<audit::LogLeaf>> leaf_of(const record::LogId& log,
                                                uint64_t size) const override;
  Result<std::vector<audit::LogLeaf>> newest_leaves() const override;

  const Image& image() const { return image_; }
  void restore(Image image) { image_ = std::move(image); }

 private:
  Image image_;
};

}  // namespace notp::sim
