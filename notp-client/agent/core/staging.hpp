// Artifacts that have arrived only in part: what the next session resumes, and what is written to
// disk for the next process. Pure. One thread.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "notp-client/agent/core/local_releases.hpp"
#include "notp-client/store/store.hpp"
#include "protocol/session/client/client_session.hpp"

namespace notp::agent {

// Tells the host to delete the staged artifact of a ledger.
struct DropStaged {
  model::LedgerId ledger;
};
using StagingStep = std::variant<store::StagedPiece, DropStaged>;

class PartialTransfers {
 public:
  // `releases` outlives this object.
  explicit PartialTransfers(const LocalReleases& releases) : releases_(releases) {}

  // Adopts what an earlier process has staged. Later steps drop what is unusable.
  void adopt(std::vector<store::StagedPiece> pieces);
  // Returns the next staging step; nullopt: none for now. Call it again when the step is done: at
  // most one piece is copied at a time, however slow the disk. `session` null: none is open.
  std::optional<StagingStep> next_step(const session::ClientSession* session);
  // Staging has failed: returns no more steps.
  void stop() { is_enabled_ = false; }

  // The partial artifacts that the next session resumes.
  const std::vector<session::PartialArtifact>& partials() const { return partials_; }
  std::optional<wire::ResumeToken> resume_token(const model::LedgerId& ledger) const;

  // A transfer begins. The session holds the part that it resumes from.
  void on_offer(const wire::Offer& offer);
  // The artifact has arrived in full; staging of it stops.
  void on_complete(const wire::Offer& offer);
  // The artifact was installed, or is of no use.
  void drop(const wire::Offer& offer);
  // `partials` holds the artifacts that the session has received in part.
  void end_session(std::vector<session::PartialArtifact> partials);

 private:
  // How far an artifact is staged.
  struct StagedTransfer {
    Hash artifact;
    uint64_t bytes = 0;
    std::optional<uint32_t> stream;  // on which the rest of it arrives
    wire::Offer offer;               // of that stream
  };
  // nullopt: not known.
  std::optional<Hash> artifact_of(const wire::Offer& offer, ByteView received) const;
  std::optional<store::StagedPiece> next_piece(const model::LedgerId& ledger,
                                               StagedTransfer& transfer,
                                               const session::ClientSession& session,
                                               uint64_t bytes_max) const;
  uint64_t staged_bytes() const;

  const LocalReleases& releases_;
  // From earlier sessions. An entry stays until its release is offered again, because a session may
  // end before that.
  std::vector<session::PartialArtifact> partials_;
  std::map<model::LedgerId, StagedTransfer> staged_;
  std::set<model::LedgerId> drops_;
  bool is_enabled_ = true;
};

}  // namespace notp::agent
