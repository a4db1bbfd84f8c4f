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

}  // namespace

Result<ArtifactPtr> ArtifactCache::get(const SnapshotPtr& base, const SnapshotPtr& target) {
  NOTP_ASSERT(!base || base->ledger == target->ledger, "an artifact stays within one ledger");
  return get(id_of(base, target), [&]() -> Result<Bytes> {
    const ReleaseContent to = side(*target);
    if (!base) return encode_artifact(nullptr, to);
    const ReleaseContent from = side(*base);
    return encode_artifact(&from, to);
  });
}

Result<ArtifactPtr> ArtifactCache::get(const ReleaseContent& part, const SnapshotPtr& target) {
  return get(artifact_id(part.tree->content_root(), target->hash),
             [&] { return encode_artifact(&part, side(*target)); });
}

Result<ArtifactPtr> ArtifactCache::get(const Hash& id,
                                       const std::function<Result<Bytes>()>& encode) {
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
  Result<ArtifactPtr> result;
  if (auto bytes = encode())
    result = std::make_shared<const Artifact>(id, std::move(*bytes));
  else
    result = std::unexpected(std::move(bytes).error());
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
