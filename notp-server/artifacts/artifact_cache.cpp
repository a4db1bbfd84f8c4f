#include "notp-server/artifacts/artifact_cache.hpp"

#include "common/assert.hpp"

namespace notp {
namespace {

ReleaseContent side(const Snapshot& snapshot) {
  return {snapshot.envelope, snapshot.content.tree.get(), snapshot.content.loader()};
}

Hash id_of(const SnapshotPtr& base, const SnapshotPtr& target) {
  return artifact_id(base ? base->hash : Hash{}, target->hash);
}

Result<ArtifactPtr> encode(const Hash& id, const SnapshotPtr& base, const SnapshotPtr& target) {
  const ReleaseContent to = side(*target);
  if (!base) {
    NOTP_ASSIGN(Bytes bytes, encode_artifact(nullptr, to));
    return std::make_shared<const Artifact>(id, std::move(bytes));
  }
  const ReleaseContent from = side(*base);
  NOTP_ASSIGN(Bytes bytes, encode_artifact(&from, to));
  return std::make_shared<const Artifact>(id, std::move(bytes));
}

}  // namespace

Result<ArtifactPtr> ArtifactCache::get(const SnapshotPtr& base, const SnapshotPtr& target) {
  NOTP_ASSERT(!base || base->ledger == target->ledger, "an artifact stays within one ledger");
  const Hash id = id_of(base, target);
  std::unique_lock lock(mutex_);
  if (const auto kept = kept_.find(id); kept != kept_.end()) {
    ++counters_.hits;
    order_.splice(order_.begin(), order_, kept->second);
    return order_.front();
  }
  if (const auto found = flights_.find(id); found != flights_.end()) {
    ++counters_.joined;
    const std::shared_ptr<Flight> flight = found->second;
    landed_.wait(lock, [&] { return flight->done; });
    return flight->result;
  }
  ++counters_.misses;
  const auto flight = flights_.emplace(id, std::make_shared<Flight>()).first->second;
  lock.unlock();
  Result<ArtifactPtr> result = encode(id, base, target);
  lock.lock();
  if (result) keep(*result);
  flight->result = result;
  flight->done = true;
  flights_.erase(id);
  landed_.notify_all();
  return result;
}

ArtifactPtr ArtifactCache::peek(const SnapshotPtr& base, const SnapshotPtr& target) const {
  return peek(id_of(base, target));
}

ArtifactPtr ArtifactCache::peek(const Hash& id) const {
  const std::scoped_lock lock(mutex_);
  const auto kept = kept_.find(id);
  return kept == kept_.end() ? nullptr : *kept->second;
}

ArtifactCache::Counters ArtifactCache::counters() const {
  const std::scoped_lock lock(mutex_);
  return counters_;
}

void ArtifactCache::keep(const ArtifactPtr& artifact) {
  const size_t bytes = artifact->bytes.size();
  if (bytes > budget_bytes_) return;
  while (counters_.bytes + bytes > budget_bytes_) {
    const ArtifactPtr& last = order_.back();
    counters_.bytes -= last->bytes.size();
    --counters_.artifacts;
    ++counters_.evicted;
    kept_.erase(last->id);
    order_.pop_back();
  }
  order_.push_front(artifact);
  kept_.emplace(artifact->id, order_.begin());
  counters_.bytes += bytes;
  ++counters_.artifacts;
}

}  // namespace notp
