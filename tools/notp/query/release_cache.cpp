#include "tools/notp/query/release_cache.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/trust/content_check.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kReleasesPerLedger = 4;
// A cache entry is written often and read once: speed matters more than size.
constexpr int kCacheLevel = 1;
constexpr std::string_view kSuffix = ".artifact";

std::optional<uint64_t> version_of(const fs::path& path) {
  const std::string name = path.filename().string();
  if (!name.starts_with('v') || !name.ends_with(kSuffix)) return std::nullopt;
  uint64_t version = 0;
  const char* end = name.data() + name.size() - kSuffix.size();
  const auto [last, error] = std::from_chars(name.data() + 1, end, version);
  if (error != std::errc() || last != end) return std::nullopt;
  return version;
}

fs::path file_name(uint64_t version) { return fmt::format("v{}{}", version, kSuffix); }

// Removes the least recently used files.
void trim(const fs::path& folder) {
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (version_of(entry.path())) files.emplace_back(entry.last_write_time(error), entry.path());
  std::ranges::sort(files, std::greater{});
  for (size_t i = kReleasesPerLedger; i < files.size(); ++i) fs::remove(files[i].second, error);
}

// The newest root that lets the release hold what it holds. The error is that of the newest root
// that its signatures satisfy.
Result<uint64_t> newest_root_for(const PulledRelease& release, std::span<const RootPtr> roots,
                                 const trust::Floor& floor) {
  const trust::Release& statement = release.release();
  std::optional<Error> first;
  for (size_t i = roots.size(); i-- > 0;) {
    if (roots[i]->version > release.root_version ||
        !verify_ignoring_expiry(release.verified.envelope, roots.subspan(i, 1), statement.ledger,
                                floor))
      continue;
    auto checked =
        trust::check_content(*roots[i], statement, *release.content.tree, release.content.loader());
    if (checked) return roots[i]->version;
    if (!first) first = std::move(checked).error();
  }
  if (first) return std::unexpected(*std::move(first));
  return fail(ErrorCode::kSignature, "no root allows its keys to publish it");
}

}  // namespace

Result<ReleaseUnderRoot> verify_ignoring_expiry(const trust::ReleaseEnvelope& envelope,
                                                std::span<const RootPtr> roots,
                                                const model::LedgerId& ledger,
                                                const trust::Floor& floor) {
  std::optional<Error> first;
  for (size_t i = roots.size(); i-- > 0;) {
    trust::Trusted trusted;
    trusted.root = roots[i];
    trusted.ledgers[ledger].floor = floor;
    auto verified = trust::verify_release(envelope, ledger, trusted, /*now_ms=*/0);
    if (verified) return ReleaseUnderRoot{*std::move(verified), roots[i]->version};
    if (!first) first = std::move(verified).error();
    if (first->code != ErrorCode::kSignature) break;
  }
  return std::unexpected(*std::move(first));
}

Result<PulledRelease> open_artifact(ByteView artifact, const PulledRelease* base,
                                    std::span<const RootPtr> roots, const model::LedgerId& ledger,
                                    const trust::Floor& floor) {
  NOTP_ASSIGN(
      const trust::ReleaseEnvelope envelope,
      delta::read_envelope(artifact, base ? base->verified.envelope : trust::ReleaseEnvelope()));
  NOTP_ASSIGN(ReleaseUnderRoot verified, verify_ignoring_expiry(envelope, roots, ledger, floor));
  PulledRelease pulled{std::move(verified.verified), verified.root_version, {}};
  NOTP_ASSIGN(pulled.content, open_content(artifact, base, pulled.release()));
  NOTP_ASSIGN(pulled.root_version, newest_root_for(pulled, roots, floor));
  return pulled;
}

