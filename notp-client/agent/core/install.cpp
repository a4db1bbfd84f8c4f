#include "notp-client/agent/core/install.hpp"

#include <fmt/format.h>

#include "common/json/json.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/delta/inventory.hpp"
#include "protocol/model/manifest.hpp"
#include "protocol/trust/content_check.hpp"
#include "protocol/trust/roots_check.hpp"

namespace notp::agent {
namespace {

// Returns the tree that the artifact builds on.
Result<model::TreePtr> base_of(const InstallRequest& request, store::Store& store) {
  NOTP_ASSIGN(model::TreePtr held, store.tree(request.ledger, request.base_version));
  if (!request.partial) return held;
  const HeldPart& part = *request.partial;
  NOTP_ASSIGN(model::Tree files,
              delta::partial_base(*held, part.missing_blobs, part.excluded_leaves));
  if (files.content_root() != part.content_root)
    return fail(ErrorCode::kArtifact,
                fmt::format("{}: an artifact builds on other files than this node has of v{}",
                            request.ledger.text(), request.base_version));
  return std::make_shared<const model::Tree>(std::move(files));
}

Result<delta::AppliedArtifact> apply(const InstallRequest& request, const model::TreePtr& base,
                                     store::Store& store, const trust::Release& release,
                                     ContentSink* recent) {
  const delta::ApplyLimits limits{release.total_bytes, release.file_count};
  if (base == nullptr) return delta::apply_artifact(*request.artifact, nullptr, limits);
  const delta::ReleaseContent content{request.base_envelope, base.get(), [&](const Hash& hash) {
                                        auto content = store.blob(hash);
                                        if (content && recent != nullptr)
                                          recent->keep(hash, *content);
                                        return content;
                                      }};
  return delta::apply_artifact(*request.artifact, &content, limits);
}

Result<void> check_signed_content(const model::Tree& tree, const trust::Release& release) {
  if (tree.content_root() != release.content_root)
    return fail(ErrorCode::kContentRoot,
                fmt::format("{} v{}: the content received has root {}, the signed one is {}",
                            release.ledger.text(), release.version, tree.content_root().brief(),
                            release.content_root.brief()));
  if (tree.total_bytes() != release.total_bytes || tree.files().size() != release.file_count)
    return fail(ErrorCode::kContentRoot,
                fmt::format("{} v{}: the content received is not of the signed size",
                            release.ledger.text(), release.version));
  return {};
}

model::BlobLoader loader_of(const delta::AppliedArtifact& applied, store::Store& store) {
  return [&](const Hash& hash) -> Result<model::Content> {
    const auto arrived = applied.new_blobs.find(hash);
    if (arrived != applied.new_blobs.end()) return arrived->second;
    return store.blob(hash);
  };
}

// The base passed the same check when it was installed. Of a part the statement may be missing.
Result<void> check_roots(const InstallRequest& request, const model::TreePtr& base,
                         const trust::Release& release, const model::Tree& tree,
                         const model::BlobLoader& load) {
  trust::ReleaseEnvelope statement = request.base_envelope;
  trust::ConfinedContent before;
  if (base != nullptr && !request.partial && statement.open() && statement.read())
    before = {base.get(), &statement.release().data_roots};
  return trust::check_roots(release, tree, load, before);
}

// Whether the manifest of the release has a gate. What is damaged may have one; what is no JSON is
// refused later, by who reads it for the PDP.
bool has_gate(const model::Tree& tree, const model::BlobLoader& load) {
  const model::FileEntry* const entry = tree.find(model::kManifestPath);
  if (entry == nullptr) return false;
  const auto text = load(entry->hash);
  if (!text) return true;
  const auto document = parse_json(**text);
  return document && document->is_object() && document->as_object().contains("gate");
}

}  // namespace

Result<store::StoredRelease> install_release(const InstallRequest& request, store::Store& store,
                                             ContentSink* recent) {
  NOTP_ASSIGN(trust::ReleaseEnvelope envelope,
              delta::read_envelope(*request.artifact, request.base_envelope));
  NOTP_ASSIGN(
      trust::VerifiedRelease verified,
      trust::verify_release(std::move(envelope), request.ledger, request.trusted, request.now_ms));
  if (verified.release().version != request.version)
    return fail(ErrorCode::kWrongTarget,
                fmt::format("{}: v{} was offered, v{} is signed", request.ledger.text(),
                            request.version, verified.release().version));
  model::TreePtr base;
  if (request.base_version != 0) {
    NOTP_ASSIGN(base, base_of(request, store));
  }
  NOTP_ASSIGN(delta::AppliedArtifact applied,
              apply(request, base, store, verified.release(), recent));
  NOTP_TRY(check_signed_content(*applied.tree, verified.release()));
  const model::BlobLoader load = loader_of(applied, store);
  NOTP_TRY(trust::check_content(*request.trusted.root, verified.release(), *applied.tree, load));
  NOTP_TRY(check_roots(request, base, verified.release(), *applied.tree, load));
  const bool is_gated = has_gate(*applied.tree, load);
  const bool is_keys_only =
      trust::check_keys_only(verified.release(), *applied.tree, load).has_value();
  const store::InstallRecord record{.ref = verified.ref,
                                    .release = verified.release(),
                                    .envelope = verified.envelope,
                                    .tree = std::move(applied.tree),
                                    .new_blobs = std::move(applied.new_blobs),
                                    .confirmed = request.confirmed,
                                    .kept_versions = request.kept_versions,
                                    .now_ms = request.now_ms,
                                    .has_gate = is_gated};
  NOTP_TRY(store.install(record));
  if (recent != nullptr)
    for (const auto& [hash, content] : record.new_blobs) recent->keep(hash, content);
  return store::StoredRelease{.ref = verified.ref,
                              .envelope = std::move(verified.envelope),
                              .confirmed = false,
                              .quarantined = false,
                              .error = {},
                              .stored_ms = request.now_ms,
                              .has_gate = is_gated,
                              .is_keys_only = is_keys_only};
}

void mark_keys_only(store::StoreState& state, store::Store& store) {
  const model::BlobLoader load = [&](const Hash& hash) { return store.blob(hash); };
  for (auto& [ledger, stored] : state.ledgers)
    for (store::StoredRelease& release : stored.releases) {
      if (!release.envelope.open() || !release.envelope.read()) continue;
      if (!trust::may_be_keys_only(release.envelope.release())) continue;
      const auto tree = store.tree(ledger, release.ref.version);
      const auto checked = tree ? trust::check_keys_only(release.envelope.release(), **tree, load)
                                : Result<void>(std::unexpected(tree.error()));
      release.is_keys_only = checked || checked.error().code != ErrorCode::kWrongTarget;
    }
}

}  // namespace notp::agent
