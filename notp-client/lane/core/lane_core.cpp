#include "notp-client/lane/core/lane_core.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "notp-client/lane/lane_limits.hpp"

namespace notp::lane {
namespace {

constexpr TimeMs kMsPerSecond = 1'000;
constexpr TimeMs kJumpMs = 100;  // of the wall clock; less is slewing

wire::LaneMode wire_mode(LaneMode mode) {
  return mode == LaneMode::kAsk ? wire::LaneMode::kAsk : wire::LaneMode::kPush;
}

wire::LaneAge age_of(const LaneReadout& readout, TimeMs trusted_ms) {
  const TimeMs age_ms = std::max<TimeMs>(0, trusted_ms - readout.heard_ms);
  if (readout.heard_ms == 0 || age_ms > static_cast<TimeMs>(readout.hard_s) * kMsPerSecond)
    return wire::LaneAge::kStale;
  return age_ms > limits::kLaneLiveMs ? wire::LaneAge::kLagging : wire::LaneAge::kLive;
}

// Trusted time of the next state, if nothing arrives until then.
TimeMs next_age_ms(const LaneReadout& readout, TimeMs trusted_ms) {
  if (readout.heard_ms == 0) return kNever;
  TimeMs next_ms = kNever;
  for (const TimeMs span_ms :
       {limits::kLaneLiveMs, static_cast<TimeMs>(readout.hard_s) * kMsPerSecond})
    if (const TimeMs at_ms = readout.heard_ms + span_ms + 1; at_ms > trusted_ms)
      next_ms = std::min(next_ms, at_ms);
  return next_ms;
}

// What an open change takes, roughly.
size_t bytes_of(const std::vector<feed::Event>& events) {
  size_t bytes = 0;
  for (const feed::Event& event : events)
    bytes += sizeof event + event.list.size() + event.record.scope.size();
  return bytes;
}

size_t bytes_of(const Change& change) {
  if (const auto* events = std::get_if<change::Events>(&change)) return bytes_of(events->events);
  if (const auto* rows = std::get_if<change::Rows>(&change)) return bytes_of(rows->snapshot.rows);
  if (const auto* forget = std::get_if<change::Forget>(&change))
    return forget->ids.size() * feed::TokenId::kSize;
  return 0;
}

// The same but for the age clock, which has run on as the PDP reckons: after a jump of the wall
// clock that is set back at once, the PDP would not know what has ended.
bool is_shown(LaneReadout shown, const LaneReadout& now) {
  const TimeMs passed_ms = now.boot_ms - shown.boot_ms;
  if (now.trusted_ms > shown.trusted_ms + passed_ms + kJumpMs) return false;
  shown.trusted_ms = now.trusted_ms;
  shown.boot_ms = now.boot_ms;
  return shown == now;
}

}  // namespace

std::string_view lane_state_name(const LaneReadout& readout, TimeMs trusted_ms) {
  switch (readout.contact) {
    case LaneContact::kUnknown:
      return "unknown";
    case LaneContact::kUnsupported:
      return "unsupported";
    case LaneContact::kDenied:
      return "denied";
    case LaneContact::kHeard:
      break;
  }
  switch (age_of(readout, trusted_ms)) {
    case wire::LaneAge::kLive:
      return "live";
    case wire::LaneAge::kLagging:
      return "lagging";
    case wire::LaneAge::kStale:
      break;
  }
  return "stale";
}

LaneCore::LaneCore(LaneOptions options, const LaneMarks& stored, Now now)
    : options_(std::move(options)),
      clock_(stored.trusted_ms, now),
      ticked_at_(now),
      stream_(stored, options_.mode == LaneMode::kPush),
      known_(stored),
      expire_at_ms_(now.boot_ms + limits::kLaneExpiryMs),
      persist_at_ms_(now.boot_ms + limits::kLaneRowsExpiredMs) {
  // What the store had is decided with once the PDP has the table.
  if (stream_.is_in_snapshot())
    push(change::SnapshotBegins{stored.position->revision});
  else
    push(change::Events{});
}

TimeMs LaneCore::tick(Now now) {
  ticked_at_ = now;
  return clock_.now_ms(now);
}

// --- what the agent knows

void LaneCore::on_root(const std::optional<PublicKey>& lane_key, Now now) {
  tick(now);
  if (key_ != lane_key) {
    if (lane_key) link_.begin_again(now.boot_ms);
    key_use_ = KeyUse::kUnknown;
  }
  key_ = lane_key;
  if (key_)
    clear(LaneTopic::kKey);
  else
    raise(
        LaneTopic::kKey,
        {ErrorCode::kRootInvalid,
         fmt::format("the root of {} has no lane key, so nothing that the registry says about the "
                     "lane {} can be verified: set it with `notp root set-lane-key`",
                     options_.trust_domain, options_.lane),
         {}});
  settle();
}

void LaneCore::on_connected(Now now) {
  tick(now);
  link_.on_connected(now.boot_ms);
  if (key_use_ == KeyUse::kSame) key_use_ = KeyUse::kUnknown;  // it may be configured anew
  acks_.begin_session();
  settle();
}

void LaneCore::on_disconnected(Now now) {
  tick(now);
  link_.on_disconnected();
  asks_.on_disconnected();
  settle();
}

void LaneCore::on_clock_set_back(TimeMs trusted_ms, Now now) {
  ticked_at_ = now;
  clock_.set_back(trusted_ms, now);
  const TimeMs now_ms = clock_.high_water_ms();
  known_.heard_ms = std::min(known_.heard_ms, now_ms);
  known_.signed_ms = std::min(known_.signed_ms, now_ms);
  stream_.want_snapshot(/*is_lost=*/true);
  push(change::Events{});
  follow_again("the clock was ahead");
  settle();
}

// --- what the registry says

void LaneCore::on_state(const wire::LaneState& state, Now now) {
  tick(now);
  if (state.lane != options_.lane || !link_.on_state(state, now.boot_ms)) return settle();
  if (const auto& refusal = link_.refusal()) {
    raise(LaneTopic::kRefused, *refusal);
  } else {
    clear(LaneTopic::kRefused);
    if (!stream_.on_granted(*link_.granted()) || stream_.is_in_snapshot())
      link_.await_snapshot(now.boot_ms + limits::kLaneAnswerMs);
  }
  settle();
}

void LaneCore::on_statement(const feed::SealedStatement& statement, Now now) {
  tick(now);
  if (link_.is_stalled() || !link_.is_granted() || !key_) return settle();
  if (acks_.is_full()) {
    link_.stall();
    effects_.push_back(effect::FollowsAgain{"what arrives is more than this node can take"});
    return settle();
  }
  if (const auto taken = take(statement); !taken) {
    raise_refused(taken.error());
    effects_.push_back(effect::Refused{taken.error()});
    if (statement.type != feed::StatementType::kAnswer) follow_again("a statement was refused");
  }
  settle();
}

// A signature that is wrong before one was right is that of another key, not a damaged statement.
void LaneCore::raise_refused(const Error& error) {
  if (error.code == ErrorCode::kRollback) return raise(LaneTopic::kHistory, error);
  if (error.code != ErrorCode::kSignature || key_use_ == KeyUse::kSame)
    return raise(LaneTopic::kStatement, error);
  key_use_ = KeyUse::kOther;
  raise(LaneTopic::kKey,
        {ErrorCode::kSignature,
         fmt::format("the registry signs the lane {} with another key than the lane key of the "
                     "newest root of {}, so nothing that it says is believed: give the registry "
                     "the root's key (lanes.key), or the root the registry's key "
                     "(`notp root set-lane-key`)",
                     options_.lane, options_.trust_domain),
         {}});
}

Result<void> LaneCore::take(const feed::SealedStatement& statement) {
  NOTP_ASSIGN(const Bytes body, feed::open(statement, *key_));
  key_use_ = KeyUse::kSame;
  clear(LaneTopic::kKey);
  switch (statement.type) {
    case feed::StatementType::kBatch: {
      NOTP_ASSIGN(feed::Batch batch, feed::Batch::decode(body));
      return take_batch(std::move(batch));
    }
    case feed::StatementType::kSnapshot: {
      NOTP_ASSIGN(feed::Snapshot snapshot, feed::Snapshot::decode(body));
      return take_snapshot(std::move(snapshot));
    }
    case feed::StatementType::kAnswer: {
      NOTP_ASSIGN(feed::Answer answer, feed::Answer::decode(body));
      return take_answer(std::move(answer));
    }
  }
  return fail(ErrorCode::kMessage, "a statement of a lane has an unknown type");
}

Result<void> LaneCore::check(const feed::LaneHeader& header) const {
  const auto refuse = [&](ErrorCode code, std::string_view why) {
    return fail(code, fmt::format("a statement of the lane {} is refused: {}", options_.lane, why));
  };
  if (header.trust_domain != options_.trust_domain)
    return refuse(ErrorCode::kWrongTarget, "it is of another trust domain");
  if (header.lane != options_.lane) return refuse(ErrorCode::kWrongTarget, "it is of another lane");
  const wire::LanePosition& granted = *link_.granted();
  if (header.instance != granted.instance || header.grant != granted.grant)
    return refuse(ErrorCode::kWrongTarget, "it is of another history or grant than the registry's");
  if (header.time_ms > clock_.high_water_ms() + limits::kClockSkewMs)
    return refuse(ErrorCode::kClock,
                  fmt::format("it is of {}, here it is {}: one of the two clocks is wrong",
                              utc_time(header.time_ms), utc_time(clock_.high_water_ms())));
  return {};
}

// Only a statement that is not older than the last one says how things are now.
void LaneCore::heed(const feed::LaneHeader& header) {
  clear(LaneTopic::kStatement);
  if (header.time_ms >= known_.signed_ms) {
    known_.signed_ms = header.time_ms;
    stream_.on_head(header.head);
    known_.terms = header.terms;
  }
  if (!stream_.is_current(header.head)) return;
  known_.heard_ms = std::max(known_.heard_ms, std::min(header.time_ms, clock_.high_water_ms()));
  clear(LaneTopic::kHistory);
  link_.on_current(ticked_at_.boot_ms);
}

Result<void> LaneCore::take_batch(feed::Batch batch) {
  NOTP_TRY(check(batch.header));
  NOTP_ASSIGN(const StreamStep step, stream_.on_batch(batch, known_.signed_ms));
  if (step == StreamStep::kAgain) {
    follow_again(fmt::format("changes up to revision {} did not come", batch.from));
    return {};
  }
  heed(batch.header);
  if (step == StreamStep::kNothing) {
    if (stream_.has_all() && acks_.acknowledged() < stream_.whole()->revision)
      push(change::Events{});
    return {};
  }
  if (options_.mode == LaneMode::kAsk)
    std::erase_if(batch.events, [&](const feed::Event& event) {
      return event.kind == feed::EventKind::kToken && !asks_.is_held(event.id);
    });
  push(change::Events{std::move(batch.events)});
  return {};
}

Result<void> LaneCore::take_snapshot(feed::Snapshot snapshot) {
  NOTP_TRY(check(snapshot.header));
  NOTP_ASSIGN(const StreamStep step, stream_.on_snapshot(snapshot, known_.signed_ms));
  if (step != StreamStep::kApply) {
    follow_again("a part of a snapshot does not continue it");
    return {};
  }
  if (!snapshot.after) {
    acks_.snapshot_begins();
    push(change::SnapshotBegins{snapshot.as_of});
    // No part of it has them, so the table drops them: they are asked for again.
    if (auto held = asks_.take_held(); !held.empty()) push(change::Forget{std::move(held)});
  }
  link_.await_snapshot(snapshot.last ? ticked_at_.boot_ms + limits::kLaneAgainMaxMs : kNever);
  if (options_.mode == LaneMode::kAsk)
    std::erase_if(snapshot.rows,
                  [](const feed::Event& row) { return row.kind == feed::EventKind::kToken; });
  const feed::LaneHeader header = snapshot.header;
  const bool ends = !snapshot.last;
  push(change::Rows{std::move(snapshot)});
  if (!ends) return {};
  stream_.end_snapshot();
  acks_.snapshot_ends();
  heed(header);
  push(change::SnapshotEnds{});
  return {};
}

Result<void> LaneCore::take_answer(feed::Answer answer) {
  NOTP_TRY(check(answer.header));
  if (!asks_.is_open(answer.id)) return {};
  const TimeMs boot_ms = ticked_at_.boot_ms;
  if (!answer.event || answer.event->end_s() * kMsPerSecond <= clock_.high_water_ms()) {
    asks_.on_unknown(answer.id, boot_ms);
    return {};
  }
  const TimeMs left_ms = answer.event->end_s() * kMsPerSecond - clock_.high_water_ms();
  push(change::Events{{*std::move(answer.event)}});
  auto evicted =
      asks_.on_known(answer.id, acks_.last(), boot_ms + std::min(left_ms, limits::kLaneHeldMs));
  if (!evicted.empty()) push(change::Forget{std::move(evicted)});
  return {};
}

// --- what the host has done

void LaneCore::on_durable(uint64_t number, Now now) {
  tick(now);
  acks_.on_durable(number);
  settle();
}

void LaneCore::on_persist_failed(uint64_t number, const Error& error, Now now) {
  tick(now);
  acks_.on_lost(number);
  raise(LaneTopic::kStore,
        Error(error).in("what the registry revokes is not durable here: after a restart this node "
                        "takes every token for revoked until the registry is reached"));
  stream_.want_snapshot(/*is_lost=*/false);
  follow_again("what arrived is not stored");
  settle();
}

void LaneCore::on_decided(uint64_t number, size_t tokens, Now now) {
  tick(now);
  acks_.on_decided(number, tokens);
  asks_.on_decided(number);
  settle();
}

void LaneCore::ask(const feed::TokenId& id, Now now, const std::string& caller) {
  tick(now);
  const bool may_ask =
      options_.mode == LaneMode::kAsk && key_ && link_.is_granted() && !link_.is_stalled();
  if (const auto outcome = asks_.ask(id, caller, may_ask, now.boot_ms))
    effects_.push_back(effect::Resolved{id, *outcome});
  settle();
}

// --- time

TimeMs LaneCore::next_deadline() const {
  const LaneReadout now = readout();
  TimeMs next_ms = std::min({key_ ? link_.next_deadline() : kNever, asks_.next_deadline(),
                             expire_at_ms_, persist_at_ms_, shown_.boot_ms + limits::kLaneShownMs});
  if (may_report()) next_ms = std::min(next_ms, acks_.next_report(age_of(now, now.trusted_ms)));
  const TimeMs age_ms = next_age_ms(now, now.trusted_ms);
  if (age_ms != kNever) next_ms = std::min(next_ms, ticked_at_.boot_ms + (age_ms - now.trusted_ms));
  return next_ms;
}

void LaneCore::on_deadline(Now now) {
  const TimeMs now_ms = tick(now);
  if (const auto why = link_.on_deadline(now.boot_ms))
    effects_.push_back(effect::FollowsAgain{*why});
  asks_.on_deadline(now.boot_ms);
  if (auto ended = asks_.take_ended(now.boot_ms); !ended.empty())
    push(change::Forget{std::move(ended)});
  if (now.boot_ms >= expire_at_ms_) {
    expire_at_ms_ = now.boot_ms + limits::kLaneExpiryMs;
    effects_.push_back(effect::Expire{now_ms / kMsPerSecond});
  }
  if (now.boot_ms >= persist_at_ms_) {
    persist_at_ms_ = now.boot_ms + limits::kLaneRowsExpiredMs;
    push(change::Events{});
  }
  settle();
}

void LaneCore::settle() {
  const TimeMs boot_ms = ticked_at_.boot_ms;
  if (link_.is_stalled() && acks_.has_room()) link_.resume(boot_ms);
  if (key_ && link_.is_due(boot_ms)) {
    effect::Subscribe subscribe{{.lane = options_.lane, .mode = wire_mode(options_.mode)}};
    stream_.describe(subscribe.subscribe);
    link_.on_subscribed(boot_ms);
    effects_.push_back(std::move(subscribe));
  }
  if (link_.is_granted())
    if (auto ask = asks_.take_frame(boot_ms)) effects_.push_back(effect::Ask{*std::move(ask)});
  for (const auto& [id, outcome] : asks_.take_resolved())
    effects_.push_back(effect::Resolved{id, outcome});
  show_if_new();
  report();
}

void LaneCore::show_if_new() {
  LaneReadout now = readout();
  const std::string_view before = lane_state_name(shown_, shown_state_ms_);
  const std::string_view state = lane_state_name(now, now.trusted_ms);
  if (state != before) effects_.push_back(effect::StateChanged{before, state});
  shown_state_ms_ = now.trusted_ms;
  if (is_shown(shown_, now) && now.boot_ms < shown_.boot_ms + limits::kLaneShownMs) {
    // The state that the age alone gives is the PDP's to see.
    return;
  }
  shown_ = now;
  effects_.push_back(effect::Show{std::move(now)});
}

bool LaneCore::may_report() const {
  return !options_.is_volatile && link_.is_granted() && stream_.is_complete() &&
         acks_.is_of(*link_.granted());
}

void LaneCore::report() {
  if (!may_report()) return;
  const LaneReadout now = readout();
  if (const auto applied = acks_.take_report(age_of(now, now.trusted_ms), ticked_at_.boot_ms))
    effects_.push_back(effect::Report{*applied});
}

// --- parts

void LaneCore::push(Change change) {
  const uint64_t number =
      acks_.begin(stream_.has_all() ? stream_.whole() : std::nullopt, bytes_of(change));
  effects_.push_back(effect::Take{number, acks_.losses(), std::move(change), marks()});
}

void LaneCore::follow_again(std::string why) {
  if (link_.again(ticked_at_.boot_ms)) effects_.push_back(effect::FollowsAgain{std::move(why)});
}

void LaneCore::raise(LaneTopic topic, Error error) {
  if (std::ranges::find(raised_, topic) != raised_.end()) return;
  raised_.push_back(topic);
  effects_.push_back(effect::Alarm{topic, std::move(error)});
}

void LaneCore::clear(LaneTopic topic) {
  if (std::erase(raised_, topic) > 0) effects_.push_back(effect::AlarmOver{topic});
}

LaneMarks LaneCore::marks() const {
  LaneMarks marks = known_;
  marks.position = acks_.is_whole() && stream_.is_complete() ? stream_.whole() : std::nullopt;
  marks.has_tokens = options_.keeps_tokens && marks.position && stream_.has_tokens();
  marks.trusted_ms = clock_.high_water_ms();
  return marks;
}

LaneReadout LaneCore::readout() const {
  LaneReadout readout;
  readout.lane = options_.lane;
  readout.mode = options_.mode;
  readout.revision = stream_.whole() ? stream_.whole()->revision : 0;
  readout.is_complete = stream_.is_complete();
  readout.heard_ms = known_.heard_ms;
  readout.hard_s = known_.terms.hard_s;
  readout.serves = known_.terms.serves;
  readout.trusted_ms = clock_.high_water_ms();
  readout.boot_ms = ticked_at_.boot_ms;
  const auto& refusal = link_.refusal();
  const bool has_no_lane = refusal && refusal->code == ErrorCode::kNotFound;
  if (!key_ || key_use_ == KeyUse::kOther || (refusal && !has_no_lane))
    readout.contact = LaneContact::kDenied;
  else if (link_.is_unsupported() || has_no_lane)
    readout.contact = LaneContact::kUnsupported;
  else if (known_.heard_ms != 0)
    readout.contact = LaneContact::kHeard;
  return readout;
}

}  // namespace notp::lane
