#include "tools/notp/audit/replay_releases.hpp"

#include <fmt/format.h>

namespace notp::cli {
namespace {

// Whether an error is about the release, and not about the way to it.
bool is_of_release(const Error& error) {
  switch (error.code) {
    case ErrorCode::kNotFound:
    case ErrorCode::kDenied:
    case ErrorCode::kCorrupt:
      return true;
    default:
      return error_traits(error.code).exit == exit_code::kUntrusted;
  }
}

std::unexpected<Error> missing(const trust::ReleaseRef& recorded, std::string_view why) {
  return fail(ErrorCode::kNotFound,
              fmt::format("{} v{}: {}", recorded.ledger.text(), recorded.version, printable(why)));
}

}  // namespace

Result<PulledReleasePtr> RegistryArchive::pull(const model::LedgerId& ledger, uint64_t version) {
  auto& source = sources_[ledger];
  if (!source) {
    NOTP_ASSIGN(source,
                ReleaseSource::open(settings_, context_.environment, context_.output, ledger));
  }
  return source->pull(version);
}

Result<PulledReleasePtr> RecordedReleases::find(const trust::ReleaseRef& recorded) {
  if (const auto known = known_.find(recorded.release_hash); known != known_.end())
    return known->second;
  auto pulled = archive_.pull(recorded.ledger, recorded.version);
  if (!pulled) {
    if (!is_of_release(pulled.error())) return pulled;
    pulled = missing(recorded, pulled.error().message);
  } else if ((*pulled)->verified.ref.release_hash != recorded.release_hash) {
    pulled = missing(recorded, "the registry has another release of this version");
  } else if ((*pulled)->release().content_root != recorded.content_root) {
    pulled = missing(recorded, "the record names another content");
  }
  const uint64_t bytes = pulled ? (*pulled)->content.tree->total_bytes() : 0;
  if (known_.size() >= kReplayReleasesMax || known_bytes_ + bytes > kReplayReleasesBytesMax) {
    known_.clear();
    known_bytes_ = 0;
  }
  known_bytes_ += bytes;
  known_.emplace(recorded.release_hash, pulled);
  return pulled;
}

}  // namespace notp::cli
