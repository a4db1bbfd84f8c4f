#include "common/rego/host/suspicion.hpp"

#include <algorithm>
#include <set>

#include "common/limits.hpp"

namespace notp::rego {
namespace {

constexpr std::string_view kEveryone;

std::string key_of_caller(const std::string& caller) { return "=" + caller; }

// Returns the caller for a notice: empty for all callers.
std::string caller_in(const std::string& key) {
  return key.substr(std::min<size_t>(1, key.size()));
}

}  // namespace

std::vector<bool> Suspicion::stopped(const std::vector<Offence>& offences, TimeMs now_ms,
                                     std::vector<QuarantineNotice>& notices) {
  // Several questions of one path that end one worker count as one offence.
  std::set<std::string> known;
  for (const Offence& offence : offences)
    if (is_suspect(offence.path, now_ms) ||
        find(offence.path, offence.caller) != quarantines_.end())
      known.insert(offence.path);
  std::set<Key> done;
  std::vector<bool> quarantined;
  for (const Offence& offence : offences) {
    quarantined.push_back(known.contains(offence.path));
    if (!done.emplace(offence.path, offence.caller).second) continue;
    suspect(offence.path, now_ms);
    if (!quarantined.back()) continue;
    const auto everyone = quarantines_.find({offence.path, std::string(kEveryone)});
    quarantine(everyone != quarantines_.end() ? everyone->first
                                              : Key{offence.path, key_of_caller(offence.caller)},
               offence, now_ms, notices);
    if (everyone == quarantines_.end() && callers_of(offence.path) >= limits::kQuarantineCallersMax)
      quarantine({offence.path, std::string(kEveryone)}, offence, now_ms, notices);
  }
  return quarantined;
}

void Suspicion::suspect(const std::string& path, TimeMs now_ms) {
  if (suspects_.size() >= limits::kSuspectsMax && !suspects_.contains(path))
    suspects_.erase(std::ranges::min_element(
        suspects_, {}, [](const auto& each) { return each.second.until_ms; }));
  suspects_[path] = {now_ms + limits::kSuspectMs, 0};
}

bool Suspicion::is_suspect(const std::string& path, TimeMs now_ms) {
  if (suspects_.empty()) return false;
  const auto found = suspects_.find(path);
  if (found == suspects_.end()) return false;
  if (now_ms < found->second.until_ms) return true;
  suspects_.erase(found);
  return false;
}

void Suspicion::answered(const std::string& path) {
  if (suspects_.empty()) return;
  const auto found = suspects_.find(path);
  if (found != suspects_.end() && ++found->second.clean_answers >= limits::kSuspectCleanAnswers)
    suspects_.erase(found);
}

void Suspicion::quarantine(const Key& key, const Offence& offence, TimeMs now_ms,
                           std::vector<QuarantineNotice>& notices) {
  if (!quarantines_.contains(key)) make_room(notices);
  Quarantine& entry = quarantines_[key];
  entry.for_ms = entry.for_ms == 0 ? limits::kQuarantineFirstMs
                                   : std::min(2 * entry.for_ms, limits::kQuarantineMaxMs);
  entry.until_ms = now_ms + entry.for_ms;
  entry.probing = false;
  entry.ledger = offence.ledger;
  entry.reason = offence.reason;
  notices.push_back(
      {offence.path, offence.ledger, caller_in(key.second), offence.reason, entry.for_ms});
}

size_t Suspicion::callers_of(const std::string& path) const {
  size_t count = 0;
  for (auto at = quarantines_.lower_bound({path, {}});
       at != quarantines_.end() && at->first.first == path; ++at)
    ++count;
  return count;
}

Suspicion::Quarantines::iterator Suspicion::find(const std::string& path,
                                                 const std::string& caller) {
  if (quarantines_.empty()) return quarantines_.end();
  const auto everyone = quarantines_.find({path, std::string(kEveryone)});
  return everyone != quarantines_.end() ? everyone
                                        : quarantines_.find({path, key_of_caller(caller)});
}

Suspicion::Verdict Suspicion::admit(const std::string& path, const std::string& caller,
                                    TimeMs now_ms) {
  const auto found = find(path, caller);
  if (found == quarantines_.end()) return {};
  Quarantine& entry = found->second;
  if (now_ms >= entry.until_ms && !entry.probing) {
    entry.probing = true;
    return {Admission::kProbe, 0, {}};
  }
  return {Admission::kRefused, std::max<int64_t>(entry.until_ms - now_ms, 1), entry.reason};
}

void Suspicion::probe_ended(const std::string& path, const std::string& caller, bool passed,
                            std::vector<QuarantineNotice>& notices) {
  const auto found = find(path, caller);
  if (found == quarantines_.end()) return;
  found->second.probing = false;
  if (!passed) return;
  if (found->first.second != kEveryone) {
    end(found, notices);
    return;
  }
  for (auto at = quarantines_.lower_bound({path, {}});
       at != quarantines_.end() && at->first.first == path;)
    at = end(at, notices);
}

void Suspicion::release_changed(const std::string& ledger, std::vector<QuarantineNotice>& notices) {
  for (auto at = quarantines_.begin(); at != quarantines_.end();)
    at = at->second.ledger == ledger ? end(at, notices) : std::next(at);
}

Suspicion::Quarantines::iterator Suspicion::end(Quarantines::iterator ended,
                                                std::vector<QuarantineNotice>& notices) {
  notices.push_back({ended->first.first, ended->second.ledger, caller_in(ended->first.second),
                     "it has ended", 0});
  return quarantines_.erase(ended);
}

void Suspicion::make_room(std::vector<QuarantineNotice>& notices) {
  if (quarantines_.size() < limits::kQuarantinesMax) return;
  end(std::ranges::min_element(quarantines_, {},
                               [](const auto& each) { return each.second.until_ms; }),
      notices);
}

}  // namespace notp::rego
