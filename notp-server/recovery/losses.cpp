#include "notp-server/recovery/losses.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/limits.hpp"
#include "common/log.hpp"

namespace notp::recovery {
namespace {

// Withdrawn releases of all ledgers that statements list.
constexpr size_t kWithdrawnKeptMax = 65'536;

constexpr const char* kWhoRecovers = "an administrator runs 'notp registry recover'";

std::string versions_text(uint64_t first, uint64_t last) {
  return first == last ? fmt::format("v{}", first) : fmt::format("v{} to v{}", first, last);
}

Error no_holder(const LostLedger& ledger, uint64_t version) {
  return {ErrorCode::kUnavailable,
          fmt::format("no connected node holds {} v{}", ledger.newest->ledger.text(), version),
          {}};
}

Result<trust::Root> read_root(ByteView envelope) {
  NOTP_ASSIGN(const trust::Envelope decoded, trust::decode_envelope(envelope, trust::kRootType));
  return trust::Root::decode(decoded.payload);
}

}  // namespace

// --- what is held up

uint64_t Losses::head_of(const model::LedgerId& ledger) const {
  const auto head = registry_.head(ledger);
  return head ? head->ref.version : 0;
}

bool Losses::has_lost_releases(const LostLedger& ledger) const {
  if (!ledger.newest) return false;
  const auto head = registry_.head(ledger.newest->ledger);
  return !head ||
         (ledger.newest->version > head->ref.version && ledger.newest->epoch >= head->ref.epoch);
}

bool Losses::is_forked(const model::LedgerId& id, const LostLedger& ledger) const {
  if (!ledger.fork) return false;
  const auto head = registry_.head(id);
  return !head || head->ref.epoch <= ledger.fork->epoch;
}

bool Losses::is_lost(const model::LedgerId& id) const {
  if (mark_) return true;
  const LostLedger* const ledger = lost_.find(id);
  return ledger != nullptr && (has_lost_releases(*ledger) || is_forked(id, *ledger));
}

// A root of a later epoch is a person's word that the releases of the earlier one are given up:
// what is published under it is above all of them.
bool Losses::is_held_up(const model::LedgerId& id) const {
  if (mark_) return true;
  const LostLedger* const ledger = lost_.find(id);
  if (ledger == nullptr) return false;
  const uint64_t epoch = roots_.current()->epoch;
  return (has_lost_releases(*ledger) && ledger->newest->epoch >= epoch) ||
         (is_forked(id, *ledger) && ledger->fork->epoch >= epoch);
}

uint64_t Losses::known_root() const {
  const uint64_t own = roots_.newest();
  return lost_roots_.empty() ? own : std::max(own, lost_roots_.back().root->version);
}

bool Losses::has_lost_root() const { return known_root() > roots_.newest(); }

Error Losses::why_lost(const model::LedgerId& id) const {
  const auto error = [&](std::string message) {
    return Error{ErrorCode::kConflict, std::move(message), {{"ledger", id.text()}}};
  };
  const char* const what_to_do = is_running_ ? "they are being recovered" : kWhoRecovers;
  const LostLedger* const ledger = lost_.find(id);
  if (ledger != nullptr && is_forked(id, *ledger))
    return error(fmt::format("{}, which {} has: 'notp registry recover --plan' says what to do",
                             ledger->fork->message, ledger->fork->shown_by));
  if (ledger != nullptr && has_lost_releases(*ledger))
    return error(fmt::format("this registry lacks {} of {}, which {} has: {}",
                             versions_text(head_of(id) + 1, ledger->newest->version), id.text(),
                             ledger->newest_shown_by, what_to_do));
  return error(
      fmt::format("this registry was restored{}, and nodes may have newer releases of {}: {}",
                  mark_ && mark_->backup_made_ms != 0
                      ? fmt::format(" from a backup of {}", utc_time(mark_->backup_made_ms))
                      : "",
                  id.text(), what_to_do));
}

Result<void> Losses::may_publish(const model::LedgerId& ledger) const {
  if (is_quiet_) return {};
  const MutexLock lock(mutex_);
  if (!is_held_up(ledger)) return {};
  return std::unexpected(why_lost(ledger));
}

bool Losses::attests(const model::LedgerId& ledger) const {
  if (is_quiet_) return true;
  const MutexLock lock(mutex_);
  return !is_lost(ledger);
}

Result<void> Losses::may_publish_root() const {
  if (is_quiet_) return {};
  const MutexLock lock(mutex_);
  if (has_lost_root())
    return fail(ErrorCode::kConflict,
                fmt::format("this registry lacks the roots {}, which nodes have: {}",
                            versions_text(roots_.newest() + 1, known_root()), kWhoRecovers));
  if (mark_)
    return fail(ErrorCode::kConflict,
                fmt::format("this registry was restored, and nodes may have newer roots: {}",
                            kWhoRecovers));
  return {};
}

void Losses::prune() {
  lost_.prune();
  if (!has_lost_root()) lost_roots_.clear();
  is_quiet_ = !mark_ && lost_.ledgers().empty() && lost_roots_.empty();
}

// --- what nodes say

Losses::TakenIn Losses::take_in(const wire::Held& held, uint64_t session,
                                const std::string& identity) {
  TakenIn out;
  take_in_roots(held, identity, out.faults);
  const RootWindow roots = window();
  const uint64_t newest = take_in_releases(held, session, identity, roots, out.faults);
  take_in_statement(held, roots, out.faults);
  const MutexLock lock(mutex_);
  prune();
  const LostLedger* const ledger = lost_.find(held.ledger);
  if (ledger != nullptr && ledger->releases.contains(newest)) out.newest = newest;
  return out;
}

void Losses::take_in_roots(const wire::Held& held, const std::string& identity,
                           std::vector<Error>& faults) {
  for (const Bytes& envelope : held.roots) {
    std::shared_ptr<const trust::Root> newest = roots_.current();
    {
      const MutexLock lock(mutex_);
      if (has_lost_root()) newest = lost_roots_.back().root;
    }
    const auto root = read_root(envelope);
    if (root && root->version <= newest->version) continue;  // known by now
    auto verified = verify_lost_root(envelope, newest);
    if (!verified) return faults.push_back(std::move(verified).error());
    const MutexLock lock(mutex_);
    if (lost_roots_.size() == limits::kRootStepsMax) return;
    if (!has_lost_root())
      log::warn("root_lost",
                {{"identity", identity},
                 {"root_version", verified->root->version},
                 {"message",
                  "a node has a root that this registry lacks: no root can be published until an "
                  "administrator has run 'notp registry recover'"}});
    lost_roots_.push_back(*std::move(verified));
    is_quiet_ = false;
  }
}

uint64_t Losses::take_in_releases(const wire::Held& held, uint64_t session,
                                  const std::string& identity, const RootWindow& roots,
                                  std::vector<Error>& faults) {
  uint64_t newest = 0;
  for (const Bytes& envelope : held.releases) {
    uint64_t known = 0;
    {
      const MutexLock lock(mutex_);
      if (lost_.add_holder(held.ledger, sha256(envelope), session, known)) {
        newest = std::max(newest, known);
        continue;
      }
    }
    auto verified = verify_lost_release(trust::ReleaseEnvelope(envelope), held.ledger, roots);
    if (!verified) {
      faults.push_back(std::move(verified).error());
      continue;
    }
    newest = std::max(newest, verified->ref.version);
    const MutexLock lock(mutex_);
    const LostReleases::News news = lost_.add(*verified, session, identity);
    is_quiet_ = is_quiet_ && lost_.ledgers().empty();
    log_news(news, held.ledger, identity);
  }
  return newest;
}

void Losses::take_in_statement(const wire::Held& held, const RootWindow& roots,
                               std::vector<Error>& faults) {
  if (held.freshness.empty()) return;
  auto statement = verify_lost_statement(held.freshness, roots);
  // By a key of before these roots: it says nothing of what came after the backup.
  if (!statement && statement.error().code == ErrorCode::kSignature) return;
  if (!statement) return faults.push_back(std::move(statement).error());
  const MutexLock lock(mutex_);
  for (const trust::FreshHead& head : statement->heads)
    for (const Hash& hash : head.withdrawn) {
      if (withdrawn_count_ >= kWithdrawnKeptMax) return;
      TimeMs& listed_ms = withdrawn_[head.ledger][hash];
      withdrawn_count_ += listed_ms == 0 ? 1 : 0;
      listed_ms = std::max(listed_ms, statement->issued_ms);
    }
}

void Losses::log_news(LostReleases::News news, const model::LedgerId& id,
                      const std::string& identity) {
  const LostLedger* const ledger = lost_.find(id);
  if (news == LostReleases::News::kNone || ledger == nullptr) return;
  if (news == LostReleases::News::kForked)
    return log::write(log::Level::kError, "ledger_forked",
                      Error{ErrorCode::kEquivocation, ledger->fork->message, {}},
                      {{"ledger", id.text()}, {"identity", identity}});
  if (!has_lost_releases(*ledger) || !logged_.insert(id).second) return;
  log::warn("ledger_lost", {{"ledger", id.text()},
                            {"identity", identity},
                            {"version", ledger->newest->version},
                            {"head", head_of(id)},
                            {"message", why_lost(id).message}});
}

void Losses::session_ended(uint64_t session) {
  const MutexLock lock(mutex_);
  lost_.session_ended(session);
}

// --- what is to be done

std::optional<registry::RestoredMark> Losses::mark() const {
  const MutexLock lock(mutex_);
  return mark_;
}

void Losses::set_mark(std::optional<registry::RestoredMark> mark) {
  const MutexLock lock(mutex_);
  mark_ = mark;
  if (!mark_) logged_.clear();
  prune();
}

void Losses::set_running(bool is_running) {
  const MutexLock lock(mutex_);
  is_running_ = is_running;
}

uint64_t Losses::newest_root() const {
  const MutexLock lock(mutex_);
  return known_root();
}

std::vector<trust::VerifiedRoot> Losses::lost_roots() const {
  const MutexLock lock(mutex_);
  return has_lost_root() ? lost_roots_ : std::vector<trust::VerifiedRoot>();
}

RootWindow Losses::window() const {
  uint64_t first = roots_.newest();
  if (const auto restored = mark(); restored && restored->root_version < first)
    first = std::max<uint64_t>(1, restored->root_version);
  RootWindow out;
  for (const session::CatalogRoot& stored : roots_.after(first - 1))
    if (auto root = read_root(*stored.envelope))
      out.push_back(std::make_shared<const trust::Root>(*std::move(root)));
  if (out.empty()) out.push_back(roots_.current());
  for (const trust::VerifiedRoot& root : lost_roots())
    if (root.root->version > out.back()->version) out.push_back(root.root);
  return out;
}

std::vector<model::LedgerId> Losses::ledgers() {
  const MutexLock lock(mutex_);
  prune();
  std::vector<model::LedgerId> out;
  for (const auto& [id, ledger] : lost_.ledgers())
    if (has_lost_releases(ledger) || is_forked(id, ledger)) out.push_back(id);
  return out;
}

std::vector<model::LedgerId> Losses::unlisted() {
  const MutexLock lock(mutex_);
  prune();
  std::vector<model::LedgerId> out;
  for (const auto& [id, ledger] : lost_.ledgers())
    if (has_lost_releases(ledger) && ledger.releases.empty()) out.push_back(id);
  return out;
}

Result<std::optional<LostRelease>> Losses::next_release(const model::LedgerId& id,
                                                        const GivenUp& given_up) {
  const MutexLock lock(mutex_);
  prune();
  const LostLedger* const ledger = lost_.find(id);
  if (ledger == nullptr || is_forked(id, *ledger) || !has_lost_releases(*ledger))
    return std::nullopt;
  if (ledger->releases.empty()) return std::nullopt;  // the rest of a long history
  const uint64_t next = head_of(id) + 1;
  const auto held = std::ranges::find_if(
      ledger->releases, [](const auto& entry) { return !entry.second.holders.empty(); });
  if (held == ledger->releases.end())
    return std::unexpected(no_holder(*ledger, ledger->releases.begin()->first));
  if (held->first != next) {
    const auto gaps = given_up.find(id);
    const bool may_follow = gaps != given_up.end() && gaps->second.contains(held->first) &&
                            gaps->second.at(held->first) < next;
    if (!may_follow) return std::unexpected(no_holder(*ledger, next));
  }
  return held->second;
}

std::set<uint64_t> Losses::holders_of(const trust::ReleaseRef& ref) const {
  const MutexLock lock(mutex_);
  const LostLedger* const ledger = lost_.find(ref.ledger);
  if (ledger == nullptr) return {};
  const auto release = ledger->releases.find(ref.version);
  if (release == ledger->releases.end() || release->second.ref != ref) return {};
  return release->second.holders;
}

Losses::Withdrawn Losses::withdrawn() const {
  const MutexLock lock(mutex_);
  return withdrawn_;
}

bool Losses::is_whole() {
  const MutexLock lock(mutex_);
  prune();
  for (const auto& [id, ledger] : lost_.ledgers())
    if (!is_forked(id, ledger) && has_lost_releases(ledger)) return false;
  return !has_lost_root();
}

GivenUp Losses::give_up_missing() const {
  const MutexLock lock(mutex_);
  GivenUp out;
  for (const auto& [id, ledger] : lost_.ledgers()) {
    uint64_t before = head_of(id);
    for (const auto& [version, release] : ledger.releases) {
      if (release.holders.empty()) continue;
      if (version > before + 1) out[id][version] = before;
      before = version;
    }
  }
  return out;
}

}  // namespace notp::recovery
