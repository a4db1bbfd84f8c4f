#include "notp-server/recovery/recovery_job.hpp"

#include <fmt/format.h>

#include <utility>

#include "common/failpoint.hpp"
#include "common/limits.hpp"
#include "common/log.hpp"
#include "notp-server/recovery/returned_release.hpp"

namespace notp::recovery {
namespace {

// A root that has expired since is part of the chain.
constexpr TimeMs kBeforeAnyExpiry = 0;

}  // namespace

void RecoveryJob::run(const RecoveryOrder& order, const RecoveryEffects& effects) {
  log::info("recovery_began", {{"identity", order.administrator},
                               {"accept_silent", order.what.accept_silent},
                               {"accept_missing", order.what.accept_missing}});
  const uint64_t before = recovered_total_;
  const auto done = run_steps(order, effects);
  effects.freshness_due();
  log::write(done ? log::Level::kInfo : log::Level::kWarn, "recovery_ended",
             {{"identity", order.administrator},
              {"count", recovered_total_ - before},
              {"code", done ? "" : error_traits(done.error().code).name},
              {"message", done ? "" : done.error().message}});
}

Result<void> RecoveryJob::run_steps(const RecoveryOrder& order, const RecoveryEffects& effects) {
  NOTP_TRY(begin_mark());
  failpoint("recovery.after_mark");
  do {
    NOTP_TRY(adopt_roots(order, effects));
    failpoint("recovery.after_roots");
    const bool has_progress = recover_ledgers(order, effects);
    for (const model::LedgerId& ledger : losses_.unlisted())
      inquiry_.ask_all_again(ledger, losses_.head_of(ledger));
    inquiry_.wait_for_answers();
    if (!has_progress) break;
  } while (inquiry_.is_open());
  withdraw_again(order);
  failpoint("recovery.after_withdrawals");
  return end();
}

// A folder that was put back by other means is marked from now on: until all is back, nothing here
// can be trusted to be the newest.
Result<void> RecoveryJob::begin_mark() {
  if (losses_.mark()) return {};
  const registry::RestoredMark mark{.restored_ms = read_clock().wall_ms,
                                    .root_version = parts_.roots.newest()};
  NOTP_TRY(registry::write_restored_mark(parts_.data_dir, mark));
  losses_.set_mark(mark);
  return {};
}

Result<void> RecoveryJob::adopt_roots(const RecoveryOrder& order, const RecoveryEffects& effects) {
  const std::vector<trust::VerifiedRoot> lost = losses_.lost_roots();
  for (const trust::VerifiedRoot& root : lost) {
    if (root.root->version <= parts_.roots.newest()) continue;
    NOTP_TRY(parts_.roots.publish(root.envelope, kBeforeAnyExpiry));
    log::info("root_published", {{"identity", order.administrator},
                                 {"root_version", root.root->version},
                                 {"epoch", root.root->epoch}});
  }
  if (!lost.empty()) effects.roots_changed();
  return {};
}

bool RecoveryJob::recover_ledgers(const RecoveryOrder& order, const RecoveryEffects& effects) {
  bool has_progress = false;
  for (const model::LedgerId& ledger : losses_.ledgers()) {
    const uint64_t before = losses_.head_of(ledger);
    const auto recovered = recover_ledger(order, ledger);
    if (losses_.head_of(ledger) > before) {
      has_progress = true;
      effects.new_head(ledger);
    }
    const MutexLock lock(mutex_);
    Progress& progress = progress_[ledger];
    progress.is_fetching = false;
    progress.message = recovered ? "" : recovered.error().message;
  }
  return has_progress;
}

Result<void> RecoveryJob::recover_ledger(const RecoveryOrder& order,
                                         const model::LedgerId& ledger) {
  while (inquiry_.is_open()) {
    NOTP_ASSIGN(const std::optional<LostRelease> lost,
                losses_.next_release(ledger, order.given_up));
    if (!lost) return {};
    {
      const MutexLock lock(mutex_);
      progress_[ledger].is_fetching = true;
    }
    NOTP_TRY(fetch(order, *lost));
  }
  return fail(ErrorCode::kCancelled, "the registry stops");
}

Result<void> RecoveryJob::fetch(const RecoveryOrder& order, const LostRelease& lost) {
  Result<void> last =
      fail(ErrorCode::kUnavailable,
           fmt::format("no connected node holds {} v{}", lost.ref.ledger.text(), lost.ref.version));
  std::set<uint64_t> tried;
  while (const auto session = inquiry_.choose(losses_.holders_of(lost.ref), tried)) {
    tried.insert(session->number);
    auto release = get_from(*session, lost);
    if (release) return store(order, *std::move(release), session->identity);
    if (!inquiry_.is_open()) return std::unexpected(std::move(release).error());
    log::write(log::Level::kWarn, "release_not_returned", release.error(),
               {{"identity", session->identity},
                {"ledger", lost.ref.ledger.text()},
                {"version", lost.ref.version}});
    last = std::unexpected(std::move(release).error().in(session->identity));
  }
  return last;
}

Result<registry::NewRelease> RecoveryJob::get_from(const serve::SessionHandle& session,
                                                   const LostRelease& lost) {
  const uint64_t head = losses_.head_of(lost.ref.ledger);
  NOTP_ASSIGN(const NodeInquiry::Returned returned,
              inquiry_.fetch(session, lost, head + 1 == lost.ref.version ? head : 0));
  if (returned.head.code != 0)
    return fail(error_code_from_wire(returned.head.code), printable(returned.head.message));
  if (!returned.artifact) return fail(ErrorCode::kInternal, "the artifact is missing");
  registry::SnapshotPtr base;
  if (returned.head.base) {
    NOTP_ASSIGN(base, parts_.registry.snapshot(lost.ref.ledger, returned.head.base->version));
  }
  NOTP_ASSIGN(const Bytes artifact, returned.artifact->take());
  return check_returned(returned.head, artifact, lost, base, losses_.window());
}

Result<void> RecoveryJob::store(const RecoveryOrder& order, registry::NewRelease release,
                                const std::string& node) {
  const model::LedgerId ledger = release.ref.ledger;
  const uint64_t version = release.ref.version;
  const Hash hash = release.ref.release_hash;
  const auto head = parts_.registry.head(ledger);
  release.expected_head_hash = head ? head->ref.release_hash : Hash{};
  release.follows_gap = version > (head ? head->ref.version : 0) + 1;
  release.publisher = order.administrator;
  release.message = fmt::format("Recovered from {}: release v{}", node, version);
  NOTP_TRY(parts_.registry.publish(std::move(release)));
  failpoint("recovery.after_release");
  ++recovered_total_;
  log::info("release_recovered", {{"identity", node},
                                  {"ledger", ledger.text()},
                                  {"version", version},
                                  {"release", hash.brief()}});
  const MutexLock lock(mutex_);
  ++progress_[ledger].recovered;
  return {};
}

// --- withdrawals

void RecoveryJob::withdraw_again(const RecoveryOrder& order) {
  for (const auto& [ledger, hashes] : losses_.withdrawn())
    if (parts_.registry.head(ledger)) withdraw_again(order, ledger, hashes);
}

void RecoveryJob::withdraw_again(const RecoveryOrder& order, const model::LedgerId& ledger,
                                 const std::map<Hash, TimeMs>& listed) {
  uint64_t below = 0;
  do {
    const auto rows = parts_.registry.history(ledger, below, limits::kQueryRowsMax);
    if (!rows || rows->empty()) return;
    for (const registry::ReleaseInfoPtr& info : *rows) {
      const auto found = listed.find(info->ref.release_hash);
      if (found == listed.end() || !info->withdrawn.empty()) continue;
      const auto marked = parts_.registry.withdraw(
          ledger, info->ref.version,
          fmt::format("withdrawn before the restore: statement of {}", utc_time(found->second)),
          order.administrator, read_clock().wall_ms);
      if (!marked) {
        log::write(log::Level::kWarn, "release_not_withdrawn", marked.error(),
                   {{"identity", order.administrator},
                    {"ledger", ledger.text()},
                    {"version", info->ref.version}});
        continue;
      }
      log::warn("release_withdrawn", {{"identity", order.administrator},
                                      {"ledger", ledger.text()},
                                      {"version", info->ref.version},
                                      {"release", info->ref.release_hash.brief()},
                                      {"message", (*marked)->withdrawn}});
    }
    below = rows->back()->ref.version;
  } while (below > 1);
}

// --- the end

Result<void> RecoveryJob::end() {
  if (!inquiry_.is_open()) return fail(ErrorCode::kCancelled, "the registry stops");
  if (!losses_.is_whole())
    return fail(ErrorCode::kUnavailable,
                "not all is back: 'notp registry recover --plan' says what is missing");
  failpoint("recovery.before_end");
  NOTP_TRY(registry::remove_restored_mark(parts_.data_dir));
  failpoint("recovery.after_end");
  losses_.set_mark(std::nullopt);
  return {};
}

// --- what is shown

void RecoveryJob::complete(wire::RecoveryRow& row) const {
  const MutexLock lock(mutex_);
  const auto progress = progress_.find(row.ledger);
  if (progress == progress_.end()) return;
  if (row.message.empty()) row.message = progress->second.message;
  if (progress->second.is_fetching && row.state == wire::RecoveryState::kLost)
    row.state = wire::RecoveryState::kFetching;
}

std::vector<model::LedgerId> RecoveryJob::recovered() const {
  const MutexLock lock(mutex_);
  std::vector<model::LedgerId> out;
  for (const auto& [ledger, progress] : progress_)
    if (progress.recovered > 0) out.push_back(ledger);
  return out;
}

void RecoveryJob::forget_errors() {
  const MutexLock lock(mutex_);
  for (auto& [ledger, progress] : progress_) progress.message.clear();
}

}  // namespace notp::recovery
