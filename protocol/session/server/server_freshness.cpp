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
    : context_(context), spread_(spread_of(context.info.peer)) {}

void ServerFreshness::on_hello(const wire::Hello& hello) {
  root_sent_ = hello.root_version;
  sequence_ = hello.freshness_sequence;
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
    // The peer drops the statements of the old key, including their sequence: a thief of that key
    // may have exhausted the sequence.
    sequence_ = 0;
    last_statement_.reset();
  }
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
  const auto phase = static_cast<TimeMs>(spread_ % static_cast<uint64_t>(interval));
  const TimeMs passed = (boot_ms - phase) % interval;
  return boot_ms + interval - (passed < 0 ? passed + interval : passed);
}

void ServerFreshness::on_deadline(Now now) {
  deadline_ = renewal_after(now.boot_ms);
  if (auto sent = send_statement(now); !sent) context_.output.refuse(sent.error(), 0);
}

Result<std::vector<trust::FreshHead>> ServerFreshness::heads() const {
  std::vector<trust::FreshHead> out;
  for (const model::LedgerId& ledger : ledgers_) {
    NOTP_TRY(context_.may(wire::Action::kRead, &ledger));
    trust::FreshHead& head = out.emplace_back(trust::FreshHead{ledger, 0, 0, {}, {}});
    const auto target = context_.target(ledger);
    if (!target) continue;
    head.epoch = target->epoch;
    head.version = target->version;
    head.release_hash = target->release_hash;
  }
  return out;
}

Result<void> ServerFreshness::send_statement(Now now) {
  const FreshnessSource* const source = context_.ports.freshness;
  SessionOutput& output = context_.output;
  if (source == nullptr || output.is_closed()) return {};
  NOTP_ASSIGN(std::vector<trust::FreshHead> listed, heads());
  if (listed.empty() || !source->enabled()) return {};
  // What the registry has of such a ledger is not the newest: the peer keeps the statement it has.
  if (!std::ranges::all_of(ledgers_, [&](const auto& l) { return source->attests(l); })) return {};
  auto statement = source->sign(std::move(listed), context_.info.peer, sequence_ + 1, now);
  if (!statement) return {};
  auto& [freshness, signature] = *statement;
  // A root may have arrived since the last one was sent; the statement refers to it.
  send_roots();
  if (output.is_closed()) return {};
  output.send(
      make_freshness_update(freshness, signature, last_statement_ ? &*last_statement_ : nullptr));
  sequence_ = freshness.sequence;
  context_.events.push_back(server_event::Attested{freshness});
  last_statement_ = std::move(freshness);
  return {};
}

}  // namespace notp::session
