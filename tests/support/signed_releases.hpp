// Signed releases with content, as a publisher makes them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "notp-server/registry/registry.hpp"
#include "tests/support/signed_samples.hpp"

namespace notp::samples {

inline const std::string kAlice = "spiffe://core-platform.internal/publisher/alice";

using FileTexts = std::map<std::string, std::string>;

inline ModelContent model(const FileTexts& texts) {
  ModelContent content;
  Files files;
  for (const auto& [path, text] : texts) {
    const Hash hash = blob_hash(text);
    files.emplace(path, FileEntry{hash, text.size()});
    content.blobs.emplace(hash, std::make_shared<const Bytes>(text));
  }
  content.tree = std::make_shared<const Tree>(Tree::make(std::move(files)).value());
  return content;
}

// The release that follows `head` (null: version 1), signed by key 2.
inline NewRelease next_release(const LedgerId& ledger, const ReleaseInfoPtr& head,
                               ModelContent content, std::string message = "a change") {
  NewRelease out;
  out.expected_head_hash = head ? head->ref.release_hash : Hash{};
  out.release = release(head ? head->release.version + 1 : 1);
  out.release.ledger = ledger;
  out.release.previous_hash = out.expected_head_hash;
  out.release.content_root = content.tree->content_root();
  out.release.total_bytes = content.tree->total_bytes();
  out.release.file_count = content.tree->files().size();
  out.release.issued_ms = kIssuedMs + static_cast<TimeMs>(out.release.version) * 60'000;
  const Envelope envelope = signed_by(out.release, {2});
  out.ref = ref_of(out.release, release_hash(envelope.payload));
  out.envelope = envelope.encode();
  out.content = std::move(content);
  out.publisher = kAlice;
  out.message = std::move(message);
  return out;
}

// A stored release with these files, whose predecessor has the hash of its own version's number.
inline SnapshotPtr snapshot(uint64_t version, const FileTexts& files,
                            const LedgerId& ledger = kLedger) {
  ReleaseInfoPtr before;
  if (version > 1) {
    ReleaseInfo info;
    info.release.version = version - 1;
    info.ref.release_hash = sha256(std::to_string(version - 1));
    before = std::make_shared<const ReleaseInfo>(std::move(info));
  }
  NewRelease made = next_release(ledger, before, model(files));
  return std::make_shared<const Snapshot>(
      Snapshot{{made.ref, made.release, made.envelope, made.content}, "", "", ""});
}

}  // namespace notp::samples
