// Tells what of a node's answer is true: it needs no trust in the node, because all of it is
// signed.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "protocol/model/tree.hpp"
#include "protocol/trust/verify.hpp"

namespace notp::recovery {

// Roots in order of their versions. Releases and statements that the registry lost are signed as
// one of these demands: the newest that the registry had then, or a later one. An older one does
// not count, since its keys may have been taken from it for a reason.
using RootWindow = std::vector<std::shared_ptr<const trust::Root>>;

// The root that follows `newest`, as verify_update() verifies it; one that has expired since
// counts.
Result<trust::VerifiedRoot> verify_lost_root(ByteView envelope,
                                             const std::shared_ptr<const trust::Root>& newest);

// A release of the ledger, signed as some root of the window demands; one that has expired counts.
// The error is that of the newest root.
Result<trust::VerifiedRelease> verify_lost_release(const trust::ReleaseEnvelope& envelope,
                                                   const model::LedgerId& ledger,
                                                   const RootWindow& roots);

// Whether one of the roots that such a release is signed by lets it hold this content:
// trust::check_content(). The error is that of the newest of them.
Result<void> check_lost_content(const trust::VerifiedRelease& release,
                                const model::ModelContent& content, const RootWindow& roots);

// A freshness statement for any reader, signed by a freshness key of some root of the window; one
// that has expired counts. kEnvelope, kStatement, kSignature, kWrongTarget.
Result<trust::Freshness> verify_lost_statement(ByteView envelope, const RootWindow& roots);

}  // namespace notp::recovery
