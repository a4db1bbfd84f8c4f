// Publishes key sets: makes a release on a ledger's head, signs it with the source key, and hands
// it to the registry's one way to publish.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "common/crypto/signature.hpp"
#include "notp-server/publish/publish_pipeline.hpp"
#include "notp-server/registry/registry.hpp"
#include "notp-server/sources/issuer_core.hpp"
#include "notp-server/sources/keys_content.hpp"
#include "protocol/trust/statements.hpp"

namespace notp::sources {

// The terms of every release of a key set, as `notp publish` has them.
struct ReleaseTerms {
  uint64_t stale_after_s = 300;
  uint64_t expire_after_s = 86'400;
  trust::OnHard on_expired = trust::OnHard::kDeny;
};

// Publishes and announces. Blocking; thread-safe.
using PublishRelease = std::function<publish::PublishOutcome(publish::PublishAttempt)>;
// Returns the newest root, never null. Thread-safe.
using RootSource = std::function<std::shared_ptr<const trust::Root>()>;

// Reads a private key: Ed25519, PKCS #8 in PEM. kConfig names the file.
Result<PrivateKey> read_source_key(const std::filesystem::path& file);

// Whether the key alone may publish to the ledger. kSignature: the root gives it to nobody, to
// other keys, or to several keys together.
Result<void> check_delegation(const trust::Root& root, const model::LedgerId& ledger,
                              const PublicKey& key);

struct KeyPublisherParts {
  registry::Registry& registry;
  RootSource root;
  std::filesystem::path key;  // read for each release: it may be replaced
  ReleaseTerms terms;
  PublishRelease publish;
};

// Blocking. One thread at a time for one ledger.
class KeyPublisher {
 public:
  explicit KeyPublisher(KeyPublisherParts parts) : parts_(std::move(parts)) {}

  // Makes the ledger's head have these documents and terms, signed as the newest root wants it: a
  // release if it is not so already. A head that another
  // publisher moves meanwhile is built upon, at most kRebuildTries times. Errors as in
  // check_delegation(), read_source_key(), make_keys_content(), and those of a publish.
  Result<PublishedKeys> publish(const model::LedgerId& ledger, const KeyDocuments& documents,
                                const std::string& message, TimeMs now_ms) const;

 private:
  Result<PublishedKeys> publish_on(const registry::SnapshotPtr& head, const model::LedgerId& ledger,
                                   const KeyDocuments& documents, const std::string& message,
                                   TimeMs now_ms) const;
  Result<registry::SnapshotPtr> head_of(const model::LedgerId& ledger) const;

  const KeyPublisherParts parts_;
};

}  // namespace notp::sources