Result<model::ModelContent> open_content(ByteView artifact, const PulledRelease* base,
                                         const trust::Release& release) {
  std::optional<delta::ReleaseContent> from;
  if (base)
    from = delta::ReleaseContent{base->verified.envelope, base->content.tree.get(),
                                 base->content.loader()};
  NOTP_ASSIGN(delta::AppliedArtifact applied,
              delta::apply_artifact(artifact, from ? &*from : nullptr,
                                    {release.total_bytes, release.file_count}));
  if (applied.tree->content_root() != release.content_root)
    return fail(ErrorCode::kContentRoot,
                fmt::format("the content of {} v{} is not what its publisher signed",
                            release.ledger.text(), release.version));
  model::ModelContent content;
  content.tree = std::move(applied.tree);
  content.blobs = std::move(applied.new_blobs);
  for (const auto& [path, entry] : content.tree->files()) {
    if (content.blobs.contains(entry.hash)) continue;
    const auto old = base ? base->content.blobs.find(entry.hash) : content.blobs.end();
    if (!base || old == base->content.blobs.end())
      return fail(ErrorCode::kArtifact, fmt::format("the content of '{}' is missing", path));
    content.blobs.emplace(entry.hash, old->second);
  }
  return content;
}

ReleaseCache::ReleaseCache(const Environment& environment, std::vector<RootPtr> roots)
    : roots_(std::move(roots)) {
  const auto variable = [&](const std::string& name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  if (const std::string cache = variable("XDG_CACHE_HOME"); !cache.empty())
    folder_ = fs::path(cache) / "notp";
  else if (const std::string home = variable("HOME"); !home.empty())
    folder_ = fs::path(home) / ".cache/notp";
}

fs::path ReleaseCache::folder_of(const model::LedgerId& ledger) const {
  return *folder_ / roots_.back()->trust_domain / std::to_string(ledger.zone) / ledger.name;
}

std::vector<uint64_t> ReleaseCache::versions(const model::LedgerId& ledger) const {
  std::vector<uint64_t> found;
  if (!folder_) return found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_of(ledger), error))
    if (const auto version = version_of(entry.path())) found.push_back(*version);
  std::ranges::sort(found, std::greater{});
  return found;
}

std::optional<PulledRelease> ReleaseCache::newest(const model::LedgerId& ledger) const {
  for (const uint64_t version : versions(ledger))
    if (auto release = find(ledger, version)) return release;
  return std::nullopt;
}

std::optional<PulledRelease> ReleaseCache::find(const model::LedgerId& ledger,
                                                uint64_t version) const {
  if (!folder_) return std::nullopt;
  const fs::path path = folder_of(ledger) / file_name(version);
  const auto artifact = read_file(path, limits::kArtifactBytesMax);
  if (!artifact) return std::nullopt;
  auto release = open_artifact(*artifact, nullptr, roots_, ledger, {});
  std::error_code error;
  if (!release || release->release().version != version) {
    // A release signed under another root is usable again under that root.
    if (release || release.error().code != ErrorCode::kSignature) fs::remove(path, error);
    return std::nullopt;
  }
  fs::last_write_time(path, fs::file_time_type::clock::now(), error);
  return std::move(*release);
}

void ReleaseCache::keep(const PulledRelease& release) const {
  if (!folder_) return;
  const fs::path folder = folder_of(release.release().ledger);
  const delta::ReleaseContent target{release.verified.envelope, release.content.tree.get(),
                                     release.content.loader()};
  const auto artifact = delta::encode_artifact(nullptr, target, {.level = kCacheLevel});
  if (!artifact || !make_folders(folder)) return;
  if (!write_file(folder / file_name(release.release().version), *artifact, 0600)) return;
  drop_before_epoch(release.release());
  trim(folder);
}

// Versions restart with an epoch: older releases with higher versions would be taken for the
// newest.
void ReleaseCache::drop_before_epoch(const trust::Release& kept) const {
  for (const uint64_t version : versions(kept.ledger)) {
    if (version <= kept.version) return;
    const auto above = find(kept.ledger, version);
    std::error_code error;
    if (above && above->release().epoch < kept.epoch)
      fs::remove(folder_of(kept.ledger) / file_name(version), error);
  }
}

}  // namespace notp::cli
