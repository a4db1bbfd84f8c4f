#include "tools/bench/wire_suite.hpp"

#include <fmt/format.h>

#include <cmath>

#include "tools/bench/bundle_arm.hpp"
#include "tools/bench/git_arm.hpp"
#include "tools/bench/scratch_folder.hpp"
#include "tools/notp/publish/model_folder.hpp"

namespace notp::bench {
namespace {

// A cut loses at most a chunk, and a registry without time pressure sends chunks of 64 KiB: a
// smaller artifact leaves nothing to resume.
constexpr uint64_t kCutAfterBytesMin = 72 << 10, kCutArtifactBytesMin = 80 << 10;
constexpr size_t kStartsReleasesMin = 3;
constexpr uint64_t kDamagedBytesMin = 200;  // long enough to occur in a store only once

class WireSuite {
 public:
  explicit WireSuite(const WireOptions& options) : options_(options) {}
  Result<WireResult> run();

 private:
  Result<void> start(const std::filesystem::path& folder);
  Result<WireChange> measure(const TaggedCommit& commit);
  Result<void> measure_notp(const TaggedCommit& commit, WireChange& change);
  Result<void> measure_pulls(WireChange& change);
  Result<WireStarts> measure_starts(const TaggedCommit& before_last, uint64_t version);
  Result<void> measure_controls(const TaggedCommit& commit, WireChange& change);

  const WireOptions& options_;
  CountingProxy proxy_;  // outlives the arms
  std::optional<Checkout> checkout_;
  std::unique_ptr<GitArm> git_, git_bitmap_;
  std::unique_ptr<BundleArm> bundle_;
  std::unique_ptr<NotpArm> notp_;
  std::optional<LoadedRelease> before_;
};

Result<void> WireSuite::start(const std::filesystem::path& folder) {
  NOTP_ASSIGN(checkout_, Checkout::make(options_.repository, folder / "model"));
  NOTP_ASSIGN(git_, GitArm::start(proxy_, options_.repository, folder / "git", false));
  NOTP_ASSIGN(git_bitmap_, GitArm::start(proxy_, options_.repository, folder / "bitmap", true));
  NOTP_ASSIGN(bundle_, BundleArm::start(proxy_, options_.repository, folder));
  NOTP_ASSIGN(notp_,
              NotpArm::start(proxy_, {.programs = options_.programs, .folder = folder / "notp"}));
  return notp_->open_session(notp_->push_agent());
}

Result<void> WireSuite::measure_pulls(WireChange& change) {
  AgentArm& agent = notp_->pull_agent();
  const bool with_cut = change.artifact_bytes >= kCutArtifactBytesMin;
  if (with_cut) NOTP_TRY(agent.keep_store());
  NOTP_ASSIGN(change.pull, notp_->pull(change.version));
  if (!with_cut) return {};
  NOTP_TRY(agent.restore_store());
  const uint64_t before = change.pull->down_bytes() - change.artifact_bytes;
  const uint64_t half = std::max(change.artifact_bytes / 2, kCutAfterBytesMin);
  NOTP_ASSIGN(change.cut, notp_->pull_with_cut(change.version, before + half));
  return {};
}

Result<WireStarts> WireSuite::measure_starts(const TaggedCommit& before_last, uint64_t version) {
  NOTP_TRY(checkout_->go_to(before_last));
  WireStarts starts;
  NOTP_ASSIGN(starts.unknown_base, notp_->pull_on_unknown_base(checkout_->folder(), version));
  for (const auto& [path, file] : before_->content.tree->files())
    if (path.ends_with(".rego") && file.bytes >= kDamagedBytesMin) {
      NOTP_ASSIGN(const model::Content content, before_->content.loader()(file.hash));
      NOTP_ASSIGN(starts.repair, notp_->repair(version, *content));
      break;
    }
  return starts;
}

Result<void> WireSuite::measure_notp(const TaggedCommit& commit, WireChange& change) {
  NOTP_TRY(checkout_->go_to(commit));
  NOTP_ASSIGN(const PublishedRelease release, notp_->publish(checkout_->folder(), commit.tag));
  change.version = release.version;
  change.artifact_bytes = release.artifact_bytes;
  NOTP_ASSIGN(change.push, notp_->await_push(release.version));
  if (options_.with_pull) NOTP_TRY(measure_pulls(change));
  NOTP_ASSIGN(cli::FolderContent loaded, cli::read_model_folder(checkout_->folder().string()));
  LoadedRelease now{release.envelope, std::move(loaded.content)};
  NOTP_ASSIGN(change.codec, measure_codec(before_ ? &*before_ : nullptr, now));
  before_ = std::move(now);
  return {};
}

Result<void> WireSuite::measure_controls(const TaggedCommit& commit, WireChange& change) {
  NOTP_ASSIGN(change.git, git_->update(commit));
  NOTP_ASSIGN(change.git_bitmap, git_bitmap_->update(commit));
  NOTP_ASSIGN(change.bundle, bundle_->update(commit));
  return {};
}

Result<WireChange> WireSuite::measure(const TaggedCommit& commit) {
  WireChange change;
  change.tag = commit.tag;
  NOTP_TRY(measure_notp(commit, change));
  NOTP_TRY(measure_controls(commit, change));
  return change;
}

Result<WireResult> WireSuite::run() {
  NOTP_ASSIGN(const std::vector<TaggedCommit> history, tagged_history(options_.repository));
  NOTP_ASSIGN(const auto scratch, ScratchFolder::make());
  NOTP_TRY(start(scratch->path()));
  WireResult result;
  for (const TaggedCommit& commit : history) {
    auto change = measure(commit);
    if (!change) return std::unexpected(std::move(change).error().in(commit.tag));
    if (options_.measured) options_.measured(*change);
    result.changes.push_back(*std::move(change));
    if (result.model_files != 0) continue;
    result.model_files = before_->content.tree->files().size();
    result.model_bytes = before_->content.tree->total_bytes();
  }
  NOTP_ASSIGN(result.opening, notp_->measure_opening());
  if (options_.with_pull && history.size() >= kStartsReleasesMin) {
    NOTP_ASSIGN(result.starts,
                measure_starts(history[history.size() - 2], result.changes.back().version));
  }
  NOTP_TRY(notp_->stop());
  return result;
}

}  // namespace

double WireResult::geomean_vs_git() const {
  double logs = 0;
  for (size_t i = 1; i < changes.size(); ++i) logs += std::log(changes[i].ratio_to_git());
  return std::exp(logs / static_cast<double>(changes.size() - 1));
}

Result<WireResult> run_wire(const WireOptions& options) { return WireSuite(options).run(); }

}  // namespace notp::bench
