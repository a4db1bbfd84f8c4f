#include "notp-client/txn/grants/sqlite_grants.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/failpoint.hpp"
#include "common/storage/files.hpp"
#include "common/storage/private_files.hpp"
#include "common/storage/read_only_disk.hpp"
#include "common/storage/sqlite_attempt.hpp"
#include "notp-client/txn/grants/grant_rows.hpp"
#include "notp-client/txn/issue/grant_rules.hpp"
#include "protocol/model/spiffe_id.hpp"

namespace notp::txn {
namespace {

constexpr std::string_view kWriting = "cannot write the grants";
constexpr std::string_view kReading = "cannot read the grants";

bool matches(const Grant& grant, const GrantFilter& filter) {
  if (!filter.txn.empty() && std::ranges::find(grant.txns, filter.txn) == grant.txns.end())
    return false;
  if (filter.client.empty()) return true;
  if (std::ranges::find(grant.chain, filter.client) != grant.chain.end()) return true;
  const auto origin = model::SpiffeId::parse(grant.origin);
  const auto to = model::SpiffePattern::parse(grant.to, origin ? origin->trust_domain : "");
  return to && to->covers(filter.client);
}

}  // namespace

SqliteGrants::SqliteGrants(SqliteGrantsOptions options) : options_(std::move(options)) {}

SqliteGrants::~SqliteGrants() = default;

Result<std::unique_ptr<SqliteGrants>> SqliteGrants::open(SqliteGrantsOptions options) {
  std::unique_ptr<SqliteGrants> grants(new SqliteGrants(std::move(options)));
  NOTP_TRY(grants->open_file());
  return grants;
}

Result<void> SqliteGrants::open_file() {
  NOTP_TRY(make_private_folder(options_.folder));
  const std::filesystem::path file = options_.folder / kGrantsFile;
  if (is_on_read_only_disk(options_.folder))
    return fail(
        ErrorCode::kIo,
        fmt::format("{} is on a read-only disk: no use of a grant could be marked", file.string()));
  make_private_file(file);
  NOTP_ASSIGN(database_, open_database(file));
  return attempt(fmt::format("cannot use {}", file.string()), [this] {
    make_grant_tables(*database_);
    rows_ = std::make_unique<GrantRows>(*database_);
    by_maker_ = rows_->count_by_maker();
    for (const auto& [maker, count] : by_maker_) size_ += count;
  });
}

Result<std::optional<GrantFinding>> SqliteGrants::find(std::string_view id, std::string_view peer,
                                                       std::string_view jti) {
  return attempt(kReading, [&]() -> std::optional<GrantFinding> {
    auto grant = rows_->find(id);
    if (!grant) return std::nullopt;
    return GrantFinding{*std::move(grant), rows_->find_use(id, peer, jti)};
  });
}

Result<std::vector<TokenResult<GrantOutcome>>> SqliteGrants::apply(
    std::span<const GrantChange> changes, TimeMs now_ms) {
  NewGrants added;
  auto applied = attempt(kWriting, [&] {
    std::vector<TokenResult<GrantOutcome>> outcomes;
    SQLite::Transaction transaction(*database_);
    for (const GrantChange& change : changes) outcomes.push_back(apply_one(change, added, now_ms));
    failpoint("grants.before_commit");
    transaction.commit();
    return outcomes;
  });
  failpoint("grants.after_commit");
  if (applied) count_added(added);
  return applied;
}

TokenResult<GrantOutcome> SqliteGrants::apply_one(const GrantChange& change, NewGrants& added,
                                                  TimeMs now_ms) {
  if (const auto* used = std::get_if<GrantUse>(&change)) return use(*used, added, now_ms);
  const Grant& grant = std::get<Grant>(change);
  NOTP_TRY(add(grant, added));
  return GrantOutcome{{{}, grant.id}, false};
}

TokenResult<GrantOutcome> SqliteGrants::use(const GrantUse& use, NewGrants& added, TimeMs now_ms) {
  const auto grant = rows_->find(use.grant_id);
  if (!grant) return token_refused(Refusal::kGrantUnknown, "the grant has ended, or was revoked");
  NOTP_ASSIGN(
      UseVerdict verdict,
      check_use(*grant, rows_->find_use(use.grant_id, use.peer, use.jti), use.request, now_ms));
  if (verdict.repeated) return GrantOutcome{*std::move(verdict.repeated), true};
  if (use.passed_on) {
    NOTP_TRY(check_passed_on(*grant, *use.passed_on, use.txn));
    NOTP_TRY(add(*use.passed_on, added));
  }
  rows_->mark(use, now_ms);
  return GrantOutcome{{use.claims, use.passed_on ? use.passed_on->id : std::string()}, false};
}

TokenResult<> SqliteGrants::add(const Grant& grant, NewGrants& added) {
  size_t all = size_ + 1;
  for (const auto& [maker, count] : added) all += count;
  if (all > options_.grants_max)
    return token_refused(Refusal::kGrantsFull,
                         fmt::format("{} grants are open here; try again when some have ended",
                                     options_.grants_max));
  const auto found = by_maker_.find(grant.made_by());
  const size_t own = (found == by_maker_.end() ? 0 : found->second) + added[grant.made_by()] + 1;
  if (own > limits::kTxnGrantsPerClientMax)
    return token_refused(Refusal::kGrantsPerClient,
                         fmt::format("{} grants of this workload are open; try again when some "
                                     "have ended",
                                     limits::kTxnGrantsPerClientMax));
  rows_->put(grant);
  ++added[grant.made_by()];
  return {};
}

Result<GrantPage> SqliteGrants::list(const GrantFilter& filter, std::string_view from) {
  constexpr size_t kMax = limits::kTxnGrantsListedMax;
  return attempt(kReading, [&] {
    GrantPage page{.grants = {}, .next = std::string(from)};
    for (size_t seen = 0; seen < limits::kTxnGrantsSeenMax; seen += kMax) {
      std::vector<Grant> found = rows_->page(page.next, kMax + 1);
      page.next = found.size() > kMax ? found.back().id : std::string();
      if (!page.next.empty()) found.pop_back();
      for (Grant& grant : found) {
        if (!matches(grant, filter)) continue;
        if (page.grants.size() == kMax) {
          page.next = std::move(grant.id);
          return page;
        }
        page.grants.push_back(std::move(grant));
      }
      if (page.next.empty()) break;
    }
    return page;
  });
}

Result<RevokedGrants> SqliteGrants::revoke(const GrantRevocation& what, TimeMs now_ms) {
  NOTP_ASSIGN(std::vector<std::string> ids, attempt(kReading, [&] {
                return what.grant.empty() ? rows_->made_by_token(what.txn)
                                          : rows_->with_id(what.grant);
              }));
  if (ids.empty() && !what.grant.empty())
    return fail(ErrorCode::kNotFound, "no such grant: it has ended, or was revoked long ago");
  NOTP_ASSIGN(const GrantRows::Revoked revoked, attempt(kWriting, [&] {
                SQLite::Transaction transaction(*database_);
                GrantRows::Revoked out = rows_->revoke_tree(std::move(ids), now_ms);
                failpoint("grants.before_revoke");
                transaction.commit();
                return out;
              }));
  count_removed(revoked.makers);
  RevokedGrants out{.grants = revoked.makers.size(), .txns = {}, .next = {}};
  for (auto txn = revoked.txns.lower_bound(what.from); txn != revoked.txns.end(); ++txn) {
    if (out.txns.size() == limits::kTxnGrantsListedMax) {
      out.next = *txn;
      break;
    }
    out.txns.push_back(*txn);
  }
  return out;
}

Result<bool> SqliteGrants::sweep(TimeMs now_ms) {
  NOTP_ASSIGN(const auto swept, attempt(kWriting, [&] {
                SQLite::Transaction transaction(*database_);
                const size_t max = limits::kTxnGrantsSweptMax;
                const TimeMs before_ms = now_ms - limits::kTxnGrantRepeatMs;
                auto removed =
                    rows_->remove_ended(before_ms, now_ms - limits::kTxnGrantRevokedMs, max);
                const size_t forgotten = rows_->forget_answers(before_ms, max);
                transaction.commit();
                const bool more = removed.rows == max || forgotten == max;
                return std::pair(std::move(removed.makers), more);
              }));
  count_removed(swept.first);
  return swept.second;
}

void SqliteGrants::count_added(const NewGrants& added) {
  for (const auto& [maker, count] : added) {
    if (count == 0) continue;
    by_maker_[maker] += count;
    size_ += count;
  }
}

void SqliteGrants::count_removed(const std::vector<std::string>& makers) {
  for (const std::string& maker : makers) {
    const auto found = by_maker_.find(maker);
    if (found == by_maker_.end()) continue;
    --size_;
    if (--found->second == 0) by_maker_.erase(found);
  }
}

}  // namespace notp::txn
