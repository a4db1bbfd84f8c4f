// Answers a registry that has lost releases: what this node holds, and the releases themselves.
// protocol/session/README.md, "Recovery". Pure. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "notp-client/agent/core/core_parts.hpp"

namespace notp::agent {

// Whether a release is active, withheld, withdrawn or refused by the PDP makes no difference: it
// was published. One release is given back at a time, also across sessions.
class Holdings {
 public:
  explicit Holdings(CoreParts parts) : parts_(parts) {}

  // A session begins; nothing is given back to the one before.
  void begin_session();
  // Handles what the registry asks for. False: the event is another.
  bool take(const session::ClientEvent& event);
  // Sends envelopes, within kHeldEnvelopesMax and kHeldBytesMax. The registry asks again for more.
  void on_held_wanted(const wire::HeldRequest& request);
  // Yields a GiveBack, or answers with a code: kNotFound for a release that is not stored,
  // kOverloaded when it was asked for too often. Waits for what an earlier session asked for.
  void on_return_wanted(const wire::ReturnRequest& request);
  // The artifact is made, or cannot be.
  void on_returned(const ReturnJob& job, Result<ReturnedArtifact> artifact);

 private:
  // nullptr: it is not stored.
  const store::StoredRelease* stored(const model::LedgerId& ledger, uint64_t version) const;
  Result<ReturnJob> job_for(const wire::ReturnRequest& request);
  void answer(const Result<ReturnedArtifact>& artifact);

  const CoreParts parts_;
  uint64_t session_ = 0;
  bool is_making_ = false;
  std::optional<wire::ReturnRequest> waiting_;  // for what is being made
  // How often a release was given back in this session.
  std::map<std::pair<model::LedgerId, uint64_t>, size_t> times_;
};

}  // namespace notp::agent
