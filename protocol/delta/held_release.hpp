// A release with its content in memory, from which a server makes artifacts.
#pragma once

#include <memory>

#include "protocol/delta/artifact.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/trust/release_ref.hpp"
#include "protocol/trust/statements.hpp"

namespace notp::delta {

// Immutable, shared between threads.
struct HeldRelease {
  trust::ReleaseRef ref;
  trust::Release release;
  trust::ReleaseEnvelope envelope;  // verbatim, read
  model::ModelContent content;

  // Returns it as one side of an artifact. Valid as long as this release.
  ReleaseContent side() const { return {envelope, content.tree.get(), content.loader()}; }
};
using HeldReleasePtr = std::shared_ptr<const HeldRelease>;

}  // namespace notp::delta
