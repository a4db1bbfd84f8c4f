#include "protocol/serve/artifact_cache.hpp"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "common/assert.hpp"
#include "protocol/serve/background_thread.hpp"

namespace notp::serve {
namespace {

constexpr size_t kFirst = 0;
constexpr size_t kSmaller = 1;

Hash hash_of(const delta::HeldReleasePtr& release) {
  return release ? release->ref.release_hash : Hash{};
}

Hash key_of(const delta::HeldReleasePtr& base, const delta::HeldReleasePtr& target) {
  return delta::artifact_id(hash_of(base), target->ref.release_hash);
}

Result<Bytes> encode(const delta::HeldReleasePtr& base, const delta::HeldReleasePtr& target,
                     const delta::EncodeOptions& options) {
  if (!base) return delta::encode_artifact(nullptr, target->side(), options);
  const delta::ReleaseContent from = base->side();
  return delta::encode_artifact(&from, target->side(), options);
}

}  // namespace

ArtifactCache::ArtifactCache(size_t budget_bytes, int recompress_level)
    : budget_bytes_(budget_bytes), recompress_level_(recompress_level) {
  if (recompress_level_ > 0) keeper_ = std::thread([this] { recompress_loop(); });
}

ArtifactCache::~ArtifactCache() { stop_recompressing(); }

Result<ArtifactPtr> ArtifactCache::get(const delta::HeldReleasePtr& base,
                                       const delta::HeldReleasePtr& target, const Hash& resume) {
  NOTP_ASSERT(!base || base->ref.ledger == target->ref.ledger,
              "an artifact stays within one ledger");
  return get(key_of(base, target), resume,
             {.base = base,
              .target = target,
              .full = base == nullptr,
              .ledger = target->ref.ledger,
              .version = target->release.version},
             [&] { return encode(base, target, {}); });
}

Result<ArtifactPtr> ArtifactCache::get(const delta::ReleaseContent& part,
                                       const delta::HeldReleasePtr& target) {
  return get(delta::artifact_id(part.tree->content_root(), target->ref.release_hash), {},
             {.ledger = target->ref.ledger, .version = target->release.version, .settled = true},
             [&] { return delta::encode_artifact(&part, target->side()); });
}

Result<ArtifactPtr> ArtifactCache::get(const Hash& pair, const Hash& resume, Entry fresh,
                                       const std::function<Result<Bytes>()>& encode) {
  MutexLock lock(mutex_);
  if (const auto kept = entries_.find(pair); kept != entries_.end())
    return hand_out(pair, kept->second, resume);
  if (const auto found = flights_.find(pair); found != flights_.end()) {
    ++counters_.joined;
    const std::shared_ptr<Flight> flight = found->second;
    while (!flight->done) landed_.wait(lock);
    if (const auto kept = entries_.find(pair); kept != entries_.end()) ask(pair, kept->second);
    return flight->result;
  }
  ++counters_.misses;
  const auto flight = flights_.emplace(pair, std::make_shared<Flight>()).first->second;
  gate_->begin_urgent();
  lock.unlock();
  if (auto bytes = encode())
    flight->result = std::make_shared<const Artifact>(pair, std::move(*bytes));
  else
    flight->result = std::unexpected(std::move(bytes).error());
  lock.lock();
  gate_->end_urgent();
  wake_.notify_one();
  if (flight->result && (*flight->result)->bytes.size() <= budget_bytes_)
    ask(pair, keep(pair, std::move(fresh), *flight->result));
  flight->done = true;
  flights_.erase(pair);
  landed_.notify_all();
  return flight->result;
}

ArtifactPtr ArtifactCache::find(const ArtifactPair& pair, const Hash& resume) {
  const Hash key = delta::artifact_id(pair.base, pair.target);
  const MutexLock lock(mutex_);
  const auto kept = entries_.find(key);
  return kept == entries_.end() ? nullptr : hand_out(key, kept->second, resume);
}

ArtifactPtr ArtifactCache::peek(const delta::HeldReleasePtr& base,
                                const delta::HeldReleasePtr& target, const Hash& resume) const {
  const MutexLock lock(mutex_);
  const auto kept = entries_.find(key_of(base, target));
  if (kept == entries_.end()) return nullptr;
  ArtifactPtr best;
  for (const auto& encoding : kept->second.encodings) {
    if (!encoding) continue;
    best = (*encoding)->artifact;
    if (best->id == resume) break;
  }
  return best;
}

void ArtifactCache::drop_superseded() {
  const MutexLock lock(mutex_);
  std::vector<Order::iterator> unused;
  for (auto& [pair, entry] : entries_) {
    if (entry.version >= newest_.at(entry.ledger) || ++entry.rounds < kSupersededRounds) continue;
    for (const auto& encoding : entry.encodings)
      if (encoding) unused.push_back(*encoding);
  }
  counters_.superseded += unused.size();
  for (const Order::iterator kept : unused) drop(kept);
}

// --- with the mutex held

ArtifactPtr ArtifactCache::hand_out(const Hash& pair, Entry& entry, const Hash& resume) {
  ++counters_.hits;
  ask(pair, entry);
  auto chosen = entry.encodings[kSmaller] ? entry.encodings[kSmaller] : entry.encodings[kFirst];
  for (const auto& encoding : entry.encodings)
    if (encoding && (*encoding)->artifact->id == resume) chosen = encoding;
  order_.splice(order_.begin(), order_, *chosen);
  const ArtifactPtr& artifact = order_.front().artifact;
  if (artifact->encoding_tier != 0)
    counters_.saved_bytes += entry.first_bytes - artifact->bytes.size();
  return artifact;
}

void ArtifactCache::ask(const Hash& pair, Entry& entry) {
  ++entry.asked;
  entry.rounds = 0;
  if (!worth_recompressing(entry)) return;
  if (job_ && job_->pair == pair) return;
  candidates_.erase({entry.asked - 1, pair});
  candidates_.emplace(entry.asked, pair);
  counters_.recompress_waiting = candidates_.size();
  wake_.notify_one();
  changed_.notify_all();
}

bool ArtifactCache::worth_recompressing(const Entry& entry) const {
  const uint64_t enough = entry.full ? limits::kRecompressFullAfter : limits::kRecompressAfter;
  return recompress_level_ > 0 && !stopping_ && !entry.settled && entry.asked >= enough &&
         entry.first_bytes >= limits::kRecompressBytesMin;
}

void ArtifactCache::settle(const Hash& pair, Entry& entry) {
  entry.settled = true;
  candidates_.erase({entry.asked, pair});
  counters_.recompress_waiting = candidates_.size();
}

ArtifactCache::Entry& ArtifactCache::keep(const Hash& pair, Entry fresh,
                                          const ArtifactPtr& artifact) {
  Entry& entry = entries_[pair] = std::move(fresh);
  entry.first_bytes = artifact->bytes.size();
  uint64_t& newest = newest_[entry.ledger];
  newest = std::max(newest, entry.version);
  insert(pair, entry, artifact);
  return entry;
}

// The artifact fits the budget, so it is not evicted itself.
void ArtifactCache::insert(const Hash& pair, Entry& entry, const ArtifactPtr& artifact) {
  order_.push_front({pair, artifact});
  entry.encodings[artifact->encoding_tier == 0 ? kFirst : kSmaller] = order_.begin();
  counters_.bytes += artifact->bytes.size();
  ++counters_.artifacts;
  while (counters_.bytes > budget_bytes_) {
    ++counters_.evicted;
    drop(std::prev(order_.end()));
  }
}

void ArtifactCache::drop(Order::iterator kept) {
  counters_.bytes -= kept->artifact->bytes.size();
  --counters_.artifacts;
  const auto found = entries_.find(kept->pair);
  Entry& entry = found->second;
  entry.encodings[kept->artifact->encoding_tier == 0 ? kFirst : kSmaller].reset();
  order_.erase(kept);
  if (entry.encodings[kFirst] || entry.encodings[kSmaller]) return;
  if (candidates_.contains({entry.asked, found->first})) ++counters_.recompress_abandoned;
  settle(found->first, entry);
  if (job_ && job_->pair == found->first) gate_->drop();
  entries_.erase(found);
}

// --- recompression

// The first call decides.
void ArtifactCache::Job::end(State with) {
  uint32_t expected = kRunning;
  state.compare_exchange_strong(expected, with);
  state.notify_all();
}

void ArtifactCache::recompress_loop() {
  MutexLock lock(mutex_);
  for (;;) {
    while (!stopping_ && (!gate_->is_open() || candidates_.empty())) wake_.wait(lock);
    if (stopping_) return;
    JobPtr job = next_job();
    changed_.notify_all();
    if (!job) continue;
    const Hash pair = job->pair;
    lock.unlock();
    const Result<ArtifactPtr> made = recompress(job);
    lock.lock();
    job_.reset();
    take_in(pair, made);
    changed_.notify_all();
    lock.unlock();
    job.reset();  // may hold the last references to its snapshots
    lock.lock();
  }
}

// Returns the most wanted candidate and settles it: it is tried once. Null when it is not useful
// any more.
ArtifactCache::JobPtr ArtifactCache::next_job() {
  const Hash pair = candidates_.rbegin()->second;
  Entry& entry = entries_.at(pair);
  settle(pair, entry);
  auto job = std::make_shared<Job>();
  job->pair = pair;
  job->base = entry.base.lock();
  job->target = entry.target.lock();
  const bool in_memory = job->target && (job->base || entry.full);
  if (!in_memory || newest_.at(entry.ledger) != entry.version) {
    ++counters_.recompress_abandoned;
    return nullptr;
  }
  job->options = {.level = recompress_level_,
                  .keep_going = [gate = gate_] { return gate->go_on(); }};
  counters_.recompressing = 1;
  gate_->renew();
  return job_ = job;
}

Result<ArtifactPtr> ArtifactCache::recompress(const JobPtr& job) {
  NOTP_TRY(start_background([job] {
    if (job->options.keep_going()) {
      job->bytes = encode(job->base, job->target, job->options);
      job->end(Job::kMade);
    } else {
      job->end(Job::kAbandoned);
    }
  }));
  job->state.wait(Job::kRunning);
  if (job->state == Job::kAbandoned)
    return fail(ErrorCode::kCancelled, "recompression was stopped");
  if (!job->bytes) return std::unexpected(job->bytes.error());
  const auto encoding_tier = static_cast<uint32_t>(job->options.level);
  return std::make_shared<const Artifact>(
      delta::artifact_id(hash_of(job->base), job->target->ref.release_hash, encoding_tier),
      std::move(*job->bytes), encoding_tier);
}

void ArtifactCache::take_in(const Hash& pair, const Result<ArtifactPtr>& made) {
  counters_.recompressing = 0;
  const auto found = entries_.find(pair);
  if (!made || found == entries_.end()) {
    ++counters_.recompress_abandoned;
  } else if ((*made)->bytes.size() >= found->second.first_bytes) {
    ++counters_.recompressed_in_vain;
  } else {
    ++counters_.recompressed;
    insert(pair, found->second, *made);
  }
}

void ArtifactCache::stop_recompressing() {
  const MutexLock one(stop_mutex_);
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    counters_.recompress_abandoned += candidates_.size();
    candidates_.clear();
    counters_.recompress_waiting = 0;
    gate_->stop();
    if (job_) job_->end(Job::kAbandoned);
  }
  wake_.notify_all();
  changed_.notify_all();
  if (keeper_.joinable()) keeper_.join();
}

ArtifactCache::Counters ArtifactCache::counters() const {
  const MutexLock lock(mutex_);
  return counters_;
}

void ArtifactCache::wait_until(const std::function<bool(const Counters&)>& so) const {
  MutexLock lock(mutex_);
  while (!so(counters_)) changed_.wait(lock);
}

}  // namespace notp::serve
