// The frames that offer and carry one small artifact, encoded once for the sessions that send the
// same bytes.
#pragma once

#include <array>

#include "protocol/model/tree.hpp"
#include "protocol/wire/messages/transfer.hpp"

namespace notp::session {

// Belongs to one artifact, and to the sessions of one thread, unless what derives from it says
// more.
class OfferFrames {
 public:
  // A larger artifact is sent in turns: one TLS record holds its Offer and all of it.
  static constexpr size_t kArtifactBytesMax = 15 << 10;

  virtual ~OfferFrames() = default;
  // Returns Offer ‖ Chunk. Of a fleet, nearly all sessions offer on the same stream, for the same
  // subscription; nullptr: this one differs, or its offer is long, resumed, traced or of a larger
  // artifact.
  virtual model::Content get(const wire::Offer& offer, const model::Content& artifact);

 private:
  // What differs between the short offers of one artifact to sessions.
  struct Form {
    uint32_t stream = 0, subscription = 0;
    uint64_t base_distance = 0;
    model::Content frames;  // null: not used yet
  };
  // Nodes that subscribe to two or three ledgers may number them differently.
  std::array<Form, 4> forms_;
};

}  // namespace notp::session
