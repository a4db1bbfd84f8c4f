#include "notp-server/registry/git_ledger.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

#include "common/limits.hpp"
#include "common/log.hpp"
#include "common/storage/read_only_disk.hpp"
#include "notp-server/registry/git_read.hpp"
#include "notp-server/registry/git_text.hpp"
#include "notp-server/registry/git_write.hpp"

namespace notp::registry {
namespace {

std::unexpected<Error> conflict(const model::LedgerId& ledger, const ReleaseInfoPtr& head) {
  if (!head)
    return std::unexpected(
        Error{ErrorCode::kConflict,
              fmt::format("{} has no release yet: publish version 1, with no release before it",
                          ledger.text()),
              {{"ledger", ledger.text()}, {"head_version", "0"}}});
  const trust::Release& release = head->release;
  return std::unexpected(
      Error{ErrorCode::kConflict,
            fmt::format("the head of {} moved to v{} (by {} at {}): run `notp plan` against it, "
                        "then publish again",
                        ledger.text(), release.version, short_identity(head->publisher),
                        utc_time(release.issued_ms)),
            {{"ledger", ledger.text()},
             {"head_version", std::to_string(release.version)},
             {"head_publisher", head->publisher},
             {"head_issued_ms", std::to_string(release.issued_ms)}}});
}

Result<void> check_follows(const NewRelease& release, const ReleaseInfoPtr& head) {
  if (release.expected_head_hash != (head ? head->ref.release_hash : Hash{}))
    return conflict(release.ref.ledger, head);
  const uint64_t next = head ? head->release.version + 1 : 1;
  if (release.follows_gap && release.release.version > next) return {};
  if (release.release.version != next ||
      release.release.previous_hash != release.expected_head_hash)
    return fail(ErrorCode::kStatement,
                fmt::format("the release says v{} after {}, but {} goes on with v{} after {}: sign "
                            "it again",
                            release.release.version, release.release.previous_hash.brief(),
                            release.ref.ledger.text(), next, release.expected_head_hash.brief()));
  return {};
}

// The envelope is read here, once for all artifacts that are made of the snapshot.
Result<SnapshotPtr> make_snapshot(const ReleaseInfo& info, model::ModelContent content) {
  trust::ReleaseEnvelope envelope(info.envelope);
  NOTP_TRY(envelope.open());
  NOTP_TRY(envelope.read());
  return std::make_shared<const Snapshot>(
      Snapshot{{info.ref, info.release, std::move(envelope), std::move(content)},
               info.publisher,
               info.message,
               info.commit});
}

uint64_t version_of(const ReleaseInfoPtr& info) { return info->release.version; }

// Where the release with this version is, or would be.
size_t place_of(const std::vector<ReleaseInfoPtr>& releases, uint64_t version) {
  return static_cast<size_t>(std::ranges::lower_bound(releases, version, {}, version_of) -
                             releases.begin());
}

ReleaseInfo info_of(const Snapshot& snapshot) {
  return {snapshot.ref,
          snapshot.release,
          snapshot.envelope.bytes(),
          snapshot.publisher,
          snapshot.message,
          snapshot.commit,
          {}};
}

}  // namespace

GitLedger::GitLedger(model::LedgerId id, std::filesystem::path folder, SnapshotMemory& memory)
    : id_(std::move(id)), folder_(std::move(folder)), memory_(memory) {}

Result<void> GitLedger::load() {
  const MutexLock publishing(publish_mutex_);
  auto read = read_repository();
  if (!read) {
    const WriterLock lock(state_mutex_);
    damage_ = Error{ErrorCode::kCorrupt,
                    fmt::format("{} is damaged at the registry, and nothing of it is served until "
                                "its operator has restored it: the registry's log says what is "
                                "broken (ledger_damaged)",
                                id_.text()),
                    {{"ledger", id_.text()}}};
  }
  return read;
}

Result<void> GitLedger::read_repository() {
  NOTP_ASSIGN(const bool exists, repository_exists(folder_));
  if (!exists) return {};
  // Cleanup after a crash can wait: leftovers are harmless while nothing is written.
  const bool is_read_only = is_on_read_only_disk(folder_);
  if (!is_read_only) NOTP_TRY(clear_leftovers(folder_));
  NOTP_ASSIGN(const OpenRepository repository, open_repository(folder_));
  NOTP_ASSIGN(StoredHistory history, read_history(repository, id_));
  const uint64_t head = history.releases.empty() ? 0 : history.releases.back().release.version;
  const uint64_t unfinished = history.unfinished_version;
  // Without main, an unfinished first publish cannot be distinguished from a lost main: the tag
  // stays for the operator, and a retry replaces it.
  if (unfinished != 0 && head > 0 && !is_read_only) NOTP_TRY(remove_tag(repository, unfinished));
  unfinished_version_ = head > 0 ? 0 : unfinished;
  if (unfinished != 0)
    log::warn("unfinished_publish_dropped",
              {{"ledger", id_.text()}, {"version", unfinished}, {"head", head}});
  const WriterLock lock(state_mutex_);
  releases_.clear();
  withdrawn_.clear();
  for (ReleaseInfo& info : history.releases) {
    if (!info.withdrawn.empty()) withdrawn_.emplace(info.release.version, info.ref.release_hash);
    releases_.push_back(std::make_shared<const ReleaseInfo>(std::move(info)));
  }
  return {};
}

std::optional<Error> GitLedger::damage() const {
  const ReaderLock lock(state_mutex_);
  return damage_;
}

ReleaseInfoPtr GitLedger::head() const {
  const ReaderLock lock(state_mutex_);
  return damage_ || releases_.empty() ? nullptr : releases_.back();
}

Result<ReleaseInfoPtr> GitLedger::info(uint64_t version) const {
  const ReaderLock lock(state_mutex_);
  if (damage_) return std::unexpected(*damage_);
  if (releases_.empty())
    return fail(ErrorCode::kNotFound, fmt::format("there is no ledger {}", id_.text()));
  const size_t place = place_of(releases_, version);
  if (place < releases_.size() && version_of(releases_[place]) == version) return releases_[place];
  const uint64_t head = version_of(releases_.back());
  if (version == 0 || version > head)
    return fail(ErrorCode::kNotFound,
                fmt::format("{} has no v{}; its head is v{}", id_.text(), version, head));
  return fail(ErrorCode::kNotFound,
              fmt::format("{} v{} is lost: when this registry was recovered, no node held it",
                          id_.text(), version));
}

Result<std::vector<ReleaseInfoPtr>> GitLedger::history(uint64_t below_version,
                                                       size_t rows_max) const {
  std::vector<ReleaseInfoPtr> rows;
  {
    const ReaderLock lock(state_mutex_);
    if (damage_) return std::unexpected(*damage_);
    if (releases_.empty())
      return fail(ErrorCode::kNotFound, fmt::format("there is no ledger {}", id_.text()));
    size_t end = releases_.size();
    if (below_version != 0) end = place_of(releases_, below_version);
    for (; end > 0 && rows.size() < std::min(rows_max, limits::kQueryRowsMax); --end)
      rows.push_back(releases_[end - 1]);
  }
  return rows;
}

uint64_t GitLedger::newest() const {
  const ReaderLock lock(state_mutex_);
  return releases_.empty() ? 0 : version_of(releases_.back());
}

Result<SnapshotPtr> GitLedger::snapshot(uint64_t version) {
  NOTP_ASSIGN(const ReleaseInfoPtr wanted, info(version));
  if (SnapshotPtr known = memory_.find(id_, version, wanted->ref.release_hash)) return known;
  const MutexLock lock(load_mutex_);
  if (SnapshotPtr known = memory_.find(id_, version, wanted->ref.release_hash)) return known;
  memory_.count_load();
  NOTP_ASSIGN(const OpenRepository repository, open_repository(folder_));
  NOTP_ASSIGN(model::ModelContent content, read_content(repository, *wanted, blobs_));
  NOTP_ASSIGN(SnapshotPtr snapshot, make_snapshot(*wanted, std::move(content)));
  memory_.keep(snapshot, newest());
  return snapshot;
}

std::vector<std::pair<uint64_t, model::TreePtr>> GitLedger::recent_trees() const {
  return memory_.recent_trees(id_, newest());
}

void GitLedger::append(const SnapshotPtr& snapshot) {
  memory_.keep(snapshot, snapshot->release.version);
  const WriterLock lock(state_mutex_);
  releases_.push_back(std::make_shared<const ReleaseInfo>(info_of(*snapshot)));
}

void GitLedger::share_content(model::ModelContent& content) const {
  for (auto& [hash, blob] : content.blobs)
    if (model::Content known = blobs_.content_of(hash)) blob = std::move(known);
}

Result<OpenRepository> GitLedger::open_or_create() const {
  NOTP_ASSIGN(const bool exists, repository_exists(folder_));
  if (!exists) {
    if (head())
      return fail(ErrorCode::kCorrupt,
                  fmt::format("the repository {} is gone: restore it from a backup or a clone, and "
                              "restart the registry",
                              folder_.string()));
    NOTP_TRY(create_repository(folder_));
  }
  return open_references(folder_);
}

Result<void> GitLedger::prepare_write() {
  {
    const ReaderLock state(state_mutex_);
    if (damage_) return std::unexpected(*damage_);
  }
  if (reread_) NOTP_TRY(read_repository());
  reread_ = false;
  return {};
}

Result<SnapshotPtr> GitLedger::publish(NewRelease release) {
  const MutexLock lock(publish_mutex_);
  NOTP_TRY(prepare_write());
  const ReleaseInfoPtr current = head();
  if (current && current->ref.release_hash == release.ref.release_hash)
    return snapshot(current->release.version);
  NOTP_TRY(check_follows(release, current));
  NOTP_ASSIGN(release.message, stored_message(release.message, release.release.version));
  share_content(release.content);
  NOTP_ASSIGN(const OpenRepository repository, open_or_create());
  // One that a publish before left, and that is not this one.
  if (unfinished_version_ != 0 && unfinished_version_ != release.release.version)
    NOTP_TRY(remove_tag(repository, unfinished_version_));
  unfinished_version_ = 0;
  std::optional<GitId> parent;
  if (current) {
    NOTP_ASSIGN(parent, git_id_from_hex(current->commit));
  }
  const SnapshotPtr previous =
      current ? memory_.find(id_, current->release.version, current->ref.release_hash) : nullptr;
  const auto commit =
      write_release(repository, release, parent, previous ? &previous->content : nullptr, blobs_,
                    head_trees_, large_blobs_);
  if (!commit) {
    reread_ = true;
    return std::unexpected(commit.error());
  }
  auto snapshot = std::make_shared<const Snapshot>(
      Snapshot{{release.ref, std::move(release.release), std::move(release.envelope),
                std::move(release.content)},
               std::move(release.publisher),
               std::move(release.message),
               git_hex(*commit)});
  append(snapshot);
  return snapshot;
}

Result<ReleaseInfoPtr> GitLedger::withdraw(uint64_t version, const Withdrawal& withdrawal,
                                           TimeMs now_ms) {
  const MutexLock lock(publish_mutex_);
  NOTP_TRY(prepare_write());
  NOTP_ASSIGN(const ReleaseInfoPtr known, info(version));
  if (!known->withdrawn.empty()) return known;
  NOTP_ASSIGN(const OpenRepository repository, open_references(folder_));
  NOTP_ASSIGN(const GitId head, git_id_from_hex(this->head()->commit));
  NOTP_TRY(check_main(repository, head));
  if (auto written = write_withdrawal(repository, *known, withdrawal, now_ms); !written) {
    reread_ = true;
    return std::unexpected(std::move(written).error());
  }
  ReleaseInfo marked = *known;
  marked.withdrawn = withdrawal.text();
  const WriterLock state(state_mutex_);
  ReleaseInfoPtr& release = releases_[place_of(releases_, version)];
  release = std::make_shared<const ReleaseInfo>(std::move(marked));
  withdrawn_.emplace(version, release->ref.release_hash);
  return release;
}

std::vector<Hash> GitLedger::withdrawn() const {
  std::vector<Hash> hashes;
  {
    const ReaderLock lock(state_mutex_);
    if (damage_) return hashes;
    for (const auto& [version, hash] : withdrawn_ | std::views::reverse) {
      if (hashes.size() == limits::kWithdrawnMax) break;
      hashes.push_back(hash);
    }
  }
  std::ranges::sort(hashes);
  return hashes;
}

}  // namespace notp::registry
