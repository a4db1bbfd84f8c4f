#include "protocol/serve/push_traces.hpp"

#include <algorithm>

namespace notp::serve {
namespace {

constexpr uint64_t kFnvOffset = 0xcbf29ce484222325, kFnvPrime = 0x100000001b3;

// FNV-1a, with a finish that spreads names which differ in their last digits: the same in every
// process.
uint64_t hash_of(std::string_view text) {
  uint64_t out = kFnvOffset;
  for (const char c : text) out = (out ^ static_cast<uint8_t>(c)) * kFnvPrime;
  out = (out ^ (out >> 30U)) * 0xbf58476d1ce4e5b9;
  out = (out ^ (out >> 27U)) * 0x94d049bb133111eb;
  return out ^ (out >> 31U);
}

}  // namespace

Span PushTraces::announce(const model::LedgerId& ledger, uint64_t version, const Span* publish,
                          TimeMs now_boot_ms) {
  const bool has_publish = publish != nullptr && publish->is_open();
  Span span = has_publish ? publish->child("announce") : tracer_.begin("announce");
  if (!span.is_sampled()) return span;
  span.set("notp.ledger", ledger.text());
  span.set("notp.version", version);
  const TraceContext place = *span.context();
  const MutexLock lock(mutex_);
  forget_old(now_boot_ms);
  announced_[ledger] = {version, place, choose(ledger, place.trace), now_boot_ms};
  return span;
}

std::set<uint64_t> PushTraces::choose(const model::LedgerId& ledger, const TraceId& trace) const {
  std::set<uint64_t> chosen;
  const uint64_t wanted = hash_of(ledger.text());
  auto at = nodes_.lower_bound(Sampler::trace_number(trace));
  for (size_t seen = 0; seen < nodes_.size() && chosen.size() < kTracedNodes; ++seen, ++at) {
    if (at == nodes_.end()) at = nodes_.begin();
    if (std::ranges::find(at->second.ledgers, wanted) != at->second.ledgers.end())
      chosen.insert(at->first);
  }
  return chosen;
}

void PushTraces::forget_old(TimeMs now_boot_ms) {
  std::erase_if(announced_, [&](const auto& entry) {
    return entry.second.since_ms + kTracedPushMs < now_boot_ms;
  });
  if (announced_.size() < kTracedPublishesMax) return;
  announced_.erase(std::ranges::min_element(
      announced_, {}, [](const auto& entry) { return entry.second.since_ms; }));
}

Span PushTraces::begin_push(const std::string& node, const model::LedgerId& ledger,
                            uint64_t version, TimeMs now_boot_ms) {
  const uint64_t number = hash_of(node);
  TraceContext place;
  {
    const MutexLock lock(mutex_);
    const auto found = announced_.find(ledger);
    if (found == announced_.end() || found->second.version != version ||
        found->second.since_ms + kTracedPushMs < now_boot_ms)
      return {};
    const Sampler& sampler = tracer_.sampler();
    const double rest = sampler.kind == Sampler::Kind::kRatio ? sampler.ratio : 0;
    const uint64_t chance =
        hash_of(node + to_hex(found->second.place.bytes().substr(0, sizeof(TraceId))));
    if (!found->second.chosen.contains(number) && !Sampler::is_within(chance, rest)) return {};
    place = found->second.place;
  }
  Span span = tracer_.begin("push", SpanKind::kProducer, place);
  span.set("notp.ledger", ledger.text());
  span.set("notp.version", version);
  return span;
}

void PushTraces::joined(const std::string& node, const std::vector<model::LedgerId>& ledgers) {
  std::vector<uint64_t> hashes;
  for (const model::LedgerId& ledger : ledgers) hashes.push_back(hash_of(ledger.text()));
  const MutexLock lock(mutex_);
  Node& known = nodes_[hash_of(node)];
  ++known.sessions;
  known.ledgers = std::move(hashes);
}

void PushTraces::left(const std::string& node) {
  const MutexLock lock(mutex_);
  const auto known = nodes_.find(hash_of(node));
  if (known != nodes_.end() && --known->second.sessions == 0) nodes_.erase(known);
}

void SessionPushes::joined(const std::string& node, const std::vector<model::LedgerId>& ledgers) {
  if (traces_ == nullptr || !node_.empty()) return;
  node_ = node;
  traces_->joined(node, ledgers);
}

void SessionPushes::began(const session::server_event::ArtifactNeeded& need, TimeMs now_boot_ms) {
  if (traces_ == nullptr || node_.empty() || !need.pending_hash.is_zero()) return;
  // The node may need the same release in another form: after an unclear inventory, or a failed
  // delta.
  if (find(need.ledger, need.version) != nullptr) return;
  pushes_.erase(need.ledger);
  Span span = traces_->begin_push(node_, need.ledger, need.version, now_boot_ms);
  if (span.is_open()) pushes_[need.ledger] = {need.version, std::move(span)};
}

Span* SessionPushes::find(const model::LedgerId& ledger, uint64_t version) {
  const auto found = pushes_.find(ledger);
  return found != pushes_.end() && found->second.version == version ? &found->second.span : nullptr;
}

Span SessionPushes::making(const session::server_event::ArtifactNeeded& need) {
  return child_of(find(need.ledger, need.version), "artifact");
}

void SessionPushes::sent(const session::server_event::ArtifactNeeded& need,
                         session::PreparedArtifact& artifact) {
  Span* const span = find(need.ledger, need.version);
  if (span == nullptr) return;
  span->set("notp.bytes", artifact.bytes->size());
  artifact.trace = span->context();
}

void SessionPushes::failed(const session::server_event::ArtifactNeeded& need, ErrorCode code) {
  Span* const span = find(need.ledger, need.version);
  if (span == nullptr) return;
  span->fail(code);
  pushes_.erase(need.ledger);
}

void SessionPushes::committed(const wire::Commit& commit) {
  if (commit.state == wire::CommitState::kStored) return;
  Span* const span = find(commit.ledger, commit.version);
  if (span == nullptr) return;
  if (commit.state == wire::CommitState::kRejected)
    span->set_code(commit.code != 0 ? commit.code : static_cast<uint32_t>(ErrorCode::kPdpRejected));
  pushes_.erase(commit.ledger);
}

void SessionPushes::closed(ErrorCode code) {
  for (auto& [ledger, push] : pushes_) push.span.fail(code);
  pushes_.clear();
  if (traces_ != nullptr && !node_.empty()) traces_->left(node_);
  node_.clear();
}

}  // namespace notp::serve
