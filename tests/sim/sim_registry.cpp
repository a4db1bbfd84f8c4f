#include "tests/sim/sim_registry.hpp"

#include <fmt/format.h>

#include <optional>

#include "common/assert.hpp"
#include "common/limits.hpp"

namespace notp::sim {
namespace {

void put(model::Files& files, model::BlobMap& blobs, const std::string& path, std::string text) {
  const Hash hash = model::blob_hash(text);
  files[path] = {hash, text.size()};
  blobs[hash] = std::make_shared<const Bytes>(std::move(text));
}

}  // namespace

SimRegistry::SimRegistry(std::vector<model::LedgerId> ledgers, SimTerms terms, SeededRandom& random)
    : ledgers_(std::move(ledgers)), terms_(terms), random_(random), trust_(random) {}

model::ModelContent SimRegistry::change(const model::LedgerId& ledger,
                                        const model::ModelContent& content) {
  model::Files files = content.tree ? content.tree->files() : model::Files{};
  model::BlobMap blobs;  // the new ones: the registry has the others
  const uint64_t edits = 1 + random_.below(3);
  for (uint64_t i = 0; i < edits; ++i) {
    const std::string path = fmt::format("p{}/f{}.rego", random_.below(3), random_.below(4));
    if (files.size() > 1 && random_.below(5) == 0) {
      files.erase(path);
    } else {
      const std::string line = fmt::format("# {:016x}\n", random_.next_u64());
      std::string text = fmt::format("package {}\n", ledger.name);
      for (uint64_t n = random_.below(40); n-- > 0;) text += line;
      put(files, blobs, path, text + line);
    }
  }
  auto tree = model::Tree::make(std::move(files));
  NOTP_ASSERT(tree, "the simulation makes valid trees");
  return {std::make_shared<const model::Tree>(std::move(*tree)), std::move(blobs)};
}

// A third changes nothing, a third one kind of question in 64, the rest many.
void SimRegistry::choose_gate(PublishedRelease& release, const PublishedRelease* previous) {
  release.outcomes = previous ? previous->outcomes : random_.next_u64();
  const uint64_t changes = random_.below(3);
  if (changes == 1) release.outcomes ^= uint64_t{1} << random_.below(64);
  if (changes == 2) release.outcomes ^= random_.next_u64();
  if (random_.below(2) == 0) release.gate = {.allow_ppm = random_.below(2) == 0 ? 0U : 100'000U};
  model::Files files = release.content.tree->files();
  files.erase(std::string(model::kManifestPath));
  if (release.gate)
    put(files, release.content.blobs, std::string(model::kManifestPath),
        fmt::format(R"({{"gate":{{"replay":{{"allow":"{}"}}}}}})",
                    model::share_text(release.gate->allow_ppm)));
  auto tree = model::Tree::make(std::move(files));
  NOTP_ASSERT(tree, "the simulation makes valid trees");
  release.content.tree = std::make_shared<const model::Tree>(*std::move(tree));
}

void SimRegistry::sign(PublishedRelease& release, size_t publisher) {
  release.release.content_root = release.content.tree->content_root();
  release.release.total_bytes = release.content.tree->total_bytes();
  release.release.file_count = release.content.tree->files().size();
  release.leaves = std::make_shared<const delta::LeafIndex>(release.content.tree);
  release.publisher = publisher;
  blobs_.insert(release.content.blobs.begin(), release.content.blobs.end());
  trust::Envelope envelope = trust::envelope_of(release.release);
  trust_.sign_release(envelope, publisher);
  release.hash = trust::release_hash(envelope.payload);
  release.envelope = envelope.encode();
}

const PublishedRelease& SimRegistry::publish(const model::LedgerId& ledger, TimeMs now_ms,
                                             bool pdp_may_refuse) {
  auto& releases = releases_[ledger];
  const PublishedRelease* previous = head(ledger);
  PublishedRelease next;
  // One in eight repeats old content: a rollback, which is a new release.
  if (previous && random_.below(8) == 0) {
    const PublishedRelease& old = releases[random_.below(releases.size())];
    next.content = old.content;
    next.outcomes = old.outcomes;
    next.gate = old.gate;
  } else {
    next.content = change(ledger, previous ? previous->content : model::ModelContent{});
    choose_gate(next, previous);
  }
  next.pdp_refuses = random_.below(8) == 0 && pdp_may_refuse;
  const uint64_t fresh_s =
      terms_.fresh_min_s + random_.below(terms_.fresh_max_s - terms_.fresh_min_s + 1);
  const uint64_t hard_s =
      terms_.hard_min_s + random_.below(terms_.hard_max_s - terms_.hard_min_s + 1);
  next.release = trust::Release{
      .trust_domain = std::string(kTrustDomain),
      .ledger = ledger,
      .epoch = trust_.root().epoch,
      .version =
          is_restored_ ? (previous ? previous->release.version : 0) + 1 : releases.size() + 1,
      .previous_hash = previous ? previous->hash : Hash{},
      .content_root = {},
      .total_bytes = 0,
      .file_count = 0,
      .data_roots = {ledger.name},
      .issued_ms = now_ms,
      .expires_ms = 0,
      .fresh_s = fresh_s,
      .hard_s = hard_s,
      .on_hard = random_.below(2) == 0 ? trust::OnHard::kDeny : trust::OnHard::kServe};
  sign(next, trust_.publisher(trust_.newest()));
  if (has_lost(ledger, next.release.version)) return publish_anew(std::move(next));
  releases.push_back(std::move(next));
  signed_[releases.back().hash] = &releases.back();
  return releases.back();
}

// Only a registry that publishes although it has lost releases comes here.
const PublishedRelease& SimRegistry::publish_anew(PublishedRelease next) {
  const model::LedgerId ledger = next.release.ledger;
  PublishedRelease& place = releases_.at(ledger)[next.release.version - 1];
  overwritten_.push_back(std::exchange(place, std::move(next)));
  signed_[overwritten_.back().hash] = &overwritten_.back();
  signed_[place.hash] = &place;
  take_back(ledger, place.release.version);
  return place;
}

void SimRegistry::shadow_head(const model::LedgerId& ledger, Shadow& shadow, size_t publisher) {
  const PublishedRelease* genuine = head(ledger);
  if (!genuine || shadow.contains({ledger, genuine->release.version})) return;
  PublishedRelease twin = *genuine;
  while (twin.content.tree->content_root() == genuine->release.content_root)
    twin.content = change(ledger, genuine->content);
  sign(twin, publisher);
  const auto [place, fresh] =
      shadow.emplace(std::pair{ledger, genuine->release.version}, std::move(twin));
  if (publisher != kNobody) signed_[place->second.hash] = &place->second;
}

// --- a copy of before

SimRegistry::Copy SimRegistry::copy() const {
  Copy out{.releases = {}, .root = known_root()};
  for (const auto& [ledger, releases] : releases_) out.releases[ledger] = releases.size();
  return out;
}

void SimRegistry::restore(const Copy& copy) {
  is_restored_ = true;
  for (const auto& [ledger, releases] : releases_) {
    const auto kept = copy.releases.find(ledger);
    uint64_t version = kept == copy.releases.end() ? 0 : kept->second;
    while (++version <= releases.size()) lost_[ledger].insert(version);
  }
  if (copy.root < trust_.newest()) lost_root_ = copy.root + 1;
}

size_t SimRegistry::lost_count() const {
  size_t count = 0;
  for (const auto& [ledger, versions] : lost_) count += versions.size();
  return count;
}

const PublishedRelease* SimRegistry::lost(const model::LedgerId& ledger, uint64_t version) const {
  const auto found = lost_.find(ledger);
  return found != lost_.end() && found->second.contains(version)
             ? &releases_.at(ledger)[version - 1]
             : nullptr;
}

void SimRegistry::forget_lost(const WasNamed& was_named) {
  for (auto& [ledger, versions] : lost_) {
    auto& releases = releases_.at(ledger);
    while (versions.contains(releases.size()) && !was_named(ledger, releases.size())) {
      versions.erase(releases.size());
      signed_.erase(releases.back().hash);
      releases.pop_back();
    }
  }
  if (lost_root_ != 0) trust_.forget_after(lost_root_ - 1);
  lost_root_ = 0;
}

void SimRegistry::hold(const model::LedgerId& ledger, const std::string& reader) {
  if (const PublishedRelease* newest = head(ledger))
    held_[ledger].try_emplace(reader, newest->release.version);
}

void SimRegistry::let_go(const model::LedgerId& ledger, const std::string& reader) {
  held_[ledger].erase(reader);
}

std::optional<uint64_t> SimRegistry::held_at(const model::LedgerId& ledger,
                                             std::string_view reader) const {
  const auto of_ledger = held_.find(ledger);
  if (of_ledger == held_.end()) return std::nullopt;
  const auto held = of_ledger->second.find(reader);
  return held == of_ledger->second.end() ? std::nullopt : std::optional(held->second);
}

bool SimRegistry::is_withdrawn(const PublishedRelease& release) const {
  const auto found = withdrawn_.find(release.release.ledger);
  return found != withdrawn_.end() && found->second.contains(release.hash);
}

const PublishedRelease* SimRegistry::find(const model::LedgerId& ledger, uint64_t version) const {
  const auto found = releases_.find(ledger);
  if (found == releases_.end() || version == 0 || version > found->second.size()) return nullptr;
  return has_lost(ledger, version) ? nullptr : &found->second[version - 1];
}

const PublishedRelease* SimRegistry::head(const model::LedgerId& ledger) const {
  const auto found = releases_.find(ledger);
  if (found == releases_.end()) return nullptr;
  for (uint64_t version = found->second.size(); version > 0; --version)
    if (const PublishedRelease* newest = find(ledger, version)) return newest;
  return nullptr;
}

const PublishedRelease* SimRegistry::signed_by_publisher(const Hash& release) const {
  const auto found = signed_.find(release);
  return found == signed_.end() ? nullptr : found->second;
}

trust::FreshHead SimRegistry::fresh_head(const model::LedgerId& ledger, uint64_t version) const {
  const PublishedRelease* head = find(ledger, version);
  if (!head) return {ledger, 0, 0, {}, {}};
  trust::FreshHead out{ledger, head->release.epoch, version, head->hash, {}};
  const auto withdrawn = withdrawn_.find(ledger);
  if (withdrawn == withdrawn_.end()) return out;
  for (const Hash& release : withdrawn->second)
    if (signed_.at(release)->release.version <= version &&
        out.withdrawn.size() < limits::kWithdrawnMax)
      out.withdrawn.push_back(release);
  return out;
}

delta::ReleaseContent SimRegistry::side(const PublishedRelease& release) const {
  return {release.envelope, release.content.tree.get(),
          [this](const Hash& hash) -> Result<model::Content> { return blobs_.at(hash); }};
}

Result<std::optional<session::PreparedArtifact>> SimRegistry::artifact(
    const session::server_event::ArtifactNeeded& need, const PublishedRelease* base,
    const PublishedRelease& target) {
  const model::LedgerId& ledger = target.release.ledger;
  std::vector<delta::LeafIndexPtr> own = {target.leaves};
  for (uint64_t version = target.release.version; version-- > 1;)
    if (const PublishedRelease* older = find(ledger, version)) own.push_back(older->leaves);
  NOTP_ASSIGN(auto from, session::artifact_base(need, base ? base->hash : Hash{},
                                                base ? base->content.tree : nullptr, own));
  if (!from) return std::nullopt;
  session::PreparedArtifact out{.id = delta::artifact_id(from->id, target.hash),
                                .encoding_tier = 0,
                                .bytes = {},
                                .partial = from->partial};
  auto& [place, frames] = artifacts_[out.id];
  if (!place) {
    frames = std::make_shared<session::OfferFrames>();
    const auto load = [&](const Hash& hash) -> Result<model::Content> { return blobs_.at(hash); };
    const delta::ReleaseContent to{target.envelope, target.content.tree.get(), load};
    delta::ReleaseContent of{{}, from->tree.get(), load};
    if (base && !from->partial) of.envelope = base->envelope;
    NOTP_ASSIGN(Bytes bytes, delta::encode_artifact(from->tree ? &of : nullptr, to, {.level = 1}));
    place = std::make_shared<const Bytes>(std::move(bytes));
  }
  out.bytes = place;
  out.frames = frames;
  return out;
}

}  // namespace notp::sim
