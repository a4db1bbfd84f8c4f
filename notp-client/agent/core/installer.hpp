// Artifacts that have arrived, installed one after the other. Pure. One thread.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>

#include "notp-client/agent/core/activation.hpp"
#include "notp-client/agent/core/core_parts.hpp"
#include "notp-client/agent/core/repair.hpp"
#include "notp-client/agent/core/staging.hpp"

namespace notp {

struct ReceivedArtifact {
  wire::Offer offer;
  std::shared_ptr<const Bytes> artifact;
  std::set<uint64_t> kept_versions = {};  // of the older releases, once it is installed
};

class Installer {
 public:
  // The references outlive this object. `releases_kept`: of each ledger, 2 or more.
  Installer(CoreParts parts, ContentRepair& repair, PartialTransfers& transfers,
            const Activation& activation, size_t releases_kept);

  // Queues it, and starts with it if nothing is being installed.
  void add(ReceivedArtifact received);
  // Yields an Install for the next artifact of the queue, if nothing is being installed. One whose
  // base is not stored is dropped, and its release asked for whole.
  void start_next();
  // The installation under way has ended; nothing is being installed.
  ReceivedArtifact finish();
  // What follows from a release that could not be installed: it is asked for in another way, or
  // reported as rejected.
  void on_failed(const wire::Offer& offer, const Error& error);

 private:
  // nullopt: what it builds on is not stored.
  std::optional<InstallRequest> request_for(const ReceivedArtifact& received) const;
  std::set<uint64_t> versions_to_keep(const InstallRequest& request) const;

  const CoreParts parts_;
  ContentRepair& repair_;
  PartialTransfers& transfers_;
  const Activation& activation_;
  const size_t releases_kept_;
  std::deque<ReceivedArtifact> received_;
  std::optional<ReceivedArtifact> installing_;
};

}  // namespace notp
