#include "notp-server/recovery/returned_release.hpp"

#include <fmt/format.h>

#include "notp-server/publish/rebuilt_content.hpp"
#include "protocol/delta/artifact.hpp"

namespace notp::recovery {

Result<registry::NewRelease> check_returned(const wire::Return& head, ByteView artifact,
                                            const LostRelease& lost,
                                            const registry::SnapshotPtr& base,
                                            const RootWindow& roots) {
  const trust::ReleaseRef& ref = lost.ref;
  if (head.base.has_value() != (base != nullptr) ||
      (base && (base->ref.version != head.base->version ||
                base->ref.content_root != head.base->content_root)))
    return fail(ErrorCode::kArtifact, fmt::format("{} v{} came against a release that is not here",
                                                  ref.ledger.text(), ref.version));
  NOTP_ASSIGN(const trust::ReleaseEnvelope envelope,
              delta::read_envelope(artifact, base ? base->envelope : trust::ReleaseEnvelope()));
  NOTP_ASSIGN(trust::VerifiedRelease verified, verify_lost_release(envelope, ref.ledger, roots));
  if (verified.ref != ref)
    return fail(ErrorCode::kWrongTarget,
                fmt::format("{} v{} ({}) came, asked for was v{} ({})", ref.ledger.text(),
                            verified.ref.version, verified.ref.release_hash.brief(), ref.version,
                            ref.release_hash.brief()));
  NOTP_ASSIGN(model::ModelContent content,
              publish::rebuild_content(artifact, base, verified.release()));
  NOTP_TRY(check_lost_content(verified, content, roots));
  registry::NewRelease out;
  out.ref = verified.ref;
  out.release = verified.release();
  out.envelope = std::move(verified.envelope);
  out.content = std::move(content);
  return out;
}

}  // namespace notp::recovery
