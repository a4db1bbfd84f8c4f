// The only way to publish: a publisher's release is verified, validated and stored, or refused with
// the findings that a person needs to correct it. A release with too few signatures may become
// pending.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "common/atomic_shared.hpp"
#include "common/mutex.hpp"
#include "common/telemetry/span.hpp"
#include "notp-server/authz/deny_list.hpp"
#include "notp-server/authz/rights.hpp"
#include "notp-server/publish/neighbours.hpp"
#include "notp-server/publish/pending_store.hpp"
#include "notp-server/publish/validated_documents.hpp"
#include "notp-server/registry/registry.hpp"
#include "protocol/model/builtin_grants.hpp"
#include "protocol/serve/artifact_cache.hpp"
#include "protocol/session/ports.hpp"
#include "protocol/trust/verify.hpp"
#include "protocol/wire/messages.hpp"

namespace notp::publish {

struct PublishAttempt {
  wire::Publish publish;
  Bytes artifact;
  session::Identity publisher;
  TimeMs now_ms = 0;
  const Span* span = nullptr;  // of the publish, for the spans of its steps; null: none
};

// With code 0 the release is published or pending: if pending, `published` is null and
// result.threshold is not 0.
struct PublishOutcome {
  wire::PublishResult result;
  registry::SnapshotPtr published;  // null when it was refused or is pending
};

// Blocking, except pending_entry(): runs on the offload pool. Thread-safe.
class PublishPipeline {
 public:
  // Returns the newest root, never null. Thread-safe.
  using RootSource = std::function<std::shared_ptr<const trust::Root>()>;
  // kConflict: nothing may be published to the ledger now, although its head has not moved. Called
  // more than once for a publish; from memory. Thread-safe.
  using MayPublish = std::function<Result<void>(const model::LedgerId&)>;

  // Drops pending releases whose expected head is no longer their ledger's head. A release of
  // `denied`'s ledger (null: there is none) must be a valid deny list in addition. Without
  // `may_publish` nothing is held up.
  PublishPipeline(registry::Registry& registry, PendingStore& waiting, RootSource root,
                  const AtomicShared<authz::RightsTable>& rights, rego::ModelChecker& engine,
                  model::BuiltinGrants builtins = {}, const authz::DenyList* denied = nullptr,
                  Neighbours::SubscribedTogether subscribed = {}, MayPublish may_publish = {});

  // Checks in this order: envelope and signatures, expected head, version and predecessor, content
  // against the signed root and against what the delegation lets it hold, validity of the model
  // together with those that it uses, neighbours, then the compare-and-set. Sending the same
  // release again after a lost answer gives the same success. With `pending`, signatures already
  // collected here count; if there are too few, but one by a key of the delegation or none at all,
  // and all else is valid, the release becomes pending. One without any signature replaces those
  // that its publisher has proposed so for the ledger and that no key has signed since.
  PublishOutcome handle(PublishAttempt attempt);

  // --- pending releases; signatures are always counted by the newest root

  // Lists the pending releases of one ledger, or of all that `may_see`, by ledger and hash: those
  // after `after`, as many as a Response can hold. `more`: rows were left out.
  using PendingPage = wire::PendingPage;
  PendingPage pending(
      const std::optional<model::LedgerId>& ledger,
      const std::optional<wire::PendingPlace>& after = {},
      const std::function<bool(const model::LedgerId&)>& may_see = [](const model::LedgerId&) {
        return true;
      }) const;
  // From memory; nullopt when it is not pending.
  std::optional<trust::ReleaseRef> pending_entry(const model::LedgerId& ledger, uint64_t version,
                                                 const Hash& hash) const;
  // Returns the release against `base` (null: full content); its envelope has at least the
  // signatures that it came with. It must not enter the artifact cache: its id is that of the
  // published release's artifact, and nodes would get an envelope with too few signatures.
  // kNotFound, kCorrupt.
  Result<serve::ArtifactPtr> pending_artifact(const model::LedgerId& ledger, uint64_t version,
                                              const Hash& hash,
                                              const delta::HeldReleasePtr& base) const;
  // Adds a signature by a key of the delegation (else kSignature); a signature that is already
  // there counts once. With enough signatures the release passes the same checks as in handle(),
  // and is published in the name of its first publisher. kNotFound; kConflict when the head has
  // moved: the release is dropped then. The signature stays when a later step fails.
  PublishOutcome cosign(const wire::Cosign& cosign, TimeMs now_ms);
  // kNotFound, kIo.
  Result<void> drop_pending(const wire::DropPending& drop);

