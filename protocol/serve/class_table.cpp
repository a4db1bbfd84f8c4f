#include "protocol/serve/class_table.hpp"

#include <algorithm>
#include <deque>
#include <tuple>
#include <utility>

#include "common/atomic_shared.hpp"
#include "common/limits.hpp"
#include "common/log.hpp"
#include "protocol/session/freshness_update.hpp"
#include "protocol/wire/frame.hpp"

namespace notp::serve {
namespace {

void put(Bytes& out, std::string_view text) {
  out += std::to_string(text.size());
  out += ' ';
  out += text;
}

// A statement that was issued later than this is one from before the clock was set back.
constexpr TimeMs kAheadMs = 1'000;
// Readers that come back with the newest statement make the class sign this often in an interval.
constexpr TimeMs kExtraRenewals = 4;
// Statements of the class that the next ones are also coded relative to: a session may have missed
// those that were made between two renewals.
constexpr size_t kBasesMax = kExtraRenewals;

}  // namespace

trust::ClassId class_id_of(const std::vector<session::Followed>& followed) {
  Bytes listed("notp.class.v1\0", 14);
  for (const session::Followed& each : followed) {
    put(listed, std::to_string(each.ledger.zone));
    put(listed, each.ledger.name);
    put(listed, each.ring);
  }
  return *trust::ClassId::from_bytes(sha256(listed).view().substr(0, trust::ClassId::kSize));
}

// The newest statement is read without a lock, by thousands of sessions at a time; the lock is held
// for a signature, some 0.03 ms.
class ClassTable::Class final : public session::ReaderClass {
 public:
  Class(const ClassTable& table, const trust::ClassId& id, std::vector<session::Followed> followed)
      : targets_(table.targets_),
        source_(table.source_),
        id_(id),
        followed_(std::make_shared<const std::vector<session::Followed>>(std::move(followed))),
        spread_(HashOfHash()(sha256(id.view()))) {}

  const trust::ClassId& id() const override { return id_; }
  const session::FollowedPtr& followed() const override { return followed_; }
  session::ClassStatementPtr statement(std::string_view reader, uint64_t above, Now now) override;
  TimeMs renewal_after(TimeMs boot_ms) const override { return period_of(boot_ms) + interval(); }

 private:
  struct Statement : session::ClassStatement {
    TimeMs signed_boot_ms = 0;
  };
  using StatementPtr = std::shared_ptr<const Statement>;

  TimeMs interval() const { return std::max<TimeMs>(source_.interval_ms(), 1); }
  // Returns when the period between two renewals began that `boot_ms` is in.
  TimeMs period_of(TimeMs boot_ms) const {
    const TimeMs every = interval();
    const TimeMs passed =
        (boot_ms - static_cast<TimeMs>(spread_ % static_cast<uint64_t>(every))) % every;
    return boot_ms - (passed < 0 ? passed + every : passed);
  }
  std::vector<trust::FreshHead> heads(std::string_view reader) const;
  bool lists_targets(const trust::Freshness& statement, std::string_view reader) const;
  bool is_true(const Statement& statement, std::string_view reader, Now now) const;
  // null: it cannot be signed, or not with a sequence above `above`.
  StatementPtr sign(std::string_view reader, uint64_t above, Now now) NOTP_REQUIRES(mutex_);

