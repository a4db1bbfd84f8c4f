#include "tests/sim/sim_session.hpp"

#include <algorithm>
#include <iterator>

#include "common/limits.hpp"

namespace notp::sim {

std::string_view conduct_name(Conduct conduct) {
  constexpr std::string_view kNames[] = {"honest",         "lags",         "tampers",
                                         "silent",         "replays",      "replays_other",
                                         "old_roots",      "forged_root",  "foreign_root",
                                         "forged_release", "twin_release", "stolen_freshness"};
  return kNames[static_cast<size_t>(conduct)];
}

// --- catalog

SimCatalog::SimCatalog(const SimRegistry& registry, Conduct conduct, Lag lag)
    : registry_(registry), conduct_(conduct), lag_(lag) {
  if (conduct == Conduct::kTwinRelease) shadow_ = &registry.twins();
  if (conduct == Conduct::kForgedRelease) shadow_ = &registry.forgeries();
}

uint64_t SimCatalog::newest_version(const model::LedgerId& ledger) const {
  const PublishedRelease* head = registry_.head(ledger);
  const uint64_t version = head ? head->release.version : 0;
  return version > lag_.releases ? version - lag_.releases : 0;
}

const PublishedRelease* SimCatalog::find(const model::LedgerId& ledger, uint64_t version) const {
  if (version > newest_version(ledger)) return nullptr;
  if (shadow_) {
    const auto found = shadow_->find({ledger, version});
    if (found != shadow_->end()) return &found->second;
  }
  return registry_.find(ledger, version);
}

std::optional<trust::ReleaseRef> SimCatalog::target(const model::LedgerId& ledger,
                                                    std::string_view reader) const {
  const uint64_t newest = newest_version(ledger);
  return release(ledger, std::min(newest, registry_.held_at(ledger, reader).value_or(newest)));
}

std::string SimCatalog::ring(const model::LedgerId& ledger, std::string_view reader) const {
  const auto held = registry_.held_at(ledger, reader);
  return held ? std::to_string(*held) : "";
}

std::optional<trust::ReleaseRef> SimCatalog::release(const model::LedgerId& ledger,
                                                     uint64_t version) const {
  const PublishedRelease* found = find(ledger, version);
  if (!found) return std::nullopt;
  return trust::ref_of(found->release, found->hash);
}

uint64_t SimCatalog::genuine_root() const {
  const uint64_t newest = registry_.known_root();
  return newest > lag_.roots ? newest - lag_.roots : 1;
}

bool SimCatalog::bends_roots() const {
  return conduct_ == Conduct::kOldRoots || conduct_ == Conduct::kForgedRoot ||
         conduct_ == Conduct::kForeignRoot;
}

// One more than exists: the session then asks for the root after the peer's newest.
uint64_t SimCatalog::newest_root() const { return genuine_root() + (bends_roots() ? 1 : 0); }

std::vector<session::CatalogRoot> SimCatalog::roots_after(uint64_t version) const {
  std::vector<session::CatalogRoot> out;
  const SimTrust& trust = registry_.trust();
  const auto give = [&](uint64_t as, Bytes envelope, bool new_key = false) {
    out.push_back({as, std::make_shared<const Bytes>(std::move(envelope)), new_key});
  };
  if (conduct_ == Conduct::kOldRoots)
    for (uint64_t old = 1; old <= std::min(version, genuine_root()); ++old)
      give(version + 1, trust.envelope(old));
  for (uint64_t next = version + 1; next <= genuine_root(); ++next)
    give(next, trust.envelope(next),
         next > 1 && trust.freshness_key(next) != trust.freshness_key(next - 1));
  if (conduct_ == Conduct::kForgedRoot || conduct_ == Conduct::kForeignRoot)
    give(newest_root(),
         trust.forged_root(genuine_root(), conduct_ == Conduct::kForgedRoot ? 1 : 0));
  return out;
}

// --- freshness

Result<std::pair<trust::Freshness, Bytes>> SimFreshness::sign(trust::Freshness listed,
                                                              uint64_t sequence_min,
                                                              Now now) const {
  trust::Freshness out = listed;
  out.trust_domain = kTrustDomain;
  out.sequence = std::max(sequence_min, static_cast<uint64_t>(now.wall_ms));
  out.root_version = catalog_.genuine_root();
  out.issued_ms = now.wall_ms;
  out.expires_ms = now.wall_ms + kSimLifetimeMs;
  for (trust::FreshHead& head : out.heads) head = registry_.fresh_head(head.ledger, head.version);
  size_t key = registry_.trust().freshness_key(out.root_version);
  if (conduct_ == Conduct::kStolenFreshness && theft_.freshness_key) {
    key = *theft_.freshness_key;
    lie(out);
  }
  if (out.sequence > limits::kVersionMax) return fail(ErrorCode::kLimit, "no sequence is left");
  std::pair statement{out, registry_.trust().sign_freshness(out, key)};
  const bool replays = conduct_ == Conduct::kReplays || conduct_ == Conduct::kReplaysOther;
  if (replays && random_.below(4) != 0) return replay(listed);
  if (out.class_id)
    recordings_.of_classes[*out.class_id].push_back(statement);
  else
    recordings_.statements[out.audience].push_back(statement);
  if (conduct_ == Conduct::kSilent) return fail(ErrorCode::kUnavailable, "kept back");
  sent_ = out.sequence;
  return statement;
}

bool SimFreshness::holds(const trust::Freshness& statement) const {
  return statement.root_version == catalog_.genuine_root() &&
         std::ranges::all_of(statement.heads, [this](const trust::FreshHead& head) {
           return head.withdrawn == registry_.fresh_head(head.ledger, head.version).withdrawn;
         });
}

namespace {

// Another key's entry at times, else the one that is asked for; null: there is none.
template <typename Map>
const typename Map::mapped_type* heard_of(const Map& map, const typename Map::key_type& key,
                                          bool another, SeededRandom& random) {
  auto whose = map.find(key);
  if (another && !map.empty())
    whose = std::next(map.begin(), static_cast<ptrdiff_t>(random.below(map.size())));
  return whose == map.end() ? nullptr : &whose->second;
}

// Half the time a recent one that has not expired.
template <typename Heard>
const Heard& some_of(const std::vector<Heard>& heard, SeededRandom& random) {
  const size_t all = heard.size(), recent = std::min<size_t>(all, 3);
  return heard[all - 1 - random.below(random.below(2) == 0 ? recent : all)];
}

}  // namespace

// Within a session each update builds on the one before, so only the first one can have any age.
Result<std::pair<trust::Freshness, Bytes>> SimFreshness::replay(
    const trust::Freshness& wanted) const {
  const bool another = conduct_ == Conduct::kReplaysOther;
  const auto* const whose =
      wanted.class_id ? heard_of(recordings_.of_classes, *wanted.class_id, another, random_)
                      : heard_of(recordings_.statements, wanted.audience, another, random_);
  if (whose == nullptr) return fail(ErrorCode::kNotFound, "nothing was heard yet");
  auto heard = some_of(*whose, random_);
  if (heard.first.sequence <= sent_) return fail(ErrorCode::kNotFound, "nothing to go on with");
  sent_ = heard.first.sequence;
  heard.first.class_id = wanted.class_id;  // which is not in the frame
  return heard;
}

Result<std::pair<trust::Assignment, Bytes>> SimFreshness::sign(trust::Assignment assigned,
                                                               uint64_t sequence_min,
                                                               Now now) const {
  assigned.trust_domain = kTrustDomain;
  assigned.sequence = std::max(sequence_min, static_cast<uint64_t>(now.wall_ms));
  assigned.root_version = catalog_.genuine_root();
  assigned.issued_ms = now.wall_ms;
  assigned.expires_ms = now.wall_ms + kSimAssignmentMs;
  size_t key = registry_.trust().freshness_key(assigned.root_version);
  if (conduct_ == Conduct::kStolenFreshness && theft_.freshness_key) {
    key = *theft_.freshness_key;
    lie(assigned);
  }
  if (assigned.sequence > limits::kVersionMax) return fail(ErrorCode::kLimit, "none is left");
  const bool replays = conduct_ == Conduct::kReplays || conduct_ == Conduct::kReplaysOther;
  if (replays && random_.below(2) != 0)
    if (const auto* const whose = heard_of(recordings_.assignments, assigned.audience,
                                           conduct_ == Conduct::kReplaysOther, random_))
      return some_of(*whose, random_);
  std::pair made{assigned, registry_.trust().sign_assignment(assigned, key)};
  recordings_.assignments[assigned.audience].push_back(made);
  return made;
}

void SimFreshness::lie(trust::Assignment& assignment) const {
  switch (random_.below(6)) {
    case 0:  // the class of others
      if (!recordings_.of_classes.empty())
        assignment.class_id =
            std::next(recordings_.of_classes.begin(),
                      static_cast<ptrdiff_t>(random_.below(recordings_.of_classes.size())))
                ->first;
      break;
    case 1:  // too high for any honest sequence to follow
      assignment.sequence = std::max(assignment.sequence, limits::kVersionMax - random_.below(3));
      break;
    case 2:
      assignment.expires_ms = assignment.issued_ms + limits::kAssignmentLifetimeMsMax;
      break;
    default:
      break;
  }
}

void SimFreshness::lie(trust::Freshness& statement) const {
  trust::FreshHead& head = statement.heads[random_.below(statement.heads.size())];
  switch (random_.below(8)) {
    case 0:
      statement.heads.pop_back();
      break;
    case 1:  // a head that was never published
      head.version += 1 + random_.below(1'000);
      head.epoch = std::max<uint64_t>(head.epoch, 1);
      head.release_hash = sha256(std::to_string(random_.next_u64()));
      break;
    case 2:  // too high for any honest sequence to follow
      statement.sequence = std::max(statement.sequence, limits::kVersionMax - random_.below(3));
      break;
    case 3:  // an older head
      head = registry_.fresh_head(head.ledger, head.version > 1 ? head.version - 1 : 0);
      break;
    case 4:  // nothing was withdrawn
      for (trust::FreshHead& each : statement.heads) each.withdrawn.clear();
      break;
    case 5:  // everything is withdrawn
      if (head.version > 0) head.withdrawn = {head.release_hash};
      break;
    case 6:  // attests in advance
      statement.issued_ms += limits::kClockSkewMs / 2;
      statement.expires_ms = statement.issued_ms + limits::kFreshnessLifetimeMsMax;
      break;
    default:  // valid for very long
      statement.expires_ms = statement.issued_ms + limits::kFreshnessLifetimeMsMax;
  }
}

}  // namespace notp::sim
