#include "tests/sim/sim_registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "common/assert.hpp"

namespace notp::sim {
namespace {

std::shared_ptr<const Root> make_root(const PublicKey& publisher) {
  auto root = std::make_shared<Root>();
  root->trust_domain = kTrustDomain;
  root->version = 1;
  root->epoch = 1;
  root->issued_ms = 1;
  root->root_keys = {publisher};
  root->delegations.push_back({"*/*", {publisher}, 1});
  return root;
}

std::array<uint8_t, 32> random_seed(SeededRandom& random) {
  std::array<uint8_t, 32> seed;
  for (uint8_t& byte : seed) byte = static_cast<uint8_t>(random.next_u64());
  return seed;
}

void put(Files& files, BlobMap& blobs, const std::string& path, std::string text) {
  const Hash hash = blob_hash(text);
  files[path] = {hash, text.size()};
  blobs[hash] = std::make_shared<const Bytes>(std::move(text));
}

CatalogEntry entry_of(const PublishedRelease& release) {
  return {release.release.version, release.release.epoch, release.hash,
          release.release.content_root};
}

}  // namespace

SimRegistry::SimRegistry(std::vector<LedgerId> ledgers, SeededRandom& random)
    : ledgers_(std::move(ledgers)),
      random_(random),
      publisher_key_(PrivateKey::from_seed(random_seed(random))),
      root_(make_root(publisher_key_.public_key())) {
  Envelope envelope = envelope_of(*root_);
  sign_envelope(envelope, publisher_key_);
  root_envelope_ = envelope.encode();
}

ModelContent SimRegistry::change(const ModelContent& content) {
  Files files = content.tree ? content.tree->files() : Files{};
  BlobMap blobs = content.blobs;
  const uint64_t edits = 1 + random_.below(3);
  for (uint64_t i = 0; i < edits; ++i) {
    const std::string path = fmt::format("p{}/f{}.rego", random_.below(3), random_.below(4));
    if (files.size() > 1 && random_.below(5) == 0) {
      files.erase(path);
    } else {
      const std::string line = fmt::format("# {:016x}\n", random_.next_u64());
      std::string text;
      for (uint64_t n = random_.below(40); n-- > 0;) text += line;
      put(files, blobs, path, text + line);
    }
  }
  auto tree = Tree::make(std::move(files));
  NOTP_ASSERT(tree, "the simulation makes valid trees");
  return {std::make_shared<const Tree>(std::move(*tree)), std::move(blobs)};
}

const PublishedRelease& SimRegistry::publish(const LedgerId& ledger, TimeMs now_ms) {
  auto& releases = releases_[ledger];
  const PublishedRelease* previous = releases.empty() ? nullptr : &releases.back();
  PublishedRelease next;
  // One in eight has old content again: a rollback, which is a new release.
  if (previous && random_.below(8) == 0)
    next.content = releases[random_.below(releases.size())].content;
  else
    next.content = change(previous ? previous->content : ModelContent{});
  next.pdp_refuses = random_.below(8) == 0;
  next.release = Release{.trust_domain = std::string(kTrustDomain),
                         .ledger = ledger,
                         .epoch = 1,
                         .version = releases.size() + 1,
                         .previous = previous ? previous->hash : Hash{},
                         .content_root = next.content.tree->content_root(),
                         .total_bytes = next.content.tree->total_bytes(),
                         .file_count = next.content.tree->files().size(),
                         .roots = {"p0"},
                         .issued_ms = now_ms,
                         .expires_ms = 0,
                         .fresh_s = 60,
                         .hard_s = 3600,
                         .on_hard = OnHard::kServe};
  Envelope envelope = envelope_of(next.release);
  sign_envelope(envelope, publisher_key_);
  next.hash = release_hash(envelope.payload);
  next.envelope = envelope.encode();
  releases.push_back(std::move(next));
  return releases.back();
}

const PublishedRelease* SimRegistry::find(const LedgerId& ledger, uint64_t version) const {
  const auto found = releases_.find(ledger);
  if (found == releases_.end() || version == 0 || version > found->second.size()) return nullptr;
  return &found->second[version - 1];
}

const PublishedRelease* SimRegistry::head(const LedgerId& ledger) const {
  const auto found = releases_.find(ledger);
  return found == releases_.end() ? nullptr : find(ledger, found->second.size());
}

bool SimRegistry::published(const LedgerId& ledger, uint64_t version, const Hash& release) const {
  const PublishedRelease* found = find(ledger, version);
  return found && found->hash == release;
}

Result<Content> SimRegistry::artifact(const LedgerId& ledger, uint64_t base, uint64_t version) {
  Content& place = artifacts_[{ledger, base, version}];
  if (place) return place;
  const PublishedRelease* target = find(ledger, version);
  const PublishedRelease* from = find(ledger, base);
  NOTP_ASSERT(target && (base == 0 || from), "artifacts lie between published releases");
  const auto side = [](const PublishedRelease& r) {
    return ReleaseContent{r.envelope, r.content.tree.get(), r.content.loader()};
  };
  const ReleaseContent to = side(*target);
  std::optional<ReleaseContent> base_side;
  if (from) base_side = side(*from);
  NOTP_ASSIGN(Bytes bytes, encode_artifact(base_side ? &*base_side : nullptr, to, {.level = 1}));
  return place = std::make_shared<const Bytes>(std::move(bytes));
}

uint64_t SimCatalog::newest(const LedgerId& ledger) const {
  const PublishedRelease* head = registry_.head(ledger);
  const uint64_t version = head ? head->release.version : 0;
  return version > held_back_ ? version - held_back_ : 0;
}

std::optional<CatalogEntry> SimCatalog::head(const LedgerId& ledger) const {
  return release(ledger, newest(ledger));
}

std::optional<CatalogEntry> SimCatalog::release(const LedgerId& ledger, uint64_t version) const {
  const PublishedRelease* found = registry_.find(ledger, version);
  if (!found || version > newest(ledger)) return std::nullopt;
  return entry_of(*found);
}

}  // namespace notp::sim