  const session::TargetSource& targets_;
  const session::FreshnessSource& source_;
  const trust::ClassId id_;
  const session::FollowedPtr followed_;
  const uint64_t spread_;  // offset among all classes, for renewals
  Mutex mutex_;            // held while a statement is signed
  std::deque<StatementPtr> bases_ NOTP_GUARDED_BY(mutex_);  // the last ones, oldest first
  AtomicShared<Statement> newest_{nullptr};
};

std::vector<trust::FreshHead> ClassTable::Class::heads(std::string_view reader) const {
  std::vector<trust::FreshHead> out;
  for (const session::Followed& each : *followed_) {
    trust::FreshHead& head = out.emplace_back(trust::FreshHead{each.ledger, 0, 0, {}, {}});
    const auto target = targets_.target(each.ledger, reader);
    if (!target) continue;
    head.epoch = target->epoch;
    head.version = target->version;
    head.release_hash = target->release_hash;
  }
  return out;
}

bool ClassTable::Class::lists_targets(const trust::Freshness& statement,
                                      std::string_view reader) const {
  return std::ranges::all_of(statement.heads, [&](const trust::FreshHead& head) {
    const auto target = targets_.target(head.ledger, reader);
    return target ? std::tie(head.epoch, head.version, head.release_hash) ==
                        std::tie(target->epoch, target->version, target->release_hash)
                  : head.version == 0;
  });
}

// The targets are looked up after the statement was read: they are never older than it.
bool ClassTable::Class::is_true(const Statement& statement, std::string_view reader,
                                Now now) const {
  const trust::Freshness& freshness = statement.freshness;
  return statement.signed_boot_ms >= period_of(now.boot_ms) && now.wall_ms < freshness.expires_ms &&
         freshness.issued_ms <= now.wall_ms + kAheadMs && source_.holds(freshness) &&
         lists_targets(freshness, reader);
}

session::ClassStatementPtr ClassTable::Class::statement(std::string_view reader, uint64_t above,
                                                        Now now) {
  if (auto newest = newest_.get();
      newest && newest->freshness.sequence > above && is_true(*newest, reader, now))
    return newest;
  const MutexLock lock(mutex_);
  const StatementPtr newest = newest_.get();
  if (newest && is_true(*newest, reader, now)) {
    if (newest->freshness.sequence > above) return newest;
    // The reader has it, as after a cut, or claims to. Where a link or a registry was lost, others
    // come back with it as well, and then share the next one.
    if (now.boot_ms - newest->signed_boot_ms < interval() / kExtraRenewals) return nullptr;
  }
  return sign(reader, above, now);
}

// Sequences go on from those of the class alone, so that no reader's claim drives them up.
ClassTable::Class::StatementPtr ClassTable::Class::sign(std::string_view reader, uint64_t above,
                                                        Now now) {
  const uint64_t sequence_min = bases_.empty() ? 1 : bases_.back()->freshness.sequence + 1;
  if (std::max(sequence_min, static_cast<uint64_t>(now.wall_ms)) <= above) return nullptr;
  trust::Freshness listed;
  listed.class_id = id_;
  listed.heads = heads(reader);
  auto made = source_.sign(std::move(listed), sequence_min, now);
  if (!made) return nullptr;
  auto next = std::make_shared<Statement>();
  next->signed_boot_ms = now.boot_ms;
  next->freshness = std::move(made->first);
  const auto frame = [&](const trust::Freshness* base) -> Result<model::Content> {
    NOTP_ASSIGN(Bytes bytes, wire::try_encode_frame(session::make_freshness_update(
                                 next->freshness, made->second, base)));
    return std::make_shared<const Bytes>(std::move(bytes));
  };
  auto full = frame(nullptr);
  if (!full) return nullptr;  // it breaks a limit: so does the reader's own, whose session says so
  next->full = *std::move(full);
  for (const StatementPtr& base : bases_)
    if (auto delta = frame(&base->freshness))
      next->deltas.emplace_back(base->freshness.sequence, *std::move(delta));
  bases_.push_back(next);
  if (bases_.size() > kBasesMax) bases_.pop_front();
  newest_.set(next);
  return next;
}

std::shared_ptr<session::ReaderClass> ClassTable::join(std::vector<session::Followed> followed) {
  const trust::ClassId id = class_id_of(followed);
  const MutexLock lock(mutex_);
  std::weak_ptr<Class>& place = classes_[id];
  if (auto found = place.lock()) return found;
  std::erase_if(classes_,
                [&](const auto& each) { return each.first != id && each.second.expired(); });
  if (classes_.size() > limits::kReaderClassesMax) {
    classes_.erase(id);
    ++refused_;
    return nullptr;
  }
  auto made = std::make_shared<Class>(*this, id, std::move(followed));
  place = made;
  return made;
}

size_t ClassTable::classes() const {
  const MutexLock lock(mutex_);
  return static_cast<size_t>(
      std::ranges::count_if(classes_, [](const auto& each) { return !each.second.expired(); }));
}

}  // namespace notp::serve
