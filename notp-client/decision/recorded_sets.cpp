#include "notp-client/decision/recorded_sets.hpp"

#include <algorithm>

#include "notp-client/decision/decision_limits.hpp"

namespace notp::decision {
namespace {

bool is_at_or_below(const PathSegments& path, const PathSegments& front) {
  return path.size() >= front.size() && std::equal(front.begin(), front.end(), path.begin());
}

std::vector<PathSegments> all_segments(const std::vector<std::string>& paths) {
  std::vector<PathSegments> out;
  out.reserve(paths.size());
  for (const std::string& path : paths) out.push_back(pdp::path_segments(path));
  return out;
}

const PathSegments* longest(const std::vector<PathSegments>& fronts, const PathSegments& path) {
  const PathSegments* found = nullptr;
  for (const PathSegments& front : fronts)
    if (is_at_or_below(path, front) && (!found || front.size() > found->size())) found = &front;
  return found;
}

// The masks with their counts, which outlive a set: a node gets a new one whenever the freshness of
// a release changes.
std::shared_ptr<LedgerMasks> masks_of(const std::string& ledger,
                                      const std::shared_ptr<const model::DecisionTerms>& terms,
                                      const std::vector<RecordedSetPtr>& known) {
  if (!terms || terms->mask.empty()) return nullptr;
  for (const RecordedSetPtr& set : known)
    for (const RecordedLedger& one : set->ledgers)
      if (one.masks && one.masks->terms == terms) return one.masks;
  auto masks = std::make_shared<LedgerMasks>();
  masks->ledger = ledger;
  masks->terms = terms;
  masks->rules = MaskRules::from_terms(terms->mask);
  return masks;
}

}  // namespace

// Writes only what is new: all threads share it.
void LedgerMasks::count(uint64_t bits) {
  if (!was_used.load(std::memory_order_relaxed)) was_used.store(true, std::memory_order_relaxed);
  if ((bits & ~matched.load(std::memory_order_relaxed)) != 0)
    matched.fetch_or(bits, std::memory_order_relaxed);
}

bool RecordedLedger::owns(const PathSegments& path) const {
  return longest(roots, path) != nullptr;
}

const PathSegments* RecordedLedger::dropped(const PathSegments& path) const {
  const PathSegments* const found = longest(drop, path);
  const PathSegments* const kept = longest(strict, path);
  return found && (!kept || kept->size() < found->size()) ? found : nullptr;
}

bool RecordedLedger::is_strict(const PathSegments& path) const {
  return std::ranges::any_of(strict, [&](const PathSegments& front) {
    return is_at_or_below(path, front) || is_at_or_below(front, path);
  });
}

const RecordedLedger* RecordedSet::owner(const PathSegments& path) const {
  for (const RecordedLedger& ledger : ledgers)
    if (ledger.owns(path)) return &ledger;
  return nullptr;
}

std::vector<const RecordedLedger*> RecordedSet::concerned(const PathSegments& path) const {
  if (const RecordedLedger* const one = owner(path)) return {one};
  std::vector<const RecordedLedger*> below, all;
  for (const RecordedLedger& ledger : ledgers) {
    all.push_back(&ledger);
    if (std::ranges::any_of(ledger.roots,
                            [&](const PathSegments& root) { return is_at_or_below(root, path); }))
      below.push_back(&ledger);
  }
  return below.empty() ? all : below;
}

RecordedSets::RecordedSets(std::string engine, std::function<std::string()> engine_version,
                           std::shared_ptr<const MaskRules> tokens)
    : engine_(std::move(engine)),
      engine_version_(std::move(engine_version)),
      tokens_(std::move(tokens)) {}

RecordedSetPtr RecordedSets::of(const pdp::ActiveSetPtr& active) {
  if (!active) return unknown_;
  const auto find = [&](const Known& known) -> RecordedSetPtr {
    const auto found =
        std::ranges::find(known, active, [](const auto& set) { return set->source; });
    return found == known.end() ? nullptr : *found;
  };
  if (auto found = find(*known_.get())) return found;
  const MutexLock lock(changing_);
  Known known = *known_.get();
  if (auto found = find(known)) return found;
  RecordedSetPtr made = make(active, known);
  known.insert(known.begin(), made);
  if (known.size() > limits::kRecordedSetsMax) known.pop_back();
  known_.set(std::make_shared<const Known>(std::move(known)));
  return made;
}

RecordedSetPtr RecordedSets::make(const pdp::ActiveSetPtr& active, const Known& known) const {
  auto set = std::make_shared<RecordedSet>();
  set->source = active;
  set->for_log = describe(*active, known);
  set->tokens = tokens_;
  for (const auto& [ledger, release] : active->ledgers) {
    RecordedLedger one{.name = ledger.text(),
                       .roots = all_segments(release.data_roots),
                       .masks = masks_of(ledger.text(), release.terms, known)};
    if (release.terms) {
      one.strict = all_segments(release.terms->strict);
      one.drop = all_segments(release.terms->drop);
    }
    set->ledgers.push_back(std::move(one));
  }
  return set;
}

spool::ActiveSetPtr RecordedSets::describe(const pdp::ActiveSet& active, const Known& known) const {
  auto out = std::make_shared<record::ActiveSet>();
  for (const auto& [ledger, release] : active.ledgers)
    out->releases.push_back(
        {release.ref, std::string(trust::freshness_state_name(release.freshness_status.state))});
  out->engine = engine_;
  if (engine_version_) out->engine_version = engine_version_();
  out->revision = active.revision();
  out->system = json::serialize(active.system_document());
  for (const RecordedSetPtr& set : known)
    if (*set->for_log == *out) return set->for_log;
  return out;
}

std::vector<UnmatchedMask> RecordedSets::take_unmatched() {
  std::vector<UnmatchedMask> out;
  std::vector<const LedgerMasks*> seen;
  const auto known = known_.get();
  for (const RecordedSetPtr& set : *known) {
    for (const RecordedLedger& one : set->ledgers) {
      LedgerMasks* const masks = one.masks.get();
      if (!masks || std::ranges::find(seen, masks) != seen.end()) continue;
      seen.push_back(masks);
      const uint64_t matched = masks->matched.exchange(0);
      if (!masks->was_used.exchange(false)) continue;
      for (size_t i = 0; i < masks->terms->mask.size(); ++i)
        if ((matched >> i & 1) == 0) out.push_back({masks->ledger, masks->terms->mask[i].pointer});
    }
  }
  return out;
}

std::string recorded_path(const PathSegments& path) {
  std::string out;
  for (const std::string& segment : path) {
    if (!out.empty()) out.push_back('/');
    for (const char byte : segment) {
      if (byte == '/' || byte == '%')
        out += byte == '/' ? "%2F" : "%25";
      else
        out.push_back(byte);
    }
  }
  return out;
}

}  // namespace notp::decision
