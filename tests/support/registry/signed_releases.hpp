// Signed releases with content, as a publisher makes them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "notp-server/registry/registry.hpp"
#include "tests/support/registry/model_samples.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace notp::samples {

inline const std::string kAlice = "spiffe://core-platform.internal/publisher/alice";

// The release that follows `head` (null: version 1), signed by key 2.
inline registry::NewRelease next_release(const model::LedgerId& ledger,
                                         const registry::ReleaseInfoPtr& head,
                                         model::ModelContent content,
                                         std::string message = "a change") {
  registry::NewRelease out;
  out.expected_head_hash = head ? head->ref.release_hash : Hash{};
  out.release = release(head ? head->release.version + 1 : 1);
  out.release.ledger = ledger;
  out.release.previous_hash = out.expected_head_hash;
  out.release.content_root = content.tree->content_root();
  out.release.total_bytes = content.tree->total_bytes();
  out.release.file_count = content.tree->files().size();
  out.release.issued_ms = kIssuedMs + static_cast<TimeMs>(out.release.version) * 60'000;
  const trust::Envelope envelope = signed_by(out.release, {2});
  out.ref = trust::ref_of(out.release, trust::release_hash(envelope.payload));
  out.envelope = envelope.encode();
  out.content = std::move(content);
  out.publisher = kAlice;
  out.message = std::move(message);
  return out;
}

// A stored release with these files, whose predecessor has the hash of its own version's number.
inline registry::SnapshotPtr snapshot(uint64_t version, const Texts& files,
                                      const model::LedgerId& ledger = kLedger) {
  registry::ReleaseInfoPtr before;
  if (version > 1) {
    registry::ReleaseInfo info;
    info.release.version = version - 1;
    info.ref.release_hash = sha256(std::to_string(version - 1));
    before = std::make_shared<const registry::ReleaseInfo>(std::move(info));
  }
  registry::NewRelease made = next_release(ledger, before, model_of(files));
  return std::make_shared<const registry::Snapshot>(
      registry::Snapshot{{made.ref, made.release, made.envelope, made.content}, "", "", ""});
}

}  // namespace notp::samples
