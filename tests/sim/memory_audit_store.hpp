// An audit store in memory: segments are durable when they are synced, and a crash before that
// keeps all of an append() or nothing. Logs and faults are durable at once.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "common/random.hpp"
#include "notp-server/audit/audit_store.hpp"

namespace notp::sim {

// One thread. Questions of auditors have no place in a world: what they need is not there.
class MemoryAuditStore final : public audit::AuditStore {
 public:
  using SegmentPtr = std::shared_ptr<const audit::StoredSegment>;
  struct Log {
    audit::StoredLog state;
    std::vector<SegmentPtr> segments;  // in the order of their arrival
  };
  struct Image {
    std::map<record::LogId, Log> logs;
    std::vector<audit::StoredFault> faults;
  };

  Result<void> append(const std::vector<audit::StoredSegment>& segments) override;
  Result<void> put_log(const audit::StoredLog& log) override;
  Result<void> put_fault(const audit::StoredFault& fault) override;
  Result<std::vector<audit::StoredLog>> logs(const std::optional<record::LogId>& after,
                                             size_t max) const override;
  Result<std::vector<audit::StoredFault>> faults(const record::LogId& log) const override;
  Result<void> list(const Range& range, const Visit& visit) const override;
  Result<audit::StoredSegment> read(uint64_t key) const override;
  Result<audit::StoredSegment> find(const record::LogId& log,
                                    record::Position position) const override;
  std::vector<record::LogId> logs_by_prefix(ByteView prefix) const override;
  Result<void> redact(const std::vector<audit::Removal>& removals) override;
  std::vector<audit::StoreDamage> damages() const override { return {}; }

  void sync() { unsynced_.clear(); }
  void crash(Random& random);
  // What a crash now is certain to keep.
  Image durable() const;
  // The store as an operator puts it back.
  void restore(Image image);
  // Records of a log that a crash now is certain to keep.
  record::Position durable_size(const record::LogId& log) const;
  const Image& image() const { return image_; }

 private:
  // Takes appends that are not synced back, the newest first.
  void take_back(Image& image) const;

  Image image_;
  std::vector<audit::StoredLog> unsynced_;  // each as it was before a segment was appended
};

}  // namespace notp::sim
