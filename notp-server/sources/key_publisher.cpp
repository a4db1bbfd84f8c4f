#include "notp-server/sources/key_publisher.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/limits.hpp"
#include "common/storage/private_files.hpp"
#include "notp-server/sources/issuer_limits.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/trust/verify.hpp"

namespace notp::sources {
namespace {

constexpr std::string_view kPublisherName = "sources";
constexpr TimeMs kBeforeAnyExpiry = 0;

trust::Release make_release(const trust::Root& root, const model::LedgerId& ledger,
                            const registry::SnapshotPtr& head, const KeysContent& keys,
                            const ReleaseTerms& terms, TimeMs now_ms) {
  trust::Release release;
  release.trust_domain = root.trust_domain;
  release.ledger = ledger;
  release.epoch = root.epoch;
  release.version = head ? head->release.version + 1 : 1;
  if (head) release.previous_hash = head->ref.release_hash;
  release.content_root = keys.content.tree->content_root();
  release.total_bytes = keys.content.tree->total_bytes();
  release.file_count = keys.content.tree->files().size();
  release.data_roots = keys.data_roots;
  release.issued_ms = now_ms;
  release.fresh_s = terms.stale_after_s;
  release.hard_s = terms.expire_after_s;
  release.on_hard = terms.on_expired;
  return release;
}

// Whether a release would say nothing new: the head has these keys and terms, and nodes take it
// under this root. Under a root with another source key they do not vouch for it any more.
bool is_as_wanted(const registry::SnapshotPtr& head, const KeysContent& keys,
                  const ReleaseTerms& terms, const std::shared_ptr<const trust::Root>& root) {
  if (!head) return false;
  const trust::Release& release = head->release;
  if (release.content_root != keys.content.tree->content_root() ||
      release.data_roots != keys.data_roots || release.fresh_s != terms.stale_after_s ||
      release.hard_s != terms.expire_after_s || release.on_hard != terms.on_expired ||
      release.expires_ms != 0)
    return false;
  trust::Trusted trusted;
  trusted.root = root;
  return trust::verify_release(head->envelope, release.ledger, trusted, kBeforeAnyExpiry)
      .has_value();
}

}  // namespace

Result<PrivateKey> read_source_key(const std::filesystem::path& file) {
  NOTP_ASSIGN(const Bytes pem, read_private_file(file, limits::kPemBytesMax));
  auto key = PrivateKey::from_pem(pem);
  if (!key)
    return fail(ErrorCode::kConfig, fmt::format("{}: {}", file.string(), key.error().message));
  return key;
}

Result<void> check_delegation(const trust::Root& root, const model::LedgerId& ledger,
                              const PublicKey& key) {
  const trust::Delegation* const delegation = root.delegation_for(ledger);
  const auto refused = [&](std::string_view why) {
    return fail(ErrorCode::kSignature,
                fmt::format("root v{} {}: delegate {} to the source key {} in the next root",
                            root.version, why, ledger.text(), key.keyid()));
  };
  if (delegation == nullptr) return refused("has no publisher for the ledger");
  if (std::ranges::find(delegation->keys, key) == delegation->keys.end())
    return refused(fmt::format("gives {} to other keys", delegation->pattern));
  if (delegation->threshold != 1)
    return refused(
        fmt::format("asks for {} signatures for {}", delegation->threshold, delegation->pattern));
  return {};
}

Result<PublishedKeys> KeyPublisher::publish(const model::LedgerId& ledger,
                                            const KeyDocuments& documents,
                                            const std::string& message, TimeMs now_ms) const {
  for (int tries = 1;; ++tries) {
    NOTP_ASSIGN(const registry::SnapshotPtr head, head_of(ledger));
    auto done = publish_on(head, ledger, documents, message, now_ms);
    if (done || done.error().code != ErrorCode::kConflict || tries == limits::kRebuildTries)
      return done;
    const auto moved = parts_.registry.head(ledger);
    const bool has_moved = moved && (!head || moved->ref.release_hash != head->ref.release_hash);
    if (!has_moved) return done;
  }
}

Result<PublishedKeys> KeyPublisher::publish_on(const registry::SnapshotPtr& head,
                                               const model::LedgerId& ledger,
                                               const KeyDocuments& documents,
                                               const std::string& message, TimeMs now_ms) const {
  // A missing right shows before a provider rotates its keys, not after.
  const auto root = parts_.root();
  NOTP_ASSIGN(const PrivateKey key, read_source_key(parts_.key));
  NOTP_TRY(check_delegation(*root, ledger, key.public_key()));
  NOTP_ASSIGN(const KeysContent keys,
              make_keys_content(head ? &head->content : nullptr, documents));
  if (is_as_wanted(head, keys, parts_.terms, root))
    return PublishedKeys{head->release.version, false};
  trust::Envelope envelope =
      trust::envelope_of(make_release(*root, ledger, head, keys, parts_.terms, now_ms));
  trust::sign_envelope(envelope, key);
  publish::PublishAttempt attempt;
  attempt.publish.ledger = ledger;
  attempt.publish.version = head ? head->release.version + 1 : 1;
  attempt.publish.message = message;
  attempt.publisher = {root->trust_domain, session::Role::kRegistry, std::string(kPublisherName)};
  attempt.now_ms = now_ms;
  const delta::ReleaseContent to{envelope.encode(), keys.content.tree.get(), keys.content.loader()};
  if (head) {
    attempt.publish.base = wire::Base{head->release.version, head->release.content_root};
    attempt.publish.expected_head_hash = head->ref.release_hash;
    const delta::ReleaseContent from = head->side();
    NOTP_ASSIGN(attempt.artifact, delta::encode_artifact(&from, to));
  } else {
    NOTP_ASSIGN(attempt.artifact, delta::encode_artifact(nullptr, to));
  }
  attempt.publish.size = attempt.artifact.size();
  const publish::PublishOutcome outcome = parts_.publish(std::move(attempt));
  if (outcome.published) return PublishedKeys{outcome.published->release.version, true};
  return fail(error_code_from_wire(outcome.result.code), outcome.result.message);
}

Result<registry::SnapshotPtr> KeyPublisher::head_of(const model::LedgerId& ledger) const {
  if (auto damage = parts_.registry.damage(ledger)) return std::unexpected(*std::move(damage));
  const auto head = parts_.registry.head(ledger);
  if (!head) return nullptr;
  return parts_.registry.snapshot(ledger, head->release.version);
}

}  // namespace notp::sources
