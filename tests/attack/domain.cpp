#include "tests/attack/domain.hpp"

#include <fmt/format.h>

#include <array>

#include "common/assert.hpp"
#include "tests/support/registry/model_samples.hpp"

namespace notp::attack {
namespace {

constexpr TimeMs kDayMs = 86'400'000;

std::vector<PublicKey> public_keys(std::initializer_list<uint8_t> numbers) {
  std::vector<PublicKey> out;
  for (const uint8_t number : numbers) out.push_back(key(number).public_key());
  return out;
}

trust::Root first_root() {
  trust::Root root;
  root.trust_domain = kDomain;
  root.version = 1;
  root.epoch = 1;
  root.issued_ms = kStartMs - 30 * kDayMs;
  root.expires_ms = kStartMs + 365 * kDayMs;
  root.root_keys = public_keys({keys::kRoot1, keys::kRoot2, keys::kRoot3});
  root.root_threshold = 2;
  root.delegations = {
      {"100000000000/*", public_keys({keys::kPublisher1, keys::kPublisher2, keys::kPublisher3}), 2},
      {"100000000001/*", public_keys({keys::kLabPublisher}), 1}};
  root.freshness_keys = {key(keys::kFreshness).public_key()};
  return root;
}

samples::Texts honest_texts(const model::LedgerId& ledger, uint64_t version) {
  return {
      {"manifest.json", fmt::format(R"({{"roots":["{}"]}})", ledger.name)},
      {ledger.name + "/policy.rego", fmt::format("package {}\n\nallow := false\n", ledger.name)},
      {ledger.name + "/data.json", fmt::format(R"({{"version":{}}})", version)}};
}

}  // namespace

std::string_view name_of(Stolen stolen) {
  switch (stolen) {
    case Stolen::kNothing:
      return "nothing stolen";
    case Stolen::kFreshnessKey:
      return "the freshness key stolen";
    case Stolen::kOnePublisher:
      return "fewer publisher keys than the threshold stolen";
    case Stolen::kOneRoot:
      return "fewer root keys than the threshold stolen";
    case Stolen::kAllBelow:
      return "the freshness key, a publisher key and a root key stolen";
    case Stolen::kPublishers:
      return "a threshold of publisher keys stolen";
  }
  return "";
}

PrivateKey key(uint8_t number) {
  std::array<uint8_t, 32> seed{};
  seed.fill(number);
  return PrivateKey::from_seed(seed);
}

std::string manifest(const std::vector<std::string>& roots, std::string_view more,
                     std::string_view partitions) {
  std::string names;
  for (const std::string& root : roots)
    names += fmt::format("{}\"{}\"", names.empty() ? "" : ",", root);
  return fmt::format(
      R"({{"metadata":{{"name":"m"}},"runtimes":{{"rego":{{"language":{{"name":"rego","version":"1.0"}}}}}},)"
      R"("partitions":{{{}}},"roots":[{}]{}{}}})",
      partitions, names, more.empty() ? "" : ",", more);
}

trust::Release release_of(const model::LedgerId& ledger, uint64_t version, const Hash& previous,
                          const model::ModelContent& content, TimeMs issued_ms) {
  trust::Release release;
  release.trust_domain = kDomain;
  release.ledger = ledger;
  release.epoch = 1;
  release.version = version;
  release.previous_hash = previous;
  release.content_root = content.tree->content_root();
  release.total_bytes = content.tree->total_bytes();
  release.file_count = content.tree->files().size();
  release.data_roots = {ledger.name};
  release.issued_ms = issued_ms;
  release.fresh_s = kFreshS;
  release.hard_s = kHardS;
  release.on_hard = trust::OnHard::kDeny;
  return release;
}

SignedRelease seal(trust::Release release, model::ModelContent content,
                   const std::vector<uint8_t>& key_numbers) {
  Bytes envelope = sealed(release, key_numbers);
  const Hash hash = trust::release_hash(release.encode());
  return {std::move(release), hash, std::move(envelope), std::move(content)};
}

Domain::Domain() {
  trust::Root root = first_root();
  roots_[1] = root;
  root_envelopes_[1] = sealed(root, {keys::kRoot1, keys::kRoot2});
  root.version = 2;
  root.issued_ms += 10 * kDayMs;
  roots_[2] = root;
  root_envelopes_[2] = sealed(root, {keys::kRoot2, keys::kRoot3});

  for (const model::LedgerId& ledger : {kPayments, kGateway, kLab}) {
    const bool lab = ledger == kLab;
    const std::vector<uint8_t> publishers =
        lab ? std::vector<uint8_t>{keys::kLabPublisher}
            : std::vector<uint8_t>{keys::kPublisher1, keys::kPublisher3};
    Hash previous;
    for (uint64_t version = 1; version <= (lab ? 1 : 3); ++version) {
      model::ModelContent content = samples::model_of(honest_texts(ledger, version));
      const TimeMs issued_ms = kStartMs - static_cast<TimeMs>(10 - version) * kDayMs;
      trust::Release release = release_of(ledger, version, previous, content, issued_ms);
      releases_[ledger].push_back(seal(std::move(release), std::move(content), publishers));
      previous = releases_[ledger].back().hash;
    }
  }
}

trust::Root Domain::next_root() const {
  trust::Root root = roots_.at(2);
  root.version = 3;
  root.issued_ms = kStartMs;
  return root;
}

const SignedRelease& Domain::release(const model::LedgerId& ledger, uint64_t version) const {
  return releases_.at(ledger).at(version - 1);
}

trust::Freshness Domain::freshness(std::string_view audience, uint64_t sequence, TimeMs issued_ms,
                                   const std::map<model::LedgerId, uint64_t>& versions) const {
  trust::Freshness freshness;
  freshness.trust_domain = kDomain;
  freshness.audience = audience;
  freshness.sequence = sequence;
  freshness.root_version = 2;
  freshness.issued_ms = issued_ms;
  freshness.expires_ms = issued_ms + 15 * 60'000;
  for (const auto& [ledger, version] : versions) {
    const SignedRelease& head = release(ledger, version);
    freshness.heads.push_back({ledger, head.release.epoch, version, head.hash, {}});
  }
  return freshness;
}

std::vector<uint8_t> Thief::root_keys() const {
  if (stolen_ == Stolen::kOneRoot || stolen_ == Stolen::kAllBelow)
    return {keys::kThief, keys::kRoot1};
  return {keys::kThief};
}

std::vector<uint8_t> Thief::publisher_keys() const {
  if (stolen_ == Stolen::kOnePublisher || stolen_ == Stolen::kAllBelow)
    return {keys::kThief, keys::kPublisher1};
  if (stolen_ == Stolen::kPublishers) return {keys::kPublisher1, keys::kPublisher2};
  return {keys::kThief};
}

std::vector<uint8_t> Thief::freshness_keys() const {
  if (stolen_ == Stolen::kFreshnessKey || stolen_ == Stolen::kAllBelow) return {keys::kFreshness};
  return {keys::kThief};
}

SignedRelease Thief::evil_release(const model::LedgerId& ledger, uint64_t version,
                                  const Hash& previous) const {
  model::ModelContent content = samples::model_of(
      {{"manifest.json", fmt::format(R"({{"roots":["{}"]}})", ledger.name)},
       {ledger.name + "/policy.rego", fmt::format("package {}\n\nallow := true\n", ledger.name)}});
  trust::Release release = release_of(ledger, version, previous, content, kStartMs);
  return seal(std::move(release), std::move(content), publisher_keys());
}

}  // namespace notp::attack
