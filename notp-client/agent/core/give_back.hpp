// Makes the artifact of a stored release, for a registry that has lost it. Deterministic apart from
// the store; the simulator runs the same code.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "common/zstd.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/trust/release_envelope.hpp"
#include "protocol/trust/release_ref.hpp"
#include "protocol/wire/messages.hpp"

namespace notp::agent {

// One stored release. Its statement was verified when it was stored.
struct ReturnedRelease {
  trust::ReleaseRef ref;
  trust::ReleaseEnvelope envelope;
};

struct ReturnJob {
  uint64_t session = 0;  // in which the registry asked
  ReturnedRelease release;
  std::optional<ReturnedRelease> base;  // the artifact may start from it; nullopt: full content
};

// Reads the store. Both functions check what they read, as store::Store does.
struct ReturnContents {
  std::function<Result<model::TreePtr>(const model::LedgerId&, uint64_t version)> tree;
  model::BlobLoader blob;
};

struct ReturnedArtifact {
  std::optional<wire::Base> base;  // nullopt: full content
  model::Content bytes;
};

// Blocking. Starts from the base if all of it can be read, and from nothing otherwise. Memory: the
// artifact, and what encode_artifact() holds of one content at a time. kNotFound, kCorrupt: the
// release is not stored any longer, or damaged; kLimit; kIo; kCancelled when `keep_going` says so.
Result<ReturnedArtifact> make_return(const ReturnJob& job, const ReturnContents& contents,
                                     const KeepGoing& keep_going);

}  // namespace notp::agent
