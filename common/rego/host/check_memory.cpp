#include "common/rego/host/check_memory.hpp"

#include <algorithm>

#include "common/limits.hpp"

namespace notp::rego {

std::set<std::string> CheckMemory::keys_of(const CheckRequest& request) {
  std::set<std::string> keys;
  for (const auto& module : request.modules) keys.insert(facts_key(module));
  return keys;
}

CheckKnowledge CheckMemory::recall(const CheckRequest& request) {
  const auto keys = keys_of(request);
  CheckKnowledge knowledge;
  const MutexLock lock(mutex_);
  for (const auto& key : keys) {
    const auto known = facts_by_key_.find(key);
    if (known == facts_by_key_.end()) continue;
    facts_.splice(facts_.begin(), facts_, known->second);
    knowledge.facts.emplace_back(key, known->second->json);
  }
  // The entry with the most of these modules is an earlier version of this model.
  auto nearest = good_.end();
  size_t most = 0;
  for (auto at = good_.begin(); at != good_.end(); ++at) {
    const auto common = static_cast<size_t>(
        std::ranges::count_if(keys, [&](const auto& key) { return at->modules.contains(key); }));
    if (common <= most) continue;
    most = common;
    nearest = at;
  }
  if (nearest != good_.end()) {
    good_.splice(good_.begin(), good_, nearest);
    knowledge.good.assign(nearest->fingerprints.begin(), nearest->fingerprints.end());
  }
  return knowledge;
}

void CheckMemory::learn(const CheckRequest& request, const CheckKnowledge& recalled,
                        const CheckKnowledge& learnt) {
  Good good{keys_of(request), {learnt.good.begin(), learnt.good.end()}, 0};
  // A report names what it used. Other knowledge stays while it fits: it may be valid again after a
  // release is withdrawn. It is opaque, so its age is unknown.
  const size_t room = 2 * (good.modules.size() + good.fingerprints.size()) + 64;
  for (const auto& fingerprint : recalled.good) {
    if (good.fingerprints.size() >= room) break;
    good.fingerprints.insert(fingerprint);
  }
  for (const auto* texts : {&good.modules, &good.fingerprints})
    for (const auto& text : *texts) good.bytes += text.size() + 64;
  const MutexLock lock(mutex_);
  for (const auto& [key, json] : learnt.facts) keep_facts(key, json);
  while (facts_bytes_ > limits::kCheckFactsBytes) {
    facts_bytes_ -= facts_.back().bytes();
    facts_by_key_.erase(facts_.back().key);
    facts_.pop_back();
  }
  std::erase_if(good_, [&](const Good& each) NOTP_REQUIRES(mutex_) {
    if (each.modules != good.modules) return false;
    good_bytes_ -= each.bytes;
    return true;
  });
  good_bytes_ += good.bytes;
  good_.push_front(std::move(good));
  while (good_.size() > limits::kCheckGoodReports || good_bytes_ > limits::kCheckGoodBytes) {
    good_bytes_ -= good_.back().bytes;
    good_.pop_back();
  }
}

void CheckMemory::keep_facts(const std::string& key, const std::string& json) {
  const auto known = facts_by_key_.find(key);
  if (known != facts_by_key_.end()) {
    facts_bytes_ -= known->second->bytes();
    facts_.erase(known->second);
    facts_by_key_.erase(known);
  }
  facts_.push_front({key, json});
  facts_by_key_[key] = facts_.begin();
  facts_bytes_ += facts_.front().bytes();
}

}  // namespace notp::rego