 private:
  // A release on its way through the pipeline.
  struct PublishJob {
    wire::Publish publish;
    Bytes artifact;
    trust::ReleaseEnvelope envelope;
    std::string publisher;
    registry::SnapshotPtr base;  // null: full content
    TimeMs now_ms = 0;
    // The identity that must be allowed to read what the release uses; nullopt: this was checked
    // when the release became pending.
    std::optional<session::Identity> reader = {};
    const Span* span = nullptr;  // as in the attempt
  };

  PublishOutcome outcome_of(Result<registry::SnapshotPtr> done, const model::LedgerId& ledger,
                            wire::PublishResult result);
  Result<PublishJob> begin(PublishAttempt attempt) const;
  Result<void> check_may_publish(const model::LedgerId& ledger) const;
  // The steps for a release with enough signatures.
  Result<registry::SnapshotPtr> publish_verified(const PublishJob& job,
                                                 wire::PublishResult& result);
  trust::Trusted trusted_for(const wire::Publish& publish,
                             const registry::ReleaseInfoPtr& head) const;
  // Runs all checks that do not depend on signatures.
  Result<model::ModelContent> validate_content(const PublishJob& job, const trust::Release& release,
                                               const registry::ReleaseInfoPtr& head,
                                               wire::PublishResult& result) const;
  Result<void> check_model(const PublishJob& job, const model::ModelContent& content,
                           const model::BlobLoader& load, const trust::Release& release,
                           wire::PublishResult& result) const;
  Result<void> check_neighbours(const wire::Publish& publish, const model::ModelContent& content,
                                const trust::Release& release, wire::PublishResult& result) const;

  // The steps for a release with too few signatures. Null: it is pending.
  Result<registry::SnapshotPtr> keep(const PublishJob& job, wire::PublishResult& result);
  Result<void> store(const PublishJob& job, const trust::WaitingRelease& release,
                     const model::ModelContent& content);
  Result<registry::SnapshotPtr> add_signature(const wire::Cosign& cosign, TimeMs now_ms,
                                              wire::PublishResult& result);
  // Publishes a pending release when it has enough signatures. Null: it has not.
  Result<registry::SnapshotPtr> publish_if_complete(const model::LedgerId& ledger, const Hash& hash,
                                                    TimeMs now_ms, wire::PublishResult& result);
  Bytes with_signatures(const model::LedgerId& ledger, ByteView envelope, ByteView other) const;
  bool has_moved(const PendingRelease& release) const;
  // The releases of the ledger that this publisher has proposed and no key has signed.
  std::vector<PendingRelease> unsigned_by(const model::LedgerId& ledger,
                                          const std::string& publisher) const;
  void drop(const PendingRelease& release, std::string_view reason);
  void drop_moved(const std::optional<model::LedgerId>& ledger);

  registry::Registry& registry_;
  PendingStore& waiting_;
  const RootSource root_;
  rego::ModelChecker& engine_;
  const model::BuiltinGrants builtins_;
  const authz::DenyList* const denied_;
  const Neighbours neighbours_;
  const MayPublish may_publish_;
  mutable ValidatedDocuments documents_;
  // Held from reading pending releases, or the head they wait for, until the change is durable.
  Mutex waiting_mutex_;
};

}  // namespace notp::publish
