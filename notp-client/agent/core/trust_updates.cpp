#include "notp-client/agent/core/trust_updates.hpp"

namespace notp::agent {
namespace {

// Whether the error may be temporary: with a wrong clock, here or there, or an expired root, the
// next statement may be valid, and releases do not depend on it.
bool may_pass(ErrorCode code) { return code == ErrorCode::kClock || code == ErrorCode::kExpired; }

}  // namespace

TrustUpdates::TrustUpdates(CoreParts parts, DialPlan& dial, FreshnessWatch& watch)
    : parts_(parts), dial_(dial), watch_(watch), sources_(parts) {}

std::optional<Error> TrustUpdates::take(session::ClientEvent& event) {
  if (const auto* root = std::get_if<session::client_event::RootArrived>(&event))
    return on_root(root->envelope);
  if (const auto* assignment = std::get_if<session::client_event::AssignmentArrived>(&event))
    return on_assignment(assignment->envelope);
  if (const auto* freshness = std::get_if<session::client_event::FreshnessArrived>(&event))
    return on_freshness(freshness->update);
  if (dial_.is_rejected()) return std::nullopt;
  if (auto* const sources = std::get_if<session::client_event::SourceStatusArrived>(&event))
    sources_.on_status(std::move(sources->status));
  else if (std::holds_alternative<session::client_event::Welcomed>(event))
    tell_lane(effect::LaneInput::Welcomed{});
  else if (auto* const state = std::get_if<session::client_event::LaneStateArrived>(&event))
    tell_lane(std::move(state->state));
  else if (auto* const lane = std::get_if<session::client_event::LaneStatementArrived>(&event))
    tell_lane(std::move(lane->statement));
  return std::nullopt;
}

// A lane has a core of its own, on its own thread.
void TrustUpdates::tell_lane(decltype(effect::LaneInput::what) what) {
  parts_.effects.push_back(effect::LaneInput{std::move(what)});
}

std::optional<Error> TrustUpdates::on_root(ByteView envelope) {
  if (dial_.is_rejected()) return std::nullopt;
  auto pinned = parts_.trust.take_root(envelope);
  if (!pinned) {
    parts_.alarms.raise(pinned.error());
    parts_.reports.set_trouble(NodeTrouble::kRoot,
                               Error(pinned.error()).in("the registry's root is refused"));
    parts_.reports.report_all();
    dial_.reject_registry();
    return pinned.error();
  }
  if (!parts_.trust.root_has_expired()) parts_.alarms.clear(AlarmTopic::kRoot);
  parts_.reports.clear_trouble(NodeTrouble::kRoot);
  parts_.effects.push_back(effect::Persist{*std::move(pinned)});
  tell_lane(effect::LaneInput::NewRoot{parts_.trust.root().lane_key});
  return std::nullopt;
}

std::optional<Error> TrustUpdates::on_assignment(ByteView envelope) {
  if (dial_.is_rejected()) return std::nullopt;
  auto taken = parts_.trust.take_assignment(envelope);
  if (!taken) return refuse(taken.error());
  keep(std::move(taken));
  return std::nullopt;
}

void TrustUpdates::keep(Result<std::optional<store::change::KeepAssignment>> taken) {
  if (taken && *taken) parts_.effects.push_back(effect::Persist{**std::move(taken)});
}

std::optional<Error> TrustUpdates::on_freshness(const wire::FreshnessUpdate& update) {
  if (dial_.is_rejected()) return std::nullopt;
  if (update.of_class) keep(parts_.trust.retry_assignment());
  std::vector<model::LedgerId> expected;
  for (const model::LedgerId& ledger : parts_.releases.sorted_ledgers())
    if (parts_.reports.refusal(ledger).empty()) expected.push_back(ledger);
  auto keep = parts_.trust.take_freshness(update, expected);
  if (!keep) return refuse(keep.error());
  accept(*std::move(keep));
  return std::nullopt;
}

std::optional<Error> TrustUpdates::refuse(const Error& error) {
  parts_.alarms.raise_once(AlarmTopic::kFreshness, error);
  const Error* before = parts_.reports.trouble(NodeTrouble::kFreshness);
  const bool is_reported = before && before->code == error.code;
  parts_.reports.set_trouble(
      NodeTrouble::kFreshness,
      Error(error).in("the registry's word that this is the newest is refused"));
  if (!is_reported) parts_.reports.report_all();
  if (may_pass(error.code)) return std::nullopt;
  dial_.reject_registry();
  return error;
}

void TrustUpdates::accept(store::FreshnessKeep keep) {
  dial_.mark_trusted();
  parts_.alarms.clear(AlarmTopic::kFreshness);
  bool is_over = parts_.reports.clear_trouble(NodeTrouble::kFreshness);
  is_over |= parts_.reports.clear_trouble(NodeTrouble::kRoot);
  if (std::exchange(is_attested_, true))
    is_over |= parts_.reports.clear_trouble(NodeTrouble::kStore);
  for (const auto& [ledger, head] : keep.listed)
    is_over |= parts_.reports.see_listed(ledger, head.version);
  if (is_over) parts_.reports.report_all();
  if (keep.sets_clock_back) tell_lane(effect::LaneInput::ClockSetBack{parts_.trust.now_ms()});
  watch_.on_time_kept(parts_.trust.ticked_at().boot_ms);
  parts_.effects.push_back(effect::Persist{store::change::KeepFreshness{std::move(keep)}});
}

}  // namespace notp::agent
