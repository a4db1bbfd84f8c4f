// Artifacts that have not arrived whole: what the next session resumes, and what is written to disk
// so that the next process does. Pure. One thread.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "notp-client/agent/core/local_releases.hpp"
#include "notp-client/store/store.hpp"
#include "protocol/session/client/client_session.hpp"

namespace notp {

// What should happen to the staged artifact of a ledger.
struct DropStaged {
  LedgerId ledger;
};
using StagingStep = std::variant<StagedPiece, DropStaged>;

class PartialTransfers {
 public:
  // `releases` outlives this object.
  explicit PartialTransfers(const LocalReleases& releases) : releases_(releases) {}

  // What an earlier process has staged. What cannot be used is dropped by the next steps.
  void adopt(std::vector<StagedPiece> pieces);
  // The next thing to do about staging, nullopt: nothing for now. Ask again when it is done: at
  // most one piece is copied at a time, however slow the disk. `session` null: none is open.
  std::optional<StagingStep> next_step(const ClientSession* session);
  // Staging fails: no more steps.
  void stop() { is_enabled_ = false; }

  // What the next session resumes.
  const std::vector<PartialArtifact>& partials() const { return partials_; }
  std::optional<wire::ResumeToken> resume_token(const LedgerId& ledger) const;

  // A transfer begins. The session holds what it resumes from.
  void on_offer(const wire::Offer& offer);
  // All of it has arrived, and is not staged any further.
  void on_complete(const wire::Offer& offer);
  // Installed, or of no use.
  void drop(const wire::Offer& offer);
  // `partials` is what the session has half received.
  void end_session(std::vector<PartialArtifact> partials);

 private:
  // How far an artifact is staged.
  struct StagedTransfer {
    Hash artifact;
    uint64_t bytes = 0;
    std::optional<uint32_t> stream;  // on which more of it arrives
    wire::Offer offer;               // of that stream
  };
  // nullopt: it is not known.
  std::optional<Hash> artifact_of(const wire::Offer& offer, ByteView received) const;
  std::optional<StagedPiece> next_piece(const LedgerId& ledger, StagedTransfer& transfer,
                                        const ClientSession& session, uint64_t bytes_max) const;
  uint64_t staged_bytes() const;

  const LocalReleases& releases_;
  // From earlier sessions. An entry stays until its release is offered again: a session may end
  // before that.
  std::vector<PartialArtifact> partials_;
  std::map<LedgerId, StagedTransfer> staged_;
  std::set<LedgerId> drops_;
  bool is_enabled_ = true;
};

}  // namespace notp
