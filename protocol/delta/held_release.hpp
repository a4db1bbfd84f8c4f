// A release with its content in memory, from which a server makes artifacts.
#pragma once

#include <memory>

#include "protocol/delta/artifact.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/trust/release_ref.hpp"
#include "protocol/trust/statements.hpp"

namespace notp {

// Immutable, shared between threads.
struct HeldRelease {
  ReleaseRef ref;
  Release release;
  ReleaseEnvelope envelope;  // verbatim, read
  ModelContent content;

  // Returns it as one side of an artifact. Valid as long as this release.
  ReleaseContent side() const { return {envelope, content.tree.get(), content.loader()}; }
};
using HeldReleasePtr = std::shared_ptr<const HeldRelease>;

}  // namespace notp
