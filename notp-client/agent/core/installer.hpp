// Installs artifacts that have arrived, one after the other. Pure. One thread.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>

#include "notp-client/agent/core/activation.hpp"
#include "notp-client/agent/core/core_parts.hpp"
#include "notp-client/agent/core/repair.hpp"
#include "notp-client/agent/core/staging.hpp"

namespace notp::agent {

struct ReceivedArtifact {
  wire::Offer offer;
  std::shared_ptr<const Bytes> artifact;
  std::set<uint64_t> kept_versions = {};  // older versions that stay after the installation
};

class Installer {
 public:
  // The references outlive this object. `releases_kept`: per ledger, at least 2.
  Installer(CoreParts parts, ContentRepair& repair, PartialTransfers& transfers,
            const Activation& activation, size_t releases_kept);

  // Queues the artifact, and starts it if no installation is under way.
  void add(ReceivedArtifact received);
  // Yields an Install for the next artifact of the queue, if no installation is under way. Drops an
  // artifact whose base is not stored, and requests its release in full.
  void start_next();
  // Ends the installation under way.
  ReceivedArtifact finish();
  // Handles a release that could not be installed: requests it in another way, or reports it as
  // rejected.
  void on_failed(const wire::Offer& offer, const Error& error);

 private:
  // nullopt: its base is not stored.
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

}  // namespace notp::agent
