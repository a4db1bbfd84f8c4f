// The one way into a ledger: what a publisher sent is verified, validated and stored, or refused
// with everything a person needs to do better.
#pragma once

#include <memory>

#include "common/current.hpp"
#include "notp-server/registry/registry.hpp"
#include "notp-server/service/rights.hpp"
#include "protocol/trust/verify.hpp"
#include "protocol/wire/messages.hpp"

namespace notp {

struct PublishAttempt {
  wire::Publish publish;
  Bytes artifact;
  Identity publisher;
  TimeMs now_ms = 0;
};

struct PublishOutcome {
  wire::PublishResult result;
  SnapshotPtr published;  // null when it was refused
};

// Blocking: runs on the offload pool. Thread-safe.
class PublishDoor {
 public:
  PublishDoor(Registry& registry, std::shared_ptr<const Root> root,
              const Current<RightsTable>& rights)
      : registry_(registry), root_(std::move(root)), rights_(rights) {}

  // In the order: expected head, envelope and signatures, version and predecessor, content against
  // the signed root, validity of the model, data roots of neighbours, then the compare-and-set.
  // Sending the same release again after a lost answer gives the same success.
  PublishOutcome handle(PublishAttempt attempt);

 private:
  Result<SnapshotPtr> accept(PublishAttempt& attempt, wire::PublishResult& result);
  Result<VerifiedRelease> verify(const PublishAttempt& attempt, const SnapshotPtr& base,
                                 const std::optional<ReleaseInfo>& head) const;
  Result<ModelContent> rebuild(const PublishAttempt& attempt, const SnapshotPtr& base,
                               const Release& release) const;
  Result<void> check_model(const ModelContent& content, const Release& release,
                           wire::PublishResult& result) const;
  Result<void> check_neighbours(const Release& release) const;

  Registry& registry_;
  const std::shared_ptr<const Root> root_;
  const Current<RightsTable>& rights_;
};

}  // namespace notp
