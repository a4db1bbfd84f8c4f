#include "protocol/session/server/server_freshness.hpp"

#include <algorithm>
#include <utility>

#include "common/limits.hpp"
#include "protocol/session/freshness_update.hpp"
#include "protocol/session/server/session_limits.hpp"

namespace notp::session {
namespace {

// Returns a number for each peer, evenly spread.
uint64_t spread_of(std::string_view peer) { return HashOfHash()(sha256(peer)); }

// Above this, roots wait for the peer to read the previous ones: the session's queue is bounded.
constexpr size_t kRootBytesMax = limits::kSendQueueBytesMax / 2;

}  // namespace

ServerFreshness::ServerFreshness(ServerContext& context)
    : context_(context),
      spread_(spread_of(context.info.peer)),
      followed_(std::make_shared<const std::vector<Followed>>()) {}

void ServerFreshness::on_hello(const wire::Hello& hello) {
  root_sent_ = hello.root_version;
  sequence_ = hello.freshness_sequence;
  understands_classes_ = hello.class_freshness;
  class_.assignment_sequence = hello.assignment_sequence;
}

void ServerFreshness::add(const model::LedgerId& ledger) {
  const auto place = std::ranges::lower_bound(*followed_, ledger, {}, &Followed::ledger);
  if (place != followed_->end() && place->ledger == ledger) return;
  std::vector<Followed> more;
  more.reserve(followed_->size() + 1);
  more.assign(followed_->begin(), place);
  more.push_back({ledger, {}});
  more.insert(more.end(), place, followed_->end());
  followed_ = std::make_shared<const std::vector<Followed>>(std::move(more));
  class_ = {.in = nullptr, .assignment_sequence = class_.assignment_sequence};
}

Result<void> ServerFreshness::start(Now now, bool holds_more) {
  send_roots();
  if (holds_more)
    not_before_ms_ = now.boot_ms + limits::kHeldAnswerMs;
  else
    NOTP_TRY(send_statement(now));
  deadline_ = renewal_after(std::max(now.boot_ms, not_before_ms_));
  return {};
}

void ServerFreshness::send_roots() {
  SessionOutput& output = context_.output;
  const Catalog& catalog = context_.ports.catalog;
  if (output.is_closed() || root_sent_ >= catalog.newest_root()) return;
  for (const CatalogRoot& root : catalog.roots_after(root_sent_)) {
    if (roots_sent_ == limits::kRootStepsMax || output.queue().control_bytes() > kRootBytesMax)
      return output.say_bye("there are more roots than one session walks; come back for the others",
                            0);
    output.send(wire::RootUpdate{*root.envelope});
    root_sent_ = root.version;
    ++roots_sent_;
    if (!root.new_freshness_key) continue;
    // The peer drops what the old key signed, including the sequences: a thief of that key may have
    // exhausted them.
    sequence_ = 0;
    last_own_.reset();
    class_ = {.in = class_.in};
  }
}

bool ServerFreshness::send_roots_for(uint64_t root_version) {
  const uint64_t before = root_sent_;
  send_roots();
  if (context_.output.is_closed()) return false;
  // A root has arrived since the statement was signed, perhaps with another key. The host says so
  // by roots_changed(), and the next statement follows soon.
  return root_sent_ == before || root_sent_ <= root_version;
}

void ServerFreshness::hasten(Now now) {
  if (deadline_ == kNever) return;
  const auto within = static_cast<TimeMs>(spread_ % limits::kFreshnessSoonMs);
  deadline_ = std::min(deadline_, std::max(now.boot_ms, not_before_ms_) + within);
}

TimeMs ServerFreshness::renewal_after(TimeMs boot_ms) const {
  const FreshnessSource* const source = context_.ports.freshness;
  if (source == nullptr) return kNever;
  const TimeMs interval = std::max<TimeMs>(source->interval_ms(), 1);
  if (class_.in != nullptr) {
    // The first of the class has the statement signed; the others follow in no herd.
    const auto window =
        static_cast<uint64_t>(std::clamp<TimeMs>(interval / 8, 1, limits::kFreshnessSoonMs));
    return class_.in->renewal_after(boot_ms) + static_cast<TimeMs>(spread_ % window);
  }
  const auto phase = static_cast<TimeMs>(spread_ % static_cast<uint64_t>(interval));
  const TimeMs passed = (boot_ms - phase) % interval;
  return boot_ms + interval - (passed < 0 ? passed + interval : passed);
}

void ServerFreshness::on_deadline(Now now) {
  const auto sent = send_statement(now);
  deadline_ = renewal_after(now.boot_ms);
  if (!sent) context_.output.refuse(sent.error(), 0);
}

Result<void> ServerFreshness::send_statement(Now now) {
  const FreshnessSource* const source = context_.ports.freshness;
  if (source == nullptr || context_.output.is_closed()) return {};
  for (const Followed& each : *followed_) NOTP_TRY(context_.may(wire::Action::kRead, &each.ledger));
  if (followed_->empty() || !source->enabled()) return {};
  // What the registry has of such a ledger is not the newest: the peer keeps the statement it has.
  if (!std::ranges::all_of(*followed_,
                           [&](const Followed& each) { return source->attests(each.ledger); }))
    return {};
  join_class();
  if (class_.in != nullptr) {
    // The newest one that was sent in this session may still be all that there is to say.
    const bool has_newest = class_.sent != 0 && class_.sent == sequence_;
    const auto statement =
        class_.in->statement(context_.info.peer, has_newest ? sequence_ - 1 : sequence_, now);
    if (statement != nullptr && send_shared(statement, now)) return {};
  }
  send_own(now);
  return {};
}

// --- for the peer alone

std::vector<trust::FreshHead> ServerFreshness::heads() const {
  std::vector<trust::FreshHead> out;
  for (const Followed& each : *followed_) {
    trust::FreshHead& head = out.emplace_back(trust::FreshHead{each.ledger, 0, 0, {}, {}});
    const auto target = context_.target(each.ledger);
    if (!target) continue;
    head.epoch = target->epoch;
    head.version = target->version;
    head.release_hash = target->release_hash;
  }
  return out;
}

void ServerFreshness::send_own(Now now) {
  trust::Freshness listed;
  listed.audience = context_.info.peer;
  listed.heads = heads();
  auto statement = context_.ports.freshness->sign(std::move(listed), sequence_ + 1, now);
  // The statement refers to its root.
  if (!statement || !send_roots_for(statement->first.root_version)) return;
  const auto freshness = std::make_shared<const trust::Freshness>(std::move(statement->first));
  context_.output.send(make_freshness_update(*freshness, statement->second, last_own_.get()));
  sequence_ = freshness->sequence;
  context_.events.push_back(server_event::Attested{freshness});
  last_own_ = freshness;
}

// --- of a class

void ServerFreshness::join_class() {
  if (!understands_classes_ || context_.ports.classes == nullptr) return;
  const auto ring = [this](const Followed& each) {
    return context_.ports.targets.ring(each.ledger, context_.info.peer);
  };
  if (class_.in != nullptr && std::ranges::all_of(*followed_, [&](const Followed& each) {
        return each.ring == ring(each);
      }))
    return;
  std::vector<Followed> followed = *followed_;
  for (Followed& each : followed) each.ring = ring(each);
  class_ = {.in = context_.ports.classes->join(std::move(followed)),
            .assignment_sequence = class_.assignment_sequence};
  if (class_.in == nullptr) return;
  followed_ = class_.in->followed();
  last_own_.reset();  // no statement builds on one from before an assignment
}

bool ServerFreshness::is_assigned(Now now) const {
  return class_.assigned_ms != 0 && now.wall_ms >= class_.assigned_ms &&
         now.wall_ms - class_.assigned_ms < limits::kAssignmentLifetimeMs / 2;
}

bool ServerFreshness::send_shared(const ClassStatementPtr& statement, Now now) {
  const trust::Freshness& freshness = statement->freshness;
  std::optional<std::pair<trust::Assignment, Bytes>> assignment;
  if (!is_assigned(now)) {
    trust::Assignment wanted;
    wanted.audience = context_.info.peer;
    wanted.class_id = class_.in->id();
    auto made =
        context_.ports.freshness->sign(std::move(wanted), class_.assignment_sequence + 1, now);
    if (!made) return false;
    assignment = *std::move(made);
  }
  if (!send_roots_for(freshness.root_version)) return true;
  // Such a root has voided the assignment that the peer had: roots_changed() brings another one
  // soon.
  if (!assignment && !is_assigned(now)) return true;
  if (assignment) {
    context_.output.send(wire::Assignment{std::move(assignment->second)});
    class_.assigned_ms = now.wall_ms;
    class_.assignment_sequence = assignment->first.sequence;
  }
  if (freshness.sequence == sequence_) return true;
  const auto delta = std::ranges::find(statement->deltas, class_.sent,
                                       [](const auto& each) { return each.first; });
  context_.output.send_frames(delta != statement->deltas.end() ? delta->second : statement->full);
  class_.sent = sequence_ = freshness.sequence;
  context_.events.push_back(
      server_event::Attested{std::shared_ptr<const trust::Freshness>(statement, &freshness)});
  return true;
}

}  // namespace notp::session
